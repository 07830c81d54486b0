//! A driver's task: events, then [`Event::Settle`], then what the driver wants done, in order;
//! anything may happen in between.
//!
//! Start reading at [`World::run_driver`].

use super::due::EventLine;
use super::{Address, Due, World};
use crate::database::asker::Asker;
use crate::database::coverage::{
    Boundary, BoundaryAction, BoundaryPoint, CoveragePoint, Fault, variant,
};
use crate::database::hosted::{Hosted, Job};
use crate::database::invariants::{answers, checkpoint_order, limits};
use crate::database::mutant::Mutant;
use crate::kernel::check_progress;
use crate::kernel::random::PerMillion;
use crate::kernel::time::MILLI;
use cortado_driver::{Action, Event, ReplicaRole, Reply};
use cortado_model::Millis;

impl World {
    /// The driver at `address`, if its process goes on.
    pub(super) fn hosted_at(&mut self, address: Address) -> Option<&mut Hosted> {
        let hosted = self.nodes[address.node].hosted_mut(address.partition)?;
        (hosted.number == address.process).then_some(hosted)
    }

    /// Puts an event in line and lets the driver work.
    pub(super) fn tell(&mut self, to: Address, event: Event<Asker>) {
        self.enqueue(to, Job::Event(event));
    }

    pub(super) fn enqueue(&mut self, to: Address, job: Job) {
        if let Some(hosted) = self.hosted_at(to).filter(|hosted| !hosted.has_ended) {
            hosted.inbox.push_back(job);
            self.run_driver(to.node, to.partition);
        }
    }

    /// Lets something reach a driver after a while.
    pub(super) fn tell_in(&mut self, in_us: u64, to: Address, event: Event<Asker>) {
        self.put(in_us, Due::Tells { to, event: Box::new(event) });
    }

    /// Works until nothing is left to do, or the node stops or dies.
    pub(super) fn run_driver(&mut self, node: usize, partition: usize) {
        for done in 0.. {
            // What a driver asks for again at once, without end, must not hang the run either.
            self.check(check_progress(done));
            if self.kernel.finding.is_some() || !self.nodes[node].is_running() {
                return;
            }
            let Some(here) = self.address(node, partition) else { return };
            let Some(hosted) = self.nodes[node].hosted_mut(partition) else { return };
            if let Some(action) = hosted.actions.front() {
                let before = boundary_before(action);
                if before.is_some_and(|point| self.befalls(node, point)) {
                    return;
                }
                let hosted = self.nodes[node].hosted_mut(partition);
                let action = hosted.and_then(|hosted| hosted.actions.pop_front());
                let action = action.expect("nothing has taken the first action meanwhile");
                let after = self.execute(here, action);
                if after.is_some_and(|point| self.befalls(node, point)) {
                    return;
                }
            } else if hosted.inbox.is_empty() {
                return;
            } else {
                if self.befalls(node, BoundaryPoint::BeforeStep) {
                    return;
                }
                self.take_turn_of(here);
            }
        }
    }

    pub(super) fn wake(&mut self, to: Address, at: Millis) {
        let Some(hosted) = self.hosted_at(to) else { return };
        if hosted.wake == Some(at) {
            hosted.wake = None;
            self.tell(to, Event::Tick);
        }
    }

    /// The driver of `partition` in the node's present process.
    pub(super) fn address(&self, node: usize, partition: usize) -> Option<Address> {
        let process = self.nodes[node].hosted(partition)?.number;
        Some(Address { node, partition, process })
    }

