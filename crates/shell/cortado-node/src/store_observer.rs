//! What a node makes of how its store's lanes do: vital signs, metrics, and its end.
//!
//! Start reading at [`StoreObserver`].

use crate::metrics::NodeMetrics;
use crate::tasks::Life;
use crate::vitals::Vitals;
use cortado_lanes::LaneObserver;
use cortado_store::StoreError;
use std::sync::Arc;
use std::time::Duration;

/// Observes the lanes of one life of a node.
pub(crate) struct StoreObserver {
    pub(crate) vitals: Arc<Vitals>,
    pub(crate) metrics: Arc<NodeMetrics>,
    pub(crate) life: Life,
}

impl LaneObserver for StoreObserver {
    fn begun(&self) {
        self.vitals.store_begun();
    }

    fn ended(&self, took: Duration, committed: &Result<(), StoreError>) {
        // A store that says that it is full works as it should.
        let works = matches!(committed, Ok(()) | Err(StoreError::Full { .. }));
        self.vitals.store_ended(took, works);
        if committed.is_ok() {
            self.metrics.apply.observe(took);
        }
    }

    fn broken(&self, why: String) {
        self.life.report_store_failure(why);
    }
}
