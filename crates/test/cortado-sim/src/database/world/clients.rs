//! The clients' side: what they ask, whom, when they give up, what they make of answers.
//!
//! Start reading at [`World::take_turn`].

use super::due::Ask;
use super::{Due, Phase, World};
use crate::database::client::{BULK_MAX, TRIES_MAX};
use crate::database::coverage::{CoveragePoint, Fault, variant};
use crate::database::documents::{AttemptId, KeyNumber, ValueId};
use crate::database::history::{Action, Attempt, Level, Operation, Reply, Write};
use crate::database::invariants::{definite_errors, no_lost_write};
use crate::database::oracle::sessions;
use crate::kernel::time::{MILLI, SECOND};
use bytes::Bytes;
use cortado_cluster::{
    Doubt, KnownLeader, LeaderSearch, Repetition, RouteAttempt, RouteStep, TryOutcome,
};
use cortado_model::{NodeId, Scn};

/// For so long after the faults clients go on as they did.
const BUSY_US: u64 = 10 * SECOND;

impl World {
    /// A client wants something new, as long as clients want anything.
    pub(super) fn take_turn(&mut self, client: usize) {
        if self.are_clients_over() {
            return;
        }
        let races = self.races(client);
        if self.is_hushed() && !races {
            return self.put(50 * MILLI, Due::Turn { client });
        }
        let partition = self.kernel.random.index(self.plan.partitions);
        let value = ValueId(self.next_number());
        // A bulk may use the numbers that follow.
        (1..BULK_MAX).for_each(|_| _ = self.next_number());
        let known = &self.clients[client];
        let (action, keyed) = match races {
            true => {
                let changes = vec![(KeyNumber(0), value)];
                (Action::Write(Write { condition: None, changes }), false)
            }
            false => known.choose(partition, self.plan.keys, value, &mut self.kernel.random),
        };
        let key = keyed.then(|| Bytes::from(format!("k{}", value.0)));
        self.clients[client].route = RouteAttempt::new(match &action {
            Action::Read { .. } => Repetition::Harmless,
            Action::Write(_) | Action::Bulk(_) if keyed => Repetition::Remembered,
            Action::Write(_) | Action::Bulk(_) => Repetition::Doubled,
        });
        self.clients[client].search = LeaderSearch::default();
        let operation = self.history.len();
        self.history.push(Operation { client, partition, action, key, attempts: Vec::new() });
        self.try_again(client, operation);
    }

    /// Sends one more try of an operation.
    pub(super) fn try_again(&mut self, client: usize, operation: usize) {
        let attempt = AttemptId(self.operations.len() as u32);
        self.operations.push(operation);
        let wanted = &mut self.history[operation];
        let partition = wanted.partition;
        let floor = self.partitions[partition].floor.0;
        wanted.attempts.push(Attempt { id: attempt, invoked: self.kernel.now, ended: None, floor });
        let (action, key) = (wanted.action.clone(), wanted.key.clone());
        self.clients[client].waiting = Some(attempt);
        let node = self.choose_node(client, partition, &action);
        self.clients[client].asked = node;
        let deadline_us = self.plan.deadline_us;
        self.put(deadline_us, Due::Deadline { client, attempt });
        if !self.strikes(Fault::RequestLost) {
            let delay_us = self.delay();
            let ask = Ask { client, attempt, action, key };
            self.put(delay_us, Due::Request { node, partition, ask });
        }
    }

    pub(super) fn reply_arrives(
        &mut self,
        client: usize,
        attempt: AttemptId,
        reply: Reply,
        known: Option<KnownLeader>,
    ) {
        if self.clients[client].waiting == Some(attempt) {
            // Of an answer that was lost it cannot be told who was reached.
            if !matches!(reply, Reply::Unreachable | Reply::Unknown(_)) {
                let node = self.clients[client].asked;
                self.note_reach(client, node, true);
            }
            self.end_attempt(client, attempt, reply, known);
        }
    }

    pub(super) fn deadline_passes(&mut self, client: usize, attempt: AttemptId) {
        if self.clients[client].waiting == Some(attempt) {
            self.coverage.fault(Fault::ClientDeadline);
            // As of a connection that breaks: whether it was done, or will be, is unknown.
            self.end_attempt(client, attempt, Reply::Unknown(Doubt::LeaderLost), None);
        }
    }

