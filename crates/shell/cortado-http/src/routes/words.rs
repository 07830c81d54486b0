//! What the descriptions of routes have in common: parameters, headers, answers, errors, paths.
//!
//! Decides nothing. Start reading at [`PLAIN`].

use cortado_wire::media::JSON;
use cortado_wire::openapi::{Answer, Description, ErrorAnswer, Parameter, RequestBody};

pub(super) const LIMIT: Parameter = optional("limit", "Maximum number of documents.").of("Limit");
pub(super) const CURSOR: Parameter =
    optional("cursor", "`next` of the previous page.").of("Cursor");
pub(super) const ORDER: Parameter =
    optional("order", "Ascending or descending, by key.").of("Order");
const KEY: Parameter =
    needed("key", "One part of the document's key; repeated for each part, in order.").of("Key");
const PREFIX: Parameter =
    needed("prefix", "One of the first parts of the keys; repeated for each part, in order.")
        .of("KeyPrefix");

const CONSISTENCY: Parameter =
    optional("Cortado-Consistency", "What a read promises.").of("Consistency");
pub(super) const SESSION: Parameter =
    optional("Cortado-Session", "The session token of an earlier answer.").of("SessionToken");
const MAX_LAG: Parameter =
    optional("Cortado-Max-Lag-Ms", "Maximum age of a `bounded` read, in milliseconds.")
        .of("MaxLagMs");
pub(super) const DEADLINE: Parameter =
    optional("Cortado-Deadline-Ms", "How long the client waits, in milliseconds.").of("DeadlineMs");
const IF_MATCH: Parameter =
    optional("If-Match", "Only if the document is in one of these states.").of("EntityTags");
const IF_NONE_MATCH: Parameter = optional(
    "If-None-Match",
    "Only if the document is in none of these states; `*`: only if it \
              does not exist.",
)
.of("EntityTags");
const IF_MODIFIED_SINCE: Parameter =
    optional("If-Modified-Since", "Only if it was written later.").of("HttpDate");
const IDEMPOTENCY: Parameter =
    optional("Idempotency-Key", "A retry with the same key repeats the first answer.")
        .of("IdempotencyKey");
const IDEMPOTENCY_TTL: Parameter =
    optional("Cortado-Idempotency-Ttl", "How long the answer is remembered, in seconds.")
        .of("IdempotencyTtl");
pub(super) const LAST_EVENT_ID: Parameter =
    optional("Last-Event-ID", "The SCN to resume after; wins over `since`.").of("Since");

pub(super) const READ_HEADERS: &[Parameter] = &[CONSISTENCY, SESSION, MAX_LAG, DEADLINE];
pub(super) const GET_HEADERS: &[Parameter] =
    &[IF_MATCH, IF_NONE_MATCH, IF_MODIFIED_SINCE, CONSISTENCY, SESSION, MAX_LAG, DEADLINE];
pub(super) const WRITE_HEADERS: &[Parameter] =
    &[IF_MATCH, IF_NONE_MATCH, IDEMPOTENCY, IDEMPOTENCY_TTL, SESSION, DEADLINE];
pub(super) const TRANSACT_HEADERS: &[Parameter] =
    &[IDEMPOTENCY, IDEMPOTENCY_TTL, SESSION, DEADLINE];
pub(super) const ADMIN_HEADERS: &[Parameter] = &[DEADLINE];

/// Headers of a document that was read.
pub(super) const READ: &[&str] = &[
    "ETag",
    "Last-Modified",
    "Cortado-Scn",
    "Cortado-Session",
    "Cortado-Served-By",
    "Cortado-Role",
    "Vary",
];
/// Headers of a page of documents.
const LISTED: &[&str] = &["Cortado-Session", "Cortado-Served-By", "Cortado-Role", "Vary"];
/// Headers of a write that was done.
const WRITTEN_HEADERS: &[&str] =
    &["ETag", "Last-Modified", "Cortado-Scn", "Cortado-Session", "Cortado-Repeated"];
pub(super) const DELETED_HEADERS: &[&str] = &["Cortado-Scn", "Cortado-Session", "Cortado-Repeated"];
pub(super) const CREATED_HEADERS: &[&str] =
    &["Location", "ETag", "Last-Modified", "Cortado-Scn", "Cortado-Session", "Cortado-Repeated"];

pub(super) const MALFORMED: ErrorAnswer =
    error(400, "Malformed: a header, a parameter, a key or the body.");
pub(super) const FOREIGN: ErrorAnswer =
    error(403, "A web page of another origin may not change anything.");
pub(super) const MISSING: ErrorAnswer =
    error(404, "It does not exist, or the database or table does not.");
const CONFLICT: ErrorAnswer = error(409, "The state does not allow it.");
const UNMET: ErrorAnswer = ErrorAnswer {
    status: 412,
    about: "A condition failed; the ETag is that of the current state, if there is one.",
    headers: &["ETag", "Cortado-Session"],
};
pub(super) const TOO_LARGE: ErrorAnswer = error(413, "The body or the document is too large.");
pub(super) const UNPROCESSABLE: ErrorAnswer = error(422, "Well-formed, but it cannot be done.");
pub(super) const BUDGET: ErrorAnswer = again(429, "Too much is remembered or open.");
pub(super) const UNSERVED: ErrorAnswer = again(503, "It cannot be served now.");
pub(super) const LATE: ErrorAnswer = error(504, "The deadline passed.");

