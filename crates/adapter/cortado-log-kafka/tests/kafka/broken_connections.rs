//! Several batches of a partition under way while connections break and brokers die.

use crate::cluster::{at, follow, open, outcomes, partition, runtime, settings, spec};
use crate::relay::Relay;
use bytes::Bytes;
use cortado_kafka_brokers::{KafkaBrokers, Pace, brokers_for_test};
use cortado_log::conformance::block_on;
use cortado_log::{AppendOutcome, Log, Producer, outcomes_of};
use cortado_log_kafka::{KafkaLog, KafkaSettings, ThinPartition};
use parking_lot::{Condvar, Mutex};
use std::thread;

const PARTITIONS: u32 = 4;
const RECORDS: usize = 2_000;
/// Of each partition; each record is sent alone, so that there are many batches.
const UNDER_WAY: usize = 64;

/// Appends to all partitions at once while `disturb` does what it does; answers what was told.
///
/// * `disturb`: can wait until so many records have been answered.
fn append_all(log: &KafkaLog, mut disturb: impl FnMut(&Answered)) -> Vec<Vec<AppendOutcome>> {
    let answered = Answered::default();
    thread::scope(|scope| {
        let appends: Vec<_> = (0..PARTITIONS)
            .map(|number| {
                let answered = &answered;
                scope.spawn(move || append_to(log, number, answered))
            })
            .collect();
        disturb(&answered);
        appends.into_iter().map(|append| append.join().unwrap()).collect()
    })
}

fn append_to(log: &KafkaLog, number: u32, answered: &Answered) -> Vec<AppendOutcome> {
    let mut producer = log.producer(partition(number));
    let mut told = Vec::new();
    for record in 0..RECORDS {
        producer.send(vec![Bytes::from(format!("{record}"))]);
        while producer.outstanding() >= UNDER_WAY {
            take(producer.as_mut(), &mut told, answered);
        }
    }
    while producer.outstanding() > 0 {
        take(producer.as_mut(), &mut told, answered);
    }
    told
}

fn take(producer: &mut dyn Producer, told: &mut Vec<AppendOutcome>, answered: &Answered) {
    let before = told.len();
    block_on(outcomes_of(producer, told));
    answered.add(told.len() - before);
}

/// How many records have been answered.
#[derive(Default)]
struct Answered {
    count: Mutex<usize>,
    grew: Condvar,
}

impl Answered {
    fn add(&self, records: usize) {
        *self.count.lock() += records;
        self.grew.notify_all();
    }

    fn wait_for(&self, count: usize) {
        self.grew.wait_while(&mut self.count.lock(), |answered| *answered < count);
    }
}

/// Every record is there once, in the order of sending, and where it was said to be.
#[track_caller]
fn check(log: &KafkaLog, told: &[Vec<AppendOutcome>]) {
    for (number, told) in (0..).zip(told) {
        let mut follower = log.follow(partition(number), at(0));
        let seen = follow(follower.as_mut(), RECORDS);
        let want: Vec<String> = (0..RECORDS).map(|record| format!("{record}")).collect();
        assert!(seen == want, "partition {number}: {} records", seen.len());
        for (record, outcome) in told.iter().enumerate() {
            match outcome {
                AppendOutcome::At(position) => assert_eq!(position.offset.0, record as u64),
                AppendOutcome::Somewhere => {}
                other => panic!("partition {number}, record {record}: {other:?}"),
            }
        }
        let end = block_on(log.extents(&[partition(number)])).unwrap()[0].end;
        assert_eq!(end.0, RECORDS as u64, "partition {number}");
    }
}

/// A database of its own for each round.
fn open_fresh(runtime: &tokio::runtime::Runtime, bootstrap: String) -> KafkaLog {
    let log = open(runtime, &settings(bootstrap));
    block_on(log.create(&spec(PARTITIONS))).unwrap();
    log
}

fn relays(brokers: &KafkaBrokers) -> Vec<Relay> {
    let clients = brokers.status().into_iter().flat_map(|(broker, _)| broker.clients);
    clients.map(|client| Relay::start(client.advertised, client.listen)).collect()
}

#[test]
fn order_survives_broken_connections_and_dead_brokers() {
    let Some(brokers) = brokers_for_test(3, 1, Pace::Defaults) else { return };
    let (runtime, relays) = (runtime(), relays(&brokers));

    let log = open_fresh(&runtime, brokers.bootstrap_of_client(1));
    let mut cut = 0;
    let told = append_all(&log, |answered| {
        for round in 1..=12 {
            answered.wait_for(round * 500);
            cut += relays.iter().map(Relay::cut).sum::<usize>();
        }
    });
    assert!(cut >= 12, "{cut} connections were cut");
    check(&log, &told);

    let log = open_fresh(&runtime, brokers.bootstrap());
    let told = append_all(&log, |answered| {
        answered.wait_for(1_000);
        brokers.kill(2).unwrap();
        answered.wait_for(4_000);
        // Nothing can be appended before the others go on without it.
        let is_without_it = |thin: &ThinPartition| !thin.in_sync.contains(&2);
        while block_on(log.thin_partitions()).unwrap().iter().filter(|t| is_without_it(t)).count()
            < PARTITIONS as usize
        {}
        brokers.start_again(2).unwrap();
        brokers.pause(3).unwrap();
        answered.wait_for(6_000);
        brokers.resume(3).unwrap();
    });
    check(&log, &told);
}

#[test]
fn abandoning_a_partition_while_brokers_stand_still_leaves_others_their_appends() {
    let Some(brokers) = brokers_for_test(1, 0, Pace::Defaults) else { return };
    let runtime = runtime();
    let alone = KafkaSettings {
        replication_factor: 1,
        min_insync_replicas: 1,
        producers: 1,
        ..settings(brokers.bootstrap())
    };
    let log = open(&runtime, &alone);
    block_on(log.create(&spec(2))).unwrap();
    let send = |producer: &mut dyn Producer, text: &'static str| {
        producer.send(vec![Bytes::from_static(text.as_bytes())]);
    };
    let mut waits = log.producer(partition(1));
    send(waits.as_mut(), "first");
    outcomes(waits.as_mut());
    brokers.pause(1).unwrap();
    let mut gone = log.producer(partition(0));
    send(gone.as_mut(), "late");
    send(waits.as_mut(), "second");
    let given_up = gone.abandon();
    assert!(matches!(given_up[..], [AppendOutcome::Perhaps(_)]), "{given_up:?}");
    let mut next = log.producer(partition(0));
    send(next.as_mut(), "again");
    send(waits.as_mut(), "third");
    brokers.resume(1).unwrap();
    assert!(matches!(outcomes(next.as_mut())[..], [AppendOutcome::At(_)]));
    let told = outcomes(waits.as_mut());
    assert!(matches!(told[..], [AppendOutcome::At(_), AppendOutcome::At(_)]), "{told:?}");
    let seen = follow(log.follow(partition(1), at(0)).as_mut(), 3);
    assert_eq!(seen, ["first", "second", "third"]);
    let mut follower = log.follow(partition(0), at(0));
    while !follow(follower.as_mut(), 1).contains(&"again".to_owned()) {}
}
