//! What a node makes of a client's request before a driver sees it, and of the driver's answer.
//!
//! Start reading at [`World::request_arrives`].

use super::due::Ask;
use super::{Address, Due, Phase, World};
use crate::database::asker::{Asker, Look, Purpose, Stage};
use crate::database::coverage::{CoveragePoint, Fault};
use crate::database::documents::{AttemptId, KeyNumber, ValueId};
use crate::database::history::{Action, Level, Reply, Write};
use crate::database::hosted::{Job, Unanswered};
use crate::database::mutant::Mutant;
use crate::database::orders::{bulk_of, order_of};
use crate::kernel::violation::Violation;
use bytes::Bytes;
use cortado_cluster::{Doubt, KnownLeader};
use cortado_driver::{
    Event, INBOX_MAX, Level as Demand, Refused, Reply as RequestEnd, Serving, UnknownWhy,
    WriteOrder, Written,
};
use cortado_model::{Etag, Generation, Scn};
use cortado_replica::{NotDone, ReadNeed};
use std::cell::Cell;
use std::rc::Rc;

impl World {
    pub(super) fn request_arrives(&mut self, node: usize, partition: usize, ask: Ask) {
        if self.nodes[node].process.is_none() {
            self.note_reach(ask.client, node, false);
        }
        let Some(here) = self.address(node, partition) else {
            return self.reply(partition, ask.client, ask.attempt, Reply::Unreachable);
        };
        let Some(hosted) = self.hosted_at(here) else { return };
        if hosted.has_ended {
            return self.reply(partition, ask.client, ask.attempt, Reply::Unreachable);
        }
        if hosted.inbox.len() >= INBOX_MAX {
            let overloaded = Reply::NotDone(NotDone::Overloaded);
            return self.reply(partition, ask.client, ask.attempt, overloaded);
        }
        match ask.action.clone() {
            Action::Read { level, keys, token } => self.take_read(here, &ask, level, keys, token),
            // What was committed now could not be applied anywhere, nor anything be read then.
            Action::Write(_) | Action::Bulk(_)
                if self.phase == Phase::Filling && !self.knows_of_no_room(here) => {}
            Action::Write(_) | Action::Bulk(_) => self.take_write(here, &ask),
        }
    }

    /// Sends the answer on its way; a definite error must be one from now on.
    pub(super) fn reply(
        &mut self,
        partition: usize,
        client: usize,
        attempt: AttemptId,
        reply: Reply,
    ) {
        let reply = match reply {
            Reply::Unknown(_) if self.is(Mutant::DeniesUnknown) => {
                Reply::NotDone(NotDone::NotLeader)
            }
            reply => reply,
        };
        let operation = self.operation_of(attempt);
        let writes = self.history[operation].action.writes();
        let known = &mut self.partitions[partition];
        let (truth, answer) = (&known.truth, format!("{reply:?}"));
        let mut denied = Ok(());
        if !writes.is_empty() && reply.is_definitely_nothing() {
            denied = known.denied.deny(truth, attempt, answer);
        } else if let Reply::Each(replies) = &reply {
            let parts = writes.iter().zip(replies).filter(|(_, each)| each.is_definitely_nothing());
            // No two parts write the same value; that nothing was there is no value.
            let mut values = parts.map(|(write, _)| write.changes[0].1);
            denied = values.try_for_each(|value| match value {
                ValueId::ABSENT => Ok(()),
                value => known.denied.deny_part(truth, attempt, value, answer.clone()),
            });
        }
        self.check(denied);
        if matches!(reply, Reply::Committed { .. }) {
            self.note_served(partition);
        }
        if !self.strikes(Fault::ReplyLost) {
            let delay_us = self.delay();
            let known = self.leader_told(client, partition, &reply);
            self.put(delay_us, Due::Reply { client, attempt, reply, known });
        }
    }

    /// Who leads, as the node knows that is not to be asked: its own replica has folded it.
    fn leader_told(&self, client: usize, partition: usize, reply: &Reply) -> Option<KnownLeader> {
        let elsewhere = matches!(reply, Reply::NotDone(why) if why.is_for_another_leader());
        let hosted = self.nodes[self.clients[client].asked].hosted(partition)?;
        let folded = elsewhere.then(|| hosted.driver.leadership())?;
        let stepped_down = folded.stepped_down.is_some();
        Some(KnownLeader { generation: folded.generation, stepped_down, node: folded.leads() })
    }

    /// A driver's answer becomes the client's.
    pub(super) fn reply_as_driver(
        &mut self,
        partition: usize,
        client: usize,
        attempt: AttemptId,
        writes: Option<(Vec<KeyNumber>, Option<Bytes>)>,
        answer: RequestEnd,
    ) {
        let reply = match answer {
            RequestEnd::NotDone(why) => Reply::NotDone(why),
            RequestEnd::Unknown(UnknownWhy::LeaderLost) => Reply::Unknown(Doubt::LeaderLost),
            RequestEnd::Unknown(UnknownWhy::LogFailed) => Reply::Unknown(Doubt::LogFailed),
            RequestEnd::Refused(Refused::Operation { .. }) => Reply::Refused,
            RequestEnd::Written(written) if writes.is_some() => {
                self.learn_etag(attempt, 0, written.etag);
                self.committed(partition, &written)
            }
            RequestEnd::Each(ended) if writes.is_some() => {
                self.reply_to_each(partition, attempt, ended)
            }
            RequestEnd::Written(_)
            | RequestEnd::Each(_)
            | RequestEnd::Ready
            | RequestEnd::Refused(_) => {
                let details = format!("{attempt:?} was answered {answer:?}");
                return self.check(Err(Violation::new("answers", details)));
            }
        };
        self.reply(partition, client, attempt, reply);
    }

