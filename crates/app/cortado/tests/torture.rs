//! `kill -9` of the whole process at random moments under load, each followed by a full audit.
//!
//! `CORTADO_TORTURE_CYCLES` says how often, 20 by default; `CORTADO_SEED` repeats a run's moments.

mod harness;
#[path = "harness/history.rs"]
mod history;
#[path = "torture/linearizable.rs"]
mod linearizable;

use harness::http::Http;
use harness::{Random, Server};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

const WRITERS: usize = 8;
/// Entries of one document; then its writer goes on with another.
const ENTRIES_MAX: usize = 100;

/// What one writer knows of its own documents.
#[derive(Default)]
struct Writer {
    number: usize,
    /// Entries appended so far, acknowledged or not; each with an idempotency key of its own.
    entries: usize,
    /// Entries acknowledged, by document: exactly these must be found, in this order.
    acknowledged: BTreeMap<usize, Vec<usize>>,
    /// The entry whose outcome the process took with it.
    unknown: Option<usize>,
    /// Acknowledged answers, to be repeated word by word.
    answers: BTreeMap<usize, Value>,
    /// A document that is overwritten without an idempotency key: acknowledged, and attempted.
    counter: (u64, u64),
    /// Two documents that are always written together: acknowledged, and attempted.
    pair: (u64, u64),
}

impl Writer {
    /// Writes until the process dies.
    fn write_until_killed(&mut self, http: &mut Http, killed: &AtomicBool) {
        while !killed.load(Ordering::Relaxed) {
            let entry = self.entries;
            self.entries += 1;
            if !self.append(http, entry) {
                self.unknown = Some(entry);
                return;
            }
            self.counter.1 += 1;
            let body = json!({"counter": self.counter.1}).to_string();
            let target = format!("/v1/torture/count/w{}", self.number);
            let json = [("content-type", "application/json")];
            match http.send("PUT", &target, &json, body.as_bytes()) {
                Ok(answer) if answer.status < 300 => self.counter.0 = self.counter.1,
                Ok(answer) => assert_honest(answer.status, &answer.json()),
                Err(_) => return,
            }
            if !self.write_pair(http) {
                return;
            }
        }
    }

    /// Writes the same number to two tables, all or nothing. Answers whether the process lives.
    fn write_pair(&mut self, http: &mut Http) -> bool {
        self.pair.1 += 1;
        let id = format!("w{}pair", self.number);
        let value = json!({ "pair": self.pair.1 });
        let put = |table| json!({"op": "put", "table": table, "key": [id], "value": value});
        let body = json!({"operations": [put("list"), put("count")]}).to_string();
        let json = [("content-type", "application/json")];
        match http.send("POST", "/v1/torture:transact", &json, body.as_bytes()) {
            Ok(answer) if answer.status < 300 => self.pair.0 = self.pair.1,
            Ok(answer) => assert_honest(answer.status, &answer.json()),
            Err(_) => return false,
        }
        true
    }

    /// Both documents of a pair hold the same number, which is not older than the acknowledged one.
    fn audit_pair(&mut self, http: &mut Http) {
        let found = ["list", "count"].map(|table| {
            let found = http.get(&format!("/v1/torture/{table}/w{}pair", self.number));
            found.json()["pair"].as_u64().unwrap_or(0)
        });
        assert_eq!(found[0], found[1], "writer {}: a torn transaction", self.number);
        let (acknowledged, attempted) = self.pair;
        assert!((acknowledged..=attempted).contains(&found[0]), "{found:?} of {:?}", self.pair);
        self.pair = (found[0], attempted);
    }

