//! An acknowledged write is in the log, accepted, at the place that the client was told.
//!
//! Together with `applied_in_order` and the final comparison of all stores with the log, this is
//! "no acknowledged write is lost".

use crate::database::documents::{AttemptId, KeyNumber, ValueId};
use crate::database::history::Write;
use crate::database::truth::Truth;
use crate::kernel::violation::Violation;
use cortado_model::Scn;

const NAME: &str = "no_lost_write";

/// A client hears that `write` was committed at `scn`.
///
/// * `beside`: what else may change there: the other parts of its bulk.
/// * `attempts`: every try of that write.
/// * `keyed`: it has an idempotency key, so that even a write that changes nothing is a record.
/// * `since`: the newest state that had been proven before it was asked for.
///
/// # Errors
/// The log has accepted nothing there, or something else.
pub fn check(
    truth: &Truth,
    scn: Scn,
    write: &Write,
    beside: &[Write],
    attempts: &[AttemptId],
    keyed: bool,
    since: Scn,
) -> Result<(), Violation> {
    let holds_at = |scn, key: &KeyNumber, value: &ValueId| {
        let values = truth.values_at(scn);
        values.and_then(|values| values.get(key)).copied().unwrap_or_default() == *value
    };
    let holds = |key: &KeyNumber, value: &ValueId| holds_at(scn, key, value);
    let changes = &write.changes;
    if !keyed && changes.iter().all(|(_, value)| *value == ValueId::ABSENT) {
        // There was nothing to remove, or it is the removal, which names no try.
        let states = truth.between(since, scn).iter().map(|accepted| accepted.scn);
        let gone = |at| changes.iter().all(|(key, value)| holds_at(at, key, value));
        if [since, scn].into_iter().chain(states).any(gone) {
            return Ok(());
        }
    }
    let Some(accepted) = truth.transaction(scn) else {
        let details = format!("{attempts:?} was acknowledged at {scn}, where nothing is accepted");
        return Err(Violation::new(NAME, details));
    };
    let by = AttemptId::of(&accepted.transaction);
    let changes = &accepted.transaction.changes;
    let changed = changes.iter().map(|change| (KeyNumber::of(&change.key), ValueId::after(change)));
    let changed: Vec<_> = changed.collect();
    // What was not there cannot be removed, and leaves no change; a later part may have written it.
    let written = |key| changed.iter().any(|(changed, _)| changed == key);
    let all = write.changes.iter().all(|change @ (key, value)| {
        let was_gone = *value == ValueId::ABSENT && (holds(key, value) || written(key));
        changed.contains(change) || was_gone
    });
    let asked = beside.iter().chain([write]).flat_map(|write| &write.changes);
    let same = all && changed.iter().all(|change| asked.clone().any(|asked| asked == change));
    if same && by.is_some_and(|by| attempts.contains(&by)) {
        return Ok(());
    }
    let details = format!("{attempts:?} was acknowledged at {scn}, which is {by:?}'s");
    Err(Violation::new(NAME, details))
}
