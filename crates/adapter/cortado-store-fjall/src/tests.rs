//! The suite of the port, and what only this implementation promises.

mod damage;
mod kill;
mod starts;
#[cfg(target_os = "linux")]
mod sync;

use super::*;
use crate::space::FreeSpace;
use cortado_model::{
    DatabaseId, DocumentHead, EntryRange, Etag, Generation, Scn, Sequence, WallMillis,
};
use cortado_store::conformance::Subject;
use fjall::AbstractTree;
use std::cell::RefCell;
use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;

struct OneDirectory {
    directory: TempDir,
    store: Option<FjallStore>,
    /// What `after_crash` opened.
    crashed: RefCell<Vec<TempDir>>,
}

impl OneDirectory {
    fn new() -> OneDirectory {
        let directory = tempfile::tempdir().unwrap();
        let store = Some(open(directory.path()));
        OneDirectory { directory, store, crashed: RefCell::default() }
    }
}

impl Subject for OneDirectory {
    fn store(&self) -> &dyn Store {
        self.store.as_ref().unwrap()
    }

    fn reopen(&mut self) {
        drop(self.store.take());
        self.store = Some(open(self.directory.path()));
    }

    fn after_crash(&self) -> Option<Box<dyn Store>> {
        let crashed = tempfile::tempdir().unwrap();
        copy(self.directory.path(), crashed.path());
        let store = open(crashed.path());
        self.crashed.borrow_mut().push(crashed);
        Some(Box::new(store))
    }
}

cortado_store::conformance!(OneDirectory::new());

fn open(directory: &Path) -> FjallStore {
    FjallStore::open(&Settings::new(directory)).unwrap()
}

/// Copies a store as it is on the disk now, while nothing is written to it.
fn copy(from: &Path, to: &Path) {
    for found in fs::read_dir(from).unwrap() {
        let path = found.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            fs::create_dir(&target).unwrap();
            copy(&path, &target);
        } else {
            fs::write(&target, used(&path)).unwrap();
            let target = fs::File::options().write(true).open(&target).unwrap();
            target.set_len(fs::metadata(&path).unwrap().len()).unwrap();
        }
    }
}

/// What was written to a file: the engine's log is made with a length of 64 MiB, mostly a hole.
fn used(path: &Path) -> Vec<u8> {
    let file = fs::File::open(path).unwrap();
    let written_max = file.metadata().unwrap().blocks() * 512;
    let mut bytes = Vec::new();
    file.take(written_max).read_to_end(&mut bytes).unwrap();
    let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    bytes.truncate(used);
    bytes
}

const HOME: PartitionId = PartitionId { database: DatabaseId(1), number: 1 };
const TABLE: TableId = TableId(1);

fn scn(sequence: u64) -> Scn {
    Scn::new(Generation(1), Sequence(sequence))
}

fn key(number: u64) -> DocumentKey {
    DocumentKey::from_parts(&[format!("{number:06}")]).unwrap()
}

fn document(sequence: u64, value_bytes: usize) -> StoredDocument {
    let fill = b'a' + (sequence % 26) as u8;
    let head = DocumentHead {
        schema_version: 1,
        etag: Etag(sequence),
        scn: scn(sequence),
        time: WallMillis(sequence),
        expires: None,
    };
    StoredDocument::new(head, &vec![fill; value_bytes])
}

/// Batch `sequence` writes one document of its own and one that all write.
fn batch(sequence: u64, value_bytes: usize) -> Batch {
    let document = document(sequence, value_bytes);
    let own = (TABLE, key(sequence), Some(document.clone()));
    let common = (TABLE, key(0), Some(document));
    let checkpoint = Bytes::from(sequence.to_string());
    Batch { documents: vec![own, common], checkpoint, ..Batch::default() }
}

