//! What a node knows about others, and how far it may trust that.
//!
//! Gathers evidence of three kinds (docs/protocols/failover.md, "Three layers"): of the node
//! itself, what peers say, and what it hears in beats and logs. A node that is slow or sick itself
//! suspects others more slowly, since what looks like their silence may be its own. Never claims
//! anything. Start reading at [`Detector::verdict`].

mod evidence;
mod own_beats;
mod peers;
#[cfg(test)]
mod tests;
mod verdict;

pub use evidence::Evidence;
pub use own_beats::OwnSilence;
pub use peers::{PeerLoss, PeerOpinion, PeerWitness};
pub use verdict::{Death, GrayFailure, GrayKind, NodeVerdict};

use crate::settings::Settings;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::fmt;
use cortado_model::{Beat, Millis, NodeId, NodeIncarnation, PartitionId};
use own_beats::OwnBeats;
use peers::{PeerLayer, PeerSight};

/// One node's view of all nodes. Total: every method takes any evidence in any state.
#[derive(Clone, Debug)]
pub struct Detector {
    me: NodeId,
    incarnation: NodeIncarnation,
    settings: Settings,
    nodes: BTreeMap<NodeId, Seen>,
    /// Silent for [`AWAY_MS`] when last judged, and not heard of since.
    away: BTreeSet<NodeId>,
    own_beats: OwnBeats,
    peers: PeerLayer,
    appends: Gauge,
    store: Gauge,
    lateness: Gauge,
    /// The own wall clock is far off those of others.
    clock_is_off: bool,
}

/// A leader does not reach one partition's log, as it has told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CutOff {
    since: Millis,
    counts_from: Option<Millis>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    incarnation: NodeIncarnation,
    /// When this incarnation was first seen.
    incarnation_at: Millis,
    last_sign_at: Millis,
    /// Since when it has shown signs of life without a gap that counts as death.
    alive_since: Millis,
}

/// One part of the node's own health.
#[derive(Clone, Copy, Debug, Default)]
struct Gauge {
    failed: bool,
    /// Goes up with bad evidence, down with good.
    strikes: u64,
    /// When the last evidence came.
    last_at: Millis,
}

/// Strikes of one gauge at most; with all three at their end, timeouts are ten times as long.
const STRIKES_MAX: u64 = 3;
/// A node that is restarted or repaired in this time costs no snapshots; and for so long, logs
/// keep what it lacks.
const AWAY_MS: u64 = 15 * 60 * 1_000;
/// This part of a limit after the log, peers have had the time to find out, too.
const PEERS_LATER_PART: u64 = 2;
/// So many limits more than a dead leader, a gray one is borne with.
const GRAY_LIMITS: u64 = 3;
/// Beats that must be missing, however sure it is that their sender is gone: what delays a stream
/// delays two own beats first.
const CERTAIN_BEATS: u64 = 3;
/// After so many limits without evidence a gauge is as if there had never been any: who leads
/// nothing appends nothing, and would never again be well.
const GAUGE_LIMITS_MAX: u64 = 2;

impl Detector {
    /// Starts with no knowledge of any node.
    ///
    /// * `incarnation`: this life of the node; beats of an earlier one prove nothing.
    /// * `streams`: how many streams of beats there are.
    pub fn new(
        me: NodeId,
        incarnation: NodeIncarnation,
        streams: u32,
        settings: Settings,
    ) -> Detector {
        Detector {
            me,
            incarnation,
            settings,
            nodes: BTreeMap::new(),
            away: BTreeSet::new(),
            own_beats: OwnBeats::new(streams, settings.beat_ms),
            peers: PeerLayer::default(),
            appends: Gauge::default(),
            store: Gauge::default(),
            lateness: Gauge::default(),
            clock_is_off: false,
        }
    }

