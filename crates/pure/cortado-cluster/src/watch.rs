//! A node's eye on the cluster: what it remembers, when it decides, and about what.
//!
//! Event-driven: the work of a look grows with what has changed and with what is due, not with the
//! number of partitions. Decides as [`decide`] does, and about every partition whose decision could
//! have become another one; the tests compare it with a watch that looks at all of them every time.
//! Start reading at [`Watch::look`]. Source: docs/protocols/failover.md, "The watch".

mod abstaining;
mod nodes;
mod partition_index;
mod protocol;
#[cfg(test)]
mod tests;
mod watched;

pub use protocol::{Duty, PartitionView, ReplicaViews, WatchEvent, WatchOrder};

use crate::abstention::AbstainCause;
use crate::decision::{
    Decision, StayReason, decide, decide_again_at, leader_awaited, may_hand_over,
};
use crate::detector::{CutOff, Detector, Evidence, NodeVerdict, OwnSilence, Sickness};
use crate::explanation::{Cause, Explanation};
use crate::settings::Settings;
use abstaining::Abstaining;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use cortado_model::{Millis, NodeId, NodeIncarnation, PartitionId};
use nodes::Nodes;
use partition_index::{PartitionIndex, Waiting};
use watched::{NodeFacts, Watched};

/// What one life of a node knows and remembers of the cluster.
#[derive(Clone, Debug)]
pub struct Watch {
    me: NodeId,
    /// The last moment that it was told of.
    now: Millis,
    detector: Detector,
    nodes: Nodes,
    /// What leaders have told of single partitions, as last noticed.
    cut_offs: BTreeMap<(NodeId, PartitionId), CutOff>,
    partitions: PartitionIndex,
    abstaining: Abstaining,
    /// When the next beat should be sent.
    beat_due: Millis,
    /// When the own timer should run next.
    tick_due: Millis,
    /// What is wrong with this node, as last told.
    sickness: Option<Sickness>,
    /// No peer reaches this node, as last noticed.
    cut_off: bool,
    /// Own beats that do not come back, as last told.
    own_silence: Option<OwnSilence>,
    store_full: bool,
    hand_off_running: bool,
    last_hand_back_at: Option<Millis>,
    /// Behind which the search for something to hand over goes on; `None` from the beginning.
    searched_up_to: Option<PartitionId>,
    decisions_taken: u64,
}

/// Own timers in each beat interval: often enough to notice soon that this node is slow.
const TICKS_PER_BEAT: u64 = 5;
/// What keeps a node from claiming for so many limits is told: failovers take less.
const ABSTAINED_LIMITS: u64 = 2;
/// Partitions that one tick looks at for a node to hand them over to. One is handed over at a
/// time, so more are looked at only where no successor is close.
const HAND_OVER_LOOKS_MAX: u32 = 8;

impl Watch {
    /// Knows of no node and watches nothing.
    ///
    /// * `incarnation`: the life of `me` whose watch it is.
    /// * `streams`: how many streams of beats there are.
    pub fn new(
        me: NodeId,
        incarnation: NodeIncarnation,
        streams: u32,
        settings: Settings,
        now: Millis,
    ) -> Watch {
        Watch {
            me,
            now,
            detector: Detector::new(me, incarnation, streams, settings),
            nodes: Nodes::default(),
            cut_offs: BTreeMap::new(),
            partitions: PartitionIndex::default(),
            abstaining: Abstaining::default(),
            beat_due: now,
            tick_due: now,
            sickness: None,
            cut_off: false,
            own_silence: None,
            store_full: false,
            hand_off_running: false,
            last_hand_back_at: None,
            searched_up_to: None,
            decisions_taken: 0,
        }
    }

