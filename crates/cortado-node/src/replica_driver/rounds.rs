//! Rounds of digests: replicas compare their state, and the log may forget what they agree on.
//!
//! Start reading at [`ReplicaDriver::begin_round_if_due`].
//! Source: docs/protocols/replication.md, "Duties of the driver".

use super::effects::{halt_of, horizon};
use super::{Halt, ReplicaDriver};
use crate::clock::Clock;
use crate::events::EventKind;
use crate::inbox::{DigestReport, DriverInput};
use crate::node_context::NodeContext;
use crate::replica_handle::ReplicaHandle;
use cortado_model::{LogOffset, Millis, NodeId, Scn};
use cortado_replica::{FoldState, Input, Role, Trim};
use cortado_store::{StoreError, View, digest};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::time::Instant;
use tracing::{error, info, warn};

/// A round ends without those who have not reported after this long.
const ROUND_MS: u64 = 60_000;

/// Which rounds this replica has begun as leader.
pub(super) struct Rounds {
    /// Where the last one was.
    since: LogOffset,
    bytes_since: u64,
    demanded: bool,
    open: Option<Round>,
}

/// A round that waits for reports.
struct Round {
    /// Known once the leader has folded the record itself.
    at: Option<Scn>,
    ends: Millis,
    reports: BTreeMap<NodeId, DigestReport>,
}

impl Rounds {
    pub(super) fn after(fold: &FoldState) -> Rounds {
        Rounds { since: fold.trimmed_below, bytes_since: 0, demanded: false, open: None }
    }

    /// Begins a round as soon as this replica leads.
    pub(super) fn demand(&mut self) {
        self.demanded = true;
    }

    pub(super) fn log_grew(&mut self, bytes: u64) {
        self.bytes_since = self.bytes_since.saturating_add(bytes);
    }

    pub(super) fn due(&self, clock: &Clock) -> Option<Instant> {
        self.open.as_ref().map(|round| clock.instant(round.ends))
    }
}

impl ReplicaDriver<'_> {
    /// As leader, lets all replicas hash their state when the log has grown enough.
    pub(super) fn begin_round_if_due(&mut self) -> Result<(), Halt> {
        if self.core.role() != Role::Leader {
            self.rounds.open = None;
            return Ok(());
        }
        let now = self.context.clock.steady();
        if self.rounds.open.as_ref().is_some_and(|round| now >= round.ends) {
            self.end_round()?;
        }
        let policy = self.context.settings.trim;
        let next = self.core.fold().next_offset;
        let grown = next.0.saturating_sub(self.rounds.since.0) >= policy.after_records
            || self.rounds.bytes_since >= policy.after_bytes;
        if self.rounds.open.is_some() || !(grown || self.rounds.demanded) {
            return Ok(());
        }
        let ends = now.plus(ROUND_MS);
        self.rounds = Rounds {
            since: next,
            bytes_since: 0,
            demanded: false,
            open: Some(Round { at: None, ends, reports: BTreeMap::new() }),
        };
        self.step(Input::Digest);
        self.settle()
    }

    /// Hashes what is stored now, beside the driver, and reports to the leader.
    pub(super) fn hash_state(&mut self, at: Scn) -> Result<(), Halt> {
        if self.core.role() == Role::Leader
            && let Some(round) = &mut self.rounds.open
            && round.at.is_none()
        {
            round.at = Some(at);
        }
        if self.stored.last != at {
            // Restarted behind the record: the state at its place is gone.
            return Ok(());
        }
        let view = self.context.store.view(self.handle.partition).map_err(halt_of)?;
        let (context, handle) = (Arc::clone(self.context), Arc::clone(self.handle));
        let (below, forgotten) = (self.stored.next_offset, horizon(self.stored.time));
        self.context.spawn_blocking(move || {
            match hash(&context, view, forgotten) {
                Ok(Some(digest)) => {
                    let report = DigestReport { node: handle.node, at, below, digest };
                    report_to_leader(&context, &handle, report);
                }
                // The node is going away.
                Ok(None) => {}
                Err(error) => condemn_unreadable(&handle, &error),
            }
        });
        Ok(())
    }

    pub(super) fn on_digest_report(&mut self, report: DigestReport) -> Result<(), Halt> {
        let Some(round) = &mut self.rounds.open else { return Ok(()) };
        // A report from before the leader folded the record itself names a later place.
        if round.at.is_some_and(|at| at != report.at) {
            return Ok(());
        }
        round.reports.insert(report.node, report);
        let at = round.at;
        let running = self.context.routes.route(self.handle.partition).replicas();
        let awaited = running.iter().filter(|handle| handle.role().is_readable());
        let all = awaited.map(|handle| handle.node).all(|n| round.reports.contains_key(&n));
        if at.is_some() && all { self.end_round() } else { Ok(()) }
    }

    /// Compares what was reported; lets the log forget what enough replicas agree on.
    fn end_round(&mut self) -> Result<(), Halt> {
        let partition = self.handle.partition;
        let Some(Round { at: Some(at), reports, .. }) = self.rounds.open.take() else {
            return Ok(());
        };
        let reports: Vec<_> = reports.into_values().filter(|report| report.at == at).collect();
        let (agreed, odd) = agreement(&reports, self.handle.node);
        if !odd.is_empty() {
            return self.condemn(at, &agreed, &odd);
        }
        let replicas = self.context.replica_count(partition);
        let below = reports.iter().map(|report| report.below).min();
        let (Some(below), true) = (below, agreed.len() >= replicas.min(2)) else {
            warn!(%partition, %at, reports = agreed.len(), replicas, "too few digests to trim");
            return Ok(());
        };
        self.context.metrics.digests_equal.add(1);
        let keep = self.context.settings.trim.keep_records;
        let below = LogOffset(below.0.saturating_sub(keep));
        info!(%partition, %at, replicas = agreed.len(), %below, "replicas agree");
        if below > self.core.fold().trimmed_below {
            self.step(Input::Trim(Trim { below, snapshot: at }));
        }
        self.settle()
    }

    /// Takes those offline whose state is not the others'.
    fn condemn(&mut self, at: Scn, agreed: &[NodeId], odd: &[NodeId]) -> Result<(), Halt> {
        let partition = self.handle.partition;
        self.context.metrics.digest_mismatches.add(odd.len() as u64);
        error!(%partition, %at, ?agreed, ?odd, "replicas differ");
        let what = format!("replicas {odd:?} differ from {agreed:?} at {at} and are rebuilt");
        let evidence = vec![format!("digests at {at}: {} equal, {} odd", agreed.len(), odd.len())];
        self.explain(EventKind::DigestMismatch, what, evidence);
        let why = format!("its digest at {at} differs from that of {agreed:?}");
        for node in odd.iter().filter(|node| **node != self.handle.node) {
            if let Some(handle) = self.context.routes.route(partition).replica(*node) {
                let context = Arc::clone(self.context);
                let why = why.clone();
                context.spawn(async move {
                    // A replica that is gone starts anew anyway.
                    let _ = handle.send(DriverInput::Condemned { why }).await;
                });
            }
        }
        match odd.contains(&self.handle.node) {
            true => Err(Halt::Damaged { why }),
            false => Ok(()),
        }
    }
}

