//! Databases and tables by name, as one replica of `_cluster` has folded them.
//!
//! A catalog never changes: a newer state of `_cluster` is a newer catalog. Start reading at
//! [`Catalog`]; what is stored of it is in [`crate::cluster_log`].

use cortado_cluster::{
    Capacity, ChangeId, ChangeState, MoveStage, Placement, PlacementNode, PlannedChange,
    ReplicaMove, Zone,
};
use cortado_document::{Schema, TableDefinition, partition_of};
use cortado_driver::{TableRules, Tables};
use cortado_model::{
    ClusterUuid, DatabaseId, DirectoryUuid, DocumentKey, Etag, Generation, LogId, NodeId,
    NodeIncarnation, PartitionId, PartitionUuid, Scn, TableId,
};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The database of what was decided and done; see [`crate::journal`].
pub(crate) const JOURNAL: &str = "_journal";

/// The feature level in use until `_cluster` says more, and what a node reads that declares none.
pub(crate) const FIRST_LEVEL: u32 = 1;

/// For each partition that has one, the node that should lead it.
pub(crate) type Pins = BTreeMap<u32, NodeId>;

/// The cluster's facts at one SCN of `_cluster`.
#[derive(Debug)]
pub struct Catalog {
    pub(crate) scn: Scn,
    pub(crate) cluster: ClusterUuid,
    pub(crate) nodes: BTreeMap<NodeId, NodeFacts>,
    pub(crate) databases: BTreeMap<String, Arc<Database>>,
    pub(crate) databases_by_id: BTreeMap<DatabaseId, Arc<Database>>,
    /// The id that the next database gets.
    pub(crate) next_database: DatabaseId,
    /// Dropped databases whose logs may still exist.
    pub(crate) dropped: BTreeMap<DatabaseId, Dropped>,
    /// Leaderships that operators have placed.
    pub(crate) pins: BTreeMap<DatabaseId, Pins>,
    /// Nodes that lead nothing if others can.
    pub(crate) drained: BTreeSet<NodeId>,
    /// Planned changes of where replicas live that are not over.
    pub(crate) changes: BTreeMap<ChangeId, (PlannedChange, Etag)>,
    /// Where replicas should be after a change, and after which.
    pub(crate) targets: BTreeMap<PartitionId, (ChangeId, Vec<NodeId>)>,
    /// Replicas on their way, and where each was written down last.
    pub(crate) moves: BTreeMap<PartitionId, (ReplicaMove, WrittenAt)>,
    /// The id that the next planned change gets.
    pub(crate) next_change: ChangeId,
    /// The last generation of databases that were dropped, by name.
    pub(crate) former: BTreeMap<String, Generation>,
    /// No dropped database whose name is not remembered had a higher one.
    pub(crate) former_floor: Generation,
    /// What every node reads, and leaders may use.
    pub(crate) feature_level: u32,
}

/// Which version of a document it is that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WrittenAt {
    pub(crate) scn: Scn,
    pub(crate) etag: Etag,
}

impl WrittenAt {
    /// It has not been written yet.
    pub(crate) const NOWHERE: WrittenAt = WrittenAt { scn: Scn::ZERO, etag: Etag(0) };
}

impl Catalog {
    /// Before anything is known.
    pub fn empty(cluster: ClusterUuid) -> Catalog {
        Catalog {
            scn: Scn::ZERO,
            cluster,
            nodes: BTreeMap::new(),
            databases: BTreeMap::new(),
            databases_by_id: BTreeMap::new(),
            next_database: DatabaseId(1),
            dropped: BTreeMap::new(),
            pins: BTreeMap::new(),
            drained: BTreeSet::new(),
            changes: BTreeMap::new(),
            targets: BTreeMap::new(),
            moves: BTreeMap::new(),
            next_change: ChangeId(1),
            former: BTreeMap::new(),
            former_floor: Generation(0),
            feature_level: FIRST_LEVEL,
        }
    }

    /// The database of that name.
    pub fn database(&self, name: &str) -> Option<&Arc<Database>> {
        self.databases.get(name)
    }

    /// All databases, by name, the system's own first.
    pub fn databases(&self) -> impl Iterator<Item = &Arc<Database>> {
        self.databases.values()
    }

    /// The journal, once it can be written to.
    pub fn journal(&self) -> Option<&Arc<Database>> {
        self.database(JOURNAL).filter(|journal| journal.log.is_some())
    }

