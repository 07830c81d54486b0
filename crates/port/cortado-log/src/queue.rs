//! A producer for logs that answer whole appends, one future each, in the order of the appends.
//!
//! Start reading at [`QueueProducer`].

use crate::{AppendOutcome, AppendPriority, Cause, Pending, Producer};
use bytes::Bytes;
use cortado_model::{LogOffset, LogPosition};
use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};

/// What became of one append.
#[derive(Clone, Debug)]
pub enum Appended {
    /// Its records stand next to one another from here on.
    From(LogOffset),
    /// The same for each of its records.
    Each(AppendOutcome),
    /// One for each of its records.
    Mixed(Vec<AppendOutcome>),
}

/// Hands appends over as they come, and keeps what is owed for them.
pub struct QueueProducer {
    append: Box<dyn Fn(Vec<Bytes>, AppendPriority) -> Pending<Appended> + Send>,
    sent: VecDeque<Sent>,
    outstanding: usize,
}

/// An append that has not been answered.
struct Sent {
    answer: Pending<Appended>,
    records: usize,
}

impl QueueProducer {
    /// A producer over `append`, which puts its records in line before it returns.
    pub fn new(
        append: impl Fn(Vec<Bytes>, AppendPriority) -> Pending<Appended> + Send + 'static,
    ) -> QueueProducer {
        QueueProducer { append: Box::new(append), sent: VecDeque::new(), outstanding: 0 }
    }

    fn hand_over(&mut self, records: Vec<Bytes>, priority: AppendPriority) {
        if records.is_empty() {
            return;
        }
        let count = records.len();
        self.outstanding += count;
        self.sent.push_back(Sent { answer: (self.append)(records, priority), records: count });
    }

    /// Takes the outcomes of the oldest append, if it has been answered.
    fn poll_oldest(&mut self, context: &mut Context<'_>) -> Poll<Vec<AppendOutcome>> {
        let Some(oldest) = self.sent.front_mut() else { return Poll::Pending };
        let records = oldest.records;
        let Poll::Ready(appended) = oldest.answer.as_mut().poll(context) else {
            return Poll::Pending;
        };
        self.sent.pop_front();
        self.outstanding -= records;
        Poll::Ready(appended.outcomes(records))
    }
}

impl Appended {
    fn outcomes(self, records: usize) -> Vec<AppendOutcome> {
        match self {
            Appended::From(first) => (0..records as u64)
                .map(|number| {
                    AppendOutcome::At(LogPosition { offset: first.plus(number), epoch: 0 })
                })
                .collect(),
            Appended::Each(outcome) => vec![outcome; records],
            Appended::Mixed(mut outcomes) => {
                // A log that forgets one of them must not shift all that follow.
                outcomes
                    .resize(records, AppendOutcome::Perhaps(Cause::failed("no outcome was told")));
                outcomes
            }
        }
    }
}

impl Producer for QueueProducer {
    fn send(&mut self, records: Vec<Bytes>) {
        self.hand_over(records, AppendPriority::Normal);
    }

    fn send_with(&mut self, records: Vec<Bytes>, priority: AppendPriority) {
        self.hand_over(records, priority);
    }

    fn poll_outcomes(
        &mut self,
        context: &mut Context<'_>,
        outcomes: &mut Vec<AppendOutcome>,
    ) -> Poll<()> {
        let before = outcomes.len();
        // What a group commit has made durable is answered together.
        while let Poll::Ready(more) = self.poll_oldest(context) {
            outcomes.extend(more);
        }
        if outcomes.len() > before { Poll::Ready(()) } else { Poll::Pending }
    }

    fn outstanding(&self) -> usize {
        self.outstanding
    }

    fn abandon(mut self: Box<Self>) -> Vec<AppendOutcome> {
        let mut outcomes = Vec::with_capacity(self.outstanding);
        let mut context = Context::from_waker(Waker::noop());
        while !self.sent.is_empty() {
            match self.poll_oldest(&mut context) {
                Poll::Ready(more) => outcomes.extend(more),
                Poll::Pending => break,
            }
        }
        outcomes
            .resize(outcomes.len() + self.outstanding, AppendOutcome::Perhaps(Cause::Abandoned));
        outcomes
    }
}
