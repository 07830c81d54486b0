//! The committed transactions of a partition, in order, from any SCN on.
//!
//! Reads the log and folds it as every replica does, so it shows exactly what counts. Start
//! reading at [`ChangeReader::next`].

use super::read::Wanted;
use super::{Consistency, Gateway, ReadError, ReadOptions};
use crate::catalog::Database;
use crate::genesis::genesis_of;
use crate::log_page::page_from;
use cortado_log::{Extent, Follower, Log, LogPage, LogReadError, page_of, ready_of};
use cortado_model::{PartitionId, Scn};
use cortado_replica::{Body, Committed, DecodeError, FoldState, Stop};
use std::io;
use std::time::Duration;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, sleep, timeout_at};

/// Bytes of one read of the log: what one call of [`ChangeReader::next`] answers at most, unless
/// a single record is larger. Little, since readers that stop reading hold it, a thousand of them.
const READ_BYTES_MAX: usize = 256 << 10;
/// A log that cannot be read now is read again after this.
const RETRY: Duration = Duration::from_millis(100);
/// How long a log may take to bring what it is known to hold. Below the pace of heartbeats, which a
/// reader that waits for it owes its client.
const BROUGHT_WITHIN: Duration = Duration::from_secs(8);

/// Follows the changes of one partition.
pub struct ChangeReader {
    follower: Box<dyn Follower>,
    fold: FoldState,
    /// Exclusive.
    since: Scn,
    /// Where the history ended when the reader was opened: before that it has not caught up,
    /// however long the log takes.
    end: Scn,
}

/// What a reader has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changes {
    /// Committed transactions, at least one, in SCN order.
    Transactions(Vec<Committed>),
    /// Nothing more was committed; the reader has seen everything up to here.
    CaughtUp {
        /// Where a reader may go on without missing anything.
        applied: Scn,
    },
}

