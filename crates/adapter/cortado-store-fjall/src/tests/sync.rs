//! A disk that fails to sync: the caller of a sync is told, so the disk was really asked; and what
//! is in the store counts for nothing from then on.

use super::{HOME, batch, open};
use crate::{FjallStore, OpenError, Settings};
use cortado_store::{Store, StoreError};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Set for the process whose disk fails: the directory of its store.
const CHILD: &str = "CORTADO_STORE_SYNC_TEST_DIRECTORY";
/// Set for that process, too: the file that makes its disk fail, once it is there.
const FAILS: &str = "CORTADO_STORE_SYNC_TEST_FAILS";
const TEST: &str = "tests::sync::a_sync_that_fails_is_told";

/// Stands before the C library's function of this name, which the standard library calls.
const FDATASYNC: &str = r#"
#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
int fdatasync(int file) {
    if (access(getenv("CORTADO_STORE_SYNC_TEST_FAILS"), F_OK) == 0) {
        errno = EIO;
        return -1;
    }
    return (int) syscall(SYS_fdatasync, file);
}
"#;

#[test]
fn a_sync_that_fails_is_told() {
    if let Ok(directory) = std::env::var(CHILD) {
        let fails = std::env::var(FAILS).unwrap();
        return check_told(Path::new(&directory), Path::new(&fails));
    }
    let directory = tempfile::tempdir().unwrap();
    let (source, library) = (directory.path().join("sync.c"), directory.path().join("sync.so"));
    fs::write(&source, FDATASYNC).unwrap();
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-o"]).args([&library, &source]);
    assert!(compiler.status().unwrap().success());
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", TEST, "--nocapture"])
        .env("LD_PRELOAD", library)
        .env(CHILD, directory.path().join("store"))
        .env(FAILS, directory.path().join("fails"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stderr);
    assert!(child.status.success(), "{said}");
}

fn check_told(directory: &Path, fails: &Path) {
    let store = open(directory);
    store.apply_one(HOME, batch(1, 100)).unwrap();
    assert_eq!(store.sync(), Ok(()));
    fs::write(fails, "").unwrap();
    let synced = store.sync();
    assert!(matches!(synced, Err(StoreError::Failed { .. })), "{synced:?}");
    // The disk is well again, and what it has lost is lost.
    fs::remove_file(fails).unwrap();
    let refused = store.apply_one(HOME, batch(2, 100));
    assert_eq!(refused, synced);
    assert!(store.sync().is_err());
    drop(store);
    check_marked(directory);
    check_noticed_beside(&directory.join("beside"), fails);
}

/// No one has asked for a sync: the store itself makes its log durable as it grows.
fn check_noticed_beside(directory: &Path, fails: &Path) {
    let store = open(directory);
    fs::write(fails, "").unwrap();
    let refused =
        (1..10_000).find_map(|number| store.apply_one(HOME, batch(number, 1 << 16)).err());
    let why = refused.map(|error| error.to_string()).unwrap_or_default();
    assert!(why.contains("not taken what was to be made durable"), "{why}");
    drop(store);
    fs::remove_file(fails).unwrap();
    check_marked(directory);
}

fn check_marked(directory: &Path) {
    let opened = FjallStore::open(&Settings::new(directory));
    assert!(matches!(opened, Err(OpenError::Marked { .. })), "it is opened as if it were whole");
}
