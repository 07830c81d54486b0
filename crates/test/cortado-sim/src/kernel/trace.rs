//! The story of a run: always as one number, and as text if the caller asks for it.
//!
//! Start reading at [`Trace::note`].

use crate::kernel::time::Moment;
use std::collections::VecDeque;
use std::io::Write;

/// Everything that has happened so far.
#[derive(Debug)]
pub struct Trace {
    hash: u64,
    notes: u64,
    telling: Telling,
}

/// What becomes of the text of notes.
#[derive(Debug)]
pub enum Telling {
    /// Never made.
    Silent,
    /// Printed as it happens.
    Printed,
    /// The last lines are kept, at most so many.
    Kept(VecDeque<String>, usize),
}

impl Trace {
    /// An empty story.
    pub fn new(telling: Telling) -> Trace {
        Trace { hash: 0x0c0a_7ad0, notes: 0, telling }
    }

    /// Something happened. `facts` decide the hash; `text` is only made if it is read.
    pub fn note(&mut self, at: Moment, facts: &[u64], text: impl FnOnce() -> String) {
        self.notes += 1;
        self.mix(at.0);
        for fact in facts {
            self.mix(*fact);
        }
        match &mut self.telling {
            Telling::Silent => {}
            Telling::Printed => {
                // The reader may have closed the pipe.
                let _closed = writeln!(std::io::stdout(), "{at} {}", text());
            }
            Telling::Kept(lines, lines_max) => {
                if lines.len() == *lines_max {
                    lines.pop_front();
                }
                lines.push_back(format!("{at} {}", text()));
            }
        }
    }

    /// Whether the text is printed or kept.
    pub fn is_told(&self) -> bool {
        !matches!(self.telling, Telling::Silent)
    }

    /// Adds something to the story's number that its text leaves out.
    pub fn mix(&mut self, fact: u64) {
        // One round of a multiplicative hash: order matters, and every bit spreads upwards.
        self.hash = (self.hash.rotate_left(23) ^ fact).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    /// The whole story as a number: equal for equal stories.
    pub fn hash(&self) -> u64 {
        self.hash ^ (self.hash >> 29) ^ self.notes
    }

    /// The lines that were kept.
    pub fn into_lines(self) -> Vec<String> {
        match self.telling {
            Telling::Silent | Telling::Printed => Vec::new(),
            Telling::Kept(lines, _) => lines.into(),
        }
    }
}