    /// Takes note of one observation. `now` must not go backwards.
    pub fn observe(&mut self, now: Millis, evidence: Evidence) {
        // Anything slower than this eats up half of what others wait before they act.
        let slow_ms = self.settings.dead_after_ms / 2;
        self.forget(now);
        match evidence {
            Evidence::Beat { stream, beat: Beat { node, incarnation, count, .. } } => {
                if (node, incarnation) == (self.me, self.incarnation) {
                    self.own_beats.come_back(now, stream, count);
                }
                self.sign_of_life(now, node, incarnation);
            }
            Evidence::PartitionRecord { node, incarnation } => {
                self.sign_of_life(now, node, incarnation);
            }
            Evidence::OwnAppend { took_ms } => self.appends.succeeded(now, took_ms > slow_ms),
            Evidence::OwnAppendWaits { waited_ms } if waited_ms > slow_ms => {
                self.appends.hangs(now);
            }
            Evidence::OwnAppendWaits { .. } => {}
            Evidence::OwnAppendFailed => self.appends.failed(now),
            Evidence::OwnStore { took_ms } => self.store.succeeded(now, took_ms > slow_ms),
            Evidence::OwnStoreFailed => self.store.failed(now),
            Evidence::OwnClock { is_off } => self.clock_is_off = is_off,
            Evidence::Lateness { late_ms } => {
                self.lateness.succeeded(now, late_ms > slow_ms);
                self.peers.tick(now, self.settings.dead_after_ms);
            }
            Evidence::Gossip { node, incarnation, opinion } => {
                self.peers.hear(now, node, incarnation, opinion);
            }
            Evidence::GossipReach { answering, members } => {
                self.peers.measure(now, answering, members);
            }
            Evidence::RequestFailed { node, by } => {
                self.peers.fail(now, node, by, self.settings.dead_after_ms);
            }
            Evidence::RequestServed { node } => self.peers.reach(node),
            Evidence::PeerHeard { node } => self.peers.hear_from(now, node),
            Evidence::PeerReachesLog { node, reaches } => {
                self.peers.hear_of_log(now, node, reaches);
            }
            Evidence::PeerReachesLogOf { node, partition, reaches } => {
                self.peers.hear_of_log_of(now, (node, partition), reaches);
            }
            Evidence::PeerRefuses { node, refuses } => self.peers.is_refused(now, node, refuses),
        }
    }

    /// A beat is sent on every stream; answers its count.
    pub fn send_beat(&mut self, now: Millis) -> u64 {
        self.own_beats.send(now)
    }

    /// What both layers make of `node` `now`: section by section the table of
    /// docs/protocols/failover.md, "Three layers".
    pub fn verdict(&self, now: Millis, node: NodeId) -> NodeVerdict {
        if node == self.me {
            return NodeVerdict::Present;
        }
        let hears_itself = self.hears_itself(now);
        let life = self.incarnation(node).map(|(life, _)| life);
        let sight = self.peers.sight(now, node, life, self.settings.dead_after_ms);
        let certain = self.peers.certain(node);
        match (self.standing(now, node), sight) {
            (Standing::Dead(death), PeerSight::Unknown) => NodeVerdict::Gone(death),
            (Standing::Dead(death), PeerSight::Gone(loss) | PeerSight::Suspected(loss)) => {
                let at = death.at.max(loss.since);
                NodeVerdict::Gone(Death { at, peers: Some(loss), ..death })
            }
            // It runs no more, or says itself that it cannot step down: it need not be asked.
            (Standing::Dead(death), PeerSight::Reached) if let Some(loss) = certain => {
                let at = death.at.max(loss.since);
                NodeVerdict::Gone(Death { at, peers: Some(loss), ..death })
            }
            // Peers find out a moment later than the log.
            (Standing::Dead(death), PeerSight::Reached) if now < self.peers_know_from(death.at) => {
                let since = Millis(now.0.saturating_sub(death.silent_ms));
                NodeVerdict::Silent { since }
            }
            (Standing::Dead(death), PeerSight::Reached) => {
                let kind = GrayKind::LogSilent(death);
                NodeVerdict::Gray(GrayFailure { since: death.at, kind })
            }
            // Without the log nothing can be decided, whatever peers say.
            (Standing::Silent { .. } | Standing::Unknown, _) if !hears_itself => {
                NodeVerdict::Unjudged
            }
            (Standing::Alive, PeerSight::Gone(loss)) if hears_itself => {
                let kind = GrayKind::Unreachable(loss);
                NodeVerdict::Gray(GrayFailure { since: loss.since, kind })
            }
            (Standing::Alive, _) => NodeVerdict::Present,
            (Standing::Silent { since }, _) => NodeVerdict::Silent { since },
            (Standing::Unknown, _) => NodeVerdict::Unknown,
        }
    }

