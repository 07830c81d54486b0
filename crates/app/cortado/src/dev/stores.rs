//! The stores of the nodes, and what becomes of a damaged one.
//!
//! A damaged store is set aside, not deleted, where the log or the other stores have all that it
//! held; where they do not, it is left alone and its node stays down. Start reading at
//! [`Stores::open`]. Source: docs/operations/disk.md, "A damaged store".

use crate::data_directory::store_folder;
use cortado_log_embedded::EmbeddedLog;
use cortado_model::{LogOffset, NodeId, PartitionId, with_causes};
use cortado_node::{StoreFactory, folded_in};
use cortado_store::{Store, StoreError};
use cortado_store_fjall::{FjallStore, OpenError, Settings};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tracing::warn;

/// Stores that were set aside and are kept, of each node.
const ASIDE_MAX: u32 = 2;
/// What their names have behind that of the store, before their number.
const ASIDE: &str = ".damaged-";

/// A store for each node, below one folder.
pub(crate) struct Stores {
    folder: PathBuf,
    /// Tables that each may hold open.
    tables_max: usize,
    log: Arc<EmbeddedLog>,
    /// Those that were opened last.
    opened: Mutex<BTreeMap<NodeId, Weak<dyn Store>>>,
}

impl Stores {
    /// Those below `folder`, whose replicas are of `log`.
    pub(crate) fn new(folder: PathBuf, tables_max: usize, log: Arc<EmbeddedLog>) -> Stores {
        Stores { folder, tables_max, log, opened: Mutex::default() }
    }

    fn open_as_it_is(&self, node: NodeId) -> Result<Arc<dyn Store>, OpenError> {
        let directory = store_folder(&self.folder, node);
        let settings = Settings { tables_max: self.tables_max, ..Settings::new(directory) };
        let store: Arc<dyn Store> = Arc::new(FjallStore::open(&settings)?);
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        opened.insert(node, Arc::downgrade(&store));
        Ok(store)
    }

    /// Sets the damaged store of `node` aside.
    ///
    /// # Errors
    /// It may hold what nothing else does: it is left alone.
    fn set_aside(&self, node: NodeId, damage: &OpenError) -> Result<(), StoreError> {
        let error = with_causes(damage);
        let lost = self.only_in(node);
        if !lost.is_empty() {
            let partitions = match lost.len() {
                1 => "1 partition is".to_owned(),
                count => format!("{count} partitions are"),
            };
            let why = format!(
                "{error}; it is left alone, since {partitions} whole in no other store and the log \
                 has forgotten the beginning; restore it from a backup"
            );
            return Err(StoreError::Damaged { why });
        }
        let directory = store_folder(&self.folder, node);
        let aside = move_aside(&directory).map_err(|failed| StoreError::Damaged {
            why: format!("{error}; not moved: {failed}"),
        })?;
        let kept = aside.display();
        warn!(%node, error, %kept, "damaged store set aside; the node builds it anew");
        Ok(())
    }

    /// The partitions whose state neither the log nor another node's store could give back.
    fn only_in(&self, node: NodeId) -> Vec<(PartitionId, LogOffset)> {
        let mut lost = self.log.trimmed();
        for other in self.nodes().into_iter().filter(|other| *other != node) {
            if lost.is_empty() {
                break;
            }
            let opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
            let running = opened.get(&other).and_then(Weak::upgrade);
            drop(opened);
            // One that cannot be looked into gives nothing back.
            let Some(store) = running.or_else(|| self.open_as_it_is(other).ok()) else { continue };
            lost.retain(|(partition, first)| {
                let folded = folded_in(store.as_ref(), *partition);
                folded.is_none_or(|folded| folded < *first)
            });
        }
        lost
    }

    /// The nodes that have a store here.
    fn nodes(&self) -> Vec<NodeId> {
        let Ok(entries) = fs::read_dir(&self.folder) else { return Vec::new() };
        let names = entries.flatten().map(|entry| entry.file_name());
        let number = |name: OsString| name.to_str()?.strip_prefix('n')?.parse().ok();
        let nodes = names.filter_map(|name| number(name).map(NodeId));
        nodes.filter(|node| store_folder(&self.folder, *node).exists()).collect()
    }
}

impl StoreFactory for Stores {
    fn open(&self, node: NodeId) -> Result<Arc<dyn Store>, StoreError> {
        let damage = match self.open_as_it_is(node) {
            Ok(store) => return Ok(store),
            Err(damage @ OpenError::Damaged { .. }) => damage,
            Err(error) => return Err(store_error(&error)),
        };
        self.set_aside(node, &damage)?;
        self.open_as_it_is(node).map_err(|error| store_error(&error))
    }

