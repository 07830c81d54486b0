//! A small world around the decisions: nodes with detectors, and one log that they all read.
//!
//! Time goes in steps of 10 ms. Each node wakes every 50 ms, at its own phase: it reads the log to
//! its end, writes a heartbeat every 250 ms, and decides about every partition. A claim stands if
//! it is the first of its generation, as in the real fold.

use cortado_cluster::{
    Decision, Detector, Evidence, Explanation, Leadership, PartitionFacts, Placement, RawSettings,
    decide, plan,
};
use cortado_model::{DatabaseId, Millis, NodeId, NodeIncarnation, PartitionId, ReplicaIncarnation};
use std::collections::BTreeMap;

const STEP_MS: u64 = 10;
const TICK_MS: u64 = 50;
const HEARTBEAT_MS: u64 = 250;

pub(crate) struct World {
    now: u64,
    placements: Vec<Placement>,
    nodes: BTreeMap<NodeId, Node>,
    log: Vec<Entry>,
    /// Nothing can be appended or read while the log stalls.
    stalled: bool,
    /// Where each partition's leadership stands after the whole log.
    truth: Fold,
    told: Vec<String>,
    explanations: Vec<String>,
}

struct Node {
    incarnation: NodeIncarnation,
    state: State,
    sick: bool,
    detector: Detector,
    fold: Fold,
    read: usize,
    woke_at: u64,
    beat_at: Option<u64>,
    last_hand_back_at: Option<Millis>,
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
}

#[derive(Clone)]
enum Entry {
    Heartbeat { node: NodeId, incarnation: NodeIncarnation },
    Claim { partition: usize, generation: u32, node: NodeId, incarnation: NodeIncarnation },
    StepDown { partition: usize, generation: u32, by: NodeId, to: NodeId },
}

impl Fold {
    /// Takes one entry; true if it is accepted.
    fn take(&mut self, now: u64, entry: &Entry) -> bool {
        let at = Millis(now);
        match entry {
            Entry::Heartbeat { .. } => true,
            Entry::Claim { partition, generation, node, incarnation } => {
                let current = self.partitions.get(partition).map_or(0, |(g, _)| *g);
                let accepted = *generation == current + 1;
                if accepted {
                    let (node, incarnation) = (*node, life_of(*incarnation));
                    let claimed = Leadership::Claimed { node, incarnation, at };
                    self.partitions.insert(*partition, (*generation, claimed));
                    self.claims.entry((*partition, node)).or_default().push(at);
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
            nodes: BTreeMap::new(),
            log: Vec::new(),
            stalled: false,
            truth: Fold::default(),
            told: Vec::new(),
            explanations: Vec::new(),
        }
    }

    /// Carries out one line of a transcript and answers with what there is to tell.
    ///
    /// `start nodes=N partitions=P` · `run MS` (tells every change of leadership) · `pass MS`
    /// (tells only who leads at the end) · `kill|restart|pause|resume|sick|cure NODE` ·
    /// `stall` and `flow` (the log) · `leaders` · `explain` (the first decision of the last run).
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
            let detector = detector(node);
            let node_state = Node::new(NodeIncarnation(1), detector, 0, 0);
            self.nodes.insert(node, node_state);
        }
        let spell = |placement: &Placement| {
            placement.nodes().iter().map(NodeId::to_string).collect::<Vec<_>>().join(">")
        };
        let lines = self.placements.iter().enumerate();
        lines.map(|(i, placement)| format!("p{i} {}", spell(placement))).collect()
    }

    fn change(&mut self, verb: &str, id: NodeId) {
        let node = self.nodes.get_mut(&id).expect("a known node");
        match verb {
            "kill" => node.state = State::Dead,
            "pause" => node.state = State::Paused,
            "resume" => node.state = State::Running,
            "sick" => node.sick = true,
            "cure" => node.sick = false,
            "restart" => {
                // A new process reads the partitions' logs before it takes part; heartbeats of the
                // past tell it nothing.
                let incarnation = NodeIncarnation(node.incarnation.0 + 1);
                *node = Node::new(incarnation, detector(id), self.log.len(), self.now);
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
        let (now, stalled) = (self.now, self.stalled);
        let node = self.nodes.get_mut(&id).expect("a known node");
        let late_ms = (now - node.woke_at).saturating_sub(TICK_MS);
        node.woke_at = now;
        node.detector.observe(Millis(now), Evidence::Lateness { late_ms });
        let store =
            if node.sick { Evidence::OwnStoreFailed } else { Evidence::OwnStore { took_ms: 1 } };
        node.detector.observe(Millis(now), store);
        if stalled {
            // Whatever is appended now takes effect when the log flows again.
            return;
        }
        for entry in &self.log[node.read..] {
            if let Entry::Heartbeat { node: writer, incarnation } = entry {
                let (node_, incarnation) = (*writer, *incarnation);
                let heartbeat = Evidence::Heartbeat { node: node_, incarnation };
                node.detector.observe(Millis(now), heartbeat);
            }
            node.fold.take(now, entry);
        }
        node.read = self.log.len();
        if node.beat_at.is_none_or(|at| now - at >= HEARTBEAT_MS) {
            node.beat_at = Some(now);
            let incarnation = node.incarnation;
            self.append(Entry::Heartbeat { node: id, incarnation });
        }
        for partition in 0..self.placements.len() {
            self.decide(id, partition);
        }
    }

    fn decide(&mut self, id: NodeId, partition: usize) {
        let follower_lags = self.nodes.iter().filter(|(_, node)| node.state == State::Running);
        let follower_lags = follower_lags.map(|(node, _)| (*node, 0)).collect();
        let node = &self.nodes[&id];
        let never = (0, Leadership::Never { since: Millis(0) });
        let (generation, leadership) =
            node.fold.partitions.get(&partition).copied().unwrap_or(never);
        let own_claims = node.fold.claims.get(&(partition, id)).map(Vec::as_slice);
        let facts = PartitionFacts {
            partition: PartitionId { database: DatabaseId(1), number: partition as u32 },
            me: id,
            incarnation: life_of(node.incarnation),
            placement: &self.placements[partition],
            leadership,
            restoring: false,
            digest_failed: false,
            lag_records: 0,
            own_claims: own_claims.unwrap_or_default(),
            follower_lags: &follower_lags,
            hand_off_running: false,
            last_hand_back_at: node.last_hand_back_at,
        };
        let incarnation = node.incarnation;
        match decide(Millis(self.now), &facts, &node.detector) {
            Decision::Stay(_) | Decision::ClaimAt { .. } => {}
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
        self.explanations.push(why.text("music"));
    }
}

impl Node {
    fn new(incarnation: NodeIncarnation, detector: Detector, read: usize, now: u64) -> Node {
        Node {
            incarnation,
            state: State::Running,
            sick: false,
            detector,
            fold: Fold::default(),
            read,
            woke_at: now,
            beat_at: None,
            last_hand_back_at: None,
        }
    }
}

fn detector(node: NodeId) -> Detector {
    Detector::new(node, RawSettings::default().validate().expect("defaults are valid"))
}

fn number(word: &str) -> u64 {
    let digits = word.rsplit('=').next().unwrap_or(word);
    digits.parse().expect("a number")
}

/// A node of these stories has one replica of a partition in each of its lives.
fn life_of(node: NodeIncarnation) -> ReplicaIncarnation {
    ReplicaIncarnation { node, life: 1 }
}
