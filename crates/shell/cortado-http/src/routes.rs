//! The table of all routes, the hottest first.
//!
//! Adding a line here is the only way to add a route, and all it takes. Start reading at
//! [`ROUTES`].

mod words;

use crate::admin::moves;
use crate::answer::Answer as Answered;
use crate::failure::Failure;
use crate::room::Need;
use crate::route::{Answering, Handler, Route};
use crate::{admin, batch, bulk, changes, creation, documents, lists, operations, transaction};
use cortado_node::ChangeState;
use cortado_wire::media::{JSON, JSON_PATCH, MERGE_PATCH, NDJSON, SSE, TEXT};
use cortado_wire::openapi::{Answer, Description, RequestBody};
use std::future::ready;
use words::{
    ADMIN_HEADERS, BUDGET, CHANGE_PATH, COLLECTION, CREATED, CREATED_HEADERS, CURSOR,
    DATABASE_PATH, DEADLINE, DELETED, DELETED_HEADERS, DOCUMENT, DONE, FINISH_UPGRADE, FOREIGN,
    FOUND_EACH, GET_HEADERS, GET_UPGRADE, HANDED_OFF, LAST_EVENT_ID, LATE, LIMIT, LIST_ERRORS,
    MALFORMED, MISSING, MOVE_ORDER, ORDER, PAGE, PLAIN, READ, READ_ERRORS, READ_HEADERS, SESSION,
    TABLE_PATH, TOO_LARGE, TRANSACT_HEADERS, UNPROCESSABLE, UNSERVED, WRITE_ERRORS, WRITE_HEADERS,
    WRITTEN, error, found, needed, optional,
};

/// The answer of a handler that waits for nothing.
fn at_once<'c>(answer: Result<Answered, Failure>) -> Answering<'c> {
    Box::pin(ready(answer))
}

/// A route that reads documents.
const fn reads(handler: Handler, description: Description) -> Route {
    Route { handler, need: Need::Documents, description }
}

/// A route that shows how the cluster and its declarations stand.
const fn shows(handler: Handler, description: Description) -> Route {
    Route { handler, need: Need::Operation, description }
}

