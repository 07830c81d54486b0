//! When a node says that it lives, and what the log's answer says about the node.
//!
//! Start reading at [`Heartbeats::look`].

use crate::detector::Evidence;
use crate::settings::Settings;
use cortado_model::Millis;

/// The pace of a node's own heartbeats: one at a time.
#[derive(Clone, Debug)]
pub(super) struct Heartbeats {
    interval_ms: u64,
    /// Without an answer for longer than this, a heartbeat has failed.
    patience_ms: u64,
    due: Millis,
    /// When the one was sent that has not been answered.
    sent_at: Option<Millis>,
}

impl Heartbeats {
    /// The first one is due at once.
    pub(super) fn new(now: Millis, settings: &Settings) -> Heartbeats {
        Heartbeats {
            interval_ms: settings.heartbeat_ms,
            patience_ms: settings.dead_after_ms,
            due: now,
            sent_at: None,
        }
    }

    /// What the answer shows; nothing if nobody waits for it any longer.
    pub(super) fn answered(&mut self, now: Millis, appended: bool) -> Option<Evidence> {
        let took_ms = now.since(self.sent_at.take()?);
        let evidence =
            if appended { Evidence::OwnAppend { took_ms } } else { Evidence::OwnAppendFailed };
        Some(evidence)
    }

    /// Gives up the heartbeat that takes too long: an answer that comes now is not heard.
    pub(super) fn give_up(&mut self, now: Millis) -> Option<Evidence> {
        self.sent_at.take_if(|at| now.since(*at) > self.patience_ms)?;
        Some(Evidence::OwnAppendFailed)
    }

    /// Whether to send one now. What was missed is not made up for.
    pub(super) fn look(&mut self, now: Millis) -> bool {
        if self.sent_at.is_some() || now < self.due {
            return false;
        }
        self.due = now.max(self.due.plus(self.interval_ms));
        self.sent_at = Some(now);
        true
    }

    /// When to look next.
    pub(super) fn wake_at(&self) -> Millis {
        self.sent_at.map_or(self.due, |at| at.plus(self.patience_ms).plus(1))
    }
}
