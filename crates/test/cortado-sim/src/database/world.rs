//! The world: nodes, their log, their clients, and everything that happens to them.
//!
//! One loop takes what is due next; nothing else makes time pass. Start reading at [`World::run`].

mod appending;
mod asking;
mod beating;
mod broker_faults;
mod broker_log;
mod brokers;
mod bulks;
mod clients;
mod clocks;
mod cutting_off;
mod deciding;
mod detecting;
mod draining;
mod driving;
mod due;
mod dying;
mod ending;
mod executing;
mod filling;
mod gossiping;
mod keeping;
mod lives;
mod losing;
mod moving;
mod nemesis;
mod observing;
mod outvoting;
mod peers;
mod placing;
mod planting;
mod resolving;
mod serving;
mod shared_beats;
mod shared_log;
mod storing;
mod transit;
mod upgrading;
mod writers;
mod writing;

use broker_log::Brokers;
use due::{Address, Due};

use crate::database::catalog::Catalog;
use crate::database::client::Client;
use crate::database::coverage::Coverage;
use crate::database::dead_leader::DeadLeader;
use crate::database::documents::{AttemptId, ValueId};
use crate::database::history::Operation;
use crate::database::hosted::Job;
use crate::database::invariants::kept::Kept;
use crate::database::invariants::{
    definite_errors, drained, handoff, liveness, log_time, one_winner, real_time,
};
use crate::database::mutant::Mutant;
use crate::database::node::{Node, Place};
use crate::database::pin::Pin;
use crate::database::plan::Plan;
use crate::database::scenario::Scenario;
use crate::database::truth::Truth;
use crate::database::upgrade::Upgrade;
use crate::kernel::Kernel;
use crate::kernel::network::Network;
use crate::kernel::random::Random;
use crate::kernel::time::Moment;
use crate::kernel::trace::Telling;
use crate::kernel::violation::{Finding, Violation};
use cortado_model::{
    ClusterUuid, DatabaseId, Etag, Generation, LogId, LogOffset, NodeId, PartitionUuid, Scn,
    WallMillis,
};
use cortado_replica::{ChainHash, Genesis, HistoryPoint, Origin, PartitionIdentity};
use shared_beats::SharedBeats;
use shared_log::SharedLog;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// The last generation of a former life, where databases have one.
const FORMER: Generation = Generation(7);

/// One run of one seed.
#[derive(Debug)]
pub struct World {
    seed: u64,
    kernel: Kernel<Due>,
    network: Network<Place>,
    plan: Plan,
    coverage: Coverage,
    log: SharedLog,
    beats: SharedBeats,
    nodes: Vec<Node>,
    clients: Vec<Client>,
    history: Vec<Operation>,
    /// The operation of each try, by its number.
    operations: Vec<usize>,
    partitions: Vec<Partition>,
    /// The states of documents that clients have heard of.
    etags: BTreeMap<ValueId, Etag>,
    /// What every store must keep, in worlds that end so: by node and partition.
    kept: Vec<Vec<Option<Kept>>>,
    /// The node that has lost the last record, until it has copied it: only in `Outvoted`.
    unheard: Option<usize>,
    /// The leadership that an operator has placed: only in `Pinned`.
    pin: Option<Pin>,
    /// The nodes that operators have drained: only in `Drained`.
    drained: BTreeSet<NodeId>,
    /// What `_cluster` says of builds: it changes only in `Rolling`.
    upgrade: Upgrade,
    /// What `_cluster` has said, version by version.
    catalogs: Vec<Rc<Catalog>>,
    /// Nodes whose machines are lost until their change is over: only in `Moves`.
    lost: BTreeSet<usize>,
    /// The leader that has died, as long as it is held down: only in `LeaderDies`.
    dead_leader: Option<DeadLeader>,
    /// When the last order of a controller arrives.
    orders_until: Moment,
    phase: Phase,
    mutant: Option<Mutant>,
    /// Numbers for incarnations, requests and values; never used twice.
    numbers: u64,
}

/// What is known of a partition by who sees everything.
#[derive(Debug, Default)]
struct Partition {
    truth: Truth,
    servers: one_winner::Servers,
    denied: definite_errors::Denied,
    floor: real_time::Floor,
    handoff: handoff::Handoff,
    etags: log_time::Etags,
    served: liveness::Served,
    misplaced: drained::Misplaced,
    /// What the last record was stamped with, and when it was sent: for a planted bug.
    stamped: Option<(WallMillis, Moment)>,
    /// What any record was stamped with, less what log time has crept on until it was sent.
    creeps_from_ms: u64,
    /// The highest offset below which the log was ever told to forget.
    trim_decided: LogOffset,
    /// Nodes that the log has let claim and does not any more, since they last got a replica.
    left: BTreeSet<NodeId>,
    /// Where the first record of a newer build stands, if there is one.
    newer_at: Option<LogOffset>,
    /// Where each transaction stands, on brokers.
    places: Vec<(Scn, LogOffset)>,
    /// Behind everything that was committed there, up to what its log has lost.
    committed_end: LogOffset,
    /// What its log has lost.
    lost: Option<LostTail>,
    /// Whose history an operator has chosen.
    chosen: Option<Chosen>,
}

