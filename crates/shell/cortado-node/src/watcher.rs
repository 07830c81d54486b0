//! A node's eye on the cluster: carries out what `cortado-cluster`'s watch orders.
//!
//! Decides nothing: gathers events, and looks when there are any or when something is due. Start
//! reading at [`watch_over`]. Source: docs/protocols/replication.md, "Duties of the driver", 9.

mod views;

use crate::asker::Input;
use crate::replica_host::ReplicaHost;
use crate::service::NodeService;
use cortado_cluster::{
    Abstention, Cause, Evidence, Explanation, LifeStanding, OwnSilence, Sickness, Watch,
    WatchEvent, WatchOrder,
};
use cortado_gateway::{Catalog, EventKind};
use cortado_log::{BeatFollower, BeatNotSent, HeardBeat, Pending, beats_of};
use cortado_model::{Beat, Millis, NodeId, PartitionId, with_causes};
use cortado_peer::{HandOff, HandOffAnswer};
use cortado_replica::ClaimReason;
use std::borrow::Cow;
use std::future::pending;
use std::iter::once;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::{Instant, sleep_until, timeout_at};
use tracing::{debug, info, warn};
use views::{PlacedReplica, Views};

/// A planned handoff that is not done in this time has failed.
const HAND_OFF_TIMEOUT: Duration = Duration::from_secs(10);

/// Leaderships that are claimed in one look. Each claim has the peers asked how they stand before
/// its generation is opened: a few hundred at a time are answered at once, thousands would wait for
/// one another.
const CLAIMS_AT_ONCE_MAX: usize = 256;

/// Watches until the node ends.
///
/// * `service`: of the same node.
pub(crate) async fn watch_over(host: Arc<ReplicaHost>, service: Arc<NodeService>) {
    let (me, streams) = (host.me(), host.beats.streams());
    let (detection, now) = (host.settings.detection, host.clock.steady());
    let mut watcher = Watcher {
        watch: Watch::new(me.node, me.incarnation, streams, detection, now),
        beats: host.beats.follow(),
        heard: Vec::new(),
        sent: None,
        sends: true,
        catalog: None,
        views: Views::new(Arc::clone(&host)),
        may_claim: false,
        hand_off_ended: Arc::default(),
        host,
        service,
    };
    loop {
        watcher.look();
        watcher.wait().await;
    }
}

struct Watcher {
    host: Arc<ReplicaHost>,
    service: Arc<NodeService>,
    watch: Watch,
    beats: Box<dyn BeatFollower>,
    /// What was heard since the last look.
    heard: Vec<HeardBeat>,
    /// What becomes of the last own beat.
    sent: Option<Pending<Result<(), BeatNotSent>>>,
    /// Whether the last own beat that was answered stands on every stream.
    sends: bool,
    /// What `views` was made from.
    catalog: Option<Arc<Catalog>>,
    views: Views,
    /// The node is registered: it may claim any partition.
    may_claim: bool,
    /// The handoff that was ordered last has ended, since the last look.
    hand_off_ended: Arc<AtomicBool>,
}

impl Watcher {
    /// Waits until there is something to look at.
    async fn wait(&mut self) {
        let due = self.host.clock.instant(self.watch.wake_at());
        tokio::select! {
            () = self.host.changed.told() => {}
            () = beats_of(self.beats.as_mut(), &mut self.heard) => {}
            sent = answer_to(&mut self.sent) => self.beat_answered(sent),
            () = sleep_until(due) => {}
        }
    }

    fn look(&mut self) {
        let now = self.host.clock.steady();
        self.gather(now);
        self.follow_catalog(now);
        let mut orders = Vec::new();
        self.watch.look(now, &mut self.views, &mut orders);
        // Each at the next tick, with the others that are left by then.
        for partition in defer_claims(&mut orders) {
            self.watch.on(now, WatchEvent::ClaimNotTaken { partition });
        }
        tell_claims(&orders);
        for order in orders {
            match order {
                WatchOrder::Beat { count } => self.beat(count),
                WatchOrder::Claim { why, first } => self.claim(now, &why, first),
                WatchOrder::HandOff { to, why } => self.hand_off(to, &why),
                WatchOrder::AskToStepDown { leader, why } => self.ask_to_step_down(leader, &why),
                WatchOrder::Abstain(told) => self.tell_abstention(&told),
                WatchOrder::Sickness(sickness) => self.tell_sickness(sickness),
                WatchOrder::OwnSilence(silence) => self.tell_own_silence(silence),
                WatchOrder::CutOff(cut_off) => self.tell_cut_off(cut_off),
            }
        }
    }

