//! Which bookmarks lead into what the log may forget.

use bytes::Bytes;
use cortado_model::{Scn, StoreError};
use cortado_replica::{FoldState, Trim};

/// The SCN below which every bookmark points below `trim.below`.
///
/// * `bookmark`: the last bookmark at or before an SCN.
///
/// # Errors
/// Those of `bookmark`.
pub fn first_bookmark_at(
    trim: &Trim,
    bookmark: impl Fn(Scn) -> Result<Option<(Scn, Bytes)>, StoreError>,
) -> Result<Option<Scn>, StoreError> {
    let mut at = trim.snapshot;
    while let Some((scn, bytes)) = bookmark(at)? {
        let usable = FoldState::decode(&bytes).is_ok_and(|s| s.position.offset >= trim.below);
        let before = scn.to_u64().checked_sub(1).and_then(Scn::from_u64);
        match before {
            Some(before) if usable => at = before,
            Some(_) | None => return Ok(Some(at)),
        }
    }
    Ok(None)
}