    /// Tells the driver one or a few of the things that are at hand.
    fn take_turn_of(&mut self, here: Address) {
        let events_max = self.kernel.random.between(1, self.plan.events_max);
        if let Some(hosted) = self.hosted_at(here) {
            hosted.has_resigned = false;
        }
        let mut ticked = None;
        for told in 0..events_max {
            let Some(hosted) = self.hosted_at(here) else { return };
            match hosted.inbox.pop_front() {
                Some(Job::Event(event)) => {
                    if matches!(event, Event::Tick) {
                        ticked = Some(hosted.driver.wake_at());
                    }
                    self.step(here, event);
                }
                Some(Job::Look { client, attempt, look }) => {
                    self.look(here, client, attempt, &look);
                    if told == 0 {
                        return;
                    }
                }
                Some(Job::Withdraw(attempt)) => {
                    self.withdraw(here, attempt);
                    if told == 0 {
                        return;
                    }
                }
                None => break,
            }
        }
        if !self.is(Mutant::NeverSettles) {
            self.step(here, Event::Settle);
        }
        let now = self.nodes[here.node].clock.read(self.kernel.now);
        let Some(hosted) = self.hosted_at(here) else { return };
        let wake_at = hosted.driver.wake_at();
        if let Some(wanted) = ticked {
            self.check(limits::check_wake(now.clock, wanted, wake_at));
        }
        self.plan_wake(here, wake_at);
        self.watch_stores(here);
    }

    /// Tells the driver one thing and puts what it wants done in line.
    fn step(&mut self, here: Address, event: Event<Asker>) {
        let now = self.time_at(here);
        let on_tick = matches!(event, Event::Tick);
        let story = self.kernel.trace.is_told().then(|| EventLine(&event).to_string());
        self.coverage.meet(variant::event(&event));
        if matches!(event, Event::Condemned { .. }) && self.keeps() && self.lives(here) {
            // A fault that it heard of late: it may be built anew from one that has a little less.
            // One that stands or rests has no life that this could be about, and keeps everything.
            self.kept[here.node][here.partition] = None;
        }
        if let Event::Outcomes { outcomes, .. } = &event {
            outcomes.iter().map(variant::record_outcome).for_each(|met| self.coverage.meet(met));
        }
        let Some(hosted) = self.hosted_at(here) else { return };
        let (before, lease_ms) = (hosted.driver.role(), lease_of(hosted));
        let mut actions = Vec::new();
        hosted.driver.on(now, event, &mut actions);
        let (after, count) = (hosted.driver.role(), actions.len() as u64);
        let lease_changed = lease_ms.is_some() && lease_of(hosted) != lease_ms;
        let (last, offset) = hosted.driver.applied();
        let next = hosted.next_offset();
        let numbers = actions.iter().filter_map(job_of);
        let mut in_order = Ok(());
        for job in numbers {
            in_order = in_order.and(answers::check_number(hosted.last_job, job));
            hosted.last_job = job;
        }
        hosted.actions.extend(actions);
        let (bytes, requests) = (hosted.driver.gathered_bytes(), hosted.driver.waiting_requests());
        self.check(in_order);
        self.check(limits::check_gathered(&self.plan.settings, bytes, requests));
        self.coverage.transition(before, after);
        if lease_changed && before == after {
            self.coverage.reach(CoveragePoint::LeaseChanged);
        }
        if on_tick && (before, after) == (ReplicaRole::Opening, ReplicaRole::Leader) {
            self.coverage.reach(CoveragePoint::LeaseWaited);
        }
        let facts = [99, count, last.to_u64(), offset.0, next.map_or(u64::MAX, |next| next.0)];
        self.kernel.note(&facts, || {
            let story = story.unwrap_or_default();
            format!("{here}: on {story}: {after:?}, applied {last}, next {next:?}")
        });
    }

    /// Whether the driver at `here` has a core that folds its log.
    fn lives(&mut self, here: Address) -> bool {
        self.hosted_at(here).is_some_and(|hosted| hosted.driver.fold().is_some())
    }

