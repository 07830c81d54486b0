//! Finding out what the log holds after it has not said where records are: duty 7.
//!
//! A state of the driver, so that it stays answerable meanwhile. Start reading at [`Recovery`].

use crate::event::JobId;
use cortado_model::{LogOffset, Millis};

/// A log that does not tell its end is asked again after this.
const RETRY_MS: u64 = 100;

/// How far it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Recovery {
    /// Everything is clear.
    #[default]
    None,
    /// The core asks for it.
    Wanted,
    /// The producer is replaced, and the log is asked for its end.
    Asking(JobId),
    /// The log has not told its end; it is asked again at this time.
    Resting(Millis),
    /// Everything below is to be folded.
    Folding(LogOffset),
    /// The end that was told lies before what has been folded: it may be an old one, or the log has
    /// lost records. A read from there on tells which, if there is something to be read; else the
    /// log is asked again.
    Doubting(Doubt),
}

/// An end that may be an old one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Doubt {
    end: LogOffset,
    /// When the log is asked again.
    again: Millis,
    /// A read is under way that was begun before, and proves nothing.
    old_read: bool,
}

impl Recovery {
    /// The core asks for it, perhaps once more.
    pub(crate) fn want(&mut self) {
        *self = Recovery::Wanted;
    }

    /// The log was asked, and has answered or not; nothing if that was another time.
    ///
    /// * `at`: up to where everything has been folded.
    /// * `reading`: a read is under way.
    pub(crate) fn told(
        &mut self,
        job: JobId,
        end: Option<LogOffset>,
        at: LogOffset,
        reading: bool,
        now: Millis,
    ) {
        if *self == Recovery::Asking(job) {
            let again = now.plus(RETRY_MS);
            *self = match end {
                Some(end) if end < at => {
                    Recovery::Doubting(Doubt { end, again, old_read: reading })
                }
                Some(end) => Recovery::Folding(end),
                None => Recovery::Resting(again),
            };
        }
    }

    /// The log could be read from what has been folded on: it has lost nothing of that.
    pub(crate) fn has_read(&mut self) {
        if let Recovery::Doubting(doubt) = self
            && !core::mem::take(&mut doubt.old_read)
        {
            *self = Recovery::Folding(doubt.end);
        }
    }

    /// Whether the log must be read from `at` on, up to where everything has been folded.
    pub(crate) fn wants_page(self, at: LogOffset) -> bool {
        match self {
            Recovery::Doubting(_) => true,
            Recovery::Folding(end) => at < end,
            Recovery::None | Recovery::Wanted | Recovery::Asking(_) | Recovery::Resting(_) => false,
        }
    }

    /// The log is to be asked again.
    pub(crate) fn is_rested(self, now: Millis) -> bool {
        self.due().is_some_and(|due| now >= due)
    }

    /// Up to where the log is to be folded, and nothing else.
    pub(crate) fn end(self) -> Option<LogOffset> {
        match self {
            Recovery::Folding(end) => Some(end),
            Recovery::None
            | Recovery::Wanted
            | Recovery::Asking(_)
            | Recovery::Resting(_)
            | Recovery::Doubting(_) => None,
        }
    }

    /// When to look again.
    pub(crate) fn due(self) -> Option<Millis> {
        match self {
            Recovery::Resting(again) | Recovery::Doubting(Doubt { again, .. }) => Some(again),
            Recovery::None | Recovery::Wanted | Recovery::Asking(_) | Recovery::Folding(_) => None,
        }
    }
}