pub(super) const READ_ERRORS: &[ErrorAnswer] = &[MALFORMED, MISSING, UNMET, UNSERVED, LATE];
pub(super) const LIST_ERRORS: &[ErrorAnswer] = &[MALFORMED, MISSING, UNPROCESSABLE, UNSERVED, LATE];
pub(super) const WRITE_ERRORS: &[ErrorAnswer] = &[
    MALFORMED,
    FOREIGN,
    MISSING,
    CONFLICT,
    UNMET,
    TOO_LARGE,
    UNPROCESSABLE,
    BUDGET,
    UNSERVED,
    LATE,
];

pub(super) const WRITTEN: Answer = Answer {
    status: 200,
    about: "Updated.",
    media: &[(JSON, "WriteAnswer")],
    headers: WRITTEN_HEADERS,
};
pub(super) const PAGE: &[Answer] = &[Answer {
    status: 200,
    about: "A page of documents.",
    media: &[(JSON, "Page")],
    headers: LISTED,
}];
/// Of many keys.
pub(super) const FOUND_EACH: &[Answer] = &[Answer {
    headers: &["Cortado-Session", "Cortado-Served-By", "Cortado-Role"],
    ..found("One result per key, in order.", &[(JSON, "BatchAnswer")])
}];
/// Of a handoff.
pub(super) const HANDED_OFF: &[Answer] = &[
    found("The partition afterwards.", &[(JSON, "PartitionAnswer")]),
    Answer {
        status: 204,
        about: "Done; the database was dropped meanwhile.",
        media: &[],
        headers: &[],
    },
];
pub(super) const DONE: &[Answer] =
    &[Answer { status: 204, about: "Done.", media: &[], headers: &[] }];
pub(super) const DELETED: &[Answer] =
    &[Answer { status: 204, about: "Deleted.", media: &[], headers: DELETED_HEADERS }];
pub(super) const CREATED: Answer =
    Answer { status: 201, about: "Created.", media: &[], headers: &[] };

/// A change of where replicas live, planned or begun.
const PLANNED: &[Answer] = &[
    Answer { about: "It has begun.", media: &[(JSON, "MovePlanAnswer")], ..CREATED },
    found("The plan: nothing was begun.", &[(JSON, "MovePlanAnswer")]),
];

/// A description to start from.
pub(super) const PLAIN: Description = Description {
    id: "",
    method: "GET",
    path: "",
    path_form: None,
    summary: "",
    about: "",
    key: None,
    parameters: &[],
    headers: &[],
    body: RequestBody::None,
    answers: &[],
    errors: &[],
};
pub(super) const DOCUMENT: Description = Description {
    path: "/v1/{database}/{table}:document",
    path_form: Some("/v1/{database}/{table}/{key}"),
    key: Some(KEY),
    errors: WRITE_ERRORS,
    ..PLAIN
};
pub(super) const COLLECTION: Description = Description {
    path: "/v1/{database}/{table}:collection",
    path_form: Some("/v1/{database}/{table}/{key}"),
    key: Some(PREFIX),
    ..PLAIN
};

pub(super) const fn optional(name: &'static str, about: &'static str) -> Parameter {
    Parameter { name, about, required: false, schema: "Words" }
}

pub(super) const fn needed(name: &'static str, about: &'static str) -> Parameter {
    Parameter { name, about, required: true, schema: "Words" }
}

pub(super) const fn error(status: u16, about: &'static str) -> ErrorAnswer {
    ErrorAnswer { status, about, headers: &[] }
}

const fn again(status: u16, about: &'static str) -> ErrorAnswer {
    ErrorAnswer { status, about, headers: &["Retry-After"] }
}

/// An answer of 200 with a body.
pub(super) const fn found(
    about: &'static str,
    media: &'static [(&'static str, &'static str)],
) -> Answer {
    Answer { status: 200, about, media, headers: &[] }
}

/// Which node reads which feature level.
pub(super) const GET_UPGRADE: Description = Description {
    id: "get_upgrade",
    path: "/admin/v1/upgrade",
    summary: "Shows which node reads which feature level, and what holds a newer one up",
    answers: &[found("The upgrade.", &[(JSON, "UpgradeAnswer")])],
    ..PLAIN
};

/// The newest level that every node reads is used.
pub(super) const FINISH_UPGRADE: Description = Description {
    id: "finish_upgrade",
    method: "POST",
    path: "/admin/v1/upgrade:finish",
    summary: "Uses the newest feature level that every node reads; refuses older builds then",
    headers: ADMIN_HEADERS,
    answers: &[found("The upgrade, done.", &[(JSON, "UpgradeAnswer")])],
    ..PLAIN
};

pub(super) const DATABASE_PATH: Description =
    Description { path: "/admin/v1/databases/{database}", ..PLAIN };
pub(super) const TABLE_PATH: Description =
    Description { path: "/admin/v1/databases/{database}/tables/{table}", ..PLAIN };
pub(super) const CHANGE_PATH: Description =
    Description { method: "POST", headers: ADMIN_HEADERS, answers: DONE, ..PLAIN };
/// A change of where replicas live.
pub(super) const MOVE_ORDER: Description =
    Description { method: "POST", headers: ADMIN_HEADERS, answers: PLANNED, ..PLAIN };
