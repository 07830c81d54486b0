//! Everything about a world that is decided before it begins.
//!
//! Start reading at [`Plan::draw`].

mod chore;
mod lost_leader;
mod operators;
mod on_brokers;
mod rates;

pub use chore::Chore;

use crate::database::coverage::Fault;
use crate::database::scenario::Scenario;
use crate::kernel::random::{PerMillion, Random};
use crate::kernel::time::{MILLI, SECOND};
use cortado_cluster::{MoveLimits, RawSettings, Settings as Detection};
use cortado_driver::{GATHER_BYTES_MAX, LogLimits, Settings, TrimPolicy};
use cortado_kafka_model::ClusterSettings;
use cortado_model::{Generation, ScnBounds, Sequence};
use cortado_replica::{FEATURE_LEVEL_MAX, LeaseSettings, ReadNeed};
use rates::{BEAT_INTERVALS_US, CHANCES, CHORES_US, INTERVALS_US, LIMBO};
use std::collections::BTreeMap;

/// A world, before its first moment.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The theme.
    pub scenario: Scenario,
    /// Nodes, each with a replica of every partition.
    pub nodes: usize,
    /// Those of them that hold nothing at first.
    pub spares: usize,
    /// Replicas of each partition; `None` for one on every node that is no spare.
    pub replication: Option<usize>,
    /// Mean time between two plans to place replicas otherwise, in microseconds, if there are any.
    pub moves_us: Option<u64>,
    /// How fast replicas move then.
    pub move_limits: MoveLimits,
    /// Partitions.
    pub partitions: usize,
    /// Documents of a partition.
    pub keys: u64,
    /// What every replica is configured with.
    pub settings: Settings,
    /// D, as the logs begin.
    pub lease_ms: u32,
    /// Who decides about claims.
    pub policy: Policy,
    /// How fast `cortado-cluster` notices.
    pub detection: Detection,
    /// Nodes gossip, and go by what that says, too.
    pub gossip: bool,
    /// How many streams of beats there are.
    pub beat_streams: u32,
    /// Who is cut off from the log is cut off from the beats; else these go ways of their own.
    pub beats_on_brokers: bool,
    /// Parts per million by which each node's clock is fast.
    pub drift_ppm: Vec<i64>,
    /// A node whose wall clock is wrong from the beginning, and by how much.
    pub wrong_clock: Option<(usize, i64)>,
    /// How often a fault strikes, whenever it could.
    pub chances: BTreeMap<Fault, PerMillion>,
    /// Mean time between two of the faults that strike by themselves, in microseconds.
    pub intervals_us: BTreeMap<Fault, u64>,
    /// Mean time between two handoffs, trims and digests of a partition, in microseconds.
    pub chores_us: BTreeMap<Chore, u64>,
    /// Logs do not wait for who is gone for longer.
    pub away_us: u64,
    /// How long faults strike.
    pub faults_us: u64,
    /// The longest pause of a node.
    pub pause_us_max: u64,
    /// The longest time by which an append lands late.
    pub late_us_max: u64,
    /// Mean time on the way, in one direction.
    pub delay_us: u64,
    /// Clients, each with one request at a time.
    pub clients: usize,
    /// Mean time between an answer and the next request.
    pub think_us: u64,
    /// How long a client waits for an answer.
    pub deadline_us: u64,
    /// How many things a driver is told before it settles, at most.
    pub events_max: u64,
    /// Mean time that a store takes for anything; 0: it is done at once.
    pub store_us: u64,
    /// Mean time between the proof of a read and the look; 0: at once.
    pub look_us: u64,
    /// Mean time after which a node gives up a write for its client, if it does.
    pub node_patience_us: Option<u64>,
    /// For how long answers to writes are remembered, if some expire while the world runs.
    pub ttl_ms: Option<u32>,
    /// Applied batches that may not be durable yet.
    pub undurable_max: usize,
    /// The brokers on which the log stands; none: it is in memory.
    pub brokers: Option<ClusterSettings>,
    /// After how long a producer of theirs gives up what was not answered, if it does.
    pub give_up_us: Option<u64>,
}

/// Who decides about claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// The simulator: quickly, and knowing who lives.
    Simple,
    /// `cortado-cluster`, from beats and records.
    Cluster,
}

