//! The command line against a server that answers what it likes.
//!
//! Start reading at [`Scripted`].

#![allow(clippy::unwrap_used, reason = "the lint's exception for tests does not see functions")]

use crate::harness::ran::{Ran, binary, on_a_terminal};
use serde_json::json;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// Answers every request by what `answer` makes of its first line, on as many connections as come.
struct Scripted {
    url: String,
    /// The heads of the requests so far.
    heads: Arc<Mutex<Vec<String>>>,
}

impl Scripted {
    fn start(answer: impl Fn(&str) -> (u16, String) + Clone + Send + 'static) -> Scripted {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let heads = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&heads);
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let (answer, seen) = (answer.clone(), Arc::clone(&seen));
                thread::spawn(move || {
                    while let Some(head) = read_request(&mut stream) {
                        let (status, body) = answer(head.lines().next().unwrap());
                        seen.lock().unwrap().push(head);
                        let length = body.len();
                        let text = format!(
                            "HTTP/1.1 {status} x\r\netag: \"a1\"\r\ncortado-scn: 0/1:1\r\n\
                             content-length: {length}\r\n\r\n{body}"
                        );
                        if stream.write_all(text.as_bytes()).is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Scripted { url, heads }
    }

    fn command(&self, arguments: &[&str]) -> std::process::Command {
        command_at(&self.url, arguments)
    }

    /// The heads of the requests that write.
    fn writes(&self) -> Vec<String> {
        let heads = self.heads.lock().unwrap();
        heads.iter().filter(|head| !head.starts_with("GET ")).cloned().collect()
    }
}

fn command_at(url: &str, arguments: &[&str]) -> std::process::Command {
    let mut command = binary();
    command.args(arguments).args(["--url", url]);
    command
}

/// The head of the next request, whose body is read too; `None` when the client has closed.
fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return Some(head.to_owned());
            }
        }
        let mut chunk = [0; 4096];
        let read = stream.read(&mut chunk).ok().filter(|read| *read > 0)?;
        bytes.extend_from_slice(&chunk[..read]);
    }
}

#[test]
fn nothing_that_a_server_says_steers_a_terminal() {
    let bad = "a\u{9b}31m\u{1b}[2J\u{202e}b";
    let server = Scripted::start(move |_| {
        let node = json!({"node": bad, "alive": true, "incarnation": 1, "address": bad,
            "leaderships": 0, "replicas": 0, "sick": bad});
        let event = json!({"id": bad, "time": bad, "node": bad, "kind": bad, "what": bad,
            "evidence": [bad], "by_hand": bad, "undo": bad});
        let body = json!({"version": bad, "ready": true, "nodes": [node], "databases": [],
            "events": [event], "database": bad, "key": [bad], "etag": bad, "scn": "0/1:1"});
        (200, body.to_string())
    });
    for arguments in [
        &["explain"][..],
        &["explain", "--output", "json"],
        &["node", "list"],
        &["node", "list", "--output", "json"],
        &["status"],
        &["top", "--once"],
        &["status", "--output", "json"],
    ] {
        let shown = on_a_terminal(server.command(arguments));
        assert!(shown.contains("\\u009b31m"), "{arguments:?}: {shown}");
        assert!(!shown.contains(|c| "\u{9b}\u{1b}\u{202e}".contains(c)), "{arguments:?}: {shown}");
        let piped = Ran::of(server.command(arguments), "").done();
        assert!(piped.contains('\u{9b}'), "{arguments:?}: {piped}");
    }
}

/// The answers that a partition remembers have a budget, which is that of its other clients, too.
#[test]
fn an_import_has_no_answer_remembered() {
    let table = json!({"name": "thing", "key": ["id"], "schema_version": 0}).to_string();
    let server = Scripted::start(move |line| match line {
        line if line.starts_with("GET ") => (200, table.clone()),
        _ => (200, bulk_answer(&[json!({"status": 201, "key": ["1"], "etag": "a1"})])),
    });
    for act in ["replace", "skip", "fail"] {
        let arguments = ["import", "geo/thing", "-", "--on-duplicate", act];
        let before = server.writes().len();
        Ran::of(server.command(&arguments), "{\"id\":1}\n").done();
        let writes = server.writes().split_off(before);
        assert_eq!(writes.len(), 1);
        assert!(writes[0].starts_with("POST /v1/geo:bulk ") && !writes[0].contains("idempotency"));
    }
}

fn bulk_answer(results: &[serde_json::Value]) -> String {
    json!({ "results": results }).to_string()
}

