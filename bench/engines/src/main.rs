//! Measures storage engines on Cortado's access pattern, interleaved, and prints the medians.
//!
//! Every measurement runs in a child process of its own, so that a kill is a kill and no engine
//! inherits another's memory. Start reading at [`measure`]; README.md says how to run it.

mod engine;
mod engines;
mod kind;
mod run;
mod table;
mod workload;

use kind::{ENGINES, Kind};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use table::{Results, median_table};
use workload::Size;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["child", phase, engine, directory, documents] => {
            let kind = Kind::parse(engine).expect("the parent names an engine");
            let size = Size::parse(documents).expect("the parent writes a number");
            run::phase(phase, kind, Path::new(directory), size);
        }
        [documents, repeats, directory] => {
            let size = Size::parse(documents);
            match (size, repeats.parse()) {
                (Some(size), Ok(repeats)) => compare(size, repeats, Path::new(directory)),
                (_, _) => usage(),
            }
        }
        _ => usage(),
    }
}

fn usage() {
    eprintln!(
        "usage: engines DOCUMENTS REPEATS DIRECTORY, such as: engines 1000000 3 /tmp/engines"
    );
    std::process::exit(2);
}

/// Runs every engine `repeats` times, in turns, so that noise of the machine meets all of them.
fn compare(size: Size, repeats: usize, directory: &Path) {
    let mut results = Results::default();
    for repeat in 1..=repeats {
        for kind in ENGINES {
            eprintln!("run {repeat} of {repeats}: {}", kind.name());
            measure(kind, size, &directory.join(kind.name()), &mut results);
        }
        println!("after {repeat} of {repeats}\n\n{}", median_table(&results));
    }
}

/// One engine through all phases, on a new directory.
fn measure(kind: Kind, size: Size, directory: &Path, results: &mut Results) {
    let _ = std::fs::remove_dir_all(directory);
    std::fs::create_dir_all(directory).expect("the directory can be made");
    for phase in ["load", "reopen"] {
        let mut child = child(phase, kind, directory, size);
        read_facts(&mut child, kind, results);
        assert!(child.wait().expect("the child ends").success(), "{phase} of {}", kind.name());
    }
    results.add(kind, "disk_mb", run::disk_bytes(directory) as f64 / 1e6);

    // It reports when it has written enough, and writes on until it is killed.
    let mut child = self::child("kill", kind, directory, size);
    read_facts(&mut child, kind, results);
    child.kill().expect("the child still runs");
    child.wait().expect("a killed child ends");
    let mut child = self::child("after_kill", kind, directory, size);
    read_facts(&mut child, kind, results);
    assert!(child.wait().expect("the child ends").success(), "after the kill of {}", kind.name());
    std::fs::remove_dir_all(directory).expect("the directory can be removed");
}

fn child(phase: &str, kind: Kind, directory: &Path, size: Size) -> Child {
    Command::new(std::env::current_exe().expect("this program has a path"))
        .args(["child", phase, kind.name()])
        .arg(directory)
        .arg(size.documents.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this program runs")
}

/// Reads lines `name value` until one says `end`.
fn read_facts(child: &mut Child, kind: Kind, results: &mut Results) {
    let output = child.stdout.take().expect("it is piped");
    for line in BufReader::new(output).lines() {
        let line = line.expect("facts are text");
        match line.split_once(' ') {
            Some((name, value)) => {
                results.add(kind, name, value.parse().expect("a fact has a number"));
            }
            None => return,
        }
    }
}
