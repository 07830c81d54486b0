//! One request of Kafka's protocol, which librdkafka does not offer: the stored batches of a
//! partition as they are.
//!
//! Fetch in version 4, the oldest that brokers of today speak. Start reading at [`fetch_batches`].

use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Fetch.
const API_KEY: i16 = 1;
const API_VERSION: i16 = 4;
/// Comes back with the answer.
const CORRELATION: i32 = 0x0C0F_FEE0;
/// Of an answer; the first batch comes whole, however long it is.
const ANSWER_BYTES_MAX: usize = 64 << 20;
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

/// Asks the broker at `address`, which leads the partition, for its batches from `offset` on.
///
/// # Errors
/// It cannot be reached, does not answer in time, or answers something else.
pub(crate) async fn fetch_batches(
    address: (&str, u16),
    topic: &str,
    partition: i32,
    offset: u64,
    within: Duration,
) -> io::Result<FetchedBatches> {
    let answer = timeout(within, async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(&request(topic, partition, offset)?).await?;
        let length = usize::try_from(stream.read_u32().await?).map_err(io::Error::other)?;
        if length > ANSWER_BYTES_MAX {
            return Err(malformed());
        }
        let mut answer = vec![0; length];
        stream.read_exact(&mut answer).await?;
        Ok(answer)
    });
    let answer = answer.await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    read_answer(&answer).ok_or_else(malformed)
}

fn request(topic: &str, partition: i32, offset: u64) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    body.extend(API_KEY.to_be_bytes());
    body.extend(API_VERSION.to_be_bytes());
    body.extend(CORRELATION.to_be_bytes());
    put_text(&mut body, "cortado")?;
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
    let length = i32::try_from(body.len()).map_err(io::Error::other)?;
    Ok([&length.to_be_bytes()[..], &body].concat())
}

fn put_text(body: &mut Vec<u8>, text: &str) -> io::Result<()> {
    let length = i16::try_from(text.len()).map_err(io::Error::other)?;
    body.extend(length.to_be_bytes());
    body.extend(text.as_bytes());
    Ok(())
}

fn read_answer(mut bytes: &[u8]) -> Option<FetchedBatches> {
    let bytes = &mut bytes;
    if take_number::<4>(bytes).map(i32::from_be_bytes)? != CORRELATION {
        return None;
    }
    let _throttle_ms = take_number::<4>(bytes)?;
    if take_number::<4>(bytes).map(i32::from_be_bytes)? != 1 {
        return None;
    }
    let topic_bytes = take_number::<2>(bytes).map(u16::from_be_bytes)?;
    take(bytes, usize::from(topic_bytes))?;
    if take_number::<4>(bytes).map(i32::from_be_bytes)? != 1 {
        return None;
    }
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

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(taken)
}

fn take_number<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    take(bytes, N)?.try_into().ok()
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the broker's answer to a fetch is malformed")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn answer(aborted: i32, batches: Option<&[u8]>) -> Vec<u8> {
        let mut bytes = CORRELATION.to_be_bytes().to_vec();
        bytes.extend([0; 4]);
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
            assert_eq!(read_answer(&answer(aborted, Some(b"abc"))), Some(want));
            let none = FetchedBatches { code: 0, batches: Vec::new() };
            assert_eq!(read_answer(&answer(aborted, None)), Some(none));
        }
    }

    #[test]
    fn an_answer_that_ends_early_is_refused() {
        let whole = answer(1, Some(b"abc"));
        for end in 0..whole.len() {
            assert_eq!(read_answer(&whole[..end]), None, "{end}");
        }
    }

    proptest! {
        #[test]
        fn no_answer_panics(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = read_answer(&bytes);
            let _ = read_answer(&[&CORRELATION.to_be_bytes()[..], &[0; 4], &bytes].concat());
        }
    }
}
