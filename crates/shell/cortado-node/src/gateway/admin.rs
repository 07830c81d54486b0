//! Declarations: databases and tables come, change and go by writes to `_cluster`.
//!
//! Each is one transaction under conditions, tried again when somebody else was faster. Start
//! reading at [`Gateway::create_database`].

use super::read::Wanted;
use super::status::Reports;
use super::{Consistency, Gateway, IdempotencyKey, ReadOptions, WriteError, WriteRequest};
use crate::catalog::{Catalog, Database, Table};
use crate::cluster_log::{
    COUNTERS, CounterDocument, DATABASES, DROPPED, DatabaseDocument, DroppedDocument, TABLES,
    TableDocument, database_counter_key, dropped_key, key, table_key, write,
};
use crate::conditions::{if_absent, if_still};
use crate::database_log::{begin_log, spec_of};
use crate::events::EventKind;
use crate::genesis::genesis_of;
use crate::randomness::random_u128;
use bytes::Bytes;
use cortado_cluster::{Load, plan};
use cortado_document::{
    Action, Condition, Document, Operation, Schema, TableDefinition, compatible,
};
use cortado_model::limits::{DOCUMENT_BYTES_MAX, IDEMPOTENCY_TTL_MS_MAX, PARTITIONS_MAX, is_name};
use cortado_model::{
    DatabaseId, DocumentKey, Etag, NodeId, PartitionId, PartitionUuid, TableId, with_causes,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};
use tracing::info;

/// Partitions of a database that asks for no number.
const PARTITIONS_DEFAULT: u32 = 16;
/// Replicas of a partition where that many nodes are and no number is asked for.
const REPLICATION_DEFAULT: u32 = 3;
/// How often it is looked whether a dropped database is gone.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// What clients are told when a declaration could not be written.
const RETRY_AFTER_MS: u64 = 1_000;

/// What a database should be.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DatabaseSpec {
    /// 1 to 1,024; 16 by default.
    pub partitions: Option<u32>,
    /// 1 to the number of nodes; 3 by default, or as many as there are nodes.
    pub replication: Option<u32>,
    /// Who answers for it.
    pub owner: Option<String>,
    /// Tables to begin with, by name.
    pub tables: BTreeMap<String, TableDefinition>,
}

/// What became of a declaration.
#[derive(Clone, Debug)]
pub enum Declared<T> {
    /// It is new, and can be used at once.
    Created(T),
    /// It was so already.
    Existing(T),
    /// It has changed.
    Changed(T),
}

/// Why a declaration or an order was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdminError {
    /// There is no database of that name.
    #[error("there is no such database")]
    NoSuchDatabase,
    /// There is no table of that name.
    #[error("there is no such table")]
    NoSuchTable,
    /// The partition number is not below the database's partition count.
    #[error("the database has no such partition")]
    NoSuchPartition,
    /// No such node, or it has no replica of the partition, or none that could lead now.
    #[error("no such node can lead the partition now")]
    NoSuchNode,
    /// No node of that name has ever registered.
    #[error("no node of that name has registered")]
    NotRegistered,
    /// The node runs in this process.
    #[error("the node runs; end it first")]
    NodeRuns,
    /// Not of the form `[a-z][a-z0-9_]{0,62}`; or a database of the system, which nobody declares.
    #[error("a name matches [a-z][a-z0-9_]{{0,62}}; those that begin with _ are the system's own")]
    BadName,
    /// The declaration contradicts itself or a limit.
    #[error("{why}")]
    Invalid {
        /// For people.
        why: String,
    },
    /// It exists, and is something else.
    #[error("it exists and differs: {}", .reasons.join("; "))]
    Conflict {
        /// How it differs; at least one.
        reasons: Vec<String>,
    },
    /// Not done, now or later. Try again.
    #[error("not done: {why}")]
    NotDone {
        /// For people.
        why: String,
        /// When to try again.
        retry_after_ms: u64,
    },
    /// Perhaps done: look, or declare it again.
    #[error("outcome unknown: {why}")]
    Unknown {
        /// For people.
        why: String,
    },
}

impl Gateway {
    /// Creates a database and waits until it can be written to.
    ///
    /// # Errors
    /// See [`AdminError`]; another database of that name is a conflict.
    pub async fn create_database(
        &self,
        name: &str,
        spec: DatabaseSpec,
        deadline: Instant,
    ) -> Result<Declared<Arc<Database>>, AdminError> {
        if !is_name(name) || !spec.tables.keys().all(|table| is_name(table)) {
            return Err(AdminError::BadName);
        }
        self.create_named(name, spec, deadline).await
    }