    /// Takes note of an event. What follows from it is ordered by the next [`look`](Self::look).
    ///
    /// Total. A `now` before the last one counts as that.
    pub fn on(&mut self, now: Millis, event: WatchEvent) {
        let now = self.advance(now);
        match event {
            WatchEvent::Placed { partition, placement } => {
                placement.nodes().iter().for_each(|node| self.nodes.know(*node));
                self.partitions.place(partition, placement);
            }
            WatchEvent::Withdrawn { partition } => {
                self.partitions.withdraw(partition);
                self.abstaining.note(now, partition, None);
            }
            WatchEvent::Changed { partition } => self.partitions.mark(partition),
            WatchEvent::StoreFull(full) => {
                if self.store_full != full {
                    self.store_full = full;
                    self.partitions.mark_vacant();
                }
            }
            WatchEvent::Observed(evidence) => self.detector.observe(now, evidence),
            WatchEvent::ClaimNotTaken { partition } => {
                if let Some(watched) = self.partitions.watched(partition) {
                    watched.claim_not_taken();
                    // Not at once: its replica is busy.
                    self.partitions.wait(partition, Waiting::Turn(Some(self.tick_due)));
                }
            }
            WatchEvent::HandOffEnded => self.hand_off_running = false,
        }
    }

    /// Orders what is due `now`, and decides about what has changed.
    ///
    /// To be called after events, and at [`wake_at`](Self::wake_at); sooner does no harm. Total.
    ///
    /// * `replicas`: is asked for the partitions that are decided about.
    pub fn look(
        &mut self,
        now: Millis,
        replicas: &mut dyn ReplicaViews,
        orders: &mut Vec<WatchOrder>,
    ) {
        let now = self.advance(now);
        let ticks = self.tick(now);
        self.beat(now, orders);
        if ticks {
            self.tell_own_silence(now, orders);
        }
        self.judge(now, orders);
        for partition in self.partitions.take_due(now) {
            let next = self.decide(now, partition, replicas, orders);
            if let Waiting::Leader(leader) = next {
                self.nodes.know(leader);
            }
            self.partitions.wait(partition, next);
        }
        if ticks {
            self.hand_over(now, replicas, orders);
            let lasting_ms = ABSTAINED_LIMITS * self.detector.settings().dead_after_ms;
            let told = self.abstaining.tell(now, self.me, lasting_ms);
            orders.extend(told.into_iter().map(WatchOrder::Abstain));
        }
    }

    /// When to look next, if no event comes before.
    pub fn wake_at(&self) -> Millis {
        let due = [self.tick_due, self.beat_due].into_iter();
        let death = self.nodes.next_death(self.now, &self.detector);
        due.chain(self.partitions.wake_at()).chain(death).min().unwrap_or(self.tick_due)
    }

    /// The nodes that have been silent for so long that logs are trimmed without them, ascending.
    pub fn away(&self) -> Vec<NodeId> {
        self.detector.away()
    }

    /// How often it has looked at one partition to decide about it.
    pub fn decisions_taken(&self) -> u64 {
        self.decisions_taken
    }

    fn advance(&mut self, now: Millis) -> Millis {
        self.now = self.now.max(now);
        self.now
    }

    /// Notices how late the own timer is, if it was due.
    fn tick(&mut self, now: Millis) -> bool {
        if now < self.tick_due {
            return false;
        }
        let late_ms = now.since(self.tick_due);
        self.detector.observe(now, Evidence::Lateness { late_ms });
        let tick_ms = self.detector.settings().beat_ms / TICKS_PER_BEAT;
        self.tick_due = now.next_multiple_of(tick_ms);
        true
    }

    /// Sends a beat if one is due. What was missed is not made up for.
    fn beat(&mut self, now: Millis, orders: &mut Vec<WatchOrder>) {
        if now < self.beat_due {
            return;
        }
        self.beat_due = now.next_multiple_of(self.detector.settings().beat_ms);
        orders.push(WatchOrder::Beat { count: self.detector.send_beat(now) });
    }

    /// Tells whether others' silence can be judged, where that has changed since the last tick.
    fn tell_own_silence(&mut self, now: Millis, orders: &mut Vec<WatchOrder>) {
        let own_silence = self.detector.own_silence(now);
        if own_silence != self.own_silence {
            self.own_silence = own_silence;
            orders.push(WatchOrder::OwnSilence(own_silence));
        }
    }

