//! The driver's duties: an input, then its effects in order; anything may happen in between.
//!
//! Start reading at [`World::run_driver`].
//! Source: docs/protocols/replication.md, "Duties of the driver".

use super::{Address, Due, World};
use crate::coverage::{Boundary, BoundaryAction, BoundaryPoint, Fault, Sight};
use crate::driver::{Driver, Job, Purpose, Waiting};
use crate::history::Reply;
use crate::invariants::{
    answers, applied_in_order, checkpoint_order, equal_digests, limits, trims,
};
use crate::mutant::Mutant;
use crate::random::PerMillion;
use crate::time::MILLI;
use crate::violation::Violation;
use cortado_model::Millis;
use cortado_replica::{Answer, Apply, Effect, Input, RequestId, Role};

impl World {
    /// The driver at `address`, if that life goes on.
    pub(super) fn driver_at(&mut self, address: Address) -> Option<&mut Driver> {
        let driver = self.nodes[address.node].driver_mut(address.partition)?;
        (driver.incarnation == address.incarnation).then_some(driver)
    }

    /// Puts an input in line and lets the driver work.
    pub(super) fn feed(&mut self, to: Address, input: Input) {
        if let Some(driver) = self.driver_at(to) {
            driver.inbox.push_back(Job::Input(input));
            self.run_driver(to.node, to.partition);
        }
    }

    /// Works until nothing is left to do, or the node stops or dies.
    pub(super) fn run_driver(&mut self, node: usize, partition: usize) {
        for done in 0.. {
            // What a replica asks for again at once, without end, must not hang the run either.
            self.check(limits::check_progress(done));
            if self.finding.is_some() || !self.nodes[node].is_running() {
                return;
            }
            let Some(driver) = self.nodes[node].driver_mut(partition) else { return };
            if let Some(effect) = driver.effects.front() {
                let before = driver.boundary_before(effect);
                if before.is_some_and(|point| self.befalls(node, point)) {
                    return;
                }
                let driver = self.nodes[node].driver_mut(partition);
                let effect = driver.and_then(|driver| driver.effects.pop_front());
                let effect = effect.expect("nothing has taken the first effect meanwhile");
                let after = self.execute(node, partition, effect);
                if after.is_some_and(|point| self.befalls(node, point)) {
                    return;
                }
            } else if driver.inbox.is_empty() {
                return;
            } else {
                if self.befalls(node, BoundaryPoint::BeforeStep) {
                    return;
                }
                let driver = self.nodes[node].driver_mut(partition);
                let job = driver.and_then(|driver| driver.inbox.pop_front());
                self.do_job(node, partition, job.expect("the inbox was not empty"));
            }
        }
    }

    pub(super) fn wake(&mut self, to: Address, at: Millis) {
        let Some(driver) = self.driver_at(to) else { return };
        if driver.wake == Some(at) {
            driver.wake = None;
            self.feed(to, Input::Tick);
        }
    }

    /// Steps the core and puts its effects in line.
    pub(super) fn step(&mut self, node: usize, partition: usize, input: Input) {
        let now = self.nodes[node].clock.read(self.now);
        let appends_first = self.plan.appends_first;
        let Some(driver) = self.nodes[node].driver_mut(partition) else { return };
        let before = driver.replica.role();
        let folded = driver.replica.fold().position.offset;
        let lease_ms = driver.replica.fold().leases.duration_ms;
        let ticked = matches!(input, Input::Tick).then(|| driver.replica.wake_at());
        let mut effects = Vec::new();
        driver.replica.step(now, input, &mut effects);
        if appends_first {
            effects.sort_by_key(|effect| !matches!(effect, Effect::Append { .. }));
        }
        let (after, count) = (driver.replica.role(), effects.len() as u64);
        let fold = driver.replica.fold();
        let (last, offset) = (fold.last, fold.position.offset);
        let lease_changed = fold.leases.duration_ms != lease_ms;
        let moved = before == Role::Offline && (after != before || offset != folded);
        driver.effects.extend(effects);
        let wake_at = driver.replica.wake_at();
        self.coverage.transition(before, after);
        if lease_changed {
            self.coverage.sight(Sight::LeaseChanged);
        }
        self.trace.note(self.now, &[99, count, last.to_u64(), offset.0], || {
            format!("n{}.p{partition}: {after:?} at {last}, next {offset}", node + 1)
        });
        if let Some(wanted) = ticked {
            if (before, after) == (Role::Opening, Role::Leader) {
                self.coverage.sight(Sight::LeaseWaited);
            }
            self.check(limits::check_wake(now.clock, wanted, wake_at));
        }
        if moved {
            let details = format!("n{}.p{partition} went on as {after:?} to {offset}", node + 1);
            self.check(Err(Violation::new("offline", details)));
        }
        self.plan_wake(node, partition, wake_at);
        self.watch_stores(node, partition);
        let incarnation = self.nodes[node].driver(partition).map(|driver| driver.incarnation);
        if let Some(incarnation) = incarnation {
            self.recover_if_caught_up(Address { node, partition, incarnation });
        }
        self.read_if_needed(node, partition);
    }

