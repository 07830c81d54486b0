//! The lives of a replica on one node: from its checkpoint, until something ends it, and again.
//!
//! Start reading at [`keep_alive`].

use super::resync::{ResyncError, resync};
use super::{Halt, ReplicaDriver};
use crate::database_log::Origin;
use crate::events::EventKind;
use crate::inbox::{DriverInput, WriteEnd};
use crate::node_context::NodeContext;
use crate::replica_handle::{ReplicaHandle, ReplicaRole};
use cortado_log::{Extent, ReadError, VerifyError};
use cortado_model::{Batch, LogId, LogOffset, PartitionId, ReplicaIncarnation, with_causes};
use cortado_replica::{DecodeError, FoldState, NotDone};
use cortado_store::StoreError;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::sleep;
use tracing::{debug, error, info, warn};

/// After a failure that may pass.
const RETRY: Duration = Duration::from_millis(500);
/// After a failure that only a person, or another replica, can end.
const RETRY_BROKEN: Duration = Duration::from_secs(5);

/// Beyond every record, so that no other replica can have got past it.
const NO_RECORD: LogOffset = LogOffset(u64::MAX - 1);

/// Drives the replica of `handle` until the node ends or the partition is taken away.
pub(crate) async fn keep_alive(
    context: Arc<NodeContext>,
    handle: Arc<ReplicaHandle>,
    mut inbox: mpsc::Receiver<DriverInput>,
    origin: Origin,
) {
    let mut told_broken = None;
    for life in 1..=u32::MAX {
        let incarnation = ReplicaIncarnation { node: context.me.incarnation, life };
        let opened = offline(&mut inbox, open(&context, &handle, &origin)).await;
        let halt = match opened {
            Some(Ok(opened)) => {
                let inbox = &mut inbox;
                ReplicaDriver::new(&context, &handle, inbox, opened, incarnation).run().await
            }
            Some(Err(halt)) => halt,
            None => Halt::Ended,
        };
        let partition = handle.partition;
        handle.show_role(ReplicaRole::Offline);
        let rest = match halt {
            Halt::Ended => {
                debug!(%partition, node = %context.node(), "replica ended");
                return;
            }
            Halt::StoreFull { why } => {
                if await_room(&context, &handle, &mut inbox, &why).await.is_none() {
                    return;
                }
                Duration::ZERO
            }
            Halt::StoreFailed { why } => {
                error!(%partition, why, "store has failed");
                context.report_store_failure(why);
                RETRY_BROKEN
            }
            Halt::Damaged { why } => {
                error!(%partition, why, "replica is damaged");
                rebuild(&context, &handle, &mut inbox, LogOffset::ZERO, &why).await
            }
            Halt::Trimmed { first } => {
                warn!(%partition, %first, "replica is behind the log's beginning");
                let why = format!("the log begins at {first}, beyond this replica's checkpoint");
                rebuild(&context, &handle, &mut inbox, first, &why).await
            }
            Halt::Behind { at, why } => {
                // Only a replica that has got past the record has what this one lost.
                rebuild(&context, &handle, &mut inbox, at.plus(1), &why).await
            }
            Halt::StandsStill { why } => {
                return stand_still(&context, &handle, &mut inbox, why).await;
            }
            Halt::Broken { at, why } => {
                if told_broken.replace(at) != Some(at) {
                    error!(%partition, %at, why, "log and replica contradict one another");
                    let what = format!("out of service at offset {at}");
                    let evidence = vec![why.clone()];
                    context.decisions.explain(EventKind::Offline, Some(partition), what, evidence);
                }
                // Only a replica that has got past the record can help.
                rebuild(&context, &handle, &mut inbox, at.plus(1), &why).await
            }
        };
        if offline(&mut inbox, sleep(rest)).await.is_none() {
            return;
        }
    }
}

