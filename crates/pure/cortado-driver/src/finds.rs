//! Requests that wait for a look into the store.
//!
//! Start reading at [`Finding`].

use crate::event::JobId;
use crate::write::WriteOrder;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use cortado_model::{Findings, Generation, LogOffset, RememberedKey, StoredDocument};

/// What a look into the store is for.
#[derive(Debug)]
pub(crate) enum Finding<C> {
    /// To evaluate a write.
    Write(Box<PendingWrite<C>>),
    /// To answer one that came again as the first was answered.
    Recall {
        caller: C,
        name: RememberedKey,
        /// Of this request.
        fingerprint: u128,
    },
}

impl<C> Finding<C> {
    /// Who waits.
    pub(crate) fn into_caller(self) -> C {
        match self {
            Finding::Write(pending) => pending.caller,
            Finding::Recall { caller, .. } => caller,
        }
    }
}

/// A write whose documents are looked up.
#[derive(Debug)]
pub(crate) struct PendingWrite<C> {
    pub(crate) caller: C,
    pub(crate) order: WriteOrder,
    /// Where the log ended when it came.
    pub(crate) log_end: Option<LogOffset>,
    /// Who led then.
    pub(crate) generation: Generation,
    /// For each operation, what the store has shown.
    pub(crate) shown: Vec<Shown>,
    /// What it has shown of the idempotency keys.
    pub(crate) remembered: Option<Findings>,
    /// Operations that this look is for.
    pub(crate) asked: Vec<usize>,
}

/// What the store has shown of a document.
#[derive(Debug)]
pub(crate) enum Shown {
    /// It has not been looked up.
    Unknown,
    /// This.
    Known(Option<StoredDocument>),
}

impl<C> PendingWrite<C> {
    pub(crate) fn new(
        caller: C,
        order: WriteOrder,
        log_end: Option<LogOffset>,
        generation: Generation,
    ) -> PendingWrite<C> {
        let shown = order.operations.iter().map(|_| Shown::Unknown).collect();
        let (remembered, asked) = (None, Vec::new());
        PendingWrite { caller, order, log_end, generation, shown, remembered, asked }
    }

    /// Begins a look for these operations; what was shown before does not count any more.
    pub(crate) fn ask(&mut self, operations: Vec<usize>) {
        self.shown.fill_with(|| Shown::Unknown);
        self.remembered = None;
        self.asked = operations;
    }

    /// Takes what the store has shown.
    pub(crate) fn take(&mut self, mut found: Findings) {
        let documents = core::mem::take(&mut found.documents);
        for (operation, document) in self.asked.drain(..).zip(documents) {
            self.shown[operation] = Shown::Known(document);
        }
        if !self.order.keyed.is_empty() {
            self.remembered = Some(found);
        }
    }
}

/// All looks that have not come back.
#[derive(Debug)]
pub(crate) struct Finds<C> {
    waiting: BTreeMap<JobId, Finding<C>>,
    /// Batches that were applied while some were looking, each with the last number that was given
    /// to a look before: those may have missed it.
    missed: VecDeque<(u64, JobId)>,
}

impl<C> Finds<C> {
    pub(crate) fn new() -> Finds<C> {
        Finds { waiting: BTreeMap::new(), missed: VecDeque::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(crate) fn insert(&mut self, job: JobId, finding: Finding<C>) {
        self.waiting.insert(job, finding);
    }

    /// A batch was applied, and `newest` was the last number given to anything.
    pub(crate) fn applied(&mut self, batch: u64, newest: JobId) {
        self.missed.push_back((batch, newest));
    }

    /// The last batch that no look may have missed any more, if there is a new one.
    pub(crate) fn take_seen(&mut self) -> Option<u64> {
        let oldest = self.waiting.first_key_value().map(|(job, _)| *job);
        let mut seen = None;
        while let Some((batch, _)) =
            self.missed.pop_front_if(|(_, newest)| oldest.is_none_or(|oldest| *newest < oldest))
        {
            seen = Some(batch);
        }
        seen
    }

    /// The look of `job` has come back; `None` if it is of another time.
    pub(crate) fn take(&mut self, job: JobId) -> Option<Finding<C>> {
        self.waiting.remove(&job)
    }

    /// All callers, since this replica cannot answer them any more.
    pub(crate) fn take_callers(&mut self) -> impl Iterator<Item = C> + use<C> {
        let finds = core::mem::take(&mut self.waiting).into_values();
        finds.map(Finding::into_caller)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recall() -> Finding<u32> {
        Finding::Recall { caller: 1, name: RememberedKey::new("r", b"k", 0), fingerprint: 0 }
    }

    #[test]
    fn a_batch_is_kept_until_no_look_may_have_missed_it() {
        let mut finds = Finds::new();
        finds.insert(JobId(1), recall());
        finds.applied(7, JobId(2));
        finds.insert(JobId(3), recall());
        finds.applied(8, JobId(4));
        assert_eq!(finds.take_seen(), None);
        assert!(finds.take(JobId(1)).is_some());
        assert_eq!(finds.take_seen(), Some(7));
        assert_eq!(finds.take_seen(), None);
        assert!(finds.take(JobId(3)).is_some());
        assert_eq!(finds.take_seen(), Some(8));
        finds.applied(9, JobId(4));
        assert_eq!(finds.take_seen(), Some(9));
    }
}
