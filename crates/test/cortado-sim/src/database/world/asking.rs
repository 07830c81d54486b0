//! What drivers ask of the log and of each other, and what they hear: late, and not always.
//!
//! Start reading at [`World::question_arrives`].

use super::due::Question;
use super::{Address, Due, World};
use crate::database::coverage::{CoveragePoint, Fault};
use crate::database::mutant::Mutant;
use crate::database::node::{Node, Place};
use crate::database::scenario::Scenario;
use crate::kernel::time::{MILLI, Moment};
use bytes::Bytes;
use cortado_driver::{
    AskLog, Event, FollowError, JobId, LogExtent, PeerState, ReplicaRole, Surroundings, Survey,
    SurveyError,
};
use cortado_log::LogReadError as LogError;
use cortado_model::{LogOffset, LogPosition, NodeId};
use cortado_replica::{Body, RecordPage, decode};

impl World {
    /// A driver's question reaches its log, store or peers.
    pub(super) fn question_arrives(&mut self, to: Address, question: Question) {
        if self.hosted_at(to).is_none() {
            return;
        }
        let delay_us = self.delay();
        let event = match question {
            Question::Checkpoint(job) => {
                let checkpoint = self.nodes[to.node].disk[to.partition].image().checkpoint.clone();
                let question = Question::Survey { job, checkpoint };
                return self.put(delay_us, Due::Asks { to, question });
            }
            Question::Survey { job, checkpoint } => {
                Event::Surveyed(job, self.survey_ends(to, checkpoint))
            }
            Question::LookThrough(job) => Event::LookedThrough(job, self.look_through(to)),
            Question::Extent(job) => Event::Extent(job, self.extent(to)),
            Question::Page { job, from, bytes_max } => {
                return self.read_log(to, job, from, bytes_max);
            }
            Question::Around(job) => Event::Around(job, self.surroundings(to)),
            Question::Report(report) => {
                // To the leader that its own replica has folded: it may lead no more.
                let leader = self.hosted_at(to).and_then(|h| h.driver.leadership().leads());
                let leader = leader.map(|leader| leader.0 as usize - 1);
                let leader = leader.filter(|leader| self.can_talk(to.node, *leader));
                let leader = leader.and_then(|leader| self.address(leader, to.partition));
                if let Some(leader) = leader {
                    self.tell_in(delay_us, leader, Event::Digest(report));
                }
                return;
            }
        };
        self.tell_in(delay_us, to, event);
    }

    /// A driver hears that the log has grown.
    pub(super) fn notice(&mut self, to: Address) {
        let (reaches, now) = (self.can_read(to), self.kernel.now);
        if self.hosted_at(to).is_none() {
            return;
        }
        if let Some(told) = self.notice_brokers(to) {
            return told.into_iter().for_each(|end| self.tell_end(to, end));
        }
        if !reaches {
            return self.put(30 * MILLI, Due::Notice { to });
        }
        let (end, old_until) = self.end_told(to);
        if let Some(until) = old_until {
            // A driver that waits for the log to grow hears of its true end.
            self.put(until.since(now), Due::Notice { to });
        }
        let Some(hosted) = self.hosted_at(to) else { return };
        hosted.noticed = old_until.is_some();
        self.tell_end(to, end);
    }

    fn tell_end(&mut self, to: Address, end: LogOffset) {
        let deaf = self.is(Mutant::DeafLeader);
        let Some(hosted) = self.hosted_at(to) else { return };
        hosted.known_end = end;
        if !(deaf && hosted.leads()) {
            self.tell(to, Event::LogEnd(end));
        }
    }

    /// The end of the log as a driver is told it now, and from when on that is the true one if it
    /// is not.
    fn end_told(&mut self, to: Address) -> (LogOffset, Option<Moment>) {
        let told = self.log.end_told((to.node, to.partition), self.kernel.now);
        let stored = self.nodes[to.node].disk[to.partition].image().reached.offset;
        if told.1.is_some() && told.0 < stored {
            self.coverage.reach(CoveragePoint::ToldOldEnd);
        }
        told
    }

