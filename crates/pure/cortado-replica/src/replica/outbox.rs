//! Collects the effects of one step in the order the driver must execute them.

use crate::fold::FoldState;
use crate::protocol::{
    Apply, Committed, Effect, NotDone, Now, ReplicaEvent, RequestEnd, RequestId,
};
use crate::record::{Header, Transaction};
use alloc::boxed::Box;
use alloc::vec::Vec;

/// The effects of one step.
///
/// Invariant: an answer stands behind the apply of everything that it speaks of.
pub(super) struct Outbox<'a> {
    pub(super) now: Now,
    effects: &'a mut Vec<Effect>,
    committed: Vec<Committed>,
    bookmarks: Vec<FoldState>,
    answers: Vec<(RequestId, RequestEnd)>,
}

impl<'a> Outbox<'a> {
    pub(super) fn new(now: Now, effects: &'a mut Vec<Effect>) -> Outbox<'a> {
        Outbox { now, effects, committed: Vec::new(), bookmarks: Vec::new(), answers: Vec::new() }
    }

    pub(super) fn effect(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    pub(super) fn event(&mut self, event: ReplicaEvent) {
        self.effects.push(Effect::Event(event));
    }

    pub(super) fn answer(&mut self, request: RequestId, answer: RequestEnd) {
        self.answers.push((request, answer));
    }

    pub(super) fn not_done(&mut self, request: RequestId, why: NotDone) {
        self.answer(request, RequestEnd::NotDone(why));
    }

    /// The leadership under which this step has granted reads is over, and what the step goes on to
    /// fold is the next leader's: a look at the store might show what that one does not show yet.
    pub(super) fn withdraw_reads(&mut self) {
        for (_, answer) in &mut self.answers {
            if *answer == RequestEnd::Ready {
                *answer = RequestEnd::NotDone(NotDone::NotLeader);
            }
        }
    }

    pub(super) fn committed(&mut self, header: Header, transaction: Transaction) {
        self.committed.push(Committed { scn: header.scn, time: header.time, transaction });
    }

    pub(super) fn bookmark(&mut self, state: FoldState) {
        self.bookmarks.push(state);
    }

    pub(super) fn has_work(&self) -> bool {
        !self.committed.is_empty() || !self.bookmarks.is_empty()
    }

    pub(super) fn apply(&mut self, state: FoldState) {
        let transactions = core::mem::take(&mut self.committed);
        let in_order = transactions.is_sorted_by(|a, b| a.scn < b.scn);
        assert!(in_order, "apply: transactions stand in the order of their SCNs");
        let covered = transactions.last().is_none_or(|last| last.scn <= state.last);
        assert!(covered, "apply: the checkpoint covers every transaction");
        let bookmarks = core::mem::take(&mut self.bookmarks);
        let apply = Apply { transactions, state, bookmarks };
        self.effects.push(Effect::Apply(Box::new(apply)));
    }

    pub(super) fn release_answers(&mut self) {
        let answers = self.answers.drain(..);
        self.effects.extend(answers.map(|(request, answer)| Effect::Answer { request, answer }));
    }
}