    /// Marks the partitions whose decision depends on what is thought of nodes, where that is
    /// something else than at the last look.
    fn judge(&mut self, now: Millis, orders: &mut Vec<WatchOrder>) {
        let sickness = self.detector.sickness();
        let changed = self.nodes.judge(now, &mut self.detector);
        if sickness != self.sickness {
            orders.push(WatchOrder::Sickness(sickness));
        }
        let cut_off = self.detector.is_cut_off();
        if cut_off != self.cut_off {
            orders.push(WatchOrder::CutOff(cut_off));
        }
        if sickness != self.sickness || cut_off != self.cut_off || !changed.is_empty() {
            (self.sickness, self.cut_off) = (sickness, cut_off);
            self.partitions.mark_vacant();
        }
        changed.into_iter().for_each(|node| self.partitions.mark_led_by(node));
        self.judge_cut_offs(now);
    }

    /// Marks the partitions of which leaders tell something else than at the last look.
    fn judge_cut_offs(&mut self, now: Millis) {
        let cut_offs = self.detector.cut_offs(now);
        let before = core::mem::replace(&mut self.cut_offs, cut_offs);
        if before == self.cut_offs {
            return;
        }
        let gone = before.iter().filter(|(of, told)| self.cut_offs.get(of) != Some(told));
        let told = self.cut_offs.iter().filter(|(of, told)| before.get(of) != Some(told));
        for ((_, partition), _) in gone.chain(told) {
            self.partitions.mark(*partition);
        }
    }

    /// Decides about a partition; answers what the next decision about it waits for.
    fn decide(
        &mut self,
        now: Millis,
        partition: PartitionId,
        replicas: &mut dyn ReplicaViews,
        orders: &mut Vec<WatchOrder>,
    ) -> Waiting {
        let node = self.node_facts();
        let Some(watched) = self.partitions.watched(partition) else { return Waiting::Replica };
        self.decisions_taken += 1;
        let view = replicas.view(partition);
        let Some(view) = view else {
            self.abstaining.note(now, partition, None);
            return Waiting::Replica;
        };
        let leadership = watched.see(now, &view, self.me);
        let no_lags = BTreeMap::new();
        let facts = watched.facts(partition, (&view, leadership), &no_lags, node);
        if facts.leads() {
            let waiting = Waiting::Leading(facts.wanted());
            self.abstaining.note(now, partition, None);
            watched.forget_asking();
            return waiting;
        }
        if let Some(leader) = leader_awaited(now, &facts, &self.detector) {
            self.abstaining.note(now, partition, leaves_alone(now, leader, &self.detector));
            watched.forget_asking();
            return Waiting::Leader(leader);
        }
        let decision = decide(now, &facts, &self.detector);
        let settings = self.detector.settings();
        let abstains = abstains(now, &decision, settings.dead_after_ms);
        self.abstaining.note(now, partition, abstains);
        let again_at = |at| decide_again_at(now, &facts, at, self.tick_due);
        Waiting::Turn(match decision {
            Decision::ClaimAt { at, .. } => Some(again_at(at)),
            Decision::AskToStepDown { leader, claim_at, why } => {
                let again = again_at(claim_at);
                if view.duty == Duty::Follow && watched.ask() {
                    orders.push(WatchOrder::AskToStepDown { leader, why });
                }
                Some(again)
            }
            Decision::Claim { why } if view.duty == Duty::Follow => {
                claim(now, watched, why, orders)
            }
            // How far a replica has come is no news.
            Decision::Stay(StayReason::ReadsLog) => Some(self.tick_due),
            // Everything else is news of a replica or of a node.
            Decision::Claim { .. } | Decision::Stay(_) | Decision::HandOff { .. } => None,
        })
    }

    /// Hands over at most one leadership, after looking at a few.
    fn hand_over(
        &mut self,
        now: Millis,
        replicas: &mut dyn ReplicaViews,
        orders: &mut Vec<WatchOrder>,
    ) {
        if self.hand_off_running {
            return;
        }
        for _ in 0..HAND_OVER_LOOKS_MAX {
            let (me, last_at) = (self.me, self.last_hand_back_at);
            let may = |wanted| may_hand_over(now, me, wanted, last_at, &self.detector);
            let next = self.partitions.next_led(self.searched_up_to, may);
            self.searched_up_to = next;
            let Some(partition) = next else { return };
            if let Some((to, why)) = self.decide_to_hand_over(now, partition, replicas) {
                orders.push(WatchOrder::HandOff { to, why });
                self.hand_off_running = true;
                self.last_hand_back_at = Some(now);
                self.searched_up_to = None;
                return;
            }
        }
    }

