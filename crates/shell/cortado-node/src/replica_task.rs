//! The task of one replica: tells its driver what happens, and carries out what that wants.
//!
//! Decides nothing about the protocol, and shares no state: others see a [`ReplicaHandle`] and put
//! [`Input`]s in line. Start reading at [`ReplicaTask::run`].
//! Source: docs/protocols/replication.md, "Duties of the driver"; the numbers below are its.

mod already;
mod appending;
mod asking;
mod copying;
mod hashing;
mod reading;
mod surroundings;
mod surveying;
mod telling;
mod work;

use crate::asker::{Asker, Input};
use crate::clock::millis;
use crate::replica_handle::ReplicaHandle;
use crate::replica_host::ReplicaHost;
use appending::Appending;
use cortado_driver::{
    Action, Driver, Event, FoldedLeadership, GATHER_BYTES_MAX, LogLimits, Me, ReplicaRole, Settings,
};
use cortado_gateway::ExpectedLog;
use cortado_log::Log;
use cortado_model::{LogOffset, Millis, PartitionId, ReplicaIncarnation, WallMillis};
use cortado_replica::{Config, Now, ReadNeed};
use reading::{Heard, Reading};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, Sleep, sleep_until};
use tracing::debug;
use work::Work;

/// Inputs taken from the line before anything else gets a turn.
const INPUTS_PER_TURN: usize = 64;
/// Pages read, one after another, before requests get their turn.
const PAGES_PER_TURN: usize = 4;
/// A timer that is set to nothing in particular fires this often: all that is due has a moment of
/// its own, but for a quiet leader's round of digests, which the growth of other logs makes due.
/// Thousands of replicas have this timer: it is what an idle node does.
const IDLE_TICK: Duration = Duration::from_secs(60);
/// A newer feature level that was not folded in this time is published again.
const RAISE_AGAIN_MS: u64 = 5_000;

/// Drives the replica of `handle` until the node ends or the partition is taken away.
///
/// * `lives_before`: of replicas of this partition that this life of the node has had before.
pub(crate) async fn run_replica(
    host: Arc<ReplicaHost>,
    handle: Arc<ReplicaHandle>,
    inbox: mpsc::Receiver<Input>,
    (origin, lives_before): (ExpectedLog, u32),
) {
    ReplicaTask::new(host, handle, inbox, (origin, lives_before)).run().await;
}

/// What the log of a partition takes now. A producer is given up after twice as long as the log may
/// stall: until then it is as likely that all is well.
fn limits_of(log: &dyn Log, partition: PartitionId) -> LogLimits {
    LogLimits {
        record_bytes_max: log.record_bytes_max(partition),
        append_timeout_ms: 2 * millis(log.stall_max()),
    }
}

/// One replica as long as its node lives.
struct ReplicaTask {
    host: Arc<ReplicaHost>,
    handle: Arc<ReplicaHandle>,
    inbox: mpsc::Receiver<Input>,
    driver: Driver<Asker>,
    /// What is to be done, in order.
    actions: Vec<Action<Asker>>,
    appending: Appending,
    reading: Reading,
    work: Work,
    tick: Pin<Box<Sleep>>,
    shown: Shown,
    ended: bool,
}

/// What the rest of the node, or the driver, was last told.
struct Shown {
    incarnation: ReplicaIncarnation,
    role: ReplicaRole,
    leadership: FoldedLeadership,
    restorations: u64,
    has_room: bool,
    log_end: LogOffset,
    limits: LogLimits,
    /// When it was told last, as leader, to publish a newer feature level.
    raised_at: Option<Millis>,
}

/// What a task waits for.
enum Woken {
    Input(Option<Input>),
    Done(Event<Asker>),
    Answered(Event<Asker>),
    Read(Heard),
    Tick,
}

