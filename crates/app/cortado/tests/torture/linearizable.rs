//! What clients see while nodes die, leaderships move and the process is paused and killed: is
//! there an order that each document alone could have gone through?
//!
//! Histories of a real server, judged by the search that judges the simulator's. Start reading at
//! [`every_history_has_an_order`].

use crate::cycles;
use crate::harness::http::{Answer, Http};
use crate::harness::{Random, Server, cortado};
use cortado_sim::database::documents::ValueId;
use cortado_sim::database::oracle::linear::{Deed, Outcome, Step, search};
use cortado_sim::kernel::time::Moment;
use serde_json::json;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const CLIENTS: usize = 6;
/// Few, so that clients meet.
const DOCUMENTS: usize = 3;

/// What happens to the server in a round.
#[derive(Clone, Copy, Debug)]
enum Disturbance {
    /// Every node dies and comes back, one after another.
    NodesDie,
    /// Every partition is handed to every node.
    HandOffs,
    /// The process stands still for a while, several times.
    Pauses,
    /// `kill -9`, and another process on the same data.
    Killed,
}

const DISTURBANCES: [Disturbance; 4] =
    [Disturbance::NodesDie, Disturbance::HandOffs, Disturbance::Pauses, Disturbance::Killed];

/// What was done to the documents of one round.
struct History {
    begun: Instant,
    round: usize,
    steps: [Mutex<Vec<Step>>; DOCUMENTS],
    /// Values written so far: no two writes write the same.
    values: AtomicU64,
    over: AtomicBool,
}

impl History {
    fn new(round: usize) -> History {
        History {
            begun: Instant::now(),
            round,
            steps: Default::default(),
            values: AtomicU64::new(0),
            over: AtomicBool::new(false),
        }
    }

    fn now(&self) -> Moment {
        Moment(self.begun.elapsed().as_micros() as u64)
    }

    fn note(&self, document: usize, invoked: Moment, ended: Option<Moment>, deed: Deed) {
        let step = Step { invoked, ended, deed };
        self.steps[document].lock().expect("whole").push(step);
    }

    /// How many steps it has; all of them have an order.
    fn judge(&self) -> usize {
        let steps = self.steps.iter().map(|steps| steps.lock().expect("whole"));
        steps
            .enumerate()
            .map(|(document, steps)| {
                let outcome = search(&steps);
                let shown =
                    format!("round {} document {document}: {outcome:?}\n{steps:#?}", self.round);
                assert_eq!(outcome, Outcome::Explained, "{shown}");
                steps.len()
            })
            .sum()
    }
}

/// Reads and writes without idempotency keys.
struct Client<'a> {
    http: Http,
    history: &'a History,
    random: Random,
}

