//! What the audience sees: titles, facts, and a clock, in colour where that is welcome.
//!
//! Start reading at [`Stage`].

use crate::logging::has_colour;
use crate::terminal::raw_stdout;
use std::io::{self, Write};
use std::time::Instant;

/// Prints to standard output.
#[derive(Debug)]
pub(crate) struct Stage {
    begun: Instant,
    has_colour: bool,
}

/// The colours that carry a meaning here.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Colour {
    Good,
    Bad,
    Quiet,
}

impl Stage {
    /// The clock starts now.
    pub(crate) fn new() -> Stage {
        Stage { begun: Instant::now(), has_colour: has_colour(&raw_stdout()) }
    }

    /// A new act.
    pub(crate) fn title(&self, text: &str) -> io::Result<()> {
        let (on, off) = if self.has_colour { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
        self.line(&format!("\n{on}{text}{off}"))
    }

    /// Something that has happened, with the time.
    pub(crate) fn fact(&self, text: &str) -> io::Result<()> {
        let clock = format!("{:7.2} s", self.begun.elapsed().as_secs_f64());
        self.line(&format!("{}  {text}", self.paint(Colour::Quiet, &clock)))
    }

    /// A line as it is.
    pub(crate) fn line(&self, text: &str) -> io::Result<()> {
        let mut out = raw_stdout().lock();
        writeln!(out, "{text}")?;
        out.flush()
    }

    /// `text` in a colour.
    pub(crate) fn paint(&self, colour: Colour, text: &str) -> String {
        let code = match colour {
            Colour::Good => "32",
            Colour::Bad => "1;31",
            Colour::Quiet => "2",
        };
        if self.has_colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}
