//! Records handed to the log and not yet answered, in the order of their appends.
//!
//! Start reading at [`Appends::take_answered`].

use crate::event::{JobId, RecordOutcome};
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use bytes::Bytes;
use cortado_model::{LogPosition, Millis};
use cortado_replica::{AppendFailure, AppendToken, Input};

/// Bytes that are handed over together at most.
const APPEND_BYTES_MAX: usize = 1 << 20;

/// What the core has asked to append.
#[derive(Debug)]
pub(crate) struct Appends {
    producer: JobId,
    /// Gathered: they are handed over together.
    tokens: Vec<Sent>,
    records: Vec<Bytes>,
    bytes: usize,
    /// Handed over, oldest first.
    sent: VecDeque<Sent>,
    /// Of the oldest that were handed over, as the log has told them.
    outcomes: VecDeque<RecordOutcome>,
}

/// An append of the core.
#[derive(Clone, Copy, Debug)]
struct Sent {
    token: AppendToken,
    records: usize,
    at: Millis,
}

impl Appends {
    pub(crate) fn by(producer: JobId) -> Appends {
        let (tokens, records, sent, outcomes) = Default::default();
        Appends { producer, tokens, records, bytes: 0, sent, outcomes }
    }

    /// Whether nothing is gathered and nothing awaited.
    pub(crate) fn is_empty(&self) -> bool {
        self.sent.is_empty() && self.tokens.is_empty()
    }

    pub(crate) fn gather(&mut self, token: AppendToken, records: Vec<Bytes>, at: Millis) {
        self.tokens.push(Sent { token, records: records.len(), at });
        self.bytes += records.iter().map(Bytes::len).sum::<usize>();
        self.records.extend(records);
    }

    pub(crate) fn is_full(&self) -> bool {
        self.bytes >= APPEND_BYTES_MAX
    }

    /// What was gathered, to be handed over now; `None` if there is nothing.
    pub(crate) fn hand_over(&mut self) -> Option<Vec<Bytes>> {
        if self.records.is_empty() {
            return None;
        }
        self.sent.extend(self.tokens.drain(..));
        self.bytes = 0;
        Some(core::mem::take(&mut self.records))
    }

    /// The log has answered; what a producer says that was given up does not count.
    pub(crate) fn answered(&mut self, producer: JobId, outcomes: Vec<RecordOutcome>) {
        if producer == self.producer {
            self.outcomes.extend(outcomes);
        }
    }

    /// What the core must hear of the oldest append, if all of its records are answered.
    pub(crate) fn take_answered(&mut self) -> Option<Input> {
        let records = self.sent.front()?.records;
        if self.outcomes.len() < records {
            return None;
        }
        let Sent { token, .. } = self.sent.pop_front()?;
        let verdict = verdict(self.outcomes.drain(..records));
        Some(match verdict {
            Ok(first) => Input::Appended { token, first },
            Err(failure) => Input::AppendFailed { token, failure },
        })
    }

    /// When the log has had its time.
    pub(crate) fn due(&self, patience_ms: u64) -> Option<Millis> {
        self.sent.front().map(|sent| sent.at.plus(patience_ms))
    }

    /// A new producer goes on; the outcome of the appends that are answered now is unknown.
    pub(crate) fn give_up(&mut self, producer: JobId) -> Vec<AppendToken> {
        self.producer = producer;
        self.outcomes.clear();
        self.sent.drain(..).map(|sent| sent.token).collect()
    }
}

