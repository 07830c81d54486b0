//! The log as one driver reads it: a follower that is asked when the driver asks.
//!
//! Start reading at [`Reading::moved`].

use super::already::already;
use crate::asker::Input;
use crate::replica_handle::ReplicaHandle;
use cortado_driver::{Event, FollowError, JobId};
use cortado_gateway::page_from;
use cortado_log::{Follower, Log, page_of, ready_of};
use cortado_model::{LogOffset, LogPosition, PartitionId, with_causes};
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};
use tracing::{Span, warn};

/// Reads one partition.
pub(super) struct Reading {
    log: Arc<dyn Log>,
    partition: PartitionId,
    span: Span,
    follower: Option<Box<dyn Follower>>,
    wanted: Option<Wanted>,
    /// The follower had something to take, and its end had not moved: it waits to be read.
    quiet_at: Option<LogOffset>,
    /// The follower stands before what was folded, and the log is to be asked why, from then on.
    why_at: Option<Instant>,
}

/// A log that could not say why is asked again after this.
const WHY_AGAIN: Duration = Duration::from_millis(100);

/// The page that the driver waits for.
#[derive(Clone, Copy)]
struct Wanted {
    job: JobId,
    from: LogOffset,
    /// About as much.
    bytes_max: usize,
}

/// What the log has told.
pub(super) enum Heard {
    Page(Input),
    /// There may be a new end.
    Moved,
    /// Nothing new is there, and the log cannot be followed from here on.
    Failed(Input),
}

impl Reading {
    pub(super) fn new(log: Arc<dyn Log>, replica: &ReplicaHandle) -> Reading {
        let (partition, span) = (replica.partition, replica.span.clone());
        Reading { log, partition, span, follower: None, wanted: None, quiet_at: None, why_at: None }
    }

    /// Begins a life of the replica.
    pub(super) fn follow(&mut self, from: LogPosition) {
        self.follower = Some(self.log.follow(self.partition, from));
        (self.wanted, self.quiet_at, self.why_at) = (None, None, None);
    }

    /// The driver wants a page; it comes with [`moved`](Self::moved).
    pub(super) fn want(&mut self, job: JobId, from: LogPosition, bytes_max: usize) {
        if self.follower.is_none() {
            self.follow(from);
        }
        if let Some(follower) = &mut self.follower {
            // What was acknowledged need not be read.
            follower.seek(from);
        }
        self.wanted = Some(Wanted { job, from: from.offset, bytes_max });
    }

    /// Where the log ends, as far as it is known here; `None` while nothing is followed.
    pub(super) fn known_end(&mut self) -> Option<LogOffset> {
        let known = self.follower.as_mut()?.known_end();
        Some(self.log.local_end(self.partition).map_or(known, |end| end.max(known)))
    }

    /// The page that the driver wants, or a new end.
    ///
    /// * `position`: what the driver has folded; `None` while a new end is of no interest.
    /// * `told`: the end that it was told last.
    pub(super) async fn moved(&mut self, position: Option<LogPosition>, told: LogOffset) -> Heard {
        if self.wanted.is_some() {
            return Heard::Page(self.page().await);
        }
        // It may have moved since it was told.
        if position.is_some() && self.known_end().is_some_and(|end| end > told) {
            return Heard::Moved;
        }
        let (Some(follower), Some(position)) = (&mut self.follower, position) else {
            return pending().await;
        };
        let end = follower.known_end();
        // The driver knows of more than it has folded: it will ask.
        if told > position.offset || self.quiet_at == Some(end) {
            return pending().await;
        }
        if self.why_at.is_none() {
            follower.seek(position);
            ready_of(follower.as_mut()).await;
        }
        let known = follower.known_end();
        // Its driver asks for nothing: what it has folded reaches up to there, or beyond. The
        // follower is not asked either: what it told now it would not tell again.
        if known <= position.offset {
            sleep_until(*self.why_at.get_or_insert_with(Instant::now)).await;
            if let Err(error) = self.log.read(self.partition, position, 1).await {
                self.why_at = Some(Instant::now() + WHY_AGAIN);
                return Heard::Failed(Event::LogFailed(self.unread(error)));
            }
            if known == position.offset {
                // What it had to tell is over, and it would tell nothing else: another one hears
                // what comes.
                self.follow(position);
                return Heard::Moved;
            }
        }
        (self.quiet_at, self.why_at) = (Some(end).filter(|end| known == *end), None);
        Heard::Moved
    }

    /// The page that the driver wants, if it is there.
    pub(super) async fn page_already(&mut self) -> Option<Input> {
        self.wanted?;
        already(self.page()).await
    }

    async fn page(&mut self) -> Input {
        let (Some(Wanted { job, from, bytes_max }), Some(follower)) =
            (self.wanted, &mut self.follower)
        else {
            return pending().await;
        };
        let page = page_of(follower.as_mut(), bytes_max).await;
        (self.wanted, self.quiet_at, self.why_at) = (None, None, None);
        let page = page.map(|page| page_from(from, page));
        Event::Page(job, page.map_err(|error| self.unread(error)))
    }

    /// The driver's word for why there is no page; the log says why.
    fn unread(&self, error: cortado_log::LogReadError) -> FollowError {
        let why = with_causes(&error);
        match error {
            cortado_log::LogReadError::Trimmed { first } => FollowError::Trimmed { first },
            cortado_log::LogReadError::Diverged { end } => FollowError::Truncated { end },
            cortado_log::LogReadError::Replaced { found } => FollowError::Replaced { found },
            cortado_log::LogReadError::Missing => FollowError::Missing,
            cortado_log::LogReadError::Damaged { .. } | cortado_log::LogReadError::Hole { .. } => {
                FollowError::Broken { why }
            }
            cortado_log::LogReadError::Unavailable(_) => {
                warn!(parent: &self.span, error = why, "log not read; retrying");
                FollowError::Unavailable
            }
        }
    }
}
