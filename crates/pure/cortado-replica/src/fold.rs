//! The function from a log's prefix to a partition's state: which records count.
//!
//! Every replica folds the same records to the same state; roles and clocks play no part.
//! Start reading at [`FoldState::judge`]. Source: docs/protocols/replication.md, "The fold".

mod checkpoint;
mod resolution;
mod verdict;

pub use verdict::{Breakage, Conflict, Stop, Verdict, VoidReason};

use crate::page::RecordPage;
use crate::record::{
    Body, ChainHash, ClaimReason, Config, DecodeError, FEATURE_LEVEL_NEXT, Frame, FrameError,
    Genesis, Header, HistoryPoint, Kind, Record, ReplicaSet, StepDown, Trim, chain_after,
};
use alloc::vec::Vec;
use bytes::Bytes;
use cortado_model::{
    Generation, LogId, LogOffset, LogPosition, NodeId, ReplicaIncarnation, Scn, Sequence,
    WallMillis,
};

/// What a replica knows when it has folded a prefix of its log, apart from the documents.
///
/// Belongs to the partition, not to a role: stored in the same atomic batch as the documents, and
/// part of every snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoldState {
    /// What the log begins with; before it has begun, what it must name and may say.
    pub genesis: Genesis,
    /// Whether it has begun.
    pub begun: bool,
    /// Which log this is.
    pub log: LogId,
    /// Where to go on reading it.
    pub position: LogPosition,
    /// Who won the current generation.
    pub claimant: Option<Claimant>,
    /// The last accepted record.
    pub last: Scn,
    /// Hash of the history up to `last`.
    pub chain: ChainHash,
    /// Log time: the greatest wall clock of an accepted record.
    pub time: WallMillis,
    /// How the current generation ended, if it has.
    pub stepped_down: Option<StepDown>,
    /// The log has been allowed to forget what lies below.
    pub trim: Option<Trim>,
    /// Who may claim.
    pub replicas: ReplicaSet,
    /// How long reads are served under a lease.
    pub leases: Leases,
    /// What every replica must understand.
    pub feature_level: u16,
    /// Which indexes changes keep, in words that the fold does not know.
    pub indexes: Bytes,
    gap: Option<Gap>,
    /// The current leader goes on with another history than is here. Not stored: who begins before
    /// what it has sent finds it again.
    dispute: Option<Conflict>,
    /// An operator has chosen this history, and the log does not say so yet. Not stored.
    chosen: bool,
    /// Sections of a newer build's checkpoint that say nothing to this one: tag and content.
    unknown: Vec<(u16, Bytes)>,
}

/// The winner of a generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claimant {
    /// The node.
    pub node: NodeId,
    /// The life of the replica that claimed; a later life is another claimant.
    pub incarnation: ReplicaIncarnation,
    /// The history that its claim found here: what its opening barrier must agree with. Generations
    /// whose leaders never served are no part of it: they add nothing, and what was lost below them
    /// would not show.
    pub over: HistoryPoint,
    /// The last record before its claim that is no claim.
    pub opened: Scn,
}

/// D, the lease length, as the log has changed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leases {
    /// In force.
    pub duration_ms: u32,
    /// The longest that a leader of this or an older generation may still count on.
    pub longest_ms: u32,
    /// Whether the current generation's leader has served: older leases are over then.
    pub served: bool,
}

/// A record is missing, and what stands behind it is void.
///
/// First taken to be the log's own: its leader has lost a record and landed the next, and then
/// every replica is in the same gap, and nothing behind it was ever committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The missing record, the first of them.
    pub since: Scn,
    /// The record that showed it.
    pub noticed: LogOffset,
}

impl FoldState {
    /// Before the first record of the log `log`, which begins with `genesis` or another one of the
    /// same identity: the first counts.
    pub fn before(genesis: Genesis, log: LogId) -> FoldState {
        FoldState {
            begun: false,
            log,
            position: LogPosition::START,
            claimant: None,
            last: Scn::ZERO,
            chain: ChainHash::default(),
            time: WallMillis(0),
            stepped_down: None,
            trim: None,
            replicas: genesis.replicas.clone(),
            leases: Leases::at_first(genesis.lease_ms),
            feature_level: genesis.feature_level,
            indexes: Bytes::new(),
            gap: None,
            dispute: None,
            chosen: false,
            unknown: Vec::new(),
            genesis,
        }
    }

