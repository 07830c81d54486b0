//! Log time never goes back, and no two transactions of a partition share an etag.
//!
//! A claimant cannot know what its claim will follow, so claims may name an earlier time; all else
//! names one that is no earlier than any before it.

use crate::database::truth::{Kind, Truth};
use crate::kernel::violation::Violation;
use cortado_model::{Etag, Scn, WallMillis};
use std::collections::BTreeMap;

const NAME: &str = "log_time";

/// The etags of one partition.
#[derive(Debug, Default)]
pub struct Etags {
    used: BTreeMap<Etag, Scn>,
    time: WallMillis,
}

impl Etags {
    /// A record has just been accepted; `is_transaction` if it is the newest transaction.
    ///
    /// # Errors
    /// Its time is earlier than that of the one before, or its etag was used before.
    pub fn accepted(&mut self, truth: &Truth, is_transaction: bool) -> Result<(), Violation> {
        if let Some(newest) = truth.accepted.last() {
            if newest.time < self.time && newest.kind != Kind::Claim {
                let details = format!("{} is earlier than what it follows", newest.scn);
                return Err(Violation::new(NAME, details));
            }
            self.time = self.time.max(newest.time);
        }
        let Some(newest) = truth.transactions.last().filter(|_| is_transaction) else {
            return Ok(());
        };
        let documents = newest.transaction.changes.iter().filter_map(|c| c.document.as_ref());
        for etag in documents.map(|document| document.head.etag) {
            let user = *self.used.entry(etag).or_insert(newest.scn);
            if user != newest.scn {
                let details = format!("{user} and {} share the etag {etag}", newest.scn);
                return Err(Violation::new(NAME, details));
            }
        }
        Ok(())
    }
}
