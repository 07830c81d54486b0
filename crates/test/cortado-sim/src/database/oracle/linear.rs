//! Is there an order of these steps that a single document could have gone through?
//!
//! Wing and Gong's search with Lowe's memory of what was tried, for one register; histories of
//! different documents are independent, so each is searched alone. Start reading at [`search`].
//! Source: Wing and Gong 1993; Lowe, "Testing for linearizability"; Horn and Kroening 2015.

use crate::database::documents::ValueId;
use crate::kernel::time::Moment;
use std::collections::BTreeSet;

/// Something that a client did to one document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// It took effect no earlier.
    pub invoked: Moment,
    /// It took effect no later; `None` if it may never have.
    pub ended: Option<Moment>,
    /// What it was.
    pub deed: Deed,
}

/// The closed set of things to do to one document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// It holds this now.
    Write(ValueId),
    /// It held the one and holds the other now.
    WriteIf {
        /// Before.
        expected: ValueId,
        /// After.
        value: ValueId,
    },
    /// It did not hold this.
    RefuseIf {
        /// What it did not hold.
        expected: ValueId,
    },
    /// It held this.
    Read(ValueId),
}

/// What the search has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// There is such an order.
    Explained,
    /// There is none.
    Impossible {
        /// How far the longest order got, and what no order could place next.
        details: String,
    },
    /// The search was stopped.
    Undecided,
}

/// Configurations that are looked at before the search is given up.
const CONFIGURATIONS_MAX: usize = 100_000;

/// Looks for an order of `steps` that respects real time, from a document that does not exist.
pub fn search(steps: &[Step]) -> Outcome {
    let mut steps: Vec<Step> = steps.to_vec();
    steps.sort_by_key(|step| (step.invoked, step.ended));
    let mut search = Search::over(&steps);
    search.run()
}

struct Search<'a> {
    steps: &'a [Step],
    placed: Placed,
    value: ValueId,
    /// The first step that has ended and is not placed.
    low: usize,
    /// Steps that have ended and are not placed.
    left: usize,
    seen: BTreeSet<(Vec<u64>, ValueId)>,
    /// For the report: the fewest steps that were ever left, and what was tried there.
    fewest_left: usize,
    stuck: String,
}

/// A choice, and what to go back to when it leads nowhere.
struct Choice {
    candidates: Vec<usize>,
    next: usize,
    /// Steps that this choice has placed, the chosen one and the reads that followed freely.
    placed: Vec<usize>,
    value: ValueId,
    low: usize,
}

#[derive(Clone)]
struct Placed {
    words: Vec<u64>,
}

impl Placed {
    fn has(&self, step: usize) -> bool {
        self.words[step / 64] & (1 << (step % 64)) != 0
    }

    fn flip(&mut self, step: usize) {
        self.words[step / 64] ^= 1 << (step % 64);
    }
}

