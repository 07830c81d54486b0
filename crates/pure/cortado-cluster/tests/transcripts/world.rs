//! A small world around the decisions: nodes with detectors, one log and one stream of beats that
//! they all read.
//!
//! Time goes in steps of 10 ms. Each node wakes every 50 ms, at its own phase: it reads both to
//! their ends, beats every 250 ms, and decides about every partition. A claim stands if
//! it is the first of its generation, as in the real fold.

use cortado_cluster::{
    Command, Decision, Detector, Evidence, Explanation, Leadership, PartitionFacts, Placement,
    RawSettings, Takeover, decide, plan,
};
use cortado_model::{
    Beat, BeatStream, DatabaseId, Millis, NodeId, NodeIncarnation, PartitionId, ReplicaIncarnation,
    WallMillis,
};
use std::collections::{BTreeMap, BTreeSet};

const STEP_MS: u64 = 10;
const TICK_MS: u64 = 50;
const BEAT_MS: u64 = 250;

pub(crate) struct World {
    now: u64,
    placements: Vec<Placement>,
    pins: BTreeMap<usize, NodeId>,
    drained: BTreeSet<NodeId>,
    nodes: BTreeMap<NodeId, Node>,
    log: Vec<Entry>,
    beats: Vec<Beat>,
    /// Nothing can be appended, sent or read while log and stream stall.
    stalled: bool,
    /// Nothing can be sent or heard while the stream is silent.
    hushed: bool,
    /// Where each partition's leadership stands after the whole log.
    truth: Fold,
    told: Vec<String>,
    explanations: Vec<String>,
}

struct Node {
    incarnation: NodeIncarnation,
    state: State,
    ailment: Option<Ailment>,
    detector: Detector,
    fold: Fold,
    read: usize,
    heard: usize,
    woke_at: u64,
    beat_at: Option<u64>,
    last_hand_back_at: Option<Millis>,
}

/// What is wrong with a node that runs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ailment {
    StoreFails,
    StoreSlow,
    ClockOff,
    /// It follows and beats, and takes no order to claim. No node knows, not even itself.
    Stuck,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Running,
    Paused,
    Dead,
}

/// What a reader of the log knows of each partition.
#[derive(Clone, Default)]
struct Fold {
    partitions: BTreeMap<usize, (u32, Leadership)>,
    claims: BTreeMap<(usize, NodeId), Vec<Millis>>,
    /// Those that took over from another node, unasked.
    takeovers: BTreeMap<(usize, NodeId), Vec<Takeover>>,
}

#[derive(Clone)]
enum Entry {
    Claim { partition: usize, generation: u32, node: NodeId, incarnation: NodeIncarnation },
    StepDown { partition: usize, generation: u32, by: NodeId, to: NodeId },
}

impl Fold {
    /// Takes one entry; true if it is accepted.
    fn take(&mut self, now: u64, entry: &Entry) -> bool {
        let at = Millis(now);
        match entry {
            Entry::Claim { partition, generation, node, incarnation } => {
                let before = self.partitions.get(partition).copied();
                let current = before.map_or(0, |(g, _)| g);
                let from = match before {
                    None | Some((_, Leadership::Never { .. })) => None,
                    Some((_, Leadership::Claimed { node, .. })) => Some(node),
                    Some((_, Leadership::SteppedDown { by, to, .. })) => to.or(Some(by)),
                };
                let from = from.filter(|from| from != node);
                let accepted = *generation == current + 1;
                if accepted {
                    let (node, incarnation) = (*node, life_of(*incarnation));
                    let claimed = Leadership::Claimed { node, incarnation, at };
                    self.partitions.insert(*partition, (*generation, claimed));
                    self.claims.entry((*partition, node)).or_default().push(at);
                    let takeovers = self.takeovers.entry((*partition, node)).or_default();
                    takeovers.extend(from.map(|from| Takeover { at, from }));
                }
                accepted
            }
            Entry::StepDown { partition, generation, by, to } => {
                let current = self.partitions.get_mut(partition).filter(|(g, _)| g == generation);
                let accepted = current.is_some();
                if let Some((_, leadership)) = current {
                    *leadership = Leadership::SteppedDown { by: *by, to: Some(*to), at };
                }
                accepted
            }
        }
    }
}

