//! Tells a story: reads commands, drives replicas, writes down what they do.

use crate::*;
use bytes::Bytes;
use cortado_model::{
    ClusterUuid, DatabaseId, DocumentKey, Generation, LogOffset, Millis, NodeId, NodeIncarnation,
    PartitionUuid, ReplicaIncarnation, Scn, ScnBounds, Sequence, TableId, WallMillis,
};
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;

/// Replicas `n1`, `n2`, … over one log.
#[derive(Default)]
pub(super) struct Story {
    nodes: BTreeMap<NodeId, Node>,
    log: Vec<Bytes>,
    clock: u64,
    requests: u64,
    settings: Option<Settings>,
    said: String,
}

struct Node {
    replica: Replica,
    incarnation: ReplicaIncarnation,
    /// Appends that the log has not answered.
    wire: VecDeque<(AppendToken, Vec<Bytes>)>,
    /// Appends that were answered "perhaps" and have not arrived.
    limbo: VecDeque<Vec<Bytes>>,
    stored: FoldState,
}

impl Story {
    /// Replays `text`: commands stay, what follows each `----` is written anew.
    pub(super) fn tell(text: &str) -> String {
        let mut story = Story::default();
        let mut out = String::new();
        let mut in_answer = false;
        for line in text.lines() {
            if line.is_empty() || line.starts_with('#') {
                in_answer = false;
                writeln!(out, "{line}").unwrap();
            } else if !in_answer && line != "----" {
                writeln!(out, "{line}").unwrap();
                story.obey(line);
            } else if line == "----" {
                in_answer = true;
                write!(out, "----\n{}", std::mem::take(&mut story.said)).unwrap();
            }
        }
        out
    }

