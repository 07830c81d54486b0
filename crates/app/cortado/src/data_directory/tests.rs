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
fn files_are_their_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data");
    fs::create_dir(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
    let directory = open(&path).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(&directory.log())), (0o700, 0o700));
    assert_eq!((mode(&path.join("LOCK")), mode(&path.join("CORTADO"))), (0o600, 0o600));
}

#[test]
fn planted_links_are_not_followed() {
    use std::os::unix::fs::symlink;
    let folder = tempfile::tempdir().unwrap();
    let (data, target) = (folder.path().join("data"), folder.path().join("precious"));
    let nowhere = folder.path().join("nowhere");
    fs::create_dir(&data).unwrap();
    fs::write(&target, "precious").unwrap();
    for to in [&target, &nowhere] {
        symlink(to, data.join("LOCK")).unwrap();
        check_refused(&data, "it is a symbolic link");
        fs::remove_file(data.join("LOCK")).unwrap();
        symlink(to, data.join("CORTADO.tmp")).unwrap();
        drop(open(&data).unwrap());
        fs::remove_file(data.join("CORTADO")).unwrap();
        // A disk with little room has none.
        let _ = fs::remove_file(data.join("reserve"));
        fs::remove_dir(data.join("log")).unwrap();
        fs::remove_file(data.join("LOCK")).unwrap();
    }
    assert_eq!(fs::read_to_string(&target).unwrap(), "precious");
    assert!(!nowhere.exists());
}

#[test]
fn what_dead_servers_left_is_removed_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let made = |name: &str, files: &[&str]| {
        let path = folder.path().join(name);
        fs::create_dir(&path).unwrap();
        files.iter().for_each(|file| fs::write(path.join(file), "").unwrap());
        path
    };
    let left = made("cortado-left", &["LOCK", "TEMPORARY", "segment"]);
    let live = made("cortado-live", &["LOCK", "TEMPORARY"]);
    let kept = made("cortado-kept", &["LOCK", "CORTADO"]);
    let other = made("other", &["LOCK", "TEMPORARY"]);
    let lock = File::open(live.join("LOCK")).unwrap();
    lock.lock().unwrap();
    abandoned::remove_all(folder.path());
    assert!(!left.exists());
    assert!(live.exists() && kept.exists() && other.exists());
    drop(lock);
    abandoned::remove_all(folder.path());
    assert!(!live.exists() && kept.exists() && other.exists());
}

#[test]
fn a_temporary_directory_that_is_named_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()).unwrap());
    fs::write(folder.path().join("TEMPORARY"), "").unwrap();
    drop(open(folder.path()).unwrap());
    assert!(!folder.path().join("TEMPORARY").exists());
}

#[test]
fn a_temporary_directory_goes_away() {
    let directory = DataDirectory::temporary().map_err(|failure| format!("{failure:?}")).unwrap();
    let path = directory.path().to_owned();
    assert!(directory.is_temporary() && path.join("TEMPORARY").is_file());
    drop(directory);
    assert!(!path.exists());
}