#[test]
fn usage_tells_files_and_memory_beside_their_limits() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let before = store.usage();
    assert!(before.disk_bytes.unwrap() < 64 << 20, "holes are not counted: {before:?}");
    assert_eq!(before.cache.limit_bytes, 64 << 20);
    assert_eq!(before.memtables.limit_bytes, 160 << 20);
    for sequence in 1..=4 {
        store.apply_one(HOME, batch(sequence, 1 << 20)).unwrap();
    }
    store.sync().unwrap();
    let after = store.usage();
    // Two documents of 1 MiB in each batch.
    assert!(after.memtables.used_bytes >= before.memtables.used_bytes + (8 << 20), "{after:?}");
    // Less than that, since the engine compresses.
    assert!(after.disk_bytes > before.disk_bytes, "{after:?}");
    assert!(after.cache.used_bytes <= after.cache.limit_bytes, "{after:?}");
}

/// Checks that HOME is as batch k of [`batch`] left it, and answers k; 0 if it is empty.
///
/// # Errors
/// What a read brings: it is then no wrong answer.
fn kept(store: &FjallStore, value_bytes: usize) -> Result<u64, StoreError> {
    kept_of(store, HOME, value_bytes)
}

/// [`kept`], of any partition.
fn kept_of(
    store: &FjallStore,
    partition: PartitionId,
    value_bytes: usize,
) -> Result<u64, StoreError> {
    let view = store.view(partition)?;
    let found: Vec<_> =
        view.documents(&EntryRange::documents(TABLE, &[])).collect::<Result<_, _>>()?;
    let Some(checkpoint) = view.checkpoint()? else {
        assert_eq!(found, []);
        return Ok(0);
    };
    let kept = std::str::from_utf8(&checkpoint).unwrap().parse().unwrap();
    let own = (1..=kept).map(|sequence| (key(sequence), document(sequence, value_bytes)));
    let common = (key(0), document(kept, value_bytes));
    assert_eq!(found, std::iter::once(common).chain(own).collect::<Vec<_>>());
    Ok(kept)
}

#[test]
fn dropping_the_store_frees_the_directory_at_once() {
    let directory = tempfile::tempdir().unwrap();
    for sequence in 1..=20 {
        let store = open(directory.path());
        assert_eq!(kept(&store, 100), Ok(sequence - 1));
        store.apply_one(HOME, batch(sequence, 100)).unwrap();
    }
}

#[test]
fn a_deleted_directory_opens_empty() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("node/store");
    let store = open(&directory);
    store.apply_one(HOME, batch(1, 100)).unwrap();
    drop(store);
    fs::remove_dir_all(&directory).unwrap();
    assert_eq!(open(&directory).partitions(), Ok(vec![]));
}

#[test]
fn partitions_lie_in_order_of_their_ids() {
    let ids = [(0, 0), (0, 1), (0, 256), (1, 0), (1, u32::MAX), (256, 0), (u32::MAX, u32::MAX)];
    let ids = ids.map(|(db, number)| PartitionId { database: DatabaseId(db), number });
    let prefixes = ids.map(layout::prefix);
    assert!(prefixes.is_sorted());
    for (id, prefix) in ids.into_iter().zip(prefixes) {
        assert_eq!(layout::partition_of(&[&prefix[..], b"rest"].concat()), Some(id));
    }
    assert_eq!(layout::partition_of(b"short"), None);
}

#[test]
fn a_remove_that_a_crash_interrupted_is_finished_at_the_next_start() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let other = PartitionId { number: 2, ..HOME };
    for sequence in 1..=50 {
        store.apply_one(HOME, batch(sequence, 100)).unwrap();
        store.apply_one(other, batch(sequence, 100)).unwrap();
    }
    // As `remove` leaves it after its first step.
    let mut portions = Portions::new(&store.engine);
    portions.remove(EntryKey::Checkpoint.behind(&layout::prefix(other))).unwrap();
    portions.finish().unwrap();
    assert_eq!(
        store.engine.partitions().unwrap(),
        [(HOME, Content::Whole), (other, Content::Leftovers)]
    );
    drop(store);
    let store = open(directory.path());
    assert_eq!(store.engine.partitions().unwrap(), [(HOME, Content::Whole)]);
    assert_eq!(kept(&store, 100), Ok(50));
}

