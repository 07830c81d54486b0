//! What a node makes of a client's request before the core sees it, as the real node does.
//!
//! Start reading at [`World::evaluate`].

use super::{Due, World};
use crate::coverage::Sight;
use crate::documents::{AttemptId, KeyNumber, TABLE, ValueId, remembered_key};
use crate::driver::{Ask, Job, Purpose, Waiting};
use crate::history::{Action, Level, Reply, Write};
use crate::mutant::Mutant;
use cortado_model::Scn;
use cortado_replica::{
    Draft, DraftChange, DraftValue, Idempotency, Input, NotDone, ReadNeed, RequestId, Role,
};

/// Requests that a node keeps for one replica, at most.
const INBOX_MAX: usize = 256;

/// What is known of a write before it is published.
enum Evaluated {
    /// It may be published.
    Publish,
    /// Its key is in flight: evaluate again when that is settled.
    InFlight,
    /// Its key has been used: this is the answer.
    Repetition(Scn),
    /// Its condition does not hold.
    Refused,
}

impl World {
    pub(super) fn request_arrives(&mut self, node: usize, partition: usize, ask: Ask) {
        let Some(driver) = self.nodes[node].driver_mut(partition) else {
            return self.reply(partition, ask.client, ask.attempt, Reply::Unreachable);
        };
        if driver.inbox.len() >= INBOX_MAX {
            let overloaded = Reply::NotDone(NotDone::Overloaded);
            return self.reply(partition, ask.client, ask.attempt, overloaded);
        }
        driver.inbox.push_back(Job::Ask(ask));
        self.run_driver(node, partition);
    }

    /// Gives a request to the core, with everything decided that the core does not decide.
    pub(super) fn evaluate(&mut self, node: usize, partition: usize, ask: Ask) {
        match ask.action.clone() {
            Action::Read { level, keys, token } => {
                self.evaluate_read(node, partition, ask, level, keys, token);
            }
            Action::Write(write) => self.evaluate_write(node, partition, ask, &write),
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
            Reply::Unknown if self.is(Mutant::DeniesUnknown) => Reply::NotDone(NotDone::NotLeader),
            reply => reply,
        };
        let operation = self.operation_of(attempt);
        let writes = matches!(self.history[operation].action, Action::Write(_));
        if writes && reply.is_definitely_nothing() {
            let known = &mut self.partitions[partition];
            let denied = known.denied.deny(&known.truth, attempt, format!("{reply:?}"));
            self.check(denied);
        }
        if !self.strikes(crate::coverage::Fault::ReplyLost) {
            let delay_us = self.delay();
            self.put(delay_us, Due::Reply { client, attempt, reply });
        }
    }

    /// What the store shows of `keys`, all at one SCN.
    pub(super) fn look(&self, node: usize, partition: usize, keys: &[KeyNumber]) -> Reply {
        let image = self.nodes[node].disk[partition].image();
        let values = image.values().into_iter().filter(|(key, _)| keys.contains(key)).collect();
        Reply::Values { scn: image.last_transaction, values }
    }

    fn evaluate_read(
        &mut self,
        node: usize,
        partition: usize,
        ask: Ask,
        level: Level,
        keys: Vec<KeyNumber>,
        token: Scn,
    ) {
        let Some(driver) = self.nodes[node].driver(partition) else { return };
        let leads = driver.replica.role() == Role::Leader;
        let at_once = match level {
            Level::Strong => self.is(Mutant::SkipsLease) && leads,
            Level::Strict => self.is(Mutant::SkipsBarrier) && leads,
            Level::Session => self.is(Mutant::IgnoresToken),
            Level::Eventual => false,
        };
        if at_once {
            let seen = self.look(node, partition, &keys);
            return self.reply(partition, ask.client, ask.attempt, seen);
        }
        let need = match level {
            Level::Strong if !self.plan.is_local() => ReadNeed::Lease,
            Level::Strict if !self.plan.is_local() => ReadNeed::Barrier,
            Level::Strong | Level::Strict => ReadNeed::Folded(self.log.end(partition)),
            Level::Session => ReadNeed::Applied(token),
            Level::Eventual => ReadNeed::Applied(Scn::ZERO),
        };
        self.note_need(node, partition, need);
        let request = self.wait_for(node, partition, &ask, Purpose::Read(keys));
        self.step(node, partition, Input::Read { request, need });
    }