    /// As [`create_database`](Self::create_database), for the system's own names too.
    pub(crate) async fn create_named(
        &self,
        name: &str,
        asked: DatabaseSpec,
        deadline: Instant,
    ) -> Result<Declared<Arc<Database>>, AdminError> {
        loop {
            // Before the catalog: who counts on meanwhile makes this try void.
            let counter = self.etag_of(COUNTERS, &database_counter_key(), deadline).await?;
            let catalog = self.newest_catalog(deadline).await?;
            let spec = complete(asked.clone(), &catalog)?;
            if let Some(existing) = catalog.database(name) {
                let reasons = differences(existing, &spec);
                if !reasons.is_empty() {
                    return Err(AdminError::Conflict { reasons });
                }
                let existing = self.with_log(Arc::clone(existing), deadline).await?;
                return Ok(Declared::Existing(existing));
            }
            let operations = creation(name, &spec, &catalog, counter);
            if self.declare(operations, deadline).await? {
                let catalog = self.newest_catalog(deadline).await?;
                // Dropped again within this moment: there is nothing to show.
                let created = catalog.database(name).ok_or(AdminError::NoSuchDatabase)?;
                let created = self.with_log(Arc::clone(created), deadline).await?;
                self.await_leaders(&created, deadline).await;
                let (partitions, replication) = (created.partitions, created.replication);
                let id = created.id.0;
                info!(database = name, id, partitions, replication, "database created");
                self.explain(format!("created database {name}: {partitions} partitions"));
                return Ok(Declared::Created(created));
            }
        }
    }

    /// Drops a database and everything in it.
    ///
    /// # Errors
    /// See [`AdminError`].
    pub async fn drop_database(&self, name: &str, deadline: Instant) -> Result<(), AdminError> {
        if !is_name(name) {
            return Err(AdminError::BadName);
        }
        loop {
            let (document, etag) = self.current(name, deadline).await?;
            let catalog = self.newest_catalog(deadline).await?;
            let database = catalog.database(name).ok_or(AdminError::NoSuchDatabase)?;
            let dropped = DroppedDocument::of(database);
            let mut operations = vec![
                operation(DATABASES, document, Action::Delete, if_still(etag)),
                put(DROPPED, dropped_key(database.id), write(&dropped), Condition::default()),
            ];
            for table in database.tables_by_id.keys() {
                let document = table_key(database.id, *table);
                operations.push(operation(TABLES, document, Action::Delete, Condition::default()));
            }
            if self.declare(operations, deadline).await? {
                self.newest_catalog(deadline).await?;
                self.await_silence(database, deadline).await;
                info!(database = name, id = database.id.0, "database dropped");
                self.explain(format!("dropped database {name}"));
                return Ok(());
            }
        }
    }

    /// Declares a table: creates it, or gives it a schema that accepts all that the old one did.
    ///
    /// # Errors
    /// See [`AdminError`]; another key or a narrower schema is a conflict.
    pub async fn put_table(
        &self,
        database: &str,
        table: &str,
        definition: TableDefinition,
        deadline: Instant,
    ) -> Result<Declared<Arc<Table>>, AdminError> {
        if !is_name(database) || !is_name(table) {
            return Err(AdminError::BadName);
        }
        check_definition(table, &definition)?;
        loop {
            let place = self.current(database, deadline).await?;
            let catalog = self.newest_catalog(deadline).await?;
            let current = catalog.database(database).ok_or(AdminError::NoSuchDatabase)?;
            let known = current.table(table);
            let document = match known {
                Some(known) if known.definition == definition => {
                    return Ok(Declared::Existing(Arc::clone(known)));
                }
                Some(known) => {
                    check_evolution(known, &definition)?;
                    let version = known.schema_version + 1;
                    TableDocument::new(known.id, table, &definition, version)
                }
                None => {
                    let version = first_version(&definition);
                    TableDocument::new(current.next_table, table, &definition, version)
                }
            };
            let next_table = match known {
                Some(_) => current.next_table,
                None => TableId(current.next_table.0 + 1),
            };
            if self.change_table(place, current, document, next_table, deadline).await? {
                let catalog = self.newest_catalog(deadline).await?;
                let now = catalog.database(database).ok_or(AdminError::NoSuchDatabase)?;
                let now = Arc::clone(now.table(table).ok_or(AdminError::NoSuchTable)?);
                let version = now.schema_version;
                info!(database, table, version, "table declared");
                self.explain(format!("declared table {database}/{table}, schema {version}"));
                return Ok(match known {
                    Some(_) => Declared::Changed(now),
                    None => Declared::Created(now),
                });
            }
        }
    }