    /// Tells the replica that it has caught up, once it has.
    pub(super) fn recover_if_caught_up(&mut self, at: Address) {
        let Some(driver) = self.driver_at(at) else { return };
        let Some(end) = driver.recovering else { return };
        if driver.replica.fold().position.offset >= end {
            driver.recovering = None;
            driver.inbox.push_back(Job::Input(Input::CaughtUp { end }));
        }
    }

    fn do_job(&mut self, node: usize, partition: usize, job: Job) {
        let resyncing = self.nodes[node].driver(partition).is_some_and(|d| d.resyncing);
        match job {
            Job::Input(_) if resyncing => {}
            Job::Input(input) => {
                if let (Input::Page(page), true) = (&input, self.is(Mutant::AppliesZombies)) {
                    self.apply_zombies(node, partition, &page.entries);
                }
                self.step(node, partition, input);
            }
            Job::Ask(ask) if resyncing => {
                self.reply(partition, ask.client, ask.attempt, Reply::Unreachable);
            }
            Job::Ask(ask) => self.evaluate(node, partition, ask),
        }
    }

    /// Executes one effect; answers the boundary behind it, if it has a name.
    fn execute(&mut self, node: usize, partition: usize, effect: Effect) -> Option<BoundaryPoint> {
        let incarnation = self.nodes[node].driver(partition)?.incarnation;
        let here = Address { node, partition, incarnation };
        self.trace.note(self.now, &super::observing::facts(&effect), || {
            format!("{here}: executes {}", super::observing::describe(&effect))
        });
        match effect {
            Effect::Append { token, records } => {
                self.send_append(here, token, records);
                Some(BoundaryPoint::AfterAppend)
            }
            Effect::Recover => {
                let delay_us = self.delay();
                self.put(delay_us, Due::EndAsk { to: here });
                None
            }
            Effect::Apply(_) if self.strikes(Fault::StoreFails) => {
                // The replica's state is ahead of what its store will ever have.
                self.rebuild(here);
                None
            }
            Effect::Apply(apply) => {
                self.apply(node, partition, &apply);
                Some(BoundaryPoint::AfterApply)
            }
            Effect::Answer { request, answer } => {
                self.answer(node, partition, request, answer);
                Some(BoundaryPoint::AfterAnswer)
            }
            Effect::Digest { at: _ } => {
                self.coverage.sight(Sight::Digested);
                let truth = &self.partitions[partition].truth;
                let image = self.nodes[node].disk[partition].image();
                self.check(equal_digests::check_anew(truth, image));
                None
            }
            // These stores keep no bookmarks.
            Effect::TrimBookmarks(_) => None,
            Effect::TrimLog(trim) => {
                let durable =
                    self.nodes.iter().map(|n| n.disk[partition].durable().position.offset);
                self.check(trims::check(trim.below, &durable.collect::<Vec<_>>()));
                self.coverage.sight(Sight::Trimmed);
                self.log.trim(partition, trim.below);
                Some(BoundaryPoint::AfterTrim)
            }
            Effect::Event(event) => {
                self.observe_event(here, event);
                None
            }
        }
    }