    /// The nodes of the cluster, registered and not removed, in ascending order.
    pub fn members(&self) -> impl Iterator<Item = NodeId> {
        self.nodes.values().filter(|facts| !facts.removed).map(|facts| facts.node)
    }

    /// How many replicas the partitions of a database should have when `leaving` is no member any
    /// more. A cluster that is smaller than the journal wants has one of it on each node.
    pub(crate) fn replication_without(&self, database: &Database, leaving: Option<NodeId>) -> u32 {
        if database.name != JOURNAL {
            return database.replication;
        }
        // A cluster has far fewer nodes than numbers for them.
        let left = self.members().filter(|node| Some(*node) != leaving).count() as u32;
        database.replication.min(left.max(1))
    }

    /// What a node has registered; `None` if it never has.
    pub fn node(&self, node: NodeId) -> Option<&NodeFacts> {
        self.nodes.get(&node)
    }

    /// All nodes that have ever registered, in ascending order.
    pub fn nodes(&self) -> impl Iterator<Item = &NodeFacts> {
        self.nodes.values()
    }

    /// The node of that name; of several, the one that is a member.
    pub fn node_named(&self, name: &str) -> Option<&NodeFacts> {
        let mut named: Vec<_> = self.nodes.values().filter(|facts| facts.name() == name).collect();
        named.sort_by_key(|facts| facts.removed);
        named.first().copied()
    }

    /// What people call a node, be it known or not.
    pub fn name_of(&self, node: NodeId) -> String {
        self.nodes.get(&node).map_or_else(|| node.to_string(), NodeFacts::name)
    }

    /// A text for people in which nodes are called by their names.
    ///
    /// The ids of nodes that have names of their own are random: no other word is spelled so.
    pub fn with_node_names(&self, text: &str) -> String {
        let mut named = text.to_owned();
        let has_name = |facts: &&NodeFacts| !facts.description.name.is_empty();
        for facts in self.nodes.values().filter(has_name) {
            let id = facts.node.to_string();
            if named.contains(&id) {
                named = replace_word(&named, &id, &facts.description.name);
            }
        }
        named
    }

    /// The identity of the cluster, for as long as it exists.
    pub fn cluster(&self) -> ClusterUuid {
        self.cluster
    }

    /// How far `_cluster` was folded.
    pub fn scn(&self) -> Scn {
        self.scn
    }

    /// The id that the next database gets: above all that were ever given out.
    pub fn next_database(&self) -> DatabaseId {
        self.next_database
    }

    /// The database of that id.
    pub fn database_by_id(&self, id: DatabaseId) -> Option<&Arc<Database>> {
        self.databases_by_id.get(&id)
    }

    /// The node that an operator has placed the leadership of `partition` on.
    pub fn pin(&self, partition: PartitionId) -> Option<NodeId> {
        self.pins.get(&partition.database)?.get(&partition.number).copied()
    }

    /// Whether `node` should lead nothing if others can.
    pub fn is_drained(&self, node: NodeId) -> bool {
        self.drained.contains(&node)
    }

    /// The order of succession of a partition that is placed on `nodes`, as operators want it.
    pub fn succession(&self, partition: PartitionId, nodes: &[NodeId]) -> Option<Placement> {
        let is_member = |node: &NodeId| self.nodes.get(node).is_none_or(|facts| !facts.removed);
        let pin = self.pin(partition).filter(is_member);
        let placed = Placement::new(nodes.to_vec())?;
        let ordered = placed.ordered(pin, |node| self.is_drained(node));
        Some(match self.moves.get(&partition) {
            Some((ReplicaMove { stage: MoveStage::Leaving, remove: Some(node), .. }, _)) => {
                ordered.without_leader_on(*node)
            }
            Some(_) | None => ordered,
        })
    }

    /// The planned changes that are not over, in the order in which they were planned.
    pub fn changes(&self) -> impl Iterator<Item = &PlannedChange> {
        self.changes.values().map(|(change, _)| change)
    }

    /// The planned change of that id, if it is not over.
    pub fn change(&self, id: ChangeId) -> Option<&PlannedChange> {
        self.changes.get(&id).map(|(change, _)| change)
    }

    /// Where the replicas of `partition` should be after a change, in order of rank, and after
    /// which; `None` if no change concerns it.
    pub fn target(&self, partition: PartitionId) -> Option<(ChangeId, &[NodeId])> {
        self.targets.get(&partition).map(|(change, nodes)| (*change, nodes.as_slice()))
    }