    fn decide_to_hand_over(
        &mut self,
        now: Millis,
        partition: PartitionId,
        replicas: &mut dyn ReplicaViews,
    ) -> Option<(NodeId, Explanation)> {
        let node = self.node_facts();
        let watched = self.partitions.watched(partition)?;
        self.decisions_taken += 1;
        let view = replicas.view(partition).filter(|view| view.duty == Duty::Lead)?;
        let leadership = watched.see(now, &view, self.me);
        let lags = replicas.follower_lags(partition);
        let facts = watched.facts(partition, (&view, leadership), &lags, node);
        match decide(now, &facts, &self.detector) {
            Decision::HandOff { to, why } => Some((to, why)),
            Decision::Stay(_)
            | Decision::ClaimAt { .. }
            | Decision::AskToStepDown { .. }
            | Decision::Claim { .. } => None,
        }
    }

    fn node_facts(&self) -> NodeFacts {
        NodeFacts {
            me: self.me,
            store_full: self.store_full,
            hand_off_running: self.hand_off_running,
            last_hand_back_at: self.last_hand_back_at,
        }
    }
}

/// Why this node takes a leader for alive that something speaks against.
fn leaves_alone(
    now: Millis,
    leader: NodeId,
    detector: &Detector,
) -> Option<(AbstainCause, String)> {
    if detector.verdict(now, leader) == NodeVerdict::Unjudged {
        let silence = detector.own_silence(now).map(|silence| silence.to_string());
        return Some((AbstainCause::OwnBeatsSilent { leader }, silence.unwrap_or_default()));
    }
    let loss = detector.overruled_gossip(now, leader)?;
    let evidence = format!("{loss}, but it beats, and this node hears from it");
    Some((AbstainCause::GossipAlone { leader }, evidence))
}

/// What keeps this node from claiming, with what that rests on, if it is worth telling.
///
/// * `long_ms`: a turn that comes later is no failover's.
fn abstains(now: Millis, decision: &Decision, long_ms: u64) -> Option<(AbstainCause, String)> {
    let plain = |cause| Some((cause, String::new()));
    match decision {
        Decision::ClaimAt { at, why } | Decision::AskToStepDown { claim_at: at, why, .. } => {
            match why.cause {
                Cause::LeaderGray { leader, gray, .. } => {
                    Some((AbstainCause::Grace { leader }, gray.to_string()))
                }
                _ if at.since(now) > long_ms => Some((AbstainCause::Last, why.cause.to_string())),
                _ => None,
            }
        }
        Decision::Stay(StayReason::Sick(sickness)) => plain(AbstainCause::Sick(*sickness)),
        Decision::Stay(StayReason::Restoring) => plain(AbstainCause::Restoring),
        Decision::Stay(StayReason::NotEligible) => plain(AbstainCause::NotEligible),
        Decision::Stay(
            StayReason::Leading
            | StayReason::LeaderAlive { .. }
            | StayReason::LeaderSilent { .. }
            | StayReason::NotPlaced
            | StayReason::ReadsLog
            | StayReason::OwnBeatsSilent { .. },
        )
        | Decision::Claim { .. }
        | Decision::HandOff { .. } => None,
    }
}

/// Claims, unless an earlier claim has not had its time yet; answers when to claim again.
fn claim(
    now: Millis,
    watched: &mut Watched,
    why: Explanation,
    orders: &mut Vec<WatchOrder>,
) -> Option<Millis> {
    let partition = why.partition;
    if watched.claim_again_at(partition).is_none_or(|at| at <= now) {
        let first = watched.claim(now);
        orders.push(WatchOrder::Claim { why, first });
    }
    watched.claim_again_at(partition)
}
