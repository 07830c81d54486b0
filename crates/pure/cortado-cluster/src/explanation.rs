//! Why the automation acted: evidence, alternatives, how to do it by hand, how to undo it.
//!
//! Data, so that a console can show it and a test can compare it; only the evidence has words, for
//! a claim's record carries their hash. Start reading at [`Explanation`].

use crate::detector::{Death, GrayFailure, Sickness};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use cortado_model::{NodeId, NodeIncarnation, PartitionId};
use xxhash_rust::xxh3::xxh3_128;

/// The reasons for one decision about one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The partition.
    pub partition: PartitionId,
    /// Who decided.
    pub node: NodeId,
    /// What made it act.
    pub cause: Cause,
    /// How long it left others the chance to act first.
    pub waited_ms: u64,
    /// Who else could have, and why not.
    pub alternatives: Vec<Alternative>,
    /// How a person would have done the same.
    pub by_hand: Command,
    /// What restores the former state, if there was one to return to.
    pub undo: Option<Command>,
}

/// What makes a node claim, or hand over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The partition is new.
    NeverLed,
    /// The leader is gone.
    LeaderDead {
        /// Who led.
        leader: NodeId,
        /// In which life.
        incarnation: NodeIncarnation,
        /// The evidence.
        death: Death,
    },
    /// The leader works for some nodes and not for others, and has not stepped down.
    LeaderGray {
        /// Who leads.
        leader: NodeId,
        /// In which life.
        incarnation: NodeIncarnation,
        /// The evidence.
        gray: GrayFailure,
    },
    /// The leader works, and says that it does not reach the log of this partition.
    LeaderCutOff {
        /// Who leads.
        leader: NodeId,
        /// In which life.
        incarnation: NodeIncarnation,
        /// For how long it has said so.
        said_ms: u64,
    },
    /// The leader's process is another one now, and never continues what the old one led.
    LeaderRestarted {
        /// Who led.
        leader: NodeId,
        /// The life in which it led.
        old: NodeIncarnation,
        /// Its present life.
        new: NodeIncarnation,
    },
    /// The leader gave the leadership up.
    SteppedDown {
        /// Who led.
        by: NodeId,
        /// Whom it named.
        to: Option<NodeId>,
    },
    /// The preferred leader is fit, and does not lead.
    PreferredIsBack {
        /// For how long it has been alive.
        alive_ms: u64,
    },
    /// The node that an operator has chosen is fit, and does not lead.
    PinnedIsBack {
        /// For how long it has been alive.
        alive_ms: u64,
    },
    /// The leader's node is to lead nothing.
    Drained,
    /// The leader's replica is to move to another node.
    MovesAway,
    /// The leader itself is unfit.
    Sick(Sickness),
}

impl Cause {
    /// Whether the log itself says that no node leads. Deaths and gray failures are guesses; and
    /// only guesses can make two nodes take a leadership from each other again and again.
    pub(crate) fn is_certain(&self) -> bool {
        match self {
            Cause::NeverLed | Cause::LeaderRestarted { .. } | Cause::SteppedDown { .. } => true,
            Cause::LeaderDead { .. }
            | Cause::LeaderGray { .. }
            | Cause::LeaderCutOff { .. }
            | Cause::PreferredIsBack { .. }
            | Cause::PinnedIsBack { .. }
            | Cause::Drained
            | Cause::MovesAway
            | Cause::Sick(_) => false,
        }
    }

    /// Whether others may have led since, unless the log has been read to its end: a node that
    /// starts finds itself as leader in what it read last, and has missed who took over.
    pub(crate) fn may_be_over(&self) -> bool {
        match self {
            Cause::NeverLed | Cause::LeaderRestarted { .. } => true,
            // What is said of the dead is a matter of seconds, and a successor is named now.
            Cause::LeaderDead { .. }
            | Cause::LeaderGray { .. }
            | Cause::LeaderCutOff { .. }
            | Cause::SteppedDown { .. }
            | Cause::PreferredIsBack { .. }
            | Cause::PinnedIsBack { .. }
            | Cause::Drained
            | Cause::MovesAway
            | Cause::Sick(_) => false,
        }
    }

    /// The leader that is gone, or as good as gone.
    pub(crate) fn gone_leader(&self) -> Option<NodeId> {
        match self {
            Cause::LeaderDead { leader, .. }
            | Cause::LeaderGray { leader, .. }
            | Cause::LeaderCutOff { leader, .. } => Some(*leader),
            Cause::NeverLed
            | Cause::LeaderRestarted { .. }
            | Cause::SteppedDown { .. }
            | Cause::PreferredIsBack { .. }
            | Cause::PinnedIsBack { .. }
            | Cause::Drained
            | Cause::MovesAway
            | Cause::Sick(_) => None,
        }
    }

