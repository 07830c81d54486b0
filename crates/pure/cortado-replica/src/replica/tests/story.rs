//! Tells a story: reads commands, drives replicas, writes down what they do.

use crate::record::newer_record;
use crate::*;
use bytes::Bytes;
use cortado_model::{
    ClusterUuid, DatabaseId, DocumentKey, Generation, LogId, LogOffset, LogPosition, Millis,
    NodeId, NodeIncarnation, PartitionUuid, RememberedKey, ReplicaIncarnation, Scn, ScnBounds,
    Sequence, StoredDocument, TableId, WallMillis,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write as _;

const fn at(offset: LogOffset) -> LogPosition {
    LogPosition { offset, epoch: 0 }
}

/// Of a replica that gets no further by them.
const COPIES_MAX: u32 = 5;

/// Replicas `n1`, `n2`, … over one log.
#[derive(Default)]
pub(super) struct Story {
    nodes: BTreeMap<NodeId, Node>,
    /// By offset; `None` never held a record.
    log: Vec<Option<Bytes>>,
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
    /// Appends that the log holds and has not answered.
    held: VecDeque<(AppendToken, LogOffset)>,
    /// Appends that were answered "perhaps" and have not arrived.
    limbo: VecDeque<Vec<Bytes>>,
    stored: FoldState,
    /// Offsets at which its reads answer a stranger's bytes, whatever stands there.
    blind: BTreeSet<usize>,
    /// Its questions how others stand are answered by hand; else by "none has more", at once.
    compares: bool,
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
            ["foreign", bytes] => {
                self.land(vec![Bytes::copy_from_slice(bytes.as_bytes())]);
            }
            ["skip", count] => {
                let end = self.log.len() + count.parse::<usize>().unwrap();
                self.log.resize(end, None);
            }
            ["mirrored", name] => self.mirror(node(name)),
            ["damage", offset] => self.damage(offset.parse().unwrap()),
            ["newer", what, name] => self.append_newer(what, node(name)),
            ["trim", "log"] => self.log.clear(),
            ["hold", name] => self.hold(node(name)),
            ["acknowledge", name] => self.acknowledge(node(name)),
            ["copies", name, from] => self.copy(node(name), node(from)),
            ["reads", name] => self.tell_whether_it_reads(node(name)),
            [verb @ ("land" | "perhaps" | "lost" | "refuse" | "break" | "arrive"), name] => {
                self.answer(verb, node(name));
            }
            [verb, name, rest @ ..] => self.tell_replica(verb, node(name), rest),
            _ => panic!("no such command: {line}"),
        }
    }

    fn tell_replica(&mut self, verb: &str, node: NodeId, rest: &[&str]) {
        match verb {
            "feed" => {
                let from = self.nodes[&node].replica.fold().position.offset;
                self.feed(node, from);
            }
            "reread" => self.feed(node, LogOffset(rest[0].parse().unwrap())),
            "recover" => {
                self.tell_replica("feed", node, &[]);
                self.step(node, Input::CaughtUp { end: self.end() });
            }
            "claim" => self.step(node, Input::Claim { reason: ClaimReason::Ordered, evidence: 0 }),
            "dispute" => {
                let reason = ClaimReason::LeaderDisputed;
                self.step(node, Input::Claim { reason, evidence: 0 });
            }
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
            "hole" => {
                let from = LogOffset(rest[0].parse().unwrap());
                let next = self.nodes[&node].replica.fold().position.offset;
                assert!(from > next, "{from} leaves out nothing behind {next}");
                self.feed(node, from);
            }
            "blind" => {
                let at = rest[0].parse().unwrap();
                self.nodes.get_mut(&node).unwrap().blind.insert(at);
            }
            "digest" => self.step(node, Input::Config(Config::Digest)),
            "compares" => self.nodes.get_mut(&node).unwrap().compares = true,
            "open" => {
                let generation = Generation(rest[0].parse().unwrap());
                self.step(node, Input::Open { generation });
            }
            "diverged" => {
                let generation = Generation(rest[0].parse().unwrap());
                self.step(node, Input::Diverged { generation });
            }
            "trim" => {
                let below = LogOffset(rest[0].parse().unwrap());
                let log = LogId(rest.get(1).map_or(1, |log| log.parse().unwrap()));
                let snapshot = self.nodes[&node].replica.fold().last;
                self.step(node, Input::Config(Config::Trim(Trim { below, log, snapshot })));
            }
            "lease" => {
                let duration_ms = rest[0].parse().unwrap();
                self.step(node, Input::Config(Config::Lease { duration_ms }));
            }
            "replicas" => {
                let nodes = rest.iter().map(|name| self::node(name)).collect();
                self.step(node, Input::Config(Config::Replicas(nodes)));
            }
            _ => panic!("no such command: {verb}"),
        }
    }

    fn start(&mut self, id: NodeId) {
        let genesis = genesis();
        let incarnation = ReplicaIncarnation { node: NodeIncarnation(1), life: 1 };
        let me = Identity { node: id, incarnation };
        if self.log.is_empty() {
            self.land(vec![genesis_record(&genesis, &me, self.now())]);
        }
        let stored = FoldState::before(genesis, LogId(1));
        let replica = Replica::new(me, self.settings(), stored.clone(), self.now());
        let (wire, limbo) = (VecDeque::new(), VecDeque::new());
        let (held, blind) = (VecDeque::new(), BTreeSet::new());
        let compares = false;
        let node = Node { replica, incarnation, wire, held, limbo, stored, blind, compares };
        self.nodes.insert(id, node);
        self.feed(id, LogOffset::ZERO);
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

    /// A replica that is behind copies what another one has stored, until it gets on with that.
    fn copy(&mut self, id: NodeId, from: NodeId) {
        let mut copies = 0;
        while self.nodes[&id].replica.role() == Role::Offline && copies < COPIES_MAX {
            copies += 1;
            let stored = self.nodes[&from].stored.clone();
            self.nodes.get_mut(&id).unwrap().stored = stored;
            self.restart(id);
            self.tell_replica("feed", id, &[]);
        }
        writeln!(self.said, "{id}    copied {copies}").unwrap();
    }

    /// What the log does with the oldest append of a node.
    fn answer(&mut self, verb: &str, id: NodeId) {
        let node = self.nodes.get_mut(&id).unwrap();
        if verb == "arrive" {
            let records = node.limbo.pop_front().expect("nothing is in limbo");
            self.land(records);
            return;
        }
        let (token, records) = node.wire.pop_front().expect("nothing is on the wire");
        let failed = |failure| Input::AppendFailed { token, failure };
        let input = match verb {
            "land" => Input::Appended { token, first: at(self.land(records)) },
            "perhaps" => {
                self.land(records);
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

    /// The oldest append of a node lands; its acknowledgement takes its time.
    fn hold(&mut self, id: NodeId) {
        let first = self.end();
        let node = self.nodes.get_mut(&id).unwrap();
        let (token, records) = node.wire.pop_front().expect("nothing is on the wire");
        node.held.push_back((token, first));
        self.land(records);
    }

    fn acknowledge(&mut self, id: NodeId) {
        let node = self.nodes.get_mut(&id).unwrap();
        let (token, first) = node.held.pop_front().expect("nothing waits for its answer");
        self.step(id, Input::Appended { token, first: at(first) });
    }

    fn tell_whether_it_reads(&mut self, id: NodeId) {
        let reads = self.nodes[&id].replica.needs_records(self.end());
        writeln!(self.said, "{id} {} the log", if reads { "reads" } else { "need not read" })
            .unwrap();
    }

    /// A record of another partition, which would open the next generation here.
    fn mirror(&mut self, id: NodeId) {
        let fold = self.nodes[&id].replica.fold();
        let claim = Claim { reason: ClaimReason::Ordered, evidence: 0, seen: fold.last };
        let record = Record {
            header: self.header(id, Scn::opening(fold.next_generation())),
            body: Body::Claim(claim),
        };
        let bytes = encode(PartitionUuid(8), &record, fold.chain).0;
        self.land(vec![bytes]);
    }

    /// The log's storage loses the last bit of a record.
    fn damage(&mut self, offset: usize) {
        let bytes = self.log[offset].as_mut().expect("a record stands there");
        let mut damaged = bytes.to_vec();
        *damaged.last_mut().unwrap() ^= 1;
        *bytes = damaged.into();
    }

    /// What a newer build would write behind what `id` has folded: `version` or `kind` is unknown
    /// here, and so is whatever the record says. A `zombie` has an old generation besides.
    fn append_newer(&mut self, what: &str, id: NodeId) {
        let fold = self.nodes[&id].replica.fold();
        let next = Scn::new(fold.last.generation, fold.last.sequence.next());
        let scn = if what == "zombie" { Scn::new(Generation(0), Sequence(9)) } else { next };
        let record =
            Record { header: self.header(id, scn), body: Body::Barrier(Barrier::default()) };
        let (version, kind) = if what == "kind" { (2, 77) } else { (3, 3) };
        let partition = genesis().identity.partition;
        let bytes = newer_record(partition, &record, fold.chain, (version, kind));
        self.land(vec![bytes]);
    }

    fn header(&self, id: NodeId, scn: Scn) -> Header {
        let incarnation = self.nodes[&id].incarnation;
        Header { scn, node: id, incarnation, time: self.now().wall }
    }

    /// What a node reads of the log from `from` on.
    fn feed(&mut self, node: NodeId, from: LogOffset) {
        let blind = &self.nodes[&node].blind;
        let slots = self.log.iter().enumerate().skip(from.0 as usize);
        let stranger = Bytes::from_static(b"stranger");
        let read = |(at, bytes): (usize, &Bytes)| match blind.contains(&at) {
            true => (LogOffset(at as u64), stranger.clone()),
            false => (LogOffset(at as u64), bytes.clone()),
        };
        let records = slots.filter_map(|(at, slot)| Some((at, slot.as_ref()?)));
        let entries = records.map(read).collect();
        let next = LogPosition { offset: self.end().max(from), epoch: 0 };
        self.step(node, Input::Page(RecordPage { from, entries, next }));
    }

    /// Puts `records` at the log's end; tells where the first one stands.
    fn land(&mut self, records: Vec<Bytes>) -> LogOffset {
        let first = self.end();
        self.log.extend(records.into_iter().map(Some));
        first
    }

    fn end(&self) -> LogOffset {
        LogOffset(self.log.len() as u64)
    }

    fn step(&mut self, id: NodeId, input: Input) {
        let now = self.now();
        let mut effects = Vec::new();
        let node = self.nodes.get_mut(&id).unwrap();
        node.replica.step(now, input, &mut effects);
        let compares = node.compares;
        let asks = |effect: &Effect| matches!(effect, Effect::CompareHistories { .. });
        let opens = !compares && effects.iter().any(asks);
        for effect in effects.into_iter().filter(|effect| compares || !asks(effect)) {
            if let Effect::Event(ReplicaEvent::Heard { .. }) = effect {
                continue;
            }
            let line = describe(&effect);
            writeln!(self.said, "{id} {line}").unwrap();
            match effect {
                Effect::Append { token, records } => node.wire.push_back((token, records)),
                Effect::Apply(apply) => node.stored = apply.state,
                Effect::Recover
                | Effect::CompareHistories { .. }
                | Effect::Answer { .. }
                | Effect::Digest { .. }
                | Effect::TrimBookmarks(_)
                | Effect::TrimLog(_)
                | Effect::Event(_) => {}
            }
        }
        if opens {
            let generation = self.nodes[&id].replica.fold().generation();
            return self.step(id, Input::Open { generation });
        }
        self.summary(id);
    }

    fn summary(&mut self, id: NodeId) {
        let replica = &self.nodes[&id].replica;
        let (fold, role) = (replica.fold(), replica.role());
        writeln!(self.said, "{id} = {role:?} at {} offset {}", fold.last, fold.position.offset)
            .unwrap();
    }

    fn write(&mut self, words: &[&str]) -> DecidedWrite {
        let mut draft = Draft::default();
        for word in words {
            let (name, value) = word.split_once('=').unwrap();
            if name == "key" {
                let name = RememberedKey::new("r", value.as_bytes(), 0);
                let statuses = vec![201];
                let entry = Idempotency { name, fingerprint: 9, statuses, ttl_ms: None };
                draft.idempotency.push(entry);
            } else {
                let json = Bytes::copy_from_slice(value.as_bytes());
                let key = DocumentKey::from_parts(&[name]).unwrap();
                let value = Some(DraftValue { schema_version: 0, expires: None, json });
                let (table, before, index) = (TableId(1), None, Vec::new());
                draft.changes.push(DraftChange { table, key, value, before, index });
            }
        }
        DecidedWrite { request: self.request(), draft }
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

fn genesis() -> Genesis {
    let identity = PartitionIdentity {
        partition: PartitionUuid(7),
        cluster: ClusterUuid(1),
        database: DatabaseId(1),
        number: 0,
    };
    Genesis { lease_ms: 1_000, ..Genesis::new(identity, ReplicaSet::default()) }
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
        Effect::CompareHistories { until } => format!("-> compare until {}", until.0),
        Effect::Apply(apply) => {
            let changes: Vec<String> = apply.transactions.iter().map(committed).collect();
            format!("-> apply up to {}: {}", apply.state.last, changes.join(", "))
        }
        Effect::Answer { request, answer } => match answer {
            RequestEnd::Committed { scn, .. } => {
                format!("-> answer r{}: committed {scn}", request.0)
            }
            RequestEnd::Ready | RequestEnd::NotDone(_) | RequestEnd::Unknown => {
                format!("-> answer r{}: {answer:?}", request.0)
            }
        },
        Effect::Digest { at } => format!("-> digest at {at}"),
        Effect::TrimBookmarks(trim) => format!("-> trim bookmarks below {}", trim.below),
        Effect::TrimLog(trim) => format!("-> trim log below {}", trim.below),
        Effect::Event(event) => format!("   {}", happened(event)),
    }
}

fn happened(event: &ReplicaEvent) -> String {
    match event {
        ReplicaEvent::Heard { node, .. } => format!("heard {node}"),
        ReplicaEvent::NewGeneration { generation, leader, previous_end } => {
            format!(
                "generation {generation} is led by {leader}, the last one ended at {previous_end}"
            )
        }
        ReplicaEvent::Serving { generation } => format!("serves generation {generation}"),
        ReplicaEvent::Resigned { generation, not_done } => {
            format!("resigned from generation {generation}, {not_done} not done")
        }
        ReplicaEvent::SteppedDown { generation, .. } => {
            format!("generation {generation} has ended")
        }
        ReplicaEvent::ReplicasChanged { replicas } => {
            format!("{:?} may claim", replicas.nodes())
        }
        ReplicaEvent::ClaimLost { generation } => {
            format!("lost the claim of generation {generation}")
        }
        ReplicaEvent::Void { offset, why: VoidReason::Disputed(_) } => {
            format!("void at offset {offset}: disputed")
        }
        ReplicaEvent::Void { offset, why } => format!("void at offset {offset}: {why:?}"),
        ReplicaEvent::Disputed { offset, conflict } => {
            format!("disputes offset {offset}: {}", histories(conflict))
        }
        ReplicaEvent::Republishing { records } => format!("publishes {records} again"),
        ReplicaEvent::GapBegan(gap) => {
            format!("{} is missing at offset {}", gap.since, gap.noticed)
        }
        ReplicaEvent::GapEnded { since } => format!("{since} is missing no longer"),
        ReplicaEvent::Stopped { offset, why } => {
            format!("offline at offset {offset}: {}", stop(why))
        }
    }
}

/// Hashes of histories change with every byte of the format: the stories leave them out.
fn histories(conflict: &Conflict) -> String {
    let Conflict { own, other, holder } = conflict;
    format!("{holder} has {}, own {}", other.scn, own.scn)
}

fn stop(stop: &Stop) -> String {
    match stop {
        Stop::Broken(_) | Stop::NeedsUpgrade(_) => stop.to_string(),
        Stop::Behind(conflict) => format!("behind, {}", histories(conflict)),
        Stop::Disputed(conflict) => format!("disputed, {}", histories(conflict)),
    }
}

fn record(bytes: &Bytes) -> String {
    let Record { header, body } = decode(bytes, genesis().identity.partition).unwrap();
    let kind = match body {
        Body::Genesis(_) => "Genesis".to_owned(),
        Body::Claim(_) => "Claim".to_owned(),
        Body::Transaction(transaction) => format!("Transaction {}", changes(&transaction)),
        Body::Barrier(Barrier { opening: Some(over) }) => format!("Barrier over {}", over.scn),
        Body::Barrier(Barrier { opening: None }) => "Barrier".to_owned(),
        Body::StepDown(StepDown { to: Some(to) }) => format!("StepDown to {to}"),
        Body::StepDown(StepDown { to: None }) => "StepDown".to_owned(),
        Body::Config(config) => format!("{config:?}"),
    };
    format!("{} {kind}", header.scn)
}

fn committed(committed: &Committed) -> String {
    format!("{} {}", committed.scn, changes(&committed.transaction))
}

fn changes(transaction: &Transaction) -> String {
    let change = |change: &Change| {
        let json = change.document.as_ref().map(StoredDocument::json).unwrap_or_default();
        format!("{}={}", change.key.resource(), String::from_utf8_lossy(&json))
    };
    transaction.changes.iter().map(change).collect::<Vec<_>>().join(" ")
}
