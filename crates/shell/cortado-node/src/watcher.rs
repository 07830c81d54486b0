//! A node's eye on the cluster: heartbeats, detection, and what follows for its replicas.
//!
//! Gathers facts and carries out decisions; the deciding is `cortado-cluster`'s. Start reading at
//! [`watch_over`]. Source: docs/protocols/replication.md, "Duties of the driver", 9.

use crate::asker::Input;
use crate::catalog::Catalog;
use crate::clock::millis;
use crate::decisions::evidence_of;
use crate::events::EventKind;
use crate::gateway::Gateway;
use crate::genesis::cluster_genesis;
use crate::node_context::NodeContext;
use crate::replica_handle::ReplicaHandle;
use crate::routes::Route;
use cortado_cluster::{
    Cause, Decision, Detector, Evidence, Explanation, Leadership, PartitionFacts, Placement, decide,
};
use cortado_driver::{Leadership as Shown, ReplicaRole};
use cortado_log::{Outcome, Producer, outcomes_of};
use cortado_model::{Generation, LogOffset, Millis, NodeId, PartitionId};
use cortado_replica::{ClaimReason, heartbeat_record};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{info, warn};
use xxhash_rust::xxh3::xxh3_128;

/// Looks at everything for each heartbeat: often enough to notice the next one at once.
const LOOKS_PER_HEARTBEAT: u64 = 5;
/// A claim that has led to nothing is made again after this, if it is still called for.
const CLAIM_AGAIN_MS: u64 = 400;
/// A planned handoff that is not done in this time has failed.
const HAND_OFF_TIMEOUT: Duration = Duration::from_secs(10);
/// Own claims that the back-off remembers for each partition.
const OWN_CLAIMS_MAX: usize = 32;

/// Watches until the node ends.
pub(crate) async fn watch_over(context: Arc<NodeContext>, gateway: Gateway) {
    let now = context.clock.steady();
    let detection = context.settings.detection;
    let detector = Detector::new(context.node(), detection);
    let heartbeats = context.log.producer(PartitionId::CLUSTER);
    let mut watcher = Watcher {
        heartbeats,
        context,
        gateway,
        detector,
        sickness: None,
        heartbeat: None,
        heartbeat_due: now,
        catalog: None,
        placed: Vec::new(),
        hand_offs: Arc::default(),
        last_hand_back_at: None,
    };
    let mut due = Instant::now();
    let tick = Duration::from_millis((detection.heartbeat_ms / LOOKS_PER_HEARTBEAT).max(1));
    loop {
        // A look out of turn is no lateness.
        let out_of_turn = timeout_until(due, watcher.context.look_again.notified()).await;
        let late = Instant::now().saturating_duration_since(due);
        if !out_of_turn {
            due = Instant::now() + tick;
        }
        watcher.look(if out_of_turn { None } else { Some(late) }).await;
    }
}

/// Whether `notified` came before `due`.
async fn timeout_until(due: Instant, notified: impl Future<Output = ()>) -> bool {
    tokio::select! {
        () = notified => true,
        () = sleep_until(due) => false,
    }
}

struct Watcher {
    context: Arc<NodeContext>,
    gateway: Gateway,
    detector: Detector,
    /// What the detector said at the last look.
    sickness: Option<String>,
    /// The heartbeat on its way, and since when.
    heartbeat: Option<Millis>,
    heartbeats: Box<dyn Producer>,
    heartbeat_due: Millis,
    /// What `placed` was made from.
    catalog: Option<Arc<Catalog>>,
    placed: Vec<Placed>,
    /// Planned handoffs of this node that are running.
    hand_offs: Arc<AtomicU64>,
    last_hand_back_at: Option<Millis>,
}

/// A partition of which this node should have a replica.
struct Placed {
    partition: PartitionId,
    placement: Placement,
    route: Arc<Route>,
    watched: Watched,
}

/// What is remembered of one partition between two looks.
#[derive(Default)]
struct Watched {
    /// When this node saw that its log has begun.
    since: Option<Millis>,
    /// The generation last seen.
    generation: Generation,
    /// When own claims were accepted, oldest first.
    own_claims: Vec<Millis>,
    claimed_at: Option<Millis>,
}

impl Watched {
    /// Takes note of the leadership; answers since when the log is known to have begun.
    fn see(&mut self, shown: &Shown, me: NodeId, now: Millis) -> Millis {
        if shown.generation != self.generation {
            self.generation = shown.generation;
            self.claimed_at = None;
            if shown.leader.is_some_and(|(node, _)| node == me) {
                self.own_claims.push(shown.since);
                let surplus = self.own_claims.len().saturating_sub(OWN_CLAIMS_MAX);
                self.own_claims.drain(..surplus);
            }
        }
        *self.since.get_or_insert(now)
    }
}

