//! Reading the log: a follower in big strides, a leader only where it must.
//!
//! Start reading at [`ReplicaDriver::read_log`].

use super::restart::extent;
use super::{Halt, ReplicaDriver};
use crate::log_page::page_from;
use cortado_log::{ReadError, page_of};
use cortado_model::{LogOffset, with_causes};
use cortado_replica::{Input, Role};
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tracing::warn;

/// A follower lets records gather this long, so that it wakes and writes its store for many at
/// once and leaves the processors to the leaders. Whoever waits for it is served at once.
const GATHER: Duration = Duration::from_millis(5);
/// The same where many come: a batch costs the store much that does not grow with it.
const GATHER_BUSY: Duration = Duration::from_millis(20);
/// Records of one read that make a follower busy.
const BUSY_RECORDS: usize = 4;
/// A log that cannot be read now is read again after this.
const RETRY: Duration = Duration::from_millis(100);
/// Bytes of one read: enough for a good batch, few enough to stay within a processor's cache.
const READ_BYTES_MAX: usize = 1 << 20;
/// Reads, one after another, before requests get their turn.
const READS_PER_TURN: usize = 4;

/// When the log is to be read next.
#[derive(Default)]
pub(super) struct Pace {
    due: Option<Instant>,
    busy: bool,
}

impl Pace {
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    fn gather(&self) -> Duration {
        if self.busy { GATHER_BUSY } else { GATHER }
    }

    /// Whether a new end should wake the driver, rather than the time or an acknowledgement.
    pub(super) fn watches_end(&self, nothing_appended: bool) -> bool {
        self.due.is_none() && nothing_appended
    }
}

impl ReplicaDriver<'_> {
    /// Duties 2 and 8: feeds the log page by page, as the core needs it.
    pub(super) async fn read_log(&mut self) -> Result<(), Halt> {
        for _ in 0..READS_PER_TURN {
            let urgent = self.requests.has_reads() || self.core.role() != Role::Follower;
            let mut end = self.follower.known_end();
            if urgent && let Some(local) = self.context.log.local_end(self.handle.partition) {
                end = end.max(local);
            }
            if !self.core.needs_records(end) {
                self.pace.due = None;
                return Ok(());
            }
            let now = Instant::now();
            if !urgent && self.pace.due.is_none_or(|due| now < due) {
                if self.pace.due.is_none() {
                    self.handle.show_behind(self.context.clock.steady());
                    self.pace.due = Some(now + self.pace.gather());
                }
                return Ok(());
            }
            self.pace.due = None;
            if !self.read_once().await? {
                return Ok(());
            }
        }
        // There is more, but others have waited.
        self.pace.due = Some(Instant::now());
        Ok(())
    }

    /// Answers whether there may be more to read at once.
    async fn read_once(&mut self) -> Result<bool, Halt> {
        let from = self.core.fold().position.offset;
        let partition = self.handle.partition;
        self.follower.seek(self.core.fold().position);
        let page = page_of(self.follower.as_mut(), READ_BYTES_MAX).await;
        match page {
            Ok(page) if page.next.offset == from => {
                self.pace.due = Some(Instant::now() + GATHER);
                Ok(false)
            }
            Ok(page) => {
                let bytes: usize = page.entries.iter().map(|entry| entry.record.len()).sum();
                self.pace.busy = page.entries.len() >= BUSY_RECORDS;
                self.step(Input::Page(page_from(from, page)));
                self.settle()?;
                self.show();
                Ok(bytes >= READ_BYTES_MAX / 2)
            }
            Err(ReadError::Trimmed { first }) => Err(Halt::Trimmed { first }),
            Err(
                error @ (ReadError::Damaged { .. }
                | ReadError::Diverged { .. }
                | ReadError::Hole { .. }
                | ReadError::Replaced { .. }
                | ReadError::Missing),
            ) => Err(Halt::Broken { at: from, why: error.to_string() }),
            Err(error @ ReadError::Unavailable(_)) => {
                warn!(%partition, %from, error = with_causes(&error), "log not read");
                self.pace.due = Some(Instant::now() + RETRY);
                Ok(false)
            }
        }
    }

    /// Duty 7: the log has not said where records are. Finds out what it holds, all of it.
    pub(super) async fn recover(&mut self) -> Result<(), Halt> {
        let partition = self.handle.partition;
        let producer = self.context.log.producer(partition);
        for completed in self.appends.replace_producer(producer) {
            self.on_appended(completed);
        }
        let end = loop {
            match extent(self.context, partition).await {
                Ok(extent) => break extent.end,
                Err(error) => {
                    warn!(%partition, error = with_causes(&error), "log's end unknown");
                    sleep(RETRY).await;
                }
            }
        };
        while self.core.fold().position.offset < end {
            let before: LogOffset = self.core.fold().position.offset;
            self.read_once().await?;
            if self.core.fold().position.offset == before {
                sleep(GATHER).await;
            }
        }
        self.recovering = false;
        self.step(Input::CaughtUp { end });
        self.settle()
    }
}
