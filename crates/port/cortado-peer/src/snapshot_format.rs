//! A partition's whole state as a stream of bytes, from one replica to another.
//!
//! Knows nothing of transports: the writer gives chunks, the reader takes chunks, and where one
//! ends means nothing. Every byte is described in docs/formats/snapshot.md.
//! Start reading at [`write_snapshot`] and [`SnapshotReader`].

use bytes::{Buf, BufMut, Bytes, BytesMut};
use cortado_model::{DatabaseId, Entry, LogOffset, PartitionId, Scn, StoreError};
use cortado_replica::FoldState;
use xxhash_rust::xxh3::Xxh3;

const MAGIC: [u8; 4] = *b"CTSN";
const VERSION: u8 = 1;
const ENTRY: u8 = 1;
const END: u8 = 2;
/// Bytes that a chunk holds before it is sent.
const CHUNK_BYTES: usize = 256 << 10;
/// Bytes of one key and one value: a document, and a key of the store. A longer one is damage.
const PART_BYTES_MAX: u32 = 32 << 20;

/// Writes one state of a replica to `sink`, chunk by chunk; `false` if `sink` wants no more.
///
/// * `checkpoint`: the encoded fold state, by which the snapshot is named.
/// * `entries`: what belongs to it, in key order.
///
/// # Errors
/// Those of `entries`, and [`StoreError::Damaged`] if the checkpoint cannot be read.
pub fn write_snapshot(
    partition: PartitionId,
    checkpoint: &[u8],
    entries: impl Iterator<Item = Result<Entry, StoreError>>,
    mut sink: impl FnMut(Bytes) -> bool,
) -> Result<bool, StoreError> {
    let damaged = |why: String| StoreError::Damaged { why };
    let fold = FoldState::decode(checkpoint).map_err(|error| damaged(error.to_string()))?;
    let mut out = Chunks { hash: Xxh3::new(), chunk: BytesMut::with_capacity(2 * CHUNK_BYTES) };
    out.put_header(partition, &fold, checkpoint);
    let mut count = 0_u64;
    for entry in entries {
        let Entry { key, value } = entry?;
        out.chunk.put_u8(ENTRY);
        out.put_part(&key);
        out.put_part(&value);
        count += 1;
        if out.chunk.len() >= CHUNK_BYTES && !sink(out.take()) {
            return Ok(false);
        }
    }
    out.chunk.put_u8(END);
    out.chunk.put_u64_le(count);
    out.hash.update(&out.chunk);
    let digest = out.hash.digest128();
    out.chunk.put_u128_le(digest);
    Ok(sink(out.chunk.split().freeze()))
}

struct Chunks {
    hash: Xxh3,
    chunk: BytesMut,
}

impl Chunks {
    fn put_header(&mut self, partition: PartitionId, fold: &FoldState, checkpoint: &[u8]) {
        self.chunk.put_slice(&MAGIC);
        self.chunk.put_u8(VERSION);
        self.chunk.put_slice(&[0; 3]);
        self.chunk.put_u32_le(partition.database.0);
        self.chunk.put_u32_le(partition.number);
        self.chunk.put_u64_le(fold.last.to_u64());
        self.chunk.put_u64_le(fold.position.offset.0);
        self.put_part(checkpoint);
    }

    /// Length, then bytes. A document has at most 1 MiB, a key of the store little more than 1 KiB.
    fn put_part(&mut self, part: &[u8]) {
        self.chunk.put_u32_le(part.len() as u32);
        self.chunk.put_slice(part);
    }

    fn take(&mut self) -> Bytes {
        self.hash.update(&self.chunk);
        let bytes = self.chunk.split().freeze();
        self.chunk.reserve(2 * CHUNK_BYTES);
        bytes
    }
}

/// What a snapshot is a snapshot of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotName {
    /// Whose state it is.
    pub partition: PartitionId,
    /// The last record that it covers.
    pub scn: Scn,
    /// The first offset that it does not cover.
    pub offset: LogOffset,
    /// The encoded fold state.
    pub checkpoint: Bytes,
}

