//! One replica's driver on one node: the one that ships, and what its task holds between two
//! events.
//!
//! Decides nothing: the world moves it. Start reading at [`Hosted`].

use crate::database::asker::{Asker, Look, Stage};
use crate::database::documents::{AttemptId, KeyNumber};
use crate::kernel::time::Moment;
use bytes::Bytes;
use cortado_cluster::AppendWait;
use cortado_driver::{
    Action, Driver, Event, JobId, PeerAnswers, RecordOutcome, ReplicaRole, Sighting,
};
use cortado_model::{LogOffset, Millis};
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

/// A driver and everything that waits for it.
#[derive(Debug)]
pub struct Hosted {
    /// Never used twice: that of its process, unless it was added to that later.
    pub number: u64,
    /// The shipped one.
    pub driver: Driver<Asker>,
    /// What waits to be looked at, oldest first.
    pub inbox: VecDeque<Job>,
    /// What the driver wants done, oldest first.
    pub actions: VecDeque<Action<Asker>>,
    /// What is on its way to the log.
    pub producer: Producer,
    /// Since when its appends wait.
    pub append_wait: AppendWait,
    /// Tries that were asked and not answered.
    pub unanswered: BTreeMap<AttemptId, Unanswered>,
    /// Handoffs that were asked for and not answered.
    pub operators: u64,
    /// The log's end, as last heard.
    pub known_end: LogOffset,
    /// A notice of a new end is under way.
    pub noticed: bool,
    /// When the driver will be woken.
    pub wake: Option<Millis>,
    /// What this node believes about the partition's leader.
    pub suspicion: Suspicion,
    /// When the last work that was given to the store begins: later work begins behind it.
    pub store_lane: Moment,
    /// The batch that the store was given and has not answered.
    pub applying: Option<JobId>,
    /// When it was given that, on the node's clock.
    pub applying_since: Millis,
    /// The last number that an action had.
    pub last_job: JobId,
    /// The question how the others stand, if it is open.
    pub asked: Option<Asked>,
    /// Whether the store had room, as last told.
    pub has_room: bool,
    /// It has ended: nothing more is done.
    pub has_ended: bool,
    /// Whether it has resigned in the actions that are being executed: for a planted bug.
    pub has_resigned: bool,
}

/// The question how the others stand, on its way to all of them.
#[derive(Debug)]
pub struct Asked {
    /// Which.
    pub job: JobId,
    /// Nodes that have not answered.
    pub awaited: BTreeSet<usize>,
    /// What the others have said.
    pub answers: PeerAnswers,
}

/// Something for a driver's task to look at.
#[derive(Debug)]
pub enum Job {
    /// For the driver.
    Event(Event<Asker>),
    /// A reader's proof is there: look at the store.
    Look {
        /// Who.
        client: usize,
        /// Which try.
        attempt: AttemptId,
        /// At what.
        look: Look,
    },
    /// A client's time at this node is up.
    Withdraw(AttemptId),
}

/// A try that was asked and not answered.
#[derive(Clone, Debug)]
pub struct Unanswered {
    /// Whom to answer.
    pub client: usize,
    /// Shared with the driver.
    pub stage: Rc<Cell<Stage>>,
    /// What it would write, and its idempotency key; nothing for a read.
    pub writes: Option<(Vec<KeyNumber>, Option<Bytes>)>,
    /// It came while the first try under its key, or a change of what it demands, was under way.
    pub met_in_flight: bool,
    /// The client was told already: what the driver says is not passed on.
    pub is_told: bool,
    /// A read whose proof has come: it only has to look.
    pub is_proven: bool,
}

/// The present producer and what it was given, oldest first.
#[derive(Debug, Default)]
pub struct Producer {
    /// The job that made it.
    pub job: JobId,
    /// It was made to find out what the log holds: for a planted bug.
    pub is_recovering: bool,
    /// Appends whose outcomes have not been told.
    pub sent: VecDeque<Sent>,
}