    /// Drops a table. Its documents are removed in the background.
    ///
    /// # Errors
    /// See [`AdminError`].
    pub async fn drop_table(
        &self,
        database: &str,
        table: &str,
        deadline: Instant,
    ) -> Result<(), AdminError> {
        if !is_name(database) || !is_name(table) {
            return Err(AdminError::BadName);
        }
        loop {
            let place = self.current(database, deadline).await?;
            let catalog = self.newest_catalog(deadline).await?;
            let current = catalog.database(database).ok_or(AdminError::NoSuchDatabase)?;
            let known = current.table(table).ok_or(AdminError::NoSuchTable)?;
            let version = known.schema_version;
            let mut document = TableDocument::new(known.id, table, &known.definition, version);
            document.dropped = true;
            if self.change_table(place, current, document, current.next_table, deadline).await? {
                self.newest_catalog(deadline).await?;
                info!(database, table, "table dropped");
                self.explain(format!("dropped table {database}/{table}"));
                return Ok(());
            }
        }
    }

    /// The database once its log is made; makes it if nobody has finished that.
    ///
    /// Anybody may: what was done stays, and the first to write down the log's identity wins.
    pub(crate) async fn with_log(
        &self,
        mut database: Arc<Database>,
        deadline: Instant,
    ) -> Result<Arc<Database>, AdminError> {
        while database.log.is_none() {
            let (place, etag) = self.current(&database.name, deadline).await?;
            let catalog = self.newest_catalog(deadline).await?;
            let now = catalog.database(&database.name).filter(|now| now.id == database.id);
            database = Arc::clone(now.ok_or(AdminError::NoSuchDatabase)?);
            if database.log.is_some() {
                break;
            }
            let (spec, cluster) = (spec_of(&database), self.catalog().cluster);
            let genesis = |number| genesis_of(&database, number, cluster);
            let now = self.host().clock.now();
            let begun = begin_log(self.host().log.as_ref(), &spec, genesis, now);
            let log = match timeout_at(deadline, begun).await {
                Ok(Ok(log)) => log,
                Ok(Err(error)) => return Err(not_done(&with_causes(&error))),
                Err(_) => return Err(not_done("the database's log was not made in time")),
            };
            let mut document = DatabaseDocument::of(&database, database.next_table.0);
            document.log = Some(log.to_string());
            let made = vec![put(DATABASES, place, write(&document), if_still(etag))];
            self.declare(made, deadline).await?;
            let catalog = self.newest_catalog(deadline).await?;
            let now = catalog.database(&database.name).filter(|now| now.id == database.id);
            database = Arc::clone(now.ok_or(AdminError::NoSuchDatabase)?);
        }
        Ok(database)
    }

    /// Writes one table, and its database so that two changes of one database never cross.
    ///
    /// * `place`: the database's document, as it was before `database` was looked at.
    async fn change_table(
        &self,
        (place, etag): (DocumentKey, Etag),
        database: &Database,
        table: TableDocument,
        next_table: TableId,
        deadline: Instant,
    ) -> Result<bool, AdminError> {
        let document = DatabaseDocument::of(database, next_table.0);
        let id = TableId(table.id);
        let operations = vec![
            put(DATABASES, place, write(&document), if_still(etag)),
            put(TABLES, table_key(database.id, id), write(&table), Condition::default()),
        ];
        self.declare(operations, deadline).await
    }

    /// Writes a declaration. `false`: the state that it was made for is gone; make it again.
    pub(super) async fn declare(
        &self,
        operations: Vec<Operation>,
        deadline: Instant,
    ) -> Result<bool, AdminError> {
        for operation in &operations {
            if let Action::Put { value } = &operation.action
                && value.as_bytes().len() > DOCUMENT_BYTES_MAX
            {
                let why = format!("a declaration has at most {DOCUMENT_BYTES_MAX} bytes");
                return Err(AdminError::Invalid { why });
            }
        }
        let key = Bytes::copy_from_slice(&random_u128().to_le_bytes());
        let ttl_ms = IDEMPOTENCY_TTL_MS_MAX;
        let idempotency = Some(IdempotencyKey { key, fingerprint: 0, ttl_ms });
        let request = WriteRequest { operations, idempotency, deadline };
        match self.publish(PartitionId::CLUSTER, request).await {
            Ok(written) => {
                self.await_catalog(written.scn, deadline).await?;
                Ok(true)
            }
            Err(WriteError::Refused { .. }) => Ok(false),
            Err(error @ WriteError::Unknown { .. }) => {
                Err(AdminError::Unknown { why: error.to_string() })
            }
            Err(
                error @ (WriteError::Malformed(_)
                | WriteError::KeyReused
                | WriteError::TooLarge { .. }
                | WriteError::NotDone { .. }
                | WriteError::DeadlineBefore
                | WriteError::NoSuchDatabase),
            ) => Err(not_done(&error.to_string())),
        }
    }