impl Plan {
    /// The plan that `random` draws for `scenario`.
    pub fn draw(scenario: Scenario, random: &mut Random) -> Plan {
        let mut plan = Plan::any(scenario, random);
        plan.draw_swarm(random);
        plan.specialize(random);
        plan.prove_soundly();
        let is_calm =
            matches!(scenario, Scenario::Pinned | Scenario::CutOff | Scenario::LeaderDies);
        if plan.policy == Policy::Cluster && !is_calm {
            plan.draw_beats(random);
        }
        plan
    }

    /// Whether strong and strict reads are proven by the end of a log that all can read.
    pub fn is_local(&self) -> bool {
        self.settings.replica.lease.is_none()
    }

    /// Whether clocks keep the promise on which strong reads rest.
    pub fn clocks_are_sound(&self) -> bool {
        self.scenario != Scenario::Drift
    }

    /// Whether nothing goes wrong.
    pub fn is_calm(&self) -> bool {
        self.scenario == Scenario::Calm
    }

    /// Whether a partition may become read-only for good.
    pub fn may_exhaust(&self) -> bool {
        self.scenario == Scenario::Exhaustion
    }

    /// Whether databases may have the name of a dropped one, whose generations they go on with.
    pub fn has_former_lives(&self) -> bool {
        matches!(self.scenario, Scenario::Crash | Scenario::Pinned)
    }

    /// How often `fault` strikes when it could.
    pub fn chance(&self, fault: Fault) -> PerMillion {
        self.chances.get(&fault).copied().unwrap_or_default()
    }

    fn any(scenario: Scenario, random: &mut Random) -> Plan {
        let lease_ms = random.one_of(&[200, 400, 1_000]);
        let replica = cortado_replica::Settings {
            bounds: ScnBounds::FULL,
            lease: Some(LeaseSettings { drift_percent: 10 }),
            in_flight_records_max: random.one_of(&[2, 6, 64, 4_096]),
            in_flight_bytes_max: random.one_of(&[600, IN_FLIGHT_BYTES_MAX]),
            retry_ms: random.one_of(&[40, 100, 200]),
            bookmark_records: random.one_of(&[1, 50, 1_024]),
            feature_level: FEATURE_LEVEL_MAX,
        };
        let settings = Settings {
            replica,
            proof: random.one_of(&[ReadNeed::Lease, ReadNeed::Barrier]),
            trim: TrimPolicy {
                after_records: random.one_of(&[40, 200, 1 << 40]),
                after_bytes: random.one_of(&[8_000, 60_000, 1 << 40]),
            },
            log: LogLimits {
                record_bytes_max: 1 << 20,
                append_timeout_ms: random.one_of(&[150, 700, 4_000]),
            },
            gather_bytes_max: random.one_of(&[100, 2_000, GATHER_BYTES_MAX]),
            copy_beyond_records: u64::MAX,
        };
        let nodes = random.one_of(&[3, 3, 3, 2, 5]);
        Plan {
            scenario,
            nodes,
            spares: 0,
            replication: None,
            moves_us: None,
            move_limits: MoveLimits::default(),
            partitions: random.one_of(&[1, 1, 2]),
            keys: random.between(2, 6),
            settings,
            lease_ms,
            policy: random.one_of(&[Policy::Simple, Policy::Cluster]),
            detection: draw_detection(random),
            gossip: false,
            beat_streams: 1,
            beats_on_brokers: false,
            drift_ppm: (0..nodes).map(|_| random.between(0, 198_000) as i64 - 99_000).collect(),
            wrong_clock: None,
            chances: BTreeMap::new(),
            intervals_us: BTreeMap::new(),
            chores_us: BTreeMap::new(),
            away_us: random.one_of(&[300 * MILLI, 900 * MILLI, 900 * SECOND, 900 * SECOND]),
            faults_us: random.between(5, 12) * SECOND,
            pause_us_max: random.one_of(&[50 * MILLI, 700 * MILLI, 3 * SECOND]),
            late_us_max: random.one_of(&[20 * MILLI, 500 * MILLI, 4 * SECOND]),
            delay_us: random.one_of(&[150, 600, 4_000]),
            clients: random.between(4, 9) as usize,
            think_us: random.one_of(&[1, 4, 15]) * MILLI,
            deadline_us: random.between(60, 1_000) * MILLI,
            events_max: random.one_of(&[1, 1, 4, 16]),
            store_us: random.one_of(&[0, 0, 300, 3_000, 20_000]),
            look_us: random.one_of(&[0, 0, 500, 5_000]),
            node_patience_us: random.one_of(&[None, None, Some(3 * MILLI), Some(100 * MILLI)]),
            ttl_ms: random.one_of(&[None, None, None, Some(800), Some(3_000)]),
            undurable_max: random.one_of(&[1, 20, 200]),
            brokers: None,
            give_up_us: None,
        }
    }

