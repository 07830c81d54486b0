//! The worlds that a seed can name.
//!
//! Start reading at [`Scenario`]; what each means is in `Plan::draw`.

use crate::kernel::random::Random;
use std::fmt;

/// A theme: what the world is like, and which faults it prefers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scenario {
    /// Any faults at once, each switched off in half of the seeds.
    Swarm,
    /// No faults; handoffs that must not be felt.
    Calm,
    /// Every node claims all the time.
    Duel,
    /// Appends answered "perhaps", landing late, twice or never.
    Limbo,
    /// Generations of a few records, so that leaders claim their own next one all the time.
    Rollover,
    /// Generations that are soon used up.
    Exhaustion,
    /// Leadership handed over all the time, while appends fail.
    Handoff,
    /// Logs that take nothing more until their process starts again.
    Unusable,
    /// Long pauses, short leases and clocks at the edge of what is allowed.
    Lease,
    /// Leases whose length the log changes.
    LeaseChange,
    /// Clocks that run at half or double rate: strong reads may be stale, nothing else.
    Drift,
    /// Trims, lost stores, snapshots.
    Trim,
    /// Processes that die at every boundary.
    Crash,
    /// A log whose end every process can read: no leases.
    Local,
    /// A log that is full, or away, and stores that are full, or slow.
    Full,
    /// Nodes that can do one thing to the log and not the other, or see old ends of it.
    Asymmetric,
    /// Five nodes, three partitions.
    Five,
    /// Reads that answer damaged bytes.
    Damage,
    /// Leaders that hear late of everything, so that an old one still serves when a new one does.
    Hindsight,
    /// A log that loses its last records when it starts again: what was acknowledged there is lost
    /// by the log, and the replicas that have it keep it.
    Truncated,
    /// A leader of a newer build, whose records no other replica can read.
    Upgrade,
    /// Replicas that lose a record on their way, and may win a claim all the same.
    Disputed,
    /// A replica that has lost the last record leads, unheard, while clients are quiet: the others
    /// replace it, unless one write comes first.
    Outvoted,
    /// Beats that are lost, silent or cut off while the logs work, and the other way round.
    Beats,
    /// All stores fill up at nearly the same time: what they hold can be read all the same.
    NoRoom,
    /// One replica of each partition loses records and wins claims, and all others live and answer:
    /// nothing must come of it.
    Blind,
    /// An operator hands a leadership over: it stays, but for the time in which its node is dead.
    Pinned,
    /// Operators drain nodes and resume them while all kinds of faults strike.
    Drained,
    /// Nodes are restarted with the next build and back, and the gate is opened when all read it.
    Rolling,
    /// Brokers instead of the log in memory, and any faults at once.
    Kafka,
    /// Brokers that die, stop and are cut off from one another all the time.
    KafkaBrokers,
    /// Requests that come late, twice or not at all, answers that are lost, producers that give up.
    KafkaLimbo,
    /// Partitions whose brokers change all the time.
    KafkaLeaders,
    /// Strangers' transactions, retention set behind our back, changed settings, trims.
    KafkaStrangers,
    /// A replica that was not in sync comes to lead: what it lacks is lost by the log, and held by
    /// who has it.
    KafkaUnclean,
    /// The topic is deleted and created again, and nobody is told.
    KafkaRecreated,
    /// Nodes join, leave and are replaced, and replicas move, whatever else goes wrong.
    Moves,
    /// Nodes that some reach and others do not: gossip and the log say different things of them.
    Gray,
    /// A leader loses its way to the log, and its peers reach it all the time.
    CutOff,
    /// A node that leads dies, and its machine says so or is gone with it.
    LeaderDies,
}

