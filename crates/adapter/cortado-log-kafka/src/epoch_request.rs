//! Where the records of one of a partition's leaders end.
//!
//! OffsetForLeaderEpoch in version 3. Start reading at [`epoch_question`].
//! Source: KIP-320.

use crate::broker_connection::{Question, put_text, take_number};
use crate::leader_call::take_one_partition;
use std::io;

/// OffsetForLeaderEpoch, and its version.
const API: (i16, i16) = (23, 3);

/// What a broker has answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EpochEnd {
    /// A code of the protocol; 0 is none.
    pub(crate) code: i16,
    /// The latest leader of whom it has records and that is no later than the one that was asked
    /// for; below 0 if it knows none.
    pub(crate) epoch: i32,
    /// Where the next one's begin, or the log ends; below 0 if it does not know.
    pub(crate) end: i64,
}

/// Asks where the records of the leader of `epoch` end.
///
/// # Errors
/// The name or the epoch has no place in a request.
pub(crate) fn epoch_question(topic: &str, partition: i32, epoch: u32) -> io::Result<Question> {
    let mut body = Vec::new();
    // Not a replica; one topic with one partition.
    body.extend((-1_i32).to_be_bytes());
    body.extend(1_i32.to_be_bytes());
    put_text(&mut body, topic)?;
    body.extend(1_i32.to_be_bytes());
    body.extend(partition.to_be_bytes());
    // Whoever leads now.
    body.extend((-1_i32).to_be_bytes());
    body.extend(i32::try_from(epoch).map_err(io::Error::other)?.to_be_bytes());
    Ok(Question { api: API, body })
}

/// Reads the answer; `None` if it is none.
pub(crate) fn read_end(mut bytes: &[u8]) -> Option<EpochEnd> {
    let bytes = &mut bytes;
    take_one_partition(bytes)?;
    let code = take_number::<2>(bytes).map(i16::from_be_bytes)?;
    let _partition = take_number::<4>(bytes)?;
    let epoch = take_number::<4>(bytes).map(i32::from_be_bytes)?;
    let end = take_number::<8>(bytes).map(i64::from_be_bytes)?;
    Some(EpochEnd { code, epoch, end })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(end: EpochEnd) -> Vec<u8> {
        let mut bytes = vec![0; 4];
        bytes.extend(1_i32.to_be_bytes());
        put_text(&mut bytes, "t").unwrap();
        bytes.extend(1_i32.to_be_bytes());
        bytes.extend(end.code.to_be_bytes());
        bytes.extend(0_i32.to_be_bytes());
        bytes.extend(end.epoch.to_be_bytes());
        bytes.extend(end.end.to_be_bytes());
        bytes
    }

    #[test]
    fn an_answer_is_read_whole_or_not_at_all() {
        for end in [
            EpochEnd { code: 0, epoch: 4, end: 1 << 40 },
            EpochEnd { code: 74, epoch: -1, end: -1 },
        ] {
            let whole = answer(end);
            assert_eq!(read_end(&whole), Some(end));
            for end in 0..whole.len() {
                assert_eq!(read_end(&whole[..end]), None, "{end}");
            }
        }
    }
}
