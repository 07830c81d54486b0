//! Stores that have applied the same transactions hold the same documents.

use crate::database::store::Image;
use crate::database::truth::Truth;
use crate::kernel::violation::Violation;
use cortado_model::WallMillis;

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

/// What a store remembers and has not expired at `time` is what the log says.
///
/// # Errors
/// They differ.
pub fn check_answers(truth: &Truth, image: &Image, time: WallMillis) -> Result<(), Violation> {
    let scn = image.last_transaction;
    let (found, _) = image.remembered_at(time);
    let want = truth.remembered_at(scn, time);
    if found == want {
        return Ok(());
    }
    let details = format!("at {scn} a store's answers give {found:x}, the log's {want:x}");
    Err(Violation::new(NAME, details))
}

/// A driver takes its last digest for the present one, which is `digest`.
///
/// # Errors
/// It is another.
pub fn check_known(known: Option<u128>, digest: u128) -> Result<(), Violation> {
    match known {
        Some(known) if known != digest => {
            let details = format!("a digest is taken for {known:x}, and is {digest:x}");
            Err(Violation::new(NAME, details))
        }
        Some(_) | None => Ok(()),
    }
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
