//! What people, metrics and detection are told of a replica.
//!
//! Start reading at [`tell`].

use crate::replica_handle::ReplicaHandle;
use crate::replica_host::ReplicaHost;
use cortado_cluster::Evidence;
use cortado_driver::News;
use cortado_gateway::EventKind;
use cortado_model::{Generation, LogOffset, NodeId, PartitionId, Scn};
use cortado_replica::Why;
use tracing::field::display;
use tracing::{debug, error, info, warn};

/// Tells one thing wherever it should be known.
pub(super) fn tell(host: &ReplicaHost, handle: &ReplicaHandle, news: News) {
    let partition = handle.partition;
    let Some(news) = tell_of_leadership(host, partition, news) else { return };
    let Some(news) = tell_of_log(host, partition, news) else { return };
    let Some(news) = tell_of_state(host, partition, news) else { return };
    tell_of_rounds(host, handle, news);
}

/// What is not about leadership is given back.
fn tell_of_leadership(host: &ReplicaHost, partition: PartitionId, news: News) -> Option<News> {
    let (node, metrics) = (host.node(), &host.metrics);
    match news {
        News::Claims => metrics.claims.add(1),
        News::NewGeneration { generation, leader, previous_end, own } => {
            tell_of_generation((partition, node), generation, leader, previous_end, own);
        }
        News::ClaimLost { generation } => {
            metrics.claims_lost.add(1);
            info!(%partition, %node, %generation, "claim lost");
        }
        News::Serving { generation } => info!(%partition, %node, %generation, "serving as leader"),
        News::Unverified { generation } => {
            warn!(%partition, %node, %generation, "leadership unverified: no peer answered");
        }
        News::Verified { generation } => {
            info!(%partition, %node, %generation, "leadership verified")
        }
        News::Diverged { generation, conflict, opened } => {
            error!(%partition, %node, %generation, %conflict, opened, "histories differ");
            let what = if opened {
                format!("leads generation {generation}, and another history has come up")
            } else {
                format!("does not open generation {generation}")
            };
            let evidence = vec![conflict.to_string()];
            host.decisions.explain(EventKind::Offline, Some(partition), what, evidence);
        }
        News::Disputed { offset, conflict } => {
            error!(%partition, %node, %offset, %conflict, "leader disputed");
            let what = format!("out of service at offset {offset}: disputes its leader's history");
            let evidence = vec![conflict.to_string()];
            host.decisions.explain(EventKind::Offline, Some(partition), what, evidence);
        }
        News::Resigned { generation, not_done } => {
            metrics.resignations.add(1);
            info!(%partition, %node, %generation, not_done, "leadership ended");
        }
        News::SteppedDown { generation, to, own } => {
            // Here too, the former leader's own report is enough.
            if own {
                let to = to.map(display);
                info!(%partition, %node, %generation, to, "leader stepped down");
            }
        }
        news => return Some(news),
    }
    None
}

fn tell_of_generation(
    (partition, node): (PartitionId, NodeId),
    generation: Generation,
    leader: NodeId,
    previous_end: Scn,
    own: bool,
) {
    // Of all replicas' reports, the new leader's own is enough.
    if own {
        info!(%partition, %node, %generation, %previous_end, "claim accepted");
    } else {
        debug!(%partition, %node, %generation, %leader, %previous_end, "claim seen");
    }
}

/// What is not about records is given back.
fn tell_of_log(host: &ReplicaHost, partition: PartitionId, news: News) -> Option<News> {
    let (node, metrics) = (host.node(), &host.metrics);
    match news {
        News::Heard { node, incarnation } => {
            host.health.heard(Evidence::PartitionRecord { node, incarnation: incarnation.node });
        }
        News::Void { offset, why } => {
            metrics.count_void(why);
            if why != Why::Foreign {
                debug!(%partition, %node, %offset, reason = ?why, "record is void");
            }
        }
        News::Foreign { offset, records } => {
            warn!(%partition, %node, %offset, records, "foreign records in the log");
        }
        News::GapBegan(gap) => {
            let (since, offset) = (gap.since, gap.noticed);
            warn!(%partition, %node, %since, %offset, "records are missing in the log");
        }
        News::GapEnded { since } => {
            info!(%partition, %node, %since, "missing records have arrived");
        }
        News::LostRecord { since, holder } => {
            error!(%partition, %node, %since, %holder, "replica has lost a record");
        }
        News::AppendFailed(failure) => {
            metrics.appends_failed.add(1);
            debug!(%partition, %node, reason = ?failure, "append not acknowledged");
        }
        News::ProducerAbandoned { appends } => {
            warn!(%partition, %node, appends, "gave up waiting for the log to acknowledge appends");
        }
        News::Republishing { records } => {
            warn!(%partition, %node, records, "republishing from the checkpoint");
        }
        News::Stopped { offset, why } => {
            error!(%partition, %node, %offset, reason = %why, "replica has stopped");
        }
        news => return Some(news),
    }
    None
}