/// Why changes cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum ChangesError {
    /// The partition number is not below the database's partition count.
    #[error("the database has no such partition")]
    NoSuchPartition,
    /// Nothing that was ever committed has that SCN.
    #[error("the partition's history ends at {end}")]
    BeyondEnd {
        /// Its last SCN.
        end: Scn,
    },
    /// It is a position in a database of the same name that was dropped.
    #[error("{since} is a position in a former database of this name")]
    FormerLife {
        /// What was asked for.
        since: Scn,
    },
    /// The log has forgotten what follows: read the documents, then follow from a newer SCN.
    #[error("the changes after {since} have been trimmed")]
    Trimmed {
        /// What was asked for.
        since: Scn,
    },
    /// No replica could serve the request in time.
    #[error(transparent)]
    Unserved(ReadError),
    /// The log cannot be read.
    #[error("the log cannot be read")]
    Unreadable(#[source] LogReadError),
    /// The fold, which tells what counts, cannot go past a record of the log.
    #[error("the log cannot be folded")]
    Stopped(#[source] Stop),
    /// The fold state from which to begin cannot be read.
    #[error("the fold state cannot be read")]
    FoldUnreadable(#[source] DecodeError),
}

impl Gateway {
    /// Opens the changes of a partition after `since`; [`Scn::ZERO`] is from the beginning.
    ///
    /// # Errors
    /// See [`ChangesError`].
    pub async fn changes(
        &self,
        database: &Database,
        partition: u32,
        since: Scn,
        deadline: Instant,
    ) -> Result<ChangeReader, ChangesError> {
        if partition >= database.partitions {
            return Err(ChangesError::NoSuchPartition);
        }
        if since > Scn::ZERO && since.generation <= database.after {
            return Err(ChangesError::FormerLife { since });
        }
        let genesis = genesis_of(database, partition, self.catalog().founding());
        let partition = database.partition_id(partition);
        let read = ReadOptions { consistency: Consistency::Strong, at_least: None, deadline };
        let opened = self.read(partition, &read, Wanted::history(since)).await;
        let (fold, end) = opened.map_err(ChangesError::Unserved)?.value;
        if since > end {
            return Err(ChangesError::BeyondEnd { end });
        }
        let log = self.parts().log.as_ref();
        let Extent { log: id, first, .. } = extent(log, partition).await?;
        let fold = fold.map(|fold| FoldState::decode(&fold)).transpose();
        let fold = fold.map_err(ChangesError::FoldUnreadable)?;
        let fold = fold.unwrap_or_else(|| FoldState::before(genesis, id));
        if first > fold.position.offset {
            return Err(ChangesError::Trimmed { since });
        }
        Ok(ChangeReader { follower: log.follow(partition, fold.position), fold, since, end })
    }

    /// Waits until `database` is no longer declared, as far as this node knows.
    pub async fn dropped(&self, database: &Database) {
        self.cluster().catalog.forgets(database.id).await;
    }
}

impl ChangeReader {
    /// The next transactions; waits for one until `wait_until`, which may be in the past. What was
    /// committed before the reader was opened is waited for longer.
    ///
    /// Dropping the future loses nothing.
    ///
    /// # Errors
    /// See [`ChangesError`]; all but `Unserved` are final for this reader.
    pub async fn next(&mut self, wait_until: Instant) -> Result<Changes, ChangesError> {
        let brought_by = Instant::now() + BROUGHT_WITHIN;
        loop {
            let is_behind = self.folded() < self.end;
            let until = if is_behind { wait_until.max(brought_by) } else { wait_until };
            let page = match self.page(until).await {
                Ok(page) => page,
                Err(_) if is_behind => {
                    let late = io::ErrorKind::TimedOut.into();
                    return Err(ChangesError::Unreadable(LogReadError::Unavailable(late)));
                }
                Err(_) => {
                    let applied = self.folded().max(self.since);
                    return Ok(Changes::CaughtUp { applied });
                }
            };
            let page = match page {
                Ok(page) => page,
                Err(LogReadError::Trimmed { .. }) => {
                    return Err(ChangesError::Trimmed { since: self.since });
                }
                Err(LogReadError::Unavailable(_)) if Instant::now() < until => {
                    sleep(RETRY).await;
                    continue;
                }
                Err(error) => return Err(ChangesError::Unreadable(error)),
            };
            let mut found = Vec::new();
            let page = page_from(self.fold.position.offset, page);
            for record in self.fold.fold(page).map_err(ChangesError::Stopped)? {
                let header = record.header;
                // One without changes only remembers its answer.
                if let Body::Transaction(transaction) = record.body
                    && header.scn > self.since
                    && !transaction.changes.is_empty()
                {
                    found.push(Committed { scn: header.scn, time: header.time, transaction });
                }
            }
            if let Some(last) = found.last() {
                self.since = last.scn;
                return Ok(Changes::Transactions(found));
            }
        }
    }

    /// The last SCN that counts among what was read.
    fn folded(&self) -> Scn {
        self.fold.claimant.map_or(Scn::ZERO, |_| self.fold.last)
    }

    /// The next page, if it comes before `wait_until`. What is there already is told, however long
    /// it takes to read: an old record has to be fetched from a file.
    async fn page(
        &mut self,
        wait_until: Instant,
    ) -> Result<Result<LogPage, LogReadError>, Elapsed> {
        timeout_at(wait_until, ready_of(self.follower.as_mut())).await?;
        Ok(page_of(self.follower.as_mut(), READ_BYTES_MAX).await)
    }
}

async fn extent(log: &dyn Log, partition: PartitionId) -> Result<Extent, ChangesError> {
    let extents = log.extents(&[partition]).await.map_err(ChangesError::Unreadable)?;
    // One was asked for.
    extents.into_iter().next().ok_or(ChangesError::Unreadable(LogReadError::Missing))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::genesis::cluster_genesis;
    use cortado_model::{ClusterUuid, LogId, LogOffset, LogPosition};
    use std::task::{Context, Poll};

    /// A log that takes for ever to bring what it has.
    struct Slow;

    impl Follower for Slow {
        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<()> {
            Poll::Pending
        }

        fn poll_page(
            &mut self,
            _: &mut Context<'_>,
            _: usize,
        ) -> Poll<Result<LogPage, LogReadError>> {
            Poll::Pending
        }

        fn seek(&mut self, _: LogPosition) {}

        fn known_end(&mut self) -> LogOffset {
            LogOffset(0)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_log_that_is_slow_to_bring_what_it_holds_does_not_pass_for_its_end() {
        let reader = |end: &str| ChangeReader {
            follower: Box::new(Slow),
            fold: FoldState::before(cluster_genesis(ClusterUuid(1)), LogId::UNKNOWN),
            since: Scn::ZERO,
            end: end.parse().expect("an SCN"),
        };
        let now = Instant::now();
        let ended = reader("0:0").next(now).await.expect("nothing was committed");
        assert_eq!(ended, Changes::CaughtUp { applied: Scn::ZERO });
        assert_eq!(Instant::now(), now, "at once");
        let slow = reader("1:7").next(now).await;
        let is_late = |error: &ChangesError| {
            matches!(error, ChangesError::Unreadable(LogReadError::Unavailable(_)))
        };
        assert!(slow.as_ref().is_err_and(is_late), "{slow:?}");
    }
}
