//! The table of all routes, the hottest first.
//!
//! Adding a line here is the only way to add a route, and all it takes. Start reading at
//! [`ROUTES`].

use crate::answer::Answer as Answered;
use crate::failure::Failure;
use crate::route::{Answering, Handler, Route};
use crate::{admin, batch, changes, documents, lists, operations, transaction};
use cortado_wire::media::{JSON, JSON_PATCH, MERGE_PATCH, NDJSON, SSE, TEXT};
use cortado_wire::openapi::{Answer, Description, Parameter, RequestBody};
use std::future::ready;

const fn optional(name: &'static str, about: &'static str) -> Parameter {
    Parameter { name, about, required: false }
}

const LIMIT: Parameter =
    optional("limit", "Maximum number of documents: 1 to 1000, 100 by default.");
const CURSOR: Parameter = optional("cursor", "`next` of the previous page.");
const ORDER: Parameter = optional("order", "`asc` (default) or `desc`, by key.");

const CONSISTENCY: Parameter = optional(
    "Cortado-Consistency",
    "`strong` (default), `strict`, `session`, `bounded` or `eventual`.",
);
const SESSION: Parameter = optional("Cortado-Session", "The session token of an earlier answer.");
const MAX_LAG: Parameter =
    optional("Cortado-Max-Lag-Ms", "Maximum age of a `bounded` read, in milliseconds.");
const DEADLINE: Parameter =
    optional("Cortado-Deadline-Ms", "Deadline in milliseconds: 1 to 60000.");
const IF_MATCH: Parameter = optional("If-Match", "Entity tags, or `*`.");
const IF_NONE_MATCH: Parameter = optional("If-None-Match", "Entity tags, or `*`.");
const IF_MODIFIED_SINCE: Parameter = optional("If-Modified-Since", "An HTTP date.");
const IDEMPOTENCY: Parameter = optional(
    "Idempotency-Key",
    "1 to 255 visible ASCII characters; a retry with the same key repeats the first answer.",
);
const IDEMPOTENCY_TTL: Parameter = optional(
    "Cortado-Idempotency-Ttl",
    "Seconds for which the answer is remembered: 1 to 86400 (default).",
);
const LAST_EVENT_ID: Parameter =
    optional("Last-Event-ID", "The SCN to resume after; wins over `since`.");

const READ_HEADERS: &[Parameter] = &[CONSISTENCY, SESSION, MAX_LAG, DEADLINE];
const GET_HEADERS: &[Parameter] =
    &[IF_MATCH, IF_NONE_MATCH, IF_MODIFIED_SINCE, CONSISTENCY, SESSION, MAX_LAG, DEADLINE];
const WRITE_HEADERS: &[Parameter] =
    &[IF_MATCH, IF_NONE_MATCH, IDEMPOTENCY, IDEMPOTENCY_TTL, SESSION, DEADLINE];
const TRANSACT_HEADERS: &[Parameter] = &[IDEMPOTENCY, IDEMPOTENCY_TTL, SESSION, DEADLINE];
const ADMIN_HEADERS: &[Parameter] = &[DEADLINE];

const WRITTEN: Answer = Answer { status: 200, about: "Updated.", media: &[(JSON, "WriteAnswer")] };
const PAGE: &[Answer] =
    &[Answer { status: 200, about: "A page of documents.", media: &[(JSON, "Page")] }];
const DONE: &[Answer] = &[Answer { status: 204, about: "Done.", media: &[] }];

/// A description to start from.
const PLAIN: Description = Description {
    id: "",
    method: "GET",
    path: "",
    summary: "",
    parameters: &[],
    headers: &[],
    body: RequestBody::None,
    answers: &[],
};
const KEY_PATH: Description = Description { path: "/v1/{database}/{table}/{key}", ..PLAIN };

/// The answer of a handler that waits for nothing.
fn at_once<'c>(answer: Result<Answered, Failure>) -> Answering<'c> {
    Box::pin(ready(answer))
}

/// A route that changes nothing.
const fn reads(handler: Handler, description: Description) -> Route {
    Route { handler, writes: false, description }
}

/// A route that changes something: its errors say what became of it.
const fn writes(handler: Handler, description: Description) -> Route {
    Route { handler, writes: true, description }
}

