//! The outcomes of one producer's records, told in the order in which the records were sent.
//!
//! Start reading at [`OutcomeQueue::answer`].

use cortado_log::{AppendOutcome, Cause};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};

/// Shared by a producer and the reports on its records.
#[derive(Debug, Default)]
pub(crate) struct OutcomeQueue {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// The number of the oldest record whose outcome was not taken.
    first: u64,
    /// From there on; `None` while it is not known.
    slots: VecDeque<Option<AppendOutcome>>,
    /// Of the slots, those that are not known.
    open: usize,
    waker: Option<Waker>,
}

impl OutcomeQueue {
    /// A place behind all others; answers its number.
    pub(crate) fn push(&self, outcome: Option<AppendOutcome>) -> u64 {
        let mut inner = self.inner.lock();
        let number = inner.first + inner.slots.len() as u64;
        inner.open += usize::from(outcome.is_none());
        inner.slots.push_back(outcome);
        number
    }

    /// The outcome of a record is known: only the first one counts, and none that comes late.
    ///
    /// Answers whether it counts.
    pub(crate) fn answer(&self, number: u64, outcome: AppendOutcome) -> bool {
        let mut inner = self.inner.lock();
        let Some(at) = number.checked_sub(inner.first).and_then(|at| usize::try_from(at).ok())
        else {
            return false;
        };
        let Some(slot) = inner.slots.get_mut(at).filter(|slot| slot.is_none()) else {
            return false;
        };
        *slot = Some(outcome);
        inner.open -= 1;
        // Only the oldest can be told, and those behind it.
        let waker = if at == 0 { inner.waker.take() } else { None };
        drop(inner);
        if let Some(waker) = waker {
            waker.wake();
        }
        true
    }

    /// Takes what is known of the oldest records.
    pub(crate) fn poll(
        &self,
        context: &mut Context<'_>,
        outcomes: &mut Vec<AppendOutcome>,
    ) -> Poll<()> {
        let mut inner = self.inner.lock();
        let before = outcomes.len();
        while let Some(Some(outcome)) = inner.slots.pop_front_if(|slot| slot.is_some()) {
            inner.first += 1;
            outcomes.push(outcome);
        }
        if outcomes.len() > before {
            return Poll::Ready(());
        }
        inner.waker = Some(context.waker().clone());
        Poll::Pending
    }

    /// Records whose outcome has not been taken.
    pub(crate) fn outstanding(&self) -> usize {
        self.inner.lock().slots.len()
    }

    /// Records whose outcome is not known.
    pub(crate) fn open(&self) -> usize {
        self.inner.lock().open
    }

    /// Answers everything: with "perhaps" what is not known, and how many that are. Later reports
    /// are of no interest.
    pub(crate) fn give_up(&self) -> (Vec<AppendOutcome>, usize) {
        let mut inner = self.inner.lock();
        let slots = std::mem::take(&mut inner.slots);
        inner.first += slots.len() as u64;
        let open = std::mem::take(&mut inner.open);
        let given_up = || AppendOutcome::Perhaps(Cause::Abandoned);
        (slots.into_iter().map(|slot| slot.unwrap_or_else(given_up)).collect(), open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused() -> AppendOutcome {
        AppendOutcome::NotAppended(Cause::Missing)
    }

    /// What can be taken, a letter for each outcome.
    fn taken(queue: &OutcomeQueue) -> String {
        let mut outcomes = Vec::new();
        let _ = queue.poll(&mut Context::from_waker(Waker::noop()), &mut outcomes);
        spelled(&outcomes)
    }

    fn spelled(outcomes: &[AppendOutcome]) -> String {
        let letter = |outcome: &AppendOutcome| match outcome {
            AppendOutcome::At(_) => 'a',
            AppendOutcome::Somewhere => 's',
            AppendOutcome::NotAppended(_) => 'n',
            AppendOutcome::Perhaps(_) => 'p',
            AppendOutcome::Unusable(_) => 'u',
        };
        outcomes.iter().map(letter).collect()
    }

    #[test]
    fn outcomes_are_told_in_the_order_of_sending_however_they_come() {
        let queue = OutcomeQueue::default();
        let numbers: Vec<u64> = (0..3).map(|_| queue.push(None)).collect();
        queue.answer(numbers[1], AppendOutcome::Somewhere);
        assert_eq!((taken(&queue), queue.outstanding(), queue.open()), (String::new(), 3, 2));
        queue.answer(numbers[0], refused());
        assert_eq!((taken(&queue).as_str(), queue.outstanding(), queue.open()), ("ns", 1, 1));
        // A second report, and one of what was told.
        assert!(!queue.answer(numbers[0], AppendOutcome::Somewhere));
        assert!(queue.answer(numbers[2], AppendOutcome::Somewhere));
        assert!(!queue.answer(numbers[2], refused()));
        assert_eq!((taken(&queue).as_str(), queue.open()), ("s", 0));
    }

    #[test]
    fn giving_up_answers_what_is_open_and_keeps_what_is_known() {
        let queue = OutcomeQueue::default();
        let first = queue.push(None);
        let second = queue.push(None);
        queue.push(Some(refused()));
        queue.answer(second, AppendOutcome::Somewhere);
        let (outcomes, open) = queue.give_up();
        assert_eq!((spelled(&outcomes).as_str(), open), ("psn", 1));
        assert_eq!((queue.outstanding(), queue.open()), (0, 0));
        assert!(!queue.answer(first, AppendOutcome::Somewhere));
        assert_eq!(taken(&queue), "");
        let next = queue.push(None);
        queue.answer(next, refused());
        assert_eq!(taken(&queue), "n");
    }
}