/// Whose history goes on.
#[derive(Clone, Debug)]
struct Chosen {
    node: usize,
    /// What its store held then, if it was in doubt: who follows may come to hold more.
    kept: Option<Kept>,
    /// When the replica of which node was last told.
    told: BTreeMap<usize, Moment>,
    /// It is so everywhere.
    done: bool,
}

/// What a partition's log has lost.
#[derive(Clone, Debug)]
struct LostTail {
    /// The first offset.
    from: LogOffset,
    /// What was acknowledged to clients of what stood there.
    acknowledged: Vec<Scn>,
}

/// What the world is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Faults strike; nothing must break.
    Faults,
    /// They have stopped, then, and stores fill up; what can be read must be led.
    Filling,
    /// Or a replica that has lost the last record leads; the others must replace it.
    Outvoting {
        /// Clients are quiet from then on.
        quiet_from: Moment,
        /// But for one client, which writes as soon as that replica serves.
        races: bool,
    },
    /// There is room, then; everything must work again.
    Healed { at: Moment },
    /// Clients have stopped, then; everything must come to rest.
    Quiet { since: Moment },
    /// Or something has struck that only a person can mend: it must not become worse.
    Keeping { since: Moment },
    /// That person does, then: one history must go on.
    Resolving { since: Moment },
    /// It has.
    Over,
}

/// What to run.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    /// Decides everything that happens.
    pub seed: u64,
    /// The theme.
    pub scenario: Scenario,
    /// A planted bug.
    pub mutant: Option<Mutant>,
    /// Who may end the run.
    pub judge: Judge,
}

impl Order {
    /// The run of `seed` with nothing else chosen.
    pub fn of_seed(seed: u64) -> Order {
        Order { seed, scenario: Scenario::of_seed(seed), mutant: None, judge: Judge::All }
    }
}

/// Whose word counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judge {
    /// Every invariant's, at once, and the oracle's.
    All,
    /// The client oracle's alone: to prove that it sees with its own eyes.
    Oracle,
}

impl Judge {
    /// The only invariant that counts.
    fn listens_to(self) -> Option<&'static str> {
        match self {
            Judge::All => None,
            Judge::Oracle => Some("linearizable"),
        }
    }
}

/// What a run has shown.
#[derive(Clone, Debug)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// What it ran.
    pub scenario: Scenario,
    /// Hash of everything that happened.
    pub trace: u64,
    /// The end of the story, if it was kept.
    pub lines: Vec<String>,
    /// What it reached.
    pub coverage: Coverage,
    /// Simulated time, in microseconds.
    pub simulated_us: u64,
    /// Things that happened.
    pub happenings: u64,
    /// Operations of clients.
    pub operations: u64,
    /// Of those, the ones that were done.
    pub done: u64,
    /// Generations that were won.
    pub generations: u64,
    /// Histories of one document that the oracle could not decide within its bound.
    pub undecided: u64,
    /// What must not be, if something was found.
    pub finding: Option<Finding>,
}

impl World {
    /// The world of `seed`, before its first moment.
    pub fn new(order: &Order, telling: Telling) -> World {
        let Order { seed, scenario, mutant, judge } = *order;
        let mut random = Random::of(seed);
        let plan = Plan::draw(scenario, &mut random);
        let size = (plan.nodes, plan.partitions);
        let brokers = plan.brokers.clone().map(|settings| Brokers::new(settings, size, mutant));
        let mut world = World {
            seed,
            kernel: Kernel::new(random, telling, judge.listens_to()),
            network: Network::new(plan.delay_us),
            coverage: Coverage::default(),
            log: SharedLog::new(plan.partitions, brokers),
            beats: SharedBeats::new(plan.beat_streams),
            nodes: Vec::new(),
            clients: Vec::new(),
            history: Vec::new(),
            operations: vec![0],
            partitions: (0..plan.partitions).map(|_| Partition::default()).collect(),
            etags: BTreeMap::new(),
            kept: Vec::new(),
            unheard: None,
            pin: None,
            drained: BTreeSet::new(),
            upgrade: Upgrade::default(),
            catalogs: vec![Rc::new(Catalog::first(&plan))],
            lost: BTreeSet::new(),
            dead_leader: None,
            orders_until: Moment::default(),
            phase: Phase::Faults,
            mutant,
            numbers: 0,
            plan,
        };
        world.begin();
        world
    }

    /// Runs to the end, or to the first violation.
    pub fn run(mut self) -> Report {
        while self.phase != Phase::Over {
            let Some(due) = self.kernel.take() else { break };
            self.happen(due);
        }
        self.finish()
    }

