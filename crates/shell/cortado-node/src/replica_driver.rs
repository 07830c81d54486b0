//! The task that owns one partition's core: feeds it, and does what it wants done.
//!
//! Decides nothing about the protocol, and shares no state: others see a [`ReplicaHandle`] and
//! send [`DriverInput`]s. Start reading at [`ReplicaDriver::turn`].
//! Source: docs/protocols/replication.md, "Duties of the driver"; the numbers below are its.

mod appends;
mod effects;
mod evaluation;
mod reading;
mod requests;
mod restart;
mod resync;
mod rounds;
mod strangers;

pub(crate) use restart::keep_alive;

use crate::inbox::DriverInput;
use crate::node_context::NodeContext;
use crate::replica_handle::{ReplicaHandle, ReplicaRole};
use appends::Appends;
use cortado_cluster::Evidence;
use cortado_log::{Follower, ready_of};
use cortado_model::{LogOffset, NodeId, PartitionId, ReplicaIncarnation, Scn};
use cortado_replica::{
    Answer, Apply, Effect, FoldState, Identity, Input, NotDone, Replica, RequestId, Role,
};
use reading::Pace;
use requests::Requests;
use rounds::Rounds;
use std::pin::Pin;
use std::sync::Arc;
use strangers::Strangers;
use tokio::sync::mpsc;
use tokio::time::{Instant, Sleep, sleep_until};

/// Inputs taken from the inbox before anything else gets a turn.
const INPUTS_PER_TURN: usize = 64;

/// One replica from its start until it ends or has to start anew.
struct ReplicaDriver<'a> {
    context: &'a Arc<NodeContext>,
    handle: &'a Arc<ReplicaHandle>,
    inbox: &'a mut mpsc::Receiver<DriverInput>,
    core: Replica,
    /// What the core wants done and has not been sorted yet.
    effects: Vec<Effect>,
    appends: Appends,
    /// Committed, and not yet in the store.
    to_apply: Option<Apply>,
    /// Owed once `to_apply` is in the store.
    answers: Vec<(RequestId, Answer)>,
    requests: Requests,
    rounds: Rounds,
    follower: Box<dyn Follower>,
    pace: Pace,
    /// The core asks to fold to the log's end.
    recovering: bool,
    /// The fold state that was last stored.
    stored: FoldState,
    /// Bookmarks below it lie below the log's beginning.
    trim_bookmarks_below: Option<Scn>,
    shown: ReplicaRole,
    /// Whose records were met since that was last told.
    heard: Vec<(NodeId, ReplicaIncarnation)>,
    strangers: Strangers,
    tick: Pin<Box<Sleep>>,
    /// No request is begun any more: end when everything is settled.
    stopping: bool,
}

/// Why a driver stopped driving its core.
#[derive(Debug)]
enum Halt {
    /// It was told to, or the node is going away.
    Ended,
    /// The store has no room.
    StoreFull { why: String },
    /// The store of the whole node must be opened again.
    StoreFailed { why: String },
    /// The replica's state is wrong, or cannot be read.
    Damaged { why: String },
    /// The log has forgotten what this replica has not folded.
    Trimmed { first: LogOffset },
    /// What stands in the log contradicts this replica, or cannot be read.
    Broken { at: LogOffset, why: String },
    /// The leader goes on with records that this replica has lost.
    Behind { at: LogOffset, why: String },
    /// This build cannot read what counts, or this replica's history is not the leader's: nothing
    /// may be thrown away, and nobody here can tell what to do.
    StandsStill { why: String },
}

/// What a driver waits for.
enum Woken {
    Input(Option<DriverInput>),
    Appended(appends::Completed),
    EndMoved,
    Tick,
}

