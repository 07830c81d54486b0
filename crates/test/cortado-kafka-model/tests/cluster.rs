//! What a cluster does when its brokers die, stop, are cut off and come back.

use bytes::Bytes;
use cortado_kafka_model::cluster::{
    ClusterEffect, ClusterEvent, KafkaCluster, ProduceAnswer, ProduceRequest,
};
use cortado_kafka_model::{
    BatchKind, BrokerId, ClusterSettings, ErrorCode, Micros, Party, ProducerName, Sequenced,
    TopicPartition, TopicSettings,
};

const TOPIC: &str = "t";
const SECOND: u64 = 1_000_000;
const AT_0: ProduceAnswer = ProduceAnswer::At { base: 0, epoch: 0 };
const AT_1: ProduceAnswer = ProduceAnswer::At { base: 1, epoch: 0 };

/// A cluster with one topic of one partition, and its time.
struct Rig {
    cluster: KafkaCluster,
    now: Micros,
    partition: TopicPartition,
    effects: Vec<ClusterEffect>,
    tokens: u64,
}

impl Rig {
    fn new() -> Rig {
        let mut cluster = KafkaCluster::new(ClusterSettings::quick(7));
        let topic = cluster.create_topic(TOPIC, 1, TopicSettings::of_a_log(3, 1 << 20));
        let topic = topic.expect("all brokers are up");
        let partition = TopicPartition { topic, number: 0 };
        let mut rig = Rig { cluster, now: Micros(0), partition, effects: Vec::new(), tokens: 0 };
        rig.pass(SECOND / 10);
        rig
    }

    fn on(&mut self, event: ClusterEvent) {
        self.cluster.on(self.now, event, &mut self.effects);
    }

    fn pass(&mut self, us: u64) {
        self.now = self.now.plus(us);
        self.on(ClusterEvent::Tick);
    }

    fn leader(&self) -> BrokerId {
        self.cluster.leader_of(self.partition).expect("a broker leads")
    }

    fn followers(&self) -> Vec<BrokerId> {
        let leader = self.leader();
        self.cluster.broker_ids().filter(|broker| *broker != leader).collect()
    }

    /// Sends a record to the leader; answers under which token.
    fn produce(&mut self, first: u32) -> u64 {
        let leader = self.leader();
        self.produce_to(leader, first)
    }

    fn produce_to(&mut self, broker: BrokerId, first: u32) -> u64 {
        self.tokens += 1;
        let request = ProduceRequest {
            topic: TOPIC.to_owned(),
            number: 0,
            writer: Some(Sequenced { producer: ProducerName { id: 1, epoch: 0 }, first }),
            kind: BatchKind::Plain,
            records: vec![Bytes::from(first.to_string())],
            all: true,
            timeout_us: 5 * SECOND,
        };
        self.on(ClusterEvent::Produce { broker, token: self.tokens, request });
        self.tokens
    }

    fn answer(&self, wanted: u64) -> Option<ProduceAnswer> {
        self.effects.iter().find_map(|effect| match effect {
            ClusterEffect::Produced { token, answer } if *token == wanted => Some(*answer),
            _ => None,
        })
    }

    fn lost(&self) -> Option<u64> {
        self.effects.iter().find_map(|effect| match effect {
            ClusterEffect::Lost { from, .. } => Some(*from),
            _ => None,
        })
    }

    /// Everything comes back; all replicas must be equal then.
    #[track_caller]
    fn heal(&mut self, want_end: u64) {
        self.cluster.heal();
        self.pass(20 * SECOND);
        let ends = self.cluster.ends(self.partition);
        assert!(ends.iter().all(|(_, end)| *end == want_end), "{ends:?}, not {want_end}");
    }
}

#[test]
fn a_killed_leader_takes_nothing_along_that_was_acknowledged() {
    let mut rig = Rig::new();
    let token = rig.produce(0);
    rig.pass(SECOND / 10);
    assert_eq!(rig.answer(token), Some(AT_0));
    let (old, open) = (rig.leader(), rig.produce(1));
    rig.on(ClusterEvent::Kill(old));
    rig.pass(2 * SECOND);
    assert_eq!(rig.answer(open), Some(ProduceAnswer::Disconnected));
    assert_ne!(rig.leader(), old);
    let next = rig.produce(1);
    rig.pass(SECOND);
    assert!(matches!(rig.answer(next), Some(ProduceAnswer::At { base: 1, .. })));
    assert_eq!(rig.lost(), None);
    rig.heal(2);
}

#[test]
fn a_frozen_follower_stalls_until_it_lags() {
    let mut rig = Rig::new();
    let frozen = rig.followers()[0];
    rig.on(ClusterEvent::Freeze(frozen));
    let token = rig.produce(0);
    rig.pass(SECOND / 10);
    assert_eq!(rig.answer(token), None);
    rig.pass(3 * SECOND);
    assert_eq!(rig.answer(token), Some(AT_0));
    rig.heal(1);
}

#[test]
fn too_few_in_sync_refuse_before_and_fail_behind_the_append() {
    let mut rig = Rig::new();
    let followers = rig.followers();
    followers.iter().for_each(|broker| rig.on(ClusterEvent::Kill(*broker)));
    let behind = rig.produce(0);
    rig.pass(3 * SECOND);
    let before = rig.produce(1);
    assert_eq!(rig.answer(before), Some(ProduceAnswer::Failed(ErrorCode::NotEnoughReplicas)));
    rig.pass(4 * SECOND);
    // It stands there, and nobody in sync has it: the broker says only that it took too long.
    assert_eq!(rig.answer(behind), Some(ProduceAnswer::Failed(ErrorCode::RequestTimedOut)));
    rig.heal(1);
}

