//! Idempotency keys of a database, across its partitions.
//!
//! A partition remembers the keys of its own writes; that a key was used in *another* partition is
//! found out here. Start reading at [`KeyRegistry::take`].

use super::KeyFilter;
use crate::remembered_answer::RememberedAnswer;
use bytes::Bytes;
use cortado_model::limits::IDEMPOTENCY_RETENTION_MS;
use cortado_model::{DatabaseId, WallMillis};
use cortado_store::{StoreError, View};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

type Key = (DatabaseId, Bytes);

/// The keys whose writes are on their way through this process, and a filter for those that have
/// arrived.
#[derive(Debug, Default)]
pub(crate) struct KeyRegistry {
    in_flight: Mutex<HashMap<Key, Arc<Notify>>>,
    filters: RwLock<HashMap<DatabaseId, Arc<KeyFilter>>>,
}

/// One key, taken. Nobody else uses it until this is dropped.
#[derive(Debug)]
pub(crate) struct KeyGuard {
    registry: Arc<KeyRegistry>,
    key: Key,
}

impl KeyRegistry {
    /// Takes a key, waiting for whoever uses it. `None` if that lasts until `deadline`.
    pub(crate) async fn take(
        self: &Arc<KeyRegistry>,
        key: Key,
        deadline: Instant,
    ) -> Option<KeyGuard> {
        loop {
            let notify = match self.lock().entry(key.clone()) {
                Entry::Vacant(vacant) => {
                    vacant.insert(Arc::default());
                    return Some(KeyGuard { registry: Arc::clone(self), key });
                }
                Entry::Occupied(occupied) => Arc::clone(occupied.get()),
            };
            let released = notify.notified();
            tokio::pin!(released);
            // From here on no release is missed; one that came before is seen by looking again.
            released.as_mut().enable();
            let same = self.lock().get(&key).is_some_and(|other| Arc::ptr_eq(other, &notify));
            if same && timeout_at(deadline, released).await.is_err() {
                return None;
            }
        }
    }

    /// What is known of the keys of a database.
    pub(crate) fn filter(&self, database: DatabaseId) -> Arc<KeyFilter> {
        let filters = self.filters.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(filter) = filters.get(&database) {
            return Arc::clone(filter);
        }
        drop(filters);
        let mut filters = self.filters.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(filters.entry(database).or_default())
    }

    /// Forgets a dropped database.
    pub(crate) fn forget(&self, database: DatabaseId) {
        self.filters.write().unwrap_or_else(PoisonError::into_inner).remove(&database);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Arc<Notify>>> {
        // No panic can leave the map half changed.
        self.in_flight.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for KeyGuard {
    fn drop(&mut self) {
        if let Some(notify) = self.registry.lock().remove(&self.key) {
            notify.notify_waiters();
        }
    }
}

/// What `view` remembers of a key, unless its time has passed.
///
/// # Errors
/// The store's own, and [`StoreError::Damaged`] for an answer that cannot be read.
pub(crate) fn remembered_in(
    view: &dyn View,
    key: &[u8],
    now: WallMillis,
) -> Result<Option<(WallMillis, RememberedAnswer)>, StoreError> {
    let Some(remembered) = view.remembered(key)? else { return Ok(None) };
    if remembered.time.0.saturating_add(IDEMPOTENCY_RETENTION_MS) < now.0 {
        return Ok(None);
    }
    let answer = RememberedAnswer::decode(&remembered.answer).ok_or_else(|| {
        StoreError::Damaged { why: "a remembered answer cannot be read".to_owned() }
    })?;
    Ok(Some((remembered.time, answer)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn key(text: &'static str) -> Key {
        (DatabaseId(1), Bytes::from_static(text.as_bytes()))
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_is_taken_by_one_at_a_time() {
        let registry = Arc::new(KeyRegistry::default());
        let soon = || Instant::now() + Duration::from_secs(1);
        let first = registry.take(key("a"), soon()).await.unwrap();
        assert!(registry.take(key("b"), soon()).await.is_some());
        assert!(registry.take(key("a"), soon()).await.is_none(), "the deadline passes");
        let waiting = {
            let registry = Arc::clone(&registry);
            tokio::spawn(async move { registry.take(key("a"), soon()).await.is_some() })
        };
        tokio::task::yield_now().await;
        drop(first);
        assert!(waiting.await.unwrap());
        assert!(registry.lock().is_empty());
    }
}
