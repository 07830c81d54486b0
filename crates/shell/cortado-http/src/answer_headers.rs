//! The header fields that every answer has, whoever words it.
//!
//! Start reading at [`complete`].

use crate::answer::Answer;
use crate::request_id::RequestId;
use crate::routes::ROUTES;
use cortado_wire::headers;
use http::{HeaderName, HeaderValue, header};

/// A cache may keep a document, and must ask before each use whether it has changed: what was read
/// as `strong` would not be otherwise.
const ASK_AGAIN: HeaderValue = HeaderValue::from_static("no-cache");
/// What is told once, or changes without an etag that shows it.
const KEEP_NOTHING: HeaderValue = HeaderValue::from_static("no-store");
/// The request headers that choose between states of a document.
const CHOOSING: HeaderValue =
    HeaderValue::from_static("Cortado-Consistency, Cortado-Max-Lag-Ms, Cortado-Session");
/// Fetch standard: pages of other origins may not embed an answer, however they ask for it.
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// Adds the request's name, and what caches and browsers may do with the answer.
///
/// * `route`: index in the table of routes; `None` if the request found none.
pub(crate) fn complete(answer: &mut Answer, route: Option<usize>, id: RequestId) {
    let of_documents = route.is_some_and(|route| ROUTES[route].is_of_documents());
    let fields = answer.headers_mut();
    fields.insert(headers::REQUEST_ID, id.to_header());
    fields.insert(RESOURCE_POLICY, HeaderValue::from_static("same-origin"));
    fields.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if of_documents {
        fields.insert(header::CACHE_CONTROL, ASK_AGAIN);
        fields.insert(header::VARY, CHOOSING);
    } else {
        fields.insert(header::CACHE_CONTROL, KEEP_NOTHING);
    }
}
