//! Bodies of the routes that move replicas.
//!
//! Start reading at [`MoveOrderBody`].

use serde::{Deserialize, Serialize};

/// Body of `POST /admin/v1/moves`: what is to be placed otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MoveOrderBody {
    /// `rebalance`, `remove_node`, `replace_node` or `move_replica`; left out where the path says
    /// what is wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// `remove_node`: the node that is to leave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// `move_replica`: its database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// `move_replica`: the number of its partition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition: Option<u32>,
    /// `replace_node` and `move_replica`: the node that gives up what it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The node that gets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Only says what would be moved.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// Replicas that are copied to one node at a time; 1 or more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copies_per_node: Option<u32>,
    /// Replicas that are copied in the whole cluster at a time; 1 or more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copies_per_cluster: Option<u32>,
    /// What all copies together may take; 0 for no bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_per_second: Option<u64>,
}

impl MoveOrderBody {
    /// How fast.
    pub fn limits(&self) -> MoveLimitsBody {
        let MoveOrderBody { copies_per_node, copies_per_cluster, bytes_per_second, .. } = *self;
        MoveLimitsBody { copies_per_node, copies_per_cluster, bytes_per_second }
    }
}

/// Body of `POST /admin/v1/moves/{change}:throttle`; what is absent stays as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MoveLimitsBody {
    /// Replicas that are copied to one node at a time; 1 or more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copies_per_node: Option<u32>,
    /// Replicas that are copied in the whole cluster at a time; 1 or more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copies_per_cluster: Option<u32>,
    /// What all copies together may take; 0 for no bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_per_second: Option<u64>,
}

/// What a change moves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MovePlanAnswer {
    /// Its id; absent if it was only planned, or moves nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<u64>,
    /// What it is for, in one sentence.
    pub what: String,
    /// Replicas to copy.
    pub replicas: u64,
    /// What they hold, as far as that is known.
    pub bytes: u64,
    /// Whether it is known of all of them.
    pub all_measured: bool,
    /// Partitions that are placed otherwise afterwards, if only in the order of their nodes.
    pub partitions: u64,
    /// How fast.
    pub limits: MoveLimitsAnswer,
    /// The replicas that come and go.
    pub moves: Vec<PlannedMoveAnswer>,
}

/// How fast replicas may move.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MoveLimitsAnswer {
    /// Replicas that are copied to one node at a time.
    pub copies_per_node: u32,
    /// Replicas that are copied in the whole cluster at a time.
    pub copies_per_cluster: u32,
    /// What all copies together may take; 0 for no bound.
    pub bytes_per_second: u64,
}

/// One replica that is to come, to go, or both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedMoveAnswer {
    /// Its database.
    pub database: String,
    /// The number of its partition.
    pub partition: u32,
    /// Where one is removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Where one is added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

/// The changes that are not over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MovesAnswer {
    /// In the order in which they were planned.
    pub changes: Vec<MoveChangeAnswer>,
}

/// A change, and how far it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MoveChangeAnswer {
    /// Its id.
    pub change: u64,
    /// What it is for, in one sentence.
    pub what: String,
    /// `running`, `paused` or `cancelled`.
    pub state: String,
    /// Replicas that have been copied and have joined.
    pub replicas_done: u32,
    /// Of so many.
    pub replicas: u32,
    /// Replicas that are being copied.
    pub copying: u32,
    /// Bytes that have been copied.
    pub bytes_done: u64,
    /// Of so many.
    pub bytes: u64,
    /// When it will be over, as it goes now; absent while that cannot be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eta_ms: Option<u64>,
    /// How fast.
    pub limits: MoveLimitsAnswer,
    /// What its partitions wait for.
    pub waiting: Vec<MoveWaitingAnswer>,
}

/// Partitions that wait for the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MoveWaitingAnswer {
    /// For what.
    pub why: String,
    /// How many.
    pub partitions: u64,
    /// The database of one of them.
    pub database: String,
    /// Its number.
    pub partition: u32,
}
