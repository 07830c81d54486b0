//! How far an import has come: what is stored, what is refused, and where to go on.
//!
//! Start reading at [`Tally::resume_at`].

use crate::output::tell;
use indicatif::ProgressBar;
use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Counts of one import, shared by its lanes.
#[derive(Debug)]
pub(crate) struct Tally {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    written: u64,
    refused: u64,
    /// Bytes of the file that are settled.
    bytes: u64,
    /// All documents up to this one are settled.
    settled: u64,
    /// Settled documents above it; as many as are under way at most.
    above: BTreeSet<u64>,
    /// What to print through, so that lines do not tear the bar.
    bar: Option<ProgressBar>,
}

/// A document that was not stored, and will not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    /// Which document of the file, from 1.
    pub(crate) position: u64,
    /// Its line, from 1.
    pub(crate) line: u64,
    /// Why.
    pub(crate) reason: String,
}

impl Tally {
    /// The first `skipped` documents are settled already.
    pub(crate) fn starting_after(skipped: u64) -> Tally {
        Tally { state: Mutex::new(State { settled: skipped, ..State::default() }) }
    }

    /// The bar that lines are printed through from now on.
    pub(crate) fn print_through(&self, bar: ProgressBar) {
        self.state().bar = Some(bar);
    }

    /// A document is stored; it takes `bytes` of the file.
    pub(crate) fn store(&self, position: u64, bytes: u64) {
        let mut state = self.state();
        state.written += 1;
        state.settle(position, bytes);
    }

    /// A document is not stored. Says so at once.
    pub(crate) fn refuse(&self, refused: Refused, bytes: u64) {
        let Refused { position, line, reason } = refused;
        let mut state = self.state();
        state.refused += 1;
        state.settle(position, bytes);
        let text = format!("refused: document {position} (line {line}): {reason}");
        match &state.bar {
            Some(bar) => bar.println(text),
            None => tell(&text),
        }
    }

    /// A document is left out, as asked.
    pub(crate) fn pass_over(&self, bytes: u64) {
        self.state().bytes += bytes;
    }

    /// How many documents from the beginning are all settled: what `--skip` takes.
    pub(crate) fn resume_at(&self) -> u64 {
        self.state().settled
    }

    pub(crate) fn written(&self) -> u64 {
        self.state().written
    }

    pub(crate) fn refused(&self) -> u64 {
        self.state().refused
    }

    /// Bytes of the file that are settled.
    pub(crate) fn bytes(&self) -> u64 {
        self.state().bytes
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn settle(&mut self, position: u64, bytes: u64) {
        self.bytes += bytes;
        self.above.insert(position);
        while self.above.remove(&(self.settled + 1)) {
            self.settled += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_import_goes_on_behind_what_is_settled_without_a_hole() {
        let tally = Tally::starting_after(10);
        assert_eq!(tally.resume_at(), 10);
        tally.store(12, 5);
        tally.store(13, 5);
        assert_eq!(tally.resume_at(), 10);
        tally.refuse(Refused { position: 11, line: 1, reason: "a test".to_owned() }, 7);
        assert_eq!(tally.resume_at(), 13);
        assert_eq!((tally.written(), tally.refused(), tally.bytes()), (2, 1, 17));
    }
}
