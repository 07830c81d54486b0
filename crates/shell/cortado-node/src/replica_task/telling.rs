//! What operators, metrics and detection are told of a replica.
//!
//! `error!` is for what an operator must mend, and says how; what mends itself is `warn!`, and says
//! what follows. Start reading at [`tell`].

use crate::metrics::void_name;
use crate::replica_handle::ReplicaHandle;
use crate::replica_host::ReplicaHost;
use cortado_cluster::Evidence;
use cortado_driver::News;
use cortado_gateway::EventKind;
use cortado_model::{Generation, LogOffset, NodeId, PartitionId, ReplicaIncarnation, Scn};
use cortado_replica::{AppendFailure, Conflict, Gap, ReplicaSet, Stop, VoidReason};
use tracing::field::display;
use tracing::{debug, error, info, warn};

/// Tells one thing wherever it should be known.
pub(super) fn tell(host: &ReplicaHost, handle: &ReplicaHandle, news: News) {
    // What comes with every batch and has no line does not pay for it.
    let _entered = (!matches!(news, News::Heard { .. })).then(|| handle.span.enter());
    let of = Teller { host, handle };
    match news {
        News::Starts { scn, offset, end } => of.starts(scn, offset, end),
        News::Heard { node, incarnation } => of.heard(node, incarnation),
        News::Claims => host.metrics.claims.add(1),
        News::NewGeneration { generation, leader, previous_end, own } => {
            of.new_generation(generation, leader, previous_end, own);
        }
        News::ReplicasChanged { replicas } => of.replicas_changed(&replicas),
        News::ClaimLost { generation } => of.claim_lost(generation),
        News::Serving { generation } => info!(%generation, "serving as leader"),
        News::Resigned { generation, not_done } => of.resigned(generation, not_done),
        News::SteppedDown { generation, to, own } => of.stepped_down(generation, to, own),
        News::Void { offset, why } => of.void(offset, why),
        News::Foreign { offset, records } => of.foreign(offset, records),
        News::GapBegan(gap) => of.gap_began(&gap),
        News::GapEnded { since } => {
            info!(scn = %since, "missing records have arrived");
        }
        News::LostRecord { since, holder } => of.lost_record(since, holder),
        News::Unverified { generation } => {
            // As at each start: the others are not there yet. The status shows it while it is so.
            info!(%generation, "leadership unverified: no peer answered");
        }
        News::Verified { generation } => info!(%generation, "leadership verified"),
        News::Diverged { generation, conflict, opened: false } => {
            of.not_opened(generation, conflict)
        }
        News::Diverged { generation, conflict, opened: true } => of.diverged(generation, conflict),
        News::Disputed { offset, conflict } => of.disputed(offset, conflict),
        News::AppendFailed(failure) => of.append_failed(failure),
        News::ProducerAbandoned { appends } => {
            warn!(appends, "gave up waiting for the log to acknowledge appends");
        }
        News::Republishing { records } => {
            warn!(records, "republishing from the checkpoint");
        }
        News::Stopped { offset, why } => of.stopped(offset, &why),
        News::Agreed { at, replicas, below, again } => of.agreed(at, replicas, below, again),
        News::TooFewDigests { at, missing } => of.too_few_digests(at, &missing),
        News::Differ { at, agreed, odd } => of.differ(at, &agreed, &odd),
        News::NotHashed { why } => {
            warn!(error = why, "state not hashed; log not trimmed");
        }
        News::BookmarksNotTrimmed { why } => {
            warn!(error = why, "bookmarks not trimmed");
        }
        News::WaitsForRoom { why } => of.waits_for_room(why),
        News::HasRoom => info!("store has room again"),
        News::Damaged { why } => {
            warn!(reason = why, "replica is damaged; rebuilding it");
        }
        News::BehindLog { first } => {
            warn!(offset = %first, "replica is behind the start of the log");
        }
        News::Contradicted { at, why } => of.contradicted(at, why),
        News::StandsStill { why, needs_upgrade } => of.stands_still(why, needs_upgrade),
        News::Resynced { from, scn, offset, why } => of.resynced(from, scn, offset, why),
        News::SnapshotFailed { from, why } => {
            warn!(%from, error = why, "snapshot not installed");
        }
        News::FoldsAnew { why } => of.folds_anew(why),
        News::NotRebuilt { why } => warn!(error = why, "replica not rebuilt; retrying"),
    }
}