#[test]
fn a_full_disk_stops_writes_before_the_engine_fails() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = open(directory.path());
    store.apply_one(HOME, batch(1, 100)).unwrap();
    store.engine.space = FreeSpace::always_low(directory.path());
    let full = |result| assert!(matches!(result, Err(StoreError::Full { .. })), "{result:?}");
    full(store.apply_one(HOME, batch(2, 100)));
    full(store.install(HOME, &mut std::iter::empty(), Bytes::new()));
    assert_eq!(store.partitions(), Ok(vec![]));
    // There is space again, and nothing has to be opened anew.
    store.engine.space = FreeSpace::new(directory.path());
    store.apply_one(HOME, batch(1, 100)).unwrap();
    assert_eq!(kept(&store, 100), Ok(1));
}

#[test]
fn a_full_store_takes_what_removes_and_what_is_of_the_cluster() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = open(directory.path());
    store.apply_one(HOME, batch(1, 100)).unwrap();
    store.engine.space = FreeSpace::always_low(directory.path());
    let removing = Batch { documents: vec![(TABLE, key(1), None)], ..batch(2, 100) };
    store.apply_one(HOME, removing).unwrap();
    assert_eq!(store.get(HOME, TABLE, &key(1)), Ok(None));
    store.apply_one(PartitionId::CLUSTER, batch(1, 100)).unwrap();
    // What no write waits for can wait.
    let claim = Batch { checkpoint: Bytes::from_static(b"2"), ..Batch::default() };
    assert!(matches!(store.apply_one(HOME, claim), Err(StoreError::Full { .. })));
    assert!(matches!(store.check_space(), Err(StoreError::Full { .. })));
}

/// The engine's own way to flush ends in a deadlock with one worker: see `flusher.rs`.
#[test]
fn full_memtables_become_tables_while_batches_go_on() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let first = Arc::downgrade(&store.engine.entries.tree.active_memtable());
    let is_flushed = |_: &u64| {
        let held = store.engine.entries.tree.active_memtable().size();
        assert!(held < 5 * memtables::MEMTABLE_BYTES_MAX, "{held}: it grows without end");
        store.engine.entries.tree.table_count() >= 2 && first.strong_count() == 0
    };
    let apply = |sequence| store.apply_one(HOME, batch(sequence, 64 << 10)).unwrap();
    let flushed_at = (1..10_000).inspect(|sequence| apply(*sequence)).find(is_flushed);
    let last = flushed_at.expect("1 GB makes two tables, and frees the first memtable");
    assert_eq!(store.get(HOME, TABLE, &key(1)), Ok(Some(document(1, 64 << 10))));
    drop(store);
    assert_eq!(kept(&open(directory.path()), 64 << 10), Ok(last));
}

/// Applies batches until one is refused; answers why.
fn applied_until_refused(store: &FjallStore) -> StoreError {
    let refused =
        (1..10_000).find_map(|sequence| store.apply_one(HOME, batch(sequence, 64 << 10)).err());
    let refused = refused.expect("1 GB is more than memory has room for");
    assert_eq!(store.get(HOME, TABLE, &key(1)), Ok(Some(document(1, 64 << 10))), "reads go on");
    refused
}

#[test]
fn a_store_whose_tables_cannot_be_written_refuses_batches() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    fs::remove_dir_all(directory.path().join("keyspaces")).unwrap();
    let refused = applied_until_refused(&store);
    assert!(matches!(refused, StoreError::Failed { .. }), "{refused:?}");
}

#[test]
fn a_store_whose_flusher_has_ended_refuses_batches() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = open(directory.path());
    store.apply_one(HOME, batch(1, 64 << 10)).unwrap();
    store.engine.flusher.end();
    let why = String::from("the thread that writes its tables has ended");
    assert_eq!(applied_until_refused(&store), StoreError::Failed { why: why.clone() });
    let again = store.remove(HOME);
    assert_eq!(again, Err(StoreError::Failed { why }), "long work waits for room as well");
}