    /// Faults of all kinds, each off in half of the plans and at one of three intensities else.
    fn draw_swarm(&mut self, random: &mut Random) {
        for (fault, per_million) in CHANCES {
            if random.coin() {
                let strength = random.one_of(&[1, 4, 12]);
                self.chances.insert(fault, PerMillion(per_million * strength));
            }
        }
        for (fault, mean_us) in INTERVALS_US {
            if random.coin() {
                self.intervals_us.insert(fault, mean_us * random.one_of(&[2, 4, 12]) / 4);
            }
        }
        for (chore, mean_us) in CHORES_US {
            if random.coin() {
                self.chores_us.insert(chore, mean_us * random.one_of(&[1, 4, 12]) / 4);
            }
        }
    }

    /// Streams of beats, and what goes wrong with them, where nodes listen to beats.
    fn draw_beats(&mut self, random: &mut Random) {
        self.beat_streams = random.one_of(&[1, 1, 3]);
        self.beats_on_brokers = random.coin();
        if random.coin() {
            let strength = random.one_of(&[1, 4, 12]);
            self.chances.insert(Fault::BeatLost, PerMillion(10_000 * strength));
        }
        let often = self.scenario == Scenario::Beats;
        for (fault, mean_us) in BEAT_INTERVALS_US {
            if often || random.coin() {
                let mean_us = if often { mean_us / 4 } else { mean_us };
                self.intervals_us.insert(fault, mean_us);
            }
        }
    }

    fn specialize(&mut self, random: &mut Random) {
        match self.scenario {
            Scenario::Swarm => self.specialize_swarm(random),
            Scenario::Calm => self.calm(random),
            Scenario::Duel => self.every(&[(Fault::WrongSuspicion, 60 * MILLI)]),
            Scenario::Limbo => self.often(&LIMBO),
            Scenario::Rollover => self.shorten_generations(1_000_000, random),
            Scenario::Exhaustion => {
                let generations = random.between(3, 9) as u32;
                self.shorten_generations(generations, random);
            }
            Scenario::Handoff => {
                self.chores_us.insert(Chore::Handoff, 120 * MILLI);
                self.often(&[(Fault::AppendRefused, 50_000), (Fault::AppendLate, 30_000)]);
                self.every(&[(Fault::LogUnusable, SECOND)]);
            }
            Scenario::Unusable => self.break_logs(random),
            Scenario::Lease => self.strain_leases(random),
            Scenario::LeaseChange => self.change_leases(random),
            Scenario::Drift => {
                self.strain_leases(random);
                for drift_ppm in &mut self.drift_ppm {
                    *drift_ppm = random.one_of(&[-700_000, 2_000_000]);
                }
                self.pause_us_max /= 2;
            }
            Scenario::Trim => self.strain_trims(random),
            Scenario::Crash => {
                self.often(&[(Fault::NodeCrash, 2_000)]);
                self.every(&[(Fault::AllCrash, 3 * SECOND)]);
                self.trim_often(random);
            }
            Scenario::Local => self.share_the_log(),
            Scenario::Full => self.strain_storage(),
            Scenario::Asymmetric => self.every(&[
                (Fault::CutAppend, 600 * MILLI),
                (Fault::CutRead, 600 * MILLI),
                (Fault::CutAnswers, 600 * MILLI),
                (Fault::CutBoth, 600 * MILLI),
                (Fault::StaleEnd, 600 * MILLI),
            ]),
            Scenario::Five => {
                self.nodes = 5;
                self.partitions = 3;
                self.drift_ppm.resize(5, 99_000);
            }
            Scenario::Damage => self.often(&[(Fault::ReadDamaged, 6_000)]),
            Scenario::Hindsight => self.delay_news(random),
            Scenario::Truncated => self.keep_the_log(),
            Scenario::Upgrade => {}
            Scenario::Disputed => self.lose_sight(),
            Scenario::Outvoted => self.lose_the_last(random),
            Scenario::Beats => self.policy = Policy::Cluster,
            Scenario::NoRoom => self.run_out_of_room(random),
            Scenario::Blind => self.blind_one(random),
            Scenario::Pinned => self.leave_to_operators(random),
            Scenario::Kafka
            | Scenario::KafkaBrokers
            | Scenario::KafkaLimbo
            | Scenario::KafkaLeaders
            | Scenario::KafkaStrangers
            | Scenario::KafkaUnclean
            | Scenario::KafkaRecreated => self.stand_on_brokers(random),
            Scenario::Drained => self.drain_often(random),
            Scenario::Rolling => self.upgrade_often(random),
            Scenario::Moves => self.move_replicas(random),
            Scenario::Gray => self.cut_some_ways(random),
            Scenario::CutOff | Scenario::LeaderDies => self.lose_a_leader(random),
        }
    }