    /// The current leadership; before the first claim the origin's last, 0 without a past.
    pub fn generation(&self) -> Generation {
        self.last.generation
    }

    /// The leadership that the next claim opens; may lie beyond the last one that there can be.
    pub fn next_generation(&self) -> Generation {
        self.generation().next()
    }

    /// The record that is missing, if one is.
    pub fn gap(&self) -> Option<Gap> {
        self.gap
    }

    /// How the history that the current leader goes on with differs from this one, if it does.
    pub fn dispute(&self) -> Option<Conflict> {
        self.dispute
    }

    /// Offsets below this one may be gone from the log.
    pub fn trimmed_below(&self) -> LogOffset {
        self.trim.map_or(LogOffset::ZERO, |trim| trim.below)
    }

    /// Whether an operator has chosen this history, and the log does not say so yet.
    pub fn is_chosen(&self) -> bool {
        self.chosen
    }

    /// The last accepted record, and everything before it.
    pub fn history(&self) -> HistoryPoint {
        HistoryPoint { scn: self.last, chain: self.chain }
    }

    /// The last record of which is known that the leader's history has it, too.
    ///
    /// A claim alone says nothing about the history that its leader goes on with.
    pub fn agreed(&self) -> Scn {
        self.unopened().map_or(self.last, |claimant| claimant.opened)
    }

    /// The claimant of whose generation no other record was accepted.
    fn unopened(&self) -> Option<&Claimant> {
        self.claimant.as_ref().filter(|_| self.last.sequence == Sequence(0))
    }

    /// What becomes of the record at [`position`](Self::position), a whole one of this partition.
    ///
    /// Depends on this state and the record alone, so every replica decides alike. What would not
    /// count anyway is not read further than its frame: a newer build may have written it.
    pub fn judge(&self, frame: &Frame) -> Verdict {
        match frame.kind {
            Kind::GENESIS => self.judge_genesis(frame),
            _ if !self.begun => Verdict::Void(VoidReason::BeforeGenesis),
            Kind::CLAIM if self.resolves(frame) => self.judge_resolution(frame),
            Kind::CLAIM if self.chosen && frame.header.scn.generation > self.generation() => {
                let Header { scn, node: holder, .. } = frame.header;
                let other = HistoryPoint { scn, chain: frame.chain };
                Verdict::Stop(Stop::Disputed(Conflict { own: self.history(), other, holder }))
            }
            Kind::CLAIM if frame.header.scn.generation > self.next_generation() => {
                Verdict::Void(VoidReason::MissingClaim)
            }
            Kind::CLAIM if frame.header.scn != Scn::opening(self.next_generation()) => {
                Verdict::Void(VoidReason::NotNextGeneration)
            }
            Kind::CLAIM if !self.replicas.may_claim(frame.header.node) => {
                Verdict::Void(VoidReason::NotAReplica)
            }
            Kind::CLAIM => self.judge_claim(frame),
            _ => self.judge_within(frame),
        }
    }

    /// Whether a claim ends a dispute by an operator's word. It may skip generations: those between
    /// have been claimed in a history that is not this one.
    fn resolves(&self, frame: &Frame) -> bool {
        let Header { scn, .. } = frame.header;
        let is_later = scn.generation > self.generation() && scn.sequence == Sequence(0);
        // What this build cannot read is judged as any claim is.
        is_later
            && matches!(frame.record(), Ok(Record { body: Body::Claim(claim), .. })
                if claim.reason == ClaimReason::DisputeResolved)
    }