    fn happen(&mut self, due: Due) {
        match due {
            Due::AppendArrives(number) => self.append_arrives(number),
            Due::LandsLate { from, records } => self.land_late(from, records),
            Due::AppendAnswer { to, number, sender, outcomes } => {
                self.append_answered(to, number, sender, outcomes);
            }
            Due::BeatArrives { node, stream, beat } => self.beat_arrives(node, stream, beat),
            Due::HearBeats { node } => self.hear_beats(node),
            Due::MendBeats => self.mend_beats(),
            Due::Asks { to, question } => self.question_arrives(to, question),
            Due::Works { to, work } => self.do_work(to, work),
            Due::Tells { to, event } => self.hears(to, *event),
            Due::PeerAsked { node, from, job } => self.peer_asked(node, from, job),
            Due::PeerAnswered { to, job, standing } => self.peer_answered(to, job, *standing),
            Due::NoMoreAnswers { to, job } => self.peers_due(to, job),
            Due::ClockHeard { node, from, wall } => self.hear_clock(node, from, wall),
            Due::Notice { to } => self.notice(to),
            Due::Wake { to, at } => self.wake(to, at),
            Due::Request { node, partition, ask } => self.request_arrives(node, partition, ask),
            Due::Look { to, client, attempt, look } => {
                self.enqueue(to, Job::Look { client, attempt, look });
            }
            Due::Withdraw { to, attempt } => self.enqueue(to, Job::Withdraw(attempt)),
            Due::Reply { client, attempt, reply, known } => {
                self.reply_arrives(client, attempt, reply, known);
            }
            Due::Deadline { client, attempt } => self.deadline_passes(client, attempt),
            Due::Turn { client } => self.take_turn(client),
            Due::Retry { client, operation } => self.try_again(client, operation),
            Due::Detect { node } => self.detect(node),
            Due::Flush { node } => self.flush(node),
            Due::Fill { node } => self.fill(node),
            Due::RequestArrives(number) => self.request_reaches_broker(number),
            Due::BrokerAnswers { node, partition, writer, token, answer } => {
                self.broker_answers((node, partition), writer, token, answer);
            }
            Due::WriterWakes { node, partition, writer, at } => {
                self.writer_wakes(node, partition, writer, at);
            }
            Due::BrokersWake { at } if self.is_planned(at) => self.wake_brokers(),
            Due::BrokersWake { .. } => {}
            Due::BrokerMends(mend) => self.mend_broker(mend),
            Due::Losing(scene) => self.play_loss(scene),
            Due::CutOff => self.cut_off(),
            Due::CutOffFor { node, broker } => self.cut_off_for_long(node, broker),
            Due::Usurp => self.usurp(),
            Due::Probe => self.probe(),
            Due::Placing(scene) => self.play(scene),
            Due::HearOrders { node } => self.hear_orders(node),
            Due::Ordered { to, declared_at, change } => self.ordered(to, declared_at, *change),
            Due::AskedToStepDown { to, by } => self.asked_to_step_down(to, by),
            Due::Operate => self.operate(),
            Due::Control => self.control(),
            Due::Declare(declaration) => self.declare(*declaration),
            Due::OpenGate { version } => self.open_gate(version),
            Due::HearCatalog { node, version } => self.hear_catalog(node, version),
            Due::Start { node } => self.start(node),
            Due::Replace { node } => self.replace(node),
            Due::Resume { node, pause } => self.resume(node, pause),
            Due::Strike(fault) => self.strike(fault),
            Due::Chore(chore) => self.do_chore(chore),
            Due::Kill { node, process } => self.kill(node, process),
            Due::Heal => self.heal(),
            Due::Inspect => self.inspect(),
        }
    }

    /// Remembers the first violation; the run ends with it.
    fn check(&mut self, result: Result<(), Violation>) {
        self.kernel.check(result);
    }

    fn put(&mut self, in_us: u64, due: Due) {
        self.kernel.put(in_us, due);
    }

    /// Time on the way from one machine to another.
    fn delay(&mut self) -> u64 {
        self.network.delay(&mut self.kernel.random)
    }

    fn next_number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    fn is(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    fn has_faults(&self) -> bool {
        self.phase == Phase::Faults
    }

    /// Whether `fault`, which could strike now, does; counts it if so.
    fn strikes(&mut self, fault: crate::database::coverage::Fault) -> bool {
        let strikes = self.has_faults() && self.kernel.random.happens(self.plan.chance(fault));
        if strikes {
            self.coverage.fault(fault);
        }
        strikes
    }

    fn operation_of(&self, attempt: AttemptId) -> usize {
        self.operations[attempt.0 as usize]
    }

    fn genesis(&self, partition: usize) -> Genesis {
        let identity = PartitionIdentity {
            partition: PartitionUuid(0x5eed << 32 | u128::from(self.seed) << 8 | partition as u128),
            cluster: ClusterUuid(1),
            database: DatabaseId(7),
            number: partition as u32,
        };
        let replicas = self.catalogs[0].placements[partition].nodes().iter().copied().collect();
        let origin = Some(Origin {
            cluster: identity.cluster,
            partition: PartitionUuid(0),
            log: LogId::UNKNOWN,
            history: HistoryPoint { scn: Scn::opening(FORMER), chain: ChainHash::default() },
            time: WallMillis(0),
        });
        let origin = origin.filter(|_| self.plan.has_former_lives() && self.seed % 2 == 1);
        let lease_ms = self.plan.lease_ms;
        Genesis { lease_ms, origin, ..Genesis::new(identity, replicas) }
    }
}
