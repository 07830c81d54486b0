//! What a node knows about others, and how far it may trust that.
//!
//! Gathers evidence of two kinds (docs/protocols/failover.md, "Evidence"): of the
//! node itself, and what it reads in the log. Evidence from peers joins as further variants of
//! [`Evidence`]. A node that is slow or sick itself suspects others more slowly, since what looks
//! like their silence may be its own. Never claims anything.
//! Start reading at [`Detector::standing`].

#[cfg(test)]
mod tests;

use crate::settings::Settings;
use alloc::collections::BTreeMap;
use core::fmt;
use cortado_model::{Millis, NodeId, NodeIncarnation};

/// One node's view of all nodes. Total: every method takes any evidence in any state.
#[derive(Clone, Debug)]
pub struct Detector {
    me: NodeId,
    settings: Settings,
    nodes: BTreeMap<NodeId, Seen>,
    log_path: Option<LogPath>,
    appends: Gauge,
    store: Gauge,
    lateness: Gauge,
    /// The own wall clock is far off those of others.
    clock_is_off: bool,
}

/// Something that a node has observed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// A heartbeat was read in the cluster log; an own one shows that the own log path works.
    Heartbeat {
        /// Who wrote it.
        node: NodeId,
        /// In which life.
        incarnation: NodeIncarnation,
    },
    /// A record was accepted in the log of a partition that this node follows.
    PartitionRecord {
        /// Who wrote it.
        node: NodeId,
        /// In which life.
        incarnation: NodeIncarnation,
    },
    /// An own append was acknowledged.
    OwnAppend {
        /// From handing it over to the acknowledgement.
        took_ms: u64,
    },
    /// An own append failed, or has waited for longer than any append may.
    OwnAppendFailed,
    /// A probe of the own store succeeded.
    OwnStore {
        /// How long it took.
        took_ms: u64,
    },
    /// A probe of the own store failed.
    OwnStoreFailed,
    /// The own wall clock was compared with those of others.
    OwnClock {
        /// It is too far off for a leader, as [`LogClock::is_off`](crate::LogClock::is_off) says.
        is_off: bool,
    },
    /// An own timer ran. Reported for every tick, punctual ones too.
    Lateness {
        /// How much later than it should have.
        late_ms: u64,
    },
}

/// This node's own way into the log and out of it, as its own heartbeats show.
#[derive(Clone, Copy, Debug)]
struct LogPath {
    /// Since when they have come back without a gap.
    works_since: Millis,
    read_back_at: Millis,
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
}

/// Strikes of one gauge at most; with all three at their end, timeouts are ten times as long.
const STRIKES_MAX: u64 = 3;
/// Heartbeat intervals between two own heartbeats before the own log path counts as broken.
const OWN_HEARTBEATS_GAP_MAX: u64 = 2;

