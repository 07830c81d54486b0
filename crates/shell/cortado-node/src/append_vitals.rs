//! How a node's own appends go, of all its replicas together: a part of the first layer of
//! detection.
//!
//! Measures, and leaves the conclusions to `cortado-cluster`. Start reading at [`AppendVitals`].

use crate::clock::Clock;
use cortado_cluster::Evidence;
use cortado_model::Millis;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What the log has made of the node's appends.
#[derive(Debug)]
pub(crate) struct AppendVitals {
    clock: Clock,
    felt: Mutex<Felt>,
}

#[derive(Debug, Default)]
struct Felt {
    under_way: usize,
    /// Since when some append has been under way without any having ended.
    silent_since: Millis,
    /// Whether the last append that ended since the last look stands in the log.
    last_landed: Option<bool>,
    /// The slowest since the last look.
    slowest_ms: u64,
}

/// An append that has been handed to the log. Dropped, it is awaited no longer.
#[derive(Debug)]
pub(crate) struct BegunAppend {
    vitals: Arc<AppendVitals>,
    since: Millis,
}

impl AppendVitals {
    pub(crate) fn new(clock: Clock) -> AppendVitals {
        AppendVitals { clock, felt: Mutex::default() }
    }

    /// One more is handed to the log.
    pub(crate) fn begin(self: &Arc<Self>) -> BegunAppend {
        let since = self.clock.steady();
        let mut felt = self.felt();
        if felt.under_way == 0 {
            felt.silent_since = since;
        }
        felt.under_way += 1;
        BegunAppend { vitals: Arc::clone(self), since }
    }

    /// What has been felt since the last look: how the last append went, or how long all wait.
    pub(crate) fn evidence(&self) -> Option<Evidence> {
        let now = self.clock.steady();
        let mut felt = self.felt();
        let took_ms = std::mem::take(&mut felt.slowest_ms);
        match felt.last_landed.take() {
            Some(true) => Some(Evidence::OwnAppend { took_ms }),
            Some(false) => Some(Evidence::OwnAppendFailed),
            None if felt.under_way == 0 => None,
            None => Some(Evidence::OwnAppendWaits { waited_ms: now.since(felt.silent_since) }),
        }
    }

    fn felt(&self) -> MutexGuard<'_, Felt> {
        // Numbers that are half changed mislead for one look.
        self.felt.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BegunAppend {
    /// The log has answered, or was given up.
    pub(crate) fn end(self, landed: bool) {
        let took_ms = self.vitals.clock.steady().since(self.since);
        let mut felt = self.vitals.felt();
        felt.last_landed = Some(landed);
        felt.slowest_ms = felt.slowest_ms.max(took_ms);
    }
}

impl Drop for BegunAppend {
    fn drop(&mut self) {
        let now = self.vitals.clock.steady();
        let mut felt = self.vitals.felt();
        felt.under_way -= 1;
        felt.silent_since = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::time::advance;

    fn vitals() -> Arc<AppendVitals> {
        Arc::new(AppendVitals::new(Clock::of_runtime()))
    }

    async fn pass(ms: u64) {
        advance(Duration::from_millis(ms)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn what_hangs_is_told_before_it_ends() {
        let vitals = vitals();
        assert_eq!(vitals.evidence(), None);
        let (one, other) = (vitals.begin(), vitals.begin());
        pass(400).await;
        assert_eq!(vitals.evidence(), Some(Evidence::OwnAppendWaits { waited_ms: 400 }));
        pass(50).await;
        one.end(true);
        assert_eq!(vitals.evidence(), Some(Evidence::OwnAppend { took_ms: 450 }));
        pass(20).await;
        assert_eq!(vitals.evidence(), Some(Evidence::OwnAppendWaits { waited_ms: 20 }));
        drop(other);
        assert_eq!(vitals.evidence(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn how_the_last_one_went_is_what_counts() {
        let vitals = vitals();
        let (one, other) = (vitals.begin(), vitals.begin());
        pass(10).await;
        one.end(false);
        other.end(true);
        assert_eq!(vitals.evidence(), Some(Evidence::OwnAppend { took_ms: 10 }));
        vitals.begin().end(false);
        assert_eq!(vitals.evidence(), Some(Evidence::OwnAppendFailed));
        assert_eq!(vitals.evidence(), None);
    }
}