    /// A try is over: checks what can be checked at once, and goes on or tries again.
    ///
    /// * `known`: who leads, as the node that was asked knows.
    fn end_attempt(
        &mut self,
        client: usize,
        attempt: AttemptId,
        reply: Reply,
        known: Option<KnownLeader>,
    ) {
        self.clients[client].waiting = None;
        let operation = self.operation_of(attempt);
        let last = self.history[operation].attempts.last_mut();
        last.expect("this is it").ended = Some((self.kernel.now, reply.clone()));
        self.check_reply(operation, &reply);
        self.learn(client, operation, &reply);
        let ended = outcome(&reply);
        let step = self.clients[client].route.judge(ended);
        self.coverage.meet(variant::try_outcome(&ended));
        self.coverage.meet(variant::route_step(&step));
        let wanted = &self.history[operation];
        let tries = wanted.attempts.len();
        let told = definite_errors::check_step(wanted, step);
        self.check(told);
        if step == RouteStep::Unknown(Doubt::LeaderLost)
            && matches!(reply, Reply::NotDone(_) | Reply::Late)
        {
            self.coverage.reach(CoveragePoint::GaveUpInDoubt);
        }
        let stops = self.are_clients_over() || self.is_hushed();
        if step == RouteStep::TryAgain && !stops && tries < TRIES_MAX {
            let drawn_us = self.kernel.random.between(1, 40) * MILLI;
            let at_once = self.look_further(client, operation, known);
            let pause_us = if at_once { 0 } else { drawn_us };
            self.put(pause_us, Due::Retry { client, operation });
        } else {
            if step == RouteStep::Answer {
                let partition = self.history[operation].partition;
                let knows = &mut self.clients[client];
                let node = NodeId(knows.asked as u32 + 1);
                knows.routes[partition].note_served(node, &knows.known);
            }
            let think_us = self.plan.think_us.max(self.think_us_min());
            let think_us = self.kernel.random.around(think_us);
            self.put(think_us, Due::Turn { client });
        }
    }

    /// Where it is waited for minutes until all is in its place, clients want little meanwhile:
    /// what they could show they have shown by then, and it would cost most of a run.
    fn think_us_min(&self) -> u64 {
        match self.phase {
            Phase::Healed { at } if self.kernel.now.since(at) > BUSY_US => 250 * MILLI,
            _ => 0,
        }
    }

    /// Whether clients want nothing any more.
    fn are_clients_over(&self) -> bool {
        match self.phase {
            Phase::Faults | Phase::Filling | Phase::Outvoting { .. } | Phase::Healed { .. } => {
                false
            }
            Phase::Quiet { .. } | Phase::Keeping { .. } | Phase::Resolving { .. } | Phase::Over => {
                true
            }
        }
    }

    /// Whom to ask next is found out; answers whether to ask at once.
    fn look_further(
        &mut self,
        client: usize,
        operation: usize,
        known: Option<KnownLeader>,
    ) -> bool {
        let partition = self.history[operation].partition;
        let placed = self.catalog().held(partition).nodes().len();
        let knows = &mut self.clients[client];
        let route = &mut knows.routes[partition];
        known.map(|known| route.learn(known));
        let newer = route.leader().is_newer_than(&knows.known);
        let at_once = knows.search.failed(newer, placed);
        if at_once {
            self.coverage.reach(CoveragePoint::Redirected);
        }
        at_once
    }

