//! What surrounds a process's watch: what its replicas showed when the watch was last told.
//!
//! Decides nothing: `cortado-cluster`'s watch does. Start reading at [`Observer`].

use cortado_cluster::{PartitionView, ReplicaViews, Watch, WatchEvent};
use cortado_model::{Millis, NodeId, NodeIncarnation, PartitionId};
use std::collections::BTreeMap;

/// A process's watch, and what a node keeps for it.
#[derive(Debug)]
pub(crate) struct Observer {
    pub(crate) watch: Watch,
    pub(crate) leaderships: Vec<Heard>,
    shown: BTreeMap<PartitionId, PartitionView>,
    /// Heartbeats sent so far: the number of the one whose answer counts.
    pub(crate) beats: u64,
    /// The partition of the handoff that was ordered last and has not ended.
    pub(crate) handing_over: Option<usize>,
}

/// What a process has heard of one partition's leader.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heard {
    /// When it heard of this leadership, or of its end.
    pub(crate) since: Millis,
    /// Who wrote the record that it read last.
    pub(crate) writer: Option<(NodeId, NodeIncarnation)>,
}

impl Observer {
    pub(crate) fn new(watch: Watch, partitions: usize, now: Millis) -> Observer {
        let unheard = Heard { since: now, writer: None };
        Observer {
            watch,
            leaderships: vec![unheard; partitions],
            shown: BTreeMap::new(),
            beats: 0,
            handing_over: None,
        }
    }

    /// Tells the watch which replicas show something new. Progress is nothing new.
    pub(crate) fn tell_changes(&mut self, now: Millis, views: &Views) {
        let shown = views.shown.iter().map(|(partition, view)| {
            (*partition, PartitionView { lag_records: 0, ..view.clone() })
        });
        let shown: BTreeMap<_, _> = shown.collect();
        for (partition, view) in &shown {
            if self.shown.get(partition) != Some(view) {
                self.watch.on(now, WatchEvent::Changed { partition: *partition });
            }
        }
        self.shown = shown;
    }
}

/// What the replicas of one process show at one moment.
#[derive(Debug, Default)]
pub(crate) struct Views {
    pub(crate) shown: BTreeMap<PartitionId, PartitionView>,
    pub(crate) follower_lags: BTreeMap<PartitionId, BTreeMap<NodeId, u64>>,
}

impl ReplicaViews for Views {
    fn view(&mut self, partition: PartitionId) -> Option<PartitionView> {
        self.shown.get(&partition).cloned()
    }

    fn follower_lags(&mut self, partition: PartitionId) -> BTreeMap<NodeId, u64> {
        self.follower_lags.get(&partition).cloned().unwrap_or_default()
    }
}