/// Whom to believe, and whom not: the biggest group, of equal ones the leader's.
fn agreement(reports: &[DigestReport], leader: NodeId) -> (Vec<NodeId>, Vec<NodeId>) {
    let mut groups: BTreeMap<u128, Vec<NodeId>> = BTreeMap::new();
    for report in reports {
        groups.entry(report.digest).or_default().push(report.node);
    }
    let best = groups.values().max_by_key(|nodes| (nodes.len(), nodes.contains(&leader)));
    let agreed = best.cloned().unwrap_or_default();
    let nodes = reports.iter().map(|report| report.node);
    let odd = nodes.filter(|node| !agreed.contains(node)).collect();
    (agreed, odd)
}

/// Hashes `view` and makes it durable; `None` if the node goes away meanwhile.
fn hash(
    context: &NodeContext,
    view: Box<dyn View>,
    forgotten: cortado_model::WallMillis,
) -> Result<Option<u128>, StoreError> {
    let entries = view.entries().take_while(|_| !context.is_ending());
    let digest = digest(entries, forgotten)?;
    if context.is_ending() {
        return Ok(None);
    }
    drop(view);
    context.store.sync()?;
    Ok(Some(digest))
}

fn report_to_leader(context: &NodeContext, handle: &ReplicaHandle, report: DigestReport) {
    let partition = handle.partition;
    let leader = context.routes.route(partition).serving();
    let sent = leader.is_some_and(|leader| leader.offer(DriverInput::Digest(report)).is_ok());
    if !sent {
        warn!(%partition, at = %report.at, "digest not reported: no leader takes it");
    }
}

fn condemn_unreadable(handle: &ReplicaHandle, error: &StoreError) {
    let partition = handle.partition;
    error!(%partition, %error, "state not hashed");
    if let StoreError::Damaged { why } = error {
        // If the line is full, the driver will meet the damage itself.
        let _ = handle.offer(DriverInput::Condemned { why: why.clone() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(reports: &[(u32, u128)], leader: u32, agreed: &[u32], odd: &[u32]) {
        let report = |(node, digest): &(u32, u128)| DigestReport {
            node: NodeId(*node),
            at: Scn::ZERO,
            below: LogOffset::ZERO,
            digest: *digest,
        };
        let reports: Vec<_> = reports.iter().map(report).collect();
        let nodes = |list: &[u32]| list.iter().copied().map(NodeId).collect::<Vec<_>>();
        assert_eq!(agreement(&reports, NodeId(leader)), (nodes(agreed), nodes(odd)));
    }

    #[test]
    fn the_odd_one_is_outvoted_or_not_the_leader() {
        check(&[(1, 7), (2, 7), (3, 7)], 1, &[1, 2, 3], &[]);
        check(&[(1, 7), (2, 8), (3, 7)], 1, &[1, 3], &[2]);
        check(&[(1, 8), (2, 7), (3, 7)], 1, &[2, 3], &[1]);
        check(&[(1, 7), (2, 8)], 2, &[2], &[1]);
        check(&[(1, 7), (2, 8), (3, 9)], 3, &[3], &[1, 2]);
        check(&[(2, 7)], 1, &[2], &[]);
        check(&[], 1, &[], &[]);
    }
}
