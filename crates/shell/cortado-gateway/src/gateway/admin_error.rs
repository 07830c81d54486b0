//! Why a declaration or an order was not carried out.
//!
//! Start reading at [`AdminError`].

use super::{ReadError, UnknownReason, WriteError};
use crate::cluster_log::CatalogError;
use crate::database_log::BeginError;
use cortado_cluster::{ChangeId, PlannedKind};
use cortado_document::SchemaError;
use cortado_model::NodeId;
use cortado_replica::NotDone;

/// What clients are told when a declaration could not be written.
const RETRY_AFTER_MS: u64 = 1_000;

/// Why a declaration or an order was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// There is no database of that name.
    #[error("there is no such database")]
    NoSuchDatabase,
    /// There is no table of that name.
    #[error("there is no such table")]
    NoSuchTable,
    /// The partition number is not below the database's partition count.
    #[error("the database has no such partition")]
    NoSuchPartition,
    /// The node has no replica of the partition, or none that could lead now; without a node, no
    /// other replica could.
    #[error(
        "no such replica can lead the partition now: it must run, be healthy and have caught up"
    )]
    CannotLead,
    /// No node of that name has ever registered.
    #[error("no node of that name has ever registered")]
    NotRegistered,
    /// The node does not run, has no such replica, or copies one just now.
    #[error("the replica of {node} tells no history: it must run, and not be copying another one")]
    NoHistory {
        /// Its name.
        node: String,
    },
    /// The node leads nothing until it is resumed.
    #[error("the node is drained; resume it first")]
    NodeDrained,
    /// All other nodes are drained, or do not run.
    #[error(
        "all other nodes are drained or do not run: no node would be left to lead; resume or start \
         one first"
    )]
    LastNode,
    /// The node runs in this process.
    #[error("the node is running; stop it first")]
    NodeRuns,
    /// Replicas cannot be placed so.
    #[error("{why}")]
    NotPlanned {
        /// What stands against it, and what to do.
        why: String,
    },
    /// One change at a time: what it plans would not be even together with another one.
    #[error(
        "change {id} is under way ({kind}); wait until it is over, or cancel it: `cortado moves \
         cancel {id}`"
    )]
    ChangeUnderWay {
        /// Which.
        id: ChangeId,
        /// What it is for.
        kind: PlannedKind,
    },
    /// There is no such change, or it is over.
    #[error("there is no such change, or it is over")]
    NoSuchChange,
    /// What was cancelled does not go on.
    #[error("the change is cancelled; order it again")]
    ChangeCancelled,
    /// Not of the form `[a-z][a-z0-9_]{0,62}`; or a system database, which clients cannot declare.
    #[error("names must match [a-z][a-z0-9_]{{0,62}}; those that begin with _ are reserved")]
    BadName,
    /// The declaration contradicts itself or a limit.
    #[error(transparent)]
    Invalid(#[from] InvalidDeclaration),
    /// It exists, and is something else.
    #[error("it already exists with a different declaration: {}", .reasons.join("; "))]
    Conflict {
        /// How it differs; at least one.
        reasons: Vec<String>,
    },
    /// Not done, now or later. Try again.
    #[error("{why}")]
    NotDone {
        /// What was met.
        #[source]
        why: Obstacle,
        /// When to try again.
        retry_after_ms: u64,
    },
    /// Perhaps done. A declaration may be repeated: what it asks for is done once. Of a handoff,
    /// look who leads.
    #[error("outcome unknown")]
    Unknown(#[source] Uncertainty),
}

impl AdminError {
    /// What to tell of a declaration that is written: what comes behind it was not done, yet others
    /// may finish it.
    pub(super) fn behind_a_declaration(self) -> AdminError {
        match self {
            AdminError::NotDone { why, .. } => AdminError::Unknown(Uncertainty::Unfinished(why)),
            AdminError::NoSuchDatabase
            | AdminError::NoSuchTable
            | AdminError::NoSuchPartition
            | AdminError::CannotLead
            | AdminError::NoHistory { .. }
            | AdminError::NotRegistered
            | AdminError::NodeDrained
            | AdminError::LastNode
            | AdminError::NodeRuns
            | AdminError::NotPlanned { .. }
            | AdminError::ChangeUnderWay { .. }
            | AdminError::NoSuchChange
            | AdminError::ChangeCancelled
            | AdminError::BadName
            | AdminError::Invalid(_)
            | AdminError::Conflict { .. }
            | AdminError::Unknown(_) => self,
        }
    }
}

/// Why a declaration contradicts itself or a limit.
#[derive(Debug, thiserror::Error)]
pub enum InvalidDeclaration {
    /// What is to be stored is longer than a document may be.
    #[error("a declaration has at most {bytes_max} bytes")]
    TooLarge {
        /// The limit.
        bytes_max: usize,
    },
    /// No partitions, or too many.
    #[error("a database has 1 to {partitions_max} partitions")]
    Partitions {
        /// The limit.
        partitions_max: u32,
    },
    /// With those that there are, there would be more partitions than a cluster can carry.
    #[error(
        "the cluster has {existing} partitions and may have {partitions_max} in all: drop a \
         database, or ask for fewer partitions"
    )]
    PartitionsOfAll {
        /// How many there are.
        existing: u32,
        /// The limit.
        partitions_max: u32,
    },
    /// More tables than one declaration takes.
    #[error(
        "a database is created with at most {tables_max} tables: create it with some of them, then \
         declare the others one by one"
    )]
    Tables {
        /// The limit.
        tables_max: usize,
    },
    /// What the declaration writes exceeds what one record holds.
    #[error(
        "the declaration writes {bytes} bytes, and may write {bytes_max} at a time: declare some \
         of the tables later, one by one"
    )]
    RecordTooLarge {
        /// What it would write.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// No replicas, or more than there are nodes.
    #[error("there are {nodes} nodes: a partition has 1 to {nodes} replicas")]
    Replication {
        /// How many nodes there are.
        nodes: u32,
    },
    /// A table's schema is invalid.
    #[error("table {table}")]
    Schema {
        /// The table's name.
        table: String,
        /// Why.
        #[source]
        source: SchemaError,
    },
}

