//! What is left when the medium did not keep what was written.

use super::*;
use std::path::PathBuf;

const VALUE_BYTES: usize = 300;
const BATCHES: u64 = 40;

/// A store of [`BATCHES`] batches, closed. With `flushed`, the first half of them is in a table.
fn filled(flushed: bool) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    for sequence in 1..=BATCHES {
        store.apply_one(HOME, batch(sequence, VALUE_BYTES)).unwrap();
        if flushed && sequence == BATCHES / 2 {
            store.engine.entries.rotate_memtable_and_wait().unwrap();
        }
    }
    drop(store);
    directory
}

fn copied(directory: &TempDir) -> TempDir {
    let copied = tempfile::tempdir().unwrap();
    copy(directory.path(), copied.path());
    copied
}

/// The name of the engine's log.
const LOG: &str = "0.jnl";

/// Every length of the engine's log is a prefix of the batches, and a longer one no shorter prefix.
#[test]
fn a_torn_engine_log_leaves_a_prefix() {
    let whole = filled(false);
    let written = used(&whole.path().join(LOG));
    let mut last = 0;
    for step in 0..=40 {
        let directory = copied(&whole);
        let log = directory.path().join(LOG);
        let log = fs::File::options().write(true).open(log).unwrap();
        log.set_len(written.len() as u64 * step / 40).unwrap();
        if step % 2 == 0 {
            // As a file system may leave it that had made room for more.
            log.set_len(64 << 20).unwrap();
        }
        let store = open(directory.path());
        let kept = kept(&store, VALUE_BYTES).unwrap();
        assert!(last <= kept, "{last} <= {kept}");
        // And it goes on from there, as the node does from its log.
        store.apply_one(HOME, batch(kept + 1, VALUE_BYTES)).unwrap();
        drop(store);
        assert_eq!(super::kept(&open(directory.path()), VALUE_BYTES), Ok(kept + 1));
        last = kept;
    }
    assert_eq!(last, BATCHES);
}

/// Wherever the engine's log is torn, each partition of a call has all of its batch or nothing.
#[test]
fn a_torn_call_leaves_whole_batches() {
    let whole = tempfile::tempdir().unwrap();
    let store = open(whole.path());
    let partitions = [1, 2, 3].map(|number| PartitionId { number, ..HOME });
    for sequence in 1..=8 {
        let batches = partitions.map(|partition| (partition, batch(sequence, VALUE_BYTES)));
        store.apply(batches.to_vec()).unwrap();
    }
    drop(store);
    let written = used(&whole.path().join(LOG)).len() as u64;
    for step in 0..=40 {
        let directory = copied(&whole);
        let log = fs::File::options().write(true).open(directory.path().join(LOG)).unwrap();
        log.set_len(written * step / 40).unwrap();
        let store = open(directory.path());
        for partition in partitions {
            let kept = super::kept_of(&store, partition, VALUE_BYTES).unwrap();
            assert!(step < 40 || kept == 8, "nothing is missing, and {kept} are kept");
        }
    }
}

/// A page that never reached the disk, with later ones that did, cuts the log there or is noticed.
#[test]
fn a_hole_in_the_engine_log_is_a_prefix_or_damage() {
    let whole = filled(true);
    let written = used(&whole.path().join(LOG));
    for page in 0..written.len() / 4_096 {
        let directory = copied(&whole);
        let mut bytes = written.clone();
        bytes[page * 4_096..][..4_096].fill(0);
        fs::write(directory.path().join(LOG), bytes).unwrap();
        match FjallStore::open(&Settings::new(directory.path())) {
            Ok(store) => {
                let kept = kept(&store, VALUE_BYTES).unwrap();
                assert!((BATCHES / 2..BATCHES).contains(&kept), "{kept}");
            }
            Err(error) => assert!(matches!(error, OpenError::Damaged { .. }), "{error}"),
        }
    }
}

