//! What a committed write answered, as the store remembers it.
//!
//! Every byte is described in docs/formats/remembered-answer.md. The same on every replica, since
//! digests cover it. Start reading at [`RememberedAnswer`].

use alloc::vec::Vec;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use cortado_document::Done;
use cortado_model::{Etag, Scn};

const VERSION: u8 = 2;
/// Set in the tags of sections without which an answer would be wrong.
const CRITICAL: u8 = 0x80;
const SCN: u8 = CRITICAL | 1;
const ETAG: u8 = CRITICAL | 2;
const FINGERPRINT: u8 = CRITICAL | 3;
const STATUSES: u8 = CRITICAL | 4;

/// The answer to a write, and what it answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RememberedAnswer {
    /// Where the transaction stands.
    pub scn: Scn,
    /// Of every document it wrote.
    pub etag: Etag,
    /// Of the request.
    pub fingerprint: u128,
    /// How each operation went, in codes that are never used again.
    pub statuses: Vec<u16>,
}

/// Why bytes are no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// Not what was written.
    #[error("a remembered answer is damaged")]
    Damaged,
    /// Written by a newer Cortado.
    #[error("a remembered answer has format version {version}, this build reads {VERSION}")]
    UnknownVersion {
        /// Its version.
        version: u8,
    },
    /// Written by a newer Cortado.
    #[error("a remembered answer has the critical section {tag:#04x}, unknown to this build")]
    UnknownSection {
        /// Its tag.
        tag: u8,
    },
}

impl RememberedAnswer {
    /// Its bytes.
    pub fn encode(&self) -> Bytes {
        let statuses_bytes = 2 * self.statuses.len();
        let mut out = BytesMut::with_capacity(1 + 4 * 5 + 8 + 8 + 16 + statuses_bytes);
        out.put_u8(VERSION);
        put_head(&mut out, SCN, 8);
        out.put_u64(self.scn.to_u64());
        put_head(&mut out, ETAG, 8);
        out.put_u64(self.etag.0);
        put_head(&mut out, FINGERPRINT, 16);
        out.put_u128(self.fingerprint);
        put_head(&mut out, STATUSES, statuses_bytes);
        for status in &self.statuses {
            out.put_u16(*status);
        }
        out.freeze()
    }

    /// Reads what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// See [`AnswerError`].
    pub fn decode(mut bytes: &[u8]) -> Result<RememberedAnswer, AnswerError> {
        let version = bytes.try_get_u8().map_err(|_| AnswerError::Damaged)?;
        if version != VERSION {
            return Err(AnswerError::UnknownVersion { version });
        }
        let (mut scn, mut etag, mut fingerprint, mut statuses) = (None, None, None, None);
        while !bytes.is_empty() {
            let (tag, body) = take_section(&mut bytes)?;
            // What a section means does not depend on others: each stands once, in any order.
            match tag {
                SCN => set(&mut scn, Scn::from_u64(u64::from_be_bytes(whole(body)?)))?,
                ETAG => set(&mut etag, Some(Etag(u64::from_be_bytes(whole(body)?))))?,
                FINGERPRINT => set(&mut fingerprint, Some(u128::from_be_bytes(whole(body)?)))?,
                STATUSES => set(&mut statuses, read_statuses(body))?,
                tag if tag & CRITICAL != 0 => return Err(AnswerError::UnknownSection { tag }),
                // Written by a newer Cortado, and of no importance to this one.
                _ => {}
            }
        }
        let (scn, etag) = (scn.ok_or(AnswerError::Damaged)?, etag.ok_or(AnswerError::Damaged)?);
        let fingerprint = fingerprint.ok_or(AnswerError::Damaged)?;
        let statuses = statuses.ok_or(AnswerError::Damaged)?;
        Ok(RememberedAnswer { scn, etag, fingerprint, statuses })
    }

    /// How each operation went; `None` if a newer Cortado wrote a word that this one lacks.
    pub fn results(&self) -> Option<Vec<Done>> {
        self.statuses.iter().map(|code| done_of(*code)).collect()
    }
}

/// Tag and length. The longest section has two bytes for each of 1,000 operations.
fn put_head(out: &mut BytesMut, tag: u8, body_bytes: usize) {
    out.put_u8(tag);
    out.put_u32(body_bytes as u32);
}

fn take_section<'a>(bytes: &mut &'a [u8]) -> Result<(u8, &'a [u8]), AnswerError> {
    let tag = bytes.try_get_u8().map_err(|_| AnswerError::Damaged)?;
    let len = bytes.try_get_u32().map_err(|_| AnswerError::Damaged)?;
    let (body, rest) = bytes.split_at_checked(len as usize).ok_or(AnswerError::Damaged)?;
    *bytes = rest;
    Ok((tag, body))
}

