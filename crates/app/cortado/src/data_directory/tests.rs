//! What a folder may hold for it to be a data directory.

use super::*;

fn open(path: &Path) -> Result<DataDirectory, String> {
    DataDirectory::open(path).map_err(|failure| format!("{failure:?}"))
}

#[track_caller]
fn check_refused(path: &Path, want: &str) {
    let refused = open(path).expect_err("refused");
    assert!(refused.contains(want), "{refused}");
}

#[test]
fn a_new_folder_becomes_a_data_directory() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a").join("b");
    let mut directory = open(&path).unwrap();
    assert!(directory.log().is_dir());
    directory.belongs_to("c1").unwrap();
    drop(directory);
    assert_eq!(
        fs::read_to_string(path.join("CORTADO")).unwrap(),
        "cortado data directory 3\ncluster c1\n"
    );
    fs::write(path.join("log").join("segment"), "x").unwrap();
    check_refused(&path, "the nodes' identities are missing");
    fs::create_dir(path.join("identities")).unwrap();
    let mut again = open(&path).unwrap();
    again.belongs_to("c1").unwrap();
    let other = again.belongs_to("c2").expect_err("another cluster");
    assert!(format!("{other:?}").contains("belongs to cluster c1"));
}

#[test]
fn a_folder_is_used_once_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path()).unwrap();
    check_refused(folder.path(), &format!("in use by process {}", std::process::id()));
    drop(first);
    open(folder.path()).unwrap();
}

#[test]
fn other_peoples_folders_are_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("letter.txt"), "x").unwrap();
    check_refused(folder.path(), "holds other files (letter.txt)");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    check_refused(&folder.path().join("letter.txt"), "is not a directory");
}

#[test]
fn markers_of_other_formats_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let marker = folder.path().join("CORTADO");
    for other in [2, 4] {
        fs::write(&marker, format!("cortado data directory {other}\n")).unwrap();
        check_refused(folder.path(), &format!("format {other}"));
    }
    fs::write(&marker, "something else").unwrap();
    check_refused(folder.path(), "not the marker");
    fs::write(&marker, "cortado data directory 3\nzebra\n").unwrap();
    check_refused(folder.path(), "zebra");
}

#[test]
fn a_missing_log_is_never_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    open(folder.path()).unwrap().belongs_to("c1").unwrap();
    check_refused(folder.path(), "the log is missing");
    fs::remove_dir(folder.path().join("log")).unwrap();
    check_refused(folder.path(), "the log is missing");
}

#[test]
fn an_interrupted_first_start_leaves_nothing_in_the_way() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("LOCK"), "1\n").unwrap();
    fs::write(folder.path().join("CORTADO.tmp"), "cort").unwrap();
    open(folder.path()).unwrap();
    open(folder.path()).unwrap();
}

#[test]
fn a_temporary_directory_goes_away() {
    let directory = DataDirectory::temporary().map_err(|failure| format!("{failure:?}")).unwrap();
    let path = directory.path().to_owned();
    assert!(directory.is_temporary() && path.is_dir());
    drop(directory);
    assert!(!path.exists());
}