    /// The catalog, when it shows everything that was declared before this call.
    pub(crate) async fn newest_catalog(
        &self,
        deadline: Instant,
    ) -> Result<Arc<Catalog>, AdminError> {
        let read = ReadOptions { consistency: Consistency::Strong, at_least: None, deadline };
        let seen = self.read(PartitionId::CLUSTER, &read, Wanted::position()).await;
        let seen = seen.map_err(|error| not_done(&error.to_string()))?;
        self.await_catalog(seen.applied, deadline).await
    }

    async fn await_catalog(
        &self,
        scn: cortado_model::Scn,
        deadline: Instant,
    ) -> Result<Arc<Catalog>, AdminError> {
        let unknown = || AdminError::Unknown { why: "the declaration is not seen here".to_owned() };
        self.host().catalog.reaching(scn, deadline).await.ok_or_else(unknown)
    }

    /// Waits until every partition is served, or until the deadline: it exists either way.
    async fn await_leaders(&self, database: &Database, deadline: Instant) {
        let read = ReadOptions { consistency: Consistency::Strong, at_least: None, deadline };
        for number in 0..database.partitions {
            let partition = database.partition_id(number);
            let _ = self.read(partition, &read, Wanted::position()).await;
        }
    }

    /// Waits until no replica serves the database any more, or until the deadline: it is dropped
    /// either way.
    async fn await_silence(&self, database: &Database, deadline: Instant) {
        while Instant::now() < deadline && self.has_replicas(database.id).await {
            sleep(LOOK_AGAIN).await;
        }
    }

    /// Whether some node says that it still has a replica of the database.
    pub(crate) async fn has_replicas(&self, database: DatabaseId) -> bool {
        let Reports { told, silent } = self.reports(Some(database)).await;
        // Who is there and does not say may have some.
        silent > 0 || told.values().any(|report| !report.replicas.is_empty())
    }

    /// Where the document of a database stands, and which it is. To be asked before the catalog is
    /// looked at: then whoever changes the database meanwhile makes a write under it void.
    async fn current(
        &self,
        database: &str,
        deadline: Instant,
    ) -> Result<(DocumentKey, Etag), AdminError> {
        let place = key(&[database]);
        let etag = self.etag_of(DATABASES, &place, deadline).await?;
        Ok((place, etag.ok_or(AdminError::NoSuchDatabase)?))
    }

    async fn etag_of(
        &self,
        table: TableId,
        key: &DocumentKey,
        deadline: Instant,
    ) -> Result<Option<Etag>, AdminError> {
        let read = ReadOptions { consistency: Consistency::Strong, at_least: None, deadline };
        let found = self.get_in(PartitionId::CLUSTER, table, key, &read).await;
        let found = found.map_err(|error| not_done(&error.to_string()))?;
        Ok(found.value.map(|document| document.head.etag))
    }

    /// Tells the journal of something that was done through `_cluster`.
    pub(super) fn explain_as_controller(&self, kind: EventKind, what: String) {
        let controller = self.host().routes.route(PartitionId::CLUSTER).leader().node;
        let node = controller.unwrap_or(self.host().node());
        self.host().decisions.explain_of(node, kind, what);
    }

    fn explain(&self, what: String) {
        self.explain_as_controller(EventKind::Declaration, what);
    }
}

/// The transaction that creates a database.
///
/// * `counter`: the counter's document, as it was before `catalog` was looked at.
fn creation(
    name: &str,
    spec: &Complete,
    catalog: &Catalog,
    counter: Option<Etag>,
) -> Vec<Operation> {
    let id = catalog.next_database;
    let nodes: Vec<NodeId> = catalog.members().collect();
    let placements = plan(&nodes, spec.partitions, spec.replication, &load_of(catalog));
    let database = Database {
        id,
        name: name.to_owned(),
        uuid: PartitionUuid(random_u128()),
        partitions: spec.partitions,
        replication: spec.replication,
        log: None,
        owner: spec.owner.clone(),
        next_table: TableId(1),
        tables: BTreeMap::new(),
        tables_by_id: BTreeMap::new(),
        placements: placements.iter().map(|placement| placement.nodes().to_vec()).collect(),
    };
    // At most 1,000 operations of 1 body: far below the last table id.
    let next_table = 1 + spec.tables.len() as u32;
    let document = DatabaseDocument::of(&database, next_table);
    let next = CounterDocument::new(id.0 + 1);
    let counted = counter.map_or_else(if_absent, if_still);
    let mut operations = vec![
        put(COUNTERS, database_counter_key(), write(&next), counted),
        put(DATABASES, key(&[name]), write(&document), if_absent()),
    ];
    for ((table, definition), number) in spec.tables.iter().zip(1..) {
        let version = first_version(definition);
        let document = TableDocument::new(TableId(number), table, definition, version);
        let place = table_key(id, TableId(number));
        operations.push(put(TABLES, place, write(&document), if_absent()));
    }
    operations
}

