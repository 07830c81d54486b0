//! Telling the journal, from any task and without waiting.
//!
//! Start reading at [`Decisions::explain`]; [`crate::journal`] is what is told.

use crate::events::EventKind;
use cortado_cluster::{Command, Explanation};
use cortado_metrics::Counter;
use cortado_model::{NodeId, PartitionId, WallMillis};
use tokio::sync::mpsc;

/// Entries that wait for the journal. A failover of every partition of a node makes some
/// hundreds; beyond this, entries are counted and dropped.
const WAITING_MAX: usize = 4_096;

/// The way into the journal.
#[derive(Clone)]
pub struct Decisions {
    node: NodeId,
    wall_clock: fn() -> WallMillis,
    entries: mpsc::Sender<JournalEntry>,
    lost: Counter,
}

/// An entry on its way.
#[derive(Clone, Debug)]
pub struct JournalEntry {
    pub(crate) time: WallMillis,
    pub(crate) node: NodeId,
    pub(crate) kind: EventKind,
    pub(crate) partition: Option<PartitionId>,
    pub(crate) what: String,
    pub(crate) evidence: Vec<String>,
    /// Of a decision about a leadership; other kinds have a text of their own.
    pub(crate) by_hand: Option<Command>,
    pub(crate) undo: Option<Command>,
}

impl Decisions {
    /// The way, and where the entries come out.
    ///
    /// * `node`: the one that decides.
    /// * `lost`: counts entries that do not come into the journal.
    pub fn new(
        node: NodeId,
        wall_clock: fn() -> WallMillis,
        lost: Counter,
    ) -> (Decisions, mpsc::Receiver<JournalEntry>) {
        let (entries, receiver) = mpsc::channel(WAITING_MAX);
        (Decisions { node, wall_clock, entries, lost }, receiver)
    }

    /// Records an automatic action. Never waits; counts what finds no room.
    pub fn explain(
        &self,
        kind: EventKind,
        partition: Option<PartitionId>,
        what: String,
        evidence: Vec<String>,
    ) {
        let (by_hand, undo) = (None, None);
        self.enter(self.node, kind, partition, what, evidence, (by_hand, undo));
    }

    /// Records what another node did, as this one has seen it.
    ///
    /// * `node`: which; this one, if that is not known.
    pub(crate) fn explain_of(&self, node: Option<NodeId>, kind: EventKind, what: String) {
        let commands = (None, None);
        self.enter(node.unwrap_or(self.node), kind, None, what, Vec::new(), commands);
    }

    /// Records a decision about a leadership.
    pub fn explain_leadership(&self, kind: EventKind, why: &Explanation) {
        let what = format!("{}: {}", kind.name(), why.cause);
        let commands = (Some(why.by_hand), why.undo);
        self.enter(self.node, kind, Some(why.partition), what, why.evidence(), commands);
    }

    fn enter(
        &self,
        node: NodeId,
        kind: EventKind,
        partition: Option<PartitionId>,
        what: String,
        evidence: Vec<String>,
        (by_hand, undo): (Option<Command>, Option<Command>),
    ) {
        let time = (self.wall_clock)();
        let entry = JournalEntry { time, node, kind, partition, what, evidence, by_hand, undo };
        if self.entries.try_send(entry).is_err() {
            self.count_lost(1);
        }
    }

    /// How many entries wait for the journal, and how many may.
    pub fn waiting(&self) -> (usize, usize) {
        let limit = self.entries.max_capacity();
        (limit - self.entries.capacity(), limit)
    }

    /// So many entries will not come into the journal.
    pub(crate) fn count_lost(&self, entries: u64) {
        self.lost.add(entries);
    }
}