    /// Whether the node dies or stops at `point`. Places that are rarely come to are not safer.
    pub(super) fn befalls(&mut self, node: usize, point: BoundaryPoint) -> bool {
        let actions =
            [(Fault::NodeCrash, BoundaryAction::Crash), (Fault::NodePause, BoundaryAction::Pause)];
        for (fault, action) in actions {
            let PerMillion(chance) = self.plan.chance(fault);
            let chance = PerMillion(chance * point.weight());
            if self.has_faults() && self.kernel.random.happens(chance) {
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

    fn plan_wake(&mut self, to: Address, wake_at: Option<Millis>) {
        let now = self.kernel.now;
        let moment = wake_at.map(|at| self.nodes[to.node].clock.moment_of(at, now));
        let Some(hosted) = self.hosted_at(to) else { return };
        if hosted.wake == wake_at {
            return;
        }
        hosted.wake = wake_at;
        if let (Some(at), Some(moment)) = (wake_at, moment) {
            self.kernel.schedule.put(moment, Due::Wake { to, at });
        }
    }

    pub(super) fn watch_stores(&mut self, here: Address) {
        let Address { node, partition, .. } = here;
        let Some(hosted) = self.nodes[node].hosted(partition) else { return };
        let truth = &self.partitions[partition].truth;
        let store = &self.nodes[node].disk[partition];
        let Some(fold) = hosted.driver.fold() else { return };
        let ordered = checkpoint_order::check(truth, store, fold);
        let shown = checkpoint_order::check_shown(truth, store, hosted.driver.applied());
        // What is committed and not in the store is not in flight any more.
        let committed = truth.between(hosted.driver.applied().0, fold.last).len();
        let in_flight = hosted.driver.unanswered_writes().saturating_sub(committed);
        let bounded = limits::check_writes(&self.plan.settings.replica, in_flight);
        self.check(bounded);
        if self.unheard != Some(node) {
            self.check(ordered.and(shown));
        }
    }

    /// Stores become durable little by little.
    pub(super) fn flush(&mut self, node: usize) {
        for partition in 0..self.plan.partitions {
            let store = &mut self.nodes[node].disk[partition];
            let keep = self.kernel.random.index(store.undurable() + 1);
            store.flush(keep);
        }
        let delay_us = self.kernel.random.between(5, 120) * MILLI;
        self.put(delay_us, Due::Flush { node });
    }
}

fn lease_of(hosted: &Hosted) -> Option<u32> {
    hosted.driver.fold().map(|fold| fold.leases.duration_ms)
}

/// The place right before `action`; what is no duty has none.
fn boundary_before(action: &Action<Asker>) -> Option<BoundaryPoint> {
    match action {
        Action::Append { .. } => Some(BoundaryPoint::BeforeAppend),
        Action::AskExtent(_) => Some(BoundaryPoint::BeforeRecover),
        Action::Find { .. } => Some(BoundaryPoint::BeforeFind),
        Action::Apply { .. } => Some(BoundaryPoint::BeforeApply),
        Action::Reply { reply: Reply::Ready, .. } => Some(BoundaryPoint::BeforeRead),
        Action::Reply { .. } => Some(BoundaryPoint::BeforeAnswer),
        Action::Hash { .. } => Some(BoundaryPoint::BeforeDigest),
        Action::TrimLog(_) => Some(BoundaryPoint::BeforeTrim),
        Action::ClearStore(_) | Action::InstallSnapshot { .. } => {
            Some(BoundaryPoint::BeforeRebuild)
        }
        Action::Survey(_)
        | Action::LookThrough(_)
        | Action::OpenProducer(_)
        | Action::ReadPage { .. }
        | Action::FindBookmark { .. }
        | Action::ProbeStore(_)
        | Action::LookAround(_)
        | Action::AskPeers(_)
        | Action::AskToClaim { .. }
        | Action::Report(_)
        | Action::Condemn { .. }
        | Action::FailStore { .. }
        | Action::Tell(_)
        | Action::End => None,
    }
}

/// The number under which an action is answered.
pub(super) fn job_of(action: &Action<Asker>) -> Option<cortado_driver::JobId> {
    match action {
        Action::Survey(job)
        | Action::LookThrough(job)
        | Action::OpenProducer(job)
        | Action::AskExtent(job)
        | Action::ReadPage { job, .. }
        | Action::Find { job, .. }
        | Action::Apply { job, .. }
        | Action::FindBookmark { job, .. }
        | Action::Hash { job, .. }
        | Action::ProbeStore(job)
        | Action::ClearStore(job)
        | Action::InstallSnapshot { job, .. }
        | Action::LookAround(job)
        | Action::AskPeers(job) => Some(*job),
        Action::Append { .. }
        | Action::AskToClaim { .. }
        | Action::Report(_)
        | Action::Condemn { .. }
        | Action::TrimLog(_)
        | Action::FailStore { .. }
        | Action::Reply { .. }
        | Action::Tell(_)
        | Action::End => None,
    }
}
