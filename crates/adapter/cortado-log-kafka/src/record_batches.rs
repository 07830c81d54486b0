//! What the batches of a partition say about offsets at which a consumer saw no record.
//!
//! Pure. A marker that ends a stranger's transaction takes an offset and holds no record: such a
//! gap is proven by the batch that the marker stands in. Anything else is a hole. Start reading at
//! [`judge_gap`].

use std::ops::Range;

/// What batches prove of a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GapVerdict {
    /// Nothing but markers stands between its beginning and an offset behind it.
    Proven {
        /// That offset.
        to: u64,
        /// Of the broker leader that wrote the last of them; `None` if there is none.
        epoch: Option<u32>,
    },
    /// The same, up to this offset inside of it, where the batches end: more are needed.
    ProvenUpTo(u64),
    /// A record stands at this offset, which the consumer has not shown: it must read it again.
    HoldsRecord(u64),
    /// This offset holds nothing, and no marker says why.
    Hole(u64),
    /// The bytes are no batches, or not those that were written.
    Damaged,
}

/// A batch, as its header tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Batch {
    first: u64,
    last: u64,
    epoch: u32,
    records: u64,
    is_control: bool,
}

/// Of the header: up to and with the count of records.
const HEADER_BYTES: usize = 61;
/// In front of what the length counts.
const LENGTH_END: usize = 12;
/// In front of what the checksum covers.
const CHECKSUM_END: usize = 21;
/// The one version that brokers of today store.
const MAGIC: u8 = 2;
/// In the attributes of a batch of markers.
const CONTROL: u16 = 1 << 5;

/// Judges a gap by the batches that a broker answers from its beginning on.
///
/// * `batches`: may begin before the gap, and end in the middle of a batch.
pub(crate) fn judge_gap(gap: Range<u64>, mut batches: &[u8]) -> GapVerdict {
    let (mut proven, mut epoch) = (gap.start, None);
    while proven < gap.end {
        let batch = match take_batch(&mut batches) {
            Ok(Some(batch)) => batch,
            Ok(None) => return GapVerdict::ProvenUpTo(proven),
            Err(()) => return GapVerdict::Damaged,
        };
        if batch.last < proven {
            continue;
        }
        if batch.first > proven {
            return GapVerdict::Hole(proven);
        }
        if !batch.is_control {
            let is_dense = batch.records == batch.last - batch.first + 1;
            // A batch from which some were taken does not tell which.
            return if is_dense {
                GapVerdict::HoldsRecord(proven)
            } else {
                GapVerdict::Hole(proven)
            };
        }
        (proven, epoch) = (batch.last + 1, Some(batch.epoch));
    }
    GapVerdict::Proven { to: proven, epoch }
}

/// Takes one whole batch; none if the bytes end before it does.
fn take_batch(bytes: &mut &[u8]) -> Result<Option<Batch>, ()> {
    let Some(length) = bytes.get(8..LENGTH_END) else { return Ok(None) };
    let length = u32::from_be_bytes(length.try_into().map_err(|_| ())?);
    let total = LENGTH_END + usize::try_from(length).map_err(|_| ())?;
    // Read before the whole batch is there: a length that is wrong would wait for ever.
    if bytes.get(16).is_some_and(|magic| *magic != MAGIC) || total < HEADER_BYTES {
        return Err(());
    }
    let Some((batch, rest)) = bytes.split_at_checked(total) else { return Ok(None) };
    *bytes = rest;
    let field = |at: usize| batch.get(at..at + 4).and_then(|field| field.try_into().ok());
    let number = |at| field(at).map(u32::from_be_bytes).ok_or(());
    if crc32c::crc32c(batch.get(CHECKSUM_END..).ok_or(())?) != number(17)? {
        return Err(());
    }
    let first = u64::from(number(0)?) << 32 | u64::from(number(4)?);
    let attributes = (number(21)? >> 16) as u16;
    let (last_delta, records) = (u64::from(number(23)?), u64::from(number(57)?));
    let last = first.checked_add(last_delta).filter(|last| *last < i64::MAX as u64).ok_or(())?;
    let epoch = number(12)?;
    Ok(Some(Batch { first, last, epoch, records, is_control: attributes & CONTROL != 0 }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A batch of so many records in so many offsets.
    fn batch(first: u64, offsets: u32, records: u32, attributes: u16) -> Vec<u8> {
        let mut behind = Vec::new();
        behind.extend(attributes.to_be_bytes());
        behind.extend((offsets - 1).to_be_bytes());
        behind.extend([0; 30]);
        behind.extend(records.to_be_bytes());
        behind.extend(b"the records");
        let mut bytes = first.to_be_bytes().to_vec();
        bytes.extend((behind.len() as u32 + 9).to_be_bytes());
        bytes.extend([0, 0, 0, EPOCH as u8, MAGIC]);
        bytes.extend(crc32c::crc32c(&behind).to_be_bytes());
        bytes.extend(behind);
        bytes
    }

    const EPOCH: u32 = 3;

    fn proven(to: u64) -> GapVerdict {
        GapVerdict::Proven { to, epoch: Some(EPOCH) }
    }

    fn marker(at: u64) -> Vec<u8> {
        batch(at, 1, 1, CONTROL | 1 << 4)
    }

    fn records(first: u64, count: u32) -> Vec<u8> {
        batch(first, count, count, 0)
    }

    #[track_caller]
    fn check(gap: Range<u64>, batches: &[Vec<u8>], want: GapVerdict) {
        assert_eq!(judge_gap(gap, &batches.concat()), want);
    }

    #[test]
    fn markers_prove_a_gap() {
        check(5..6, &[marker(5)], proven(6));
        check(5..8, &[marker(5), marker(6), marker(7), records(8, 2)], proven(8));
        // The answer begins with the batch that holds what stands before the gap.
        check(5..6, &[records(3, 2), marker(5)], proven(6));
        check(5..5, &[], GapVerdict::Proven { to: 5, epoch: None });
    }

    #[test]
    fn what_no_marker_explains_is_a_hole() {
        check(5..7, &[marker(5), records(7, 1)], GapVerdict::Hole(6));
        check(5..7, &[records(7, 1)], GapVerdict::Hole(5));
        // Compacted: three offsets, and one record.
        check(5..6, &[batch(4, 3, 1, 0)], GapVerdict::Hole(5));
    }

    #[test]
    fn a_record_that_is_there_is_read_again() {
        check(5..7, &[marker(5), records(6, 1)], GapVerdict::HoldsRecord(6));
    }

    #[test]
    fn bytes_that_end_early_prove_what_they_hold() {
        check(5..8, &[], GapVerdict::ProvenUpTo(5));
        let whole = [marker(5), marker(6)].concat();
        for end in 0..whole.len() {
            let want = if end < marker(5).len() { 5 } else { 6 };
            assert_eq!(judge_gap(5..8, &whole[..end]), GapVerdict::ProvenUpTo(want), "{end}");
        }
    }

    #[test]
    fn changed_bytes_prove_nothing() {
        for at in 16..marker(5).len() {
            let mut bytes = marker(5);
            bytes[at] ^= 1;
            assert_eq!(judge_gap(5..6, &bytes), GapVerdict::Damaged, "{at}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), from: u64) {
            let _ = judge_gap(from..from.saturating_add(3), &bytes);
        }
    }
}