/// Serves nothing and touches nothing until told to stop: another build, or a person, goes on.
async fn stand_still(
    context: &Arc<NodeContext>,
    handle: &Arc<ReplicaHandle>,
    inbox: &mut mpsc::Receiver<DriverInput>,
    why: String,
) {
    let partition = handle.partition;
    error!(%partition, node = %context.node(), why, "replica stands still");
    let what = "out of service, and keeps what it has".to_owned();
    context.decisions.explain(EventKind::Offline, Some(partition), what, vec![why]);
    let _told_to_stop = offline(inbox, std::future::pending::<()>()).await;
}

/// Stands still until the store has room. What it shows can be read meanwhile. `None`: told to
/// stop.
async fn await_room(
    context: &Arc<NodeContext>,
    handle: &Arc<ReplicaHandle>,
    inbox: &mut mpsc::Receiver<DriverInput>,
    why: &str,
) -> Option<()> {
    let (partition, node) = (handle.partition, handle.node);
    error!(%partition, %node, why, "store is full; replica waits for room");
    let what = "the store is full: writes are refused until there is room".to_owned();
    let evidence = vec![why.to_owned()];
    context.decisions.explain(EventKind::Health, Some(partition), what, evidence);
    context.vitals.show_waiting_for_room(true);
    handle.show_role(ReplicaRole::Follower);
    let waited = loop {
        if offline(inbox, sleep(RETRY)).await.is_none() {
            break None;
        }
        if !matches!(probe(context, handle).await, Err(StoreError::Full { .. })) {
            info!(%partition, %node, "store has room again");
            break Some(());
        }
    };
    handle.show_role(ReplicaRole::Offline);
    context.vitals.show_waiting_for_room(false);
    waited
}

/// Writes what is there once more, to see whether the store takes it.
async fn probe(context: &Arc<NodeContext>, handle: &Arc<ReplicaHandle>) -> Result<(), StoreError> {
    let (store, partition) = (Arc::clone(&context.store), handle.partition);
    let probed =
        super::resync::blocking(context, move || match store.view(partition)?.checkpoint()? {
            Some(checkpoint) => {
                store.apply_one(partition, Batch { checkpoint, ..Batch::default() })
            }
            None => Ok(()),
        });
    probed.await.unwrap_or(Ok(()))
}

/// Tries once to build the replica anew; answers how long to rest before going on.
async fn rebuild(
    context: &Arc<NodeContext>,
    handle: &Arc<ReplicaHandle>,
    inbox: &mut mpsc::Receiver<DriverInput>,
    beyond: LogOffset,
    why: &str,
) -> Duration {
    match offline(inbox, resync(context, handle, beyond, why)).await {
        Some(Ok(())) | None => Duration::ZERO,
        Some(Err(error)) => {
            let partition = handle.partition;
            warn!(%partition, %error, "replica not rebuilt");
            handle.show_role(ReplicaRole::Offline);
            match error {
                ResyncError::NoSource { .. } => RETRY_BROKEN,
                ResyncError::Log { .. } | ResyncError::Store(_) | ResyncError::Interrupted => RETRY,
            }
        }
    }
}