    /// What gossip says of `node`, which works all the same: it beats, this node hears from it, and
    /// requests reach it.
    pub fn overruled_gossip(&self, now: Millis, node: NodeId) -> Option<PeerLoss> {
        let life = self.incarnation(node).map(|(life, _)| life);
        let works = self.standing(now, node) == Standing::Alive;
        let overruled = || self.peers.overruled(now, node, life, self.settings.dead_after_ms);
        works.then(overruled).flatten()
    }

    /// Whether no peer has answered this node for as long as it takes to count as dead, although
    /// there are others that should; as of the last own timer.
    pub fn is_cut_off(&self) -> bool {
        self.peers.is_cut_off()
    }

    /// Since when `node` has told that it does not reach the log of `partition`, which it leads;
    /// `None` if it has not told so lately.
    pub fn cut_off_since(&self, node: NodeId, partition: PartitionId) -> Option<Millis> {
        self.peers.lost_log_of(node, partition)
    }

    /// From when on that leaves the partition without a leader; may lie ahead. `None` also while
    /// this node's own beats do not come back on every stream: then the broker may be away, which
    /// no other leader would help.
    ///
    /// It must have lasted for a beat: a leader that was merely held up takes it back at once. A
    /// broker that comes back is found by some nodes sooner than by others, so the leader gets
    /// the whole limit again; and what it told before it came to lead this time it tells no more
    /// three beats later.
    ///
    /// * `led_since`: when this node has folded that it leads.
    pub(crate) fn cut_off_from(
        &self,
        now: Millis,
        node: NodeId,
        partition: PartitionId,
        led_since: Millis,
    ) -> Option<Millis> {
        let since = self.cut_off_since(node, partition)?.plus(self.settings.beat_ms);
        let heard_from = self.own_beats.trusted_since(now)?.plus(self.limit_ms());
        Some(since.max(heard_from).max(led_since.plus(self.certain_ms())))
    }

    /// All that a decision can depend on of what nodes tell of single partitions, by node and
    /// partition.
    pub(crate) fn cut_offs(&self, now: Millis) -> BTreeMap<(NodeId, PartitionId), CutOff> {
        let cut_off = |(of, since): ((NodeId, PartitionId), Millis)| {
            let (node, partition) = of;
            let counts_from = self.cut_off_from(now, node, partition, Millis(0));
            (of, CutOff { since, counts_from })
        };
        self.peers.lost_logs_of().map(cut_off).collect()
    }

    /// What `now` is to be thought of `node`, by the log alone.
    pub fn standing(&self, now: Millis, node: NodeId) -> Standing {
        if node == self.me {
            return Standing::Alive;
        }
        if let Some(death) = self.death(now, node) {
            return Standing::Dead(death);
        }
        let Some(seen) = self.nodes.get(&node) else {
            return Standing::Unknown;
        };
        // One beat may be on its way, the next one is missing.
        if now.since(seen.last_sign_at) > 2 * self.settings.beat_ms {
            Standing::Silent { since: seen.last_sign_at }
        } else {
            Standing::Alive
        }
    }

    /// Judges silence.
    fn death(&self, now: Millis, node: NodeId) -> Option<Death> {
        let (last_sign_at, at) = self.silence_ends(now, node)?;
        if now < at {
            return None;
        }
        let silent_ms = now.since(last_sign_at);
        let beats_missed = silent_ms / self.settings.beat_ms;
        let heard = self.nodes.get(&node).map(|seen| seen.incarnation);
        let (limit_ms, peers) = (self.limit_of_ms(node), None);
        Some(Death { at, silent_ms, limit_ms, beats_missed, heard, peers })
    }

    /// Counts `node` as away if it is dead and has been silent for long. It stays away until it
    /// shows a sign of life, though this node cannot judge silence for a while.
    pub fn judge_absence(&mut self, now: Millis, node: NodeId) {
        if let Standing::Dead(death) = self.standing(now, node)
            && death.silent_ms >= AWAY_MS
        {
            self.away.insert(node);
        }
    }

    /// The nodes that were judged to be away, ascending. Logs are trimmed without them: when one
    /// comes back, it copies snapshots. Sooner, it finds in the log all that it has missed.
    pub fn away(&self) -> Vec<NodeId> {
        self.away.iter().copied().collect()
    }