impl ReplicaTask {
    fn new(
        host: Arc<ReplicaHost>,
        handle: Arc<ReplicaHandle>,
        inbox: mpsc::Receiver<Input>,
        (origin, lives_before): (ExpectedLog, u32),
    ) -> ReplicaTask {
        let (partition, log) = (handle.partition, Arc::clone(&host.log));
        let (traits, limits) = (log.traits(), limits_of(log.as_ref(), partition));
        let replica = if traits.local {
            cortado_replica::Settings::local()
        } else {
            cortado_replica::Settings::leased()
        };
        let feature_level = host.settings.feature_level();
        let settings = Settings {
            replica: cortado_replica::Settings { feature_level, ..replica },
            proof: ReadNeed::Lease,
            log: limits,
            trim: host.settings.trim,
            gather_bytes_max: GATHER_BYTES_MAX,
            copy_beyond_records: host.settings.copy_beyond_records,
        };
        let me = Me {
            node: host.node(),
            incarnation: host.me().incarnation,
            lives_before,
            partition,
            log: origin.log,
            genesis: origin.genesis.clone(),
        };
        let took = host.metrics.append.clone();
        let mut actions = Vec::new();
        let driver = Driver::new(me, settings, host.log_time.now(), &mut actions);
        let shown = Shown {
            incarnation: driver.incarnation(),
            role: ReplicaRole::Offline,
            leadership: FoldedLeadership::default(),
            restorations: 0,
            has_room: true,
            log_end: LogOffset::ZERO,
            limits,
            raised_at: None,
        };
        ReplicaTask {
            appending: Appending::new(
                Arc::clone(&log),
                &handle,
                took,
                Arc::clone(&host.health.appends),
            ),
            reading: Reading::new(log, &handle),
            work: Work::new(&host, &handle, origin),
            host,
            handle,
            inbox,
            driver,
            actions,
            tick: Box::pin(sleep_until(Instant::now())),
            shown,
            ended: false,
        }
    }

    async fn run(mut self) {
        self.carry_out().await;
        while !self.ended {
            let woken = self.wait().await;
            // What follows must not rest on what was true before.
            self.tell_changes();
            match woken {
                Woken::Answered(outcomes) => {
                    self.feed(outcomes).await;
                    while let Some(outcomes) = self.appending.answered_already().await {
                        self.feed(outcomes).await;
                    }
                }
                Woken::Read(Heard::Page(page)) => self.feed_page(page).await,
                Woken::Read(Heard::Moved) => {}
                Woken::Read(Heard::Failed(error)) => self.feed(error).await,
                Woken::Input(None) => return,
                Woken::Input(Some(input)) => {
                    self.feed(input).await;
                    for _ in 1..INPUTS_PER_TURN {
                        let Ok(input) = self.inbox.try_recv() else { break };
                        self.feed(input).await;
                    }
                }
                Woken::Done(event) => self.feed(event).await,
                Woken::Tick => self.feed(Event::Tick).await,
            }
            self.settle().await;
        }
        debug!(parent: &self.handle.span, "replica ended");
    }

    async fn wait(&mut self) -> Woken {
        self.set_tick();
        let ReplicaTask { driver, appending, reading, inbox, work, tick, shown, .. } = self;
        // A leader that waits for an acknowledgement hears of the new end with it.
        let position = driver.fold().map(|fold| fold.position).filter(|_| !appending.is_awaited());
        tokio::select! {
            biased;
            outcomes = appending.answered() => Woken::Answered(outcomes),
            done = work.done() => Woken::Done(done),
            input = inbox.recv() => Woken::Input(input),
            heard = reading.moved(position, shown.log_end) => Woken::Read(heard),
            () = tick => Woken::Tick,
        }
    }

    /// Sets the timer, but only to an earlier moment: an early tick does no harm.
    fn set_tick(&mut self) {
        let due = self.driver.wake_at().map(|at| self.host.clock.instant(at));
        let Some(due) = due else {
            if self.tick.is_elapsed() {
                self.tick.as_mut().reset(Instant::now() + IDLE_TICK);
            }
            return;
        };
        if self.tick.is_elapsed() || due < self.tick.deadline() {
            self.tick.as_mut().reset(due);
        }
    }