    fn evaluate_write(&mut self, node: usize, partition: usize, ask: Ask, write: &Write) {
        let evaluated = self.judge_write(node, partition, &ask, write);
        let purpose = match evaluated {
            Evaluated::Publish => return self.publish(node, partition, &ask, write),
            Evaluated::InFlight => {
                self.coverage.sight(Sight::KeyInFlight);
                Purpose::Again(ask.clone())
            }
            Evaluated::Repetition(scn) => {
                self.coverage.sight(Sight::Repetition);
                Purpose::Settled(Reply::Committed { scn })
            }
            Evaluated::Refused if self.is(Mutant::SkipsSettle) => {
                return self.reply(partition, ask.client, ask.attempt, Reply::Refused);
            }
            Evaluated::Refused => Purpose::Settled(Reply::Refused),
        };
        let need = match self.plan.is_local() {
            true => ReadNeed::Folded(self.log.end(partition)),
            false if ask.attempt.0.is_multiple_of(2) => ReadNeed::Lease,
            false => ReadNeed::Barrier,
        };
        // Where clocks are not sound, a refusal under a lease may rest on an old state.
        let need = if self.plan.clocks_are_sound() || self.plan.is_local() {
            need
        } else {
            ReadNeed::Barrier
        };
        let request = self.wait_for(node, partition, &ask, purpose);
        self.step(node, partition, Input::Settle { request, need });
    }

    /// Looks at what is in flight, and below that at the store.
    fn judge_write(
        &mut self,
        node: usize,
        partition: usize,
        ask: &Ask,
        write: &Write,
    ) -> Evaluated {
        let Some(driver) = self.nodes[node].driver(partition) else { return Evaluated::Publish };
        if driver.replica.role() != Role::Leader {
            return Evaluated::Publish; // The core says where to ask instead.
        }
        let image = self.nodes[node].disk[partition].image();
        if let Some(key) = &ask.key {
            let in_flight = driver.replica.in_flight_key(&remembered_key(key));
            let remembered = image.remembered(&remembered_key(key));
            if in_flight.is_some_and(|used| used.fingerprint == ask.fingerprint()) {
                return Evaluated::InFlight;
            }
            if let Some(used) = remembered.filter(|used| used.fingerprint == ask.fingerprint()) {
                return Evaluated::Repetition(used.scn);
            }
        }
        let Some((number, expected)) = write.condition else { return Evaluated::Publish };
        let key = number.to_key();
        let change = driver.replica.in_flight(TABLE, &key).map(ValueId::after);
        let in_flight = change.filter(|_| !self.is(Mutant::IgnoresInFlight));
        let holds = in_flight.unwrap_or_else(|| image.value(&key)) == expected;
        if in_flight.is_some() {
            self.coverage.sight(Sight::ConditionInFlight);
        }
        if holds { Evaluated::Publish } else { Evaluated::Refused }
    }

    fn publish(&mut self, node: usize, partition: usize, ask: &Ask, write: &Write) {
        let changes = write.changes.iter().map(|(number, value)| DraftChange {
            table: TABLE,
            key: number.to_key(),
            value: (*value != ValueId::ABSENT).then(|| DraftValue {
                schema_version: ask.attempt.0,
                expires: None,
                json: value.to_json(),
            }),
            before: None,
            index: Vec::new(),
        });
        let changes = changes.collect();
        let idempotency = ask.key.as_ref().map(|key| Idempotency {
            name: remembered_key(key),
            fingerprint: ask.fingerprint(),
            statuses: ask.attempt.to_statuses(),
            ttl_ms: None,
        });
        let draft = Draft { changes, idempotency: idempotency.into_iter().collect() };
        let request = self.wait_for(node, partition, ask, Purpose::Write);
        let write = cortado_replica::Write { request, draft };
        self.step(node, partition, Input::Write(write));
        self.answer_early(node, partition, request);
    }

    fn wait_for(&mut self, node: usize, partition: usize, ask: &Ask, what: Purpose) -> RequestId {
        let request = RequestId(self.next_number());
        let client = Some((ask.client, ask.attempt));
        if let Some(driver) = self.nodes[node].driver_mut(partition) {
            driver.wait(request, Waiting { client, what });
        }
        request
    }

    fn note_need(&mut self, node: usize, partition: usize, need: ReadNeed) {
        let Some(driver) = self.nodes[node].driver(partition) else { return };
        let fold = driver.replica.fold();
        let sight = match need {
            ReadNeed::Lease => Sight::LeaseRead,
            ReadNeed::Barrier => Sight::StrictRead,
            ReadNeed::Folded(end) if end > fold.position.offset => Sight::LocalRead,
            ReadNeed::Applied(scn) if scn > fold.last => Sight::SessionRead,
            ReadNeed::Folded(_) | ReadNeed::Applied(_) => return,
        };
        self.coverage.sight(sight);
    }
}
