//! What clients see of a few documents, noted so that an order can be looked for that each document
//! alone could have gone through.
//!
//! Histories of a real server, judged by the search that judges the simulator's. Start reading at
//! [`Client::work`].

#![allow(dead_code, reason = "each test uses its part of it")]

use crate::harness::Random;
use crate::harness::http::{Answer, Http};
use cortado_sim::database::documents::ValueId;
use cortado_sim::database::oracle::linear::{Deed, Outcome, Step, search};
use cortado_sim::kernel::time::Moment;
use serde_json::json;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

/// What was done to the documents of one round.
pub(crate) struct History {
    begun: Instant,
    /// What its documents' names begin with, behind `/v1/`.
    documents: String,
    steps: Vec<Mutex<Vec<Step>>>,
    /// Values written so far: no two writes write the same.
    values: AtomicU64,
    over: AtomicBool,
}

impl History {
    /// Of the documents `{table}/{round}d0`, `{table}/{round}d1` and so on, which are not there.
    ///
    /// * `count`: few, so that clients meet.
    pub(crate) fn new(table: &str, round: &str, count: usize) -> History {
        History {
            begun: Instant::now(),
            documents: format!("{table}/{round}"),
            steps: (0..count).map(|_| Mutex::default()).collect(),
            values: AtomicU64::new(0),
            over: AtomicBool::new(false),
        }
    }

    /// Tells its clients to end.
    pub(crate) fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// Steps that have ended with a known outcome, so far.
    pub(crate) fn done(&self) -> usize {
        let ended = |steps: &Mutex<Vec<Step>>| {
            let steps = steps.lock().expect("whole");
            steps.iter().filter(|step| step.ended.is_some()).count()
        };
        self.steps.iter().map(ended).sum()
    }

    /// Reads each document once more, to its end, through `client`.
    pub(crate) fn read_out(&self, client: &mut Client<'_>) {
        for document in 0..self.steps.len() {
            let read = client.read(document).flatten();
            assert!(read.is_some(), "{}d{document} is not read", self.documents);
        }
    }

    /// How many steps it has; all of them have an order.
    pub(crate) fn judge(&self) -> usize {
        let steps = self.steps.iter().map(|steps| steps.lock().expect("whole"));
        steps
            .enumerate()
            .map(|(document, steps)| {
                let outcome = search(&steps);
                let shown = format!("{}d{document}: {outcome:?}\n{steps:#?}", self.documents);
                assert_eq!(outcome, Outcome::Explained, "{shown}");
                steps.len()
            })
            .sum()
    }

    fn now(&self) -> Moment {
        Moment(self.begun.elapsed().as_micros() as u64)
    }

    fn note(&self, document: usize, invoked: Moment, ended: Option<Moment>, deed: Deed) {
        let step = Step { invoked, ended, deed };
        self.steps[document].lock().expect("whole").push(step);
    }
}

/// Reads and writes without idempotency keys.
pub(crate) struct Client<'a> {
    http: Http,
    history: &'a History,
    random: Random,
}

impl Client<'_> {
    /// Of the server at `address`.
    pub(crate) fn new(address: SocketAddr, history: &History, random: Random) -> Client<'_> {
        Client { http: Http::new(address), history, random }
    }

    /// Goes on until the history is over; answers whether the server lives.
    pub(crate) fn work(&mut self) -> bool {
        while !self.history.is_over() {
            if !self.step() {
                return false;
            }
        }
        true
    }

    /// Reads or writes something; answers whether the server lives.
    fn step(&mut self) -> bool {
        let document = self.random.below(self.history.steps.len() as u64) as usize;
        match self.random.below(4) {
            0 => self.write(document),
            1 => self.write_if_unchanged(document),
            _ => self.read(document).is_some(),
        }
    }

    fn target(&self, document: usize) -> String {
        format!("/v1/{}d{document}", self.history.documents)
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