/// Fills in defaults and checks what can be checked without a look at other databases.
fn complete(spec: DatabaseSpec, catalog: &Catalog) -> Result<Complete, AdminError> {
    let invalid = |why: String| Err(AdminError::Invalid { why });
    // A cluster has far fewer nodes than numbers for them.
    let nodes = catalog.members().count() as u32;
    let partitions = spec.partitions.unwrap_or(PARTITIONS_DEFAULT);
    let replication = spec.replication.unwrap_or(REPLICATION_DEFAULT.min(nodes));
    if !(1..=PARTITIONS_MAX).contains(&partitions) {
        return invalid(format!("a database has 1 to {PARTITIONS_MAX} partitions"));
    }
    if !(1..=nodes).contains(&replication) {
        return invalid(format!("there are {nodes} nodes: a partition has 1 to {nodes} replicas"));
    }
    for (name, definition) in &spec.tables {
        check_definition(name, definition)?;
    }
    Ok(Complete { partitions, replication, owner: spec.owner, tables: spec.tables })
}

/// A spec without gaps.
struct Complete {
    partitions: u32,
    replication: u32,
    owner: Option<String>,
    tables: BTreeMap<String, TableDefinition>,
}

/// How an existing database differs from what is asked for. Further tables are no difference.
fn differences(database: &Database, spec: &Complete) -> Vec<String> {
    let mut reasons = Vec::new();
    if database.partitions != spec.partitions {
        reasons.push(format!("it has {} partitions", database.partitions));
    }
    if database.replication != spec.replication {
        reasons.push(format!("its replication is {}", database.replication));
    }
    if database.owner != spec.owner {
        reasons.push("it has another owner".to_owned());
    }
    for (name, definition) in &spec.tables {
        match database.table(name) {
            Some(table) if table.definition == *definition => {}
            Some(_) => reasons.push(format!("its table {name} is declared otherwise")),
            None => reasons.push(format!("it has no table {name}")),
        }
    }
    reasons
}

fn check_definition(name: &str, definition: &TableDefinition) -> Result<(), AdminError> {
    match definition.schema().map(Schema::compile) {
        Some(Err(error)) => Err(AdminError::Invalid { why: format!("table {name}: {error}") }),
        Some(Ok(_)) | None => Ok(()),
    }
}

fn check_evolution(known: &Table, definition: &TableDefinition) -> Result<(), AdminError> {
    if known.definition.key() != definition.key() {
        let reasons = vec![format!("its key is {}", known.definition.key().join(", "))];
        return Err(AdminError::Conflict { reasons });
    }
    compatible(known.definition.schema(), definition.schema()).map_err(|reasons| {
        AdminError::Conflict { reasons: reasons.iter().map(ToString::to_string).collect() }
    })
}

fn first_version(definition: &TableDefinition) -> u32 {
    u32::from(definition.schema().is_some())
}

/// What every node carries for the databases there are. What the system keeps for itself weighs
/// nothing beside them.
fn load_of(catalog: &Catalog) -> BTreeMap<NodeId, Load> {
    let mut load: BTreeMap<NodeId, Load> = BTreeMap::new();
    let databases = catalog.databases().filter(|database| !database.is_system());
    for nodes in databases.flat_map(|database| &database.placements) {
        for (rank, node) in nodes.iter().enumerate() {
            let load = load.entry(*node).or_default();
            load.replicas += 1;
            load.leaders += u32::from(rank == 0);
        }
    }
    load
}

fn put(table: TableId, key: DocumentKey, value: Document, condition: Condition) -> Operation {
    operation(table, key, Action::Put { value }, condition)
}

fn operation(table: TableId, key: DocumentKey, action: Action, condition: Condition) -> Operation {
    Operation { table, key, action, condition }
}

pub(super) fn not_done(why: &str) -> AdminError {
    AdminError::NotDone { why: why.to_owned(), retry_after_ms: RETRY_AFTER_MS }
}
