//! `cortado top`: one picture as text, and a live one that outlasts its servers.

#![allow(clippy::unwrap_used, reason = "a failed step of a story is a failed test")]

use crate::harness::ran::{Ran, binary};
use crate::harness::{BOUND, Server};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::Value;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

fn shop() -> (Server, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    server.create_table("shop", "item", &["id"]);
    (server, folder)
}

#[test]
fn one_picture_is_text_and_the_worst_comes_first() {
    let (server, _folder) = shop();
    // One of the servers is not there: the other one answers.
    let urls = format!("http://127.0.0.1:1,{}", server.url());
    let once =
        |more: &[&str]| Ran::alone(&[&["top", "--once", "--url", &urls], more].concat()).done();
    let text = once(&[]);
    assert!(text.starts_with("cortado ") && text.contains("3 of 3 nodes alive"), "{text}");
    for part in ["\nNODE ", "\nDATABASE ", "\nshop ", "\nPARTITION ", "tx/s"] {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
    assert!(!text.contains('\u{1b}'), "{text}");
    let answer: Value = serde_json::from_str(&once(&["--output", "json"])).unwrap();
    assert_eq!(answer["cluster"]["nodes"].as_array().unwrap().len(), 3, "{answer}");
    assert!(answer["transactions_per_second"]["shop"].is_number(), "{answer}");

    let killed = server.http().expect("POST", "/admin/v1/nodes/n2:kill", &[], b"");
    assert_eq!(killed.status, 204, "{killed:?}");
    let (text, begun) = (Mutex::new(String::new()), Instant::now());
    let is_told = |text: &str| text.contains("node n2 is dead") && text.contains("n2 silent");
    while !is_told(&text.lock().unwrap()) {
        assert!(begun.elapsed() < BOUND, "{text:?}");
        *text.lock().unwrap() = once(&[]);
    }
    let text = text.into_inner().unwrap();
    assert!(text.contains("2 of 3 nodes alive"), "{text}");
    assert!(text.find("WHAT IS NOT WELL") < text.find("\nNODE "), "{text}");
    assert!(text.find("\nn2 ") < text.find("\nn1 "), "{text}");
    let refused = Ran::alone(&["top", "--url", &urls]);
    refused.refused(2, &["not a terminal", "cortado top --once"]);
}

/// A terminal with a program on it.
struct Terminal {
    process: Child,
    keyboard: File,
    shown: Arc<Mutex<String>>,
}

impl Terminal {
    fn of(arguments: &[&str]) -> Terminal {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let controller = openpt(flags).unwrap();
        grantpt(&controller).and_then(|()| unlockpt(&controller)).unwrap();
        let name = ptsname(&controller, Vec::new()).unwrap();
        let open = || OpenOptions::new().read(true).write(true).open(name.to_str().unwrap());
        let mut command = binary();
        command.args(arguments).stdin(open().unwrap()).stdout(open().unwrap());
        let process = command.stderr(Stdio::null()).spawn().unwrap();
        // The last of its terminals: reading fails when the process has closed its own.
        drop(command);
        let (keyboard, shown) = (File::from(controller), Arc::<Mutex<String>>::default());
        let (mut screen, seen) = (keyboard.try_clone().unwrap(), Arc::clone(&shown));
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(read @ 1..) = screen.read(&mut bytes) {
                seen.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..read]));
            }
        });
        Terminal { process, keyboard, shown }
    }

    fn wait_until(&self, what: &str, condition: impl Fn(&str) -> bool) {
        let begun = Instant::now();
        while !condition(&self.shown.lock().unwrap()) {
            assert!(begun.elapsed() < BOUND, "not {what}: {}", self.shown.lock().unwrap());
            thread::park_timeout(Duration::from_millis(20));
        }
    }
}

#[test]
fn a_live_picture_outlasts_its_servers_and_ends_with_a_key() {
    let (server, _folder) = shop();
    let mut terminal = Terminal::of(&["top", "--url", &server.url()]);
    terminal.wait_until("drawn", |shown| shown.contains("3 of 3 nodes alive"));
    server.kill();
    terminal.wait_until("told", |shown| shown.contains("no server answers for"));
    assert!(terminal.process.try_wait().unwrap().is_none());
    terminal.keyboard.write_all(b"q").unwrap();
    assert_eq!(terminal.process.wait().unwrap().code(), Some(0));
    // The terminal is given back as it was.
    terminal.wait_until("left", |shown| shown.ends_with("\u{1b}[?25h\u{1b}[?1049l"));
}