    fn specialize_swarm(&mut self, random: &mut Random) {
        match random.below(6) {
            0 => self.share_the_log(),
            1 => self.shorten_generations(1_000_000, random),
            _ => {}
        }
    }

    fn calm(&mut self, random: &mut Random) {
        self.chances.clear();
        self.intervals_us.clear();
        self.chores_us = BTreeMap::from([(Chore::Handoff, 500 * MILLI)]);
        self.chores_us.insert(Chore::Verify, 300 * MILLI);
        self.settings.replica.in_flight_records_max = 4_096;
        self.settings.replica.in_flight_bytes_max = IN_FLIGHT_BYTES_MAX;
        self.delay_us = random.one_of(&[150, 600]);
        self.deadline_us = 2 * SECOND;
        self.node_patience_us = None;
        self.store_us = random.one_of(&[0, 300]);
        self.settings.log.append_timeout_ms = 4_000;
        self.settings.gather_bytes_max = GATHER_BYTES_MAX;
        self.faults_us = 4 * SECOND;
        self.policy = Policy::Simple;
    }

    /// Nodes that work for some and not for others: cut off from peers, or from the log, or in one
    /// direction; and nothing else goes wrong.
    fn cut_some_ways(&mut self, random: &mut Random) {
        self.chances.clear();
        self.intervals_us.clear();
        self.every(&[
            (Fault::CutPeersOut, 900 * MILLI),
            (Fault::CutPeersIn, 900 * MILLI),
            (Fault::CutPeer, 200 * MILLI),
            (Fault::CutAppend, 2 * SECOND),
            (Fault::CutBoth, 2 * SECOND),
            (Fault::NodeCrash, 3 * SECOND),
            (Fault::NodePause, 3 * SECOND),
        ]);
        self.chores_us = BTreeMap::from([(Chore::Handoff, 2 * SECOND)]);
        self.policy = Policy::Cluster;
        self.gossip = true;
        self.nodes = random.one_of(&[3, 3, 5]);
        self.drift_ppm =
            (0..self.nodes).map(|_| random.between(0, 198_000) as i64 - 99_000).collect();
        self.faults_us = random.between(6, 14) * SECOND;
    }

    /// Logs that break under handoffs, and leases long enough to outlive them.
    fn break_logs(&mut self, random: &mut Random) {
        self.chores_us.insert(Chore::Handoff, 200 * MILLI);
        self.every(&[(Fault::LogUnusable, SECOND)]);
        self.often(&[(Fault::AppendLate, 20_000), (Fault::AnswerSlow, 20_000)]);
        self.late_us_max = random.one_of(&[5 * MILLI, 60 * MILLI, SECOND]);
        self.deadline_us = 100 * MILLI;
        self.lease_ms = 1_000;
    }

    /// Logs that forget, and replicas that lack what is forgotten.
    fn strain_trims(&mut self, random: &mut Random) {
        self.trim_often(random);
        self.chores_us.insert(Chore::Verify, 150 * MILLI);
        self.every(&[
            (Fault::StoreWiped, 900 * MILLI),
            (Fault::CutRead, 900 * MILLI),
            (Fault::NodeCrash, 900 * MILLI),
        ]);
        self.often(&[(Fault::SnapshotBroken, 200_000)]);
    }

