//! Idempotency keys: what is remembered under them, for how long, and how much of it.
//!
//! A key belongs to the resource that it writes; the partition of that resource remembers it, and
//! its leader's driver decides. Start reading at [`KeyedWrite`].

use crate::remembered_answer::RememberedAnswer;
use alloc::string::ToString;
use cortado_model::{Findings, Remembered, RememberedKey, StoreError, WallMillis};

/// Bytes of answers that a partition remembers: some 250,000 of them, three a second for a day. A
/// bound, so that clients who send a key with every write cannot fill the store.
pub const BUDGET_BYTES: u64 = 64 << 20;
/// The longest pause that a client is asked to make while the budget is used up.
const RETRY_AFTER_MS_MAX: u64 = 60_000;

/// What makes a write recognisable when it comes again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyedWrite {
    /// Under which name it is remembered.
    pub name: RememberedKey,
    /// Of the request: the same name with another one is refused.
    pub fingerprint: u128,
    /// For how long, in log time.
    pub ttl_ms: u32,
}

/// The first answer to a write, and when it was committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FirstAnswer {
    pub(crate) time: WallMillis,
    pub(crate) answer: RememberedAnswer,
}

/// What is remembered, unless it has expired.
///
/// * `now`: log time, as it is counted when an answer is written.
///
/// # Errors
/// [`StoreError::Damaged`] for an answer that cannot be read.
pub(crate) fn live(
    remembered: Option<&Remembered>,
    now: WallMillis,
) -> Result<Option<FirstAnswer>, StoreError> {
    let Some(Remembered { time, answer, .. }) = remembered.filter(|kept| kept.expires >= now)
    else {
        return Ok(None);
    };
    let answer = RememberedAnswer::decode(answer)
        .map_err(|error| StoreError::Damaged { why: error.to_string() })?;
    Ok(Some(FirstAnswer { time: *time, answer }))
}

/// Whether the answer to a new key would exceed the budget; if so, when to try again.
///
/// Once the oldest answer has expired there is room, whatever the others take: every answer that is
/// remembered lets the store forget two that have expired, so that it comes back below the budget.
pub(crate) fn over_budget(found: &Findings, budget_bytes: u64, now: WallMillis) -> Option<u64> {
    if found.remembered_bytes < budget_bytes {
        return None;
    }
    let live = found.first_expiry.filter(|first| *first >= now);
    live.map(|first| (first.0 - now.0 + 1).min(RETRY_AFTER_MS_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use cortado_model::{Etag, Scn};

    #[test]
    fn an_answer_is_found_until_log_time_has_passed_its_expiry() {
        let answer =
            RememberedAnswer { scn: Scn::ZERO, etag: Etag(7), fingerprint: 1, statuses: vec![1] };
        let (time, expires) = (WallMillis(1_000), WallMillis(6_000));
        let remembered = Remembered { time, expires, answer: answer.encode() };
        let found = |now| live(Some(&remembered), WallMillis(now));
        assert_eq!(found(6_000), Ok(Some(FirstAnswer { time, answer })));
        assert_eq!(found(6_001), Ok(None));
        assert_eq!(live(None, time), Ok(None));
        let damaged = Remembered { answer: "no answer".into(), ..remembered };
        assert!(matches!(live(Some(&damaged), time), Err(StoreError::Damaged { .. })));
    }

    #[test]
    fn a_used_up_budget_says_when_there_is_room() {
        let check = |budget_bytes, now, want| {
            let found = Findings {
                remembered_bytes: 100,
                first_expiry: Some(WallMillis(5_000)),
                ..Findings::default()
            };
            assert_eq!(over_budget(&found, budget_bytes, WallMillis(now)), want);
        };
        check(101, 2_000, None);
        check(100, 2_000, Some(3_001));
        check(100, 5_000, Some(1));
        check(1, 0, Some(5_001));
        check(100, 5_001, None);
        // No client is told to wait for a day.
        let first_expiry = Some(WallMillis(90_000_000));
        let found = Findings { remembered_bytes: 1, first_expiry, ..Findings::default() };
        assert_eq!(over_budget(&found, 1, WallMillis(9_001)), Some(RETRY_AFTER_MS_MAX));
    }
}