/// A write without a key that is perhaps done is done again where that does no harm.
#[test]
fn an_import_goes_on_behind_an_unknown_outcome() {
    let table = json!({"name": "thing", "key": ["id"], "schema_version": 0}).to_string();
    let asked = Arc::new(Mutex::new(0));
    let server = Scripted::start(move |line| {
        if line.starts_with("GET ") {
            return (200, table.clone());
        }
        let mut asked = asked.lock().unwrap();
        *asked += 1;
        match *asked {
            1 => {
                let unknown = json!({"type": "t", "title": "t", "status": 503, "detail": "d",
                    "code": "outcome_unknown", "request_id": "r", "outcome": "unknown"});
                (503, unknown.to_string())
            }
            2 => {
                let unknown = json!({"status": 503, "key": ["1"], "detail": "d",
                    "code": "outcome_unknown", "outcome": "unknown"});
                (200, bulk_answer(&[unknown]))
            }
            _ => (200, bulk_answer(&[json!({"status": 200, "key": ["1"], "etag": "a1"})])),
        }
    });
    let said = Ran::of(server.command(&["import", "geo/thing", "-"]), "{\"id\":1}").done();
    assert!(said.contains(": 0 created, 1 replaced, 0 refused"), "{said}");
    assert_eq!(server.writes().len(), 3);
}

/// How far something is that was ordered is looked up afterwards: if that fails, the order stands.
#[test]
fn what_was_ordered_is_not_told_as_undone() {
    let problem = |status: u16, code: &str, outcome: &str| {
        let body = json!({"type": "t", "title": "t", "status": status, "detail": "d",
            "code": code, "request_id": "r", "outcome": outcome});
        (status, body.to_string())
    };
    let partition = json!({"partition": 3, "leader": "n1", "replicas": []});
    let partitions = json!({"partitions": [partition]}).to_string();
    // A handoff of which nobody knows what became.
    let list = partitions.clone();
    let server = Scripted::start(move |line| match line {
        line if line.starts_with("GET ") => (200, list.clone()),
        _ => problem(504, "outcome_unknown", "unknown"),
    });
    let handoff = ["handoff", "geo/3"];
    Ran::of(server.command(&handoff), "").refused(3, &["outcome unknown", "which node leads"]);
    // One that is done, on a server that then has no more to say.
    let looks = Arc::new(Mutex::new(0));
    let done = json!({"partition": 3, "leader": "n2", "pinned": "n2", "replicas": []}).to_string();
    let server = Scripted::start(move |line| {
        if line.starts_with("POST ") {
            return (200, done.clone());
        }
        *looks.lock().unwrap() += 1;
        match *looks.lock().unwrap() {
            1 => (200, partitions.clone()),
            _ => problem(400, "bad_parameter", "none"),
        }
    });
    let said = Ran::of(server.command(&handoff), "").done();
    assert!(said.contains("it is led by n2"), "{said}");
    // A drain that is declared.
    let looks = Arc::new(Mutex::new(0));
    let cluster = json!({"version": "v", "ready": true, "nodes": [], "databases": []}).to_string();
    let server = Scripted::start(move |line| {
        if line.starts_with("POST ") {
            return (204, String::new());
        }
        *looks.lock().unwrap() += 1;
        match *looks.lock().unwrap() {
            1 => (200, cluster.clone()),
            _ => problem(400, "bad_parameter", "none"),
        }
    });
    let drain = ["node", "drain", "n1"];
    Ran::of(server.command(&drain), "").refused(3, &["n1 is drained, but how far that is"]);
}

/// Of several servers one that works is enough, and an error says what each has met.
#[test]
fn several_urls_stand_for_one_cluster() {
    let live = Scripted::start(|_| (200, json!({"databases": []}).to_string()));
    let dead = "http://127.0.0.1:1";
    let urls = format!("{dead},{}", live.url);
    for _ in 0..8 {
        Ran::of(command_at(&urls, &["db", "list"]), "").done();
    }
    let mut command = binary();
    command.args(["db", "list"]).env("CORTADO_URL", &urls);
    Ran::of(command, "").done();
    assert_eq!(live.heads.lock().unwrap().len(), 9);

    let ended = json!({"type": "t", "title": "t", "status": 503, "detail": "the server is ending",
        "code": "shutting_down", "request_id": "r", "outcome": "none"});
    let ending = Scripted::start(move |_| (503, ended.to_string()));
    let urls = format!("{dead},{}", ending.url);
    let dead = format!("cannot connect to {dead}");
    let ended = format!("{} answered: the server is ending", ending.url);
    let ran = Ran::of(command_at(&urls, &["db", "list", "--retry-for", "1"]), "");
    ran.refused(1, &[&dead, &ended]);

    let ran = Ran::of(command_at("http://127.0.0.1:1,", &["db", "list"]), "");
    ran.refused(2, &["an address is missing before or after a comma"]);
}
