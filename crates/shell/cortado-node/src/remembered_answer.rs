//! What a committed write answered, as bytes beside its idempotency key.
//!
//! Every byte is described in docs/formats/remembered-answer.md. The same on every replica, since
//! digests cover it. Start reading at [`RememberedAnswer`].

use bytes::{Buf, BufMut, Bytes, BytesMut};
use cortado_document::Done;
use cortado_model::{Etag, Scn};

const VERSION: u8 = 1;
/// Version, SCN, etag, fingerprint, count.
const FIXED_BYTES: usize = 1 + 8 + 8 + 16 + 4;

/// The answer to a write, and what it answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RememberedAnswer {
    /// Where the transaction stands.
    pub(crate) scn: Scn,
    /// Of every document it wrote.
    pub(crate) etag: Etag,
    /// Of the request.
    pub(crate) fingerprint: u128,
    /// See [`code_of`]; one for each operation.
    pub(crate) statuses: Vec<u16>,
}

impl RememberedAnswer {
    pub(crate) fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(FIXED_BYTES + 2 * self.statuses.len());
        out.put_u8(VERSION);
        out.put_u64_le(self.scn.to_u64());
        out.put_u64_le(self.etag.0);
        out.put_u128_le(self.fingerprint);
        // A transaction has at most 1,000 operations.
        out.put_u32_le(self.statuses.len() as u32);
        for status in &self.statuses {
            out.put_u16_le(*status);
        }
        out.freeze()
    }

    /// Reads what [`encode`](Self::encode) wrote; `None` for anything else.
    pub(crate) fn decode(bytes: &[u8]) -> Option<RememberedAnswer> {
        let mut input = bytes;
        if input.len() < FIXED_BYTES || input.get_u8() != VERSION {
            return None;
        }
        let scn = Scn::from_u64(input.get_u64_le())?;
        let etag = Etag(input.get_u64_le());
        let fingerprint = input.get_u128_le();
        let count = input.get_u32_le() as usize;
        if input.len() != 2 * count {
            return None;
        }
        let statuses = (0..count).map(|_| input.get_u16_le()).collect();
        Some(RememberedAnswer { scn, etag, fingerprint, statuses })
    }

    /// How each operation went; `None` if a newer Cortado wrote a word that this one lacks.
    pub(crate) fn results(&self) -> Option<Vec<Done>> {
        self.statuses.iter().map(|code| done_of(*code)).collect()
    }
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

    #[test]
    fn an_answer_is_read_as_it_was_written() {
        let results = vec![Done::Created, Done::Missing, Done::Checked, Done::Patched];
        let answer = RememberedAnswer {
            scn: Scn::new(Generation(5), Sequence(1042)),
            etag: Etag(0xfeed),
            fingerprint: u128::MAX - 7,
            statuses: results.iter().copied().map(code_of).collect(),
        };
        let bytes = answer.encode();
        assert_eq!(RememberedAnswer::decode(&bytes).unwrap(), answer);
        assert_eq!(answer.results().unwrap(), results);
        for len in 0..bytes.len() {
            assert_eq!(RememberedAnswer::decode(&bytes[..len]), None, "cut to {len}");
        }
        let mut newer = bytes.to_vec();
        newer[0] = 2;
        assert_eq!(RememberedAnswer::decode(&newer), None);
        let unknown = RememberedAnswer { statuses: vec![7], ..answer };
        assert_eq!(unknown.results(), None);
    }
}
