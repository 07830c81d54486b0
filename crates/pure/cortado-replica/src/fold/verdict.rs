//! What the fold makes of a record, and why.
//!
//! Decides nothing: that is [`crate::FoldState::judge`]. Start reading at [`Verdict`].

use crate::record::{Body, ChainHash, Config, DecodeError, HistoryPoint, Need, Record};
use core::fmt;
use cortado_model::NodeId;

/// What the fold makes of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It counts, says this, and carries this chain hash.
    Accepted(Record, ChainHash),
    /// Passed over, by every replica alike.
    Void(VoidReason),
    /// The replica stays before it.
    Stop(Stop),
}

impl Verdict {
    /// The same of a node that has declared to read the feature level `own`, and no higher one.
    ///
    /// * `needed`: what the record's frame says that a reader needs.
    pub(crate) fn by(self, own: u16, needed: u16) -> Verdict {
        if let Verdict::Stop(Stop::NeedsUpgrade(Need::Feature { needed, .. })) = self {
            return Verdict::Stop(Stop::NeedsUpgrade(Need::Feature { needed, own }));
        }
        let Verdict::Accepted(record, _) = &self else { return self };
        let raised = match &record.body {
            Body::Genesis(genesis) => genesis.feature_level,
            Body::Config(Config::Feature { level }) => *level,
            Body::Claim(_)
            | Body::Transaction(_)
            | Body::Barrier(_)
            | Body::StepDown(_)
            | Body::Config(_) => 0,
        };
        let needed = needed.max(raised);
        if needed <= own {
            return self;
        }
        Verdict::Stop(Stop::NeedsUpgrade(Need::Feature { needed, own }))
    }
}

/// Why a record does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VoidReason {
    /// No record of this partition: a stranger's bytes, or another partition's.
    Foreign,
    /// A claim that lost the race, or read an older log.
    NotNextGeneration,
    /// A claim of a node that is not in the replica set.
    NotAReplica,
    /// From a leader that has been replaced.
    Zombie,
    /// From a replica that has not won the generation it names.
    Stranger,
    /// Of a generation whose claim is missing here.
    MissingClaim,
    /// Re-published from a checkpoint; it counted the first time.
    Duplicate,
    /// An earlier record of the generation is missing; both come again.
    Gap,
    /// Its producer had already given up.
    AfterStepDown,
    /// The log has not been opened yet.
    BeforeGenesis,
    /// A leader goes on with another history than this replica has. It changes nothing so far, and
    /// the next claim may end it.
    Disputed(Conflict),
    /// A claim that disputes a leader which has served by then.
    LeaderHasServed,
}

/// Why a replica cannot go past a record. Its state is as before it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stop {
    /// Broken storage or software: build the replica anew.
    #[error(transparent)]
    Broken(#[from] Breakage),
    /// The record counts, and this build cannot read it: keep everything, upgrade.
    #[error(transparent)]
    NeedsUpgrade(Need),
    /// The leader goes on with more than this replica has: it lost records, resync.
    #[error("this replica has lost records: {0}")]
    Behind(Conflict),
    /// The leader has gone on from another history than this replica has: keep everything, a person
    /// decides.
    #[error("histories differ: {0}")]
    Disputed(Conflict),
}

impl From<Breakage> for Verdict {
    fn from(breakage: Breakage) -> Verdict {
        Verdict::Stop(Stop::Broken(breakage))
    }
}

/// Two histories, one of which has what the other has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// This replica's.
    pub own: HistoryPoint,
    /// What the record goes on with, or how far it would go.
    pub other: HistoryPoint,
    /// Who wrote the record.
    pub holder: NodeId,
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} goes on with {}, this replica has {}", self.holder, self.other, self.own)
    }
}

/// What no fault of a machine or network explains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Breakage {
    /// The log belongs to another partition.
    #[error("the log belongs to another partition: its genesis is foreign")]
    ForeignGenesis,
    /// Two records claim the same place.
    #[error("two different records have the same SCN")]
    Fork,
    /// Log offsets were left out, and the log does not vouch for their being empty: resync from a
    /// snapshot.
    #[error("log offsets are missing")]
    Hole,
    /// The record cannot be read.
    #[error(transparent)]
    Undecodable(DecodeError),
}
