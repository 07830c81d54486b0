//! Who waits for which answer of the core.
//!
//! Dropping a waiting request tells its caller that the replica went away. Start reading at
//! [`Waiting`].

use crate::gateway::{WriteError, Written};
use crate::inbox::{INBOX_MAX, WriteEnd};
use cortado_document::Done;
use cortado_model::RememberedKey;
use cortado_replica::{NotDone, RequestId};
use std::collections::{HashMap, HashSet};
use tokio::sync::oneshot;

/// Where the answer to a write goes. A client that has gone away wants none.
pub(super) type WriteReply = oneshot::Sender<Result<Written, WriteEnd>>;

/// A request that the core knows by its id.
pub(super) enum Waiting {
    /// Published; done when committed.
    Write {
        /// Where the answer goes.
        reply: WriteReply,
        /// How each operation goes if it commits.
        results: Vec<Done>,
        /// Under which name it will be remembered.
        name: Option<RememberedKey>,
    },
    /// Evaluated, with nothing to publish; due when everything it rests on is committed.
    Settle {
        /// Where the answer goes.
        reply: WriteReply,
        /// What it will be.
        outcome: Settled,
    },
    /// Waits until the store shows enough.
    Read(oneshot::Sender<Result<(), NotDone>>),
    /// Waits until the step-down is committed.
    HandOff(oneshot::Sender<Result<(), NotDone>>),
}

/// What a write without a transaction comes to.
pub(super) enum Settled {
    /// It is refused.
    Refused(WriteError),
    /// Its operations change nothing.
    Unchanged(Vec<Done>),
    /// Its idempotency key is in flight or remembered: look the answer up again.
    Remembered {
        /// Under which name.
        name: RememberedKey,
        /// Of this request.
        fingerprint: u128,
    },
}

/// Requests that one driver keeps at most. The core bounds the writes in flight; what waits for the
/// replica to fold further is bounded here. If its log cannot be read, nothing else is: those who
/// wait go away at their deadlines, and who comes next waits anew.
pub(super) const WAITING_MAX: usize = 16 * INBOX_MAX;

/// All requests that the core has not answered.
#[derive(Default)]
pub(super) struct Requests {
    next: u64,
    /// By the number of the request.
    waiting: HashMap<u64, Waiting>,
    /// How many of them are reads.
    reads: usize,
    /// What will be remembered when the writes among them are committed.
    names: HashSet<RememberedKey>,
}

impl Requests {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether no more can be taken: whoever asks now is told to come again.
    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() >= WAITING_MAX
    }

    /// Whether somebody waits for this replica to fold further.
    pub(super) fn has_reads(&self) -> bool {
        self.reads > 0
    }

    pub(super) fn read(&mut self, reply: oneshot::Sender<Result<(), NotDone>>) -> RequestId {
        self.reads += 1;
        self.insert(Waiting::Read(reply))
    }

    pub(super) fn hand_off(&mut self, reply: oneshot::Sender<Result<(), NotDone>>) -> RequestId {
        self.insert(Waiting::HandOff(reply))
    }

    pub(super) fn write(
        &mut self,
        reply: WriteReply,
        results: Vec<Done>,
        name: Option<RememberedKey>,
    ) -> RequestId {
        self.names.extend(name.clone());
        self.insert(Waiting::Write { reply, results, name })
    }

    /// Whether a write is on its way that will be remembered under `name`, if it is committed.
    pub(super) fn has_write(&self, name: &RememberedKey) -> bool {
        self.names.contains(name)
    }

    pub(super) fn settle(&mut self, reply: WriteReply, outcome: Settled) -> RequestId {
        self.insert(Waiting::Settle { reply, outcome })
    }

    /// An id whose answer nobody wants.
    pub(super) fn nobody(&mut self) -> RequestId {
        self.next += 1;
        RequestId(self.next)
    }

    pub(super) fn take(&mut self, request: RequestId) -> Option<Waiting> {
        let waiting = self.waiting.remove(&request.0)?;
        match &waiting {
            Waiting::Read(_) => self.reads -= 1,
            Waiting::Write { name: Some(name), .. } => {
                self.names.remove(name);
            }
            Waiting::Write { name: None, .. } | Waiting::Settle { .. } | Waiting::HandOff(_) => {}
        }
        Some(waiting)
    }

    fn insert(&mut self, waiting: Waiting) -> RequestId {
        let request = self.nobody();
        self.waiting.insert(request.0, waiting);
        request
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_wait_than_there_is_room_for() {
        let mut requests = Requests::default();
        let mut last = None;
        while !requests.is_full() {
            last = Some(requests.read(oneshot::channel().0));
        }
        assert_eq!(requests.waiting.len(), WAITING_MAX);
        assert!(requests.take(last.unwrap()).is_some() && !requests.is_full());
    }
}