    pub(super) fn can_read(&self, to: Address) -> bool {
        let now = self.kernel.now;
        let open = self.network.is_open(Place::LogPages, Place::Node(to.node), now)
            && !self.is_cut_from_broker(to.node, to.partition);
        open && self.log.outage_until <= now
    }

    /// Whether what one node sends now reaches another.
    pub(super) fn can_talk(&self, from: usize, to: usize) -> bool {
        let (from, to) = (Place::Node(from), Place::Node(to));
        from == to || self.network.is_open(from, to, self.kernel.now)
    }

    pub(super) fn survey_ends(
        &mut self,
        to: Address,
        checkpoint: Option<Bytes>,
    ) -> Result<Survey, SurveyError> {
        if !self.can_read(to) {
            return Err(SurveyError::Log { why: "out of reach".to_owned() });
        }
        if let Some(told) = self.ask_brokers(to) {
            let told = told.map_err(|error| SurveyError::Log { why: error.to_string() })?;
            let extent = LogExtent { log: told.log, first: told.first, end: told.end };
            return Ok(Survey { log: told.log, checkpoint, extent });
        }
        let (first, (end, _)) = (self.log.first(to.partition), self.end_told(to));
        let extent = LogExtent { log: self.log.id(), first, end };
        Ok(Survey { log: self.log.id(), checkpoint, extent })
    }

    fn extent(&mut self, to: Address) -> Result<LogExtent, AskLog> {
        if !self.can_read(to) || self.strikes(Fault::ReadFails) {
            return Err(AskLog { why: "out of reach".to_owned() });
        }
        if let Some(hosted) = self.hosted_at(to) {
            hosted.producer.is_recovering = true;
        }
        if let Some(told) = self.ask_brokers(to) {
            let told = told.map_err(|error| AskLog { why: error.to_string() })?;
            return Ok(LogExtent { log: told.log, first: told.first, end: told.end });
        }
        let (first, (end, _)) = (self.log.first(to.partition), self.end_told(to));
        Ok(LogExtent { log: self.log.id(), first, end })
    }

    fn read_log(&mut self, to: Address, job: JobId, from: LogPosition, bytes_max: usize) {
        let mut delay_us = self.delay();
        let fails = !self.can_read(to) || self.strikes(Fault::ReadFails);
        let page = if fails {
            delay_us += 20 * MILLI;
            Err(FollowError::Unavailable)
        } else {
            let bytes = self.kernel.random.between(1, 6_000) as usize;
            self.read_records(to, from, bytes.min(bytes_max))
        };
        self.tell_in(delay_us, to, Event::Page(job, page));
    }

    pub(super) fn read_records(
        &mut self,
        to: Address,
        from: LogPosition,
        bytes_max: usize,
    ) -> Result<RecordPage, FollowError> {
        let read = self.read_brokers(to, from, bytes_max);
        let page = read.map_err(unread)?;
        let entries = page.entries.into_iter().map(|entry| (entry.offset, entry.record));
        let mut entries: Vec<(LogOffset, Bytes)> = entries.collect();
        if let Some((_, bytes)) = entries.last_mut()
            && self.strikes(Fault::ReadDamaged)
        {
            let mut damaged = bytes.to_vec();
            let at = self.kernel.random.index(damaged.len());
            damaged[at] ^= 1 << self.kernel.random.below(8);
            *bytes = Bytes::from(damaged);
        }
        if let Some((_, bytes)) = entries.last_mut()
            && self.may_lose_sight(to, bytes)
            && self.strikes(Fault::ReadForeign)
        {
            *bytes = Bytes::from_static(b"a stranger's");
            if self.plan.scenario != Scenario::Blind {
                self.keep_none_yet();
            }
        }
        self.hide_last(to, &mut entries);
        if self.is(Mutant::RecoveryMissesRecord)
            && entries.len() > 1
            && let Some(hosted) = self.hosted_at(to)
            && std::mem::take(&mut hosted.producer.is_recovering)
        {
            entries.remove(0);
        }
        if self.is(Mutant::AppliesZombies) {
            self.apply_zombies(to, &entries);
        }
        Ok(RecordPage { from: from.offset, entries, next: page.next })
    }