fn whole<const N: usize>(body: &[u8]) -> Result<[u8; N], AnswerError> {
    body.try_into().map_err(|_| AnswerError::Damaged)
}

fn read_statuses(body: &[u8]) -> Option<Vec<u16>> {
    let (statuses, rest) = body.as_chunks();
    rest.is_empty().then(|| statuses.iter().map(|status| u16::from_be_bytes(*status)).collect())
}

/// Keeps what a section says, which it does once.
fn set<T>(place: &mut Option<T>, value: Option<T>) -> Result<(), AnswerError> {
    let value = value.ok_or(AnswerError::Damaged)?;
    place.replace(value).map_or(Ok(()), |_| Err(AnswerError::Damaged))
}

/// How an operation went, as stored in records and answers. Codes are never used again.
pub(crate) fn code_of(done: Done) -> u16 {
    match done {
        Done::Created => 1,
        Done::Replaced => 2,
        Done::Patched => 3,
        Done::Deleted => 4,
        Done::Missing => 5,
        Done::Checked => 6,
    }
}

fn done_of(code: u16) -> Option<Done> {
    let all =
        [Done::Created, Done::Replaced, Done::Patched, Done::Deleted, Done::Missing, Done::Checked];
    all.into_iter().find(|done| code_of(*done) == code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use cortado_model::{Generation, Sequence};
    use proptest::prelude::*;

    fn answer() -> RememberedAnswer {
        RememberedAnswer {
            scn: Scn::new(Generation(5), Sequence(1042)),
            etag: Etag(0xfeed),
            fingerprint: u128::MAX - 7,
            statuses: vec![1, 5, 6, 3],
        }
    }

    #[test]
    fn an_answer_is_read_as_it_was_written() {
        let answer = answer();
        let bytes = answer.encode();
        assert_eq!(RememberedAnswer::decode(&bytes), Ok(answer.clone()));
        let results = [Done::Created, Done::Missing, Done::Checked, Done::Patched];
        assert_eq!(answer.results().unwrap(), results);
        for len in 0..bytes.len() {
            let cut = RememberedAnswer::decode(&bytes[..len]);
            assert_eq!(cut, Err(AnswerError::Damaged), "cut to {len}");
        }
        let unknown = RememberedAnswer { statuses: vec![7], ..answer };
        assert_eq!(unknown.results(), None);
    }

    /// An answer as it was written when the format was released; the file never changes.
    #[test]
    fn an_answer_of_version_2_is_read_as_it_was() {
        let golden = include_str!("../testdata/remembered-answer-v2.txt");
        let hex: String = answer().encode().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, golden.trim_end());
        let byte = |at| u8::from_str_radix(&golden[at..at + 2], 16).unwrap();
        let bytes: Vec<u8> = (0..golden.trim_end().len()).step_by(2).map(byte).collect();
        assert_eq!(RememberedAnswer::decode(&bytes), Ok(answer()));
    }

    #[test]
    fn what_a_newer_cortado_adds_is_passed_over_unless_it_is_critical() {
        let with = |tag: u8| {
            let mut bytes = BytesMut::from(&answer().encode()[..]);
            put_head(&mut bytes, tag, 3);
            bytes.put_slice(b"new");
            RememberedAnswer::decode(&bytes)
        };
        assert_eq!(with(9), Ok(answer()));
        assert_eq!(with(CRITICAL | 9), Err(AnswerError::UnknownSection { tag: CRITICAL | 9 }));
        assert_eq!(with(SCN), Err(AnswerError::Damaged), "twice, and too short");
        let mut newer = answer().encode().to_vec();
        newer[0] = 3;
        let unknown = AnswerError::UnknownVersion { version: 3 };
        assert_eq!(RememberedAnswer::decode(&newer), Err(unknown));
    }

    proptest! {
        /// No bytes panic.
        #[test]
        fn reading_an_answer_is_total(
            bytes in proptest::collection::vec(any::<u8>(), 0..64),
            tags in proptest::collection::vec((0u8..6, any::<bool>(), 0u8..20), 0..6),
        ) {
            let _ = RememberedAnswer::decode(&bytes);
            let mut sections = vec![VERSION];
            for (tag, critical, len) in tags {
                sections.push(if critical { CRITICAL | tag } else { tag });
                sections.extend_from_slice(&u32::from(len).to_be_bytes());
                sections.extend(std::iter::repeat_n(0, usize::from(len)));
            }
            let _ = RememberedAnswer::decode(&sections);
        }
    }
}