impl Detector {
    /// Starts with no knowledge of anybody.
    pub fn new(me: NodeId, settings: Settings) -> Detector {
        Detector {
            me,
            settings,
            nodes: BTreeMap::new(),
            log_path: None,
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
        match evidence {
            Evidence::Heartbeat { node, incarnation } => {
                if node == self.me {
                    self.read_back(now);
                }
                self.sign_of_life(now, node, incarnation);
            }
            Evidence::PartitionRecord { node, incarnation } => {
                self.sign_of_life(now, node, incarnation);
            }
            Evidence::OwnAppend { took_ms } => self.appends.succeeded(took_ms > slow_ms),
            Evidence::OwnAppendFailed => self.appends.failed(),
            Evidence::OwnStore { took_ms } => self.store.succeeded(took_ms > slow_ms),
            Evidence::OwnStoreFailed => self.store.failed(),
            Evidence::OwnClock { is_off } => self.clock_is_off = is_off,
            Evidence::Lateness { late_ms } => self.lateness.succeeded(late_ms > slow_ms),
        }
    }

    /// What `now` is to be thought of `node`.
    pub fn standing(&self, now: Millis, node: NodeId) -> Standing {
        if node == self.me {
            return Standing::Alive;
        }
        let seen = self.nodes.get(&node);
        if let Some(death) = self.death(now, seen) {
            return Standing::Dead(death);
        }
        let Some(seen) = seen else {
            return Standing::Unknown;
        };
        // One heartbeat may be on its way, the next one is missing.
        if now.since(seen.last_sign_at) > 2 * self.settings.heartbeat_ms {
            Standing::Silent { since: seen.last_sign_at }
        } else {
            Standing::Alive
        }
    }

    /// Judges silence.
    fn death(&self, now: Millis, seen: Option<&Seen>) -> Option<Death> {
        let (last_sign_at, at) = self.silence_ends(now, seen)?;
        if now < at {
            return None;
        }
        let silent_ms = now.since(last_sign_at);
        let heartbeats_missed = silent_ms / self.settings.heartbeat_ms;
        let heard = seen.map(|seen| seen.incarnation);
        Some(Death { at, silent_ms, limit_ms: self.limit_ms(), heartbeats_missed, heard })
    }

    /// From when on `node` counts as dead if nothing more is heard of it; perhaps it does already.
    ///
    /// `None` while this node's own way to the log does not work: then nobody counts as dead.
    pub fn dead_from(&self, now: Millis, node: NodeId) -> Option<Millis> {
        if node == self.me {
            return None;
        }
        self.silence_ends(now, self.nodes.get(&node)).map(|(_, at)| at)
    }

    /// The last sign of life, and when the silence since then will have lasted too long. Only time
    /// in which this node's own log path worked counts: after a pause of this node, or of the log,
    /// everybody gets the whole limit again.
    ///
    /// Own heartbeats at most two intervals apart, and 3 intervals within the limit: what delays
    /// the log for everybody alike breaks the own path before it makes others look dead.
    fn silence_ends(&self, now: Millis, seen: Option<&Seen>) -> Option<(Millis, Millis)> {
        let path = self.log_path.filter(|_| self.reads_its_log(now))?;
        let last_sign_at = seen.map_or(path.works_since, |seen| seen.last_sign_at);
        let silent_since = last_sign_at.max(path.works_since);
        Some((last_sign_at, silent_since.plus(self.limit_ms())))
    }

    /// The newest life of `node` that has been seen, and when it was first seen.
    pub fn incarnation(&self, node: NodeId) -> Option<(NodeIncarnation, Millis)> {
        self.nodes.get(&node).map(|seen| (seen.incarnation, seen.incarnation_at))
    }

    /// Since when `node` has been alive, in one life and without a long silence.
    pub fn alive_since(&self, now: Millis, node: NodeId) -> Option<Millis> {
        match self.standing(now, node) {
            Standing::Alive => self.nodes.get(&node).map(|seen| seen.alive_since),
            Standing::Silent { .. } | Standing::Dead(_) | Standing::Unknown => None,
        }
    }

    /// Whether an own heartbeat has come back lately: the way into the log and out of it works.
    ///
    /// Without that, silence of others means nothing.
    pub fn reads_its_log(&self, now: Millis) -> bool {
        self.log_path.is_some_and(|path| now.since(path.read_back_at) <= self.log_path_gap_ms())
    }

    /// What is wrong with this node itself, if it is too much to lead.
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
            None
        }
    }

    /// What is wrong with this node, if it is enough to hand over what it leads: what fails, not
    /// what is slow. A slow leader still serves, and under a load that makes all nodes slow,
    /// leaderships would only wander. A wrong wall clock keeps nobody from claiming: it may be all
    /// that is left.
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
        let strikes = self.appends.strikes + self.store.strikes + self.lateness.strikes;
        self.settings.dead_after_ms.saturating_mul(1 + strikes)
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
    }

    fn read_back(&mut self, now: Millis) {
        let unbroken = self.log_path.filter(|_| self.reads_its_log(now));
        let works_since = unbroken.map_or(now, |path| path.works_since);
        self.log_path = Some(LogPath { works_since, read_back_at: now });
    }

    fn log_path_gap_ms(&self) -> u64 {
        OWN_HEARTBEATS_GAP_MAX.saturating_mul(self.settings.heartbeat_ms)
    }
}

impl Gauge {
    fn succeeded(&mut self, slow: bool) {
        self.failed = false;
        let more = (self.strikes + 1).min(STRIKES_MAX);
        self.strikes = if slow { more } else { self.strikes.saturating_sub(1) };
    }

    fn failed(&mut self) {
        self.failed = true;
        self.strikes = (self.strikes + 1).min(STRIKES_MAX);
    }
}

/// What a node thinks of another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It has shown a sign of life lately.
    Alive,
    /// It has missed a heartbeat or two, or this node cannot tell.
    Silent {
        /// Its last sign of life.
        since: Millis,
    },
    /// It has been silent for too long, and this node's own way to the log works.
    Dead(Death),
    /// Never heard of, but not for long enough to say more.
    Unknown,
}

/// Why a node counts as dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Death {
    /// The moment at which the silence reached the limit.
    pub at: Millis,
    /// How long there has been no sign of life.
    pub silent_ms: u64,
    /// How long was allowed; more than the setting if this node mistrusts itself.
    pub limit_ms: u64,
    /// Heartbeats that should have come in that time.
    pub heartbeats_missed: u64,
    /// The life in which it was last heard of; `None` if never, since this node started.
    pub heard: Option<NodeIncarnation>,
}

impl fmt::Display for Death {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Death { silent_ms, limit_ms, heartbeats_missed, heard, .. } = self;
        match heard {
            Some(_) => write!(f, "silent for {silent_ms} ms")?,
            None => write!(f, "never heard of in {silent_ms} ms")?,
        }
        write!(f, " (limit {limit_ms} ms, {heartbeats_missed} heartbeats missed)")
    }
}

/// What makes a node unfit to lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sickness {
    /// The last own append failed.
    AppendsFail,
    /// The last probe of the own store failed.
    StoreFails,
    /// Own appends keep taking too long.
    AppendsSlow,
    /// Own store probes keep taking too long.
    StoreSlow,
    /// Own timers keep running late.
    Late,
    /// The own wall clock is far off those of others.
    ClockOff,
}

impl fmt::Display for Sickness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Sickness::AppendsFail => "own appends fail",
            Sickness::StoreFails => "the own store fails",
            Sickness::AppendsSlow => "own appends are slow",
            Sickness::StoreSlow => "the own store is slow",
            Sickness::Late => "own timers run late",
            Sickness::ClockOff => "the own wall clock is off",
        })
    }
}
