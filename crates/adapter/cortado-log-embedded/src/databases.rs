//! Which databases have logs here, and how many partitions each.
//!
//! A database exists from its creation on, or since one of its partitions got a record, whichever
//! a process finds. Start reading at [`Databases`].

use cortado_log::LogSpec;
use cortado_model::{DatabaseId, PartitionId};
use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The databases by id. A look takes a read lock that only a creation or a removal contends.
#[derive(Clone, Debug, Default)]
pub(crate) struct Databases {
    by_id: Arc<RwLock<BTreeMap<DatabaseId, Partitions>>>,
}

/// What is known of a database's partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Partitions {
    /// As many as the caller said when it created or verified the database.
    Declared(u32),
    /// At least so many: found when the log was opened.
    Found(u32),
}

impl Databases {
    /// The databases that `partitions` belong to.
    pub(crate) fn found(partitions: impl Iterator<Item = PartitionId>) -> Databases {
        let mut by_id = BTreeMap::new();
        for PartitionId { database, number } in partitions {
            let found = by_id.entry(database).or_insert(Partitions::Found(0));
            *found = Partitions::Found(found.count().max(number + 1));
        }
        Databases { by_id: Arc::new(RwLock::new(by_id)) }
    }

    /// Makes a database unless it exists.
    ///
    /// # Errors
    /// It exists with this other number of partitions.
    pub(crate) fn create(&self, spec: &LogSpec) -> Result<(), u32> {
        let mut by_id = self.write();
        let known = by_id.entry(spec.database).or_insert(Partitions::Found(0));
        known.declare(spec.partitions)
    }

    /// Whether a database exists with as many partitions as the caller believes.
    ///
    /// # Errors
    /// It exists with this other number of partitions.
    pub(crate) fn verify(&self, spec: &LogSpec) -> Result<bool, u32> {
        match self.write().get_mut(&spec.database) {
            Some(known) => known.declare(spec.partitions).map(|()| true),
            None => Ok(false),
        }
    }

    /// Forgets a database; answers how many partitions it may have had.
    pub(crate) fn remove(&self, spec: &LogSpec) -> u32 {
        let removed = self.write().remove(&spec.database);
        removed.map_or(0, |known| known.count().max(spec.partitions))
    }

    /// Whether `partition` belongs to a database that this process has created or verified.
    pub(crate) fn has(&self, partition: PartitionId) -> bool {
        match self.read().get(&partition.database) {
            Some(Partitions::Declared(count)) => partition.number < *count,
            Some(Partitions::Found(_)) | None => false,
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<DatabaseId, Partitions>> {
        self.by_id.read()
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<DatabaseId, Partitions>> {
        self.by_id.write()
    }
}

impl Partitions {
    fn count(self) -> u32 {
        match self {
            Partitions::Declared(count) | Partitions::Found(count) => count,
        }
    }

    fn declare(&mut self, wanted: u32) -> Result<(), u32> {
        let fits = match *self {
            Partitions::Declared(count) => count == wanted,
            Partitions::Found(count) => count <= wanted,
        };
        if !fits {
            return Err(self.count());
        }
        *self = Partitions::Declared(wanted);
        Ok(())
    }
}