    /// Who has the history that goes on accepts the claim; all others lack it.
    fn judge_resolution(&self, frame: &Frame) -> Verdict {
        let read = frame.record();
        match &read {
            Ok(Record { header, body: Body::Claim(claim) })
                if chain_after(self.chain, &frame.bytes) != frame.chain =>
            {
                let other = HistoryPoint { scn: claim.seen, chain: frame.chain };
                let conflict = Conflict { own: self.history(), other, holder: header.node };
                Verdict::Stop(Stop::Behind(conflict))
            }
            Ok(_) | Err(_) => counts(frame, read),
        }
    }

    /// The first claim of the next generation. Who disputes a leader must come before that one has
    /// served: what it has acknowledged would be lost with it.
    fn judge_claim(&self, frame: &Frame) -> Verdict {
        let read = frame.record();
        match &read {
            Ok(Record { body: Body::Claim(claim), .. })
                if claim.reason == ClaimReason::LeaderDisputed && self.leases.served =>
            {
                Verdict::Void(VoidReason::LeaderHasServed)
            }
            Ok(_) | Err(_) => counts(frame, read),
        }
    }

    fn judge_genesis(&self, frame: &Frame) -> Verdict {
        match frame.record() {
            Ok(Record { body: Body::Genesis(genesis), .. })
                if genesis.identity != self.genesis.identity =>
            {
                Breakage::ForeignGenesis.into()
            }
            _ if self.begun => Verdict::Void(VoidReason::Duplicate),
            read => counts(frame, read),
        }
    }

    /// The rule for records inside a generation.
    fn judge_within(&self, frame: &Frame) -> Verdict {
        let Header { scn, node, .. } = frame.header;
        if scn.generation < self.generation() {
            return Verdict::Void(VoidReason::Zombie);
        }
        if scn.generation > self.generation() {
            return Verdict::Void(VoidReason::MissingClaim);
        }
        if !self.is_claimant(&frame.header) {
            return Verdict::Void(VoidReason::Stranger);
        }
        if let Some(conflict) = self.dispute {
            return match frame.kind {
                Kind::BARRIER => Verdict::Void(VoidReason::Disputed(conflict)),
                _ => Verdict::Stop(Stop::Disputed(conflict)),
            };
        }
        if scn == self.last && self.last.sequence > Sequence(0) && frame.chain != self.chain {
            return Breakage::Fork.into();
        }
        if scn <= self.last {
            return Verdict::Void(VoidReason::Duplicate);
        }
        if scn.sequence != self.last.sequence.next() {
            return Verdict::Void(VoidReason::Gap);
        }
        if self.stepped_down.is_some() {
            return Verdict::Void(VoidReason::AfterStepDown);
        }
        let read = frame.record();
        if let (Some(over), Some(other)) = (self.claimant.map(|c| c.over), opening_of(&read))
            && over != other
        {
            let conflict = Conflict { own: over, other, holder: node };
            return if over.scn < other.scn {
                Verdict::Stop(Stop::Behind(conflict))
            } else {
                Verdict::Void(VoidReason::Disputed(conflict))
            };
        }
        if chain_after(self.chain, &frame.bytes) != frame.chain {
            let other = HistoryPoint { scn, chain: frame.chain };
            let conflict = Conflict { own: self.history(), other, holder: node };
            return Verdict::Stop(match opening_of(&read) {
                // All that both do not share are claims and barriers of leaders that never served:
                // one was lost here, and nothing is here alone.
                Some(_) => Stop::Behind(conflict),
                None => Stop::Disputed(conflict),
            });
        }
        counts(frame, read)
    }

