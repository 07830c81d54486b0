//! Every store applies every accepted transaction once, in order, and nothing else: no zombie, no
//! duplicate, no hole, and never back except by a crash.

use crate::database::truth::Truth;
use crate::kernel::violation::Violation;
use cortado_model::{Batch, Scn};

const NAME: &str = "applied_in_order";

/// A store whose last transaction is `before` is about to take `batch`, which covers everything up
/// to `last`.
///
/// # Errors
/// It is not what the log says comes next.
pub fn check(truth: &Truth, before: Scn, last: Scn, batch: &Batch) -> Result<(), Violation> {
    let accepted = truth.between(before, last);
    let changes = accepted.iter().flat_map(|each| &each.transaction.changes);
    let changes = changes.map(|change| (change.table, &change.key, change.document.as_ref()));
    let documents = batch.documents.iter();
    let documents = documents.map(|(table, key, document)| (*table, key, document.as_ref()));
    let names = accepted.iter().flat_map(|each| {
        let names = each.transaction.idempotency.iter().map(|idempotency| &idempotency.name);
        names.map(|name| (each.scn, name))
    });
    let answers = names.filter_map(|(scn, name)| {
        let used = truth.keys.get(name)?.iter().find(|used| used.scn == scn)?;
        Some((name, &used.remembered))
    });
    let remembered = batch.remember.iter().map(|(name, remembered)| (name, remembered));
    if changes.eq(documents) && answers.eq(remembered) {
        return Ok(());
    }
    let scns = accepted.iter().map(|each| each.scn.to_string()).collect::<Vec<_>>();
    let details = format!(
        "{} documents and {} answers are applied behind {before} up to {last}, not {scns:?}",
        batch.documents.len(),
        batch.remember.len(),
    );
    Err(Violation::new(NAME, details))
}