impl World {
    pub(crate) fn new() -> World {
        World {
            now: 0,
            placements: Vec::new(),
            pins: BTreeMap::new(),
            drained: BTreeSet::new(),
            nodes: BTreeMap::new(),
            log: Vec::new(),
            beats: Vec::new(),
            stalled: false,
            hushed: false,
            truth: Fold::default(),
            told: Vec::new(),
            explanations: Vec::new(),
        }
    }

    /// Carries out one line of a transcript and answers with what there is to tell.
    ///
    /// `start nodes=N partitions=P` · `run MS` (tells every change of leadership) · `pass MS`
    /// (tells only who leads at the end) · `kill|restart|pause|resume NODE` ·
    /// `sick|slow|off|stuck|cure NODE` (the store fails or is slow, the clock is off, no claim) ·
    /// `handoff PARTITION NODE` (by an operator) · `drain|undrain NODE` · `rebalance` ·
    /// `stall` and `flow` (log and beats) · `hush` and `speak` (beats alone) · `leaders` ·
    /// `explain` (the first decision of the last run).
    pub(crate) fn command(&mut self, line: &str) -> Vec<String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["start", nodes, partitions] => self.start(number(nodes), number(partitions)),
            ["run", ms] => {
                self.told.clear();
                self.explanations.clear();
                self.run(number(ms));
                if self.told.is_empty() { vec!["nothing".to_owned()] } else { self.told.clone() }
            }
            ["pass", ms] => {
                self.run(number(ms));
                self.leaders()
            }
            ["leaders"] => self.leaders(),
            ["explain"] => self.explanations.first().cloned().into_iter().collect(),
            ["stall"] => {
                self.stalled = true;
                self.at()
            }
            ["flow"] => {
                self.stalled = false;
                self.at()
            }
            ["rebalance"] => {
                self.pins.clear();
                self.at()
            }
            ["handoff", partition, to] => {
                let to = NodeId::parse(to).expect("a node");
                self.hand_off(number(partition.trim_start_matches('p')) as usize, to);
                self.at()
            }
            ["hush"] => {
                self.hushed = true;
                self.at()
            }
            ["speak"] => {
                self.hushed = false;
                self.at()
            }
            [verb, node] => {
                let node = NodeId::parse(node).expect("a node");
                self.change(verb, node);
                self.at()
            }
            other => panic!("no such command: {other:?}"),
        }
    }

    fn at(&self) -> Vec<String> {
        vec![format!("at {} ms", self.now)]
    }

    fn start(&mut self, nodes: u64, partitions: u64) -> Vec<String> {
        let ids: Vec<_> = (1..=nodes as u32).map(NodeId).collect();
        self.placements = plan(&ids, partitions as u32, 3, &BTreeMap::new());
        for node in ids {
            self.nodes.insert(node, Node::new(node, NodeIncarnation(1), (0, 0), 0));
        }
        let spell = |placement: &Placement| {
            placement.nodes().iter().map(NodeId::to_string).collect::<Vec<_>>().join(">")
        };
        let lines = self.placements.iter().enumerate();
        lines.map(|(i, placement)| format!("p{i} {}", spell(placement))).collect()
    }

    /// An operator gives a leadership to `to`.
    fn hand_off(&mut self, partition: usize, to: NodeId) {
        self.pins.insert(partition, to);
        let led = self.truth.partitions.get(&partition).copied();
        if let Some((generation, Leadership::Claimed { node: by, .. })) = led {
            self.append(Entry::StepDown { partition, generation, by, to });
        }
    }

    fn change(&mut self, verb: &str, id: NodeId) {
        let node = self.nodes.get_mut(&id).expect("a known node");
        match verb {
            "kill" => node.state = State::Dead,
            "pause" => node.state = State::Paused,
            "resume" => node.state = State::Running,
            "sick" => node.ailment = Some(Ailment::StoreFails),
            "slow" => node.ailment = Some(Ailment::StoreSlow),
            "off" => node.ailment = Some(Ailment::ClockOff),
            "stuck" => node.ailment = Some(Ailment::Stuck),
            "cure" => node.ailment = None,
            "drain" => drop(self.drained.insert(id)),
            "undrain" => drop(self.drained.remove(&id)),
            "restart" => {
                // A new process reads the partitions' logs before it takes part; beats of the past
                // tell it nothing.
                let incarnation = NodeIncarnation(node.incarnation.0 + 1);
                let ends = (self.log.len(), self.beats.len());
                *node = Node::new(id, incarnation, ends, self.now);
                node.fold = self.truth.clone();
            }
            other => panic!("no such command: {other}"),
        }
    }

    fn leaders(&self) -> Vec<String> {
        let mut led: BTreeMap<NodeId, Vec<String>> =
            self.nodes.keys().map(|node| (*node, Vec::new())).collect();
        for partition in 0..self.placements.len() {
            let leadership =
                self.truth.partitions.get(&partition).map(|(_, leadership)| *leadership);
            if let Some(Leadership::Claimed { node, .. }) = leadership {
                led.entry(node).or_default().push(format!("p{partition}"));
            }
        }
        let line = |(node, led): (&NodeId, &Vec<String>)| {
            format!("{node} leads {}: {}", led.len(), led.join(" ")).trim_end().to_owned()
        };
        led.iter().map(line).collect()
    }

    fn run(&mut self, ms: u64) {
        let end = self.now + ms;
        while self.now < end {
            self.now += STEP_MS;
            let awake: Vec<_> = self.nodes.keys().copied().collect();
            for id in awake {
                let phase = u64::from(id.0) * STEP_MS % TICK_MS;
                if self.now % TICK_MS == phase && self.nodes[&id].state == State::Running {
                    self.wake(id);
                }
            }
        }
    }

    fn wake(&mut self, id: NodeId) {
        let now = self.now;
        let node = self.nodes.get_mut(&id).expect("a known node");
        let late_ms = (now - node.woke_at).saturating_sub(TICK_MS);
        node.woke_at = now;
        node.detector.observe(Millis(now), Evidence::Lateness { late_ms });
        let store = match node.ailment {
            Some(Ailment::StoreFails) => Evidence::OwnStoreFailed,
            Some(Ailment::StoreSlow) => Evidence::OwnStore { took_ms: 900 },
            Some(Ailment::ClockOff | Ailment::Stuck) | None => Evidence::OwnStore { took_ms: 1 },
        };
        node.detector.observe(Millis(now), store);
        let is_off = node.ailment == Some(Ailment::ClockOff);
        node.detector.observe(Millis(now), Evidence::OwnClock { is_off });
        if self.stalled {
            // Whatever is appended now takes effect when the log flows again.
            return;
        }
        if !self.hushed {
            for beat in &self.beats[node.heard..] {
                let heard = Evidence::Beat { stream: BeatStream(0), beat: *beat };
                node.detector.observe(Millis(now), heard);
            }
            node.heard = self.beats.len();
        }
        for entry in &self.log[node.read..] {
            node.fold.take(now, entry);
        }
        node.read = self.log.len();
        if node.beat_at.is_none_or(|at| now - at >= BEAT_MS) {
            node.beat_at = Some(now);
            let (incarnation, count) = (node.incarnation, node.detector.send_beat(Millis(now)));
            if !self.hushed {
                self.beats.push(Beat { node: id, incarnation, count, time: WallMillis(now) });
            }
        }
        for partition in 0..self.placements.len() {
            self.decide(id, partition);
        }
    }

    fn decide(&mut self, id: NodeId, partition: usize) {
        // Nodes tell one another that they are sick.
        let is_fit =
            |node: &Node| node.state == State::Running && node.detector.sickness().is_none();
        let follower_lags = self.nodes.iter().filter(|(_, node)| is_fit(node));
        let follower_lags = follower_lags.map(|(node, _)| (*node, 0)).collect();
        let placement = self.placements[partition].clone();
        let pin = self.pins.get(&partition).copied();
        let placement = placement.ordered(pin, |node| self.drained.contains(&node));
        let node = &self.nodes[&id];
        let never = (0, Leadership::Never { since: Millis(0) });
        let (generation, leadership) =
            node.fold.partitions.get(&partition).copied().unwrap_or(never);
        let own_claims = node.fold.claims.get(&(partition, id)).map(Vec::as_slice);
        let takeovers = node.fold.takeovers.get(&(partition, id)).map(Vec::as_slice);
        let facts = PartitionFacts {
            partition: PartitionId { database: DatabaseId(1), number: partition as u32 },
            me: id,
            incarnation: life_of(node.incarnation),
            placement: &placement,
            leadership,
            claimants: &[],
            restoring: false,
            store_full: false,
            lag_records: 0,
            own_claims: own_claims.unwrap_or_default(),
            takeovers: takeovers.unwrap_or_default(),
            follower_lags: &follower_lags,
            hand_off_running: false,
            last_hand_back_at: node.last_hand_back_at,
        };
        let incarnation = node.incarnation;
        match decide(Millis(self.now), &facts, &node.detector) {
            Decision::Stay(_) | Decision::ClaimAt { .. } | Decision::AskToStepDown { .. } => {}
            Decision::Claim { .. } if node.ailment == Some(Ailment::Stuck) => {}
            Decision::Claim { why } => {
                let generation = generation + 1;
                let claim = Entry::Claim { partition, generation, node: id, incarnation };
                let accepted = self.append(claim);
                self.tell(id, partition, generation, accepted, &why);
            }
            Decision::HandOff { to, why } => {
                let accepted = self.append(Entry::StepDown { partition, generation, by: id, to });
                self.tell(id, partition, generation, accepted, &why);
                let node = self.nodes.get_mut(&id).expect("a known node");
                node.last_hand_back_at = Some(Millis(self.now));
            }
        }
    }

    fn append(&mut self, entry: Entry) -> bool {
        let accepted = self.truth.take(self.now, &entry);
        self.log.push(entry);
        accepted
    }

    fn tell(&mut self, id: NodeId, partition: usize, generation: u32, ok: bool, why: &Explanation) {
        let void = if ok { "" } else { " in vain" };
        let action = if why.cause.is_claim() { "claims" } else { "gives up" };
        self.told.push(format!(
            "{:>6} {id} {action} p{partition} generation {generation}{void}: {}",
            self.now, why.cause
        ));
        self.explanations.push(told(why));
    }
}

