//! Declaring databases and tables, and looking at the cluster.
//!
//! Start reading at [`put_database`]; the views are in [`views`].

pub(crate) mod moves;
pub(crate) mod resolving;
mod views;

use crate::answer::{Answer, Content, empty, json};
use crate::body::ReceivedBody;
use crate::call::Call;
use crate::failure::Failure;
use crate::json_body;
use crate::refusal;
use crate::services::NodeControl;
use crate::target::{find_any_database, find_database, find_table};
use bytes::Bytes;
use cortado_document::{SchemaText, TableDefinition};
use cortado_gateway::{Database, DatabaseSpec, Declared, EventsError, JournalPosition};
use cortado_model::NodeId;
use cortado_wire::media::NDJSON;
use cortado_wire::{
    Code, DatabaseBody, DatabasesAnswer, EventsAnswer, HandoffBody, NodesAnswer, PartitionsAnswer,
    TableBody, TablesAnswer,
};
use http::{HeaderValue, Response, StatusCode, header};

/// Events of one answer.
const EVENTS_MAX: u64 = 1_000;
const EVENTS_DEFAULT: u64 = 100;

/// Creates a database, or finds that it is so already.
pub(crate) async fn put_database(call: &Call<'_>, body: ReceivedBody) -> Result<Answer, Failure> {
    let asked =
        if body.bytes.is_empty() { DatabaseBody::default() } else { json_body::read(&body)? };
    if asked.slo.is_some() {
        return Err(later("slo"));
    }
    let mut tables = std::collections::BTreeMap::new();
    for (name, table) in asked.tables {
        tables.insert(name, definition(table)?);
    }
    let (partitions, replication, owner) = (asked.partitions, asked.replication, asked.owner);
    let spec = DatabaseSpec { partitions, replication, owner, tables };
    let name = call.captures.database;
    let declared = call.services().create_database(name, spec, call.deadline).await;
    let declared = declared.map_err(|error| refusal::of_admin(error, Code::AlreadyExists))?;
    let (status, database) = status_of(declared);
    Ok(json(status, &views::database(&database)))
}

/// Drops a database.
pub(crate) async fn drop_database(call: &Call<'_>) -> Result<Answer, Failure> {
    let dropped = call.services().drop_database(call.captures.database, call.deadline).await;
    dropped.map_err(|error| refusal::of_admin(error, Code::Conflict))?;
    Ok(empty(StatusCode::NO_CONTENT))
}

/// Creates a table, or gives it a wider schema.
pub(crate) async fn put_table(call: &Call<'_>, body: ReceivedBody) -> Result<Answer, Failure> {
    let definition = definition(json_body::read(&body)?)?;
    let (database, table) = (call.captures.database, call.captures.table);
    let known = find_database(call.catalog, database)?;
    let same_key = known.table(table).is_some_and(|t| t.definition.key() == definition.key());
    let conflict = if same_key { Code::IncompatibleSchema } else { Code::AlreadyExists };
    let declared = call.services().put_table(database, table, definition, call.deadline).await;
    let declared = declared.map_err(|error| refusal::of_admin(error, conflict))?;
    let (status, table) = status_of(declared);
    Ok(json(status, &views::table(&table)))
}

/// Drops a table.
pub(crate) async fn drop_table(call: &Call<'_>) -> Result<Answer, Failure> {
    let (database, table) = (call.captures.database, call.captures.table);
    let dropped = call.services().drop_table(database, table, call.deadline).await;
    dropped.map_err(|error| refusal::of_admin(error, Code::Conflict))?;
    Ok(empty(StatusCode::NO_CONTENT))
}

/// All databases but the system's own.
pub(crate) fn list_databases(call: &Call<'_>) -> Result<Answer, Failure> {
    let databases = call.catalog.databases().filter(|database| !database.is_system());
    let databases = databases.map(|database| views::database(database));
    Ok(json(StatusCode::OK, &DatabasesAnswer { databases: databases.collect() }))
}

/// One database.
pub(crate) fn get_database(call: &Call<'_>) -> Result<Answer, Failure> {
    let database = find_database(call.catalog, call.captures.database)?;
    Ok(json(StatusCode::OK, &views::database(database)))
}

/// The tables of a database.
pub(crate) fn list_tables(call: &Call<'_>) -> Result<Answer, Failure> {
    let database = find_database(call.catalog, call.captures.database)?;
    let tables = database.tables().map(|table| views::table(table));
    Ok(json(StatusCode::OK, &TablesAnswer { tables: tables.collect() }))
}

