//! Bodies of the routes under `/admin/v1`.
//!
//! Start reading at [`DatabaseBody`].

use crate::Position;
use crate::raw_json::RawJson;
use crate::shape::objects_by_name;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// Body of `PUT /admin/v1/databases/{database}`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseBody {
    /// 16 if absent; fixed for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partitions: Option<u32>,
    /// Replicas of each partition; 3, or as many as there are nodes, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replication: Option<u32>,
    /// Who answers for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Its first tables, by name.
    #[serde(
        default,
        deserialize_with = "objects_by_name",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub tables: BTreeMap<String, TableBody>,
    /// A later version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slo: Option<Value>,
}

/// Body of `PUT /admin/v1/databases/{database}/tables/{table}`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableBody {
    /// Names of 1 to 8 parts, the resource first.
    pub key: Vec<String>,
    /// A JSON Schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<RawJson>,
    /// A later version.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub indexes: Vec<Value>,
}

/// A database as declared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DatabaseAnswer {
    /// Its name.
    pub name: String,
    /// Fixed.
    pub partitions: u32,
    /// Replicas of each partition.
    pub replication: u32,
    /// Who answers for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// By name.
    pub tables: BTreeMap<String, TableAnswer>,
}

/// All databases, by name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DatabasesAnswer {
    /// Those that users have declared.
    pub databases: Vec<DatabaseAnswer>,
}

/// A table as declared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TableAnswer {
    /// Its name.
    pub name: String,
    /// Names of the parts, the resource first.
    pub key: Vec<String>,
    /// Its JSON Schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<RawJson>,
    /// Counts the schemas of the table; 0 if it never had one.
    pub schema_version: u32,
}

/// The tables of a database, by name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TablesAnswer {
    /// Those that exist.
    pub tables: Vec<TableAnswer>,
}

/// The partitions of a database.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PartitionsAnswer {
    /// By number.
    pub partitions: Vec<PartitionAnswer>,
}

/// One partition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PartitionAnswer {
    /// Counts from 0.
    pub partition: u32,
    /// The node that serves it; absent if none does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leader: Option<String>,
    /// The node that should lead it when all are well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preferred: Option<String>,
    /// The node on which an operator has placed the leadership; absent if none has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pinned: Option<String>,
    /// Counts its leaderships; absent if no node answers that has a replica, like what follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u32>,
    /// What its leader has applied, or the furthest replica if there is no leader.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<Position>,
    /// Records that the furthest-behind replica has not folded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag_records: Option<u64>,
    /// By rank.
    pub replicas: Vec<ReplicaAnswer>,
}

/// One replica.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReplicaAnswer {
    /// Its node.
    pub node: String,
    /// `leader`, `follower`, …
    pub role: String,
    /// It leads, and no other replica has been able to compare histories with it so far.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unverified: bool,
    /// What it has applied; absent if its node does not answer, like what follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<Position>,
    /// Records that it has not folded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag_records: Option<u64>,
    /// How old its newest complete state may be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag_ms: Option<u64>,
}

/// Body of `POST /admin/v1/databases/{database}/partitions/{partition}:handoff`; may be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HandoffBody {
    /// The successor; if absent, the best-ranked other replica.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

/// Body of `POST /admin/v1/databases/{database}/partitions/{partition}:resolve`; may be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResolveBody {
    /// The node whose history goes on; if absent, nothing is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep: Option<String>,
    /// Only show what would be lost.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

/// The histories of a partition's replicas, before anything was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResolveAnswer {
    /// The partition's number.
    pub partition: u32,
    /// Whether a replica waits for an operator's word.
    pub in_doubt: bool,
    /// Whether one history goes on now, and every replica that runs has it.
    pub resolved: bool,
    /// The placed replicas.
    pub replicas: Vec<HistoryAnswer>,
}

/// What a replica has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryAnswer {
    /// Its node.
    pub node: String,
    /// What it does; `unknown` if its node does not say.
    pub role: String,
    /// Its last record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scn: Option<String>,
    /// All of its history as 32 hexadecimal digits: who has the same has the same history.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<String>,
    /// The offset in the log below which it has folded everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub below: Option<u64>,
    /// What it has and the history that goes on has not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loses: Option<String>,
}

/// All nodes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodesAnswer {
    /// In ascending order.
    pub nodes: Vec<NodeAnswer>,
}

/// One node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeAnswer {
    /// Such as `n1`.
    pub node: String,
    /// Whether it runs.
    pub alive: bool,
    /// Its current or last life.
    pub incarnation: u64,
    /// Where clients reach it.
    pub address: String,
    /// Partitions that it leads.
    pub leaderships: usize,
    /// Replicas that it runs.
    pub replicas: usize,
    /// What fails together with it, if it has said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// How much it can carry beside others; absent before it has registered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<u32>,
    /// An operator has drained it: it leads nothing that another node can.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub drained: bool,
    /// Why it is unhealthy, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sick: Option<String>,
}

/// How far the cluster is with a newer feature level.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpgradeAnswer {
    /// What every node reads, and leaders use.
    pub feature_level: u32,
    /// What the newest nodes read, if that is more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_level: Option<u32>,
    /// The nodes that do not read that; if there are none, it can be finished.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held_by: Vec<String>,
    /// Every node that is registered.
    pub nodes: Vec<UpgradeNodeAnswer>,
    /// Partitions that there are.
    pub partitions: usize,
    /// Partitions whose logs do not use the level yet: their leaders follow within seconds, and one
    /// that is not led follows when it is.
    pub partitions_to_follow: usize,
}

/// What a node has declared when it started last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpgradeNodeAnswer {
    /// Its name.
    pub node: String,
    /// Whether it runs.
    pub alive: bool,
    /// Version of its software, if it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build: Option<String>,
    /// The highest level that it reads.
    pub feature_level: u32,
}

/// The whole cluster in one answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClusterAnswer {
    /// Version of the software.
    pub version: String,
    /// Whether every partition is served.
    pub ready: bool,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What the operator has allowed and should not forget.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// In ascending order.
    pub nodes: Vec<NodeAnswer>,
    /// `_cluster` first, then by name; the system's own stand before all others.
    pub databases: Vec<DatabaseStatusAnswer>,
}

/// The state of one database.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DatabaseStatusAnswer {
    /// Its name.
    pub name: String,
    /// By number.
    pub partitions: Vec<PartitionAnswer>,
}

/// A part of the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventsAnswer {
    /// Oldest first.
    pub events: Vec<EventAnswer>,
    /// For the parameter `after` of the next request; absent if there was nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// One automatic action, with its explanation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventAnswer {
    /// Where a reader goes on.
    pub id: String,
    /// RFC 3339.
    pub time: String,
    /// Who decided.
    pub node: String,
    /// What kind of action.
    pub kind: String,
    /// The database, if it concerns one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// The partition, if it concerns one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition: Option<u32>,
    /// What was done.
    pub what: String,
    /// What was known, and which alternatives were passed over.
    pub evidence: Vec<String>,
    /// How a person would do the same.
    pub by_hand: String,
    /// How to undo it.
    pub undo: String,
}
