//! Session tokens: what a client has seen of one database.
//!
//! Opaque to clients, cumulative, bounded: one entry for each partition. Start reading at
//! [`SessionToken`]. A forged one can mislead only its sender, so it is checked, not signed.

use crate::varint;
use cortado_model::Scn;
use cortado_model::limits::PARTITIONS_MAX;
use data_encoding::BASE64URL_NOPAD;
use xxhash_rust::xxh3::xxh3_64;

/// Bytes of the longest token: 1,024 partitions of at most 12 bytes each, in base64.
pub const SESSION_BYTES_MAX: usize = 18 << 10;

const VERSION: u8 = 1;
/// Version and database.
const HEAD_BYTES: usize = 9;
const CHECK_BYTES: usize = 4;

/// For each partition of one database, the position up to which a client has seen it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionToken {
    /// Tells the database from any other, of other clusters too.
    database: u64,
    /// By partition, each once.
    seen: Vec<(u32, Scn)>,
}

impl SessionToken {
    /// Nothing seen yet.
    ///
    /// * `database`: an identity that no other database ever has.
    pub fn new(database: u64) -> SessionToken {
        SessionToken { database, seen: Vec::new() }
    }

    /// The database that the token belongs to.
    pub fn database(&self) -> u64 {
        self.database
    }

    /// What was seen of `partition`.
    pub fn seen(&self, partition: u32) -> Option<Scn> {
        let found = self.seen.binary_search_by_key(&partition, |(number, _)| *number);
        found.ok().map(|index| self.seen[index].1)
    }

    /// Remembers that `partition` was seen at `scn`; an older position changes nothing.
    pub fn observe(&mut self, partition: u32, scn: Scn) {
        match self.seen.binary_search_by_key(&partition, |(number, _)| *number) {
            Ok(index) => self.seen[index].1 = self.seen[index].1.max(scn),
            Err(index) => self.seen.insert(index, (partition, scn)),
        }
    }

    /// The token, base64url without padding.
    pub fn encode(&self) -> String {
        encode(self.database, &self.seen)
    }

    /// Reads a token back.
    ///
    /// # Errors
    /// Anything that [`encode`](Self::encode) has not written.
    pub fn parse(text: &[u8]) -> Result<SessionToken, BadSession> {
        if text.len() > SESSION_BYTES_MAX {
            return Err(BadSession);
        }
        let bytes = BASE64URL_NOPAD.decode(text).map_err(|_| BadSession)?;
        let (body, check) = bytes.split_last_chunk::<CHECK_BYTES>().ok_or(BadSession)?;
        if *check != checksum(body) || body.first() != Some(&VERSION) {
            return Err(BadSession);
        }
        let (database, mut rest) = body[1..].split_first_chunk::<8>().ok_or(BadSession)?;
        let mut session = SessionToken::new(u64::from_be_bytes(*database));
        let mut next_partition = 0_u64;
        while !rest.is_empty() {
            let skipped = varint::read(&mut rest).ok_or(BadSession)?;
            let scn = varint::read(&mut rest).and_then(unfold).ok_or(BadSession)?;
            let partition = next_partition.checked_add(skipped).ok_or(BadSession)?;
            if partition >= u64::from(PARTITIONS_MAX) {
                return Err(BadSession);
            }
            // Below 1,024, as just checked.
            session.seen.push((partition as u32, scn));
            next_partition = partition + 1;
        }
        Ok(session)
    }
}

/// Writes the token of a client that has seen exactly `seen`.
///
/// * `seen`: by partition, ascending, each once.
pub fn encode(database: u64, seen: &[(u32, Scn)]) -> String {
    let mut bytes = Vec::with_capacity(HEAD_BYTES + 12 * seen.len() + CHECK_BYTES);
    bytes.push(VERSION);
    bytes.extend_from_slice(&database.to_be_bytes());
    let mut next_partition = 0;
    for (partition, scn) in seen {
        varint::write(u64::from(partition - next_partition), &mut bytes);
        varint::write(fold(*scn), &mut bytes);
        next_partition = partition + 1;
    }
    let check = checksum(&bytes);
    bytes.extend_from_slice(&check);
    BASE64URL_NOPAD.encode(&bytes)
}

