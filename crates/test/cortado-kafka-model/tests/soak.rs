//! Whatever happens to brokers: what was acknowledged stays, at its offset, unless a replica that
//! was not in sync came to lead.

use bytes::Bytes;
use cortado_kafka_model::client::{
    KafkaProducer, PartitionView, ProducerInput, ProducerOutput, ProducerSettings,
};
use cortado_kafka_model::cluster::{ClusterEffect, ClusterEvent, KafkaCluster};
use cortado_kafka_model::{
    BrokerDefect, BrokerId, ClusterSettings, Micros, Party, TopicPartition, TopicSettings,
};
use cortado_log::{AppendOutcome, LogReadError};
use cortado_model::{LogPosition, mixed};
use std::collections::BTreeMap;

const TOPIC: &str = "t";
const APPENDS: u64 = 300;

/// One client that writes numbers, and brokers that die, stop and are cut off meanwhile.
struct Soak {
    cluster: KafkaCluster,
    now: Micros,
    draws: u64,
    producer: KafkaProducer,
    view: PartitionView,
    told: BTreeMap<u64, AppendOutcome>,
    committed: Vec<Option<Bytes>>,
    lost: bool,
}

impl Soak {
    fn new(seed: u64, defect: Option<BrokerDefect>) -> Soak {
        let mut cluster = KafkaCluster::new(ClusterSettings {
            strict_high: seed.is_multiple_of(2),
            ..ClusterSettings::quick(seed)
        });
        let topic = cluster.create_topic(TOPIC, 1, TopicSettings::of_a_log(3, 1 << 20));
        topic.expect("all brokers are up");
        if let Some(defect) = defect {
            cluster.plant(defect);
        }
        let give_up_us = seed.is_multiple_of(3).then_some(900_000);
        let settings = ProducerSettings {
            wait_us: 200_000,
            request_us: 300_000,
            backoff_us: 20_000,
            give_up_us,
            bytes_max: 1 << 20,
        };
        Soak {
            producer: KafkaProducer::new(settings, TOPIC, 0, 1, None),
            view: PartitionView::new(TOPIC, 0, 0, None),
            now: Micros(0),
            draws: seed << 32,
            told: BTreeMap::new(),
            committed: Vec::new(),
            lost: false,
            cluster,
        }
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.draws += 1;
        mixed(self.draws) % bound
    }

    fn broker(&mut self) -> BrokerId {
        BrokerId(self.below(3) as u32)
    }

    fn on(&mut self, event: ClusterEvent) {
        let mut effects = Vec::new();
        self.cluster.on(self.now, event, &mut effects);
        for effect in effects {
            match effect {
                ClusterEffect::Produced { token, answer } => {
                    self.tell(ProducerInput::Answered { token, answer });
                }
                ClusterEffect::Committed { batches, .. } => {
                    for batch in batches {
                        if self.lost {
                            continue;
                        }
                        assert_eq!(batch.base, self.committed.len() as u64);
                        self.committed.extend(batch.slots.iter().cloned());
                    }
                }
                ClusterEffect::Lost { .. } => self.lost = true,
                _ => {}
            }
        }
    }

    fn tell(&mut self, input: ProducerInput) {
        let mut out = Vec::new();
        self.producer.on(self.now, input, &mut out);
        for output in out {
            match output {
                ProducerOutput::Request { broker, token, request, .. } => {
                    self.on(ClusterEvent::Produce { broker, token, request });
                }
                ProducerOutput::WantsLeader => {
                    let before = self.view.leader();
                    self.view.refresh(&self.cluster, &|_| true);
                    if self.view.leader() != before {
                        self.tell(ProducerInput::Leader(self.view.leader()));
                    }
                }
                ProducerOutput::Told { append, outcomes } => {
                    self.told.insert(append, outcomes[0].clone());
                }
            }
        }
    }

    fn pass(&mut self, us: u64) {
        let until = self.now.plus(us);
        loop {
            let wakes = [self.cluster.wake_at(), self.producer.wake_at()];
            let Some(at) = wakes.into_iter().flatten().min().filter(|at| *at <= until) else {
                break;
            };
            self.now = at.max(self.now.plus(1)).min(until);
            self.on(ClusterEvent::Tick);
            self.tell(ProducerInput::Tick);
        }
        self.now = until;
    }