    /// From when on `node` counts as dead if nothing more is heard of it; perhaps it does already.
    ///
    /// `None` while this node's own beats do not come back: then no node counts as dead.
    pub fn dead_from(&self, now: Millis, node: NodeId) -> Option<Millis> {
        if node == self.me {
            return None;
        }
        self.silence_ends(now, node).map(|(_, at)| at)
    }

    /// From when on peers that still reach a node have had the time to find out, too, that it is
    /// dead.
    ///
    /// * `dead_from`: when it was, in the log.
    pub fn peers_know_from(&self, dead_from: Millis) -> Millis {
        dead_from.plus(self.settings.dead_after_ms / PEERS_LATER_PART)
    }

    /// The last sign of life, or the own first beat if there was none, and when the silence since
    /// then will have lasted too long. Only time in which this node's own beats came back counts:
    /// after a pause of this node, or of a stream, every node gets the whole limit again.
    ///
    /// Own beats at most two intervals apart, and 3 intervals within the limit: what delays a
    /// stream for all nodes alike delays own beats before it makes others look dead.
    fn silence_ends(&self, now: Millis, node: NodeId) -> Option<(Millis, Millis)> {
        let trusted_since = self.own_beats.trusted_since(now)?;
        let listens_since = self.lives_since().unwrap_or(trusted_since);
        let seen = self.nodes.get(&node);
        let last_sign_at = seen.map_or(listens_since, |seen| seen.last_sign_at);
        let silent_since = last_sign_at.max(trusted_since);
        Some((last_sign_at, silent_since.plus(self.limit_of_ms(node))))
    }

    /// The newest life of `node` that has been seen, and when it was first seen.
    pub fn incarnation(&self, node: NodeId) -> Option<(NodeIncarnation, Millis)> {
        self.nodes.get(&node).map(|seen| (seen.incarnation, seen.incarnation_at))
    }

    /// Since when `node` has been alive, in one life and without a long silence; `None` if any
    /// layer says that something is wrong with it.
    pub fn alive_since(&self, now: Millis, node: NodeId) -> Option<Millis> {
        match self.verdict(now, node) {
            NodeVerdict::Present => self.nodes.get(&node).map(|seen| seen.alive_since),
            NodeVerdict::Silent { .. }
            | NodeVerdict::Unknown
            | NodeVerdict::Unjudged
            | NodeVerdict::Gone(_)
            | NodeVerdict::Gray(_) => None,
        }
    }

    /// When this life of this node sent its first beat.
    pub fn lives_since(&self) -> Option<Millis> {
        self.own_beats.first_sent_at()
    }

    /// Whether own beats have come back lately on every stream.
    ///
    /// Without that, silence of others means nothing.
    pub fn hears_itself(&self, now: Millis) -> bool {
        self.own_beats.trusted_since(now).is_some()
    }

    /// The streams on which own beats should have come back and have not, if there are any.
    pub fn own_silence(&self, now: Millis) -> Option<OwnSilence> {
        self.own_beats.silence(now)
    }

    /// What is wrong with this node itself, if it is too much to be given a leadership.
    pub fn sickness(&self) -> Option<Sickness> {
        let slow = |gauge: &Gauge| gauge.strikes == STRIKES_MAX;
        if self.appends.failed {
            Some(Sickness::AppendsFail)
        } else if self.store.failed {
            Some(Sickness::StoreFails)
        } else if slow(&self.appends) {
            Some(Sickness::AppendsSlow)
        } else if slow(&self.store) {
            Some(Sickness::StoreSlow)
        } else if slow(&self.lateness) {
            Some(Sickness::Late)
        } else {
            self.clock_is_off.then_some(Sickness::ClockOff)
        }
    }

    /// What is wrong with this node, if it is enough to hand over what it leads: what fails, not
    /// what is slow. A slow leader still serves, and under a load that makes all nodes slow,
    /// leaderships would only wander. A node whose wall clock is wrong may still claim: it may be
    /// the only one left.
    pub fn failure(&self) -> Option<Sickness> {
        match self.sickness() {
            Some(failing @ (Sickness::AppendsFail | Sickness::StoreFails)) => Some(failing),
            Some(
                Sickness::AppendsSlow | Sickness::StoreSlow | Sickness::Late | Sickness::ClockOff,
            )
            | None => self.clock_is_off.then_some(Sickness::ClockOff),
        }
    }

