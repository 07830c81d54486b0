//! How a node's calls of its own log, or of its own store, go by its clock.
//!
//! What that is evidence of is said in `cortado-cluster`. Start reading at [`Vitals`].

use crate::clock::{Clock, millis};
use cortado_cluster::{Evidence, OwnCalls};
use cortado_model::Millis;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;

/// The calls of one kind, of all replicas of the node.
#[derive(Debug)]
pub(crate) struct Vitals {
    clock: Clock,
    calls: Mutex<OwnCalls>,
}

/// A call that is under way. Dropped, it is awaited no longer.
#[derive(Debug)]
pub(crate) struct BegunCall {
    /// `None` once it has ended.
    vitals: Option<Arc<Vitals>>,
    since: Millis,
}

impl Vitals {
    pub(crate) fn new(clock: Clock) -> Vitals {
        Vitals { clock, calls: Mutex::default() }
    }

    /// One more is under way, until it is told that one has [ended](Self::ended).
    pub(crate) fn begun(&self) {
        self.calls.lock().begin(self.clock.steady());
    }

    pub(crate) fn ended(&self, took: Duration, done: bool) {
        self.calls.lock().end(self.clock.steady(), millis(took), done);
    }

    /// One more is under way, as long as the answer is kept.
    pub(crate) fn begin(self: &Arc<Self>) -> BegunCall {
        let since = self.clock.steady();
        self.calls.lock().begin(since);
        BegunCall { vitals: Some(Arc::clone(self)), since }
    }

    /// Whether none is under way.
    pub(crate) fn is_idle(&self) -> bool {
        self.calls.lock().is_idle()
    }

    /// What `look` makes of the calls now.
    pub(crate) fn evidence(
        &self,
        look: fn(&mut OwnCalls, Millis) -> Option<Evidence>,
    ) -> Option<Evidence> {
        look(&mut self.calls.lock(), self.clock.steady())
    }
}

impl BegunCall {
    pub(crate) fn since(&self) -> Millis {
        self.since
    }

    /// It was answered, or given up.
    ///
    /// * `done`: what was asked for has been done.
    pub(crate) fn end(mut self, done: bool) {
        if let Some(vitals) = self.vitals.take() {
            let now = vitals.clock.steady();
            vitals.calls.lock().end(now, now.since(self.since), done);
        }
    }
}

impl Drop for BegunCall {
    fn drop(&mut self) {
        if let Some(vitals) = self.vitals.take() {
            vitals.calls.lock().give_up(vitals.clock.steady());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    #[tokio::test(start_paused = true)]
    async fn what_is_dropped_is_awaited_no_longer() {
        let vitals = Arc::new(Vitals::new(Clock::of_runtime()));
        let evidence = || vitals.evidence(OwnCalls::append_evidence);
        let (one, other) = (vitals.begin(), vitals.begin());
        advance(Duration::from_millis(400)).await;
        assert_eq!(evidence(), Some(Evidence::OwnAppendWaits { waited_ms: 400 }));
        one.end(true);
        assert_eq!(evidence(), Some(Evidence::OwnAppend { took_ms: 400 }));
        advance(Duration::from_millis(20)).await;
        assert_eq!(evidence(), Some(Evidence::OwnAppendWaits { waited_ms: 20 }));
        drop(other);
        assert_eq!(evidence(), None);
    }
}