    /// Moves past a record that was judged [`Verdict::Accepted`].
    ///
    /// * `chain`: the hash that its frame carries.
    pub(crate) fn accept(&mut self, record: &Record, chain: ChainHash, bytes: &Bytes) {
        let Record { header, body } = record;
        let before = self.history();
        let unserved = self.claimant.filter(|_| !self.leases.served);
        let over = unserved.map_or(before, |claimant| claimant.over);
        let opened = self.agreed();
        self.advance();
        self.time = self.time.max(header.time);
        self.last = header.scn;
        self.chain = chain;
        match body {
            Body::Genesis(genesis) => self.begin(genesis, bytes),
            Body::Claim(_) => {
                // A claimant cannot know which record its claim will follow; those who fold it do.
                self.chain = chain_after(before.chain, bytes);
                self.stepped_down = None;
                self.dispute = None;
                self.chosen = false;
                self.leases.served = false;
                let Header { node, incarnation, .. } = *header;
                self.claimant = Some(Claimant { node, incarnation, over, opened });
            }
            Body::Transaction(_) => self.leases.leader_serves(),
            Body::StepDown(step_down) => {
                self.leases.leader_serves();
                self.stepped_down = Some(*step_down);
            }
            Body::Config(config) => {
                self.leases.leader_serves();
                self.configure(config);
            }
            // An opening one is sent before its leader may serve.
            Body::Barrier(_) => {}
        }
        if self.gap.is_some_and(|gap| gap.since <= self.last) {
            self.gap = None;
        }
        let moved = matches!(body, Body::Genesis(_)) || self.last > before.scn;
        assert!(moved, "fold: {} follows {}", self.last, before.scn);
    }

    fn begin(&mut self, genesis: &Genesis, bytes: &Bytes) {
        let origin = genesis.origin;
        self.begun = true;
        self.last = origin.map_or(Scn::ZERO, |origin| origin.history.scn);
        let before = origin.map_or(ChainHash::default(), |origin| origin.history.chain);
        self.chain = chain_after(before, bytes);
        self.time = self.time.max(origin.map_or(WallMillis(0), |origin| origin.time));
        self.replicas = genesis.replicas.clone();
        self.leases = Leases::at_first(genesis.lease_ms);
        self.feature_level = genesis.feature_level;
        self.genesis = genesis.clone();
    }

    fn configure(&mut self, config: &Config) {
        match config {
            Config::Trim(trim) if self.is_new(trim) => self.trim = Some(*trim),
            Config::Lease { duration_ms } => self.leases.change(*duration_ms),
            Config::Feature { level } => self.feature_level = self.feature_level.max(*level),
            Config::Replicas(replicas) => self.replicas = replicas.clone(),
            Config::Indexes(definitions) => self.indexes = definitions.clone(),
            Config::Trim(_) | Config::Digest => {}
        }
    }

    /// Whether `trim` lets this log forget more than before; in another log it means nothing here.
    pub(crate) fn is_new(&self, trim: &Trim) -> bool {
        trim.log == self.log && trim.below > self.trimmed_below()
    }

    /// Moves past a record that was judged [`Verdict::Void`]; answers the gap that it shows first.
    pub(crate) fn skip(&mut self, why: VoidReason) -> Option<Gap> {
        let noticed = self.position.offset;
        self.advance();
        let since = match why {
            VoidReason::Gap => Scn::new(self.last.generation, self.last.sequence.next()),
            VoidReason::MissingClaim => Scn::opening(self.next_generation()),
            VoidReason::Disputed(conflict) => {
                self.dispute = Some(conflict);
                return None;
            }
            VoidReason::Foreign
            | VoidReason::NotNextGeneration
            | VoidReason::NotAReplica
            | VoidReason::Zombie
            | VoidReason::Stranger
            | VoidReason::Duplicate
            | VoidReason::AfterStepDown
            | VoidReason::BeforeGenesis
            | VoidReason::LeaderHasServed => return None,
        };
        if self.gap.is_some() {
            return None;
        }
        self.gap = Some(Gap { since, noticed });
        self.gap
    }

    /// Whether `header` was written by the life that won the current generation.
    pub(crate) fn is_claimant(&self, header: &Header) -> bool {
        self.claimant.is_some_and(|claimant| {
            (claimant.node, claimant.incarnation) == (header.node, header.incarnation)
        })
    }