/// Reads a snapshot from chunks of any size: first its name, then, as an iterator, its entries.
///
/// The last item is an error unless the stream was whole and its checksum right.
pub struct SnapshotReader<I> {
    chunks: I,
    hash: Xxh3,
    buffer: BytesMut,
    entries: u64,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Entries,
    Ended,
}

impl<I: Iterator<Item = Bytes>> SnapshotReader<I> {
    /// Reads the name.
    ///
    /// # Errors
    /// [`StoreError::Damaged`]: these are not the first bytes of a snapshot.
    pub fn open(chunks: I) -> Result<(SnapshotName, SnapshotReader<I>), StoreError> {
        let buffer = BytesMut::new();
        let state = State::Entries;
        let mut reader = SnapshotReader { chunks, hash: Xxh3::new(), buffer, entries: 0, state };
        let mut fixed = reader.take_bytes(32)?;
        let mut magic = [0; 4];
        fixed.copy_to_slice(&mut magic);
        if magic != MAGIC || fixed.get_u8() != VERSION {
            return Err(damaged("not a snapshot of this version"));
        }
        fixed.advance(3);
        let database = DatabaseId(fixed.get_u32_le());
        let partition = PartitionId { database, number: fixed.get_u32_le() };
        let scn = Scn::from_u64(fixed.get_u64_le()).ok_or_else(|| damaged("no SCN"))?;
        let offset = LogOffset(fixed.get_u64_le());
        let checkpoint = reader.take_part()?;
        let fold = FoldState::decode(&checkpoint).map_err(|_| damaged("no fold state"))?;
        if (fold.last, fold.position.offset) != (scn, offset) {
            return Err(damaged("name and fold state differ"));
        }
        Ok((SnapshotName { partition, scn, offset, checkpoint }, reader))
    }

    fn next_entry(&mut self) -> Result<Option<Entry>, StoreError> {
        match self.take_bytes(1)?.get_u8() {
            ENTRY => {
                self.entries += 1;
                Ok(Some(Entry { key: self.take_part()?, value: self.take_part()? }))
            }
            END => {
                if self.take_bytes(8)?.get_u64_le() != self.entries {
                    return Err(damaged("entries are missing"));
                }
                let digest = self.hash.digest128();
                if self.take_bytes(16)?.get_u128_le() != digest {
                    return Err(damaged("the checksum differs"));
                }
                self.fill(1);
                if self.buffer.is_empty() { Ok(None) } else { Err(damaged("bytes behind the end")) }
            }
            _ => Err(damaged("neither entry nor end")),
        }
    }

    fn take_part(&mut self) -> Result<Bytes, StoreError> {
        let len = self.take_bytes(4)?.get_u32_le();
        if len > PART_BYTES_MAX {
            return Err(damaged("a part is too long"));
        }
        self.take_bytes(len as usize)
    }

    fn take_bytes(&mut self, len: usize) -> Result<Bytes, StoreError> {
        self.fill(len);
        if self.buffer.len() < len {
            return Err(damaged("it ends early"));
        }
        let bytes = self.buffer.split_to(len).freeze();
        self.hash.update(&bytes);
        Ok(bytes)
    }

    fn fill(&mut self, len: usize) {
        while self.buffer.len() < len {
            let Some(chunk) = self.chunks.next() else { return };
            self.buffer.extend_from_slice(&chunk);
        }
    }
}

impl<I: Iterator<Item = Bytes>> Iterator for SnapshotReader<I> {
    type Item = Result<Entry, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.state == State::Ended {
            return None;
        }
        let entry = self.next_entry();
        if !matches!(entry, Ok(Some(_))) {
            self.state = State::Ended;
        }
        entry.transpose()
    }
}

fn damaged(why: &str) -> StoreError {
    StoreError::Damaged { why: format!("a snapshot: {why}") }
}

#[cfg(test)]
mod tests;
