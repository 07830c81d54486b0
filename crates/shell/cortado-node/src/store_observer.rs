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
        self.vitals.begun();
    }

    fn ended(&self, took: Duration, committed: &Result<(), StoreError>) {
        // A store that says that it is full works as it should.
        let works = matches!(committed, Ok(()) | Err(StoreError::Full { .. }));
        self.vitals.ended(took, works);
        if committed.is_ok() {
            self.metrics.apply.observe(took);
        }
    }

    fn broken(&self, why: String) {
        self.life.report_store_failure(why);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use cortado_cluster::{Evidence, NodeLife, OwnCalls};
    use cortado_metrics::Registry;
    use cortado_model::{DirectoryUuid, NodeId, NodeIncarnation};
    use tokio::sync::mpsc;

    #[test]
    fn only_what_was_applied_is_timed_and_a_full_store_works_as_it_should() {
        let (node, registry) = (NodeId(1), Registry::default());
        let metrics = NodeMetrics::register(&registry, [node].into_iter());
        let (incarnation, directory) = (NodeIncarnation(1), DirectoryUuid(1));
        let (failures, mut failed) = mpsc::unbounded_channel();
        let observer = StoreObserver {
            vitals: Arc::new(Vitals::new(Clock::start())),
            metrics: Arc::clone(&metrics[&node]),
            life: Life::new(NodeLife { node, incarnation, directory, nonce: 0 }, failures),
        };
        let why = || "told to".to_owned();
        let took = Some(Evidence::OwnStore { took_ms: 7 });
        let check = |committed: Result<(), StoreError>, want, timed: u32| {
            observer.begun();
            observer.ended(Duration::from_millis(7), &committed);
            assert_eq!(observer.vitals.evidence(OwnCalls::store_evidence), want, "{committed:?}");
            let timed = format!("cortado_apply_seconds_count{{node=\"n1\"}} {timed}\n");
            assert!(registry.encode().contains(&timed), "{committed:?}");
        };
        check(Ok(()), took, 1);
        check(Err(StoreError::Full { why: why() }), took, 1);
        check(Err(StoreError::Damaged { why: why() }), Some(Evidence::OwnStoreFailed), 1);
        check(Err(StoreError::Failed { why: why() }), Some(Evidence::OwnStoreFailed), 1);
        assert!(failed.try_recv().is_err(), "that is for the caller of the batch to handle");
        observer.broken(why());
        assert_eq!(failed.try_recv().unwrap().why, "told to");
        observer.broken(why());
        assert!(failed.try_recv().is_err(), "whoever else meets it tells nothing new");
    }
}
