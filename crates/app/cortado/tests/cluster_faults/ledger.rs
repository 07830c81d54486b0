//! Writes that are counted: each to a document of its own, and each that was acknowledged must be
//! found.

use crate::broken_site::BrokenSite;
use crate::harness::http::Http;
use crate::history::History;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

/// What was acknowledged so far.
pub(crate) struct Ledger {
    written: u64,
    acknowledged: BTreeSet<String>,
    /// Of the last round.
    longest_gap: Duration,
    refused: Vec<String>,
}

/// Between two writes: enough to see gaps, and little work.
const PAUSE: Duration = Duration::from_millis(10);

impl Ledger {
    /// Nothing.
    pub(crate) fn new() -> Ledger {
        Ledger {
            written: 0,
            acknowledged: BTreeSet::new(),
            longest_gap: Duration::ZERO,
            refused: Vec::new(),
        }
    }

    /// Writes until the history is over.
    pub(crate) fn write(&mut self, address: SocketAddr, history: &History) {
        let mut http = Http::new(address);
        let json = [("content-type", "application/json")];
        let mut done_at = Instant::now();
        self.longest_gap = Duration::ZERO;
        self.refused.clear();
        while !history.is_over() {
            self.written += 1;
            let id = format!("l{:08}", self.written);
            let answer = http.send("PUT", &format!("/v1/fault/ledger/{id}"), &json, b"{}");
            match answer {
                Ok(answer) if answer.status < 300 => {
                    self.acknowledged.insert(id);
                    self.longest_gap = self.longest_gap.max(done_at.elapsed());
                    done_at = Instant::now();
                }
                // On a busy machine a request may outlast its time, with nothing amiss.
                Ok(answer) if answer.status == 504 => {}
                refused => self.refused.push(format!("{id}: {refused:?}")),
            }
            thread::park_timeout(PAUSE);
        }
    }

    /// How many were acknowledged so far; all of them are there.
    pub(crate) fn audit(&self, site: &BrokenSite) -> usize {
        let found = site.router().all_documents("fault/ledger");
        let ids: BTreeSet<_> =
            found.iter().filter_map(|one| one["key"][0].as_str().map(str::to_owned)).collect();
        let lost: Vec<_> = self.acknowledged.difference(&ids).collect();
        assert!(lost.is_empty(), "lost {} of {}: {lost:?}", lost.len(), self.acknowledged.len());
        self.acknowledged.len()
    }

    /// The writes of the last round that were neither acknowledged nor late.
    pub(crate) fn refused(&self) -> &[String] {
        &self.refused
    }

    /// The longest time in the last round in which no write was acknowledged.
    pub(crate) fn longest_gap(&self) -> Duration {
        self.longest_gap
    }
}