/// An answer of JSON with the schema `schema`.
const fn found(about: &'static str, media: &'static [(&'static str, &'static str)]) -> Answer {
    Answer { status: 200, about, media }
}

/// Every route of the server.
pub(crate) static ROUTES: &[Route] = &[
    reads(
        Handler::Document(|call, at, _| Box::pin(documents::get(call, at))),
        Description {
            id: "get_document",
            summary: "Reads a document",
            headers: GET_HEADERS,
            answers: &[
                found("The document.", &[(JSON, "Document")]),
                Answer { status: 304, about: "Not modified.", media: &[] },
            ],
            ..KEY_PATH
        },
    ),
    writes(
        Handler::Document(|call, at, body| Box::pin(documents::put(call, at, body))),
        Description {
            id: "put_document",
            method: "PUT",
            summary: "Creates or replaces a document",
            headers: WRITE_HEADERS,
            body: RequestBody::Required(&[(JSON, "Document")]),
            answers: &[
                Answer { status: 201, about: "Created.", media: &[(JSON, "WriteAnswer")] },
                WRITTEN,
            ],
            ..KEY_PATH
        },
    ),
    reads(
        Handler::Collection(|call, at, _| Box::pin(lists::collection(call, at))),
        Description {
            id: "list_collection",
            summary: "Lists a collection: the path has fewer parts than the table's key",
            parameters: &[LIMIT, CURSOR, ORDER],
            headers: READ_HEADERS,
            answers: PAGE,
            ..KEY_PATH
        },
    ),
    writes(
        Handler::Document(|call, at, body| Box::pin(documents::patch(call, at, body))),
        Description {
            id: "patch_document",
            method: "PATCH",
            summary: "Updates parts of a document",
            headers: WRITE_HEADERS,
            body: RequestBody::Required(&[(MERGE_PATCH, "MergePatch"), (JSON_PATCH, "JsonPatch")]),
            answers: &[WRITTEN],
            ..KEY_PATH
        },
    ),
    writes(
        Handler::Document(|call, at, body| Box::pin(documents::delete(call, at, body))),
        Description {
            id: "delete_document",
            method: "DELETE",
            summary: "Deletes a document",
            headers: WRITE_HEADERS,
            answers: DONE,
            ..KEY_PATH
        },
    ),
    reads(
        Handler::Table(|call, at, _| Box::pin(lists::table(call, at))),
        Description {
            id: "scan_table",
            path: "/v1/{database}/{table}",
            summary: "Scans a table, partition after partition",
            parameters: &[LIMIT, CURSOR],
            headers: READ_HEADERS,
            answers: PAGE,
            ..PLAIN
        },
    ),
    reads(
        Handler::Database(|call, at, body| Box::pin(batch::get(call, at, body))),
        Description {
            id: "batch_get",
            method: "POST",
            path: "/v1/{database}:batchGet",
            summary: "Reads many documents",
            headers: READ_HEADERS,
            body: RequestBody::Required(&[(JSON, "BatchBody")]),
            answers: &[found("One result per key, in order.", &[(JSON, "BatchAnswer")])],
            ..PLAIN
        },
    ),
    writes(
        Handler::Database(|call, at, body| Box::pin(transaction::transact(call, at, body))),
        Description {
            id: "transact",
            method: "POST",
            path: "/v1/{database}:transact",
            summary: "Writes documents of one resource, all or nothing",
            headers: TRANSACT_HEADERS,
            body: RequestBody::Required(&[(JSON, "TransactionBody")]),
            answers: &[found(
                "One result per operation, in order.",
                &[(JSON, "TransactionAnswer")],
            )],
            ..PLAIN
        },
    ),
    reads(
        Handler::Database(|call, at, _| Box::pin(changes::follow(call, at))),
        Description {
            id: "changes",
            path: "/v1/{database}:changes",
            summary: "Streams the committed transactions of a partition",
            parameters: &[
                Parameter {
                    name: "partition",
                    about: "The number of the partition, from 0.",
                    required: true,
                },
                optional("since", "Start after this SCN; from the beginning if absent."),
                optional(
                    "wait",
                    "Milliseconds to wait for more: 0 (default) to 60000; ignored for SSE.",
                ),
            ],
            headers: &[LAST_EVENT_ID, SESSION, DEADLINE],
            answers: &[found(
                "Transactions in SCN order.",
                &[(NDJSON, "ChangeLine"), (SSE, "ServerSentEvents")],
            )],
            ..PLAIN
        },
    ),
    reads(
        Handler::Service(|call, _| at_once(admin::list_databases(call))),
        Description {
            id: "list_databases",
            path: "/admin/v1/databases",
            summary: "Lists all databases",
            answers: &[found("All databases.", &[(JSON, "DatabasesAnswer")])],
            ..PLAIN
        },
    ),
    reads(
        Handler::Service(|call, _| at_once(admin::get_database(call))),
        Description {
            id: "get_database",
            summary: "Shows a database",
            answers: &[found("The database.", &[(JSON, "DatabaseAnswer")])],
            ..DATABASE_PATH
        },
    ),
    writes(
        Handler::Service(|call, body| Box::pin(admin::put_database(call, body))),
        Description {
            id: "put_database",
            method: "PUT",
            summary: "Creates a database; idempotent",
            headers: ADMIN_HEADERS,
            body: RequestBody::Optional(&[(JSON, "DatabaseBody")]),
            answers: &[
                Answer { status: 201, about: "Created.", media: &[(JSON, "DatabaseAnswer")] },
                found("It already exists with the same declaration.", &[(JSON, "DatabaseAnswer")]),
            ],
            ..DATABASE_PATH
        },
    ),
    writes(
        Handler::Service(|call, _| Box::pin(admin::drop_database(call))),
        Description {
            id: "drop_database",
            method: "DELETE",
            summary: "Drops a database and everything in it",
            headers: ADMIN_HEADERS,
            answers: DONE,
            ..DATABASE_PATH
        },
    ),
    reads(
        Handler::Service(|call, _| at_once(admin::list_tables(call))),
        Description {
            id: "list_tables",
            path: "/admin/v1/databases/{database}/tables",
            summary: "Lists the tables of a database",
            answers: &[found("The tables.", &[(JSON, "TablesAnswer")])],
            ..PLAIN
        },
    ),
    reads(
        Handler::Service(|call, _| at_once(admin::get_table(call))),
        Description {
            id: "get_table",
            summary: "Shows a table",
            answers: &[found("The table.", &[(JSON, "TableAnswer")])],
            ..TABLE_PATH
        },
    ),
    writes(
        Handler::Service(|call, body| Box::pin(admin::put_table(call, body))),
        Description {
            id: "put_table",
            method: "PUT",
            summary: "Creates a table, or changes its schema compatibly",
            headers: ADMIN_HEADERS,
            body: RequestBody::Required(&[(JSON, "TableBody")]),
            answers: &[
                Answer { status: 201, about: "Created.", media: &[(JSON, "TableAnswer")] },
                found("Changed, or unchanged.", &[(JSON, "TableAnswer")]),
            ],
            ..TABLE_PATH
        },
    ),
    writes(
        Handler::Service(|call, _| Box::pin(admin::drop_table(call))),
        Description {
            id: "drop_table",
            method: "DELETE",
            summary: "Drops a table and its documents",
            headers: ADMIN_HEADERS,
            answers: DONE,
            ..TABLE_PATH
        },
    ),
    reads(
        Handler::Service(|call, _| Box::pin(admin::list_partitions(call))),
        Description {
            id: "list_partitions",
            path: "/admin/v1/databases/{database}/partitions",
            summary: "Lists partitions with leader, replicas, positions and lag",
            answers: &[found("The partitions.", &[(JSON, "PartitionsAnswer")])],
            ..PLAIN
        },
    ),
    writes(
        Handler::Service(|call, body| Box::pin(admin::hand_off(call, body))),
        Description {
            id: "hand_off",
            method: "POST",
            path: "/admin/v1/databases/{database}/partitions/{partition}:handoff",
            summary: "Hands the leadership of a partition to another replica",
            headers: ADMIN_HEADERS,
            body: RequestBody::Optional(&[(JSON, "HandoffBody")]),
            answers: &[
                found("The partition afterwards.", &[(JSON, "PartitionAnswer")]),
                Answer {
                    status: 204,
                    about: "Done; the database was dropped meanwhile.",
                    media: &[],
                },
            ],
            ..PLAIN
        },
    ),
    reads(
        Handler::Service(|call, _| Box::pin(admin::list_nodes(call))),
        Description {
            id: "list_nodes",
            path: "/admin/v1/nodes",
            summary: "Lists all nodes",
            answers: &[found("The nodes.", &[(JSON, "NodesAnswer")])],
            ..PLAIN
        },
    ),
    writes(
        Handler::Service(|call, _| Box::pin(admin::kill_node(call))),
        Description {
            id: "kill_node",
            method: "POST",
            path: "/admin/v1/nodes/{node}:kill",
            summary: "Development mode only: kills a node without a shutdown",
            answers: DONE,
            ..PLAIN
        },
    ),
    writes(
        Handler::Service(|call, _| Box::pin(admin::start_node(call))),
        Description {
            id: "start_node",
            method: "POST",
            path: "/admin/v1/nodes/{node}:start",
            summary: "Development mode only: starts a killed node again",
            answers: DONE,
            ..PLAIN
        },
    ),
    writes(
        Handler::Service(|call, _| Box::pin(admin::replace_node(call))),
        Description {
            id: "replace_node",
            method: "POST",
            path: "/admin/v1/nodes/{node}:replace",
            summary: "Lets another data directory take over the name of a node that has ended",
            answers: DONE,
            ..PLAIN
        },
    ),
    reads(
        Handler::Service(|call, _| Box::pin(admin::list_events(call))),
        Description {
            id: "list_events",
            path: "/admin/v1/events",
            summary: "Reads the journal of decisions, oldest first",
            parameters: &[
                optional("after", "Start after the event with this id; from the oldest if absent."),
                optional("limit", "Maximum number of events: 1 to 1000, 100 by default."),
            ],
            headers: ADMIN_HEADERS,
            answers: &[found("Events.", &[(JSON, "EventsAnswer"), (NDJSON, "EventAnswer")])],
            ..PLAIN
        },
    ),
    reads(
        Handler::Service(|call, _| Box::pin(admin::get_cluster(call))),
        Description {
            id: "get_cluster",
            path: "/admin/v1/cluster",
            summary: "Shows nodes and partitions in one answer",
            answers: &[found("The cluster.", &[(JSON, "ClusterAnswer")])],
            ..PLAIN
        },
    ),
    reads(
        Handler::Service(|_, _| at_once(Ok(operations::landing()))),
        Description {
            id: "landing",
            path: "/",
            summary: "Links to the entry points",
            answers: &[found("Links.", &[(JSON, "Any")])],
            ..PLAIN
        },
    ),
    reads(
        Handler::Service(|_, _| at_once(Ok(operations::healthz()))),
        Description {
            id: "healthz",
            path: "/healthz",
            summary: "Liveness: the process is up",
            answers: &[found("Alive.", &[(JSON, "Any")])],
            ..PLAIN
        },
    ),
    reads(
        Handler::Service(|call, _| Box::pin(operations::readyz(call))),
        Description {
            id: "readyz",
            path: "/readyz",
            summary: "Readiness: every partition has a leader",
            answers: &[found("Ready.", &[(JSON, "Any")])],
            ..PLAIN
        },
    ),
    reads(
        Handler::Service(|call, _| Box::pin(operations::metrics(call))),
        Description {
            id: "metrics",
            path: "/metrics",
            summary: "Metrics for Prometheus",
            answers: &[found("Metrics.", &[(TEXT, "Text")])],
            ..PLAIN
        },
    ),
    reads(
        Handler::Service(|call, _| at_once(Ok(operations::openapi(call)))),
        Description {
            id: "openapi",
            path: "/openapi.json",
            summary: "This document",
            answers: &[found("An OpenAPI document.", &[(JSON, "Any")])],
            ..PLAIN
        },
    ),
];

const DATABASE_PATH: Description = Description { path: "/admin/v1/databases/{database}", ..PLAIN };
const TABLE_PATH: Description =
    Description { path: "/admin/v1/databases/{database}/tables/{table}", ..PLAIN };
