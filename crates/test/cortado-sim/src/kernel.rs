//! What every simulated world rests on: a schedule, random numbers, clocks, a network, a trace and
//! the first thing that must not be.
//!
//! Knows nothing of what happens: a world brings its own [`Happening`]s. Never reads a clock and
//! never asks for randomness: a seed decides everything. Start reading at [`Kernel::take`].

pub mod counts;
pub mod network;
pub mod random;
pub mod schedule;
pub mod time;
pub mod trace;
pub mod violation;

use random::Random;
use schedule::Schedule;
use std::fmt;
use time::Moment;
use trace::{Telling, Trace};
use violation::{Finding, Violation};

/// Something that becomes due in a world.
pub trait Happening: fmt::Display {
    /// What distinguishes it from everything else that could have happened at its moment.
    fn facts(&self) -> [u64; 4];
}

/// Time, chance and what has been found, for a world whose happenings are `D`.
#[derive(Debug)]
pub struct Kernel<D> {
    /// True time.
    pub now: Moment,
    /// Decides whatever is left to chance.
    pub random: Random,
    /// What will happen.
    pub schedule: Schedule<D>,
    /// What has happened.
    pub trace: Trace,
    /// The first thing that must not be; a run ends with it.
    pub finding: Option<Finding>,
    /// Things that have happened.
    pub happenings: u64,
    at_this_moment: u64,
    /// The only invariant that counts, if one does.
    listens_to: Option<&'static str>,
}

impl<D: Happening> Kernel<D> {
    /// The beginning of time.
    ///
    /// * `listens_to`: the only invariant whose violation counts; `None` for any.
    pub fn new(random: Random, telling: Telling, listens_to: Option<&'static str>) -> Kernel<D> {
        Kernel {
            now: Moment::default(),
            random,
            schedule: Schedule::new(),
            trace: Trace::new(telling),
            finding: None,
            happenings: 0,
            at_this_moment: 0,
            listens_to,
        }
    }

    /// What happens next; nothing once something was found.
    pub fn take(&mut self) -> Option<D> {
        if self.finding.is_some() {
            return None;
        }
        let (at, due) = self.schedule.take()?;
        self.at_this_moment = if at == self.now { self.at_this_moment + 1 } else { 0 };
        self.now = at;
        self.happenings += 1;
        self.check(check_progress(self.at_this_moment));
        self.trace.note(at, &due.facts(), || due.to_string());
        Some(due)
    }

    /// Lets `due` happen after `in_us` microseconds.
    pub fn put(&mut self, in_us: u64, due: D) {
        self.schedule.put(self.now.plus(in_us), due);
    }

    /// Adds a line to the story.
    pub fn note(&mut self, facts: &[u64], text: impl FnOnce() -> String) {
        self.trace.note(self.now, facts, text);
    }

    /// From now on only this invariant counts.
    pub fn listen_only_to(&mut self, invariant: &'static str) {
        self.listens_to = Some(invariant);
    }

    /// Remembers the first violation; the run ends with it.
    pub fn check(&mut self, result: Result<(), Violation>) {
        let Err(violation) = result else { return };
        let counts = self.listens_to.is_none_or(|only| only == violation.invariant);
        if self.finding.is_none() && counts {
            let (at, text) = (self.now, violation.to_string());
            self.trace.note(at, &[u64::MAX], || format!("VIOLATION {text}"));
            self.finding = Some(Finding { at, violation });
        }
    }
}

/// Something has happened `count` times at one and the same moment.
///
/// # Errors
/// So often that the world goes round in circles.
pub fn check_progress(count: u64) -> Result<(), Violation> {
    if count < CIRCLES_MAX {
        return Ok(());
    }
    let details = format!("{count} things happened without time passing");
    Err(Violation::new("limits", details))
}

const CIRCLES_MAX: u64 = 100_000;

#[cfg(test)]
mod tests {
    use super::*;
    use time::MILLI;

    struct Ping(u64);

    impl Happening for Ping {
        fn facts(&self) -> [u64; 4] {
            [1, self.0, 0, 0]
        }
    }

    impl fmt::Display for Ping {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "ping {}", self.0)
        }
    }

    #[test]
    fn a_world_ends_with_the_first_violation_that_counts() {
        let telling = Telling::Kept(Default::default(), 9);
        let mut kernel = Kernel::new(Random::of(1), telling, Some("that"));
        kernel.put(2 * MILLI, Ping(2));
        kernel.put(MILLI, Ping(1));
        assert_eq!(kernel.take().map(|ping| ping.0), Some(1));
        kernel.check(Err(Violation::new("this", String::new())));
        assert_eq!(kernel.take().map(|ping| ping.0), Some(2));
        kernel.check(Err(Violation::new("that", String::from("is wrong"))));
        assert_eq!(kernel.finding.as_ref().map(|finding| finding.at), Some(Moment(2 * MILLI)));
        kernel.put(0, Ping(3));
        assert!(kernel.take().is_none());
        let lines = kernel.trace.into_lines();
        assert_eq!(
            lines,
            ["0.001000 ping 1", "0.002000 ping 2", "0.002000 VIOLATION that: is wrong"]
        );
    }

    #[test]
    fn a_world_that_goes_round_in_circles_is_found() {
        let mut kernel = Kernel::new(Random::of(1), Telling::Silent, None);
        while kernel.finding.is_none() {
            kernel.put(0, Ping(1));
            kernel.take();
        }
        assert_eq!(kernel.happenings, CIRCLES_MAX);
    }
}