    /// Logs and stores that are full or slow, or out of reach.
    fn strain_storage(&mut self) {
        self.often(&[(Fault::StoreSlow, 10_000)]);
        self.every(&[
            (Fault::LogFull, 600 * MILLI),
            (Fault::LogOutage, 900 * MILLI),
            (Fault::StoreFull, 900 * MILLI),
        ]);
    }

    /// Clocks exactly as wrong as allowed, leases short, pauses around their length.
    fn strain_leases(&mut self, random: &mut Random) {
        self.lease_ms = random.one_of(&[40, 100, 300]);
        self.pause_us_max = 3 * u64::from(self.lease_ms) * MILLI;
        for drift_ppm in &mut self.drift_ppm {
            *drift_ppm = random.one_of(&[-99_900, 99_900]);
        }
        self.every(&[(Fault::NodePause, 100 * MILLI), (Fault::WrongSuspicion, 250 * MILLI)]);
        self.chances.insert(Fault::NodePause, PerMillion(1_500));
        self.delay_us = 150;
        // What is slow for other reasons hides whether a lease was.
        self.store_us = self.store_us.min(300);
        self.look_us = self.look_us.min(500);
        self.node_patience_us = None;
    }

    /// Lengths that change, and leaders that do not hear of the next one: they have nothing but
    /// their lease.
    fn change_leases(&mut self, random: &mut Random) {
        self.strain_leases(random);
        self.chores_us.insert(Chore::Lease, 250 * MILLI);
        self.every(&[(Fault::CutRead, 300 * MILLI)]);
    }

    /// Acknowledgements that come when others lead already, logs that cannot be read meanwhile, and
    /// leaderships that change by every way there is: what a leader may serve, it must know itself.
    fn delay_news(&mut self, random: &mut Random) {
        self.strain_leases(random);
        if random.coin() {
            // Long enough to outlive a log that breaks, and the process that has it open.
            self.lease_ms = 1_000;
        }
        self.chances.clear();
        self.intervals_us.clear();
        self.chores_us = BTreeMap::from([(Chore::Handoff, random.one_of(&[60, 250]) * MILLI)]);
        self.every(&[
            (Fault::CutRead, random.one_of(&[150, 500]) * MILLI),
            (Fault::WrongSuspicion, random.one_of(&[100, 400]) * MILLI),
            (Fault::NodeCrash, 900 * MILLI),
            (Fault::LogUnusable, 900 * MILLI),
        ]);
        self.often(&[
            (Fault::AnswerSlow, 100_000),
            (Fault::AppendLate, 20_000),
            (Fault::AppendLost, 10_000),
        ]);
        self.policy = Policy::Simple;
        self.settings.replica.retry_ms = 400;
        self.settings.replica.in_flight_records_max = 64;
        self.settings.replica.in_flight_bytes_max = IN_FLIGHT_BYTES_MAX;
        self.late_us_max = random.one_of(&[20, 300]) * MILLI;
        (self.delay_us, self.think_us) = (150, MILLI);
        self.deadline_us = 2 * SECOND;
    }

    /// A log that only its replicas write into, and that forgets nothing by itself: with more than
    /// that, it might grow beyond what it has lost before a replica notices.
    fn keep_the_log(&mut self) {
        self.policy = Policy::Simple;
        self.intervals_us.remove(&Fault::StrangerWrites);
        self.settings.trim = TrimPolicy { after_records: 1 << 40, after_bytes: 1 << 40 };
        self.chores_us.remove(&Chore::Verify);
    }

    /// Records that one replica is not shown, leaderships that change, peers that cannot be heard,
    /// and no trims.
    fn lose_sight(&mut self) {
        self.keep_the_log();
        self.chances.clear();
        self.intervals_us.clear();
        self.often(&[(Fault::ReadForeign, 5_000), (Fault::PeerMessageLost, 800_000)]);
        self.every(&[(Fault::WrongSuspicion, 400 * MILLI), (Fault::NodePause, SECOND)]);
    }

