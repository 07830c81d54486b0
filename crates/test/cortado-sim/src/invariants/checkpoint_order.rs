//! Durable checkpoint ≤ applied ≤ folded ≤ landed, on every node at every time; and the store's
//! checkpoint covers exactly the transactions that it holds.

use crate::store::Store;
use crate::truth::Truth;
use crate::violation::Violation;
use cortado_replica::FoldState;

const NAME: &str = "checkpoint_order";

/// Compares a store with its replica's fold and the log.
///
/// # Errors
/// Something is ahead of what it rests on.
pub fn check(truth: &Truth, store: &Store, fold: &FoldState) -> Result<(), Violation> {
    let applied = &store.image().state;
    let ordered = store.durable().position.offset <= applied.position.offset
        && applied.position.offset <= fold.position.offset
        && fold.position.offset <= truth.end
        && store.durable().last <= applied.last
        && applied.last <= fold.last
        && fold.last <= truth.last;
    let covers = store.image().last_transaction <= applied.last
        && truth
            .transaction_after(store.image().last_transaction)
            .is_none_or(|next| next.scn > applied.last);
    if ordered && covers {
        return Ok(());
    }
    let details = format!(
        "durable {} at {}, applied {} (documents {}) at {}, folded {} at {}, landed {} at {}",
        store.durable().last,
        store.durable().position.offset,
        applied.last,
        store.image().last_transaction,
        applied.position.offset,
        fold.last,
        fold.position.offset,
        truth.last,
        truth.end,
    );
    Err(Violation::new(NAME, details))
}
