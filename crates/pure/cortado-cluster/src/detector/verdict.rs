//! What the log and the peers say of a node together.
//!
//! Decides nothing. Start reading at [`NodeVerdict`]. Source: docs/protocols/failover.md, "Three
//! layers".

use super::peers::PeerLoss;
use core::fmt;
use cortado_model::{Millis, NodeIncarnation};

/// What both layers make of another node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeVerdict {
    /// No layer says that it is gone.
    Present,
    /// Silent in the log, and not for long enough.
    Silent {
        /// Its last sign of life.
        since: Millis,
    },
    /// Never heard of, but not for long enough to say more.
    Unknown,
    /// This node's own beats do not come back: silence of others says nothing.
    Unjudged,
    /// Both layers say that it is gone; or the log does, and peers have no opinion.
    Gone(Death),
    /// One layer says that it is gone, and the other one does not.
    Gray(GrayFailure),
}

/// A node that works for some and not for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GrayFailure {
    /// Since when.
    pub since: Millis,
    /// What is wrong.
    pub kind: GrayKind,
}

/// Which of two layers says that a node is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrayKind {
    /// The log: peers reach the node, and it does not reach the log.
    LogSilent(Death),
    /// The peers: the node beats, and no member or router reaches it.
    Unreachable(PeerLoss),
}

/// Why a node counts as dead in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Death {
    /// The moment at which the silence reached the limit.
    pub at: Millis,
    /// How long there has been no sign of life.
    pub silent_ms: u64,
    /// How long was allowed; more than the setting if this node mistrusts itself.
    pub limit_ms: u64,
    /// Beats that should have come in that time.
    pub beats_missed: u64,
    /// The life in which it was last heard of; `None` if never, since this node started.
    pub heard: Option<NodeIncarnation>,
    /// What peers say; `None` if they have no opinion.
    pub peers: Option<PeerLoss>,
}

impl fmt::Display for Death {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Death { silent_ms, limit_ms, beats_missed, heard, peers, .. } = self;
        match heard {
            Some(_) => write!(f, "silent for {silent_ms} ms")?,
            None => write!(f, "never heard of in {silent_ms} ms")?,
        }
        write!(f, " (limit {limit_ms} ms, {beats_missed} beats missed)")?;
        match peers {
            Some(loss) => write!(f, "; {loss}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for GrayFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            GrayKind::LogSilent(death) => {
                write!(f, "{death}, although peers reach it: it may have lost its way to the log")
            }
            GrayKind::Unreachable(loss) => write!(f, "beats, but {loss}"),
        }
    }
}