    /// Nothing but that: no other node claims or hands over, and the log is not trimmed.
    fn lose_the_last(&mut self, random: &mut Random) {
        self.keep_the_log();
        self.chances.clear();
        self.intervals_us.clear();
        self.chores_us.clear();
        (self.nodes, self.partitions) = (random.one_of(&[3, 5]), 1);
        self.drift_ppm = vec![0; self.nodes];
        self.faults_us = random.between(1, 3) * SECOND;
    }

    /// Nothing but that, and replicas whose stores need not take what changes nothing.
    fn run_out_of_room(&mut self, random: &mut Random) {
        self.chances.clear();
        self.intervals_us.clear();
        self.chores_us = BTreeMap::from([(Chore::Handoff, 500 * MILLI)]);
        self.policy = Policy::Cluster;
        self.partitions = 3;
        self.settings.replica.bookmark_records = 1 << 40;
        self.settings.trim = TrimPolicy { after_records: 1 << 40, after_bytes: 1 << 40 };
        self.think_us = random.one_of(&[1, 4]) * MILLI;
        self.faults_us = random.between(1, 3) * SECOND;
    }

    /// One node that is not shown some records, one whose clock is an hour off, leaderships that
    /// change, and all other nodes well: peers answer late, but in time.
    fn blind_one(&mut self, random: &mut Random) {
        self.chances.clear();
        self.intervals_us.clear();
        self.often(&[(Fault::ReadForeign, 200_000), (Fault::AppendLost, 4_000)]);
        self.every(&[(Fault::WrongSuspicion, random.one_of(&[100, 400]) * MILLI)]);
        self.chores_us.insert(Chore::Handoff, 500 * MILLI);
        self.policy = Policy::Simple;
        self.nodes = 3;
        self.drift_ppm = vec![0; 3];
        self.wrong_clock = Some((random.index(3), random.one_of(&[-HOUR_MS, HOUR_MS])));
        self.lease_ms = random.one_of(&[40, 400]);
    }

    /// Logs that forget as soon as they may.
    fn trim_often(&mut self, random: &mut Random) {
        let after_records = random.one_of(&[20, 60]);
        self.settings.trim = TrimPolicy { after_records, after_bytes: 1 << 40 };
    }

    /// Where clocks are not sound, a refusal under a lease may rest on an old state.
    fn prove_soundly(&mut self) {
        if !self.clocks_are_sound() {
            self.settings.proof = ReadNeed::Barrier;
        }
    }

    fn shorten_generations(&mut self, generations: u32, random: &mut Random) {
        self.settings.replica.bounds = ScnBounds {
            generation_max: Generation(generations),
            sequence_max: Sequence(random.one_of(&[1, 2, 3, 7, 40])),
        };
    }

    /// One log in reach of every process: no node can be cut off or told an old end, and no leader
    /// needs a lease.
    fn share_the_log(&mut self) {
        self.settings.replica.lease = None;
        let cuts = [Fault::CutAppend, Fault::CutRead, Fault::CutBoth, Fault::CutAnswers];
        for fault in cuts.into_iter().chain([Fault::StaleEnd]) {
            self.intervals_us.remove(&fault);
        }
    }

    fn often(&mut self, faults: &[(Fault, u32)]) {
        self.chances.extend(faults.iter().map(|(fault, chance)| (*fault, PerMillion(*chance))));
    }

    fn every(&mut self, faults: &[(Fault, u64)]) {
        self.intervals_us.extend(faults.iter().copied());
    }
}

/// More than all clients together have in flight.
const IN_FLIGHT_BYTES_MAX: usize = 10_000;
/// As far as a wall clock may be off.
const HOUR_MS: i64 = 3_600_000;

/// Quick enough for a run of seconds, or as in production.
fn draw_detection(random: &mut Random) -> Detection {
    let [beat_ms, dead_after_ms, stagger_ms] =
        random.one_of(&[[20, 80, 20], [50, 200, 40], [250, 1_000, 150]]).map(Some);
    let raw = RawSettings { beat_ms, dead_after_ms, stagger_ms };
    raw.validate().expect("each set keeps three beats within the limit")
}

/// Lease lengths that the log changes to: so different that a node that counts with the wrong one
/// is found.
pub(crate) const LEASES_MS: [u32; 2] = [40, 1_500];
