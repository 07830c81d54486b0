//! What a driver must know before a replica can begin a life.

use crate::replica_host::ReplicaHost;
use cortado_driver::{AskLog, LogExtent, LookedThrough, Survey, SurveyError};
use cortado_gateway::ExpectedLog;
use cortado_log::{LogReadError, VerifyError};
use cortado_model::{Generation, LogPosition, PartitionId, with_causes};
use cortado_replica::Frame;
use std::time::Duration;
use tokio::time::sleep;

/// Bytes of a log that are looked through at once.
const PAGE_BYTES_MAX: usize = 1 << 20;
/// A log that has more, and shows none of it yet, is asked again after this.
const NOTHING_YET: Duration = Duration::from_millis(20);

/// Looks whether the log is there and which it is, then at the checkpoint, then where the log
/// begins and ends: in this order, so that no checkpoint is newer than the end.
pub(super) async fn survey(
    host: &ReplicaHost,
    partition: PartitionId,
    origin: &ExpectedLog,
) -> Result<Survey, SurveyError> {
    let unusable = |error: VerifyError| SurveyError::Log { why: with_causes(&error) };
    let verified = host.log.verify(&origin.spec).await.map_err(unusable)?;
    host.health.drifts.note(&origin.spec, &verified.drift);
    let log = verified.log;
    let checkpoint = host.lanes.read(move |store| store.view(partition)?.checkpoint()).await;
    let checkpoint = checkpoint.map_err(SurveyError::Store)?;
    let extent = ask_extent(host, partition).await;
    let extent = extent.map_err(|AskLog { why }| SurveyError::Log { why })?;
    Ok(Survey { log, checkpoint, extent })
}

/// The same, and the highest generation that a record of the partition names, whether it counts or
/// not: read from the beginning, for that may be long ago.
pub(super) async fn look_through(
    host: &ReplicaHost,
    partition: PartitionId,
    origin: &ExpectedLog,
) -> Result<LookedThrough, SurveyError> {
    let Survey { log, checkpoint, .. } = survey(host, partition, origin).await?;
    let unread = |error: LogReadError| SurveyError::Log { why: with_causes(&error) };
    let extents = host.log.extents(&[partition]).await.map_err(unread)?;
    let extent = extents.first().ok_or(LogReadError::Missing).map_err(unread)?;
    let mut highest = Generation::default();
    // The newest leader of the log's own knows all of it.
    let mut next = LogPosition { offset: extent.first, epoch: extent.epoch };
    while next.offset < extent.end {
        let page = host.log.read(partition, next, PAGE_BYTES_MAX).await.map_err(unread)?;
        let uuid = origin.genesis.identity.partition;
        let frames = page.entries.iter().filter_map(|entry| Frame::read(&entry.record, uuid).ok());
        highest = frames.map(|frame| frame.header.scn.generation).fold(highest, Ord::max);
        let goes_on = page.next.offset > next.offset;
        next = page.next;
        if !goes_on {
            sleep(NOTHING_YET).await;
        }
    }
    Ok(LookedThrough { log, checkpoint, end: next, highest })
}

/// Where the partition's log begins and ends.
pub(super) async fn ask_extent(
    host: &ReplicaHost,
    partition: PartitionId,
) -> Result<LogExtent, AskLog> {
    let extents = host.log.extents(&[partition]).await;
    // One was asked for.
    let extent =
        extents.and_then(|extents| extents.into_iter().next().ok_or(LogReadError::Missing));
    let extent = extent.map_err(|error| AskLog { why: with_causes(&error) })?;
    Ok(LogExtent { log: extent.log, first: extent.first, end: extent.end })
}
