//! What replicas of a partition tell one another of themselves.
//!
//! Decides nothing. Start reading at [`PeerStanding`].

use crate::role::ReplicaRole;
use alloc::vec::Vec;
use cortado_model::{Generation, LogOffset, NodeId, ReplicaIncarnation, Scn, Sequence, WallMillis};
use cortado_replica::{Claimant, FoldState, HistoryPoint};

/// How a placed replica stands, as it says itself when another one asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerStanding {
    /// Where.
    pub node: NodeId,
    /// In which life.
    pub incarnation: ReplicaIncarnation,
    /// What it does.
    pub role: ReplicaRole,
    /// What it has folded; `None` if it has nothing that could be compared.
    pub folded: Option<Folded>,
    /// Its node's wall clock.
    pub wall: WallMillis,
}

/// How far a replica has come in its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Folded {
    /// The current generation.
    pub generation: Generation,
    /// Everything below is folded.
    pub below: LogOffset,
    /// The last accepted record.
    pub accepted: HistoryPoint,
    /// Who won this generation, and over which history; `None` if no replica has ever led.
    pub claimant: Option<Claimant>,
}

/// What the placed replicas have said, this one left out, and what its node knows about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerAnswers {
    /// One for each that has answered.
    pub heard: Vec<PeerStanding>,
    /// How many have not, although they are thought to live.
    pub unheard: usize,
    /// How many replicas there should be, this one included.
    pub placed: usize,
    /// This replica's node may claim the partition now, if there is a reason.
    pub may_claim: bool,
}

impl Folded {
    /// As `fold` is.
    pub(crate) fn of(fold: &FoldState) -> Folded {
        Folded {
            generation: fold.generation(),
            below: fold.position.offset,
            accepted: fold.history(),
            claimant: fold.claimant,
        }
    }

    /// The history that the claim of this generation found.
    pub(crate) fn over(&self) -> HistoryPoint {
        self.claimant.map_or(self.accepted, |claimant| claimant.over)
    }

    /// The last record that a leader may have served by: behind a claim and the barrier that opens
    /// it nothing was served yet.
    pub(crate) fn held(&self) -> Scn {
        let accepted = self.accepted.scn;
        if accepted.sequence > Sequence(1) { accepted } else { self.over().scn }
    }

    /// Whether both believe that the same replica has won the generation.
    pub(crate) fn has_same_claimant(&self, other: &Folded) -> bool {
        let name = |folded: &Folded| folded.claimant.map(|won| (won.node, won.incarnation));
        name(self) == name(other)
    }
}