impl Client<'_> {
    /// Goes on until the round is over; answers whether the process lives.
    fn work(&mut self) -> bool {
        while !self.history.over.load(Ordering::Relaxed) {
            let document = self.random.below(DOCUMENTS as u64) as usize;
            let lives = match self.random.below(4) {
                0 => self.write(document),
                1 => self.write_if_unchanged(document),
                _ => self.read(document).is_some(),
            };
            if !lives {
                return false;
            }
        }
        true
    }

    fn target(&self, document: usize) -> String {
        format!("/v1/order/register/r{}d{document}", self.history.round)
    }

    /// What was read, with its etag; `Some(None)` if no replica could serve the read, `None` if
    /// the process is gone.
    fn read(&mut self, document: usize) -> Option<Option<(ValueId, Option<String>)>> {
        let (target, invoked) = (self.target(document), self.history.now());
        let answer = self.http.send("GET", &target, &[], b"").ok()?;
        let value = match answer.status {
            200 => ValueId(answer.json()["v"].as_u64().expect("what was written")),
            404 => ValueId::ABSENT,
            503 | 504 => return Some(None),
            _ => panic!("a read was answered {answer:?}"),
        };
        self.history.note(document, invoked, Some(self.history.now()), Deed::Read(value));
        Some(Some((value, answer.header("etag").map(str::to_owned))))
    }

    fn write(&mut self, document: usize) -> bool {
        let value = self.next_value();
        self.put(document, value, &[], Deed::Write(value), None)
    }

    /// Writes if the document is unchanged since it was read.
    fn write_if_unchanged(&mut self, document: usize) -> bool {
        let Some(read) = self.read(document) else { return false };
        let Some((expected, etag)) = read else { return true };
        let condition = match &etag {
            Some(etag) => ("if-match", etag.as_str()),
            None => ("if-none-match", "*"),
        };
        let value = self.next_value();
        let (done, refused) = (Deed::WriteIf { expected, value }, Deed::RefuseIf { expected });
        self.put(document, value, &[condition], done, Some(refused))
    }

    fn put(
        &mut self,
        document: usize,
        value: ValueId,
        conditions: &[(&str, &str)],
        done: Deed,
        refused: Option<Deed>,
    ) -> bool {
        let (target, invoked) = (self.target(document), self.history.now());
        let headers = [&[("content-type", "application/json")], conditions].concat();
        let body = json!({ "v": value.0 }).to_string();
        let sent = self.http.send("PUT", &target, &headers, body.as_bytes());
        let now = self.history.now();
        match (&sent, refused) {
            (Ok(Answer { status: 200 | 201, .. }), _) => {
                self.history.note(document, invoked, Some(now), done);
            }
            (Ok(Answer { status: 412, .. }), Some(refused)) => {
                self.history.note(document, invoked, Some(now), refused);
            }
            // What is definitely not done is no step: if it was, no order explains who reads it.
            (Ok(answer), _) if answer.json()["outcome"] == "none" => {}
            (Ok(answer), _) => {
                assert_eq!(answer.json()["outcome"], "unknown", "{answer:?}");
                self.history.note(document, invoked, None, done);
            }
            (Err(_), _) => self.history.note(document, invoked, None, done),
        }
        sent.is_ok()
    }

    fn next_value(&self) -> ValueId {
        ValueId(self.history.values.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

/// Lets a moment pass whose length is the point; nothing waits for it.
fn while_clients_work(random: &mut Random, most_ms: u64) {
    thread::park_timeout(Duration::from_millis(20 + random.below(most_ms)));
}

/// Disturbs the server; the one that runs afterwards.
fn disturb(kind: Disturbance, server: Server, data: &Path, random: &mut Random) -> Server {
    let order = |words: &[&str]| {
        let (code, _, said) = cortado(Some(&server), words);
        assert_eq!(code, 0, "{words:?}: {said}");
    };
    match kind {
        Disturbance::NodesDie => {
            for node in ["n1", "n2", "n3"] {
                order(&["node", "kill", node]);
                while_clients_work(random, 1_500);
                order(&["node", "start", node]);
                while_clients_work(random, 300);
            }
        }
        Disturbance::HandOffs => {
            for number in 0..24 {
                let (partition, node) = (format!("order/{}", number % 8), 1 + random.below(3));
                // Who leads already, or just lost it, says so.
                cortado(Some(&server), &["handoff", &partition, "--to", &format!("n{node}")]);
            }
        }
        Disturbance::Pauses => {
            for _ in 0..3 {
                for signal in ["-STOP", "-CONT"] {
                    let pid = server.pid().to_string();
                    let sent = Command::new("kill").args([signal, &pid]).status();
                    assert!(sent.expect("kill runs").success(), "{signal} was not delivered");
                    while_clients_work(random, 1_000);
                }
            }
        }
        Disturbance::Killed => {
            server.kill();
            return Server::start(data);
        }
    }
    server
}

#[test]
fn every_history_has_an_order() {
    let mut random = Random::seeded();
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let mut server = Server::start(&data);
    server.create_table("order", "register", &["id"]);
    let rounds = DISTURBANCES.iter().cycle().take(DISTURBANCES.len() * (cycles() / 10).max(1));
    for (round, kind) in rounds.enumerate() {
        let history = History::new(round);
        let address = server.address;
        server = thread::scope(|scope| {
            for _ in 0..CLIENTS {
                let (http, history) = (Http::new(address), &history);
                let mut client = Client { http, history, random: random.fork() };
                scope.spawn(move || client.work());
            }
            while_clients_work(&mut random, 200);
            let server = disturb(*kind, server, &data, &mut random);
            while_clients_work(&mut random, 200);
            history.over.store(true, Ordering::Relaxed);
            server
        });
        server.wait_until("ready", |http| http.get("/readyz").status == 200);
        let mut auditor = Client { http: server.http(), history: &history, random: random.fork() };
        for document in 0..DOCUMENTS {
            assert!(auditor.read(document).flatten().is_some(), "document {document} is not read");
        }
        let steps = history.judge();
        assert!(steps > CLIENTS * DOCUMENTS, "the load never got going: {steps} steps");
        println!("round {round}: {kind:?}, {steps} steps have an order");
    }
    assert!(server.stop().success());
}