    /// Folds a page without a replica: how change streams and tools tell what counts.
    ///
    /// Skips entries below [`position`](Self::position); answers the accepted records.
    ///
    /// # Errors
    /// The page begins beyond the position: the state has not moved. Or the log cannot be followed
    /// past an entry: the state stands before it, and what was accepted before it is not told.
    pub fn fold(&mut self, page: RecordPage) -> Result<Vec<Record>, Stop> {
        self.begin_page(&page)?;
        let mut accepted = Vec::new();
        for (offset, bytes) in page.entries {
            if !self.reach(LogPosition { offset, epoch: page.next.epoch }) {
                continue;
            }
            match self.examine(&bytes, FEATURE_LEVEL_NEXT).1 {
                Verdict::Accepted(record, chain) => {
                    self.accept(&record, chain, &bytes);
                    accepted.push(record);
                }
                Verdict::Void(why) => {
                    self.skip(why);
                }
                Verdict::Stop(stop) => return Err(stop),
            }
        }
        self.end_page(page.next);
        Ok(accepted)
    }

    /// Whether the log can be followed from here on by `page`.
    ///
    /// # Errors
    /// Something is left out before it.
    pub(crate) fn begin_page(&self, page: &RecordPage) -> Result<(), Stop> {
        if self.position.reaches(page.from) { Ok(()) } else { Err(Stop::Broken(Breakage::Hole)) }
    }

    /// Moves to the entry of a page at `offset`, over a gap if there is one.
    ///
    /// Answers whether it is still to be folded.
    ///
    /// * `place`: the entry's offset, and the epoch of the page: a checkpoint behind the entry must
    ///   not name that of the page before.
    pub(crate) fn reach(&mut self, place: LogPosition) -> bool {
        let is_new = place.reaches(self.position.offset);
        if is_new {
            self.position = place;
        }
        is_new
    }

    /// Moves to where a page ended, over a gap if there is one; never back.
    pub(crate) fn end_page(&mut self, next: LogPosition) {
        if next.reaches(self.position.offset) {
            self.position = next;
        }
    }

    /// Reads what surrounds the record at [`position`](Self::position), and judges it.
    ///
    /// The header is that of a whole record of this partition.
    ///
    /// * `level`: the highest feature level that the node has declared to read.
    pub(crate) fn examine(&self, bytes: &Bytes, level: u16) -> (Option<Header>, Verdict) {
        match Frame::read(bytes, self.genesis.identity.partition) {
            Ok(frame) => (Some(frame.header), self.judge(&frame).by(level, frame.feature)),
            Err(FrameError::Foreign) => (None, Verdict::Void(VoidReason::Foreign)),
            Err(error @ FrameError::Damaged(_)) => {
                (None, Breakage::Undecodable(error.into()).into())
            }
        }
    }

    fn advance(&mut self) {
        self.position.offset = self.position.offset.plus(1);
    }
}

impl Leases {
    fn at_first(duration_ms: u32) -> Leases {
        Leases { duration_ms, longest_ms: duration_ms, served: false }
    }

    /// The current leader has sent what only one that serves sends: it has waited until no older
    /// lease could be valid.
    fn leader_serves(&mut self) {
        if !self.served {
            self.served = true;
            self.longest_ms = self.duration_ms;
        }
    }

    fn change(&mut self, duration_ms: u32) {
        self.duration_ms = duration_ms;
        self.longest_ms = self.longest_ms.max(duration_ms);
    }
}

/// A record that counts, if this build can read it.
fn counts(frame: &Frame, read: Result<Record, DecodeError>) -> Verdict {
    match read {
        Ok(record) => Verdict::Accepted(record, frame.chain),
        Err(DecodeError::NeedsUpgrade(need)) => Verdict::Stop(Stop::NeedsUpgrade(need)),
        Err(error @ (DecodeError::Damaged(_) | DecodeError::Foreign)) => {
            Breakage::Undecodable(error).into()
        }
    }
}

/// The history that an opening barrier names.
fn opening_of(read: &Result<Record, DecodeError>) -> Option<HistoryPoint> {
    match read {
        Ok(Record { body: Body::Barrier(barrier), .. }) => barrier.opening,
        Ok(_) | Err(_) => None,
    }
}

#[cfg(test)]
mod tests;
