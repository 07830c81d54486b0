//! One replica's driver on one node: what a node's task holds between two inputs.
//!
//! Decides nothing: the world moves it. Start reading at [`Driver`].
//! Source: docs/protocols/replication.md, "Duties of the driver".

use crate::coverage::BoundaryPoint;
use crate::documents::{AttemptId, KeyNumber};
use crate::history::{Action, Reply};
use crate::time::Moment;
use bytes::Bytes;
use cortado_model::{LogOffset, Millis, ReplicaIncarnation, Scn};
use cortado_replica::{Answer, AppendToken, Effect, Input, Replica, RequestId};
use std::collections::{BTreeMap, VecDeque};

/// A replica and everything that waits for it.
#[derive(Debug)]
pub struct Driver {
    /// The state machine.
    pub replica: Replica,
    /// This life of the replica: of its node, or younger if it has copied a snapshot since.
    pub incarnation: ReplicaIncarnation,
    /// What waits to be looked at, oldest first.
    pub inbox: VecDeque<Job>,
    /// What the last step wants done, oldest first.
    pub effects: VecDeque<Effect>,
    /// Who waits for the replica's answer.
    pub requests: BTreeMap<RequestId, Waiting>,
    /// The end of the log, as last heard.
    pub known_end: LogOffset,
    /// A read of the log is under way.
    pub reading: bool,
    /// A notice of a new end is under way.
    pub noticed: bool,
    /// The end to be reached before the replica hears that it has caught up.
    pub recovering: Option<LogOffset>,
    /// When the replica will be woken.
    pub wake: Option<Millis>,
    /// A snapshot is being copied; the replica stands still.
    pub resyncing: bool,
    /// What this node believes about the partition's leader.
    pub suspicion: Suspicion,
    /// For planted bugs: the writes in each append.
    pub appended: BTreeMap<AppendToken, Vec<(RequestId, Scn)>>,
}

/// Something for a driver to look at.
#[derive(Debug)]
pub enum Job {
    /// For the replica as it is.
    Input(Input),
    /// From a client.
    Ask(Ask),
}

/// A client's request as it arrives.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Whom to answer.
    pub client: usize,
    /// Which try.
    pub attempt: AttemptId,
    /// What is wanted.
    pub action: Action,
    /// The idempotency key.
    pub key: Option<Bytes>,
}

impl Ask {
    /// Hash of what is asked: the same for all tries of one operation.
    pub fn fingerprint(&self) -> u128 {
        // Keys are unique to operations here, so the key stands for the request.
        self.key.iter().flatten().fold(7, |sum, byte| sum * 31 + u128::from(*byte))
    }
}

/// A request that the replica has been given.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// Whom to answer; nobody for handoffs.
    pub client: Option<(usize, AttemptId)>,
    /// What becomes of the replica's answer.
    pub what: Purpose,
}

/// What becomes of the replica's answer.
#[derive(Clone, Debug)]
pub enum Purpose {
    /// It is the write's.
    Write,
    /// When ready, look at these documents.
    Read(Vec<KeyNumber>),
    /// When ready, this is the client's answer.
    Settled(Reply),
    /// When ready, evaluate the request anew.
    Again(Ask),
    /// It is the operator's.
    HandOff,
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

impl Driver {
    /// A driver of `replica`, whose log ends no earlier than where its fold stands.
    pub fn new(replica: Replica, incarnation: ReplicaIncarnation, now: Moment) -> Driver {
        let known_end = replica.fold().position.offset;
        Driver {
            replica,
            incarnation,
            inbox: VecDeque::new(),
            effects: VecDeque::new(),
            requests: BTreeMap::new(),
            known_end,
            reading: false,
            noticed: false,
            recovering: None,
            wake: None,
            resyncing: false,
            suspicion: Suspicion { heard_at: now, ..Suspicion::default() },
            appended: BTreeMap::new(),
        }
    }

    /// Remembers who waits for `request`.
    pub fn wait(&mut self, request: RequestId, waiting: Waiting) {
        self.requests.insert(request, waiting);
    }

    /// Forgets and returns who waited for `request`.
    pub fn take_waiting(&mut self, request: RequestId) -> Option<Waiting> {
        self.requests.remove(&request)
    }

    /// Everybody who would wait for ever if this driver were gone.
    pub fn take_clients(&mut self) -> Vec<(usize, AttemptId)> {
        let requests = std::mem::take(&mut self.requests);
        let asks = std::mem::take(&mut self.inbox).into_iter().filter_map(|job| match job {
            Job::Ask(ask) => Some((ask.client, ask.attempt)),
            Job::Input(_) => None,
        });
        requests.into_values().filter_map(|waiting| waiting.client).chain(asks).collect()
    }

    /// Writes that the replica has not answered; an answer that is not executed yet is one.
    pub fn unanswered_writes(&self) -> usize {
        let writes = |waiting: &&Waiting| matches!(waiting.what, Purpose::Write);
        let waiting = self.requests.values().filter(writes).count();
        let answers = self.effects.iter().filter(|effect| match effect {
            Effect::Answer { request, .. } => {
                self.requests.get(request).as_ref().is_some_and(writes)
            }
            Effect::Append { .. }
            | Effect::Recover
            | Effect::Apply(_)
            | Effect::Digest { .. }
            | Effect::TrimBookmarks(_)
            | Effect::TrimLog(_)
            | Effect::Event(_) => false,
        });
        waiting - answers.count()
    }

    /// The place right before `effect`; events are no duty and have none.
    pub fn boundary_before(&self, effect: &Effect) -> Option<BoundaryPoint> {
        match effect {
            Effect::Append { .. } => Some(BoundaryPoint::BeforeAppend),
            Effect::Recover => Some(BoundaryPoint::BeforeRecover),
            Effect::Apply(_) => Some(BoundaryPoint::BeforeApply),
            Effect::Answer { request, answer } => Some(self.boundary_of_answer(*request, *answer)),
            Effect::Digest { .. } => Some(BoundaryPoint::BeforeDigest),
            Effect::TrimLog(_) => Some(BoundaryPoint::BeforeTrim),
            Effect::TrimBookmarks(_) | Effect::Event(_) => None,
        }
    }

    fn boundary_of_answer(&self, request: RequestId, answer: Answer) -> BoundaryPoint {
        let reads = self.requests.get(&request).is_some_and(|waiting| {
            matches!(waiting.what, Purpose::Read(_)) && answer == Answer::Ready
        });
        if reads { BoundaryPoint::BeforeRead } else { BoundaryPoint::BeforeAnswer }
    }
}