    /// The replica of `partition` that is on its way, and the SCN of `_cluster` at which that was
    /// written down last: a node that has not folded so far does not know of it.
    pub fn moving(&self, partition: PartitionId) -> Option<(ReplicaMove, Scn)> {
        self.moves.get(&partition).map(|(moving, written)| (*moving, written.scn))
    }

    /// All replicas that are on their way.
    pub fn moves(&self) -> impl Iterator<Item = &ReplicaMove> {
        self.moves.values().map(|(moving, _)| moving)
    }

    /// The same, each with its partition.
    pub fn moves_of_partitions(&self) -> impl Iterator<Item = (PartitionId, &ReplicaMove)> {
        self.moves.iter().map(|(partition, (moving, _))| (*partition, moving))
    }

    /// Where `_cluster` says where the replicas of `partition` are, and what is on its way: the
    /// newer of both; `None` if there is no such partition.
    pub fn declared_at(&self, partition: PartitionId) -> Option<Scn> {
        let placed = self.database_by_id(partition.database)?.written.scn;
        let moving = self.moves.get(&partition).map(|(_, written)| written.scn);
        Some(moving.map_or(placed, |moving| moving.max(placed)))
    }

    /// Whether `node` should hold a replica of `partition`.
    pub fn holds(&self, partition: PartitionId, node: NodeId) -> bool {
        let database = self.database_by_id(partition.database);
        let placed =
            database.is_some_and(|database| database.placement(partition.number).contains(&node));
        placed || self.moves.get(&partition).is_some_and(|(moving, _)| moving.add == Some(node))
    }

    /// Nodes that are about to leave for good: nothing new is placed on them.
    pub(crate) fn leaving(&self) -> BTreeSet<NodeId> {
        let leaving = self.changes().filter(|change| change.state != ChangeState::Cancelled);
        let leaving = leaving.filter_map(|change| change.kind.leaving());
        leaving.collect()
    }

    /// The last generation that a database of that name can have had; 0 if there was none.
    pub(crate) fn generation_before(&self, name: &str) -> Generation {
        let own = self.former.get(name).copied().unwrap_or_default();
        own.max(self.former_floor)
    }

    /// Everything that should be served, with the nodes in order of rank; one to which a replica is
    /// moving comes last.
    pub fn placements(&self) -> impl Iterator<Item = (PartitionId, Cow<'_, [NodeId]>)> {
        self.databases.values().flat_map(|database| {
            database.placements.iter().enumerate().map(|(number, nodes)| {
                // A database has at most 1,024 partitions.
                let partition = PartitionId { database: database.id, number: number as u32 };
                (partition, self.held(partition, nodes))
            })
        })
    }

    /// The nodes that hold a replica, in order of rank; last one to which it is moving.
    ///
    /// * `nodes`: where it is placed.
    pub(crate) fn held<'a>(
        &self,
        partition: PartitionId,
        nodes: &'a [NodeId],
    ) -> Cow<'a, [NodeId]> {
        let added = self.moves.get(&partition).and_then(|(moving, _)| moving.add);
        match added.filter(|node| !nodes.contains(node)) {
            Some(node) => nodes.iter().copied().chain([node]).collect(),
            None => Cow::Borrowed(nodes),
        }
    }
}

/// Replaces `word` where no longer one begins or ends.
fn replace_word(text: &str, word: &str, with: &str) -> String {
    let (mut replaced, mut rest) = (String::with_capacity(text.len()), text);
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    while let Some(at) = rest.find(word) {
        let (before, after) = (&rest[..at], &rest[at + word.len()..]);
        let stands_alone = !before.ends_with(is_part) && !after.starts_with(is_part);
        replaced.push_str(before);
        replaced.push_str(if stands_alone { with } else { word });
        rest = after;
    }
    replaced.push_str(rest);
    replaced
}

/// A node, as it has registered itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeFacts {
    /// Which.
    pub node: NodeId,
    /// Its newest life.
    pub incarnation: NodeIncarnation,
    /// Where it lives; another directory under its name is another node.
    pub directory: DirectoryUuid,
    /// Tells its newest life from one that a copy of its directory counts alike.
    pub nonce: u128,
    /// Another directory may take its name over.
    pub replaced: bool,
    /// It is no member any more.
    pub removed: bool,
    /// Where clients reach it.
    pub address: String,
    /// What its operator says of it, and its build of itself.
    pub description: NodeDescription,
}

