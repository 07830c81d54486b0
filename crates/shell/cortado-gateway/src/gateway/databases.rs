//! Databases: created, finished and dropped.
//!
//! Start reading at [`Gateway::create_database`].

use super::admin_error::{AdminError, Obstacle, not_done};
use super::database_spec::{DatabaseSpec, check_room, complete, creation, differences};
use super::declaration::{Declared, operation, put};
use super::read::Wanted;
use super::{Consistency, Gateway, ReadOptions};
use crate::catalog::{Catalog, Database};
use crate::cluster_log::{
    COUNTERS, DATABASES, DROPPED, DatabaseDocument, DroppedDocument, TABLES, database_counter_key,
    dropped_key, table_key, write,
};
use crate::conditions::if_still;
use crate::database_log::{begin_log, spec_of};
use crate::former::{generation_counter_key, remember};
use crate::genesis::genesis_of;
use crate::moves::{MOVES, TARGETS, move_key, targets_key};
use crate::pins::{PINS, pins_key};
use cortado_cluster::ChangeId;
use cortado_document::{Condition, DocumentAction};
use cortado_log::{Extent, LogSpec};
use cortado_model::limits::{OPERATIONS_MAX, is_name};
use cortado_model::{DatabaseId, Generation, LogOffset, LogPosition, PartitionId, with_causes};
use cortado_replica::Frame;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};
use tracing::{info, warn};