    fn spool(&self) -> io::Result<File> {
        tempfile::tempfile_in(&self.folder)
    }
}

fn store_error(error: &OpenError) -> StoreError {
    let why = with_causes(error);
    match error {
        OpenError::Damaged { .. } => StoreError::Damaged { why },
        OpenError::InUse { .. } | OpenError::ReadOnly { .. } | OpenError::Failed { .. } => {
            StoreError::Failed { why }
        }
    }
}

/// Gives `directory` a name that no store has, and deletes the oldest of those that had been given
/// one; answers the name.
fn move_aside(directory: &Path) -> io::Result<PathBuf> {
    let parent = directory.parent().ok_or(io::ErrorKind::NotFound)?;
    let named = |number: u32| {
        let mut name = directory.file_name().unwrap_or_default().to_owned();
        name.push(format!("{ASIDE}{number}"));
        parent.join(name)
    };
    let mut numbers = Vec::new();
    for entry in fs::read_dir(parent)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.rsplit_once(ASIDE)?.1.parse().ok());
        numbers.extend(number.filter(|number| parent.join(&name) == named(*number)));
    }
    let next = numbers.iter().max().map_or(1, |last: &u32| last.saturating_add(1));
    fs::rename(directory, named(next))?;
    File::open(parent)?.sync_all()?;
    for number in numbers.into_iter().filter(|number| number + ASIDE_MAX <= next) {
        fs::remove_dir_all(named(number))?;
    }
    Ok(named(next))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use cortado_log::{Log, LogSpec, outcomes_of};
    use cortado_log_embedded::Settings as LogSettings;
    use cortado_model::{DatabaseId, PartitionUuid};

    const PARTITION: PartitionId = PartitionId { database: DatabaseId(1), number: 0 };

    /// A log of ten records of one partition, of which the first are forgotten.
    async fn log(folder: &Path, forgotten: u64) -> Arc<EmbeddedLog> {
        fs::create_dir(folder).unwrap();
        let log = EmbeddedLog::open(LogSettings {
            segment_bytes: LogSettings::SEGMENT_BYTES_MIN,
            ..LogSettings::new(folder)
        });
        let log = log.unwrap();
        let (name, uuid) = ("shop".to_owned(), PartitionUuid(7));
        let spec = LogSpec { database: PARTITION.database, name, uuid, partitions: 1 };
        let id = log.create(&spec).await.unwrap();
        let mut producer = log.producer(PARTITION);
        producer.send(vec![Bytes::from_static(b"record"); 10]);
        outcomes_of(producer.as_mut(), &mut Vec::new()).await;
        log.trim(PARTITION, id, LogOffset(forgotten)).await.unwrap();
        Arc::new(log)
    }

    /// Damages the store of node 1, which is the only one, and opens it.
    async fn opened(folder: &Path, forgotten: u64) -> Result<(), StoreError> {
        let log = log(&folder.join("log"), forgotten).await;
        let stores = Stores::new(folder.join("nodes"), 16, log);
        drop(stores.open(NodeId(1))?);
        fs::remove_file(folder.join("nodes/n1/store/version")).unwrap();
        stores.open(NodeId(1)).map(drop)
    }

    #[tokio::test]
    async fn a_damaged_store_is_set_aside_where_the_log_has_everything() {
        let folder = tempfile::tempdir().unwrap();
        opened(folder.path(), 0).await.unwrap();
        assert!(folder.path().join("nodes/n1/store.damaged-1").is_dir());
        assert!(folder.path().join("nodes/n1/store/version").is_file());
    }

    #[tokio::test]
    async fn the_last_copy_of_what_the_log_has_forgotten_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let refused = opened(folder.path(), 5).await;
        let Err(StoreError::Damaged { why }) = refused else { panic!("{refused:?}") };
        assert!(why.contains("1 partition is whole in no other store"), "{why}");
        let names = fs::read_dir(folder.path().join("nodes/n1")).unwrap();
        let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["store"]);
        assert!(!folder.path().join("nodes/n1/store/version").exists());
    }

    #[test]
    fn the_last_stores_that_were_set_aside_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("store");
        for number in 1..=4 {
            fs::create_dir(&store).unwrap();
            fs::write(store.join("number"), number.to_string()).unwrap();
            let aside = move_aside(&store).unwrap();
            assert!(!store.exists());
            assert_eq!(fs::read_to_string(aside.join("number")).unwrap(), number.to_string());
        }
        let mut left: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["store.damaged-3", "store.damaged-4"]);
    }
}