/// One table.
pub(crate) fn get_table(call: &Call<'_>) -> Result<Answer, Failure> {
    let database = find_database(call.catalog, call.captures.database)?;
    let table = find_table(database, call.captures.table)?;
    Ok(json(StatusCode::OK, &views::table(table)))
}

/// The partitions of a database, with their replicas.
pub(crate) async fn list_partitions(call: &Call<'_>) -> Result<Answer, Failure> {
    let name = call.captures.database;
    find_any_database(call.catalog, name)?;
    let status = call.services().status().await;
    let found = status.databases.iter().find(|database| database.name == name);
    let partitions = found.map(|database| database.partitions.as_slice()).unwrap_or_default();
    let partitions = partitions.iter().map(|one| views::partition(one, call.catalog)).collect();
    Ok(json(StatusCode::OK, &PartitionsAnswer { partitions }))
}

/// Gives the leadership of a partition away.
pub(crate) async fn hand_off(call: &Call<'_>, body: ReceivedBody) -> Result<Answer, Failure> {
    let asked =
        if body.bytes.is_empty() { HandoffBody::default() } else { json_body::read(&body)? };
    let to = match asked.to.as_deref() {
        None => None,
        Some(name) => Some(registered_node(call, name)?),
    };
    let name = call.captures.database;
    let database = find_any_database(call.catalog, name)?;
    let partition = find_partition(call, database)?;
    let services = call.services();
    let handed = services.hand_off(database, partition, to, call.deadline).await;
    handed.map_err(|error| refusal::of_admin(error, Code::Conflict))?;
    let status = services.status().await;
    let found = status.databases.iter().find(|database| database.name == name);
    let found = found.and_then(|database| database.partitions.get(partition as usize));
    match found {
        Some(partition) => Ok(json(StatusCode::OK, &views::partition(partition, call.catalog))),
        // Dropped in this very moment; the handoff was done all the same.
        None => Ok(empty(StatusCode::NO_CONTENT)),
    }
}

/// Forgets where operators have placed the leaderships of a database.
pub(crate) async fn rebalance_database(call: &Call<'_>) -> Result<Answer, Failure> {
    let database = find_any_database(call.catalog, call.captures.database)?;
    let done = call.services().rebalance(Some(database), call.deadline).await;
    done.map_err(|error| refusal::of_admin(error, Code::Conflict))?;
    Ok(empty(StatusCode::NO_CONTENT))
}

/// Forgets where operators have placed any leadership.
pub(crate) async fn rebalance(call: &Call<'_>) -> Result<Answer, Failure> {
    let done = call.services().rebalance(None, call.deadline).await;
    done.map_err(|error| refusal::of_admin(error, Code::Conflict))?;
    Ok(empty(StatusCode::NO_CONTENT))
}

/// A node gives up its leaderships, and gets none.
pub(crate) async fn drain_node(call: &Call<'_>) -> Result<Answer, Failure> {
    let node = registered_node(call, call.captures.item)?;
    let done = call.services().drain_node(node, call.deadline).await;
    done.map_err(|error| refusal::of_admin(error, Code::Conflict))?;
    Ok(empty(StatusCode::NO_CONTENT))
}

/// A drained node may lead again.
pub(crate) async fn resume_node(call: &Call<'_>) -> Result<Answer, Failure> {
    let node = registered_node(call, call.captures.item)?;
    let done = call.services().resume_node(node, call.deadline).await;
    done.map_err(|error| refusal::of_admin(error, Code::Conflict))?;
    Ok(empty(StatusCode::NO_CONTENT))
}

/// All nodes.
pub(crate) async fn list_nodes(call: &Call<'_>) -> Result<Answer, Failure> {
    let status = call.services().status().await;
    let nodes = status.nodes.iter().map(|node| views::node(node, call.catalog)).collect();
    Ok(json(StatusCode::OK, &NodesAnswer { nodes }))
}

/// Development mode: a node dies.
pub(crate) async fn kill_node(call: &Call<'_>) -> Result<Answer, Failure> {
    let (nodes, node) = dev_node(call)?;
    nodes.kill(node).await.map_err(refusal::of_node)?;
    Ok(empty(StatusCode::NO_CONTENT))
}

/// Development mode: a node comes back.
pub(crate) async fn start_node(call: &Call<'_>) -> Result<Answer, Failure> {
    let (nodes, node) = dev_node(call)?;
    nodes.start(node).await.map_err(refusal::of_node)?;
    Ok(empty(StatusCode::NO_CONTENT))
}

/// Another data directory may take over a node's name.
pub(crate) async fn replace_node(call: &Call<'_>) -> Result<Answer, Failure> {
    let node = registered_node(call, call.captures.item)?;
    let replaced = call.services().replace_node(node, call.deadline).await;
    replaced.map_err(|error| refusal::of_admin(error, Code::Conflict))?;
    Ok(empty(StatusCode::NO_CONTENT))
}