impl Watcher {
    async fn look(&mut self, late: Option<Duration>) {
        self.gather(late);
        self.beat().await;
        self.follow_catalog();
        let mut placed = std::mem::take(&mut self.placed);
        for placed in &mut placed {
            // A log that has not begun takes no claims yet.
            if let Some(replica) = placed.route.replica(self.context.node())
                && replica.folded() > LogOffset::ZERO
            {
                self.decide(placed, &replica);
            }
        }
        self.placed = placed;
    }

    /// Watches the partitions of which the catalog places a replica on this node.
    fn follow_catalog(&mut self) {
        let catalog = Arc::clone(&self.context.catalog.borrow());
        if self.catalog.as_ref().is_some_and(|seen| Arc::ptr_eq(seen, &catalog)) {
            return;
        }
        let me = self.context.node();
        let mut known: BTreeMap<PartitionId, Watched> = std::mem::take(&mut self.placed)
            .into_iter()
            .map(|placed| (placed.partition, placed.watched))
            .collect();
        let all = self.context.cluster_nodes(&catalog);
        let cluster = std::iter::once((PartitionId::CLUSTER, all.as_slice()));
        for (partition, nodes) in cluster.chain(catalog.placements()) {
            let Some(placement) = Placement::new(nodes.to_vec()) else { continue };
            if placement.contains(me) {
                let route = self.context.routes.route(partition);
                let watched = known.remove(&partition).unwrap_or_default();
                self.placed.push(Placed { partition, placement, route, watched });
            }
        }
        self.catalog = Some(catalog);
    }

    /// Feeds the detector with what has been observed since the last look.
    fn gather(&mut self, late: Option<Duration>) {
        let now = self.context.clock.steady();
        if let Some(late) = late {
            self.detector.observe(now, Evidence::Lateness { late_ms: millis(late) });
        }
        for sign in self.context.take_signs() {
            self.detector.observe(now, sign);
        }
        if let Some(evidence) = self.context.vitals.store_evidence() {
            self.detector.observe(now, evidence);
        }
        let sickness = self.detector.sickness().map(|sickness| sickness.to_string());
        if sickness != self.sickness {
            let node = self.context.node();
            let what = match &sickness {
                Some(why) => {
                    warn!(%node, why, "node is sick");
                    format!("{node} trusts itself less: {why}")
                }
                None => {
                    info!(%node, "node is well again");
                    format!("{node} is well again")
                }
            };
            self.context.decisions.explain(EventKind::Health, None, what, Vec::new());
            self.context.set_sickness(sickness.clone());
            self.sickness = sickness;
        }
    }

    /// Sends a heartbeat when one is due, and notices how the last one fared.
    async fn beat(&mut self) {
        let now = self.context.clock.steady();
        if let Some(since) = self.heartbeat {
            let took_ms = now.since(since);
            let mut outcomes = Vec::new();
            let told = outcomes_of(self.heartbeats.as_mut(), &mut outcomes);
            let told = timeout(Duration::ZERO, told).await;
            let evidence = match told.map(|()| outcomes.pop()) {
                Ok(Some(Outcome::At(_) | Outcome::Somewhere)) => Evidence::OwnAppend { took_ms },
                Ok(outcome) => {
                    // Once is enough: a log that is full stays full for many heartbeats.
                    if self.sickness.is_none() {
                        warn!(node = %self.context.node(), ?outcome, "heartbeat not appended");
                    }
                    Evidence::OwnAppendFailed
                }
                Err(_) if took_ms > self.context.settings.detection.dead_after_ms => {
                    Evidence::OwnAppendFailed
                }
                Err(_) => return,
            };
            self.detector.observe(now, evidence);
            self.heartbeat = None;
            if self.heartbeats.outstanding() > 0 {
                // Nobody waits for it any longer.
                self.heartbeats = self.context.log.producer(PartitionId::CLUSTER);
            }
        }
        if now < self.heartbeat_due {
            return;
        }
        let interval_ms = self.context.settings.detection.heartbeat_ms;
        self.heartbeat_due = now.max(self.heartbeat_due.plus(interval_ms));
        let cluster = cluster_genesis(self.context.catalog.borrow().cluster).identity.partition;
        let me = self.context.node_identity();
        let record = heartbeat_record(cluster, &me, self.context.clock.now());
        self.heartbeats.send(vec![record]);
        self.context.metrics.heartbeats.add(1);
        self.heartbeat = Some(now);
    }