/// A route that changes something: its errors say what became of it.
const fn writes(handler: Handler, description: Description) -> Route {
    Route { handler, need: Need::Outcome, description }
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
                Answer { headers: READ, ..found("The document.", &[(JSON, "Document")]) },
                Answer { status: 304, about: "Not modified.", media: &[], headers: READ },
            ],
            errors: READ_ERRORS,
            ..DOCUMENT
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
            answers: &[Answer { status: 201, about: "Created.", ..WRITTEN }, WRITTEN],
            ..DOCUMENT
        },
    ),
    reads(
        Handler::Collection(|call, at, _| Box::pin(lists::collection(call, at))),
        Description {
            id: "list_collection",
            summary: "Lists a collection: the documents whose keys begin alike",
            about: "Fewer parts than the table's key has; ordered by key.",
            parameters: &[LIMIT, CURSOR, ORDER],
            headers: READ_HEADERS,
            answers: PAGE,
            errors: LIST_ERRORS,
            ..COLLECTION
        },
    ),
    writes(
        Handler::Document(|call, at, body| Box::pin(documents::patch(call, at, body))),
        Description {
            id: "patch_document",
            method: "PATCH",
            summary: "Updates parts of a document",
            headers: WRITE_HEADERS,
            about: "Never creates. `application/json` is taken as a merge patch; a JSON Patch \
                    (the schema `JsonPatch`) as `application/json-patch+json`.",
            body: RequestBody::Required(&[
                (MERGE_PATCH, "MergePatch"),
                (JSON_PATCH, "JsonPatch"),
                (JSON, "MergePatch"),
            ]),
            answers: &[WRITTEN],
            ..DOCUMENT
        },
    ),
    writes(
        Handler::Document(|call, at, body| Box::pin(documents::delete(call, at, body))),
        Description {
            id: "delete_document",
            method: "DELETE",
            summary: "Deletes a document",
            headers: WRITE_HEADERS,
            answers: DELETED,
            ..DOCUMENT
        },
    ),
    writes(
        Handler::Siblings(|call, at, body| Box::pin(creation::create(call, at, body))),
        Description {
            id: "create_document",
            method: "POST",
            summary: "Creates a document under a key whose last part the server makes",
            about: "All parts of the key but the last one; that becomes a UUID of version 7. Under \
                    an `Idempotency-Key` a repetition answers the first document again.",
            headers: TRANSACT_HEADERS,
            body: RequestBody::Required(&[(JSON, "Document")]),
            answers: &[Answer {
                media: &[(JSON, "WriteAnswer")],
                headers: CREATED_HEADERS,
                ..CREATED
            }],
            errors: WRITE_ERRORS,
            ..COLLECTION
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
            errors: LIST_ERRORS,
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
            answers: FOUND_EACH,
            errors: &[MALFORMED, FOREIGN, MISSING, TOO_LARGE, UNPROCESSABLE, UNSERVED, LATE],
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
            answers: &[Answer {
                headers: DELETED_HEADERS,
                ..found("One result per operation, in order.", &[(JSON, "TransactionAnswer")])
            }],
            errors: WRITE_ERRORS,
            ..PLAIN
        },
    ),
    writes(
        Handler::Database(|call, at, body| Box::pin(bulk::write(call, at, body))),
        Description {
            id: bulk::ID,
            method: "POST",
            path: "/v1/{database}:bulk",
            summary: "Writes documents of any resources, each operation for itself",
            about: "Takes `application/x-ndjson`, too: an operation (`BulkOperation`) a line.",
            headers: TRANSACT_HEADERS,
            body: RequestBody::Required(&[(JSON, "BulkBody"), (NDJSON, "BulkOperation")]),
            answers: &[Answer {
                headers: &["Cortado-Session"],
                ..found("One result per operation, in order.", &[(JSON, "BulkAnswer")])
            }],
            errors: &[MALFORMED, FOREIGN, MISSING, TOO_LARGE, UNPROCESSABLE, UNSERVED],
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
                needed("partition", "The number of the partition, from 0.").of("PartitionNumber"),
                optional("since", "Start after this SCN; from the beginning if absent.")
                    .of("Since"),
                optional("wait", "How long to wait for more, in milliseconds; ignored for SSE.")
                    .of("WaitMs"),
            ],
            headers: &[LAST_EVENT_ID, SESSION, DEADLINE],
            answers: &[found(
                "Transactions in SCN order.",
                &[(NDJSON, "ChangeLine"), (SSE, "ServerSentEvents")],
            )],
            errors: &[
                MALFORMED,
                MISSING,
                error(410, "The changes that follow were trimmed."),
                BUDGET,
                UNSERVED,
            ],
            ..PLAIN
        },
    ),
    shows(
        Handler::Service(|call, _| at_once(admin::list_databases(call))),
        Description {
            id: "list_databases",
            path: "/admin/v1/databases",
            summary: "Lists all databases",
            answers: &[found("All databases.", &[(JSON, "DatabasesAnswer")])],
            ..PLAIN
        },
    ),
    writes(
        Handler::Service(|call, _| Box::pin(admin::rebalance_database(call))),
        Description {
            id: "rebalance_database",
            method: "POST",
            path: "/admin/v1/databases/{database}:rebalance",
            summary: "Undoes the handoffs of a database: its leaderships go to the preferred nodes",
            headers: ADMIN_HEADERS,
            answers: DONE,
            ..PLAIN
        },
    ),
    shows(
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
                Answer { media: &[(JSON, "DatabaseAnswer")], ..CREATED },
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
    shows(
        Handler::Service(|call, _| at_once(admin::list_tables(call))),
        Description {
            id: "list_tables",
            path: "/admin/v1/databases/{database}/tables",
            summary: "Lists the tables of a database",
            answers: &[found("The tables.", &[(JSON, "TablesAnswer")])],
            ..PLAIN
        },
    ),
    shows(
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
                Answer { media: &[(JSON, "TableAnswer")], ..CREATED },
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
    shows(
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
            summary: "Hands the leadership of a partition to another replica, where it stays",
            headers: ADMIN_HEADERS,
            body: RequestBody::Optional(&[(JSON, "HandoffBody")]),
            answers: HANDED_OFF,
            ..PLAIN
        },
    ),
    writes(
        Handler::Service(|call, body| Box::pin(admin::resolving::resolve(call, body))),
        Description {
            id: "resolve_partition",
            method: "POST",
            path: "/admin/v1/databases/{database}/partitions/{partition}:resolve",
            summary: "Shows replicas with different histories, and lets one of them go on",
            headers: ADMIN_HEADERS,
            body: RequestBody::Optional(&[(JSON, "ResolveBody")]),
            answers: &[found("What each replica had.", &[(JSON, "ResolveAnswer")])],
            ..PLAIN
        },
    ),
    writes(
        Handler::Service(|call, _| Box::pin(admin::rebalance(call))),
        Description {
            id: "rebalance",
            method: "POST",
            path: "/admin/v1/cluster:rebalance",
            summary: "Undoes all handoffs: leaderships go to the preferred nodes",
            headers: ADMIN_HEADERS,
            answers: DONE,
            ..PLAIN
        },
    ),
    shows(
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
    writes(
        Handler::Service(|call, _| Box::pin(admin::drain_node(call))),
        Description {
            id: "drain_node",
            method: "POST",
            path: "/admin/v1/nodes/{node}:drain",
            summary: "Lets a node hand over what it leads, and lead nothing that another node can",
            headers: ADMIN_HEADERS,
            answers: DONE,
            ..PLAIN
        },
    ),
    writes(
        Handler::Service(|call, _| Box::pin(admin::resume_node(call))),
        Description {
            id: "resume_node",
            method: "POST",
            path: "/admin/v1/nodes/{node}:resume",
            summary: "Ends the drain of a node: its leaderships come back, one after the other",
            headers: ADMIN_HEADERS,
            answers: DONE,
            ..PLAIN
        },
    ),
    shows(Handler::Service(|call, _| Box::pin(admin::get_upgrade(call))), GET_UPGRADE),
    writes(Handler::Service(|call, _| Box::pin(admin::finish_upgrade(call))), FINISH_UPGRADE),
    writes(
        Handler::Service(|call, body| Box::pin(moves::remove_node(call, body))),
        Description {
            id: "remove_node",
            path: "/admin/v1/nodes/{node}:remove",
            summary: "Moves all replicas of a node to the others; then it is no member any more",
            body: RequestBody::Optional(&[(JSON, "MoveOrderBody")]),
            ..MOVE_ORDER
        },
    ),
    writes(
        Handler::Service(|call, body| Box::pin(moves::move_replica(call, body))),
        Description {
            id: "move_replica",
            path: "/admin/v1/databases/{database}/partitions/{partition}:move",
            summary: "Moves one replica from a node to another",
            body: RequestBody::Required(&[(JSON, "MoveOrderBody")]),
            ..MOVE_ORDER
        },
    ),
    shows(
        Handler::Service(|call, _| Box::pin(moves::list(call))),
        Description {
            id: "list_moves",
            path: "/admin/v1/moves",
            summary: "Shows the changes of where replicas live that are not over",
            answers: &[found("The changes.", &[(JSON, "MovesAnswer")])],
            ..PLAIN
        },
    ),
    writes(
        Handler::Service(|call, body| Box::pin(moves::order(call, body))),
        Description {
            id: "order_moves",
            path: "/admin/v1/moves",
            summary: "Plans a change of where replicas live, and lets it begin",
            body: RequestBody::Required(&[(JSON, "MoveOrderBody")]),
            ..MOVE_ORDER
        },
    ),
    writes(
        Handler::Service(|call, _| Box::pin(moves::set_state(call, ChangeState::Paused))),
        Description {
            id: "pause_moves",
            path: "/admin/v1/moves/{change}:pause",
            summary: "Lets a change rest where it is",
            ..CHANGE_PATH
        },
    ),
    writes(
        Handler::Service(|call, _| Box::pin(moves::set_state(call, ChangeState::Running))),
        Description {
            id: "resume_moves",
            path: "/admin/v1/moves/{change}:resume",
            summary: "Lets a change go on that was paused",
            ..CHANGE_PATH
        },
    ),
    writes(
        Handler::Service(|call, _| Box::pin(moves::set_state(call, ChangeState::Cancelled))),
        Description {
            id: "cancel_moves",
            path: "/admin/v1/moves/{change}:cancel",
            summary: "Begins nothing more of a change, and ends what was begun",
            ..CHANGE_PATH
        },
    ),
    writes(
        Handler::Service(|call, body| Box::pin(moves::throttle(call, body))),
        Description {
            id: "throttle_moves",
            path: "/admin/v1/moves/{change}:throttle",
            summary: "Lets a change go on faster, or slower",
            body: RequestBody::Required(&[(JSON, "MoveLimitsBody")]),
            ..CHANGE_PATH
        },
    ),
    shows(
        Handler::Service(|call, _| Box::pin(admin::list_events(call))),
        Description {
            id: "list_events",
            path: "/admin/v1/events",
            summary: "Reads the journal of decisions, oldest first",
            parameters: &[
                optional("after", "Start after the event with this id; from the oldest if absent.")
                    .of("EventId"),
                optional("limit", "Maximum number of events.").of("Limit"),
            ],
            headers: ADMIN_HEADERS,
            answers: &[found("Events.", &[(JSON, "EventsAnswer"), (NDJSON, "EventAnswer")])],
            ..PLAIN
        },
    ),
    shows(
        Handler::Service(|call, _| Box::pin(admin::get_cluster(call))),
        Description {
            id: "get_cluster",
            path: "/admin/v1/cluster",
            summary: "Shows nodes and partitions in one answer",
            answers: &[found("The cluster.", &[(JSON, "ClusterAnswer")])],
            ..PLAIN
        },
    ),
    shows(
        Handler::Service(|_, _| at_once(Ok(operations::landing()))),
        Description {
            id: "landing",
            path: "/",
            summary: "Links to the entry points",
            answers: &[found("Links.", &[(JSON, "Any")])],
            ..PLAIN
        },
    ),
    shows(
        Handler::Service(|call, _| at_once(Ok(operations::healthz(call)))),
        Description {
            id: "healthz",
            path: "/healthz",
            summary: "Liveness: the process is up",
            answers: &[found("Alive.", &[(JSON, "Any")])],
            ..PLAIN
        },
    ),
    shows(
        Handler::Service(|call, _| Box::pin(operations::readyz(call))),
        Description {
            id: "readyz",
            path: "/readyz",
            summary: "Readiness: every partition has a leader",
            answers: &[found("Ready.", &[(JSON, "Any")])],
            ..PLAIN
        },
    ),
    shows(
        Handler::Service(|call, _| Box::pin(operations::metrics(call))),
        Description {
            id: "metrics",
            path: "/metrics",
            summary: "Metrics for Prometheus",
            answers: &[found("Metrics.", &[(TEXT, "Text")])],
            ..PLAIN
        },
    ),
    shows(
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