    /// Tells the driver one thing, and does at once what cannot wait for others.
    async fn feed(&mut self, event: Event<Asker>) {
        self.driver.on(self.host.log_time.now(), event, &mut self.actions);
        if !self.actions.is_empty() {
            self.carry_out().await;
        }
    }

    async fn feed_page(&mut self, page: Input) {
        if let Event::Page(_, Ok(page)) = &page {
            self.host.effort.count_log_bytes(page.entries.iter().map(|(_, record)| record));
        }
        self.feed(page).await;
    }

    /// Lets the driver do what was gathered, until nothing more follows by itself.
    async fn settle(&mut self) {
        let mut pages = 0;
        loop {
            self.tell_changes();
            self.driver.on(self.host.log_time.now(), Event::Settle, &mut self.actions);
            let begins = self.begin_life_if_new();
            self.show();
            // A new life knows nothing of its log yet.
            if self.actions.is_empty() && !begins {
                return;
            }
            self.carry_out().await;
            // What has been read already is folded at once, but others have waited, too.
            if pages < PAGES_PER_TURN
                && let Some(page) = self.reading.page_already().await
            {
                pages += 1;
                self.feed_page(page).await;
            }
            if self.ended {
                return;
            }
        }
    }

    /// Tells the driver of what changes without an input.
    fn tell_changes(&mut self) {
        let now = self.host.log_time.now();
        let has_room = !self.handle.waits_for_room();
        if has_room != self.shown.has_room {
            self.shown.has_room = has_room;
            self.driver.on(now, Event::Room(has_room), &mut self.actions);
        }
        self.raise_feature_level(now);
        let limits = limits_of(self.host.log.as_ref(), self.handle.partition);
        if limits != self.shown.limits {
            self.shown.limits = limits;
            self.driver.heed(limits);
        }
        if let Some(end) = self.reading.known_end()
            && end != self.shown.log_end
        {
            self.shown.log_end = end;
            self.driver.on(now, Event::LogEnd(end), &mut self.actions);
        }
    }

    /// A leader tells its replicas, once it may, that from here on a newer level is used.
    ///
    /// Without it every record stays readable for all: it may come late, and again.
    fn raise_feature_level(&mut self, now: Now) {
        let own = self.host.settings.feature_level();
        let in_force = self.driver.fold().map_or(own, |fold| fold.feature_level);
        if self.shown.role != ReplicaRole::Leader || in_force >= own {
            return;
        }
        // It has sixteen bits, and was read so.
        let level = self.host.cluster.catalog.newest().feature_level() as u16;
        if in_force >= level {
            return;
        }
        let due = self.shown.raised_at.is_none_or(|at| now.clock >= at.plus(RAISE_AGAIN_MS));
        if due {
            self.shown.raised_at = Some(now.clock);
            let raised = Event::Configure(Config::Feature { level });
            self.driver.on(now, raised, &mut self.actions);
        }
    }

    /// Follows the log for a life that has just begun; answers whether there is one.
    fn begin_life_if_new(&mut self) -> bool {
        let incarnation = self.driver.incarnation();
        let Some(fold) = self.driver.fold().filter(|_| incarnation != self.shown.incarnation)
        else {
            return false;
        };
        self.reading.follow(fold.position);
        // A life begins with these.
        (self.shown.has_room, self.shown.log_end) = (true, fold.position.offset);
        self.shown.incarnation = incarnation;
        self.handle.begin_life(incarnation);
        self.handle.show_restored(self.driver.applied());
        true
    }