    /// Appends an entry to a list, which is no idempotent act by itself. Answers whether it is
    /// done.
    fn append(&mut self, http: &mut Http, entry: usize) -> bool {
        let document = entry / ENTRIES_MAX;
        let key = format!("w{}-{entry}", self.number);
        let target = self.target(document);
        let first = entry.is_multiple_of(ENTRIES_MAX);
        let (method, kind, body) = if first {
            ("PUT", "application/json", json!({"entries": [entry]}))
        } else {
            let step = json!([{"op": "add", "path": "/entries/-", "value": entry}]);
            ("PATCH", "application/json-patch+json", step)
        };
        let headers = [("content-type", kind), ("idempotency-key", key.as_str())];
        match http.send(method, &target, &headers, body.to_string().as_bytes()) {
            Ok(answer) if answer.status < 300 => {
                let acknowledged = self.acknowledged.entry(document).or_default();
                if acknowledged.last() != Some(&entry) {
                    acknowledged.push(entry);
                }
                let body = answer.json();
                let before = self.answers.insert(entry, body.clone());
                assert!(before.is_none_or(|before| before == body), "another answer: {body}");
                true
            }
            Ok(answer) => {
                assert_honest(answer.status, &answer.json());
                false
            }
            Err(_) => false,
        }
    }

    /// After a restart: settles what was unknown, then compares everything.
    fn audit(&mut self, server: &Server) {
        let mut http = server.http();
        if let Some(entry) = self.unknown.take() {
            assert!(self.append(&mut http, entry), "entry {entry} cannot be settled");
        }
        // A repeated key gives the first answer and changes nothing.
        if let Some(entry) = self.entries.checked_sub(1) {
            assert!(self.append(&mut http, entry), "entry {entry} cannot be repeated");
        }
        for (document, acknowledged) in &self.acknowledged {
            let found = http.get(&self.target(*document));
            assert_eq!(found.status, 200, "document {document} is lost: {found:?}");
            let want = json!({ "entries": acknowledged });
            assert_eq!(found.json(), want, "writer {} document {document}", self.number);
        }
        let (acknowledged, attempted) = self.counter;
        let found = http.get(&format!("/v1/torture/count/w{}", self.number));
        let counter = found.json()["counter"].as_u64().unwrap_or(0);
        assert!((acknowledged..=attempted).contains(&counter), "{counter} of {:?}", self.counter);
        self.counter = (counter, attempted);
        self.audit_pair(&mut http);
    }

    fn target(&self, document: usize) -> String {
        format!("/v1/torture/list/w{}d{document}", self.number)
    }
}

/// A refused write says what is known of it.
fn assert_honest(status: u16, problem: &Value) {
    assert!(status != 500, "{problem}");
    assert!(problem["outcome"].is_string(), "{status} without an outcome: {problem}");
}

fn cycles() -> usize {
    let cycles = std::env::var("CORTADO_TORTURE_CYCLES").ok().and_then(|text| text.parse().ok());
    cycles.unwrap_or(20)
}

#[test]
fn nothing_acknowledged_is_lost_or_doubled() {
    let mut random = Random::seeded();
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let mut writers: Vec<Writer> =
        (0..WRITERS).map(|number| Writer { number, ..Writer::default() }).collect();
    let mut server = Server::start(&data);
    server.create_table("torture", "list", &["id"]);
    server.create_table("torture", "count", &["id"]);
    for cycle in 0..cycles() {
        let killed = AtomicBool::new(false);
        thread::scope(|scope| {
            let (killed, address) = (&killed, server.address);
            for writer in &mut writers {
                let mut http = Http::new(address);
                scope.spawn(move || writer.write_until_killed(&mut http, killed));
            }
            // The moment of the kill is what is random here; nothing waits for this to pass.
            thread::park_timeout(Duration::from_millis(20 + random.below(600)));
            server.kill();
            killed.store(true, Ordering::Relaxed);
        });
        server = Server::start(&data);
        writers.iter_mut().for_each(|writer| writer.audit(&server));
        let entries: usize = writers.iter().map(|writer| writer.entries).sum();
        println!("cycle {cycle}: {entries} entries, none lost, none doubled");
    }
    let entries: usize = writers.iter().map(|writer| writer.entries).sum();
    assert!(entries > WRITERS, "the load never got going: {entries} entries");
    assert!(server.stop().success());
}