/// An SCN as a number that is small for small generations and sequences.
///
/// Such numbers do not sort as positions do, and need not: they are only carried.
fn fold(scn: Scn) -> u64 {
    let generation = u64::from(scn.generation.0);
    // 6 bits of generation first: a partition rarely has more leaderships than that.
    let low = generation & 0x3f;
    let high = generation >> 6;
    (high << 46) | (scn.sequence.0 << 6) | low
}

fn unfold(number: u64) -> Option<Scn> {
    let generation = ((number >> 46) << 6) | (number & 0x3f);
    let sequence = (number >> 6) & ((1 << 40) - 1);
    // At most 24 bits of generation: one more than `from_u64` takes.
    Scn::from_u64((generation << 40) | sequence)
}

fn checksum(body: &[u8]) -> [u8; CHECK_BYTES] {
    // The low half of the hash: enough against accidents.
    (xxh3_64(body) as u32).to_be_bytes()
}

/// A text that is no session token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid session token")]
pub struct BadSession;

#[cfg(test)]
mod tests {
    use super::*;
    use cortado_model::{Generation, Sequence};
    use proptest::prelude::*;

    fn scn(generation: u32, sequence: u64) -> Scn {
        Scn::new(Generation(generation), Sequence(sequence))
    }

    #[test]
    fn a_session_only_grows() {
        let mut session = SessionToken::new(7);
        assert_eq!(session.seen(3), None);
        session.observe(3, scn(2, 1));
        session.observe(1, scn(9, 9));
        session.observe(3, scn(1, 500));
        assert_eq!(session.seen(3), Some(scn(2, 1)));
        session.observe(3, scn(2, 2));
        assert_eq!(session.seen(3), Some(scn(2, 2)));
        assert_eq!(SessionToken::parse(session.encode().as_bytes()), Ok(session));
    }

    #[test]
    fn the_longest_token_fits() {
        let mut session = SessionToken::new(u64::MAX);
        for partition in 0..PARTITIONS_MAX {
            session.observe(partition, Scn::new(Generation::MAX, Sequence::MAX));
        }
        let text = session.encode();
        assert!(text.len() <= SESSION_BYTES_MAX, "{}", text.len());
        assert_eq!(SessionToken::parse(text.as_bytes()), Ok(session));
    }

    #[test]
    fn one_fresh_partition_makes_a_short_token() {
        assert!(encode(u64::MAX, &[(15, scn(3, 1_000))]).len() <= 23);
    }

    #[test]
    fn malformed_tokens_are_refused() {
        let good = encode(7, &[(0, scn(1, 1)), (9, scn(1, 2))]);
        assert!(SessionToken::parse(good.as_bytes()).is_ok());
        for text in ["", "A", "====", "AAAAAAAAAAAAAAAAAAAAAAA", "null", "%00", "é"] {
            assert_eq!(SessionToken::parse(text.as_bytes()), Err(BadSession), "{text}");
        }
        for cut in 0..good.len() {
            assert_eq!(SessionToken::parse(&good.as_bytes()[..cut]), Err(BadSession), "cut {cut}");
        }
        assert_eq!(SessionToken::parse(&vec![b'A'; SESSION_BYTES_MAX + 1]), Err(BadSession));
    }

    proptest! {
        #[test]
        fn tokens_come_back(
            database: u64,
            seen in proptest::collection::btree_map(
                0..PARTITIONS_MAX, (0..=Generation::MAX.0, 0..=Sequence::MAX.0), 0..40),
        ) {
            let mut session = SessionToken::new(database);
            for (partition, (generation, sequence)) in seen {
                session.observe(partition, scn(generation, sequence));
            }
            prop_assert_eq!(SessionToken::parse(session.encode().as_bytes()), Ok(session));
        }

        #[test]
        fn garbage_never_panics(text in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = SessionToken::parse(&text);
        }
    }
}
