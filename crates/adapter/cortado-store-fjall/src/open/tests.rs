//! What stands in the way of opening, and what does not.

use super::*;
use crate::FjallStore;
use cortado_model::{Batch, DatabaseId, PartitionId};
use cortado_store::Store;

const HOME: PartitionId = PartitionId { database: DatabaseId(1), number: 1 };

fn open(directory: &Path) -> Result<FjallStore, OpenError> {
    FjallStore::open(&Settings::new(directory))
}

#[test]
fn a_store_is_open_once() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).unwrap();
    store.apply_one(HOME, Batch::default()).unwrap();
    let second = open(directory.path()).err();
    assert!(matches!(second, Some(OpenError::InUse { .. })), "{second:?}");
    // It is still whole, and a view holds the directory as the store does.
    let view = store.view(HOME).unwrap();
    drop(store);
    assert!(matches!(open(directory.path()).err(), Some(OpenError::InUse { .. })));
    assert!(view.checkpoint().unwrap().is_some());
    drop(view);
    assert_eq!(open(directory.path()).unwrap().partitions(), Ok(vec![HOME]));
}

#[test]
fn a_file_in_the_place_of_the_directory_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    fs::write(&path, "not a directory").unwrap();
    let failed = |found: Result<FjallStore, OpenError>| {
        let error = found.err().unwrap();
        assert!(matches!(error, OpenError::Failed { .. }), "{error}");
        assert!(error.to_string().contains("file"), "{error}");
    };
    failed(open(&path));
    failed(open(&path.join("below")));
}

/// An engine that dies at any step of making a new store leaves something that opens.
#[test]
fn a_store_that_was_never_whole_is_made_anew() {
    let steps: [fn(&Path); 6] = [
        |_| {},
        |dir| fs::write(dir.join("lock"), "").unwrap(),
        |dir| fs::create_dir(dir.join("keyspaces")).unwrap(),
        |dir| fs::write(dir.join("0.jnl"), vec![0; 4_096]).unwrap(),
        |dir| fs::write(dir.join("version"), "").unwrap(),
        |dir| fs::write(dir.join("version"), "FJ").unwrap(),
    ];
    for done in 0..steps.len() {
        let directory = tempfile::tempdir().unwrap();
        steps[..=done].iter().for_each(|step| step(directory.path()));
        let store = open(directory.path()).unwrap();
        store.apply_one(HOME, Batch::default()).unwrap();
        drop(store);
        assert_eq!(open(directory.path()).unwrap().partitions(), Ok(vec![HOME]));
    }
}

/// The same with the files that the engine itself makes after its version: each tree may be there,
/// not there, or empty.
#[test]
fn a_store_without_its_trees_is_made_anew() {
    for lost in ["keyspaces/0", "keyspaces/1", "keyspaces/1/current"] {
        let directory = tempfile::tempdir().unwrap();
        drop(open(directory.path()).unwrap());
        let path = directory.path().join(lost);
        if path.is_dir() {
            fs::remove_dir_all(path).unwrap()
        } else {
            fs::remove_file(path).unwrap()
        }
        let store = open(directory.path()).unwrap();
        store.apply_one(HOME, Batch::default()).unwrap();
        assert_eq!(store.partitions(), Ok(vec![HOME]), "{lost}");
    }
}

#[test]
fn tables_without_a_version_are_damage() {
    let directory = tempfile::tempdir().unwrap();
    drop(open(directory.path()).unwrap());
    fs::remove_file(directory.path().join("version")).unwrap();
    let error = open(directory.path()).err().unwrap();
    assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
    // Nothing was changed.
    assert!(directory.path().join("keyspaces").join("0").exists());
}

#[test]
fn errors_of_the_system_say_what_to_do() {
    let of = |kind: io::ErrorKind| OpenError::of_system(Path::new("/data"), kind.into());
    for kind in [io::ErrorKind::PermissionDenied, io::ErrorKind::ReadOnlyFilesystem] {
        let error = of(kind);
        assert!(matches!(error, OpenError::ReadOnly { .. }));
        let want = "the store in /data is not writable; change permissions or mount";
        assert_eq!(error.to_string(), want);
    }
    assert!(matches!(of(io::ErrorKind::StorageFull), OpenError::Failed { .. }));
}

/// Only where bytes are wrong may a store be set aside.
#[test]
fn what_the_system_lacks_is_no_damage() {
    let of = |error| OpenError::of_engine(Path::new("/data"), fjall::Error::Io(error));
    // EIO, EAGAIN, ENOMEM, ENFILE, EMFILE, ENOSPC, EINTR
    for code in [5, 11, 12, 23, 24, 28, 4] {
        let error = of(io::Error::from_raw_os_error(code));
        assert!(matches!(error, OpenError::Failed { .. }), "{code}: {error}");
    }
    use io::ErrorKind::{AlreadyExists, InvalidData, InvalidInput, NotFound, UnexpectedEof};
    for kind in [AlreadyExists, InvalidData, InvalidInput, NotFound, UnexpectedEof] {
        let error = of(kind.into());
        assert!(matches!(error, OpenError::Damaged { .. }), "{kind}: {error}");
    }
    let of_panic = |text: &str| OpenError::of_panic(Path::new("/data"), &text.to_owned());
    let no_thread = of_panic("should spawn: Os { code: 11, kind: WouldBlock, message: \"again\" }");
    assert!(matches!(no_thread, OpenError::Failed { .. }), "{no_thread}");
    let poisoned = of_panic("called `Result::unwrap()` on an `Err` value: PoisonError { .. }");
    assert!(matches!(poisoned, OpenError::Failed { .. }), "{poisoned}");
    assert!(matches!(of_panic("range end out of bounds"), OpenError::Damaged { .. }));
}

#[test]
fn a_marked_store_is_named_and_opens_if_it_must() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).unwrap();
    store.apply_one(HOME, Batch::default()).unwrap();
    drop(store);
    condemn(directory.path(), "a block");
    let error = open(directory.path()).err().unwrap();
    assert!(matches!(error, OpenError::Marked { .. }), "{error}");
    assert!(error.to_string().contains("the file damaged in it"), "{error}");
    let despite = Settings { despite_mark: true, ..Settings::new(directory.path()) };
    assert_eq!(FjallStore::open(&despite).unwrap().partitions(), Ok(vec![HOME]));
    assert!(directory.path().join("damaged").exists());
}

#[test]
fn a_link_in_the_place_of_the_mark_is_not_followed() {
    let directory = tempfile::tempdir().unwrap();
    let target = directory.path().join("precious");
    fs::write(&target, "precious").unwrap();
    std::os::unix::fs::symlink(&target, directory.path().join("damaged")).unwrap();
    condemn(directory.path(), "a block");
    assert_eq!(fs::read_to_string(&target).unwrap(), "precious");
}

#[test]
fn a_link_in_the_place_of_the_lock_is_not_followed() {
    let directory = tempfile::tempdir().unwrap();
    let target = directory.path().join("precious");
    std::os::unix::fs::symlink(&target, directory.path().join("lock")).unwrap();
    assert!(open(directory.path()).is_err());
    assert!(!target.exists());
}

#[test]
fn an_error_of_the_system_is_kept_with_its_number() {
    let full = || io::Error::from_raw_os_error(28);
    let of_engine = OpenError::of_engine(Path::new("/data"), fjall::Error::Io(full()));
    for error in [of_engine, OpenError::of_system(Path::new("/data"), full())] {
        let source = error.source().and_then(|source| source.downcast_ref::<io::Error>());
        assert_eq!(source.and_then(io::Error::raw_os_error), Some(28), "{error}");
    }
}
