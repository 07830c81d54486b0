//! Limits of the API, version 1. Source: docs/api.md, "Limits".

/// Bytes of a request body.
pub const BODY_BYTES_MAX: usize = 8 << 20;
/// Bytes of one document, as stored.
pub const DOCUMENT_BYTES_MAX: usize = 1 << 20;
/// Nesting of a document; its root counts as 1.
pub const DOCUMENT_DEPTH_MAX: usize = 64;
/// Members of all objects of one document together.
pub const DOCUMENT_FIELDS_MAX: usize = 10_000;
/// Bytes of one part of a key.
pub const KEY_PART_BYTES_MAX: usize = 512;
/// Bytes of all parts of a key together, without separators.
pub const KEY_BYTES_MAX: usize = 1_024;
/// Parts of a key.
pub const KEY_PARTS_MAX: usize = 8;
/// Operations of one transaction or batch.
pub const OPERATIONS_MAX: usize = 1_000;
/// Documents of one page of a collection.
pub const PAGE_DOCUMENTS_MAX: usize = 1_000;
/// Documents of one page when the request names no number.
pub const PAGE_DOCUMENTS_DEFAULT: usize = 100;
/// Bytes of path and query of a request.
pub const URI_BYTES_MAX: usize = 8 << 10;
/// Header fields of a request.
pub const HEADERS_MAX: usize = 100;
/// Bytes of all header fields of a request.
pub const HEADER_BYTES_MAX: usize = 32 << 10;
/// Bytes of an idempotency key.
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;
/// How long an answer is remembered under its idempotency key, unless the client wants it shorter.
pub const IDEMPOTENCY_TTL_MS_MAX: u32 = 24 * 60 * 60 * 1_000;
/// Bytes of the name of a database, a table or a part of a key.
pub const NAME_BYTES_MAX: usize = 63;
/// Partitions of a database.
pub const PARTITIONS_MAX: u32 = 1_024;

/// Whether `name` may name a database, a table or a part of a key: `[a-z][a-z0-9_]{0,62}`.
pub fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    let first = bytes.next().is_some_and(|b| b.is_ascii_lowercase());
    let rest = bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    first && rest && name.len() <= NAME_BYTES_MAX
}