    /// Tells the watch what has been observed since the last look.
    fn gather(&mut self, now: Millis) {
        let mut events = Vec::new();
        events.extend(self.host.health.take_signs().into_iter().map(WatchEvent::Observed));
        // Only on a tick: what hangs counts as slow once a tick, not at each look out of turn.
        if now >= self.watch.wake_at() {
            let is_off = self.host.log_time.renew();
            events.push(WatchEvent::Observed(Evidence::OwnClock { is_off }));
            events.extend(self.host.health.felt().map(WatchEvent::Observed));
            events.extend(self.refusals().map(WatchEvent::Observed));
            self.tell_away();
        }
        events.push(WatchEvent::StoreFull(self.host.health.room.is_missing()));
        let cluster = self.host.cluster.catalog.newest().cluster();
        let heard = self.heard.drain(..).filter_map(|HeardBeat { stream, beat }| {
            // A stranger's, or damaged: the next one comes soon.
            let beat = Beat::decode(&beat, cluster).ok()?;
            Some(WatchEvent::Observed(Evidence::Beat { stream, beat }))
        });
        events.extend(heard);
        if self.hand_off_ended.swap(false, Ordering::AcqRel) {
            events.push(WatchEvent::HandOffEnded);
        }
        let mut changed = self.host.changed.take();
        changed.extend(self.views.take_given_way(now));
        events.extend(changed.into_iter().map(|partition| WatchEvent::Changed { partition }));
        for event in events {
            self.watch.on(now, event);
        }
    }

    /// Which of the other nodes run, as far as their machines say.
    fn refusals(&self) -> impl Iterator<Item = Evidence> {
        let peers = &self.host.peers;
        let known = peers.nodes().into_iter().filter_map(|node| Some((node, peers.peer(node)?)));
        known.map(|(node, peer)| Evidence::PeerRefuses { node, refuses: peer.refuses() })
    }

    /// Watches the partitions of which the catalog places a replica on this node.
    fn follow_catalog(&mut self, now: Millis) {
        let catalog = self.host.cluster.catalog.newest();
        if self.catalog.as_ref().is_some_and(|seen| Arc::ptr_eq(seen, &catalog)) {
            return;
        }
        let me = self.host.node();
        let all = self.host.cluster.placed(PartitionId::CLUSTER);
        let cluster = once((PartitionId::CLUSTER, Cow::from(all)));
        let mut gone = self.views.take();
        for (partition, nodes) in cluster.chain(catalog.placements()) {
            let known = gone.remove(&partition);
            let Some(placement) = catalog.succession(partition, &nodes) else { continue };
            if !placement.contains(me) {
                gone.extend(known.map(|known| (partition, known)));
                continue;
            }
            if known.as_ref().is_none_or(|known| known.placement != placement) {
                let placement = placement.clone();
                self.watch.on(now, WatchEvent::Placed { partition, placement });
            }
            let route = known.map(|known| known.route);
            let route = route.unwrap_or_else(|| self.host.routes.route(partition));
            self.views.place(partition, PlacedReplica { placement, route });
        }
        for partition in gone.into_keys() {
            self.watch.on(now, WatchEvent::Withdrawn { partition });
        }
        let may_claim = self.host.standing() == LifeStanding::Registered;
        if may_claim != std::mem::replace(&mut self.may_claim, may_claim) {
            for partition in self.views.partitions() {
                self.watch.on(now, WatchEvent::Changed { partition });
            }
        }
        self.catalog = Some(catalog);
    }

    /// Sends a beat; the answer to the one before is not awaited any longer.
    fn beat(&mut self, count: u64) {
        let (node, incarnation) = (self.host.me().node, self.host.me().incarnation);
        let beat = Beat { node, incarnation, count, time: self.host.clock.now().wall };
        let cluster = self.host.cluster.catalog.newest().cluster();
        self.sent = Some(self.host.beats.send(beat.encode(cluster)));
        self.host.metrics.beats.add(1);
    }

    fn beat_answered(&mut self, sent: Result<(), BeatNotSent>) {
        self.sent = None;
        let sends = sent.is_ok();
        // Once is enough: a stream that is away stays away for many beats.
        if let Err(error) = sent
            && self.sends
        {
            warn!(node = %self.host.node(), error = with_causes(&error), "beat not sent");
        }
        self.sends = sends;
    }

