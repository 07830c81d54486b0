//! Idempotency keys: what is remembered under them, for how long, and how much of it.
//!
//! A key belongs to the resource that it writes; the partition of that resource remembers it, and
//! its leader's driver decides. Start reading at [`KeyedWrite`].

use crate::remembered_answer::RememberedAnswer;
use cortado_model::{Remembered, RememberedKey, WallMillis};
use cortado_store::{StoreError, View};

/// Bytes of answers that a partition remembers: some 250,000 of them, three a second for a day. A
/// bound, so that clients who send a key with every write cannot fill the store.
pub(crate) const BUDGET_BYTES: u64 = 64 << 20;
/// The longest pause that a client is asked to make while the budget is used up.
const RETRY_AFTER_MS_MAX: u64 = 60_000;

/// What makes a write recognisable when it comes again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyedWrite {
    /// Under which name it is remembered.
    pub(crate) name: RememberedKey,
    /// Of the request: the same name with another one is refused.
    pub(crate) fingerprint: u128,
    /// For how long, in log time.
    pub(crate) ttl_ms: u32,
}

/// What `view` remembers under a name, unless it has expired.
///
/// * `now`: log time, as it is counted when an answer is written.
///
/// # Errors
/// The store's own, and [`StoreError::Damaged`] for an answer that cannot be read.
pub(crate) fn remembered_in(
    view: &dyn View,
    name: &RememberedKey,
    now: WallMillis,
) -> Result<Option<(WallMillis, RememberedAnswer)>, StoreError> {
    let Some(Remembered { time, expires, answer }) = view.remembered(name)? else {
        return Ok(None);
    };
    if expires < now {
        return Ok(None);
    }
    let answer = RememberedAnswer::decode(&answer)
        .map_err(|error| StoreError::Damaged { why: error.to_string() })?;
    Ok(Some((time, answer)))
}

/// Whether the answer to a new key would exceed the budget; if so, when to try again.
///
/// Once the oldest answer has expired there is room, whatever the others take: every answer that is
/// remembered lets the store forget two that have expired, so that it comes back below the budget.
///
/// # Errors
/// The store's own.
pub(crate) fn over_budget(
    view: &dyn View,
    budget_bytes: u64,
    now: WallMillis,
) -> Result<Option<u64>, StoreError> {
    if view.remembered_bytes()? < budget_bytes {
        return Ok(None);
    }
    let live = view.first_expiry()?.filter(|first| *first >= now);
    Ok(live.map(|first| (first.0 - now.0 + 1).min(RETRY_AFTER_MS_MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use cortado_model::{Batch, DatabaseId, Etag, PartitionId, Scn};
    use cortado_store::{MemoryStore, Store};

    const HOME: PartitionId = PartitionId { database: DatabaseId(1), number: 0 };

    #[test]
    fn an_answer_is_found_until_log_time_has_passed_its_expiry() {
        let name = RememberedKey::new("cher", b"k", 0);
        let answer =
            RememberedAnswer { scn: Scn::ZERO, etag: Etag(7), fingerprint: 1, statuses: vec![1] };
        let (time, expires) = (WallMillis(1_000), WallMillis(6_000));
        let remembered = Remembered { time, expires, answer: answer.encode() };
        let store = MemoryStore::new();
        let remember = vec![(name.clone(), remembered)];
        store.apply_one(HOME, Batch { remember, ..Batch::default() }).unwrap();
        let view = store.view(HOME).unwrap();
        let found = |now| remembered_in(view.as_ref(), &name, WallMillis(now)).unwrap();
        assert_eq!(found(6_000), Some((time, answer)));
        assert_eq!(found(6_001), None);
        let elsewhere = RememberedKey::new("adele", b"k", 0);
        assert_eq!(remembered_in(view.as_ref(), &elsewhere, time).unwrap(), None);
    }

    #[test]
    fn a_used_up_budget_says_when_there_is_room() {
        let store = MemoryStore::new();
        let answer = |expires| Remembered {
            time: WallMillis(1_000),
            expires: WallMillis(expires),
            answer: Bytes::from_static(b"answer"),
        };
        let name = |key: &str| RememberedKey::new("cher", key.as_bytes(), 0);
        let remember = vec![(name("a"), answer(5_000)), (name("b"), answer(9_000))];
        store.apply_one(HOME, Batch { remember, ..Batch::default() }).unwrap();
        let check = |budget_bytes, now, want| {
            let view = store.view(HOME).unwrap();
            assert_eq!(over_budget(view.as_ref(), budget_bytes, WallMillis(now)), Ok(want));
        };
        let used = store.view(HOME).unwrap().remembered_bytes().unwrap();
        check(used + 1, 2_000, None);
        check(used, 2_000, Some(3_001));
        check(used, 5_000, Some(1));
        check(1, 0, Some(5_001));
        check(used, 5_001, None);
        let forget_before = Some(WallMillis(5_001));
        store.apply_one(HOME, Batch { forget_before, ..Batch::default() }).unwrap();
        check(used / 2, 5_001, Some(4_000));
        // Nobody is told to wait for a day.
        let day = vec![(name("c"), answer(90_000_000))];
        let forget_before = Some(WallMillis(9_001));
        store.apply_one(HOME, Batch { remember: day, forget_before, ..Batch::default() }).unwrap();
        check(1, 9_001, Some(RETRY_AFTER_MS_MAX));
    }
}