/// What is not about the replica's state is given back.
fn tell_of_state(host: &ReplicaHost, partition: PartitionId, news: News) -> Option<News> {
    let node = host.node();
    let explain = |kind, what: String, evidence| {
        host.decisions.explain(kind, Some(partition), what, evidence);
    };
    match news {
        News::Starts { scn, offset, end } => {
            info!(%partition, %node, %scn, %offset, %end, "replica starts");
        }
        News::WaitsForRoom { why } => {
            error!(%partition, %node, error = why, "store is full; replica waits for room");
            let what = "the store is full: writes are refused until there is room".to_owned();
            explain(EventKind::Health, what, vec![why]);
        }
        News::HasRoom => info!(%partition, %node, "store has room again"),
        News::Damaged { why } => {
            error!(%partition, %node, reason = why, "replica is damaged");
        }
        News::BehindLog { first } => {
            warn!(%partition, %node, offset = %first, "replica is behind the start of the log");
        }
        News::Contradicted { at, why } => {
            let offset = at.map(display);
            error!(%partition, %node, offset, reason = why, "log contradicts the replica");
            explain(EventKind::Offline, out_of_service(at), vec![why]);
        }
        News::StandsStill { why } => {
            error!(%partition, %node, reason = why, "replica stands still");
            explain(
                EventKind::Offline,
                "out of service, and keeps what it has".to_owned(),
                vec![why],
            );
        }
        News::Resynced { from, scn, offset, why } => {
            host.metrics.resyncs.add(1);
            info!(%partition, %node, %from, %scn, %offset, reason = why, "snapshot installed");
            explain(
                EventKind::Resync,
                format!("copied a snapshot at {scn} from {from}"),
                vec![why],
            );
        }
        News::SnapshotFailed { from, why } => {
            warn!(%partition, %node, %from, error = why, "snapshot not installed");
        }
        News::FoldsAnew { why } => {
            host.metrics.resyncs.add(1);
            info!(%partition, %node, reason = why, "folding the log from its start");
            explain(EventKind::Resync, "folds its log from the beginning".to_owned(), vec![why]);
        }
        News::NotRebuilt { why } => {
            warn!(%partition, %node, error = why, "replica not rebuilt");
        }
        news => return Some(news),
    }
    None
}

fn out_of_service(at: Option<LogOffset>) -> String {
    match at {
        Some(at) => format!("out of service at offset {at}"),
        None => "out of service until its log is as it was".to_owned(),
    }
}

fn tell_of_rounds(host: &ReplicaHost, handle: &ReplicaHandle, news: News) {
    let (partition, node, metrics) = (handle.partition, host.node(), &host.metrics);
    match news {
        News::Agreed { at, replicas, below, again } => {
            metrics.digests_equal.add(1);
            handle.show_held_back(false);
            info!(%partition, %node, scn = %at, replicas, %below, "replicas agree");
            if again {
                let what = "the log is trimmed again: no digest is missing any more".to_owned();
                host.decisions.explain(EventKind::Trim, Some(partition), what, Vec::new());
            }
        }
        News::TooFewDigests { at, missing } => {
            handle.show_held_back(true);
            let evidence =
                missing.iter().map(|holder| why_missing(host, partition, *holder)).collect();
            let missing = names(&missing);
            warn!(%partition, %node, scn = %at, missing, "digests missing, log not trimmed");
            let what = format!("the log is not trimmed: no digest at {at} from {missing}");
            host.decisions.explain(EventKind::Trim, Some(partition), what, evidence);
        }
        News::Differ { at, agreed, odd } => {
            metrics.digest_mismatches.add(odd.len() as u64);
            let evidence =
                vec![format!("digests at {at}: {} equal, {} odd", agreed.len(), odd.len())];
            let (agreed, odd) = (names(&agreed), names(&odd));
            error!(%partition, %node, scn = %at, agreed, odd, "replicas differ");
            let what = format!("replicas {odd} differ from {agreed} at {at} and are rebuilt");
            let kind = EventKind::DigestMismatch;
            host.decisions.explain(kind, Some(partition), what, evidence);
        }
        News::NotHashed { why } => {
            error!(%partition, %node, error = why, "state not hashed");
        }
        News::BookmarksNotTrimmed { why } => {
            warn!(%partition, %node, error = why, "bookmarks not trimmed");
        }
        // Told before.
        _ => {}
    }
}

/// Why a replica has not reported its digest, as far as this node can tell.
fn why_missing(host: &ReplicaHost, partition: PartitionId, holder: NodeId) -> String {
    if holder == host.node() {
        return format!("{holder}, which leads, has not hashed its own state");
    }
    let told = host.progress.of(partition, host.clock.steady());
    let replica = told.into_iter().find(|(node, _)| *node == holder);
    // Who has just gone away is not silent for long enough yet.
    match replica.filter(|_| host.peers.peer(holder).is_some()) {
        Some((_, replica)) => format!("the replica of {holder} is {}", replica.role.name()),
        None => format!("the replica of {holder} is not heard of"),
    }
}

fn names(nodes: &[NodeId]) -> String {
    let names: Vec<String> = nodes.iter().map(NodeId::to_string).collect();
    names.join(", ")
}
