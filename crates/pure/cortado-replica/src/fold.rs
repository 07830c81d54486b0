//! The function from a log's prefix to a partition's state: which records count.
//!
//! Every replica folds the same records to the same state; roles and clocks play no part.
//! Start reading at [`FoldState::judge`]. Source: docs/protocols/replication.md, "The fold".

mod checkpoint;

use crate::record::{Body, ChainHash, Config, Decoded, Genesis, Header, StepDown, chain_after};
use bytes::Bytes;
use cortado_model::{Generation, LogOffset, NodeId, ReplicaIncarnation, Scn, WallMillis};

/// What a replica knows when it has folded a prefix of its log, apart from the documents.
///
/// Belongs to the partition, not to a role: stored in the same atomic batch as the documents, and
/// part of every snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoldState {
    /// What the log must begin with.
    pub genesis: Genesis,
    /// Whether it has.
    pub begun: bool,
    /// Who won the current generation.
    pub claimant: Option<Claimant>,
    /// The last accepted record.
    pub last: Scn,
    /// Hash of the history up to `last`.
    pub chain: ChainHash,
    /// The first log offset that has not been folded.
    pub next_offset: LogOffset,
    /// Log time: the greatest wall clock of an accepted record.
    pub time: WallMillis,
    /// How the current generation ended, if it has.
    pub stepped_down: Option<StepDown>,
    /// The log has been allowed to forget what lies below.
    pub trimmed_below: LogOffset,
}

/// The winner of a generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimant {
    /// The node.
    pub node: NodeId,
    /// The life of the replica that claimed; a later one of it is somebody else.
    pub incarnation: ReplicaIncarnation,
    /// Where clients reach it.
    pub address: String,
}

impl FoldState {
    /// Before the first record of the log that begins with `genesis`.
    pub fn before(genesis: Genesis) -> FoldState {
        FoldState {
            genesis,
            begun: false,
            claimant: None,
            last: Scn::ZERO,
            chain: ChainHash::default(),
            next_offset: LogOffset::ZERO,
            time: WallMillis(0),
            stepped_down: None,
            trimmed_below: LogOffset::ZERO,
        }
    }

    /// The current leadership; 0 before the first claim.
    pub fn generation(&self) -> Generation {
        self.last.generation
    }

    /// What becomes of the record at [`next_offset`](Self::next_offset).
    ///
    /// Depends on this state and the record alone, so every replica decides alike.
    pub fn judge(&self, decoded: &Decoded, bytes: &Bytes) -> Verdict {
        let header = &decoded.record.header;
        match &decoded.record.body {
            Body::Heartbeat => Verdict::Void(Why::Heartbeat),
            Body::Genesis(genesis) if *genesis != self.genesis => {
                Verdict::Broken(Breakage::ForeignGenesis)
            }
            Body::Genesis(_) if self.begun => Verdict::Void(Why::Duplicate),
            Body::Genesis(_) => Verdict::Accepted,
            _ if !self.begun => Verdict::Void(Why::BeforeGenesis),
            Body::Claim(_) if header.scn == Scn::opening(self.generation().next()) => {
                Verdict::Accepted
            }
            Body::Claim(_) => Verdict::Void(Why::NotNextGeneration),
            Body::Transaction(_) | Body::Barrier | Body::StepDown(_) | Body::Config(_) => {
                self.judge_within(header, decoded.chain, bytes)
            }
        }
    }

    /// The rule for records inside a generation.
    fn judge_within(&self, header: &Header, chain: ChainHash, bytes: &Bytes) -> Verdict {
        if header.scn.generation < self.generation() {
            return Verdict::Void(Why::Zombie);
        }
        if header.scn.generation > self.generation() || !self.is_claimant(header) {
            return Verdict::Void(Why::Stranger);
        }
        if header.scn == self.last && self.last.sequence.0 > 0 && chain != self.chain {
            return Verdict::Broken(Breakage::Fork);
        }
        if header.scn <= self.last {
            return Verdict::Void(Why::Duplicate);
        }
        if header.scn.sequence != self.last.sequence.next() {
            return Verdict::Void(Why::Gap);
        }
        if self.stepped_down.is_some() {
            return Verdict::Void(Why::AfterStepDown);
        }
        if chain_after(self.chain, bytes) != chain {
            return Verdict::Broken(Breakage::ChainMismatch);
        }
        Verdict::Accepted
    }