/// Which node reads which feature level.
pub(crate) async fn get_upgrade(call: &Call<'_>) -> Result<Answer, Failure> {
    upgrade(call, false).await
}

/// The newest feature level that every node reads is used.
pub(crate) async fn finish_upgrade(call: &Call<'_>) -> Result<Answer, Failure> {
    upgrade(call, true).await
}

async fn upgrade(call: &Call<'_>, finish: bool) -> Result<Answer, Failure> {
    let status = call.services().upgrade(finish, call.deadline).await;
    let status = status.map_err(|error| refusal::of_admin(error, Code::Conflict))?;
    Ok(json(StatusCode::OK, &views::upgrade(&status, &call.services().catalog())))
}

/// The journal.
pub(crate) async fn list_events(call: &Call<'_>) -> Result<Answer, Failure> {
    let limit = call.query.number("limit", 1, EVENTS_MAX)?.unwrap_or(EVENTS_DEFAULT);
    let foreign = || {
        let detail = "the parameter after must be the id of an event of this cluster";
        Failure::new(Code::BadParameter, detail)
    };
    let after = call.query.get("after");
    let after = after.map(|id| JournalPosition::parse(id).ok_or_else(foreign)).transpose()?;
    let events = call.services().events(after.as_ref(), limit as usize, call.deadline).await;
    let events = events.map_err(|error| match error {
        EventsError::Read(error) => call.read_failure(error),
        EventsError::OtherJournal => foreign(),
    })?;
    let events: Vec<_> =
        events.into_iter().map(|event| views::event(event, call.catalog)).collect();
    if call.media_type != NDJSON {
        let next = events.last().map(|event| event.id.clone());
        return Ok(json(StatusCode::OK, &EventsAnswer { events, next }));
    }
    let mut lines = Vec::new();
    for event in &events {
        lines.extend(serde_json::to_vec(event).unwrap_or_default());
        lines.push(b'\n');
    }
    let mut answer = Response::new(Content::Whole(Bytes::from(lines)));
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(NDJSON));
    Ok(answer)
}

/// Everything at once.
pub(crate) async fn get_cluster(call: &Call<'_>) -> Result<Answer, Failure> {
    let services = call.services();
    let (status, ready) = (services.status().await, services.ready().await.map(drop));
    Ok(json(StatusCode::OK, &views::cluster(&status, ready, call.shared.warnings(), call.catalog)))
}

fn definition(table: TableBody) -> Result<TableDefinition, Failure> {
    if !table.indexes.is_empty() {
        return Err(later("indexes"));
    }
    let schema = table.schema.as_ref().map(|schema| SchemaText::parse(schema.as_str().as_bytes()));
    let schema = schema.transpose();
    let schema = schema.map_err(|error| refusal::of_json(error, Code::BodyTooLarge))?;
    let definition = TableDefinition::new(table.key, schema);
    definition.map_err(|error| Failure::new(Code::BadDeclaration, error.to_string()))
}

fn later(member: &'static str) -> Failure {
    let detail = format!("the member {member} is not supported in this version; remove it");
    Failure::new(Code::MemberNotSupported, detail)
}

fn status_of<T>(declared: Declared<T>) -> (StatusCode, T) {
    match declared {
        Declared::Created(it) => (StatusCode::CREATED, it),
        Declared::Existing(it) | Declared::Changed(it) => (StatusCode::OK, it),
    }
}

fn dev_node<'a>(call: &'a Call<'_>) -> Result<(&'a dyn NodeControl, NodeId), Failure> {
    let Some(nodes) = call.shared.dev.as_deref() else {
        let detail = "nodes can be killed and started by request only in development mode";
        return Err(Failure::new(Code::NoSuchRoute, detail));
    };
    let node = NodeId::parse(call.captures.item).ok_or_else(no_such_node)?;
    Ok((nodes, node))
}

fn find_partition(call: &Call<'_>, database: &Database) -> Result<u32, Failure> {
    let partition = call.captures.item.parse().ok().filter(|number| *number < database.partitions);
    partition.ok_or_else(|| {
        let detail = format!("the database has partitions 0 to {}", database.partitions - 1);
        Failure::new(Code::NoSuchPartition, detail)
    })
}

fn registered_node(call: &Call<'_>, name: &str) -> Result<NodeId, Failure> {
    call.catalog.node_named(name).map(|known| known.node).ok_or_else(no_such_node)
}

fn no_such_node() -> Failure {
    Failure::new(Code::NoSuchNode, "GET /admin/v1/nodes lists the nodes")
}
