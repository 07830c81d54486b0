//! `cortado cluster demo`: it loses nothing and leaves nothing behind, however it ends.
//!
//! Skipped, with a reason, where there are no brokers to be had.

#![allow(clippy::unwrap_used, reason = "a failed step of a story is a failed test")]

use crate::harness::BOUND;
use crate::harness::ran::{Ran, binary};
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Between two looks at a condition: processes and brokers share this machine.
const LOOK: Duration = Duration::from_millis(50);

/// Whether there can be brokers here; says why if there cannot.
fn has_java() -> bool {
    let must_run = std::env::var("CI").is_ok_and(|value| value == "true" || value == "1");
    let has_java = Command::new("java").arg("-version").output().is_ok();
    assert!(has_java || !must_run, "java is not installed");
    if !has_java {
        // Not `eprintln!`, which is shown of tests that fail only.
        let _ = writeln!(io::stderr(), "skipped: there is no java here for brokers");
    }
    has_java
}

/// Whether a process runs that has `folder` on its command line.
fn runs_in(folder: &Path) -> bool {
    let folder = folder.to_str().unwrap();
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let line = |process: &Path| fs::read(process.join("cmdline")).unwrap_or_default();
    let is_ours = |path: &Path| String::from_utf8_lossy(&line(path)).contains(folder);
    processes.map(|process| process.path()).any(|path| !is_me(&path) && is_ours(&path))
}

fn is_me(process: &Path) -> bool {
    process.ends_with(std::process::id().to_string())
}

fn demo(folder: &Path) -> Command {
    let mut command = binary();
    // So that a broker that is slow, beside other tests, is not taken for dead.
    command.args(["cluster", "demo", "--kafka-defaults", "--dir"]).arg(folder);
    command
}

#[test]
fn nodes_and_a_broker_die_and_nothing_is_lost() {
    if !has_java() {
        return;
    }
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("site");
    let said = Ran::of(demo(&folder), "").done();
    for act in [
        "$ cortado cluster init",
        "is killed without a shutdown",
        "broker 2 is killed (SIGKILL)",
        "failover, led by others",
        "death of a broker",
        "nothing is lost, nothing happened twice",
    ] {
        assert!(said.contains(act), "no {act:?} in:\n{said}");
    }
    assert!(!folder.exists() && !runs_in(&folder), "{said}");
}

#[test]
fn an_interrupted_or_killed_demonstration_leaves_no_process() {
    if !has_java() {
        return;
    }
    for signal in ["-INT", "-KILL"] {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("site");
        let mut process = demo(&folder).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let process = process.as_mut().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        // Brokers, nodes and router run.
        let is_up = lines.by_ref().map_while(Result::ok).any(|line| line.contains("--role router"));
        assert!(is_up && runs_in(&folder));
        let pid = process.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
        let rest: Vec<_> = lines.map_while(Result::ok).collect();
        let status = process.wait().unwrap();
        if signal == "-INT" {
            assert_eq!(status.code(), Some(1), "{rest:?}");
            assert!(folder.join("n1.log").is_file(), "what was said is kept");
        }
        let begun = Instant::now();
        while runs_in(&folder) {
            assert!(begun.elapsed() < BOUND, "{signal} left something behind: {rest:?}");
            thread::park_timeout(LOOK);
        }
    }
}

#[test]
fn a_folder_that_is_there_is_refused_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    Ran::of(demo(folder.path()), "").refused(2, &["cannot make", "--dir takes a folder"]);
    assert!(folder.path().is_dir());
}