/// librdkafka takes this code for "not persisted"; the record is there.
#[test]
fn a_deposed_leader_denies_what_its_followers_have() {
    let mut rig = Rig::new();
    let (old, new) = (rig.leader(), rig.followers()[0]);
    // Its followers fetch the record, and their next fetch, which would tell so, is lost.
    let token = rig.produce(0);
    let way = ClusterEvent::Cut(Party::Broker(new), Party::Broker(old));
    let ends = |rig: &Rig| rig.cluster.ends(rig.partition);
    while ends(&rig).iter().any(|(broker, end)| *broker == new && *end == 0) {
        rig.pass(1);
    }
    rig.on(way);
    rig.on(ClusterEvent::MoveLeader(rig.partition, new));
    rig.pass(SECOND);
    assert_eq!(rig.answer(token), Some(ProduceAnswer::Failed(ErrorCode::NotLeader)));
    rig.heal(1);
    assert_eq!(rig.cluster.committed_end(rig.partition), 1);
}

#[test]
fn what_is_sent_again_stands_once() {
    let mut rig = Rig::new();
    let (first, again) = (rig.produce(0), rig.produce(0));
    rig.pass(SECOND / 10);
    assert_eq!(rig.answer(first), Some(AT_0));
    assert_eq!(rig.answer(again), Some(AT_0));
    let beyond = rig.produce(2);
    assert_eq!(rig.answer(beyond), Some(ProduceAnswer::Failed(ErrorCode::OutOfOrderSequence)));
    rig.heal(1);
}

#[test]
fn an_unclean_leader_destroys_what_it_lacks() {
    let mut rig = Rig::new();
    let lags = rig.followers()[0];
    rig.produce(0);
    rig.pass(SECOND / 10);
    rig.cluster.cut_off(
        lags,
        &[Party::Broker(BrokerId(0)), Party::Broker(BrokerId(1)), Party::Broker(BrokerId(2))],
    );
    rig.pass(2 * SECOND);
    let acknowledged = rig.produce(1);
    rig.pass(SECOND / 10);
    assert_eq!(rig.answer(acknowledged), Some(AT_1));
    for broker in rig.cluster.broker_ids().filter(|broker| *broker != lags) {
        rig.on(ClusterEvent::Kill(broker));
    }
    rig.pass(3 * SECOND);
    assert_eq!(rig.cluster.leader_of(rig.partition), None, "no clean leader is left");
    rig.cluster.alter_topic(TOPIC, |settings| settings.unclean = true);
    rig.pass(SECOND);
    assert_eq!(rig.lost(), Some(1));
    assert!(rig.effects.iter().any(|one| matches!(one, ClusterEffect::LedUnclean(_))));
    rig.heal(1);
}

#[test]
fn a_broker_that_was_not_told_serves_a_topic_that_is_gone() {
    let mut rig = Rig::new();
    let old = rig.leader();
    rig.on(ClusterEvent::Cut(Party::Controller, Party::Broker(old)));
    assert!(rig.cluster.delete_topic(TOPIC));
    let again = rig.cluster.create_topic(TOPIC, 1, TopicSettings::of_a_log(3, 1 << 20)).unwrap();
    rig.pass(SECOND / 10);
    assert_ne!(again, rig.partition.topic);
    let told = rig.cluster.metadata(old).map(|image| image.topic(TOPIC)).ok();
    assert_eq!(told, Some(Some(rig.partition.topic)));
    let token = rig.produce_to(old, 0);
    rig.pass(SECOND / 10);
    // Its followers know better: nobody acknowledges.
    assert_eq!(rig.answer(token), None);
    rig.on(ClusterEvent::MendAll);
    rig.pass(2 * SECOND);
    assert_eq!(rig.answer(token), Some(ProduceAnswer::Failed(ErrorCode::UnknownTopicOrPartition)));
}

#[test]
fn a_follower_that_lacks_what_is_forgotten_begins_within_a_batch() {
    let mut rig = Rig::new();
    let (leader, lags) = (rig.leader(), rig.followers()[0]);
    rig.on(ClusterEvent::Kill(lags));
    rig.pass(2 * SECOND);
    rig.tokens += 1;
    let request = ProduceRequest {
        topic: TOPIC.to_owned(),
        number: 0,
        writer: None,
        kind: BatchKind::Plain,
        records: vec![Bytes::from_static(b"x"); 4],
        all: true,
        timeout_us: 5 * SECOND,
    };
    rig.on(ClusterEvent::Produce { broker: leader, token: rig.tokens, request });
    rig.pass(SECOND / 10);
    assert_eq!(rig.cluster.delete_records(leader, rig.partition, 2), Ok(2));
    rig.heal(4);
    let assigned = rig.cluster.truth().assigned(rig.partition).unwrap();
    assert_eq!(assigned.in_sync.len(), 3);
}

#[test]
fn a_controller_that_is_away_decides_nothing() {
    let mut rig = Rig::new();
    let old = rig.leader();
    rig.on(ClusterEvent::ControllerAway(rig.now.plus(5 * SECOND)));
    rig.on(ClusterEvent::Kill(old));
    rig.pass(4 * SECOND);
    assert_eq!(rig.cluster.leader_of(rig.partition), None);
    rig.pass(4 * SECOND);
    assert_ne!(rig.leader(), old);
    rig.heal(0);
}
