//! Telling the journal, from any task and without waiting.
//!
//! Start reading at [`Decisions::explain`]; [`crate::journal`] is what is told.

use crate::events::EventKind;
use cortado_cluster::{Abstention, Command, Explanation};
use cortado_metrics::Counter;
use cortado_model::{DatabaseId, NodeId, PartitionId, WallMillis};
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
    /// The database that it is about; of an entry about a partition, that one's.
    pub(crate) database: Option<DatabaseId>,
    pub(crate) partition: Option<PartitionId>,
    pub(crate) what: String,
    pub(crate) evidence: Vec<String>,
    pub(crate) manual: Manual,
}

/// How an operator does the same as an entry tells, and undoes it.
#[derive(Clone, Debug)]
pub(crate) enum Manual {
    /// As for all entries of its kind.
    OfKind,
    /// By these commands; without the second as for all of its kind.
    Commands(Command, Option<Command>),
    /// By handing each of some partitions of its database to a node.
    HandOffEach(NodeId),
    /// As these texts say.
    Texts { by_hand: String, undo: String },
}

/// What an entry is about; of neither: of a node, or of the cluster.
struct About {
    database: Option<DatabaseId>,
    partition: Option<PartitionId>,
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
        self.enter(self.node, kind, partition, what, evidence, Manual::OfKind);
    }

    /// Records what another node did, as this one has seen it.
    ///
    /// * `node`: which; this one, if that is not known.
    pub fn explain_of(&self, node: Option<NodeId>, kind: EventKind, what: String) {
        self.explain_order(node, kind, None, what, Manual::OfKind);
    }

    /// Records what an operator has ordered through another node.
    ///
    /// * `node`: which; this one, if that is not known.
    pub(crate) fn explain_order(
        &self,
        node: Option<NodeId>,
        kind: EventKind,
        partition: Option<PartitionId>,
        what: String,
        manual: Manual,
    ) {
        self.enter(node.unwrap_or(self.node), kind, partition, what, Vec::new(), manual);
    }

    /// Records a decision about a leadership.
    pub fn explain_leadership(&self, kind: EventKind, why: &Explanation) {
        let what = format!("{}: {}", kind.name(), why.cause);
        let manual = Manual::Commands(why.by_hand, why.undo);
        self.enter(self.node, kind, Some(why.partition), what, why.evidence(), manual);
    }

    /// Records what this node does not do about partitions of one database.
    ///
    /// * `numbers`: of those partitions; not empty.
    pub fn explain_abstention(&self, why: &Abstention, database: DatabaseId, numbers: &[u32]) {
        let what = format!("{} does not claim: {}", why.node, why.cause);
        let one = match numbers {
            [number] => Some(PartitionId { database, number: *number }),
            _ => None,
        };
        let manual = match one {
            Some(partition) => Manual::Commands(why.by_hand(partition), None),
            None => Manual::HandOffEach(why.node),
        };
        let (kind, evidence) = (EventKind::Health, why.evidence(numbers));
        let about = About { database: Some(database), partition: one };
        self.enter_about(self.node, kind, about, what, evidence, manual);
    }

    fn enter(
        &self,
        node: NodeId,
        kind: EventKind,
        partition: Option<PartitionId>,
        what: String,
        evidence: Vec<String>,
        manual: Manual,
    ) {
        let database = partition.map(|partition| partition.database);
        let about = About { database, partition };
        self.enter_about(node, kind, about, what, evidence, manual);
    }

    fn enter_about(
        &self,
        node: NodeId,
        kind: EventKind,
        About { database, partition }: About,
        what: String,
        evidence: Vec<String>,
        manual: Manual,
    ) {
        let time = (self.wall_clock)();
        let entry = JournalEntry { time, node, kind, database, partition, what, evidence, manual };
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