    pub(super) fn committed(&self, partition: usize, written: &Written) -> Reply {
        // What changed nothing names whatever record was the last.
        Reply::Committed { scn: self.partitions[partition].truth.newest_at(written.scn) }
    }

    /// A reader looks at the store, if the replica is still what has proven itself.
    pub(super) fn look(&mut self, here: Address, client: usize, attempt: AttemptId, look: &Look) {
        let Some(hosted) = self.hosted_at(here) else { return };
        if hosted.unanswered.remove(&attempt).is_none() {
            let details = format!("{attempt:?} was answered, and no client waits for it");
            return self.check(Err(Violation::new("answers", details)));
        }
        let (role, restorations) = (hosted.driver.role(), hosted.driver.restorations());
        let reached = self.nodes[here.node].disk[here.partition].image().reached.last.generation;
        let holds = |reached| look.proof.holds(role, restorations, reached);
        let reply = match holds(reached) {
            true => self.seen(here, &look.keys),
            false => Reply::NotDone(NotDone::Changing),
        };
        if holds(Generation(0)) && !holds(reached) {
            self.coverage.reach(CoveragePoint::LookedTooLate);
        }
        self.reply(here.partition, client, attempt, reply);
    }

    /// A client's time at this node is up: nothing was begun, or the outcome is unknown.
    pub(super) fn withdraw(&mut self, here: Address, attempt: AttemptId) {
        let Some(hosted) = self.hosted_at(here) else { return };
        let Some(unanswered) = hosted.unanswered.get_mut(&attempt) else { return };
        if unanswered.is_told {
            return;
        }
        let client = unanswered.client;
        let reply = match unanswered.stage.get() {
            Stage::Begun => {
                unanswered.is_told = true;
                Reply::Unknown(Doubt::Deadline)
            }
            Stage::Waits | Stage::Withdrawn => {
                unanswered.stage.set(Stage::Withdrawn);
                hosted.unanswered.remove(&attempt);
                self.coverage.reach(CoveragePoint::Withdrawn);
                Reply::Late
            }
        };
        self.reply(here.partition, client, attempt, reply);
    }

    fn take_read(
        &mut self,
        here: Address,
        ask: &Ask,
        level: Level,
        keys: Vec<KeyNumber>,
        token: Scn,
    ) {
        let log_end = self.plan.is_local().then(|| self.log.end(here.partition));
        let (demand, skips) = match level {
            Level::Strong => (Demand::Strong, self.is(Mutant::SkipsLease)),
            Level::Strict => (Demand::Strict, self.is(Mutant::SkipsBarrier)),
            Level::Session if self.is(Mutant::IgnoresToken) => (Demand::AtLeast(Scn::ZERO), false),
            Level::Session => (Demand::AtLeast(token), false),
            Level::Eventual => (Demand::AtLeast(Scn::ZERO), false),
        };
        let looks_at_once = self.kernel.random.coin();
        let now = self.nodes[here.node].clock.read(self.kernel.now).clock;
        let Some(hosted) = self.hosted_at(here) else { return };
        let (leads, serving) = (hosted.leads(), hosted.sighting().serves(demand, log_end, now));
        let Ask { client, attempt, .. } = *ask;
        let (need, proof) = match serving {
            Serving::Now(proof) if looks_at_once => (None, proof),
            // Some look later than they could.
            Serving::Now(proof) => (Some(ReadNeed::Applied(Scn::ZERO)), proof),
            Serving::When(need, proof) => {
                self.note_need(here, need);
                (Some(need).filter(|_| !(skips && leads)), proof)
            }
            Serving::NotHere => {
                let offline = Reply::NotDone(NotDone::Offline);
                return self.reply(here.partition, client, attempt, offline);
            }
        };
        let look = Look { keys, proof };
        let stage = self.expect_answer(here, ask, None, false);
        let Some(need) = need else {
            return self.enqueue(here, Job::Look { client, attempt, look });
        };
        let purpose = Purpose::Read(look);
        let caller = Asker::Client { client, attempt, purpose, stage };
        self.tell(here, Event::Read { caller, need });
    }

