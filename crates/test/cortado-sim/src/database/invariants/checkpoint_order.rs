//! Durable checkpoint ≤ applied ≤ folded ≤ landed, on every node at every time; the store's
//! checkpoint covers exactly the transactions that it holds, and no peer is told of more.

use crate::database::store::Store;
use crate::database::truth::Truth;
use crate::kernel::violation::Violation;
use cortado_model::{LogOffset, Scn};
use cortado_replica::FoldState;

const NAME: &str = "checkpoint_order";

/// Compares a store with its replica's fold and the log.
///
/// # Errors
/// Something is ahead of what it rests on.
pub fn check(truth: &Truth, store: &Store, fold: &FoldState) -> Result<(), Violation> {
    let (durable, applied) = (store.durable(), store.image().reached);
    let ordered = durable.offset <= applied.offset
        && applied.offset <= fold.position.offset
        && fold.position.offset <= truth.end
        && durable.last <= applied.last
        && applied.last <= fold.last
        && fold.last <= truth.last;
    let covers =
        store.image().last_transaction <= applied.last && shows(truth, store, applied.last);
    if ordered && covers {
        return Ok(());
    }
    let details = format!(
        "durable {} at {}, applied {} (documents {}) at {}, folded {} at {}, landed {} at {}",
        durable.last,
        durable.offset,
        applied.last,
        store.image().last_transaction,
        applied.offset,
        fold.last,
        fold.position.offset,
        truth.last,
        truth.end,
    );
    Err(Violation::new(NAME, details))
}

/// A driver tells others that everything up to `applied` is in its store.
///
/// # Errors
/// It is not.
pub fn check_shown(
    truth: &Truth,
    store: &Store,
    applied: (Scn, LogOffset),
) -> Result<(), Violation> {
    if shows(truth, store, applied.0) {
        return Ok(());
    }
    let (shown, (scn, offset)) = (store.image().last_transaction, applied);
    Err(Violation::new(NAME, format!("applied {scn} at {offset}, the store shows {shown}")))
}

/// Whether every transaction up to `scn` is in the store.
fn shows(truth: &Truth, store: &Store, scn: Scn) -> bool {
    let next = truth.transaction_after(store.image().last_transaction);
    next.is_none_or(|next| next.scn > scn)
}
