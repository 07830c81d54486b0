//! How long to wait before what has failed is tried again.
//!
//! Start reading at [`back_off_ms`].

use crate::mixing::{SPLIT_MIX_STEP, mixed};

/// The longest wait.
pub const BACK_OFF_MS_MAX: u64 = 5_000;

/// The wait before a try, in milliseconds: `first_ms`, doubled for each failure but the first, up
/// to [`BACK_OFF_MS_MAX`]; of that, three quarters to all.
///
/// * `failures`: so far, 1 or more.
/// * `partition`: any number that differs from one partition to the next. It decides which part of
///   the wait is left out, so that a thousand partitions that fail together do not come back
///   together, and the same one does so at the same time whenever it runs.
///
/// Source: docs/protocols/replication.md, "Publishing"; docs/protocols/failover.md, "Back-off".
pub fn back_off_ms(first_ms: u64, failures: u32, partition: u64) -> u64 {
    let ms = doubled(first_ms, failures.saturating_sub(1), BACK_OFF_MS_MAX);
    let place = partition.wrapping_add(u64::from(failures));
    ms - mixed(place.wrapping_mul(SPLIT_MIX_STEP)) % (ms / 4 + 1)
}

/// `base`, doubled `times` times, at most `max`.
pub fn doubled(base: u64, times: u32, max: u64) -> u64 {
    let factor = 1_u64.checked_shl(times).unwrap_or(u64::MAX);
    base.saturating_mul(factor).min(max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;

    #[test]
    fn waits_double_up_to_the_longest() {
        for (failures, want_ms) in
            [(1, 200), (2, 400), (3, 800), (4, 1_600), (5, 3_200), (6, 5_000), (u32::MAX, 5_000)]
        {
            for partition in 0..1_000 {
                let ms = back_off_ms(200, failures, partition);
                assert!((want_ms * 3 / 4..=want_ms).contains(&ms), "{failures} failures: {ms} ms");
            }
        }
    }

    #[test]
    fn partitions_that_fail_together_come_back_apart() {
        let mut places: Vec<u64> = (0..1_000).map(|each| back_off_ms(4_000, 1, each)).collect();
        assert_eq!(places[7], back_off_ms(4_000, 1, 7), "the same each time");
        let different: BTreeSet<u64> = places.iter().copied().collect();
        assert!(different.len() > 500, "of 1000 partitions and as many moments");
        // No tenth of the second holds more than twice its share.
        places.sort_unstable();
        let crowd = places.windows(200).map(|near| near[199] - near[0]).min();
        assert!(crowd.is_some_and(|within_ms| within_ms > 100), "{crowd:?}");
    }
}