/// The fold state to go on from, in the log that is there.
async fn open(
    context: &Arc<NodeContext>,
    handle: &Arc<ReplicaHandle>,
    origin: &Origin,
) -> Result<FoldState, Halt> {
    let partition = handle.partition;
    let genesis = &origin.genesis;
    let log = verify(context, origin).await?;
    let checkpoint = context.store.view(partition).and_then(|view| view.checkpoint());
    let checkpoint = checkpoint.map_err(super::effects::halt_of)?;
    let Extent { first, end, .. } = extent(context, partition).await.map_err(unreadable)?;
    let Some(checkpoint) = checkpoint else {
        // An interrupted snapshot may have left entries without a checkpoint.
        clear(context, handle).await?;
        return match first {
            LogOffset::ZERO => Ok(FoldState::before(genesis.clone(), log)),
            first => Err(Halt::Trimmed { first }),
        };
    };
    let fold = FoldState::decode(&checkpoint).map_err(|error| {
        let why = format!("its checkpoint: {error}");
        match error {
            DecodeError::NeedsUpgrade(_) => Halt::StandsStill { why },
            DecodeError::Damaged(_) | DecodeError::Foreign => Halt::Damaged { why },
        }
    })?;
    if fold.log != log {
        return Err(replaced(log, fold.log));
    }
    if fold.genesis.identity != genesis.identity {
        return Err(Halt::Damaged { why: "its checkpoint is of another partition".to_owned() });
    }
    if fold.position.offset > end {
        // No replica can be right beyond the end of its log: do not ask for one.
        let at = NO_RECORD;
        let applied = fold.position.offset;
        let why = format!("the log ends at {end}, this replica has applied up to {applied}");
        return Err(Halt::Broken { at, why });
    }
    if fold.position.offset < first {
        return Err(Halt::Trimmed { first });
    }
    let (node, scn, offset) = (context.node(), fold.last, fold.position.offset);
    info!(%partition, %node, %scn, %offset, %end, "replica starts");
    Ok(fold)
}

async fn clear(context: &Arc<NodeContext>, handle: &Arc<ReplicaHandle>) -> Result<(), Halt> {
    let (store, partition) = (Arc::clone(&context.store), handle.partition);
    let removed = super::resync::blocking(context, move || store.remove(partition)).await;
    removed.map_err(|_| Halt::Ended)?.map_err(super::effects::halt_of)
}

/// Looks whether the log is there and the one that the catalog names.
async fn verify(context: &Arc<NodeContext>, origin: &Origin) -> Result<LogId, Halt> {
    let at = NO_RECORD;
    let broken = |error: VerifyError| Halt::Broken { at, why: error.to_string() };
    let found = context.log.verify(&origin.spec).await.map_err(broken)?.log;
    match origin.log {
        Some(wanted) if wanted != found => Err(replaced(found, wanted)),
        Some(_) | None => Ok(found),
    }
}

/// Another log has taken the place of the replica's: what it has may be all that is left.
fn replaced(found: LogId, wanted: LogId) -> Halt {
    let why = format!("the log was replaced: its identity is {found}, not {wanted}");
    Halt::StandsStill { why }
}

/// Where the partition's log begins and ends.
pub(super) async fn extent(
    context: &NodeContext,
    partition: PartitionId,
) -> Result<Extent, ReadError> {
    let extents = context.log.extents(&[partition]).await?;
    // One was asked for.
    extents.into_iter().next().ok_or(ReadError::Missing)
}

fn unreadable(error: ReadError) -> Halt {
    match error {
        ReadError::Trimmed { first } => Halt::Trimmed { first },
        ReadError::Damaged { .. }
        | ReadError::Unavailable(_)
        | ReadError::Diverged { .. }
        | ReadError::Hole { .. }
        | ReadError::Replaced { .. }
        | ReadError::Missing => Halt::Broken { at: NO_RECORD, why: with_causes(&error) },
    }
}

/// Runs `work` and answers meanwhile that this replica serves nothing. `None`: told to stop.
async fn offline<T>(
    inbox: &mut mpsc::Receiver<DriverInput>,
    work: impl Future<Output = T>,
) -> Option<T> {
    tokio::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return Some(done),
            input = inbox.recv() => match input? {
                DriverInput::Write(command) => {
                    if command.ticket.begin() {
                        // A client that has gone away wants no answer.
                        let _ = command.reply.send(Err(WriteEnd::NotDone(NotDone::Offline)));
                    }
                }
                DriverInput::Read { reply, .. } | DriverInput::HandOff { reply, .. } => {
                    let _ = reply.send(Err(NotDone::Offline));
                }
                DriverInput::Stop => return None,
                DriverInput::Claim { .. }
                | DriverInput::Verify
                | DriverInput::Digest(_)
                | DriverInput::Condemned { .. } => {}
            },
        }
    }
}