    /// Silence after which another node counts as dead: longer, the worse this node feels.
    pub fn limit_ms(&self) -> u64 {
        self.settings.dead_after_ms.saturating_mul(1 + self.strikes())
    }

    /// As [`limit_ms`](Self::limit_ms); three beats for a node that has told lately that it does
    /// not reach the log, or whose machine says that it does not run: silence says the same.
    fn limit_of_ms(&self, node: NodeId) -> u64 {
        match self.peers.certain(node) {
            Some(_) => self.certain_ms().saturating_mul(1 + self.strikes()),
            None => self.limit_ms(),
        }
    }

    fn certain_ms(&self) -> u64 {
        CERTAIN_BEATS.saturating_mul(self.settings.beat_ms)
    }

    fn strikes(&self) -> u64 {
        self.appends.strikes + self.store.strikes + self.lateness.strikes
    }

    /// How much longer than a dead leader one is borne with that only one layer misses: it gets the
    /// time to step down, and the layer that is wrong the time to be right again.
    pub fn gray_grace_ms(&self) -> u64 {
        GRAY_LIMITS.saturating_mul(self.settings.dead_after_ms)
    }

    /// The settings it was made with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    fn sign_of_life(&mut self, now: Millis, node: NodeId, incarnation: NodeIncarnation) {
        let fresh = Seen { incarnation, incarnation_at: now, last_sign_at: now, alive_since: now };
        let gap_ms = self.settings.dead_after_ms;
        let seen = self.nodes.entry(node).or_insert(fresh);
        if incarnation < seen.incarnation {
            // Written by a process that has since been replaced.
            return;
        }
        if incarnation > seen.incarnation {
            *seen = fresh;
        }
        if now.since(seen.last_sign_at) > gap_ms {
            seen.alive_since = now;
        }
        seen.last_sign_at = now;
        self.away.remove(&node);
    }

    /// Drops what was felt too long ago to say anything of now.
    fn forget(&mut self, now: Millis) {
        let memory_ms = GAUGE_LIMITS_MAX.saturating_mul(self.settings.dead_after_ms);
        for gauge in [&mut self.appends, &mut self.store, &mut self.lateness] {
            if now.since(gauge.last_at) > memory_ms {
                *gauge = Gauge::default();
            }
        }
    }
}

impl Gauge {
    fn succeeded(&mut self, now: Millis, slow: bool) {
        let more = (self.strikes + 1).min(STRIKES_MAX);
        let strikes = if slow { more } else { self.strikes.saturating_sub(1) };
        *self = Gauge { failed: false, strikes, last_at: now };
    }

    /// As bad as slow, and nothing has succeeded.
    fn hangs(&mut self, now: Millis) {
        self.strikes = (self.strikes + 1).min(STRIKES_MAX);
        self.last_at = now;
    }

    fn failed(&mut self, now: Millis) {
        self.hangs(now);
        self.failed = true;
    }
}

/// What a node thinks of another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It has shown a sign of life lately.
    Alive,
    /// It has missed a beat or two, or this node cannot tell.
    Silent {
        /// Its last sign of life.
        since: Millis,
    },
    /// It has been silent for too long, and this node's own beats come back.
    Dead(Death),
    /// Never heard of, but not for long enough to say more.
    Unknown,
}

/// What makes a node unfit to lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sickness {
    /// The last own append failed.
    AppendsFail,
    /// The last batch of the own store failed.
    StoreFails,
    /// Own appends keep taking too long.
    AppendsSlow,
    /// Batches of the own store keep taking too long.
    StoreSlow,
    /// Own timers keep running late.
    Late,
    /// The own wall clock is far off those of others.
    ClockOff,
}

impl fmt::Display for Sickness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Sickness::AppendsFail => "appends to the log fail",
            Sickness::StoreFails => "the store fails",
            Sickness::AppendsSlow => "appends to the log are slow",
            Sickness::StoreSlow => "the store is slow",
            Sickness::Late => "timers run late",
            Sickness::ClockOff => {
                "the wall clock is over 5 s off most others': set the clock (NTP)"
            }
        })
    }
}