    /// Tells the rest of the node how far this replica is and what it does.
    fn show(&mut self) {
        let (driver, handle) = (&self.driver, &self.handle);
        if driver.restorations() != self.shown.restorations {
            self.shown.restorations = driver.restorations();
            handle.show_restoring();
        }
        // The clock first: a record that comes after this moment was not missed.
        let now = self.host.clock.steady();
        handle.show_lack(driver.may_lack_record());
        handle.show_applied(driver.applied(), driver.log_end(), now);
        handle.show_standing(driver.standing(WallMillis::default()));
        handle.show_unverified(driver.is_unverified());
        let level = driver.fold().map_or(0, |fold| fold.feature_level);
        handle.show_feature_level(level.into());
        if *driver.leadership() != self.shown.leadership {
            self.shown.leadership.clone_from(driver.leadership());
            handle.show_leadership(driver.leadership());
            self.host.routes.route(handle.partition).learn(handle.known_leader());
        }
        if driver.role() != self.shown.role {
            self.show_role(driver.role());
        }
    }

    fn show_role(&mut self, role: ReplicaRole) {
        let (was_full, is_full) = (self.shown.role == ReplicaRole::Full, role == ReplicaRole::Full);
        if is_full != was_full {
            self.host.show_waiting(is_full);
        }
        self.handle.show_role(role);
        let route = self.host.routes.route(self.handle.partition);
        route.show_role(&self.handle, role);
        self.shown.role = role;
        if role == ReplicaRole::Leader {
            // It may have facts to publish that wait for no input.
            self.tick.as_mut().reset(Instant::now());
        }
    }

    /// Does what the driver wants, in its order; tells it what is known at once.
    async fn carry_out(&mut self) {
        let mut actions = std::mem::take(&mut self.actions);
        while !actions.is_empty() {
            for action in actions.drain(..) {
                if let Some(event) = self.act(action) {
                    self.driver.on(self.host.log_time.now(), event, &mut self.actions);
                }
            }
            std::mem::swap(&mut actions, &mut self.actions);
        }
        // Keeps its memory.
        self.actions = actions;
    }

    /// Does one thing, or sees that it is done; answers what is known of it at once.
    fn act(&mut self, action: Action<Asker>) -> Option<Event<Asker>> {
        match action {
            Action::OpenProducer(producer) => self.appending.open(producer),
            Action::Append { records } => {
                self.host.effort.count_log_bytes(records.iter());
                self.appending.append(records);
            }
            Action::ReadPage { job, from, bytes_max } => self.reading.want(job, from, bytes_max),
            Action::AskExtent(job) => self.work.ask_extent(job),
            Action::Survey(job) => self.work.survey(job),
            Action::LookThrough(job) => self.work.look_through(job),
            Action::Find { job, keys, names } => return self.work.find(job, keys, names),
            Action::Apply { job, batch, last, transactions } => {
                self.handle.show_applying(last);
                self.work.apply(job, *batch, transactions);
            }
            Action::FindBookmark { job, trim } => self.work.find_bookmark(job, trim),
            Action::Hash { job, time, known } => self.work.hash(job, time, known),
            Action::ProbeStore(job) => self.work.probe(job),
            Action::ClearStore(job) => self.work.clear(job),
            Action::InstallSnapshot { job, from } => self.work.install(job, from),
            Action::LookAround(job) => return self.work.look_around(job),
            Action::AskPeers(job) => self.work.ask_peers(job),
            Action::AskToClaim { node } => self.work.ask_to_claim(node),
            Action::Report(report) => self.work.report(report),
            Action::Condemn { nodes, why } => self.work.condemn(&nodes, &why),
            Action::TrimLog(trim) => self.work.trim_log(trim),
            Action::FailStore { why } => self.host.life.report_store_failure(why),
            Action::Reply { caller, reply } => {
                self.host.metrics.count_reply(&reply);
                caller.answer(reply);
            }
            Action::Tell(news) => telling::tell(&self.host, &self.handle, news),
            Action::End => self.ended = true,
        }
        None
    }
}

impl Drop for ReplicaTask {
    /// Whatever ends the task, no reader and no peer takes its replica for one that serves.
    fn drop(&mut self) {
        self.handle.show_role(ReplicaRole::Offline);
        self.host.routes.route(self.handle.partition).show_role(&self.handle, ReplicaRole::Offline);
        if self.shown.role == ReplicaRole::Full {
            self.host.show_waiting(false);
        }
    }
}
