//! Following one partition: records as they come, from a feed that others may share.
//!
//! Start reading at [`PartitionFollower::find`].

use crate::feed_cell::{Found, Readiness};
use crate::feeds::{Attachment, Feeds, SKIPPED_MAX};
use crate::known_logs::{KnownLog, KnownLogs};
use cortado_log::{Follower, LogPage, LogReadError};
use cortado_model::{LogOffset, LogPosition, PartitionId};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// Follows one partition of the log that it was when it began.
pub(crate) struct PartitionFollower {
    known: Arc<KnownLogs>,
    feeds: Arc<Feeds>,
    partition: PartitionId,
    log: Option<Arc<KnownLog>>,
    position: LogPosition,
    /// Whether the position's epoch is that of what comes before it.
    has_epoch: bool,
    attachment: Option<Attachment>,
}

impl PartitionFollower {
    pub(crate) fn new(
        known: Arc<KnownLogs>,
        feeds: Arc<Feeds>,
        partition: PartitionId,
        from: LogPosition,
    ) -> PartitionFollower {
        let (log, has_epoch) = (known.of(partition), true);
        let (position, attachment) = (from, None);
        PartitionFollower { known, feeds, partition, log, position, has_epoch, attachment }
    }

    /// One that begins at an offset, whatever comes before it.
    pub(crate) fn anywhere(
        known: Arc<KnownLogs>,
        feeds: Arc<Feeds>,
        partition: PartitionId,
        from: u64,
    ) -> PartitionFollower {
        let from = LogPosition { offset: LogOffset(from), epoch: 0 };
        let mut follower = PartitionFollower::new(known, feeds, partition, from);
        follower.has_epoch = false;
        follower
    }

    /// The log, or why it cannot be followed.
    fn log(&mut self) -> Result<Arc<KnownLog>, LogReadError> {
        if self.log.is_none() {
            self.log = self.known.of(self.partition);
        }
        let log = self.log.clone().ok_or(LogReadError::Missing)?;
        match log.ended().or_else(|| self.contradicted(&log)) {
            Some(error) => Err(error),
            None => Ok(log),
        }
    }

    /// Why it cannot go on where it stands, if records of a later leader were seen before that.
    fn contradicted(&self, log: &KnownLog) -> Option<LogReadError> {
        // Checked once: what it is shown later it is shown in order.
        if !self.has_epoch || self.attachment.is_some() {
            return None;
        }
        let LogPosition { offset, epoch } = self.position;
        let number = self.partition.number;
        let parts = log.seen(number, |seen| seen.contradicts(offset.0, epoch)).flatten();
        parts.map(|end| LogReadError::Diverged { end: LogOffset(end) })
    }

    /// Where it stands, as feeds want it.
    fn place(&self) -> (u64, Option<u32>) {
        (self.position.offset.0, self.has_epoch.then_some(self.position.epoch))
    }

    fn attached(&mut self, log: &Arc<KnownLog>) -> &Attachment {
        let place = self.place();
        self.attachment.get_or_insert_with(|| self.feeds.attach(self.partition, log, place))
    }

    fn detach(&mut self) {
        if let Some(attachment) = self.attachment.take() {
            self.feeds.detach(self.partition, &attachment);
        }
    }

    /// What there is for this reader; pending while there is nothing.
    fn find(
        &mut self,
        context: &mut Context<'_>,
        bytes_max: usize,
    ) -> Poll<Result<LogPage, LogReadError>> {
        loop {
            let log = match self.log() {
                Ok(log) => log,
                Err(error) => {
                    self.detach();
                    return Poll::Ready(Err(error));
                }
            };
            let position = self.position;
            let attachment = self.attached(&log);
            let (cell, reader) = (Arc::clone(&attachment.cell), attachment.reader);
            let (found, is_due) = cell.take(reader, position, bytes_max);
            match found {
                Some(Found::Page(page)) => {
                    (self.position, self.has_epoch) = (page.next, true);
                    self.took(is_due);
                    return Poll::Ready(Ok(page));
                }
                Some(Found::Elsewhere) => self.detach(),
                Some(Found::Failed(error)) => {
                    self.detach();
                    return Poll::Ready(Err(error));
                }
                None => {
                    self.took(is_due);
                    // Or it has come meanwhile.
                    ready!(cell.poll_ready(context, reader, position.offset.0));
                }
            }
        }
    }

    /// Tells the feeds that something was taken from the one that is read.
    fn took(&self, is_due: bool) {
        self.feeds.took(is_due.then_some(self.partition));
    }
}

impl Follower for PartitionFollower {
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            let Ok(log) = self.log() else { return Poll::Ready(()) };
            let position = self.position.offset.0;
            let attachment = self.attached(&log);
            match ready!(attachment.cell.poll_ready(context, attachment.reader, position)) {
                Readiness::Here => return Poll::Ready(()),
                Readiness::Elsewhere => self.detach(),
            }
        }
    }

    fn poll_page(
        &mut self,
        context: &mut Context<'_>,
        bytes_max: usize,
    ) -> Poll<Result<LogPage, LogReadError>> {
        self.find(context, bytes_max)
    }

    fn seek(&mut self, to: LogPosition) {
        if to == self.position {
            return;
        }
        let is_near = to.offset >= self.position.offset
            && self.attachment.as_ref().is_some_and(|attachment| {
                to.offset.0 <= attachment.cell.wanted().saturating_add(SKIPPED_MAX)
            });
        (self.position, self.has_epoch) = (to, true);
        if !is_near {
            return self.detach();
        }
        if let Some(attachment) = &self.attachment {
            let is_due = attachment.cell.advance(attachment.reader, to.offset.0);
            self.took(is_due);
        }
    }

    fn known_end(&mut self) -> LogOffset {
        let Ok(log) = self.log() else { return LogOffset::ZERO };
        let feeds = Arc::clone(&self.feeds);
        let attachment = self.attached(&log);
        attachment.cell.known_end(feeds.known_end(attachment))
    }
}

impl Drop for PartitionFollower {
    fn drop(&mut self) {
        self.detach();
    }
}
