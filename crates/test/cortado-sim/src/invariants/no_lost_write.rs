//! An acknowledged write is in the log, accepted, at the place that the client was told.
//!
//! Together with `applied_in_order` and the final comparison of all stores with the log, this is
//! "no acknowledged write is lost".

use crate::documents::{AttemptId, ValueId};
use crate::history::Write;
use crate::truth::Truth;
use crate::violation::Violation;
use cortado_model::Scn;

const NAME: &str = "no_lost_write";

/// A client hears that `write` was committed at `scn`.
///
/// * `attempts`: every try of that write.
///
/// # Errors
/// The log has accepted nothing there, or something else.
pub fn check(
    truth: &Truth,
    scn: Scn,
    write: &Write,
    attempts: &[AttemptId],
) -> Result<(), Violation> {
    let Some(accepted) = truth.transaction(scn) else {
        let details = format!("{attempts:?} was acknowledged at {scn}, where nothing is accepted");
        return Err(Violation::new(NAME, details));
    };
    let by = AttemptId::of(&accepted.transaction);
    let changes = accepted.transaction.changes.iter();
    let same = changes
        .map(|change| (change.key.clone(), ValueId::after(change)))
        .eq(write.changes.iter().map(|(key, value)| (key.to_key(), *value)));
    if same && by.is_some_and(|by| attempts.contains(&by)) {
        return Ok(());
    }
    let details = format!("{attempts:?} was acknowledged at {scn}, which is {by:?}'s");
    Err(Violation::new(NAME, details))
}
