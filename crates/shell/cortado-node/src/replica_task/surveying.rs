//! What a driver must know before a replica can begin a life.

use crate::replica_host::ReplicaHost;
use cortado_driver::{AskLog, LogExtent, Survey, SurveyError};
use cortado_gateway::ExpectedLog;
use cortado_log::{LogReadError, VerifyError};
use cortado_model::{PartitionId, with_causes};

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
