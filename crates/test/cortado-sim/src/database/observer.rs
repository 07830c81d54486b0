//! What surrounds a process's watch: what its replicas showed when the watch was last told.
//!
//! Decides nothing: `cortado-cluster`'s watch does. Start reading at [`Observer`].

use crate::kernel::time::Moment;
use cortado_cluster::{Evidence, OwnCalls, PartitionView, PeerOpinion, ReplicaViews, Watch};
use cortado_log::memory::BeatPlace;
use cortado_model::{Millis, NodeId, NodeIncarnation, PartitionId};
use std::collections::BTreeMap;

/// A process's watch, and what a node keeps for it.
#[derive(Debug)]
pub(crate) struct Observer {
    pub(crate) watch: Watch,
    /// When it heard of each partition's leadership, or of its end.
    pub(crate) leaderships: Vec<Millis>,
    shown: BTreeMap<PartitionId, PartitionView>,
    /// How far it has heard the streams of beats.
    pub(crate) heard_to: BeatPlace,
    /// A notice of new beats is under way.
    pub(crate) noticed: bool,
    /// When its own beats last came back on each stream: what its watch cannot be wrong about.
    pub(crate) heard_itself: Vec<Option<Millis>>,
    /// The partition of the handoff that was ordered last and has not ended.
    pub(crate) handing_over: Option<usize>,
    /// Its node is unhealthy, as its watch told last.
    pub(crate) sick: bool,
    /// None of its own beats comes back, as its watch told last.
    pub(crate) deaf: bool,
    /// Some of them do not, on some stream.
    pub(crate) partly_deaf: bool,
    /// What gossip has told it of every other node.
    pub(crate) gossip: BTreeMap<usize, Gossiped>,
    /// When each other node last told it that it does not reach the log.
    pub(crate) said_deaf: BTreeMap<usize, Millis>,
    /// When each other node last told it the same of a partition that it leads.
    pub(crate) said_cut_off: BTreeMap<(usize, usize), Millis>,
    /// When each other node's machine last told it that the node does not run.
    pub(crate) refused: BTreeMap<usize, Millis>,
    /// Up to when it was told what has become of clients' requests.
    pub(crate) reach_told: Moment,
    /// When each node last showed a sign of life in beats or records.
    pub(crate) signs: BTreeMap<NodeId, Millis>,
    /// How its appends go.
    pub(crate) appends: OwnCalls,
    /// How its store applies.
    pub(crate) store: OwnCalls,
    /// The watch was told of something for which its node looks at once.
    pub(crate) has_news: bool,
}

/// What gossip knows of a node, for one of the others.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gossiped {
    /// When some way to it was last open.
    pub(crate) reached_at: Moment,
    /// When the way without others was.
    pub(crate) answered_at: Moment,
    /// In which life it was then.
    pub(crate) incarnation: NodeIncarnation,
    /// What that comes to, and since when, by the clock of who knows it.
    pub(crate) opinion: PeerOpinion,
    pub(crate) since: Millis,
}

impl Observer {
    /// * `beats`: behind all beats that were sent before.
    /// * `streams`: how many streams there are.
    pub(crate) fn new(
        watch: Watch,
        partitions: usize,
        (beats, streams): (BeatPlace, u32),
        now: Millis,
    ) -> Observer {
        Observer {
            watch,
            leaderships: vec![now; partitions],
            shown: BTreeMap::new(),
            heard_to: beats,
            noticed: false,
            heard_itself: vec![None; streams as usize],
            handing_over: None,
            sick: false,
            deaf: false,
            partly_deaf: false,
            gossip: BTreeMap::new(),
            said_deaf: BTreeMap::new(),
            said_cut_off: BTreeMap::new(),
            refused: BTreeMap::new(),
            reach_told: Moment::default(),
            signs: BTreeMap::new(),
            appends: OwnCalls::default(),
            store: OwnCalls::default(),
            has_news: false,
        }
    }

    /// Which replicas show something new. Progress is nothing new.
    pub(crate) fn take_changes(&mut self, views: &Views) -> Vec<PartitionId> {
        let shown = views.shown.iter().map(|(partition, view)| {
            (*partition, PartitionView { lag_records: 0, ..view.clone() })
        });
        let shown: BTreeMap<_, _> = shown.collect();
        let is_new = |(partition, view): &(&PartitionId, &PartitionView)| {
            self.shown.get(partition) != Some(view)
        };
        let changed = shown.iter().filter(is_new).map(|(partition, _)| *partition).collect();
        self.shown = shown;
        changed
    }

    /// What the node has felt of its own log and store since it last asked.
    pub(crate) fn felt(&mut self, now: Millis) -> impl Iterator<Item = Evidence> + use<> {
        let (appends, store) = (self.appends.append_evidence(now), self.store.store_evidence(now));
        appends.into_iter().chain(store)
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
