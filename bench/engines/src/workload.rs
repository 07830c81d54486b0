//! The documents and batches, all following from their numbers.
//!
//! Keys look as they do in a store: 8 bytes of partition, space, table, then the parts of the key.
//! They come in no order, spread over 16 partitions; a batch belongs to one of them.

/// Partitions of the database.
pub const PARTITIONS: u64 = 16;
/// Bytes of a document, as JSON text.
const DOCUMENT_BYTES: usize = 1_024;

/// How much is loaded.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// A power of two, so that numbers can be shuffled without a table.
    pub documents: u64,
}

impl Size {
    /// Reads a number of documents and rounds it up to a power of two.
    pub fn parse(text: &str) -> Option<Size> {
        let documents: u64 = text.parse().ok()?;
        (documents >= 1_024).then_some(Size { documents: documents.next_power_of_two() })
    }

    /// The document that is loaded as the `nth`: every one once, in no order.
    ///
    /// Multiplying by an odd number permutes the numbers below a power of two. The lowest four
    /// bits choose the partition and stay, so that a batch can take documents of one only.
    fn shuffled(self, nth: u64) -> u64 {
        let (partition, index) = (nth % PARTITIONS, nth / PARTITIONS);
        let index = index.wrapping_mul(0x9e37_79b1) % (self.documents / PARTITIONS);
        index * PARTITIONS + partition
    }

    /// The `nth` batch of `count` documents, with the position after it.
    pub fn batch(self, nth: u64, count: u64) -> (Vec<(Vec<u8>, Vec<u8>)>, (Vec<u8>, Vec<u8>)) {
        let (partition, round) = (nth % PARTITIONS, nth / PARTITIONS);
        let numbers = (round * count..(round + 1) * count).map(|i| i * PARTITIONS + partition);
        let writes = numbers.map(|i| self.shuffled(i % self.documents));
        let writes = writes.map(|number| (key(number), document(number, nth))).collect();
        (writes, (position_key(partition), position(nth)))
    }
}

/// What stands before the keys of a partition.
fn prefix(partition: u64) -> Vec<u8> {
    let mut bytes = 1_u32.to_be_bytes().to_vec();
    bytes.extend_from_slice(&(partition as u32).to_be_bytes());
    bytes
}

/// The key of a document.
pub fn key(number: u64) -> Vec<u8> {
    let mut bytes = prefix(number % PARTITIONS);
    bytes.extend_from_slice(&[1, 0, 0, 0, 1]);
    let parts = format!("customer-{:06}\0order-{number:08}\0", number / 64);
    bytes.extend_from_slice(parts.as_bytes());
    bytes
}

/// The key under which a partition keeps its position.
pub fn position_key(partition: u64) -> Vec<u8> {
    let mut bytes = prefix(partition);
    bytes.push(5);
    bytes
}

/// A position after batch `nth`: as long as a fold state.
fn position(nth: u64) -> Vec<u8> {
    let mut bytes = nth.to_be_bytes().to_vec();
    bytes.resize(200, 7);
    bytes
}

/// The batch that a stored position names.
pub fn position_of(bytes: &[u8]) -> u64 {
    u64::from_be_bytes(bytes[..8].try_into().expect("a position has 200 bytes"))
}

/// A document that says which batch wrote it: half words that repeat, half digits that do not.
pub fn document(number: u64, batch: u64) -> Vec<u8> {
    let mut random = Random(number ^ (batch << 32));
    let mut text = format!("{{\"batch\":{batch:012},\"number\":{number}");
    while text.len() < DOCUMENT_BYTES - 1 {
        let (name, value) = (random.next() % 40, random.next());
        text.push_str(&format!(",\"attribute_{name:02}\":\"{value:016x}\""));
    }
    text.truncate(DOCUMENT_BYTES - 1);
    text.push('}');
    text.into_bytes()
}

/// The batch that wrote a document.
pub fn batch_of(document: &[u8]) -> u64 {
    let digits = std::str::from_utf8(&document[9..21]).expect("documents are text");
    digits.parse().expect("a document names its batch")
}

/// SplitMix64.
pub struct Random(pub u64);

impl Random {
    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
