//! The stored batches of a partition as they are, which librdkafka does not show.
//!
//! Fetch in version 4. Start reading at [`fetch_question`].

use crate::broker_connection::{Question, put_text, take, take_number};
use crate::leader_call::take_one_partition;
use std::io;

/// Fetch, and its version.
const API: (i16, i16) = (1, 4);
/// Of the batches of an answer, if not one is longer.
const BATCHES_BYTES_MAX: i32 = 256 << 10;

/// What a broker has answered.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct FetchedBatches {
    /// A code of the protocol; 0 is none.
    pub(crate) code: i16,
    /// From the batch on that holds the offset.
    pub(crate) batches: Vec<u8>,
}

/// Asks for the batches of a partition from `offset` on.
///
/// # Errors
/// The name or the offset has no place in a request.
pub(crate) fn fetch_question(topic: &str, partition: i32, offset: u64) -> io::Result<Question> {
    let mut body = Vec::new();
    // Not a replica; answer at once, with at most so many bytes; uncommitted records too.
    body.extend((-1_i32).to_be_bytes());
    body.extend(0_i32.to_be_bytes());
    body.extend(0_i32.to_be_bytes());
    body.extend(BATCHES_BYTES_MAX.to_be_bytes());
    body.push(0);
    // One topic with one partition.
    body.extend(1_i32.to_be_bytes());
    put_text(&mut body, topic)?;
    body.extend(1_i32.to_be_bytes());
    body.extend(partition.to_be_bytes());
    body.extend(i64::try_from(offset).map_err(io::Error::other)?.to_be_bytes());
    body.extend(BATCHES_BYTES_MAX.to_be_bytes());
    Ok(Question { api: API, body })
}

/// Reads the answer; `None` if it is none.
pub(crate) fn read_batches(mut bytes: &[u8]) -> Option<FetchedBatches> {
    let bytes = &mut bytes;
    take_one_partition(bytes)?;
    let _partition = take_number::<4>(bytes)?;
    let code = take_number::<2>(bytes).map(i16::from_be_bytes)?;
    let (_high_watermark, _last_stable) = (take_number::<8>(bytes)?, take_number::<8>(bytes)?);
    let aborted = take_number::<4>(bytes).map(i32::from_be_bytes)?;
    // None is -1. Each names a producer and an offset.
    take(bytes, usize::try_from(aborted.max(0)).ok()?.checked_mul(16)?)?;
    let length = take_number::<4>(bytes).map(i32::from_be_bytes)?;
    let batches = take(bytes, usize::try_from(length.max(0)).ok()?)?.to_vec();
    Some(FetchedBatches { code, batches })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn answer(aborted: i32, batches: Option<&[u8]>) -> Vec<u8> {
        let mut bytes = vec![0; 4];
        bytes.extend(1_i32.to_be_bytes());
        put_text(&mut bytes, "t").unwrap();
        bytes.extend(1_i32.to_be_bytes());
        bytes.extend(0_i32.to_be_bytes());
        bytes.extend(0_i16.to_be_bytes());
        bytes.extend([0; 16]);
        bytes.extend(aborted.to_be_bytes());
        bytes.extend(vec![0; 16 * aborted.max(0) as usize]);
        let length = batches.map_or(-1, |batches| batches.len() as i32);
        bytes.extend(length.to_be_bytes());
        bytes.extend(batches.unwrap_or_default());
        bytes
    }

    #[test]
    fn an_answer_is_read_whatever_it_says_of_transactions() {
        for aborted in [-1, 0, 3] {
            let want = FetchedBatches { code: 0, batches: b"abc".to_vec() };
            assert_eq!(read_batches(&answer(aborted, Some(b"abc"))), Some(want));
            let none = FetchedBatches { code: 0, batches: Vec::new() };
            assert_eq!(read_batches(&answer(aborted, None)), Some(none));
        }
    }

    #[test]
    fn an_answer_that_ends_early_is_refused() {
        let whole = answer(1, Some(b"abc"));
        for end in 0..whole.len() {
            assert_eq!(read_batches(&whole[..end]), None, "{end}");
        }
    }

    proptest! {
        #[test]
        fn no_answer_panics(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = read_batches(&bytes);
            let _ = read_batches(&[&answer(0, None)[..19], &bytes].concat());
        }
    }
}
