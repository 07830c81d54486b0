//! What clients asked for and what they were told: all that the oracle may look at.
//!
//! An outcome that a client does not know stays open for ever. Start reading at [`Operation`].

use crate::database::documents::{AttemptId, KeyNumber, ValueId};
use crate::kernel::time::Moment;
use bytes::Bytes;
use cortado_cluster::Doubt;
use cortado_model::Scn;
use cortado_replica::NotDone;
use std::collections::BTreeMap;

/// One thing that a client wanted, with every try to get it.
#[derive(Clone, Debug)]
pub struct Operation {
    /// Who wanted it.
    pub client: usize,
    /// Where.
    pub partition: usize,
    /// What.
    pub action: Action,
    /// The idempotency key of all its tries.
    pub key: Option<Bytes>,
    /// The tries, each begun after the one before had ended.
    pub attempts: Vec<Attempt>,
}

/// The closed set of things to want.
#[derive(Clone, Debug)]
pub enum Action {
    /// Change documents, all or none.
    Write(Write),
    /// Change documents, each for itself: one each, and only it may be under a condition.
    Bulk(Vec<Write>),
    /// Look at documents of one state.
    Read {
        /// What the reader was promised.
        level: Level,
        /// Which documents.
        keys: Vec<KeyNumber>,
        /// The newest state that the client has met (`session`).
        token: Scn,
    },
}

/// A change of documents.
#[derive(Clone, Debug)]
pub struct Write {
    /// Only if this document holds this value.
    pub condition: Option<(KeyNumber, ValueId)>,
    /// What becomes of which documents, none named twice.
    pub changes: Vec<(KeyNumber, ValueId)>,
}

/// What a reader is promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Linearizable while clocks are sound.
    Strong,
    /// Linearizable.
    Strict,
    /// No older than what the client has met.
    Session,
    /// Any state that was.
    Eventual,
}

/// One try.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Which.
    pub id: AttemptId,
    /// When it was sent.
    pub invoked: Moment,
    /// When the client stopped waiting, and what it knew then.
    pub ended: Option<(Moment, Reply)>,
    /// The newest transaction that some finished operation had proven before this try began.
    pub floor: Scn,
}

/// What a client is told, or must conclude.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Done, and where it stands.
    Committed {
        /// The transaction's place.
        scn: Scn,
    },
    /// The condition did not hold.
    Refused,
    /// Definitely not done, now or later.
    NotDone(NotDone),
    /// No replica took the request: definitely not done.
    Unreachable,
    /// Not done, now or later: its time was up before it was begun.
    Late,
    /// Perhaps done, and why that is not known.
    Unknown(Doubt),
    /// What became of each part of a bulk.
    Each(Vec<Reply>),
    /// What a reader saw.
    Values {
        /// The last transaction of the state that was read.
        scn: Scn,
        /// The documents that exist.
        values: BTreeMap<KeyNumber, ValueId>,
    },
}

impl Reply {
    /// Whether the request had and will have no effect.
    pub fn is_definitely_nothing(&self) -> bool {
        match self {
            Reply::NotDone(_) | Reply::Unreachable | Reply::Refused | Reply::Late => true,
            Reply::Each(replies) => replies.iter().all(Reply::is_definitely_nothing),
            Reply::Committed { .. } | Reply::Unknown(_) | Reply::Values { .. } => false,
        }
    }

    /// What it says of part `at` of a bulk.
    pub fn of_part(&self, at: usize) -> &Reply {
        match self {
            Reply::Each(replies) => &replies[at],
            whole => whole,
        }
    }
}

impl Action {
    /// What it writes.
    pub fn writes(&self) -> &[Write] {
        match self {
            Action::Write(write) => std::slice::from_ref(write),
            Action::Bulk(parts) => parts,
            Action::Read { .. } => &[],
        }
    }
}

impl Operation {
    /// The try that is under way, or was last.
    pub fn last(&self) -> &Attempt {
        self.attempts.last().expect("an operation begins with its first try")
    }

    /// The operations that it is made of: each part of a bulk is one.
    pub fn parts(&self) -> Vec<Operation> {
        let Action::Bulk(parts) = &self.action else { return vec![self.clone()] };
        let part = |(at, write): (usize, &Write)| {
            let attempts = self.attempts.iter().map(|attempt| {
                let ended = attempt.ended.as_ref();
                let ended = ended.map(|(ended, reply)| (*ended, reply.of_part(at).clone()));
                Attempt { ended, ..attempt.clone() }
            });
            let (action, attempts) = (Action::Write(write.clone()), attempts.collect());
            Operation { action, attempts, ..self.clone() }
        };
        parts.iter().enumerate().map(part).collect()
    }
}
