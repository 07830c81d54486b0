//! Every store applies every accepted transaction once, in order, and nothing else: no zombie, no
//! duplicate, no hole, and never back except by a crash.

use crate::truth::Truth;
use crate::violation::Violation;
use cortado_model::Scn;
use cortado_replica::Apply;

const NAME: &str = "applied_in_order";

/// A store whose last transaction is `last` is about to take `apply`.
///
/// # Errors
/// It is not what the log says comes next.
pub fn check(truth: &Truth, last: Scn, apply: &Apply) -> Result<(), Violation> {
    let mut last = last;
    for committed in &apply.transactions {
        let Some(next) = truth.transaction_after(last) else {
            let details = format!("{} is applied behind {last}, the last one", committed.scn);
            return Err(Violation::new(NAME, details));
        };
        let same = next.scn == committed.scn
            && next.time == committed.time
            && next.transaction == committed.transaction;
        if !same {
            let details = format!("{} is applied behind {last}, not {}", committed.scn, next.scn);
            return Err(Violation::new(NAME, details));
        }
        last = committed.scn;
    }
    Ok(())
}