    fn obey(&mut self, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["nodes", names @ ..] => names.iter().for_each(|name| self.start(node(name))),
            ["leases"] => self.settings = Some(Settings::leased()),
            ["bounds", generations, sequences] => {
                let bounds = ScnBounds {
                    generation_max: Generation(generations.parse().unwrap()),
                    sequence_max: Sequence(sequences.parse().unwrap()),
                };
                self.settings = Some(Settings { bounds, ..Settings::local() });
            }
            ["pass", ms] => {
                self.clock += ms.parse::<u64>().unwrap();
                let nodes: Vec<NodeId> = self.nodes.keys().copied().collect();
                nodes.into_iter().for_each(|node| self.step(node, Input::Tick));
            }
            ["restart", name] => self.restart(node(name)),
            ["foreign", bytes] => self.log.push(Bytes::copy_from_slice(bytes.as_bytes())),
            ["trim", "log"] => self.log.clear(),
            [verb @ ("land" | "perhaps" | "lost" | "refuse" | "break" | "arrive"), name] => {
                self.answer(verb, node(name));
            }
            [verb, name, rest @ ..] => self.tell_replica(verb, node(name), rest),
            _ => panic!("no such command: {line}"),
        }
    }

    fn tell_replica(&mut self, verb: &str, node: NodeId, rest: &[&str]) {
        match verb {
            "feed" => self.feed(node),
            "recover" => {
                self.feed(node);
                let end = LogOffset(self.log.len() as u64);
                self.step(node, Input::CaughtUp { end });
            }
            "claim" => self.step(node, Input::Claim { address: format!("{node}:7171") }),
            "handoff" => {
                let to = rest.first().map(|name| self::node(name));
                let request = self.request();
                self.step(node, Input::HandOff { to, request });
            }
            "write" => {
                let write = self.write(rest);
                self.step(node, Input::Write(write));
            }
            "read" => {
                let request = self.request();
                self.step(node, Input::Read { request, need: need(rest) });
            }
            "settle" => {
                let request = self.request();
                self.step(node, Input::Settle { request, need: need(rest) });
            }
            "digest" => self.step(node, Input::Digest),
            "trim" => {
                let below = LogOffset(rest[0].parse().unwrap());
                let snapshot = self.nodes[&node].replica.fold().last;
                self.step(node, Input::Trim(Trim { below, snapshot }));
            }
            _ => panic!("no such command: {verb}"),
        }
    }

    fn start(&mut self, id: NodeId) {
        let genesis = Genesis {
            partition: PartitionUuid(7),
            cluster: ClusterUuid(1),
            database: DatabaseId(1),
            number: 0,
        };
        let incarnation = ReplicaIncarnation { node: NodeIncarnation(1), life: 1 };
        let me = Identity { node: id, incarnation };
        if self.log.is_empty() {
            self.log.push(genesis_record(&genesis, &me, self.now()));
        }
        let stored = FoldState::before(genesis);
        let replica = Replica::new(me, self.settings(), stored.clone(), self.now());
        let (wire, limbo) = (VecDeque::new(), VecDeque::new());
        self.nodes.insert(id, Node { replica, incarnation, wire, limbo, stored });
        self.feed(id);
    }

    /// A new life of the node, from what it had stored; what it had sent may still arrive.
    fn restart(&mut self, id: NodeId) {
        let (settings, now) = (self.settings(), self.now());
        let node = self.nodes.get_mut(&id).unwrap();
        node.incarnation.node.0 += 1;
        let me = Identity { node: id, incarnation: node.incarnation };
        let checkpoint = FoldState::decode(&node.stored.encode()).unwrap();
        assert_eq!(checkpoint, node.stored);
        node.replica = Replica::new(me, settings, checkpoint, now);
        let sent = std::mem::take(&mut node.wire);
        node.limbo.extend(sent.into_iter().map(|(_, records)| records));
        self.summary(id);
    }

    /// What the log does with the oldest append of a node.
    fn answer(&mut self, verb: &str, id: NodeId) {
        let node = self.nodes.get_mut(&id).unwrap();
        if verb == "arrive" {
            let records = node.limbo.pop_front().expect("nothing is in limbo");
            self.log.extend(records);
            return;
        }
        let (token, records) = node.wire.pop_front().expect("nothing is on the wire");
        let first = LogOffset(self.log.len() as u64);
        let failed = |failure| Input::AppendFailed { token, failure };
        let input = match verb {
            "land" => {
                self.log.extend(records);
                Input::Appended { token, first }
            }
            "perhaps" => {
                self.log.extend(records);
                failed(AppendFailure::Unknown)
            }
            "lost" => {
                node.limbo.push_back(records);
                failed(AppendFailure::Unknown)
            }
            "refuse" => failed(AppendFailure::NotAppended),
            _ => failed(AppendFailure::Unusable),
        };
        self.step(id, input);
    }

    fn feed(&mut self, node: NodeId) {
        let next = self.nodes[&node].replica.fold().next_offset.0;
        let skip = next.min(self.log.len() as u64) as usize;
        let records = self.log.iter().cloned().enumerate().skip(skip);
        let entries = records.map(|(at, bytes)| (LogOffset(at as u64), bytes)).collect();
        self.step(node, Input::Records(entries));
    }

    fn step(&mut self, id: NodeId, input: Input) {
        let now = self.now();
        let mut effects = Vec::new();
        let node = self.nodes.get_mut(&id).unwrap();
        node.replica.step(now, input, &mut effects);
        for effect in effects {
            if let Effect::Event(Event::Heard { .. }) = effect {
                continue;
            }
            let line = describe(&effect);
            writeln!(self.said, "{id} {line}").unwrap();
            match effect {
                Effect::Append { token, records } => node.wire.push_back((token, records)),
                Effect::Apply(apply) => node.stored = apply.state,
                Effect::Recover
                | Effect::Answer { .. }
                | Effect::Digest { .. }
                | Effect::Trim(_)
                | Effect::Event(_) => {}
            }
        }
        self.summary(id);
    }

    fn summary(&mut self, id: NodeId) {
        let replica = &self.nodes[&id].replica;
        let (fold, role) = (replica.fold(), replica.role());
        writeln!(self.said, "{id} = {role:?} at {} offset {}", fold.last, fold.next_offset)
            .unwrap();
    }

    fn write(&mut self, words: &[&str]) -> Write {
        let mut changes = Vec::new();
        let mut idempotency = None;
        for word in words {
            let (name, value) = word.split_once('=').unwrap();
            if name == "key" {
                let key = Bytes::copy_from_slice(value.as_bytes());
                idempotency = Some(Idempotency { key, fingerprint: 9, statuses: vec![201] });
            } else {
                let value = Bytes::copy_from_slice(value.as_bytes());
                let key = DocumentKey::from_parts(&[name]).unwrap();
                let written = Some(Written { schema_version: 0, value });
                changes.push(DraftChange { table: TableId(1), key, written });
            }
        }
        Write { request: self.request(), changes, idempotency }
    }

    fn request(&mut self) -> RequestId {
        self.requests += 1;
        RequestId(self.requests)
    }

    fn settings(&self) -> Settings {
        self.settings.unwrap_or_else(Settings::local)
    }

    fn now(&self) -> Now {
        Now { clock: Millis(self.clock), wall: WallMillis(1_000_000 + self.clock) }
    }
}

