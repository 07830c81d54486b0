//! What the journal tells: every automatic action, with its explanation.
//!
//! Start reading at [`DecisionEvent`].

use cortado_model::{NodeId, WallMillis};
use std::fmt;

/// One automatic action, or one fact that operators must know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecisionEvent {
    /// Where a reader goes on: a [`JournalPosition`](crate::JournalPosition) as text.
    pub id: String,
    /// When, by the wall clock of the node that decided.
    pub time: WallMillis,
    /// Who decided.
    pub node: NodeId,
    /// What kind of action.
    pub kind: EventKind,
    /// The database, if it concerns one.
    pub database: Option<String>,
    /// The partition, if it concerns one.
    pub partition: Option<u32>,
    /// What was done, in one sentence.
    pub what: String,
    /// What was known, and which alternatives were passed over.
    pub evidence: Vec<String>,
    /// How a person would do the same.
    pub by_hand: String,
    /// How to undo it.
    pub undo: String,
}

impl fmt::Display for DecisionEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.node, self.kind.name(), self.what)
    }
}

/// The kinds of decisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// A node appeared.
    NodeStarted,
    /// Another data directory may take a node's name over.
    NodeReplaced,
    /// A replica claims the leadership of its partition.
    Claim,
    /// A leadership goes to another node as planned.
    HandOff,
    /// A replica throws its state away and copies a peer's, or folds its log again.
    Resync,
    /// A replica is out of service until an operator acts.
    Offline,
    /// Replicas of a partition had different state at one SCN.
    DigestMismatch,
    /// A log was allowed to forget, or could not be.
    Trim,
    /// A node found itself sick, or well again.
    Health,
    /// A database or table was declared, changed or dropped.
    Declaration,
    /// Replicas move to other nodes, or are planned to.
    Move,
    /// An operator has chosen which of several histories goes on.
    Resolution,
}

impl EventKind {
    /// The stable name.
    pub fn name(self) -> &'static str {
        match self {
            EventKind::NodeStarted => "node_started",
            EventKind::NodeReplaced => "node_replaced",
            EventKind::Claim => "claim",
            EventKind::HandOff => "hand_off",
            EventKind::Resync => "resync",
            EventKind::Offline => "offline",
            EventKind::DigestMismatch => "digest_mismatch",
            EventKind::Trim => "trim",
            EventKind::Health => "health",
            EventKind::Declaration => "declaration",
            EventKind::Move => "move",
            EventKind::Resolution => "resolution",
        }
    }
}