/// Tells of one replica.
struct Teller<'a> {
    host: &'a ReplicaHost,
    handle: &'a ReplicaHandle,
}

impl Teller<'_> {
    fn replicas_changed(&self, replicas: &ReplicaSet) {
        let names: Vec<String> = replicas.nodes().iter().map(ToString::to_string).collect();
        info!(replicas = names.join(","), "replica set changed");
    }
}

impl Teller<'_> {
    /// Writes it into the journal.
    fn explain(&self, kind: EventKind, what: String, evidence: Vec<String>) {
        self.host.decisions.explain(kind, Some(self.handle.partition), what, evidence);
    }

    fn starts(&self, scn: Scn, offset: LogOffset, end: LogOffset) {
        info!(%scn, %offset, %end, "replica starts");
    }

    fn heard(&self, node: NodeId, incarnation: ReplicaIncarnation) {
        let incarnation = incarnation.node;
        self.host.health.heard(Evidence::PartitionRecord { node, incarnation });
    }

    fn new_generation(&self, generation: Generation, leader: NodeId, previous_end: Scn, own: bool) {
        // Of all replicas' reports, the new leader's own is enough.
        if own {
            debug!(%generation, %previous_end, "claim accepted");
        } else {
            debug!(%generation, %leader, %previous_end, "claim seen");
        }
    }

    fn claim_lost(&self, generation: Generation) {
        self.host.metrics.claims_lost.add(1);
        info!(%generation, "claim lost");
    }

    fn resigned(&self, generation: Generation, not_done: usize) {
        self.host.metrics.resignations.add(1);
        info!(%generation, not_done, "leadership ended");
    }

    fn stepped_down(&self, generation: Generation, to: Option<NodeId>, own: bool) {
        // Here too, the former leader's own report is enough.
        if own {
            let to = to.map(display);
            info!(%generation, to, "leader stepped down");
        }
    }

    fn void(&self, offset: LogOffset, why: VoidReason) {
        self.host.metrics.count_void(why);
        if why != VoidReason::Foreign {
            debug!(%offset, reason = void_name(why), "record is void");
        }
    }

    fn foreign(&self, offset: LogOffset, records: u64) {
        warn!(%offset, records, "foreign records in the log");
    }

    fn gap_began(&self, gap: &Gap) {
        let (scn, offset) = (gap.since, gap.noticed);
        warn!(%scn, %offset, "records are missing in the log");
    }

    fn lost_record(&self, scn: Scn, holder: NodeId) {
        warn!(%scn, %holder, "replica has lost a record; copying a snapshot");
    }

    fn not_opened(&self, generation: Generation, conflict: Conflict) {
        warn!(
            %generation, %conflict,
            "claim not opened: another replica has records that this one lacks"
        );
        let what = format!(
            "won generation {generation} but does not serve: another replica has records that it \
             lacks"
        );
        self.explain(EventKind::Offline, what, vec![conflict.to_string()]);
    }

    fn diverged(&self, generation: Generation, conflict: Conflict) {
        error!(
            %generation, %conflict,
            "leads, but a replica has a different history; compare both before deleting either"
        );
        let what = format!("leads generation {generation}, but a replica has a different history");
        self.explain(EventKind::Offline, what, vec![conflict.to_string()]);
    }

    fn disputed(&self, offset: LogOffset, conflict: Conflict) {
        error!(
            %offset, %conflict,
            "leader disputed; compare this replica with the leader's before deleting either"
        );
        let what = format!("out of service at offset {offset}: disputes its leader's history");
        self.explain(EventKind::Offline, what, vec![conflict.to_string()]);
    }

    fn append_failed(&self, failure: AppendFailure) {
        self.host.metrics.appends_failed.add(1);
        let reason = match failure {
            AppendFailure::NotAppended => "not appended",
            AppendFailure::Unknown => "unknown",
            AppendFailure::Unusable => "log unusable",
        };
        debug!(reason, "append not acknowledged");
    }

    fn stopped(&self, offset: LogOffset, why: &Stop) {
        match why {
            Stop::Broken(why) => error!(
                %offset, reason = %why,
                "replica has stopped; check the storage of the log, then restart the node"
            ),
            Stop::Behind(conflict) => warn!(
                %offset, %conflict,
                "replica has lost records; copying a snapshot"
            ),
            // It stands still, and that says what to do.
            Stop::NeedsUpgrade(_) | Stop::Disputed(_) => {
                warn!(%offset, reason = %why, "replica has stopped");
            }
        }
    }

    fn agreed(&self, scn: Scn, replicas: usize, below: LogOffset, again: bool) {
        self.host.metrics.digests_equal.add(1);
        self.handle.show_held_back(false);
        info!(%scn, replicas, %below, "replicas agree");
        if again {
            let what = "the log is trimmed again: no digest is missing any more".to_owned();
            self.explain(EventKind::Trim, what, Vec::new());
        }
    }

    fn too_few_digests(&self, scn: Scn, missing: &[NodeId]) {
        let (host, partition) = (self.host, self.handle.partition);
        self.handle.show_held_back(true);
        let why = missing.iter().map(|holder| why_missing(host, partition, *holder)).collect();
        let missing = names(missing);
        warn!(%scn, missing, "digests missing; log not trimmed");
        let what = format!("the log is not trimmed: no digest at {scn} from {missing}");
        self.explain(EventKind::Trim, what, why);
    }

    fn differ(&self, scn: Scn, agreed: &[NodeId], odd: &[NodeId]) {
        self.host.metrics.digest_mismatches.add(odd.len() as u64);
        let counts = format!("digests at {scn}: {} equal, {} odd", agreed.len(), odd.len());
        let (agreed, odd) = (names(agreed), names(odd));
        warn!(%scn, agreed, odd, "replicas differ; rebuilding the odd ones");
        let what = format!("replicas {odd} differ from {agreed} at {scn} and are rebuilt");
        self.explain(EventKind::DigestMismatch, what, vec![counts]);
    }

    fn waits_for_room(&self, why: String) {
        error!(error = why, "store is full; make room on its disk (writes are refused meanwhile)");
        let what = "the store is full: writes are refused until there is room".to_owned();
        self.explain(EventKind::Health, what, vec![why]);
    }

    fn contradicted(&self, at: Option<LogOffset>, why: String) {
        let offset = at.map(display);
        error!(
            offset,
            reason = why,
            "log contradicts the replica; restore the log, or replace the node's store"
        );
        let what = match at {
            Some(at) => format!("out of service at offset {at}"),
            None => "out of service until its log is restored".to_owned(),
        };
        self.explain(EventKind::Offline, what, vec![why]);
    }

    fn stands_still(&self, why: String, needs_upgrade: bool) {
        if needs_upgrade {
            self.handle.show_needs_upgrade(why.clone());
        }
        error!(reason = why, "replica stands still; upgrade the node, or compare histories");
        let what = "out of service; nothing is deleted".to_owned();
        self.explain(EventKind::Offline, what, vec![why]);
    }

    fn resynced(&self, from: NodeId, scn: Scn, offset: LogOffset, why: String) {
        self.host.metrics.resyncs.add(1);
        info!(%from, %scn, %offset, reason = why, "snapshot installed");
        let what = format!("copied a snapshot at {scn} from {from}");
        self.explain(EventKind::Resync, what, vec![why]);
    }

    fn folds_anew(&self, why: String) {
        self.host.metrics.resyncs.add(1);
        info!(reason = why, "folding the log from its start");
        let what = "folds its log from the beginning".to_owned();
        self.explain(EventKind::Resync, what, vec![why]);
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