    /// Moves past a record that was judged [`Verdict::Accepted`].
    pub(crate) fn accept(&mut self, decoded: &Decoded, bytes: &Bytes) {
        let header = &decoded.record.header;
        self.time = self.time.max(header.time);
        self.next_offset = self.next_offset.plus(1);
        // A claimant cannot know which record its claim will follow; everybody else does.
        self.chain = match &decoded.record.body {
            Body::Claim(_) | Body::Genesis(_) => chain_after(self.chain, bytes),
            Body::Transaction(_)
            | Body::Barrier
            | Body::StepDown(_)
            | Body::Config(_)
            | Body::Heartbeat => decoded.chain,
        };
        match &decoded.record.body {
            Body::Genesis(_) => self.begun = true,
            Body::Claim(claim) => {
                self.stepped_down = None;
                self.claimant = Some(Claimant {
                    node: header.node,
                    incarnation: header.incarnation,
                    address: claim.address.clone(),
                });
            }
            Body::StepDown(step_down) => self.stepped_down = Some(*step_down),
            Body::Config(Config::Trim(trim)) => {
                self.trimmed_below = self.trimmed_below.max(trim.below);
            }
            Body::Transaction(_) | Body::Barrier | Body::Config(Config::Digest) => {}
            Body::Heartbeat => {}
        }
        self.last = header.scn;
    }

    /// Moves past a record that was judged [`Verdict::Void`].
    pub(crate) fn skip(&mut self) {
        self.next_offset = self.next_offset.plus(1);
    }

    /// Whether `header` was written by the life that won the current generation.
    pub(crate) fn is_claimant(&self, header: &Header) -> bool {
        self.claimant.as_ref().is_some_and(|claimant| {
            claimant.node == header.node && claimant.incarnation == header.incarnation
        })
    }

    /// Folds one entry without a replica: how change streams and tools tell what counts.
    ///
    /// Skips entries below [`next_offset`](Self::next_offset); answers the accepted record.
    ///
    /// # Errors
    /// The log is broken at this entry; the state has not moved.
    pub fn fold(&mut self, offset: LogOffset, bytes: &Bytes) -> Result<Option<Decoded>, Breakage> {
        if offset < self.next_offset {
            return Ok(None);
        }
        if offset > self.next_offset {
            return Err(Breakage::Hole);
        }
        let decoded = crate::record::decode(bytes).map_err(Breakage::Undecodable)?;
        match self.judge(&decoded, bytes) {
            Verdict::Accepted => {
                self.accept(&decoded, bytes);
                Ok(Some(decoded))
            }
            Verdict::Void(_) => {
                self.skip();
                Ok(None)
            }
            Verdict::Broken(breakage) => Err(breakage),
        }
    }
}

/// What the fold makes of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It counts.
    Accepted,
    /// Passed over, by every replica alike.
    Void(Why),
    /// The replica goes offline, loudly: broken storage or software.
    Broken(Breakage),
}

/// Why a record does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Noticed, never accepted.
    Heartbeat,
    /// A claim that lost the race, or read an older log.
    NotNextGeneration,
    /// From a leader that has been replaced.
    Zombie,
    /// From somebody who has not won the generation it names.
    Stranger,
    /// Re-published from a checkpoint; it counted the first time.
    Duplicate,
    /// An earlier record of the generation is missing; both come again.
    Gap,
    /// Its producer had already given up.
    AfterStepDown,
    /// The log has not been opened yet.
    BeforeGenesis,
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
    /// The record does not follow the history that this replica has folded.
    #[error("the record's chain hash does not follow this replica's history")]
    ChainMismatch,
    /// Log offsets are missing: resync from a snapshot.
    #[error("log offsets are missing")]
    Hole,
    /// The record cannot be read.
    #[error(transparent)]
    Undecodable(crate::record::DecodeError),
}

#[cfg(test)]
mod tests;