    fn apply(&mut self, node: usize, partition: usize, apply: &Apply) {
        let drops = self.is(Mutant::DropsApply) && self.random.below(100) == 0;
        let store = &mut self.nodes[node].disk[partition];
        let truth = &self.partitions[partition].truth;
        let in_order = applied_in_order::check(truth, store.image().last_transaction, apply);
        if drops {
            let transactions = Vec::new();
            store.apply(&Apply { transactions, ..apply.clone() });
        } else {
            store.apply(apply);
        }
        let equal = equal_digests::check(truth, store.image());
        let undurable_max = self.plan.undurable_max;
        store.flush(undurable_max.max(1));
        self.check(in_order.and(equal));
        self.watch_stores(node, partition);
    }

    /// Whether the node dies or stops at `point`. Places that are rarely come to are not safer.
    fn befalls(&mut self, node: usize, point: BoundaryPoint) -> bool {
        let actions =
            [(Fault::NodeCrash, BoundaryAction::Crash), (Fault::NodePause, BoundaryAction::Pause)];
        for (fault, action) in actions {
            let PerMillion(chance) = self.plan.chance(fault);
            let chance = PerMillion(chance * point.weight());
            if self.has_faults() && self.random.happens(chance) {
                self.coverage.fault(fault);
                self.coverage.boundary(Boundary { point, action });
                match action {
                    BoundaryAction::Crash => self.crash(node),
                    BoundaryAction::Pause => self.pause(node),
                }
                return true;
            }
        }
        false
    }

    /// The replica's answer becomes the client's.
    fn answer(&mut self, node: usize, partition: usize, request: RequestId, answer: Answer) {
        let driver = self.nodes[node].driver_mut(partition);
        let Some(Waiting { client, what }) = driver.and_then(|d| d.take_waiting(request)) else {
            if !self.answers_early() {
                self.check(Err(answers::unexpected(request)));
            }
            return;
        };
        self.observe_answer(&what, answer);
        let reply = match (what, answer) {
            (_, Answer::NotDone(why)) => Reply::NotDone(why),
            (_, Answer::Unknown) => Reply::Unknown,
            (Purpose::Write | Purpose::HandOff, Answer::Committed { scn, .. }) => {
                Reply::Committed { scn }
            }
            (Purpose::Read(keys), Answer::Ready) => self.look(node, partition, &keys),
            (Purpose::Settled(reply), Answer::Ready) => reply,
            (Purpose::Again(ask), Answer::Ready) => {
                if let Some(driver) = self.nodes[node].driver_mut(partition) {
                    driver.inbox.push_back(Job::Ask(ask));
                }
                return;
            }
            (Purpose::Write | Purpose::HandOff, Answer::Ready)
            | (
                Purpose::Read(_) | Purpose::Settled(_) | Purpose::Again(_),
                Answer::Committed { .. },
            ) => {
                self.check(Err(answers::unexpected(request)));
                return;
            }
        };
        if let Some((client, attempt)) = client {
            self.reply(partition, client, attempt, reply);
        }
    }

    fn plan_wake(&mut self, node: usize, partition: usize, wake_at: Option<Millis>) {
        let now = self.now;
        let moment = wake_at.map(|at| self.nodes[node].clock.moment_of(at, now));
        let Some(driver) = self.nodes[node].driver_mut(partition) else { return };
        if driver.wake == wake_at {
            return;
        }
        driver.wake = wake_at;
        if let (Some(at), Some(moment)) = (wake_at, moment) {
            let to = Address { node, partition, incarnation: driver.incarnation };
            self.schedule.put(moment, Due::Wake { to, at });
        }
    }

    fn watch_stores(&mut self, node: usize, partition: usize) {
        let Some(driver) = self.nodes[node].driver(partition) else { return };
        let truth = &self.partitions[partition].truth;
        let store = &self.nodes[node].disk[partition];
        let ordered = checkpoint_order::check(truth, store, driver.replica.fold());
        let bounded = limits::check_writes(&self.plan.settings, driver.unanswered_writes());
        self.check(ordered.and(bounded));
    }

    fn answers_early(&self) -> bool {
        self.is(Mutant::AnswersWhenSent) || self.is(Mutant::AnswersWhenAppended)
    }

    /// Stores become durable little by little.
    pub(super) fn flush(&mut self, node: usize) {
        for partition in 0..self.plan.partitions {
            let store = &mut self.nodes[node].disk[partition];
            let keep = self.random.index(store.undurable() + 1);
            store.flush(keep);
        }
        let delay_us = self.random.between(5, 120) * MILLI;
        self.put(delay_us, Due::Flush { node });
    }
}