    fn claim(&mut self, now: Millis, why: &Explanation, first: bool) {
        let partition = why.partition;
        debug!(%partition, node = %why.node, reason = %why.cause, "claiming leadership");
        if first {
            self.host.decisions.explain_leadership(EventKind::Claim, why);
        }
        let (reason, evidence) = (claim_reason(&why.cause), why.evidence_digest());
        let claim = Input::Claim { reason, evidence };
        let replica = self.views.replica(partition);
        if replica.is_none_or(|replica| replica.offer(claim).is_err()) {
            // Its driver is busy or gone.
            self.watch.on(now, WatchEvent::ClaimNotTaken { partition });
        }
    }

    fn hand_off(&mut self, to: NodeId, why: &Explanation) {
        let partition = why.partition;
        info!(%partition, node = %why.node, %to, reason = %why.cause, "handing leadership over");
        self.host.decisions.explain_leadership(EventKind::HandOff, why);
        let (node, service) = (why.node, Arc::clone(&self.service));
        let ended = Arc::clone(&self.hand_off_ended);
        self.host.tasks.spawn(async move {
            let deadline = Instant::now() + HAND_OFF_TIMEOUT;
            let order = HandOff { partition, to, deadline };
            match service.answer_hand_off(order).await {
                HandOffAnswer::SteppedDown(_) => {}
                answer @ (HandOffAnswer::Leads
                | HandOffAnswer::WrongNode(_)
                | HandOffAnswer::NoSuccessor
                | HandOffAnswer::NotDone(_)
                | HandOffAnswer::Unknown) => {
                    warn!(%partition, %node, %to, ?answer, "handoff not done");
                }
            }
            ended.store(true, Ordering::Release);
        });
    }

    /// Asks a leader that only some can reach. Whatever it answers, the log shows what it does.
    fn ask_to_step_down(&self, leader: NodeId, why: &Explanation) {
        let (partition, node) = (why.partition, why.node);
        info!(%partition, %node, %leader, reason = %why.cause, "asking leader to step down");
        self.host.decisions.explain_leadership(EventKind::HandOff, why);
        let Some(peer) = self.host.peers.peer(leader) else { return };
        self.host.tasks.spawn(async move {
            let deadline = Instant::now() + HAND_OFF_TIMEOUT;
            let order = HandOff { partition, to: node, deadline };
            match timeout_at(deadline, peer.hand_off(order)).await {
                Ok(Ok(HandOffAnswer::SteppedDown(_))) => {}
                answer => warn!(%partition, %node, %leader, ?answer, "leader did not step down"),
            }
        });
    }

    fn tell_abstention(&self, told: &Abstention) {
        let Abstention { node, cause, partitions, .. } = told;
        if let Some(first) = partitions.first() {
            let (partitions, reason) = (partitions.len(), cause);
            info!(partition = %first, partitions, %node, %reason, "not claiming leaderships");
        }
        for (database, numbers) in told.by_database() {
            self.host.decisions.explain_abstention(told, database, &numbers);
        }
    }

    fn tell_sickness(&mut self, sickness: Option<Sickness>) {
        let node = self.host.node();
        let why = sickness.map(|sickness| sickness.to_string());
        let what = match &why {
            Some(why) => {
                warn!(%node, reason = why, "node is unhealthy");
                format!("{node} is unhealthy: {why}")
            }
            None => {
                info!(%node, "node is healthy again");
                format!("{node} is healthy again")
            }
        };
        self.host.decisions.explain(EventKind::Health, None, what, Vec::new());
        self.host.health.set_sickness(why);
        // Others give leaderships only to who is fit.
        self.host.changed.hurry();
    }

    /// Tells without which nodes logs are trimmed, where that has changed.
    fn tell_away(&self) {
        let (node, away) = (self.host.node(), self.watch.away());
        let before = self.host.health.set_away(away.clone());
        let explain = |what| self.host.decisions.explain(EventKind::Health, None, what, Vec::new());
        for gone in away.iter().filter(|gone| !before.contains(gone)) {
            warn!(%node, %gone, "logs are trimmed without this node");
            explain(format!("{node} trims logs without {gone}, which has been silent for long"));
        }
        for back in before.iter().filter(|back| !away.contains(back)) {
            info!(%node, %back, "logs wait for this node again");
            explain(format!("{node} trims no log any more without {back}, which is back"));
        }
    }

    fn tell_cut_off(&self, cut_off: bool) {
        let node = self.host.node();
        let what = if cut_off {
            warn!(%node, "no peer answers this node; it judges by the log alone");
            format!("{node} lets all others claim before it: no peer answers it")
        } else {
            info!(%node, "peers answer this node again");
            format!("{node} claims in its turn again: peers answer it")
        };
        self.host.decisions.explain(EventKind::Health, None, what, Vec::new());
    }

