//! The stores of the nodes, and what becomes of a damaged one.
//!
//! A damaged store is set aside, not deleted, where the log or the other stores have all that it
//! held. Where they do not, it is left alone: its node stays down, or does without the partition
//! that is damaged. Start reading at [`Stores::open`]. Source: docs/operations/disk.md, "A damaged
//! store".

use crate::damaged_store::{move_aside, store_error};
use crate::data_directory::store_folder;
use cortado_log::Log;
use cortado_log_embedded::EmbeddedLog;
use cortado_model::{NodeId, with_causes};
use cortado_node::{StoreFactory, folded_in};
use cortado_store::{Store, StoreError};
use cortado_store_fjall::{FjallStore, OpenError, Settings};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use tracing::warn;

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
        self.open_with(&self.settings(node), node)
    }

    fn settings(&self, node: NodeId) -> Settings {
        let directory = store_folder(&self.folder, node);
        Settings { tables_max: self.tables_max, ..Settings::new(directory) }
    }

    fn open_with(&self, settings: &Settings, node: NodeId) -> Result<Arc<dyn Store>, OpenError> {
        let store: Arc<dyn Store> = Arc::new(FjallStore::open(settings)?);
        self.opened.lock().insert(node, Arc::downgrade(&store));
        Ok(store)
    }

    /// Opens the store of `node`, which is the last copy of something, although it is marked: for a
    /// partition that cannot be read, which stays out of service, or for a sync that failed. What
    /// that has lost is not known: the log has it only behind the checkpoint that is found.
    fn open_marked(&self, node: NodeId, kept: &str) -> Result<Arc<dyn Store>, StoreError> {
        let settings = Settings { despite_mark: true, ..self.settings(node) };
        let store = self.open_with(&settings, node).map_err(|error| store_error(&error))?;
        warn!(
            %node,
            reason = kept,
            "damaged store opened, since it may be the last copy: changes may be missing that are \
             older than what the log holds; restore it from a backup"
        );
        Ok(store)
    }

    /// Why the store of `node` must not be set aside: it may hold what nothing else does.
    fn must_stay(&self, node: NodeId) -> Option<Reason> {
        let partitions = match self.count_only_in(node) {
            Ok(0) => return None,
            Ok(1) => "1 partition is".to_owned(),
            Ok(count) => format!("{count} partitions are"),
            Err(unsure) => {
                let text = format!("it is left alone, since {unsure}");
                return Some(match unsure {
                    Unsure::LogOlder { .. } => Reason::Lasts(text),
                    Unsure::Unreadable { .. } => Reason::MayPass(text),
                });
            }
        };
        Some(Reason::Lasts(format!(
            "it is left alone, since {partitions} whole in no other store and the log has \
             forgotten the beginning; restore it from a backup"
        )))
    }

    /// Sets the damaged store of `node` aside.
    ///
    /// # Errors
    /// It cannot be moved.
    fn set_aside(&self, node: NodeId, damage: &OpenError) -> Result<(), StoreError> {
        let error = with_causes(damage);
        let directory = store_folder(&self.folder, node);
        let aside = move_aside(&directory).map_err(|failed| StoreError::Failed {
            why: format!("{error}; it cannot be set aside: {failed}"),
        })?;
        let kept = aside.display();
        warn!(%node, error, %kept, "damaged store set aside; the node builds it anew");
        Ok(())
    }

    /// How many partitions there are whose state neither the log nor another node's store could
    /// give back.
    ///
    /// # Errors
    /// It cannot be known.
    fn count_only_in(&self, node: NodeId) -> Result<usize, Unsure> {
        let mut lost = self.log.trimmed();
        for other in self.nodes().into_iter().filter(|other| *other != node) {
            let running = self.opened.lock().get(&other).and_then(Weak::upgrade);
            let store = match running.map_or_else(|| self.open_as_it_is(other), Ok) {
                Ok(store) => store,
                // A damaged one gives nothing back.
                Err(OpenError::Damaged { .. } | OpenError::Marked { .. }) => continue,
                Err(error) => {
                    let source = store_error(&error);
                    return Err(Unsure::Unreadable { node: other, source });
                }
            };
            let is_beyond = |partition| {
                let end = self.log.local_end(partition);
                // Without an end it is of a database that was dropped.
                end.is_some_and(|end| folded_in(store.as_ref(), partition) > Some(end))
            };
            let held = store.partitions();
            let held = held.map_err(|source| Unsure::Unreadable { node: other, source })?;
            if held.into_iter().any(is_beyond) {
                return Err(Unsure::LogOlder { than: other });
            }
            lost.retain(|(partition, first)| {
                let folded = folded_in(store.as_ref(), *partition);
                folded.is_none_or(|folded| folded < *first)
            });
        }
        Ok(lost.len())
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

/// Why a store must not be set aside, for the operator.
enum Reason {
    /// As long as this process runs.
    Lasts(String),
    /// Until another store can be read, which may have all that this one held.
    MayPass(String),
}

/// Why it cannot be known whether a store is the last copy of something.
#[derive(Debug, thiserror::Error)]
enum Unsure {
    /// And so perhaps older than the store in question, too.
    #[error(
        "the log ends before what the store of {than} has seen of it: restore the log that belongs \
         to the stores"
    )]
    LogOlder { than: NodeId },
    #[error("the store of {node} cannot be read now ({source}): mend that one first")]
    Unreadable { node: NodeId, source: StoreError },
}