    fn check_reply(&mut self, operation: usize, reply: &Reply) {
        let wanted = &self.history[operation];
        let known = &mut self.partitions[wanted.partition];
        if let Phase::Healed { at } = self.phase
            && wanted.attempts[0].invoked >= at
        {
            known.served.note(wanted, reply);
        }
        let what = format!("operation {operation}");
        let result = match (&wanted.action, reply) {
            (Action::Write(_) | Action::Bulk(_), reply) => {
                let writes = wanted.action.writes();
                let attempts: Vec<AttemptId> = wanted.attempts.iter().map(|each| each.id).collect();
                let (keyed, then) = (wanted.key.is_some(), wanted.attempts[0].floor);
                writes.iter().enumerate().try_for_each(|(part, write)| {
                    let Reply::Committed { scn } = *reply.of_part(part) else { return Ok(()) };
                    let truth = &known.truth;
                    no_lost_write::check(truth, scn, write, writes, &attempts, keyed, then)?;
                    known.floor.finish(then, scn, &what)
                })
            }
            (Action::Read { level, keys, token }, Reply::Values { scn, values }) => {
                let seen = sessions::check_state(&known.truth, *scn, keys, values);
                let in_time = match level {
                    Level::Strong if !self.plan.clocks_are_sound() => {
                        if *scn < wanted.last().floor {
                            self.coverage.reach(CoveragePoint::StaleUnderDrift);
                        }
                        Ok(())
                    }
                    Level::Strong | Level::Strict => {
                        known.floor.finish(wanted.last().floor, *scn, &what)
                    }
                    Level::Session => sessions::check_token(*token, *scn),
                    Level::Eventual => Ok(()),
                };
                seen.and(in_time)
            }
            (Action::Read { .. }, _) => Ok(()),
        };
        self.check(result);
    }

    /// What a client remembers of an answer.
    fn learn(&mut self, client: usize, operation: usize, reply: &Reply) {
        let wanted = &self.history[operation];
        let partition = wanted.partition;
        let knows = &mut self.clients[client];
        let mut met = |scn: Scn| knows.tokens[partition] = knows.tokens[partition].max(scn);
        match (&wanted.action, reply) {
            (Action::Write(_) | Action::Bulk(_), Reply::Committed { .. } | Reply::Each(_)) => {
                for (part, write) in wanted.action.writes().iter().enumerate() {
                    let Reply::Committed { scn } = *reply.of_part(part) else { continue };
                    met(scn);
                    let changes = write.changes.iter();
                    knows.seen.extend(changes.map(|(key, value)| ((partition, *key), *value)));
                }
            }
            (Action::Read { keys, .. }, Reply::Values { scn, values }) => {
                met(*scn);
                for key in keys {
                    let value = values.get(key).copied().unwrap_or_default();
                    knows.seen.insert((partition, *key), value);
                }
            }
            (Action::Write(_) | Action::Bulk(_) | Action::Read { .. }, _) => {}
        }
    }

    fn choose_node(&mut self, client: usize, partition: usize, action: &Action) -> usize {
        let anywhere = match action {
            Action::Write(_) | Action::Bulk(_) => false,
            Action::Read { level: Level::Session | Level::Eventual, .. } => true,
            Action::Read { level: Level::Strong | Level::Strict, .. } => self.plan.is_local(),
        };
        let held = self.catalog().held(partition);
        let knows = &mut self.clients[client];
        let route = knows.routes[partition];
        knows.known = route.leader();
        // A client that asks the wrong node must not be served by it: some always do.
        let strays = self.kernel.random.below(6) == 0;
        let next = self.clients[client].search.next(route.first(), || held.nodes());
        match next.filter(|_| !anywhere && !strays) {
            Some(node) => node.0 as usize - 1,
            None => self.kernel.random.index(self.nodes.len()),
        }
    }
}

/// What a client makes of a reply, as a gateway does of a node's answer.
fn outcome(reply: &Reply) -> TryOutcome {
    match reply {
        Reply::Committed { .. } | Reply::Values { .. } | Reply::Refused | Reply::Each(_) => {
            TryOutcome::Answered
        }
        Reply::NotDone(why) if !why.is_for_another_leader() => TryOutcome::Declined,
        Reply::NotDone(_) | Reply::Unreachable => TryOutcome::NotHere,
        Reply::Late => TryOutcome::DeadlineBefore,
        // It cannot tell a leader that was lost from an answer that was: it asks the next one.
        Reply::Unknown(Doubt::LeaderLost) => TryOutcome::LeaderLost,
        Reply::Unknown(Doubt::LogFailed) => TryOutcome::LogFailed,
        Reply::Unknown(Doubt::Deadline) => TryOutcome::DeadlineAfter,
    }
}
