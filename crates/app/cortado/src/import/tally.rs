//! How far an import has come: what is stored, what is refused, and where to go on.
//!
//! Start reading at [`Tally::end`].

use super::rejects::{Refused, Rejects};
use crate::failure::Failure;
use crate::output::tell;
use crate::terminal::for_stderr;
use indicatif::ProgressBar;
use parking_lot::{Mutex, MutexGuard};
use std::collections::BTreeSet;

/// Counts of one import, shared by its lanes.
#[derive(Debug)]
pub(crate) struct Tally {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    counts: Counts,
    /// Bytes of the file that are settled.
    bytes: u64,
    /// All values up to this one are settled.
    settled: u64,
    /// Settled values above it; as many as are under way at most.
    above: BTreeSet<u64>,
    /// What to print through, so that lines do not tear the bar.
    bar: Option<ProgressBar>,
    /// Where all refusals go.
    rejects: Option<Rejects>,
    /// What was settled may not be what the file was to say.
    is_doubtful: bool,
    /// What comes now is not counted any more.
    has_ended: bool,
}

/// Where an import has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) counts: Counts,
    /// How many values from the beginning are all settled: what `--skip` takes. Absent where they
    /// must come again.
    pub(crate) resume_at: Option<u64>,
    /// Whether the file of refusals holds all of them.
    pub(crate) rejects: Result<(), Failure>,
}

/// What became of the documents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// There was no document of that key.
    pub(crate) created: u64,
    /// There was one.
    pub(crate) replaced: u64,
    /// There was one, and it was to be left alone.
    pub(crate) skipped: u64,
    /// Not stored.
    pub(crate) refused: u64,
}

impl Counts {
    /// How many documents are dealt with.
    pub(crate) fn all(self) -> u64 {
        self.created + self.replaced + self.skipped + self.refused
    }
}

/// What became of one document that was not refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stored {
    Created,
    Replaced,
    /// It exists, and is left alone.
    Skipped,
}

/// Refusals that are listed: a person reads no more.
const LISTED_MAX: u64 = 20;

impl Tally {
    /// The first `skipped` values are settled already.
    pub(crate) fn starting_after(skipped: u64, rejects: Option<Rejects>) -> Tally {
        Tally { state: Mutex::new(State { settled: skipped, rejects, ..State::default() }) }
    }

    /// The bar that lines are printed through from now on.
    pub(crate) fn print_through(&self, bar: ProgressBar) {
        self.state().bar = Some(bar);
    }

    /// A document is stored; it takes `bytes` of the file.
    pub(crate) fn store(&self, position: u64, bytes: u64, stored: Stored) {
        let mut state = self.state();
        if state.has_ended {
            return;
        }
        match stored {
            Stored::Created => state.counts.created += 1,
            Stored::Replaced => state.counts.replaced += 1,
            Stored::Skipped => state.counts.skipped += 1,
        }
        state.settle(position, bytes);
    }

    /// A document is not stored. Says so at once, unless many were not.
    pub(crate) fn refuse(&self, refused: &Refused, bytes: u64) {
        let Refused { position, line, reason, .. } = refused;
        let mut state = self.state();
        if state.has_ended {
            return;
        }
        state.counts.refused += 1;
        state.settle(*position, bytes);
        if let Some(rejects) = &mut state.rejects {
            rejects.write(refused);
        }
        if state.counts.refused <= LISTED_MAX {
            state.tell(&format!("refused: document {position} (line {line}): {reason}"));
        } else if state.counts.refused == LISTED_MAX + 1 {
            let more = match &state.rejects {
                Some(rejects) => format!("all of them are in {}", rejects.path().display()),
                None => "--rejects FILE writes all of them".to_owned(),
            };
            state.tell(&format!("refused: more documents, which are not listed here; {more}"));
        }
    }

    /// A value that is no document is dealt with, such as a declaration.
    pub(crate) fn pass(&self, position: u64, bytes: u64) {
        self.state().settle(position, bytes);
    }

    /// A value is left out, as asked.
    pub(crate) fn pass_over(&self, bytes: u64) {
        self.state().bytes += bytes;
    }

    /// What was settled so far may not be what the file was to say.
    pub(crate) fn doubt(&self) {
        self.state().is_doubtful = true;
    }

    pub(crate) fn counts(&self) -> Counts {
        self.state().counts
    }

    /// Bytes of the file that are settled.
    pub(crate) fn bytes(&self) -> u64 {
        self.state().bytes
    }

    /// Ends the count and the file of refusals, both at one moment: the reader of the file may
    /// still be at work, and what it refuses from now on is met again behind `resume_at`.
    pub(crate) fn end(&self) -> Ended {
        let mut state = self.state();
        state.has_ended = true;
        let rejects = state.rejects.take().map_or(Ok(()), Rejects::finish);
        let resume_at = (!state.is_doubtful).then_some(state.settled);
        Ended { counts: state.counts, resume_at, rejects }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
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

    fn tell(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(for_stderr(text)),
            None => tell(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_import_goes_on_behind_what_is_settled_without_a_hole() {
        let tally = Tally::starting_after(10, None);
        let settled = || tally.state().settled;
        assert_eq!(settled(), 10);
        tally.store(12, 5, Stored::Created);
        tally.store(13, 5, Stored::Replaced);
        assert_eq!(settled(), 10);
        let refused = Refused { position: 11, line: 1, reason: "a test".to_owned(), text: None };
        tally.refuse(&refused, 7);
        assert_eq!(settled(), 13);
        tally.store(14, 1, Stored::Skipped);
        tally.pass(15, 1);
        assert_eq!(settled(), 15);
        let want = Counts { created: 1, replaced: 1, skipped: 1, refused: 1 };
        assert_eq!((tally.counts(), tally.bytes()), (want, 19));
    }

    #[test]
    fn every_refusal_before_the_end_is_in_the_file_and_none_behind_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("rejects");
        let rejects = Rejects::create(&path, None, false).expect("created");
        let tally = Tally::starting_after(0, Some(rejects));
        let refuse = |position| {
            let reason = "a test".to_owned();
            tally.refuse(&Refused { position, line: position, reason, text: None }, 1);
        };
        (1..=3).for_each(refuse);
        let ended = tally.end();
        (4..=6).for_each(refuse);
        tally.store(7, 1, Stored::Created);
        assert_eq!((ended.resume_at, ended.counts.refused), (Some(3), 3));
        ended.rejects.expect("written");
        let again = tally.end();
        assert_eq!((again.resume_at, again.counts), (Some(3), ended.counts));
        let written = std::fs::read_to_string(&path).expect("a file");
        assert_eq!(written.lines().count() as u64, ended.counts.refused);
    }
}