#[test]
fn batches_of_many_threads_stay_whole() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    std::thread::scope(|scope| {
        for number in 0..4 {
            let partition = PartitionId { number, ..HOME };
            let store = &store;
            scope.spawn(move || {
                for sequence in 1..=300 {
                    store.apply_one(partition, batch(sequence, 1_000)).unwrap();
                    // Both documents of the newest batch, or neither.
                    let view = store.view(PartitionId { number: 0, ..HOME }).unwrap();
                    let Some(common) = view.get(TABLE, &key(0)).unwrap() else { continue };
                    let last = common.head.scn.sequence.0;
                    assert_eq!(view.get(TABLE, &key(last)).unwrap(), Some(common));
                    assert_eq!(view.get(TABLE, &key(last + 1)).unwrap(), None);
                }
            });
        }
    });
    assert_eq!(store.partitions().unwrap().len(), 4);
}

/// Batch `sequence` writes one document that all write, then 100 others, then one of its own.
fn wide_batch(sequence: u64) -> Batch {
    let numbers = std::iter::once(0).chain(900_000..900_100).chain([sequence]);
    let documents = numbers.map(|number| (TABLE, key(number), Some(document(sequence, 10))));
    Batch { documents: documents.collect(), checkpoint: Bytes::new(), ..Batch::default() }
}

#[test]
fn a_get_sees_whole_batches() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    const LAST: u64 = 1_000;
    std::thread::scope(|scope| {
        scope.spawn(|| (1..=LAST).for_each(|n| store.apply_one(HOME, wide_batch(n)).unwrap()));
        let get = |number| store.get(HOME, TABLE, &key(number)).unwrap();
        let mut seen = 0;
        while seen < LAST {
            let Some(common) = get(0) else { continue };
            seen = common.head.scn.sequence.0;
            assert_eq!(get(seen), Some(common), "both are of one batch");
        }
    });
}

/// A remove takes the progress away first: what is left then is no beginning of a snapshot.
#[test]
fn a_half_removed_installation_is_not_gone_on_with() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = open(directory.path());
    let mut installer = store.installer(HOME, b"snapshot").unwrap();
    for sequence in 1..400 {
        let key = EntryKey::Bookmark { scn: scn(sequence) }.behind(&[]).into();
        installer.put(Entry { key, value: Bytes::from(vec![7; 1 << 10]) }).unwrap();
    }
    drop(installer);
    for _ in 0..2 {
        assert_eq!(store.engine.partitions().unwrap(), [(HOME, Content::Installing)]);
        assert!(store.installer(HOME, b"snapshot").unwrap().after().is_some());
        drop(store);
        store = open(directory.path());
    }
    // As `remove` leaves it after its first step.
    let mut portions = Portions::new(&store.engine);
    portions.remove(EntryKey::InstallProgress.behind(&layout::prefix(HOME))).unwrap();
    portions.finish().unwrap();
    assert_eq!(store.engine.partitions().unwrap(), [(HOME, Content::Leftovers)]);
    assert_eq!(store.installer(HOME, b"snapshot").unwrap().after(), None);
    drop(store);
    assert_eq!(open(directory.path()).engine.partitions().unwrap(), [(HOME, Content::Installing)]);
}

#[test]
fn a_half_installed_partition_has_no_checkpoint() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let partition = PartitionId { database: DatabaseId(7), number: 0 };
    // More than one portion, so that some entries are visible before the last ones come.
    let bookmarks = (1..400).map(|sequence| {
        assert_eq!(store.view(partition).unwrap().checkpoint().unwrap(), None);
        let scn = Scn::new(Generation(1), Sequence(sequence));
        let key = EntryKey::Bookmark { scn }.behind(&[]).into();
        Ok(Entry { key, value: Bytes::from(vec![7; 1 << 10]) })
    });
    store.install(partition, &mut { bookmarks }, Bytes::from_static(b"state")).unwrap();
    let view = store.view(partition).unwrap();
    assert_eq!(view.checkpoint().unwrap(), Some(Bytes::from_static(b"state")));
    assert_eq!(view.entries(None).count(), 399);
}