impl Scenario {
    /// All of them.
    pub const ALL: [Scenario; 40] = [
        Scenario::Swarm,
        Scenario::Calm,
        Scenario::Duel,
        Scenario::Limbo,
        Scenario::Rollover,
        Scenario::Exhaustion,
        Scenario::Handoff,
        Scenario::Unusable,
        Scenario::Lease,
        Scenario::LeaseChange,
        Scenario::Drift,
        Scenario::Trim,
        Scenario::Crash,
        Scenario::Local,
        Scenario::Full,
        Scenario::Asymmetric,
        Scenario::Five,
        Scenario::Damage,
        Scenario::Hindsight,
        Scenario::Truncated,
        Scenario::Upgrade,
        Scenario::Disputed,
        Scenario::Outvoted,
        Scenario::Beats,
        Scenario::NoRoom,
        Scenario::Blind,
        Scenario::Pinned,
        Scenario::Drained,
        Scenario::Moves,
        Scenario::Gray,
        Scenario::Rolling,
        Scenario::CutOff,
        Scenario::LeaderDies,
        Scenario::Kafka,
        Scenario::KafkaBrokers,
        Scenario::KafkaLimbo,
        Scenario::KafkaLeaders,
        Scenario::KafkaStrangers,
        Scenario::KafkaUnclean,
        Scenario::KafkaRecreated,
    ];

    /// Those whose log stands on brokers: the last of [`ALL`](Self::ALL).
    const ON_BROKERS: usize = 7;

    /// The scenario of `seed` unless another is chosen: one on brokers in two seeds of nine, and
    /// the swarm in two of five others.
    pub fn of_seed(seed: u64) -> Scenario {
        let mut random = Random::of(seed ^ 0x5ce0_a210);
        let (others, on_brokers) =
            Scenario::ALL.split_at(Scenario::ALL.len() - Scenario::ON_BROKERS);
        if seed % 9 >= 7 {
            return random.one_of(on_brokers);
        }
        if random.below(5) < 2 { Scenario::Swarm } else { random.one_of(others) }
    }

    /// Whether the log stands on brokers.
    pub fn has_brokers(self) -> bool {
        Scenario::ALL[Scenario::ALL.len() - Scenario::ON_BROKERS..].contains(&self)
    }

    /// The scenario with this name.
    pub fn parse(name: &str) -> Option<Scenario> {
        Scenario::ALL.into_iter().find(|scenario| scenario.to_string() == name)
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Scenario::Swarm => "swarm",
            Scenario::Calm => "calm",
            Scenario::Duel => "duel",
            Scenario::Limbo => "limbo",
            Scenario::Rollover => "rollover",
            Scenario::Exhaustion => "exhaustion",
            Scenario::Handoff => "handoff",
            Scenario::Unusable => "unusable",
            Scenario::Lease => "lease",
            Scenario::LeaseChange => "lease-change",
            Scenario::Drift => "drift",
            Scenario::Trim => "trim",
            Scenario::Crash => "crash",
            Scenario::Local => "local",
            Scenario::Full => "full",
            Scenario::Asymmetric => "asymmetric",
            Scenario::Five => "five",
            Scenario::Damage => "damage",
            Scenario::Hindsight => "hindsight",
            Scenario::Truncated => "truncated",
            Scenario::Upgrade => "upgrade",
            Scenario::Disputed => "disputed",
            Scenario::Outvoted => "outvoted",
            Scenario::Beats => "beats",
            Scenario::NoRoom => "no-room",
            Scenario::Blind => "blind",
            Scenario::Pinned => "pinned",
            Scenario::Kafka => "kafka",
            Scenario::KafkaBrokers => "kafka-brokers",
            Scenario::KafkaLimbo => "kafka-limbo",
            Scenario::KafkaLeaders => "kafka-leaders",
            Scenario::KafkaStrangers => "kafka-strangers",
            Scenario::KafkaUnclean => "kafka-unclean",
            Scenario::KafkaRecreated => "kafka-recreated",
            Scenario::Drained => "drained",
            Scenario::Rolling => "rolling",
            Scenario::Moves => "moves",
            Scenario::Gray => "gray",
            Scenario::CutOff => "cut-off",
            Scenario::LeaderDies => "leader-dies",
        })
    }
}