/// A decision and everything that is known of it, in one line.
fn told(why: &Explanation) -> String {
    let Explanation { partition, node, cause, .. } = why;
    let action = if cause.is_claim() { "claims" } else { "hands over" };
    let typed = |command: Command| match command {
        Command::HandOff { partition, to } => {
            format!("cortado handoff music/{} --to {to}", partition.number)
        }
        Command::Drain { node } => format!("cortado node drain {node}"),
        Command::Resume { node } => format!("cortado node resume {node}"),
    };
    let undo = why.undo.map_or("not needed".to_owned(), typed);
    format!(
        "{node} {action} music/{}: {}; by hand: {}; undo: {undo}",
        partition.number,
        why.evidence().join("; "),
        typed(why.by_hand)
    )
}

impl Node {
    /// * `ends`: how much of the log it has read, and how many beats it has passed over.
    fn new(id: NodeId, incarnation: NodeIncarnation, ends: (usize, usize), now: u64) -> Node {
        let settings = RawSettings::default().validate().expect("defaults are valid");
        let detector = Detector::new(id, incarnation, 1, settings);
        let (read, heard) = ends;
        Node {
            incarnation,
            state: State::Running,
            ailment: None,
            detector,
            fold: Fold::default(),
            read,
            heard,
            woke_at: now,
            beat_at: None,
            last_hand_back_at: None,
        }
    }
}

fn number(word: &str) -> u64 {
    let digits = word.rsplit('=').next().unwrap_or(word);
    digits.parse().expect("a number")
}

/// A node of these stories has one replica of a partition in each of its lives.
fn life_of(node: NodeIncarnation) -> ReplicaIncarnation {
    ReplicaIncarnation { node, life: 1 }
}
