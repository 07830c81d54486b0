//! Who waits for which answer of the core.
//!
//! Start reading at [`Waiting`].

use crate::finds::PendingWrite;
use crate::promise::Promise;
use crate::write::{Refused, Written};
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use cortado_model::RememberedKey;
use cortado_replica::RequestId;

/// A request that the core knows by its id.
#[derive(Debug)]
pub(crate) enum Waiting<C> {
    /// Published; done when committed.
    Write {
        caller: C,
        /// What it is answered if it commits.
        promise: Promise,
        /// Under which names it will be remembered.
        names: Vec<RememberedKey>,
    },
    /// Evaluated when what comes before it is committed: one of its operations is on its way.
    Anew(Box<PendingWrite<C>>),
    /// Evaluated, with nothing to publish; due when everything it rests on is committed.
    Settle {
        caller: C,
        /// What it will be.
        outcome: Settled,
    },
    /// Waits until the store shows enough.
    Read(C),
    /// Waits until the step-down is committed.
    HandOff(C),
}

/// What a write without a transaction comes to.
#[derive(Debug)]
pub(crate) enum Settled {
    /// It was done before, or is refused.
    Ended(Result<Written, Refused>),
    /// Its operations change nothing.
    Unchanged(Promise),
    /// A write under its idempotency key is on its way: what that one answers.
    Again {
        /// Under which name.
        name: RememberedKey,
        /// Of this request.
        fingerprint: u128,
    },
}

/// Inputs that may wait in line for one driver. A driver takes them in batches of this size, so
/// that more would only wait longer; beyond it clients are told to come again.
pub const INBOX_MAX: usize = 1_024;

/// Requests that one driver keeps at most: sixteen times what may wait in line for it. The core
/// bounds the writes in flight; what waits for the replica to fold further is bounded here. If its
/// log cannot be read, nothing else is: those who wait go away at their deadlines, and who comes
/// next waits anew.
pub const WAITING_MAX: usize = 16 * INBOX_MAX;

/// All requests that the core has not answered.
#[derive(Debug)]
pub(crate) struct Requests<C> {
    next: u64,
    /// By the number of the request.
    waiting: BTreeMap<u64, Waiting<C>>,
    /// How many of them are reads.
    reads: usize,
    /// What will be remembered when the writes among them are committed.
    names: BTreeSet<RememberedKey>,
}

impl<C> Requests<C> {
    pub(crate) fn new() -> Requests<C> {
        Requests { next: 0, waiting: BTreeMap::new(), reads: 0, names: BTreeSet::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether a read waits for this replica to fold further.
    pub(crate) fn has_reads(&self) -> bool {
        self.reads > 0
    }

    /// Whether a write is on its way that will be remembered under `name`, if it is committed.
    pub(crate) fn has_write(&self, name: &RememberedKey) -> bool {
        self.names.contains(name)
    }

    /// Writes that are not answered.
    pub(crate) fn writes(&self) -> usize {
        self.waiting.values().filter(|waiting| matches!(waiting, Waiting::Write { .. })).count()
    }

    /// An unused id. Its answer is dropped, unless a request waits under it.
    pub(crate) fn next_id(&mut self) -> RequestId {
        self.next += 1;
        RequestId(self.next)
    }

    pub(crate) fn insert(&mut self, waiting: Waiting<C>) -> RequestId {
        match &waiting {
            Waiting::Read(_) => self.reads += 1,
            Waiting::Write { names, .. } => self.names.extend(names.iter().cloned()),
            Waiting::Anew(_) | Waiting::Settle { .. } | Waiting::HandOff(_) => {}
        }
        let request = self.next_id();
        self.waiting.insert(request.0, waiting);
        request
    }

    pub(crate) fn take(&mut self, request: RequestId) -> Option<Waiting<C>> {
        let waiting = self.waiting.remove(&request.0)?;
        match &waiting {
            Waiting::Read(_) => self.reads -= 1,
            Waiting::Write { names, .. } => names.iter().for_each(|name| {
                self.names.remove(name);
            }),
            Waiting::Anew(_) | Waiting::Settle { .. } | Waiting::HandOff(_) => {}
        }
        Some(waiting)
    }

    /// All requests, since nothing will come of them any more.
    pub(crate) fn take_all(&mut self) -> impl Iterator<Item = Waiting<C>> + use<C> {
        self.reads = 0;
        self.names.clear();
        core::mem::take(&mut self.waiting).into_values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_on_its_way_as_long_as_its_write_is() {
        let mut requests = Requests::new();
        let name = RememberedKey::new("cher", b"k", 0);
        let (promise, names) = (Promise::Whole(Vec::new()), vec![name.clone()]);
        let write = Waiting::Write { caller: 1, promise, names };
        let write = requests.insert(write);
        let read = requests.insert(Waiting::Read(2));
        assert!(requests.has_write(&name) && requests.has_reads());
        assert_eq!((requests.len(), requests.writes()), (2, 1));
        assert!(requests.take(write).is_some() && requests.take(write).is_none());
        assert!(!requests.has_write(&name));
        assert!(requests.take(read).is_some() && !requests.has_reads());
    }

    #[test]
    fn all_are_taken_once() {
        let mut requests = Requests::new();
        requests.insert(Waiting::Read(1));
        requests.insert(Waiting::HandOff(2));
        assert_eq!(requests.take_all().count(), 2);
        assert_eq!((requests.take_all().count(), requests.has_reads()), (0, false));
    }
}