/// What kept a declaration or an order from being carried out.
#[derive(Debug, thiserror::Error)]
pub enum Obstacle {
    /// `_cluster` was not read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A document of `_cluster` cannot be understood.
    #[error(transparent)]
    Stored(#[from] CatalogError),
    /// This node has not folded `_cluster` as far as its leader.
    #[error("this node has not caught up with _cluster")]
    Behind,
    /// `_cluster` was not written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The log of a database was not begun.
    #[error("the database's log was not created")]
    Log(#[from] BeginError),
    /// The log of a database was not begun before the deadline.
    #[error("the database's log was not created in time")]
    LogLate,
    /// No replica led the partition before the deadline.
    #[error("no replica leads the partition")]
    NoLeader,
    /// The leader did not step down.
    #[error("{}", why_not(.0))]
    NoStepDown(NotDone),
    /// The process is ending.
    #[error("the process is shutting down")]
    Ending,
}

/// Why it is open whether a declaration or an order was carried out.
#[derive(Debug, thiserror::Error)]
pub enum Uncertainty {
    /// `_cluster` was perhaps written.
    #[error(transparent)]
    Write(#[from] UnknownReason),
    /// `_cluster` was written; what it says cannot be seen at this node yet.
    #[error("it is declared, but not visible at this node yet")]
    NotVisible,
    /// `_cluster` was written; what comes behind it was not done.
    #[error("it is declared, but not finished yet")]
    Unfinished(#[source] Obstacle),
    /// The process has begun to end meanwhile.
    #[error("the process is shutting down")]
    Interrupted,
    /// The leader was told to step down, and has not answered.
    #[error("the leader did not answer")]
    LeaderSilent,
    /// The leader has not stepped down, and the pin was not taken back.
    #[error("the leadership was not handed over, but stays pinned to {to} and may go there later")]
    PinStays {
        /// The node.
        to: NodeId,
    },
    /// Replicas were told which history goes on, and are not done yet.
    #[error("the replicas were told which history goes on, and not all of them have it yet")]
    Unresolved,
    /// The leader has stepped down.
    #[error("the leader stepped down, but its successor does not serve yet")]
    NoSuccessor(#[source] ReadError),
}

pub(crate) fn not_done(why: impl Into<Obstacle>) -> AdminError {
    AdminError::NotDone { why: why.into(), retry_after_ms: RETRY_AFTER_MS }
}

fn why_not(why: &NotDone) -> &'static str {
    match why {
        NotDone::NotLeader => "another node leads the partition now",
        NotDone::Changing => "the leadership is already changing",
        NotDone::Overloaded => "too many writes are in flight",
        NotDone::LogRefused => "the log refused the step-down",
        NotDone::LogUnusable => "the log accepts no writes until the process is restarted",
        NotDone::Exhausted => "the partition's generations are used up",
        NotDone::Offline => "the leader's replica is offline",
    }
}