    /// Whether it makes a node claim; the others make it hand over.
    pub fn is_claim(&self) -> bool {
        match self {
            Cause::NeverLed
            | Cause::LeaderDead { .. }
            | Cause::LeaderGray { .. }
            | Cause::LeaderCutOff { .. }
            | Cause::LeaderRestarted { .. }
            | Cause::SteppedDown { .. } => true,
            Cause::PreferredIsBack { .. }
            | Cause::PinnedIsBack { .. }
            | Cause::Drained
            | Cause::MovesAway
            | Cause::Sick(_) => false,
        }
    }
}

/// A node that could have acted instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alternative {
    /// The node.
    pub node: NodeId,
    /// Why it did not.
    pub why: NotChosen,
}

/// Why a node was not the one to act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotChosen {
    /// It counts as dead.
    Dead(Death),
    /// It works for some nodes and not for others.
    Gray(GrayFailure),
    /// It has said that it does not reach the partition's log.
    CutOff,
    /// The log does not let it claim: its replica is about to join or to leave.
    NotEligible,
    /// Its turn comes this long after the leadership became vacant; it may come first, and has not
    /// acted so far.
    Waits {
        /// From its rank.
        wait_ms: u64,
    },
}

/// A command that a person could give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Gives the leadership of a partition to a node.
    HandOff {
        /// The partition.
        partition: PartitionId,
        /// The node.
        to: NodeId,
    },
    /// Hands over all that a node leads, and keeps it from leading.
    Drain {
        /// The node.
        node: NodeId,
    },
    /// Ends a drain.
    Resume {
        /// The node.
        node: NodeId,
    },
}

impl Explanation {
    /// What the decision rests on, one fact in each line, as the journal tells it.
    pub fn evidence(&self) -> Vec<String> {
        let mut evidence = vec![self.cause.to_string()];
        if self.waited_ms > 0 {
            evidence.push(format!("waited {} ms for others", self.waited_ms));
        }
        let others = self.alternatives.iter();
        evidence.extend(others.map(|other| format!("{} {}", other.node, other.why)));
        evidence
    }

    /// Hash of [`evidence`](Self::evidence), as a claim's record carries it.
    pub fn evidence_digest(&self) -> u128 {
        xxh3_128(self.evidence().join("\n").as_bytes())
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::NeverLed => f.write_str("it has never been led"),
            Cause::LeaderDead { leader, death, .. } => write!(f, "leader {leader} {death}"),
            Cause::LeaderGray { leader, gray, .. } => write!(f, "leader {leader} {gray}"),
            Cause::LeaderCutOff { leader, said_ms, .. } => write!(
                f,
                "leader {leader} has said for {said_ms} ms that it does not reach this \
                 partition's log"
            ),
            Cause::LeaderRestarted { leader, .. } => {
                write!(f, "leader {leader} has restarted, its leadership is over")
            }
            Cause::SteppedDown { by, to: Some(to) } => {
                write!(f, "leader {by} stepped down in favour of {to}")
            }
            Cause::SteppedDown { by, to: None } => write!(f, "leader {by} stepped down"),
            Cause::PreferredIsBack { alive_ms } => {
                write!(f, "the preferred leader has been alive for {alive_ms} ms")
            }
            Cause::PinnedIsBack { alive_ms } => {
                write!(f, "the pinned leader has been alive for {alive_ms} ms")
            }
            Cause::Drained => f.write_str("the leader's node is drained"),
            Cause::MovesAway => f.write_str("the leader's replica moves to another node"),
            Cause::Sick(sickness) => write!(f, "{sickness}"),
        }
    }
}

impl fmt::Display for NotChosen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotChosen::Dead(death) => write!(f, "is dead: {death}"),
            NotChosen::Gray(gray) => write!(f, "is not sound: {gray}"),
            NotChosen::CutOff => f.write_str("does not reach the partition's log, as it says"),
            NotChosen::NotEligible => f.write_str("may not claim: its replica joins or leaves"),
            NotChosen::Waits { wait_ms: 0 } => f.write_str("could act at once"),
            NotChosen::Waits { wait_ms } => write!(f, "would wait {wait_ms} ms"),
        }
    }
}