impl StoreFactory for Stores {
    fn open(&self, node: NodeId) -> Result<Arc<dyn Store>, StoreError> {
        let damage = match self.open_as_it_is(node) {
            Ok(store) => return Ok(store),
            Err(damage @ (OpenError::Damaged { .. } | OpenError::Marked { .. })) => damage,
            Err(error) => return Err(store_error(&error)),
        };
        if let Some(reason) = self.must_stay(node) {
            let (Reason::Lasts(why) | Reason::MayPass(why)) = &reason;
            let why = format!("{}; {why}", with_causes(&damage));
            return match (damage, reason) {
                (OpenError::Marked { .. }, _) => self.open_marked(node, &why),
                (_, Reason::Lasts(_)) => Err(StoreError::Damaged { why }),
                // So that it is tried again.
                (_, Reason::MayPass(_)) => Err(StoreError::Failed { why }),
            };
        }
        self.set_aside(node, &damage)?;
        self.open_as_it_is(node).map_err(|error| store_error(&error))
    }

    fn look(&self, node: NodeId) -> Result<Arc<dyn Store>, StoreError> {
        self.open_as_it_is(node).map_err(|error| store_error(&error))
    }

    fn spool(&self) -> io::Result<File> {
        tempfile::tempfile_in(&self.folder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use cortado_log::{LogSpec, outcomes_of};
    use cortado_log_embedded::Settings as LogSettings;
    use cortado_model::{
        Batch, ClusterUuid, DatabaseId, LogId, LogOffset, LogPosition, PartitionId, PartitionUuid,
    };
    use cortado_replica::{FoldState, Genesis, PartitionIdentity};
    use std::path::Path;

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

    /// The checkpoint of a replica that has everything below `end`.
    fn folded_below(end: u64) -> Bytes {
        let identity = PartitionIdentity {
            partition: PartitionUuid(7),
            cluster: ClusterUuid(1),
            database: PARTITION.database,
            number: PARTITION.number,
        };
        let genesis = Genesis::new(identity, [NodeId(1)].into_iter().collect());
        let position = LogPosition { offset: LogOffset(end), epoch: 0 };
        let mut fold = FoldState::before(genesis, LogId(6));
        fold.position = position;
        fold.encode()
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

    #[tokio::test]
    async fn a_marked_store_that_is_the_last_copy_is_used() {
        let folder = tempfile::tempdir().unwrap();
        for (forgotten, aside) in [(5, false), (0, true)] {
            let folder = folder.path().join(forgotten.to_string());
            fs::create_dir(&folder).unwrap();
            let log = log(&folder.join("log"), forgotten).await;
            let stores = Stores::new(folder.join("nodes"), 16, log);
            drop(stores.open(NodeId(1)).unwrap());
            let home = folder.join("nodes/n1");
            fs::write(home.join("store/damaged"), "a block").unwrap();
            assert!(stores.look(NodeId(1)).is_err());
            assert!(!home.join("store.damaged-1").exists(), "a look changes nothing");
            drop(stores.open(NodeId(1)).unwrap());
            assert_eq!(home.join("store.damaged-1").exists(), aside);
            assert_eq!(home.join("store/damaged").exists(), !aside);
        }
    }

    #[tokio::test]
    async fn what_another_store_may_have_is_judged_again_when_that_can_be_read() {
        let folder = tempfile::tempdir().unwrap();
        let log = log(&folder.path().join("log"), 0).await;
        let stores = Stores::new(folder.path().join("nodes"), 16, log);
        for node in [NodeId(1), NodeId(2)] {
            drop(stores.open(node).unwrap());
        }
        fs::remove_file(folder.path().join("nodes/n1/store/version")).unwrap();
        let (other, kept) = (folder.path().join("nodes/n2/store"), folder.path().join("kept"));
        fs::rename(&other, &kept).unwrap();
        fs::write(&other, "in its place").unwrap();
        let refused = stores.open(NodeId(1)).map(drop);
        let Err(StoreError::Failed { why }) = refused else { panic!("{refused:?}") };
        assert!(why.contains("the store of n2 cannot be read now"), "{why}");
        assert!(!folder.path().join("nodes/n1/store.damaged-1").exists());
        fs::remove_file(&other).unwrap();
        fs::rename(&kept, &other).unwrap();
        drop(stores.open(NodeId(1)).unwrap());
        assert!(folder.path().join("nodes/n1/store.damaged-1").is_dir());
    }

    #[tokio::test]
    async fn nothing_is_set_aside_where_the_log_is_older_than_a_store() {
        let folder = tempfile::tempdir().unwrap();
        let log = log(&folder.path().join("log"), 0).await;
        let stores = Stores::new(folder.path().join("nodes"), 16, log);
        let other = stores.open(NodeId(2)).unwrap();
        let batch = Batch { checkpoint: folded_below(11), ..Batch::default() };
        other.apply_one(PARTITION, batch).unwrap();
        drop(other);
        drop(stores.open(NodeId(1)).unwrap());
        fs::remove_file(folder.path().join("nodes/n1/store/version")).unwrap();
        let refused = stores.open(NodeId(1)).map(drop);
        let Err(StoreError::Damaged { why }) = refused else { panic!("{refused:?}") };
        assert!(why.contains("the log ends before what the store of n2 has seen"), "{why}");
    }
}