    fn suffer(&mut self) {
        let (broker, other) = (self.broker(), self.broker());
        let partition = self.partition();
        let event = match self.below(14) {
            0 => ClusterEvent::Kill(broker),
            1..=3 => ClusterEvent::Start(broker),
            4 => ClusterEvent::Freeze(broker),
            5 | 6 => ClusterEvent::Thaw(broker),
            7 => ClusterEvent::Cut(Party::Broker(broker), Party::Broker(other)),
            8 => ClusterEvent::Cut(Party::Broker(broker), Party::Controller),
            9 => ClusterEvent::Cut(Party::Broker(broker), Party::Clients),
            10 => ClusterEvent::MendAll,
            11 => ClusterEvent::MoveLeader(partition, broker),
            12 => ClusterEvent::FailDisk { broker, partition, lands: true },
            _ => ClusterEvent::ControllerAway(self.now.plus(200_000)),
        };
        self.on(event);
    }

    fn partition(&self) -> TopicPartition {
        let topic = self.cluster.truth().topic(TOPIC).expect("it was created");
        TopicPartition { topic, number: 0 }
    }

    /// Runs to the end, and answers what was not as it must be.
    fn run(mut self) -> Result<(), String> {
        for append in 0..APPENDS {
            let records = vec![Bytes::from(append.to_string())];
            self.tell(ProducerInput::Send { append, records });
            let us = self.below(40_000);
            self.pass(us);
            if self.below(4) == 0 {
                self.suffer();
            }
        }
        self.cluster.heal();
        self.pass(30_000_000);
        if self.lost {
            return Err("committed records were lost".to_owned());
        }
        self.check_outcomes()?;
        self.check_reading()
    }

    fn check_outcomes(&self) -> Result<(), String> {
        for append in 0..APPENDS {
            let outcome = self.told.get(&append).ok_or(format!("{append} was never told"))?;
            let bytes = Bytes::from(append.to_string());
            let stands = self.committed.iter().flatten().filter(|record| **record == bytes).count();
            let right = match outcome {
                AppendOutcome::At(position) => {
                    let held = self.committed.get(position.offset.0 as usize);
                    stands == 1 && held == Some(&Some(bytes))
                }
                AppendOutcome::Somewhere => stands == 1,
                AppendOutcome::NotAppended(_) => stands == 0,
                AppendOutcome::Perhaps(_) => stands <= 1,
                AppendOutcome::Unusable(_) => false,
            };
            if !right {
                return Err(format!("{append} was told {outcome:?}, and stands {stands} times"));
            }
        }
        let numbers = self.committed.iter().flatten();
        let numbers: Vec<u64> =
            numbers.filter_map(|n| std::str::from_utf8(n).ok()?.parse().ok()).collect();
        if self.producer_never_gave_up() && numbers.windows(2).any(|pair| pair[0] >= pair[1]) {
            return Err(format!("out of order: {numbers:?}"));
        }
        Ok(())
    }

    fn producer_never_gave_up(&self) -> bool {
        self.told.values().all(|one| !matches!(one, AppendOutcome::Perhaps(_)))
    }

    /// A reader sees exactly what was committed.
    fn check_reading(&mut self) -> Result<(), String> {
        let (mut at, mut read, mut doubts) = (LogPosition::START, Vec::new(), 0);
        loop {
            let page = match self.view.read(&self.cluster, &|_| true, None, at, 100) {
                // It looks who leads now.
                Err(LogReadError::Unavailable(_)) if doubts < 3 => {
                    doubts += 1;
                    continue;
                }
                page => page.map_err(|error| format!("at {at:?}: {error}"))?,
            };
            if page.next == at {
                break;
            }
            read.extend(page.entries.into_iter().map(|entry| entry.record));
            at = page.next;
        }
        let committed: Vec<Bytes> = self.committed.iter().flatten().cloned().collect();
        if read == committed { Ok(()) } else { Err("a reader sees something else".to_owned()) }
    }
}

#[test]
fn what_is_acknowledged_stays_whatever_brokers_suffer() {
    for seed in 0..60 {
        assert_eq!(Soak::new(seed, None).run(), Ok(()), "seed {seed}");
    }
}

#[test]
fn a_broker_that_breaks_its_promise_is_noticed() {
    for defect in BrokerDefect::ALL {
        let noticed = (0..200).find(|seed| {
            let run = std::panic::AssertUnwindSafe(|| Soak::new(*seed, Some(defect)).run());
            std::panic::catch_unwind(run).is_ok_and(|run| run.is_err())
        });
        assert!(noticed.is_some(), "{defect:?} was not noticed");
    }
}