    fn tell_own_silence(&self, silence: Option<OwnSilence>) {
        let node = self.host.node();
        self.host.health.set_beats_silent(silence.is_some());
        let reaches_log = silence.is_none_or(|silence| silence.streams < silence.of);
        if self.host.health.set_reaches_log(reaches_log) != reaches_log {
            // What this node leads, others lead soon: they go by what it says of itself.
            self.host.changed.hurry();
            self.host.routes.wake_all();
        }
        let what = match silence {
            Some(silence) => {
                warn!(%node, reason = %silence, "own beats do not come back");
                format!("{node} declares no node dead: {silence}")
            }
            None => {
                info!(%node, "own beats come back again");
                format!("{node} hears its own beats again, and judges the silence of others")
            }
        };
        self.host.decisions.explain(EventKind::Health, None, what, Vec::new());
    }
}

/// Takes the claims out of `orders` that are too many at once; answers of which partitions.
fn defer_claims(orders: &mut Vec<WatchOrder>) -> Vec<PartitionId> {
    let (mut claims, mut deferred) = (0, Vec::new());
    orders.retain(|order| {
        let WatchOrder::Claim { why, .. } = order else { return true };
        claims += 1;
        if claims > CLAIMS_AT_ONCE_MAX {
            deferred.push(why.partition);
        }
        claims <= CLAIMS_AT_ONCE_MAX
    });
    deferred
}

/// Tells which leaderships are claimed: a dead node's partitions are one line, not one each.
fn tell_claims(orders: &[WatchOrder]) {
    let claims = orders.iter().filter_map(|order| match order {
        WatchOrder::Claim { why, .. } => Some(why),
        WatchOrder::Beat { .. }
        | WatchOrder::HandOff { .. }
        | WatchOrder::AskToStepDown { .. }
        | WatchOrder::Abstain(_)
        | WatchOrder::Sickness(_)
        | WatchOrder::OwnSilence(_)
        | WatchOrder::CutOff(_) => None,
    });
    let mut told: Vec<(&Explanation, usize)> = Vec::new();
    for why in claims {
        match told.iter_mut().find(|(of, _)| of.cause == why.cause) {
            Some((_, partitions)) => *partitions += 1,
            None => told.push((why, 1)),
        }
    }
    for (Explanation { partition, node, cause, .. }, partitions) in told {
        info!(%partition, partitions, %node, reason = %cause, "claiming leaderships");
    }
}

/// What becomes of a beat; pending for ever if none is on its way.
async fn answer_to(sent: &mut Option<Pending<Result<(), BeatNotSent>>>) -> Result<(), BeatNotSent> {
    match sent {
        Some(sent) => sent.await,
        None => pending().await,
    }
}

/// The decision's cause, as the claim's record tells it.
fn claim_reason(cause: &Cause) -> ClaimReason {
    match cause {
        Cause::NeverLed => ClaimReason::NeverLed,
        Cause::LeaderDead { .. } | Cause::LeaderGray { .. } | Cause::LeaderCutOff { .. } => {
            ClaimReason::LeaderDead
        }
        Cause::LeaderRestarted { .. } => ClaimReason::LeaderRestarted,
        Cause::SteppedDown { .. } => ClaimReason::SteppedDown,
        // Those make a leader hand over; they are no reason to claim.
        Cause::PreferredIsBack { .. }
        | Cause::PinnedIsBack { .. }
        | Cause::Drained
        | Cause::MovesAway
        | Cause::Sick(_) => ClaimReason::Ordered,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cortado_cluster::Command;
    use cortado_model::DatabaseId;

    #[test]
    fn claims_go_side_by_side_but_not_thousands_at_once() {
        let claim = |number: u32| {
            let (partition, node) = (PartitionId { database: DatabaseId(1), number }, NodeId(2));
            let why = Explanation {
                partition,
                node,
                cause: Cause::NeverLed,
                waited_ms: 0,
                alternatives: Vec::new(),
                by_hand: Command::HandOff { partition, to: node },
                undo: None,
            };
            WatchOrder::Claim { why, first: true }
        };
        let mut orders: Vec<_> = (0..300).map(claim).collect();
        orders.push(WatchOrder::Beat { count: 7 });
        let deferred = defer_claims(&mut orders);
        assert_eq!(orders.len(), CLAIMS_AT_ONCE_MAX + 1);
        assert_eq!(deferred.iter().map(|partition| partition.number).min(), Some(256));
        assert_eq!(deferred.len(), 300 - CLAIMS_AT_ONCE_MAX);
        assert!(defer_claims(&mut orders).is_empty());
    }
}