impl<'a> Search<'a> {
    fn over(steps: &'a [Step]) -> Search<'a> {
        Search {
            steps,
            placed: Placed { words: vec![0; steps.len() / 64 + 1] },
            value: ValueId::ABSENT,
            low: 0,
            left: steps.iter().filter(|step| step.ended.is_some()).count(),
            seen: BTreeSet::new(),
            fewest_left: usize::MAX,
            stuck: String::new(),
        }
    }

    fn run(&mut self) -> Outcome {
        let mut first = Vec::new();
        self.place_free(&mut first);
        let mut choices = vec![self.choice(first)];
        while let Some(choice) = choices.last_mut() {
            if self.left == 0 {
                return Outcome::Explained;
            }
            if self.seen.len() > CONFIGURATIONS_MAX {
                return Outcome::Undecided;
            }
            let Some(step) = choice.candidates.get(choice.next).copied() else {
                let done = choices.pop().expect("the loop holds one");
                self.take_back(&done);
                continue;
            };
            choice.next += 1;
            let (value, low) = (self.value, self.low);
            let Some(after) = self.after(step) else { continue };
            let mut placed = Vec::new();
            self.value = after;
            self.place(step, &mut placed);
            self.place_free(&mut placed);
            let mut deeper = self.choice(placed);
            (deeper.value, deeper.low) = (value, low);
            if self.seen.insert((self.placed.words.clone(), self.value)) {
                choices.push(deeper);
            } else {
                self.take_back(&deeper);
            }
        }
        Outcome::Impossible { details: self.stuck.clone() }
    }

    /// What can be placed next, now that `placed` are.
    fn choice(&mut self, placed: Vec<usize>) -> Choice {
        let candidates = self.candidates();
        if self.left < self.fewest_left {
            self.fewest_left = self.left;
            self.stuck = self.describe(&candidates);
        }
        Choice { candidates, next: 0, placed, value: self.value, low: self.low }
    }

    /// Steps that began before any step that is left had ended: those that ended first, then the
    /// open ones, which nothing but their traces forces to be placed.
    fn candidates(&self) -> Vec<usize> {
        let latest = self.latest_begin();
        let from = |open: bool, low: usize| {
            (low..self.steps.len())
                .take_while(move |step| self.steps[*step].invoked <= latest)
                .filter(move |step| self.steps[*step].ended.is_none() == open)
                .filter(|step| !self.placed.has(*step) && self.writes(*step))
        };
        let mut ended: Vec<usize> = from(false, self.low).collect();
        ended.sort_by_key(|step| self.steps[*step].ended);
        let mut tried: Vec<Deed> = Vec::new();
        for step in from(true, 0).filter(|step| self.is_of_use(*step, latest)) {
            // Of open steps that do the same, the first one is as good as any.
            if !tried.contains(&self.steps[step].deed) {
                tried.push(self.steps[step].deed);
                ended.push(step);
            }
        }
        ended
    }

    /// Whether a step that could come next rests on what the open step `write` leaves behind.
    ///
    /// Others need not be tried: an order with an open write stays one if that write is moved to
    /// right before the first step that rests on it, or left out if none does.
    fn is_of_use(&self, write: usize, latest: Moment) -> bool {
        let Some(after) = self.after(write) else { return false };
        let could_follow = (0..self.steps.len())
            .take_while(|step| self.steps[*step].invoked <= latest)
            .filter(|step| *step != write && !self.placed.has(*step));
        could_follow.into_iter().any(|step| match self.steps[step].deed {
            Deed::Read(value) => value == after,
            Deed::WriteIf { expected, .. } => expected == after,
            Deed::RefuseIf { expected } => expected == self.value && expected != after,
            Deed::Write(_) => false,
        })
    }

    /// No step that begins later can come next: one that is left has ended by then.
    fn latest_begin(&self) -> Moment {
        let mut latest = Moment(u64::MAX);
        for step in self.low..self.steps.len() {
            if self.steps[step].invoked > latest {
                break;
            }
            if let (Some(ended), false) = (self.steps[step].ended, self.placed.has(step)) {
                latest = latest.min(ended);
            }
        }
        latest
    }

    /// Places every step that changes nothing and is true now: doing so early never hurts.
    fn place_free(&mut self, placed: &mut Vec<usize>) {
        loop {
            let latest = self.latest_begin();
            let free = (self.low..self.steps.len())
                .take_while(|step| self.steps[*step].invoked <= latest)
                .find(|step| {
                    !self.placed.has(*step) && !self.writes(*step) && self.after(*step).is_some()
                });
            match free {
                Some(step) => self.place(step, placed),
                None => return,
            }
        }
    }

    fn place(&mut self, step: usize, placed: &mut Vec<usize>) {
        self.placed.flip(step);
        placed.push(step);
        self.left -= usize::from(self.steps[step].ended.is_some());
        while self.low < self.steps.len()
            && (self.placed.has(self.low) || self.steps[self.low].ended.is_none())
        {
            self.low += 1;
        }
    }

    fn take_back(&mut self, choice: &Choice) {
        for step in &choice.placed {
            self.placed.flip(*step);
            self.left += usize::from(self.steps[*step].ended.is_some());
        }
        (self.value, self.low) = (choice.value, choice.low);
    }

    fn writes(&self, step: usize) -> bool {
        match self.steps[step].deed {
            Deed::Write(_) | Deed::WriteIf { .. } => true,
            Deed::RefuseIf { .. } | Deed::Read(_) => false,
        }
    }

    /// What the document holds after `step`, if `step` can be true now.
    fn after(&self, step: usize) -> Option<ValueId> {
        match self.steps[step].deed {
            Deed::Write(value) => Some(value),
            Deed::WriteIf { expected, value } => (self.value == expected).then_some(value),
            Deed::RefuseIf { expected } => (self.value != expected).then_some(self.value),
            Deed::Read(value) => (self.value == value).then_some(value),
        }
    }

    fn describe(&self, candidates: &[usize]) -> String {
        let latest = self.latest_begin();
        let waiting = (self.low..self.steps.len())
            .take_while(|step| self.steps[*step].invoked <= latest)
            .filter(|step| !self.placed.has(*step))
            .map(|step| self.show(step));
        format!(
            "{} of {} steps are left; it holds {}; next must come one of [{}], writes: [{}]",
            self.left,
            self.steps.len(),
            self.value.0,
            waiting.collect::<Vec<_>>().join("; "),
            candidates.iter().map(|step| self.show(*step)).collect::<Vec<_>>().join("; "),
        )
    }

    fn show(&self, step: usize) -> String {
        let Step { invoked, ended, deed } = self.steps[step];
        let ended = ended.map_or("open".to_owned(), |ended| ended.to_string());
        format!("{invoked}..{ended} {deed:?}")
    }
}

#[cfg(test)]
mod tests;
