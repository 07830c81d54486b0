//! What a replica wants to know of the others, and when it asks.
//!
//! Decides nothing about the answers. Start reading at [`Asking`].

use crate::event::JobId;
use crate::standing::Folded;
use cortado_model::Millis;

/// The first pause where the answer is urgent; doubled up to the last one.
const PAUSE_MS: u64 = 10;
const PAUSE_DOUBLINGS_MAX: u32 = 3;
/// Where it is not.
const PAUSE_MS_PATIENT: u64 = 1_000;
/// Where there was no other replica to ask: one may have been placed since.
const PAUSE_MS_ALONE: u64 = 10_000;
/// A question that was not answered in this time never will be.
const ANSWER_MS_MAX: u64 = 1_000;

/// The question how the placed replicas stand.
#[derive(Debug, Default)]
pub(crate) struct Asking {
    /// That was asked and not answered, and when.
    open: Option<(JobId, Millis)>,
    /// When it is asked next, if the answer is still needed.
    next: Millis,
    /// How often it was answered since [`begin`](Asking::begin).
    answers: u32,
}

impl Asking {
    /// The answer is needed anew, at once.
    pub(crate) fn begin(&mut self) {
        (self.next, self.answers) = (Millis::default(), 0);
    }

    pub(crate) fn due(&self) -> Millis {
        self.open.map_or(self.next, |(_, asked)| asked.plus(ANSWER_MS_MAX).max(self.next))
    }

    pub(crate) fn asked(&mut self, job: JobId, now: Millis) {
        self.open = Some((job, now));
    }

    /// `false` if it was another time's question.
    pub(crate) fn answered(&mut self, job: JobId, now: Millis, urgency: Option<Urgency>) -> bool {
        if self.open.take_if(|(asked, _)| *asked == job).is_none() {
            return false;
        }
        let pause_ms = match urgency {
            Some(Urgency::Now) => PAUSE_MS << self.answers.min(PAUSE_DOUBLINGS_MAX),
            Some(Urgency::Soon) | None => PAUSE_MS_PATIENT,
            Some(Urgency::Sometime) => PAUSE_MS_ALONE,
        };
        self.next = now.plus(pause_ms);
        self.answers = self.answers.saturating_add(1);
        true
    }
}

/// How soon the answer is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Urgency {
    Now,
    Soon,
    Sometime,
}

/// A claimant's histories and those of others.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Comparing {
    /// There is nothing to compare, or it has been done.
    #[default]
    Done,
    /// This replica opens its generation when all have answered, or at this time.
    BeforeOpening {
        own: Folded,
        until: Millis,
        /// Another replica has the same.
        agreed: bool,
    },
    /// It has opened its generation, and no replica has answered. Compares with the first to do so.
    Unverified {
        own: Folded,
        /// There was no other replica.
        alone: bool,
    },
    /// It does not open it: another one must claim the next.
    Diverged { own: Folded },
}

impl Comparing {
    /// This replica's history, right behind its claim.
    pub(crate) fn own(&self) -> Option<Folded> {
        match self {
            Comparing::Done => None,
            Comparing::BeforeOpening { own, .. }
            | Comparing::Unverified { own, .. }
            | Comparing::Diverged { own } => Some(*own),
        }
    }
}