/// A changed byte in a table or a list of tables is noticed, at opening or at reading, or was of no
/// importance.
#[test]
fn a_changed_byte_of_a_table_never_becomes_an_answer() {
    let whole = filled(true);
    let mut noticed = 0;
    for name in files(whole.path(), Path::new("")) {
        let used = used(&whole.path().join(&name)).len();
        for step in 0..8.min(used) {
            noticed += u32::from(is_noticed(&whole, &name, used * step / 8));
        }
    }
    assert!(noticed > 10, "{noticed}: are these the files of the store?");
}

/// What cannot be removed cannot be replaced, whatever a peer has to give: the whole store goes,
/// unless the rest of it is nowhere else.
#[test]
fn a_store_whose_damage_cannot_be_removed_is_opened_only_for_what_is_whole() {
    let other = PartitionId { number: HOME.number + 1, ..HOME };
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    // Enough for many blocks.
    (1..=600).for_each(|sequence| store.apply_one(HOME, batch(sequence, VALUE_BYTES)).unwrap());
    store.apply_one(other, batch(1, VALUE_BYTES)).unwrap();
    store.engine.entries.rotate_memtable_and_wait().unwrap();
    drop(store);
    let tables = files(directory.path(), Path::new(""));
    let is_table = |path: &PathBuf| path.parent().is_some_and(|folder| folder.ends_with("tables"));
    let tables = tables.iter().map(|name| directory.path().join(name)).filter(is_table);
    // The engine has small ones of its own.
    let path = tables.max_by_key(|path| fs::metadata(path).unwrap().len());
    let path = path.expect("all of it is in a table");
    let store = open(directory.path());
    // While it is open: what lies in the middle of a table has not been read yet.
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 64].fill(0x5a);
    fs::write(&path, bytes).unwrap();
    let removed = store.remove(HOME);
    assert!(matches!(removed, Err(StoreError::Failed { .. })), "{removed:?}");
    drop(store);
    let again = FjallStore::open(&Settings::new(directory.path())).err();
    assert!(matches!(again, Some(OpenError::Marked { .. })), "{again:?}");
    let despite = Settings { despite_mark: true, ..Settings::new(directory.path()) };
    let store = FjallStore::open(&despite).unwrap();
    assert_eq!(store.partitions(), Ok(vec![other]));
    assert!(matches!(store.remove(HOME), Err(StoreError::Damaged { .. })));
    store.apply_one(other, batch(2, VALUE_BYTES)).unwrap();
}

/// A changed byte of a document in the engine's log cuts that, or is noticed.
///
/// The engine does not check the numbers at the head of its batches: docs/formats/store.md.
#[test]
fn a_changed_document_in_the_engine_log_never_becomes_an_answer() {
    let whole = filled(false);
    let bytes = used(&whole.path().join(LOG));
    for sequence in [1, BATCHES / 2, BATCHES] {
        let value = document(sequence, VALUE_BYTES).json();
        let at = bytes.windows(VALUE_BYTES).position(|window| window == value).unwrap();
        is_noticed(&whole, Path::new(LOG), at + VALUE_BYTES / 2);
    }
}

/// Changes one byte and tells whether the store says so. If not, what it holds must be a prefix.
#[track_caller]
fn is_noticed(whole: &TempDir, name: &Path, at: usize) -> bool {
    let directory = copied(whole);
    let path = directory.path().join(name);
    let mut bytes = used(&path);
    bytes[at] ^= 0x5a;
    fs::write(path, bytes).unwrap();
    match FjallStore::open(&Settings::new(directory.path())) {
        Ok(store) => match kept(&store, VALUE_BYTES) {
            Ok(_) => false,
            Err(error) => {
                assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
                true
            }
        },
        Err(error) => {
            assert!(matches!(error, OpenError::Damaged { .. }), "{name:?} {at}: {error}");
            true
        }
    }
}

/// The files of a store but its log, by their names within it.
fn files(directory: &Path, below: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory.join(below)).unwrap() {
        let entry = entry.unwrap();
        let name = below.join(entry.file_name());
        if entry.path().is_dir() {
            found.extend(files(directory, &name));
        } else if name != Path::new(LOG) {
            found.push(name);
        }
    }
    found.sort();
    found
}