    fn decide(&mut self, placed: &mut Placed, replica: &Arc<ReplicaHandle>) {
        let now = self.context.clock.steady();
        let role = replica.role();
        let me = self.context.node();
        let shown = replica.leadership();
        let since = placed.watched.see(&shown, me, now);
        let leadership = match (shown.leader, shown.stepped_down) {
            (None, _) => Leadership::Never { since },
            (Some((by, _)), Some(step_down)) => {
                Leadership::SteppedDown { by, to: step_down.to, at: shown.since }
            }
            (Some((node, incarnation)), None) => {
                Leadership::Claimed { node, incarnation, at: shown.since }
            }
        };
        let end = replica.known_end().0;
        let lag = |replica: &ReplicaHandle| end.saturating_sub(replica.folded().0);
        let follower_lags = match role {
            ReplicaRole::Leader => {
                let others = placed.route.replicas().into_iter().filter(|other| other.node != me);
                let readable = others.filter(|other| other.role().is_readable());
                readable.map(|other| (other.node, lag(&other))).collect()
            }
            ReplicaRole::Offline
            | ReplicaRole::Restoring
            | ReplicaRole::Follower
            | ReplicaRole::Candidate
            | ReplicaRole::Opening
            | ReplicaRole::SteppingDown => BTreeMap::new(),
        };
        let facts = PartitionFacts {
            partition: placed.partition,
            me,
            incarnation: replica.replica_incarnation(),
            placement: &placed.placement,
            leadership,
            restoring: !role.is_readable()
                || replica.waits_for_room()
                || !self.context.may_claim(placed.partition, &shown),
            // A replica whose digest differs is restored at once.
            digest_failed: false,
            lag_records: lag(replica),
            own_claims: &placed.watched.own_claims,
            follower_lags: &follower_lags,
            hand_off_running: self.hand_offs.load(Ordering::Acquire) > 0,
            last_hand_back_at: self.last_hand_back_at,
        };
        match decide(now, &facts, &self.detector) {
            Decision::Stay(_) | Decision::ClaimAt { .. } => {}
            Decision::Claim { why } => self.claim(now, &mut placed.watched, replica, &why),
            Decision::HandOff { to, why } => {
                if role == ReplicaRole::Leader {
                    self.hand_off(now, placed.partition, to, &why);
                }
            }
        }
    }

    fn claim(
        &self,
        now: Millis,
        watched: &mut Watched,
        replica: &ReplicaHandle,
        why: &Explanation,
    ) {
        let recent = watched.claimed_at.is_some_and(|at| now.since(at) < CLAIM_AGAIN_MS);
        if recent || replica.role() != ReplicaRole::Follower {
            return;
        }
        if replica.offer(claim_input(why)).is_err() {
            // The driver is busy or gone: the next look decides again.
            return;
        }
        info!(partition = %replica.partition, node = %why.node, cause = %why.cause, "claiming");
        // Claims that follow one another are one decision, as long as nothing has come of it.
        if watched.claimed_at.replace(now).is_none() {
            self.context.decisions.explain_leadership(EventKind::Claim, why);
        }
    }

    fn hand_off(&mut self, now: Millis, partition: PartitionId, to: NodeId, why: &Explanation) {
        info!(%partition, node = %why.node, %to, cause = %why.cause, "handing over");
        self.context.decisions.explain_leadership(EventKind::HandOff, why);
        self.last_hand_back_at = Some(now);
        let running = Arc::clone(&self.hand_offs);
        running.fetch_add(1, Ordering::AcqRel);
        let gateway = self.gateway.clone();
        self.context.spawn(async move {
            let deadline = Instant::now() + HAND_OFF_TIMEOUT;
            if let Err(error) = gateway.hand_off_partition(partition, Some(to), deadline).await {
                warn!(%partition, %to, %error, "handoff not done");
            }
            running.fetch_sub(1, Ordering::AcqRel);
        });
    }
}

/// What the claim's record says about the decision.
fn claim_input(why: &Explanation) -> Input {
    let reason = match why.cause {
        Cause::NeverLed => ClaimReason::NeverLed,
        Cause::LeaderDead { .. } => ClaimReason::LeaderDead,
        Cause::LeaderRestarted { .. } => ClaimReason::LeaderRestarted,
        Cause::SteppedDown { .. } => ClaimReason::SteppedDown,
        // Those make a leader hand over; nobody claims for them.
        Cause::PreferredIsBack { .. } | Cause::Sick(_) => ClaimReason::Ordered,
    };
    let evidence = xxh3_128(evidence_of(why).join("\n").as_bytes());
    Input::Claim { reason, evidence }
}