/// An append whose outcomes have not been told.
#[derive(Debug)]
pub struct Sent {
    /// Which.
    pub number: u64,
    /// When, on the node's clock.
    pub sent_at: Millis,
    /// What it brings.
    pub records: Vec<Bytes>,
    /// What the log has said.
    pub outcomes: Option<Vec<RecordOutcome>>,
}

/// What a node believes about a leader.
#[derive(Clone, Copy, Debug, Default)]
pub struct Suspicion {
    /// When a record of the current generation was last folded.
    pub heard_at: Moment,
    /// Since when the leader has seemed gone.
    pub since: Option<Moment>,
    /// No claim before.
    pub not_before: Moment,
}

impl Hosted {
    /// A driver that has just been made, and the first that it wants done.
    pub fn new(
        number: u64,
        driver: Driver<Asker>,
        actions: Vec<Action<Asker>>,
        now: Moment,
    ) -> Hosted {
        Hosted {
            number,
            driver,
            inbox: VecDeque::new(),
            actions: actions.into(),
            producer: Producer::default(),
            append_wait: AppendWait::default(),
            unanswered: BTreeMap::new(),
            operators: 0,
            known_end: LogOffset::ZERO,
            noticed: false,
            wake: None,
            suspicion: Suspicion { heard_at: now, ..Suspicion::default() },
            store_lane: now,
            applying: None,
            applying_since: Millis::default(),
            last_job: JobId::default(),
            asked: None,
            has_room: true,
            has_ended: false,
            has_resigned: false,
        }
    }

    /// Whether the replica leads and serves.
    pub fn leads(&self) -> bool {
        self.driver.role() == ReplicaRole::Leader
    }

    /// Whether it has ended, and everything that was in line by then is done.
    pub fn is_over(&self) -> bool {
        self.has_ended && self.inbox.is_empty() && self.actions.is_empty()
    }

    /// The replica as a reader finds it.
    pub fn sighting(&self) -> Sighting {
        let (applied, folded) = self.driver.applied();
        Sighting {
            restorations: self.driver.restorations(),
            role: self.driver.role(),
            generation: self.driver.leadership().generation,
            applied,
            folded,
            known_end: self.known_end,
            // No read here bounds the age of the state.
            complete_at: None,
        }
    }

    /// Where the replica goes on reading its log; `None` while it is out of service.
    pub fn next_offset(&self) -> Option<LogOffset> {
        self.driver.fold().map(|fold| fold.position.offset)
    }

    /// Takes the clients, each with its attempt, that still wait for an answer of this driver.
    pub fn take_clients(&mut self) -> Vec<(usize, AttemptId)> {
        let unanswered = std::mem::take(&mut self.unanswered).into_iter();
        let waiting = unanswered.filter(|(_, each)| !each.is_told);
        waiting.map(|(attempt, each)| (each.client, attempt)).collect()
    }

    /// Names the callers that the driver has not answered.
    pub fn owed(&self) -> impl Iterator<Item = String> {
        let role = self.driver.role();
        let owed = self.unanswered.iter().filter(|(_, each)| !each.is_told && !each.is_proven);
        let clients = owed.map(move |(attempt, _)| format!("{role:?} {attempt:?}"));
        clients.chain((0..self.operators).map(move |_| format!("{role:?} operator")))
    }

    /// Some append was acknowledged.
    pub fn end_wait(&mut self) {
        let oldest = self.producer.sent.iter().find(|sent| sent.outcomes.is_none());
        self.append_wait.acknowledged(oldest.map(|sent| sent.sent_at));
    }

    /// Outcomes of the oldest appends, as far as the log has told them without a gap.
    pub fn take_outcomes(&mut self) -> Vec<RecordOutcome> {
        let mut outcomes = Vec::new();
        while let Some(mut sent) = self.producer.sent.pop_front_if(|sent| sent.outcomes.is_some()) {
            outcomes.extend(sent.outcomes.take().into_iter().flatten());
        }
        outcomes
    }
}
