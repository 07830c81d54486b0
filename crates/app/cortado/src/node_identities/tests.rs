//! Lives are counted through crashes, and what cannot be read is never begun anew.

use super::*;
use std::fs;

const N1: NodeId = NodeId(1);
const N2: NodeId = NodeId(2);
const ZERO: NodeIncarnation = NodeIncarnation(0);

#[test]
fn every_life_is_higher_than_the_last_and_lives_in_the_same_directory() {
    let folder = tempfile::tempdir().unwrap();
    let open = || NodeIdentities::new(folder.path().join("identities"));
    let first = open().begin_life(N1, ZERO).unwrap();
    assert_eq!(first.incarnation, NodeIncarnation(1));
    let second = open().begin_life(N1, ZERO).unwrap();
    assert_eq!(second, NodeIdentity { incarnation: NodeIncarnation(2), ..first });
    let above = open().begin_life(N1, NodeIncarnation(17)).unwrap();
    assert_eq!(above, NodeIdentity { incarnation: NodeIncarnation(18), ..first });
    let other = open().begin_life(N2, ZERO).unwrap();
    assert_eq!(other.incarnation, NodeIncarnation(1));
    assert_ne!(other.directory, first.directory);
}

#[test]
fn a_crash_while_the_file_is_replaced_leaves_the_last_life() {
    let folder = tempfile::tempdir().unwrap();
    let identities = NodeIdentities::new(folder.path().to_owned());
    identities.begin_life(N1, ZERO).unwrap();
    fs::write(folder.path().join("n1.tmp"), "cortado node ide").unwrap();
    assert_eq!(identities.begin_life(N1, ZERO).unwrap().incarnation, NodeIncarnation(2));
}

/// The stored form never changes: this text is the format.
const GOLDEN: &str = "cortado node identity 2
node n1
directory 000000000000000000000000000000ff
incarnation 17
crc32c 8752d66b
";

#[test]
fn the_stored_form_never_changes() {
    let directory = DirectoryUuid(255);
    let identity = NodeIdentity { directory, incarnation: NodeIncarnation(17) };
    assert_eq!(text(N1, identity), GOLDEN);
    assert_eq!(parse(N1, GOLDEN.as_bytes()), Ok(identity));
}

#[track_caller]
fn check_refused(stored: &str, want: &str) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("n1");
    fs::write(&path, stored).unwrap();
    let identities = NodeIdentities::new(folder.path().to_owned());
    let refused = identities.begin_life(N1, ZERO).expect_err("refused").to_string();
    assert!(refused.contains(want) && refused.contains("cortado node replace n1"), "{refused}");
    assert_eq!(fs::read_to_string(&path).unwrap(), stored, "a refused file must not be touched");
}

#[test]
fn what_is_damaged_is_refused_and_left_alone() {
    check_refused("", "not the identity");
    check_refused("17", "not the identity");
    check_refused(&GOLDEN.replace("identity 2", "identity 3"), "unknown format");
    check_refused(&GOLDEN.replace("node n1", "node n2"), "a different node");
    check_refused(&GOLDEN.replace("incarnation 17", "incarnation 1"), "checksum");
    check_refused(&GOLDEN.replace("00ff", "00fe"), "checksum");
    check_refused(&GOLDEN[..GOLDEN.len() - 1], "checksum");
    check_refused(&format!("{GOLDEN}\n"), "checksum");
    check_refused(&GOLDEN[..40], "not the identity");
    let last = NodeIdentity { directory: DirectoryUuid(1), incarnation: NodeIncarnation(u64::MAX) };
    check_refused(&text(N1, last), "used up");
}

#[test]
fn what_cannot_be_read_is_no_first_life() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("n1")).unwrap();
    let identities = NodeIdentities::new(folder.path().to_owned());
    let refused = identities.begin_life(N1, ZERO).expect_err("refused");
    assert!(matches!(refused, DirectoryError::Failed { .. }), "{refused}");
}
