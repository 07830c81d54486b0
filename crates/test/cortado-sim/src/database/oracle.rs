//! The clients' judge: believes nothing but what clients asked for and were told.
//!
//! An unknown outcome stays open: the write may take effect at any time after it was asked for, or
//! never. Start reading at [`check`]; the search itself is [`linear::search`].

pub mod linear;
pub mod sessions;

use crate::database::documents::{KeyNumber, ValueId};
use crate::database::history::{Action, Level, Operation, Reply};
use crate::kernel::time::Moment;
use crate::kernel::violation::Violation;
use linear::{Deed, Outcome, Step};
use std::collections::BTreeSet;

/// What the oracle says.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// Whether all histories can be explained.
    pub result: Result<(), Violation>,
    /// Histories of one document that took too long to search.
    pub undecided: u64,
}

/// Checks that every document's history can be explained by an order that respects real time.
///
/// * `strong`: whether strong reads promise that, too.
/// * `once`: whether a write under an idempotency key takes effect once, however long its client
///   tries; else each try is one.
pub fn check(history: &[Operation], partitions: usize, strong: bool, once: bool) -> Verdict {
    let mut undecided = 0;
    let history: Vec<Operation> = history.iter().flat_map(Operation::parts).collect();
    for partition in 0..partitions {
        let here = || history.iter().filter(|operation| operation.partition == partition);
        let keys: BTreeSet<KeyNumber> = here().flat_map(keys_of).collect();
        for key in keys {
            let steps: Vec<Step> =
                here().flat_map(|operation| steps_of(operation, key, strong, once)).collect();
            match linear::search(&steps) {
                Outcome::Explained => {}
                Outcome::Undecided => undecided += 1,
                Outcome::Impossible { details } => {
                    let details = format!("document {} of p{partition}: {details}", key.0);
                    let result = Err(Violation::new("linearizable", details));
                    return Verdict { result, undecided };
                }
            }
        }
    }
    Verdict { result: Ok(()), undecided }
}

fn keys_of(operation: &Operation) -> Vec<KeyNumber> {
    match &operation.action {
        Action::Write(write) => {
            let changed = write.changes.iter().map(|(key, _)| *key);
            changed.chain(write.condition.map(|(key, _)| key)).collect()
        }
        Action::Bulk(_) => unreachable!("a bulk is judged by its parts"),
        Action::Read { keys, .. } => keys.clone(),
    }
}

/// What `operation` did to the document `key`, as far as its client knows.
fn steps_of(operation: &Operation, key: KeyNumber, strong: bool, once: bool) -> Vec<Step> {
    match &operation.action {
        Action::Read { level, keys, .. } => {
            let promised = match level {
                Level::Strong => strong,
                Level::Strict => true,
                Level::Session | Level::Eventual => false,
            };
            let asked = keys.contains(&key);
            if promised && asked { reads_of(operation, key) } else { Vec::new() }
        }
        Action::Write(write) => {
            let change = write.changes.iter().find(|(changed, _)| *changed == key);
            let condition = write.condition.filter(|(number, _)| *number == key);
            let expected = condition.map(|(_, value)| value);
            match (change, expected) {
                (Some((_, value)), _) => writes_of(operation, *value, expected, once),
                (None, Some(expected)) => checks_of(operation, expected),
                (None, None) => Vec::new(),
            }
        }
        Action::Bulk(_) => unreachable!("a bulk is judged by its parts"),
    }
}

fn reads_of(operation: &Operation, key: KeyNumber) -> Vec<Step> {
    let attempts = operation.attempts.iter().filter_map(|attempt| match &attempt.ended {
        Some((ended, Reply::Values { values, .. })) => {
            let value = values.get(&key).copied().unwrap_or(ValueId::ABSENT);
            Some(Step { invoked: attempt.invoked, ended: Some(*ended), deed: Deed::Read(value) })
        }
        Some(_) | None => None,
    });
    attempts.collect()
}

/// A document was looked at, and another one was written or not.
fn checks_of(operation: &Operation, expected: ValueId) -> Vec<Step> {
    let attempts = operation.attempts.iter();
    let refused = attempts.filter_map(|attempt| match &attempt.ended {
        Some((ended, Reply::Refused)) => {
            let (invoked, ended) = (attempt.invoked, Some(*ended));
            Some(Step { invoked, ended, deed: Deed::RefuseIf { expected } })
        }
        Some(_) | None => None,
    });
    let mut steps: Vec<Step> = refused.collect();
    if let Some((ended, Reply::Committed { .. })) = operation.last().ended {
        // Any try may have been the one that was committed.
        let invoked = operation.attempts[0].invoked;
        steps.push(Step { invoked, ended: Some(ended), deed: Deed::Read(expected) });
    }
    steps
}

fn writes_of(
    operation: &Operation,
    value: ValueId,
    expected: Option<ValueId>,
    once: bool,
) -> Vec<Step> {
    let deed = match expected {
        Some(expected) => Deed::WriteIf { expected, value },
        None => Deed::Write(value),
    };
    let mut begun: Option<Moment> = None;
    let mut done: Option<Moment> = None;
    let mut steps = Vec::new();
    for attempt in &operation.attempts {
        match &attempt.ended {
            Some((ended, Reply::Committed { .. })) => {
                begun.get_or_insert(attempt.invoked);
                done = Some(*ended);
            }
            Some((ended, Reply::Refused)) => {
                if let Some(expected) = expected {
                    let deed = Deed::RefuseIf { expected };
                    let (invoked, ended) = (attempt.invoked, Some(*ended));
                    steps.push(Step { invoked, ended, deed });
                }
            }
            Some((_, Reply::NotDone(_) | Reply::Unreachable | Reply::Late)) => {}
            Some((_, Reply::Unknown(_) | Reply::Values { .. } | Reply::Each(_))) | None => {
                if !once {
                    // Perhaps the one that was answered at last did it once more.
                    steps.push(Step { invoked: attempt.invoked, ended: None, deed });
                }
                begun.get_or_insert(attempt.invoked);
            }
        }
    }
    let begun = begun.filter(|_| once || done.is_some());
    steps.extend(begun.map(|invoked| Step { invoked, ended: done, deed }));
    steps
}

#[cfg(test)]
mod tests;
