//! Conditions under which cluster facts are written: no concurrent write was faster.

use cortado_document::{Condition, Match, Tag};
use cortado_model::Etag;

/// The document must not exist.
pub(crate) fn if_absent() -> Condition {
    Condition { if_match: None, if_none_match: Some(Match::Any) }
}

/// The document must be as it was read.
pub(crate) fn if_still(etag: Etag) -> Condition {
    Condition { if_match: Some(Match::Tags(vec![Tag::Strong(etag)])), if_none_match: None }
}