/// How often it is looked whether a dropped database is gone.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Generations by which the partitions of a database may go on after it was asked for the last
/// one, until its last node has learned that it is dropped. Claims of one partition that lead to
/// anything follow one another in hundreds of milliseconds, so these last for tens of seconds; and
/// with 2^23 of them, a name can be used 80,000 times.
const LATE_GENERATIONS: u32 = 100;
/// The last records of a log say who led last; the very last may be a zombie's.
const LAST_RECORDS: u64 = 16;
/// How much of them is read at a time.
const LAST_RECORDS_PAGE_BYTES: usize = 1 << 20;

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
            // Before the catalog: a client that raises it meanwhile makes this try void.
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
            check_room(&spec, &catalog)?;
            let (id, operations) =
                (catalog.next_database, creation(name, &spec, &catalog, counter));
            if let Some(catalog) = self.declare(operations, deadline).await? {
                // Dropped again within this moment: there is nothing to show.
                let created = catalog.database_by_id(id).ok_or(AdminError::NoSuchDatabase)?;
                let created = self.with_log(Arc::clone(created), deadline).await?;
                self.await_leaders(&created, deadline).await;
                let (partitions, replication) = (created.partitions, created.replication);
                let database_id = created.id.0;
                info!(database = name, database_id, partitions, replication, "database created");
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
            let counter = self.etag_of(COUNTERS, &generation_counter_key(), deadline).await?;
            let catalog = self.newest_catalog(deadline).await?;
            let database = catalog.database(name).ok_or(AdminError::NoSuchDatabase)?;
            let dropped = DroppedDocument::of(database);
            let delete = |table, document| {
                operation(table, document, DocumentAction::Delete, Condition::default())
            };
            let mut operations = vec![
                operation(DATABASES, document, DocumentAction::Delete, if_still(etag)),
                put(DROPPED, dropped_key(database.id), write(&dropped), Condition::default()),
            ];
            if catalog.pins.contains_key(&database.id) {
                operations.push(delete(PINS, pins_key(database.id)));
            }
            let moving = catalog.moves.keys().filter(|moving| moving.database == database.id);
            operations.extend(moving.map(|partition| delete(MOVES, move_key(*partition))));
            let targets = catalog.targets.iter();
            let targets = targets.filter(|(partition, _)| partition.database == database.id);
            let targets: BTreeSet<ChangeId> = targets.map(|(_, (change, _))| *change).collect();
            let targets = targets.into_iter().map(|change| targets_key(change, database.id));
            operations.extend(targets.map(|targets| delete(TARGETS, targets)));
            let last = self.last_generation(database, deadline).await;
            operations.extend(remember(name, last, &catalog, counter));
            // The rest means nothing without its database; the controller removes it.
            let room = OPERATIONS_MAX - operations.len();
            let tables = database.tables_by_id.keys().take(room);
            operations.extend(tables.map(|table| delete(TABLES, table_key(database.id, *table))));
            if self.declare(operations, deadline).await?.is_some() {
                self.await_silence(database.id, deadline).await;
                info!(database = name, database_id = database.id.0, "database dropped");
                self.explain(format!("dropped database {name}"));
                return Ok(());
            }
        }
    }

    /// A generation that no partition of the database will have passed when its last replica is
    /// gone: the highest that is known here, at a node that answers, or by the end of a log, and
    /// [`LATE_GENERATIONS`] more.
    async fn last_generation(&self, database: &Database, deadline: Instant) -> Generation {
        let reports = self.reports(Some(database.id)).await;
        let replicas = reports.told.values().flat_map(|report| &report.replicas);
        let mut told: BTreeMap<PartitionId, Generation> = BTreeMap::new();
        for replica in replicas {
            let generation = told.entry(replica.progress.partition).or_default();
            *generation = replica.progress.leader.generation.max(*generation);
        }
        let routes = &self.cluster().routes;
        let mut last = told.values().copied().fold(database.after, Generation::max);
        for partition in (0..database.partitions).map(|number| database.partition_id(number)) {
            last = last.max(routes.route(partition).leader().generation);
            if !told.contains_key(&partition) {
                let logged = timeout_at(deadline, self.logged_generation(partition)).await;
                last = last.max(logged.ok().flatten().unwrap_or_default());
            }
        }
        Generation(last.0.saturating_add(LATE_GENERATIONS).min(Generation::MAX.0))
    }

    /// The highest generation among the last records of a partition, of which no node tells;
    /// `None` if its log cannot be read.
    async fn logged_generation(&self, partition: PartitionId) -> Option<Generation> {
        let log = self.parts().log.as_ref();
        let Extent { first, end, epoch, .. } = log.extents(&[partition]).await.ok()?.pop()?;
        let offset = LogOffset(end.0.saturating_sub(LAST_RECORDS)).max(first);
        let mut from = LogPosition { offset, epoch };
        let mut last = None;
        while from.offset < end {
            let page = log.read(partition, from, LAST_RECORDS_PAGE_BYTES).await.ok()?;
            let frames =
                page.entries.iter().filter_map(|entry| Frame::read_any(&entry.record).ok());
            last = frames.map(|frame| frame.header.scn.generation).max().max(last);
            if page.next.offset <= from.offset {
                break;
            }
            from = page.next;
        }
        last
    }

    /// The database once its log is made; makes the log unless that is done.
    ///
    /// Several nodes may do so at once: what was done stays, and the first to write down the log's
    /// identity wins.
    ///
    /// # Errors
    /// See [`AdminError`]. The database is declared: it was dropped, or the outcome is unknown.
    pub(crate) async fn with_log(
        &self,
        database: Arc<Database>,
        deadline: Instant,
    ) -> Result<Arc<Database>, AdminError> {
        if database.log.is_some() {
            return Ok(database);
        }
        let made = self.make_log(&database, deadline).await;
        if let Err(AdminError::NoSuchDatabase) = &made {
            self.remove_late_log(&spec_of(&database)).await;
        }
        made.map_err(AdminError::behind_a_declaration)
    }

    async fn make_log(
        &self,
        declared: &Database,
        deadline: Instant,
    ) -> Result<Arc<Database>, AdminError> {
        let in_catalog = |catalog: &Catalog| {
            let database = catalog.database_by_id(declared.id).map(Arc::clone);
            database.ok_or(AdminError::NoSuchDatabase)
        };
        loop {
            let (place, etag) = self.current(&declared.name, deadline).await?;
            let database = in_catalog(&*self.newest_catalog(deadline).await?)?;
            if database.log.is_some() {
                return Ok(database);
            }
            let (spec, cluster) = (spec_of(&database), self.catalog().founding());
            let genesis = |number| genesis_of(&database, number, cluster);
            let now = (self.parts().wall_clock)();
            let begun = begin_log(self.parts().log.as_ref(), &spec, genesis, now);
            let log = match timeout_at(deadline, begun).await {
                Ok(begun) => begun.map_err(not_done)?,
                Err(_) => return Err(not_done(Obstacle::LogLate)),
            };
            let mut document = DatabaseDocument::of(&database, database.next_table.0);
            document.log = Some(log.to_string());
            let made = vec![put(DATABASES, place, write(&document), if_still(etag))];
            if let Some(catalog) = self.declare(made, deadline).await? {
                return in_catalog(&catalog);
            }
        }
    }

    /// Removes the log that has perhaps been made of a database that was dropped meanwhile: the
    /// controller, which looks once, may have been there before.
    async fn remove_late_log(&self, spec: &LogSpec) {
        // As long as a replica uses the log, or may, the controller has yet to come.
        let reports = self.reports(Some(spec.database)).await;
        if reports.silent.is_empty() && !reports.tell_of(spec.database) {
            self.remove_log(spec).await;
        }
    }

    /// Removes the log of a dropped database; answers whether that was done.
    pub(crate) async fn remove_log(&self, spec: &LogSpec) -> bool {
        let (database_id, partitions) = (spec.database.0, spec.partitions);
        match self.parts().log.remove(spec).await {
            Ok(()) => {
                info!(database_id, partitions, "log of a dropped database removed");
                true
            }
            Err(error) => {
                let error = with_causes(&error);
                warn!(database_id, error, "log of a dropped database not removed");
                false
            }
        }
    }

    /// Waits until every partition is served, or until the deadline: it exists either way.
    async fn await_leaders(&self, database: &Database, deadline: Instant) {
        let read = ReadOptions { consistency: Consistency::Strong, at_least: None, deadline };
        for number in 0..database.partitions {
            let partition = database.partition_id(number);
            let _ = self.read(partition, &read, Wanted::position()).await;
        }
    }

    /// Waits until no node says any more that it has a replica of the database, or until the
    /// deadline: it is dropped either way, and a node that hangs may never say anything.
    pub(super) async fn await_silence(&self, database: DatabaseId, deadline: Instant) {
        while Instant::now() < deadline && self.reports(Some(database)).await.tell_of(database) {
            sleep(LOOK_AGAIN).await;
        }
    }
}
