//! Transcripts: several replicas, one log, and a hand that decides what the log does.
//!
//! Each file of `testdata/` is a story. `CORTADO_BLESS=1` rewrites what the replicas answered;
//! commit only a difference you can explain.

mod pages;
mod story;
mod times;

use story::Story;

#[expect(clippy::disallowed_methods, reason = "a test reads and rewrites its transcript")]
#[track_caller]
fn check(name: &str) {
    let path = format!("{}/testdata/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    let written = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
    let told = Story::tell(&written);
    if std::env::var_os("CORTADO_BLESS").is_some() {
        std::fs::write(&path, told).unwrap();
    } else {
        assert_eq!(told, written, "{name}: set CORTADO_BLESS=1 to accept what happens now");
    }
}

#[test]
fn two_claimants() {
    check("two-claimants");
}

#[test]
fn a_zombie() {
    check("zombie");
}

#[test]
fn a_duplicate_after_a_republish() {
    check("republish");
}

#[test]
fn failures_that_follow_one_another() {
    check("back-off");
}

#[test]
fn a_gap_and_its_healing() {
    check("gap");
}

#[test]
fn a_handoff() {
    check("handoff");
}

#[test]
fn a_restart() {
    check("restart");
}

#[test]
fn generations_and_sequences_end() {
    check("overflow");
}

#[test]
fn a_lease() {
    check("lease");
}

#[test]
fn the_edges_of_leases() {
    check("lease-edges");
}

#[test]
fn a_read_across_leaders() {
    check("read-across-leaders");
}

#[test]
fn an_acknowledged_record_behind_a_gap() {
    check("acknowledged-gap");
}

#[test]
fn a_log_that_refuses_or_breaks() {
    check("refusal");
}

#[test]
fn reads_and_refusals_wait() {
    check("reads");
}

#[test]
fn a_broken_log() {
    check("broken");
}

#[test]
fn offsets_that_never_held_a_record() {
    check("proven-gap");
}

#[test]
fn strangers_in_the_log() {
    check("foreign");
}

#[test]
fn records_of_a_newer_build() {
    check("needs-upgrade");
    check("newer-kind");
}

#[test]
fn a_record_that_one_replica_has_lost() {
    check("lost-record");
}

#[test]
fn a_leader_without_what_was_committed() {
    check("disputed");
}

#[test]
fn a_leader_that_most_dispute_is_replaced_unless_it_has_served() {
    check("outvoted");
}

#[test]
fn who_is_behind_a_quiet_leader_copies_it_once() {
    check("quiet");
}

#[test]
fn a_claimant_that_compares_before_it_opens() {
    check("comparison");
}

#[test]
fn a_replica_that_was_taken_out() {
    check("replica-set");
}

#[test]
fn a_lease_length_that_changes() {
    check("lease-change");
}

#[test]
fn trims_of_this_log_and_of_others() {
    check("trims");
}

#[test]
fn records_that_are_read_before_they_are_acknowledged() {
    check("read-ahead");
}
