//! The header names of the API beyond those of HTTP itself.
//!
//! Start reading at [`OURS`]: a request header that begins with `Cortado-` and is not in that list
//! is refused, never ignored.

use http::HeaderName;

/// How a read is served: `strong`, `strict`, `session`, `bounded`, `eventual`.
pub const CONSISTENCY: HeaderName = HeaderName::from_static("cortado-consistency");
/// What a client has seen of a database; goes both ways.
pub const SESSION: HeaderName = HeaderName::from_static("cortado-session");
/// How old a `bounded` read may be, in milliseconds.
pub const MAX_LAG_MS: HeaderName = HeaderName::from_static("cortado-max-lag-ms");
/// When the client gives up, in milliseconds from the arrival of the request.
pub const DEADLINE_MS: HeaderName = HeaderName::from_static("cortado-deadline-ms");
/// A later version: seconds until the document expires.
pub const TTL: HeaderName = HeaderName::from_static("cortado-ttl");
/// A later version: when the document expires.
pub const EXPIRES: HeaderName = HeaderName::from_static("cortado-expires");
/// The transaction that wrote the document.
pub const SCN: HeaderName = HeaderName::from_static("cortado-scn");
/// The node that served a read.
pub const SERVED_BY: HeaderName = HeaderName::from_static("cortado-served-by");
/// The role of the replica that served a read.
pub const ROLE: HeaderName = HeaderName::from_static("cortado-role");
/// Finds the request in the server's log.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("cortado-request-id");
/// The answer repeats the first one given under the idempotency key.
pub const REPEATED: HeaderName = HeaderName::from_static("cortado-repeated");
/// Recognises the repetition of a write.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// How long the answer is remembered under the idempotency key, in seconds.
pub const IDEMPOTENCY_TTL: HeaderName = HeaderName::from_static("cortado-idempotency-ttl");
/// Where a reader of Server-Sent Events goes on.
pub const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// What a browser says about the page that sends a request (Fetch Metadata).
pub const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// What all request headers of the API begin with.
pub const PREFIX: &str = "cortado-";

/// The request headers with the prefix that a client may send.
pub const OURS: [HeaderName; 7] =
    [CONSISTENCY, SESSION, MAX_LAG_MS, DEADLINE_MS, IDEMPOTENCY_TTL, TTL, EXPIRES];
