//! Stories of several nodes, told as transcripts: `testdata/*.txt`.
//!
//! Each block is a command, a line of dashes, and what it printed. Rewrite the answers with
//! `CORTADO_BLESS=1 cargo test -p cortado-cluster --test transcripts`, and commit only a diff that
//! you can explain. The commands are those of [`world::World::command`].

#[path = "transcripts/world.rs"]
mod world;

use std::path::{Path, PathBuf};
use world::World;

/// Runs one transcript and compares it with itself.
#[track_caller]
fn check(name: &str) {
    let path = path(name);
    let written = std::fs::read_to_string(&path).expect("the transcript can be read");
    let run = replay(&written);
    if std::env::var_os("CORTADO_BLESS").is_some() {
        bless(&path, &run);
    } else {
        assert_eq!(run, written, "{name} tells another story, see CORTADO_BLESS");
    }
}

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name)
}

#[expect(clippy::disallowed_methods, reason = "a test rewrites its own expectations")]
fn bless(path: &Path, text: &str) {
    std::fs::write(path, text).expect("the transcript can be written");
}

/// The transcript with every answer as it is now. Comments before the first block stay.
fn replay(written: &str) -> String {
    let mut world = None;
    let mut blocks = Vec::new();
    for block in written.trim_end().split("\n\n") {
        let comments: Vec<_> = block.lines().take_while(|line| line.starts_with('#')).collect();
        let command = block.lines().nth(comments.len());
        let mut lines: Vec<String> = comments.into_iter().map(str::to_owned).collect();
        if let Some(command) = command {
            lines.push(command.to_owned());
            lines.push("----".to_owned());
            let world = world.get_or_insert_with(World::new);
            lines.extend(world.command(command));
        }
        blocks.push(lines.join("\n"));
    }
    blocks.join("\n\n") + "\n"
}

#[test]
fn a_node_dies() {
    check("node_dies.txt");
}

#[test]
fn a_sick_node_watches_a_death() {
    check("sick_observer.txt");
}

#[test]
fn a_paused_leader_comes_back() {
    check("paused_leader.txt");
}

#[test]
fn a_node_crashes_again_and_again() {
    check("crash_loop.txt");
}

#[test]
fn a_process_restarts_before_any_node_notices() {
    check("restart.txt");
}

#[test]
fn the_preferred_leader_returns() {
    check("preferred_returns.txt");
}

#[test]
fn a_handoff_by_an_operator_stays() {
    check("pinned.txt");
}

#[test]
fn a_drained_node_leads_nothing_until_it_is_resumed() {
    check("drained.txt");
}

#[test]
fn the_preferred_leader_is_sick() {
    check("preferred_sick.txt");
}

#[test]
fn the_preferred_leader_claims_nothing() {
    check("preferred_stuck.txt");
}

#[test]
fn a_drained_leader_and_a_sick_node_exchange_nothing() {
    check("drained_sick.txt");
}

#[test]
fn the_beats_are_silent_for_all_nodes() {
    check("beats_silent.txt");
}

#[test]
fn the_log_stalls_for_all_nodes() {
    check("log_stalls.txt");
}
