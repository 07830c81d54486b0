//! The media types of the API.

/// Almost every body.
pub const JSON: &str = "application/json";
/// RFC 7396.
pub const MERGE_PATCH: &str = "application/merge-patch+json";
/// RFC 6902.
pub const JSON_PATCH: &str = "application/json-patch+json";
/// RFC 9457: every error.
pub const PROBLEM: &str = "application/problem+json";
/// One JSON object a line.
pub const NDJSON: &str = "application/x-ndjson";
/// Server-Sent Events.
pub const SSE: &str = "text/event-stream";
/// Metrics.
pub const TEXT: &str = "text/plain";