fn node(name: &str) -> NodeId {
    NodeId::parse(name).unwrap_or_else(|| panic!("no node: {name}"))
}

fn need(words: &[&str]) -> ReadNeed {
    match words {
        ["strong"] => ReadNeed::Lease,
        ["strict"] => ReadNeed::Barrier,
        ["offset", offset] => ReadNeed::Folded(LogOffset(offset.parse().unwrap())),
        ["scn", scn] => ReadNeed::Applied(scn.parse::<Scn>().unwrap()),
        _ => panic!("no such need: {words:?}"),
    }
}

fn describe(effect: &Effect) -> String {
    match effect {
        Effect::Append { token, records } => {
            let records: Vec<String> = records.iter().map(record).collect();
            format!("-> append #{}: {}", token.0, records.join(", "))
        }
        Effect::Recover => "-> recover".to_owned(),
        Effect::Apply(apply) => {
            let changes: Vec<String> = apply.transactions.iter().map(committed).collect();
            format!("-> apply up to {}: {}", apply.state.last, changes.join(", "))
        }
        Effect::Answer { request, answer } => match answer {
            Answer::Committed { scn, .. } => format!("-> answer r{}: committed {scn}", request.0),
            Answer::Ready | Answer::NotDone(_) | Answer::Unknown => {
                format!("-> answer r{}: {answer:?}", request.0)
            }
        },
        Effect::Digest { at } => format!("-> digest at {at}"),
        Effect::Trim(trim) => format!("-> trim log below {}", trim.below),
        Effect::Event(event) => format!("   {}", happened(event)),
    }
}

fn happened(event: &Event) -> String {
    match event {
        Event::Heard { node, .. } => format!("heard {node}"),
        Event::NewGeneration { generation, leader, previous_end } => {
            format!(
                "generation {generation} is led by {leader}, the last one ended at {previous_end}"
            )
        }
        Event::Serving { generation } => format!("serves generation {generation}"),
        Event::Resigned { generation, not_done } => {
            format!("resigned from generation {generation}, {not_done} not done")
        }
        Event::SteppedDown { generation, .. } => format!("generation {generation} has ended"),
        Event::ClaimLost { generation } => format!("lost the claim of generation {generation}"),
        Event::Void { offset, why } => format!("void at offset {offset}: {why:?}"),
        Event::Republishing { records } => format!("publishes {records} again"),
        Event::Offline { offset, breakage } => format!("offline at offset {offset}: {breakage}"),
    }
}

fn record(bytes: &Bytes) -> String {
    let Record { header, body } = decode(bytes).unwrap().record;
    let kind = match body {
        Body::Genesis(_) => "Genesis".to_owned(),
        Body::Claim(_) => "Claim".to_owned(),
        Body::Transaction(transaction) => format!("Transaction {}", changes(&transaction)),
        Body::Barrier => "Barrier".to_owned(),
        Body::StepDown(StepDown { to: Some(to) }) => format!("StepDown to {to}"),
        Body::StepDown(StepDown { to: None }) => "StepDown".to_owned(),
        Body::Config(config) => format!("{config:?}"),
        Body::Heartbeat => "Heartbeat".to_owned(),
    };
    format!("{} {kind}", header.scn)
}

fn committed(committed: &Committed) -> String {
    format!("{} {}", committed.scn, changes(&committed.transaction))
}

fn changes(transaction: &Transaction) -> String {
    let change = |change: &Change| {
        let value = change.written.as_ref().map(|w| String::from_utf8_lossy(&w.value).into_owned());
        format!("{}={}", change.key.resource(), value.unwrap_or_default())
    };
    transaction.changes.iter().map(change).collect::<Vec<_>>().join(" ")
}