/// What is known of an append by the outcomes of its records.
///
/// The core may only count on an append whose records stand next to one another.
fn verdict(outcomes: impl Iterator<Item = RecordOutcome>) -> Result<LogPosition, AppendFailure> {
    let (mut first, mut unknown, mut refused) = (None::<LogPosition>, false, false);
    let mut unusable = false;
    for (number, outcome) in (0..).zip(outcomes) {
        match outcome {
            RecordOutcome::At(position) => {
                let first = first.get_or_insert(position);
                unknown |= LogPosition { offset: first.offset.plus(number), ..*first } != position;
            }
            RecordOutcome::Somewhere | RecordOutcome::Perhaps => unknown = true,
            RecordOutcome::Unusable => unusable = true,
            RecordOutcome::NotAppended => refused = true,
        }
    }
    match first {
        _ if unusable => Err(AppendFailure::Unusable),
        Some(first) if !unknown && !refused => Ok(first),
        // Some are there and some are not: only reading tells the core which.
        Some(_) => Err(AppendFailure::Unknown),
        None if unknown => Err(AppendFailure::Unknown),
        None => Err(AppendFailure::NotAppended),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use RecordOutcome::{At, NotAppended, Perhaps, Somewhere, Unusable};
    use cortado_model::LogOffset;

    #[track_caller]
    fn check(outcomes: &[RecordOutcome], want: Result<u64, AppendFailure>) {
        let verdict = verdict(outcomes.iter().copied()).map(|first| first.offset.0);
        assert_eq!(verdict, want, "{outcomes:?}");
    }

    #[test]
    fn an_append_counts_if_its_records_stand_next_to_one_another() {
        let at = |offset| At(LogPosition { offset: LogOffset(offset), epoch: 4 });
        let later = |offset| At(LogPosition { offset: LogOffset(offset), epoch: 5 });
        check(&[at(7)], Ok(7));
        check(&[at(7), at(8), at(9)], Ok(7));
        check(&[at(7), at(9)], Err(AppendFailure::Unknown));
        check(&[at(7), later(8)], Err(AppendFailure::Unknown));
        check(&[at(7), at(7)], Err(AppendFailure::Unknown));
        check(&[Somewhere], Err(AppendFailure::Unknown));
        check(&[at(7), Perhaps], Err(AppendFailure::Unknown));
        check(&[NotAppended, NotAppended], Err(AppendFailure::NotAppended));
        check(&[NotAppended, at(7)], Err(AppendFailure::Unknown));
        check(&[NotAppended, Perhaps], Err(AppendFailure::Unknown));
        check(&[at(7), NotAppended], Err(AppendFailure::Unknown));
        check(&[Unusable, Perhaps], Err(AppendFailure::Unusable));
        check(&[at(7), Unusable], Err(AppendFailure::Unusable));
    }

    #[test]
    fn appends_are_answered_in_their_order_and_by_their_producer_alone() {
        let mut appends = Appends::by(JobId(1));
        let record = || Bytes::from_static(b"record");
        let at = |offset| LogPosition { offset: LogOffset(offset), epoch: 0 };
        appends.gather(AppendToken(1), vec![record(), record()], Millis(5));
        appends.gather(AppendToken(2), vec![record()], Millis(6));
        assert_eq!(appends.due(10), None, "nothing is handed over");
        assert_eq!(appends.hand_over().unwrap().len(), 3);
        assert_eq!(appends.hand_over(), None);
        assert_eq!(appends.due(10), Some(Millis(15)));
        appends.answered(JobId(0), vec![RecordOutcome::NotAppended; 3]);
        appends.answered(JobId(1), vec![RecordOutcome::At(at(4))]);
        assert!(appends.take_answered().is_none(), "one of two records is answered");
        appends.answered(JobId(1), vec![RecordOutcome::At(at(5)), RecordOutcome::Perhaps]);
        let first = appends.take_answered();
        assert!(
            matches!(first, Some(Input::Appended { first, .. }) if first == at(4)),
            "{first:?}"
        );
        appends.gather(AppendToken(3), vec![record()], Millis(7));
        let second = appends.take_answered();
        assert!(matches!(second, Some(Input::AppendFailed { .. })), "{second:?}");
        assert!(appends.hand_over().is_some());
        assert_eq!(appends.give_up(JobId(2)), [AppendToken(3)]);
        assert!(appends.is_empty());
    }
}