impl<'a> ReplicaDriver<'a> {
    fn new(
        context: &'a Arc<NodeContext>,
        handle: &'a Arc<ReplicaHandle>,
        inbox: &'a mut mpsc::Receiver<DriverInput>,
        fold: FoldState,
        incarnation: ReplicaIncarnation,
    ) -> ReplicaDriver<'a> {
        let partition = handle.partition;
        let local = context.log.traits().local;
        let producer = context.log.producer(partition);
        let settings = match local {
            true => cortado_replica::Settings::local(),
            false => cortado_replica::Settings::leased(),
        };
        let now = context.clock.now();
        handle.show_restored(&fold, now.clock);
        handle.begin_life(incarnation);
        let me = Identity { node: context.node(), incarnation };
        let core = Replica::new(me, settings, fold.clone(), now);
        ReplicaDriver {
            context,
            handle,
            inbox,
            core,
            effects: Vec::new(),
            appends: Appends::new(producer),
            to_apply: None,
            answers: Vec::new(),
            requests: Requests::default(),
            rounds: Rounds::after(&fold, context),
            follower: context.log.follow(partition, fold.position),
            pace: Pace::default(),
            recovering: false,
            stored: fold,
            trim_bookmarks_below: None,
            shown: ReplicaRole::Offline,
            heard: Vec::new(),
            strangers: Strangers::default(),
            tick: Box::pin(sleep_until(Instant::now())),
            stopping: false,
        }
    }

    /// Drives until something ends it. What was asked and not answered is dropped with `self`.
    async fn run(mut self) -> Halt {
        loop {
            if let Err(halt) = self.turn().await {
                self.step_down_silently(&halt);
                return halt;
            }
        }
    }

    /// Sends what is due, does what is due, then waits and takes what woke it.
    async fn turn(&mut self) -> Result<(), Halt> {
        self.settle()?;
        if self.recovering {
            self.recover().await?;
        }
        self.read_log().await?;
        self.begin_round_if_due()?;
        self.show();
        if self.stopping && self.requests.is_empty() && self.appends.is_empty() {
            return Err(Halt::Ended);
        }
        match self.wait().await {
            Woken::Appended(completed) => {
                self.on_appended(completed);
                while let Some(completed) = self.appends.completed_already().await {
                    self.on_appended(completed);
                }
            }
            Woken::Input(input) => {
                self.on_input(input.ok_or(Halt::Ended)?)?;
                for _ in 1..INPUTS_PER_TURN {
                    let Ok(input) = self.inbox.try_recv() else { break };
                    self.on_input(input)?;
                }
            }
            Woken::EndMoved => {}
            Woken::Tick => self.step(Input::Tick),
        }
        Ok(())
    }

    async fn wait(&mut self) -> Woken {
        self.set_tick();
        // A leader that waits for an acknowledgement hears of the new end with it.
        let watch_end = self.pace.watches_end(self.appends.is_empty());
        // What was acknowledged need not be read.
        self.follower.seek(self.core.fold().position);
        let ReplicaDriver { appends, inbox, follower, tick, .. } = self;
        tokio::select! {
            biased;
            completed = appends.completed(), if !appends.is_empty() => Woken::Appended(completed),
            input = inbox.recv() => Woken::Input(input),
            () = ready_of(follower.as_mut()), if watch_end => Woken::EndMoved,
            () = tick => Woken::Tick,
        }
    }

    /// Sets the timer, but only to an earlier moment: an early tick does no harm.
    fn set_tick(&mut self) {
        let moment = [self.core.wake_at(), self.rounds.due()].into_iter().flatten().min();
        let due = [moment.map(|at| self.context.clock.instant(at)), self.pace.due()];
        let Some(due) = due.into_iter().flatten().min() else {
            if self.tick.is_elapsed() {
                self.tick.as_mut().reset(Instant::now() + IDLE_TICK);
            }
            return;
        };
        if self.tick.is_elapsed() || due < self.tick.deadline() {
            self.tick.as_mut().reset(due);
        }
    }

    fn step(&mut self, input: Input) {
        self.core.step(self.context.clock.now(), input, &mut self.effects);
    }

    fn on_input(&mut self, input: DriverInput) -> Result<(), Halt> {
        match input {
            DriverInput::Write(command) => return self.on_write(*command),
            DriverInput::Read { reply, .. } if self.requests.is_full() => {
                // A caller that has gone away wants no answer.
                let _ = reply.send(Err(NotDone::Overloaded));
            }
            DriverInput::Read { need, reply } => {
                let request = self.requests.read(reply);
                self.step(Input::Read { request, need });
            }
            DriverInput::HandOff { to, reply } => {
                let request = self.requests.hand_off(reply);
                self.step(Input::HandOff { to, request });
            }
            DriverInput::Claim { reason, evidence } => {
                if self.core.role() == Role::Follower && !self.stopping {
                    self.context.metrics.claims.add(1);
                    self.step(Input::Claim { reason, evidence });
                }
            }
            DriverInput::Verify => self.rounds.demand(),
            DriverInput::Digest(report) => self.on_digest_report(report)?,
            DriverInput::Condemned { why } => return Err(Halt::Damaged { why }),
            DriverInput::Stop => self.stopping = true,
        }
        // A read that is answered, or a claim that is sent, should not wait for its neighbours.
        self.absorb()
    }

    /// Leaves no leadership behind that nobody exercises. The step-down stands behind
    /// everything in flight, so whoever folds it has folded that, too.
    fn step_down_silently(&mut self, halt: &Halt) {
        let leads = matches!(self.core.role(), Role::Leader);
        let gone = match halt {
            Halt::Ended
            | Halt::Broken { .. }
            | Halt::Behind { .. }
            | Halt::StandsStill { .. }
            | Halt::Trimmed { .. } => true,
            Halt::StoreFull { .. } | Halt::StoreFailed { .. } | Halt::Damaged { .. } => false,
        };
        if leads && !gone {
            let request = self.requests.nobody();
            self.step(Input::HandOff { to: None, request });
            for effect in self.effects.drain(..) {
                if let Effect::Append { token, records } = effect {
                    self.appends.collect(token, records);
                }
            }
            self.send_appends();
        }
        self.handle.show_role(ReplicaRole::Offline);
        self.context.routes.route(self.handle.partition).stop_serving(self.handle);
    }

    /// Tells the rest of the node how far this replica is and what it does.
    fn show(&mut self) {
        let fold = self.core.fold();
        // The clock first: a record that comes after this moment was not missed.
        let now = self.context.clock.steady();
        let end = self.follower.known_end();
        self.handle.show_known_end(end);
        if fold.position.offset != self.handle.folded() || self.shown == ReplicaRole::Offline {
            self.handle.show_folded(fold, (end <= fold.position.offset).then_some(now));
        }
        for (node, incarnation) in std::mem::take(&mut self.heard) {
            self.show_heard(node, incarnation);
        }
        let role = ReplicaRole::from(self.core.role());
        if role != self.shown {
            self.show_role(role);
        }
    }

    fn show_heard(&self, node: NodeId, replica: ReplicaIncarnation) {
        let incarnation = replica.node;
        self.context.heard(match self.handle.partition {
            PartitionId::CLUSTER => Evidence::Heartbeat { node, incarnation },
            _ => Evidence::PartitionRecord { node, incarnation },
        });
    }

    fn show_role(&mut self, role: ReplicaRole) {
        let route = self.context.routes.route(self.handle.partition);
        self.handle.show_role(role);
        if role == ReplicaRole::Leader {
            route.serve(self.handle, self.core.fold().generation());
        } else if self.shown == ReplicaRole::Leader {
            route.stop_serving(self.handle);
        }
        self.shown = role;
    }
}

/// A timer that is set to nothing in particular fires this often.
const IDLE_TICK: std::time::Duration = std::time::Duration::from_secs(5);
