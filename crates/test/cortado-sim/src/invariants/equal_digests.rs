//! Stores that have applied the same transactions hold the same documents.

use crate::store::Image;
use crate::truth::Truth;
use crate::violation::Violation;

const NAME: &str = "equal_digests";

/// Compares a store's state with what the log makes of it.
///
/// # Errors
/// They differ.
pub fn check(truth: &Truth, image: &Image) -> Result<(), Violation> {
    let want = truth.digest_at(image.last_transaction);
    if want == Some(image.digest) {
        return Ok(());
    }
    let (scn, found) = (image.last_transaction, image.digest);
    Err(Violation::new(NAME, format!("at {scn} a store has {found:x}, the log {want:x?}")))
}

/// As [`check`], from the documents themselves: what replicas do when a digest is due.
///
/// # Errors
/// They differ.
pub fn check_anew(truth: &Truth, image: &Image) -> Result<(), Violation> {
    let (kept, anew) = (image.digest, image.digest_anew());
    if kept != anew {
        let details = format!("a store's documents give {anew:x}, its changes {kept:x}");
        return Err(Violation::new(NAME, details));
    }
    check(truth, image)
}