    fn take_write(&mut self, here: Address, ask: &Ask) {
        let Ask { client, attempt, .. } = *ask;
        let writes = ask.action.writes();
        let Some(order) = self.order(ask) else {
            // The condition needs the etag of a state that the client has never seen.
            return self.reply(here.partition, client, attempt, Reply::Unreachable);
        };
        if let Action::Write(write) = &ask.action
            && self.is(Mutant::SkipsSettle)
            && self.seems_refused(here, write)
        {
            return self.reply(here.partition, client, attempt, Reply::Refused);
        }
        let log_end = self.plan.is_local().then(|| self.log.end(here.partition));
        let changed = writes.iter().flat_map(|write| &write.changes).map(|(key, _)| *key);
        let changed = changed.collect();
        let met = writes.iter().any(|write| self.meets_in_flight(here, ask, write));
        let stage = self.expect_answer(here, ask, Some((changed, ask.key.clone())), met);
        if let Some(patience_us) = self.plan.node_patience_us.filter(|_| self.has_faults()) {
            let in_us = self.kernel.random.around(patience_us);
            self.put(in_us, Due::Withdraw { to: here, attempt });
        }
        let caller = Asker::Client { client, attempt, purpose: Purpose::Write, stage };
        self.tell(here, Event::Write { caller, order, log_end });
    }

    fn order(&self, ask: &Ask) -> Option<WriteOrder> {
        let etag_of = |write: &Write| self.demanded_etag(ask.attempt, write);
        let (attempt, key, ttl_ms) = (ask.attempt, ask.key.as_ref(), self.plan.ttl_ms);
        match &ask.action {
            Action::Write(write) => order_of(write, attempt, key, etag_of(write), ttl_ms),
            Action::Bulk(parts) => bulk_of(parts, attempt, key, etag_of, ttl_ms),
            Action::Read { .. } => None,
        }
    }

    /// The etag of the state that a write demands, if its client knows it and wants to say it.
    fn demanded_etag(&self, attempt: AttemptId, write: &Write) -> Option<Etag> {
        let demanded = write.condition.map(|(_, value)| value);
        let known = demanded.and_then(|value| self.etags.get(&value).copied());
        // Half of those who can demand the state itself, and the others its value.
        let elsewhere = write
            .condition
            .is_some_and(|(key, _)| write.changes.iter().all(|(changed, _)| *changed != key));
        let by_etag = elsewhere || attempt.0.is_multiple_of(2);
        // Where answers are forgotten, one value may come back as another state.
        known.filter(|_| by_etag && self.plan.ttl_ms.is_none())
    }

    /// Remembers who waits for an answer.
    fn expect_answer(
        &mut self,
        here: Address,
        ask: &Ask,
        writes: Option<(Vec<KeyNumber>, Option<Bytes>)>,
        met_in_flight: bool,
    ) -> Rc<Cell<Stage>> {
        let stage = Rc::new(Cell::new(Stage::Waits));
        let unanswered = Unanswered {
            client: ask.client,
            stage: Rc::clone(&stage),
            writes,
            met_in_flight,
            is_told: false,
            is_proven: false,
        };
        if let Some(hosted) = self.hosted_at(here) {
            hosted.unanswered.insert(ask.attempt, unanswered);
        }
        stage
    }

    /// Whether a write comes while what it depends on is on its way at the same leader.
    fn meets_in_flight(&mut self, here: Address, ask: &Ask, write: &Write) -> bool {
        let demanded = write.condition.map(|(key, _)| key);
        let Some(hosted) = self.hosted_at(here).filter(|hosted| hosted.leads()) else {
            return false;
        };
        let writes = || hosted.unanswered.values().filter_map(|each| each.writes.as_ref());
        let same_key = writes().any(|(_, key)| key.is_some() && *key == ask.key);
        let changes = writes().any(|(keys, _)| demanded.is_some_and(|key| keys.contains(&key)));
        if changes {
            self.coverage.reach(CoveragePoint::ConditionInFlight);
        }
        same_key
    }

    /// What the store shows of `keys`, all at one SCN.
    fn seen(&self, here: Address, keys: &[KeyNumber]) -> Reply {
        let image = self.nodes[here.node].disk[here.partition].image();
        let values = image.values().into_iter().filter(|(key, _)| keys.contains(key)).collect();
        Reply::Values { scn: image.last_transaction, values }
    }

    /// Clients tell each other which states they have heard of.
    pub(super) fn learn_etag(&mut self, attempt: AttemptId, part: usize, etag: Etag) {
        let operation = self.operation_of(attempt);
        let Some(write) = self.history[operation].action.writes().get(part) else { return };
        let values = write.changes.iter().map(|(_, value)| *value);
        let written = values.filter(|value| *value != ValueId::ABSENT);
        self.etags.extend(written.map(|value| (value, etag)));
    }

    fn note_need(&mut self, here: Address, need: ReadNeed) {
        let Some(hosted) = self.hosted_at(here) else { return };
        let Some(fold) = hosted.driver.fold() else { return };
        let point = match need {
            ReadNeed::Lease => CoveragePoint::LeaseRead,
            ReadNeed::Barrier => CoveragePoint::StrictRead,
            ReadNeed::Folded(end) if end > fold.position.offset => CoveragePoint::LocalRead,
            ReadNeed::Applied(scn) if scn > fold.last => CoveragePoint::SessionRead,
            ReadNeed::Folded(_) | ReadNeed::Applied(_) => return,
        };
        self.coverage.reach(point);
    }
}