/// What a node tells of itself besides who it is. A node of `cortado dev` tells nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeDescription {
    /// Its name; empty: it is called after its id.
    pub name: String,
    /// Where its peers reach it, `host:port`; empty if they need not be told.
    pub peer_address: String,
    /// What fails together with it, if that is known.
    pub zone: Option<Zone>,
    /// How much it can carry beside others.
    pub capacity: Capacity,
    /// The build that it runs; empty if it does not say.
    pub build: String,
    /// The highest feature level that it supports.
    pub feature_level: u32,
}

impl NodeFacts {
    /// The node as placements see it.
    pub(crate) fn placed(&self) -> PlacementNode {
        let NodeDescription { zone, capacity, .. } = &self.description;
        PlacementNode { node: self.node, zone: zone.clone(), capacity: *capacity }
    }

    /// What people call it.
    pub fn name(&self) -> String {
        let NodeDescription { name, .. } = &self.description;
        if name.is_empty() { self.node.to_string() } else { name.clone() }
    }
}

/// A database that was dropped, and whose log may still exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dropped {
    pub(crate) name: String,
    pub(crate) uuid: PartitionUuid,
    pub(crate) partitions: u32,
}

/// A database and its tables.
#[derive(Debug)]
pub struct Database {
    /// Its id; never used again after it is dropped.
    pub id: DatabaseId,
    /// Its name.
    pub name: String,
    /// Tells it from any other that ever had its name.
    pub uuid: PartitionUuid,
    /// How many partitions it has, at least 1; fixed.
    pub partitions: u32,
    /// How many replicas each partition has.
    pub replication: u32,
    /// The identity of its log; `None` while that is being made.
    pub(crate) log: Option<LogId>,
    /// Who answers for it.
    pub owner: Option<String>,
    pub(crate) next_table: TableId,
    pub(crate) tables: BTreeMap<String, Arc<Table>>,
    /// All tables, the dropped ones too: change streams still name them.
    pub(crate) tables_by_id: BTreeMap<TableId, Arc<Table>>,
    /// For each partition its nodes in order of rank, the preferred leader first.
    pub(crate) placements: Vec<Vec<NodeId>>,
    /// The generation before its first: the last one of a dropped database of its name.
    pub(crate) after: Generation,
    /// Which version of its document says so.
    pub(crate) written: WrittenAt,
}

impl Database {
    /// Whether it is the system's own: clients neither declare it nor read or write its documents.
    pub fn is_system(&self) -> bool {
        self.name.starts_with('_')
    }

    /// The table of that name.
    pub fn table(&self, name: &str) -> Option<&Arc<Table>> {
        self.tables.get(name)
    }

    /// The table of that id, even if it was dropped.
    pub fn table_by_id(&self, id: TableId) -> Option<&Arc<Table>> {
        self.tables_by_id.get(&id)
    }

    /// Its tables, by name.
    pub fn tables(&self) -> impl Iterator<Item = &Arc<Table>> {
        self.tables.values()
    }

    /// The partition of a document.
    pub fn partition_of(&self, key: &DocumentKey) -> u32 {
        partition_of(key.resource(), self.partitions)
    }

    /// The nodes of a partition in order of rank, the preferred leader first.
    pub fn placement(&self, partition: u32) -> &[NodeId] {
        self.placements.get(partition as usize).map_or(&[], Vec::as_slice)
    }

    /// The partition of that number.
    pub fn partition_id(&self, number: u32) -> PartitionId {
        PartitionId { database: self.id, number }
    }
}

impl Tables for Database {
    fn rules(&self, table: TableId) -> Option<TableRules<'_>> {
        let Table { schema, schema_version, .. } = self.table_by_id(table)?.as_ref();
        Some(TableRules { schema: schema.as_ref(), schema_version: *schema_version })
    }
}

/// A table.
#[derive(Debug)]
pub struct Table {
    /// Its id; never used again in its database.
    pub id: TableId,
    /// Its name.
    pub name: String,
    /// What was declared.
    pub definition: TableDefinition,
    /// The declared schema, compiled.
    pub schema: Option<Schema>,
    /// Counts the schemas of this table; 0 as long as it has never had one.
    pub schema_version: u32,
    /// Dropped tables keep their name for change streams only.
    pub dropped: bool,
    /// All documents of a dropped table are removed.
    pub(crate) emptied: bool,
}

impl Table {
    /// How many parts the key of a document has.
    pub fn key_parts(&self) -> usize {
        self.definition.key().len()
    }
}
