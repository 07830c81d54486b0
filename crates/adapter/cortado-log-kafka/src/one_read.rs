//! A single read: a page from a position on, or why there is none.

use crate::lifecycle::Lifecycle;
use crate::partition_follower::PartitionFollower;
use cortado_log::{LogPage, LogReadError, page_of};
use cortado_model::{LogOffset, LogPosition, PartitionId};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// So many looks must agree that the log ends below the position.
const LOOKS: u32 = 3;
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Reads from `from` on, until `bytes_max` or the end is reached.
///
/// * `follower`: makes one that begins there.
pub(crate) async fn read(
    lifecycle: Arc<Lifecycle>,
    follower: impl FnOnce() -> PartitionFollower,
    partition: PartitionId,
    from: LogPosition,
    bytes_max: usize,
) -> Result<LogPage, LogReadError> {
    let end = find_end(&lifecycle, partition, from).await?;
    let mut page = LogPage { entries: Vec::new(), next: from, end };
    let mut follower = follower();
    let mut bytes = 0;
    while page.next.offset < end && bytes <= bytes_max {
        let more = timeout(lifecycle.settings.call_timeout, page_of(&mut follower, bytes_max));
        let late = || LogReadError::Unavailable(io::ErrorKind::TimedOut.into());
        let more = match more.await.map_err(|_| late()).flatten() {
            Ok(more) => more,
            // What was read before it is told; the next read begins there.
            Err(_) if page.next.offset > from.offset => break,
            Err(error) => return Err(error),
        };
        // A page is of one leader.
        if !page.entries.is_empty() && more.next.epoch != page.next.epoch {
            break;
        }
        bytes += more.entries.iter().map(|entry| entry.record.len()).sum::<usize>();
        page.entries.extend(more.entries);
        page.next = more.next;
        page.end = page.end.max(more.end);
    }
    cut(&mut page, bytes_max);
    Ok(page)
}

/// The end of the log, which `from` lies in or at.
async fn find_end(
    lifecycle: &Lifecycle,
    partition: PartitionId,
    from: LogPosition,
) -> Result<LogOffset, LogReadError> {
    for look in 1.. {
        let extent = lifecycle.extents(&[partition]).await?.pop().ok_or(LogReadError::Missing)?;
        if lifecycle.known.of(partition).is_some_and(|known| known.id != extent.log) {
            return Err(LogReadError::Replaced { found: extent.log });
        }
        if from.offset < extent.first {
            return Err(LogReadError::Trimmed { first: extent.first });
        }
        if from.offset <= extent.end {
            return Ok(extent.end);
        }
        if look >= LOOKS {
            return Err(LogReadError::Diverged { end: extent.end });
        }
        // A broker that has been replaced and does not know it tells an old end.
        sleep(LOOK_EVERY).await;
    }
    Err(LogReadError::Missing)
}

/// Leaves out what does not fit; one record always does.
fn cut(page: &mut LogPage, bytes_max: usize) {
    let mut bytes = 0;
    let fits = page.entries.iter().take_while(|entry| {
        bytes += entry.record.len();
        bytes <= bytes_max
    });
    let count = fits.count().max(1);
    if let Some(next) = page.entries.get(count) {
        page.next.offset = next.offset;
        page.entries.truncate(count);
    }
}