    /// Whether a replica may be shown something else than `bytes`: all, or one of each
    /// partition. Claims are shown: a follower of a replaced leader has records that no other
    /// replica will ever have, and no comparison tells those from what all others have lost.
    fn may_lose_sight(&self, to: Address, bytes: &Bytes) -> bool {
        if self.plan.scenario != Scenario::Blind {
            return true;
        }
        let Some(hosted) = self.nodes[to.node].hosted(to.partition) else { return false };
        let follows =
            matches!(hosted.driver.role(), ReplicaRole::Follower | ReplicaRole::Candidate);
        let partition = self.genesis(to.partition).identity.partition;
        let within = decode(bytes, partition).is_ok_and(|record| match record.body {
            Body::Genesis(_) | Body::Claim(_) => false,
            Body::Transaction(_) | Body::Barrier(_) | Body::StepDown(_) | Body::Config(_) => true,
        });
        self.is_the_blind_one(to) && follows && within
    }

    /// Whether it is the one replica that loses records where only one does.
    pub(super) fn is_the_blind_one(&self, to: Address) -> bool {
        match self.plan.scenario {
            Scenario::Blind => to.node == to.partition % self.nodes.len(),
            _ => self.unheard == Some(to.node),
        }
    }

    /// The nodes that must hold what a log is to forget: all but those that are gone for long.
    fn holders(&mut self, to: Address) -> Vec<NodeId> {
        let now = self.kernel.now;
        let impatient = self.is(Mutant::TrimsWithoutTheAbsent);
        for node in &mut self.nodes {
            let gone_us = node.gone_since.map(|since| now.since(since));
            node.was_away |= gone_us.is_some_and(|gone_us| gone_us > self.plan.away_us);
        }
        let counts = |node: &&Node| node.gone_since.is_none() || !self.is_away(node) && !impatient;
        let holds = |id: &NodeId| self.holds_as_known(to.node, to.partition, *id);
        self.nodes.iter().filter(counts).map(|node| node.id).filter(holds).collect()
    }

    /// Whether a node has been gone for so long that it is not waited for.
    pub(super) fn is_away(&self, node: &Node) -> bool {
        let gone_us = node.gone_since.map(|since| self.kernel.now.since(since));
        gone_us.is_some_and(|gone_us| gone_us > self.plan.away_us)
    }

    /// How the partition's other replicas are; the answer takes its time, and is old when it comes.
    fn surroundings(&mut self, to: Address) -> Surroundings {
        let others = self.nodes.iter().enumerate().filter(|(node, _)| *node != to.node);
        let peers = others.filter_map(|(number, node)| {
            let hosted = node.hosted(to.partition)?;
            let role = hosted.driver.role();
            let (there, here) = (Place::Node(number), Place::Node(to.node));
            let hears = self.network.is_open(there, here, self.kernel.now);
            hears.then(|| PeerState {
                node: node.id,
                readable: role.is_readable(),
                has_room: !self.is_full(number),
                serves: role == ReplicaRole::Leader,
                folded: hosted.driver.applied().1,
            })
        });
        let peers = peers.collect();
        Surroundings { peers, holders: self.holders(to), log_bytes: self.log.bytes, state_bytes: 0 }
    }
}

/// The driver's word for why there is no page, as its task says it.
pub(super) fn unread(error: LogError) -> FollowError {
    match error {
        LogError::Trimmed { first } => FollowError::Trimmed { first },
        LogError::Diverged { end } => FollowError::Truncated { end },
        LogError::Replaced { found } => FollowError::Replaced { found },
        LogError::Unavailable(_) => FollowError::Unavailable,
        LogError::Missing => FollowError::Missing,
        LogError::Damaged { .. } | LogError::Hole { .. } => {
            FollowError::Broken { why: error.to_string() }
        }
    }
}
