//! A mock cluster with one topic, and producers on it.

use crate::known_logs::{KnownLog, KnownLogs};
use crate::partition_producer::PartitionProducer;
use crate::producer_pool::ProducerPool;
use crate::seen_records::SeenRecords;
use crate::settings::KafkaSettings;
use bytes::Bytes;
use cortado_log::conformance::block_on;
use cortado_log::{AppendOutcome, LogSpec, Producer, outcomes_of};
use cortado_model::{DatabaseId, LogId, PartitionId, PartitionUuid};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use std::sync::Arc;
use std::time::Duration;

/// Under which the records are shown.
const EPOCH: u32 = 3;

/// One broker, and a pool of clients.
pub(super) struct Mock {
    pub(super) cluster: MockCluster<'static, DefaultProducerContext>,
    pub(super) settings: KafkaSettings,
    known: Arc<KnownLogs>,
    pool: Arc<ProducerPool>,
}

impl Mock {
    /// * `clients`: in the pool.
    pub(super) fn new(clients: usize) -> Mock {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("t", 4, 1).unwrap();
        let mut settings = KafkaSettings::new(cluster.bootstrap_servers());
        settings.producers = clients;
        let known = Arc::<KnownLogs>::default();
        let (database, uuid) = (DatabaseId(1), PartitionUuid(1));
        let spec = LogSpec { database, name: "t".to_owned(), uuid, partitions: 4 };
        known.learn(&spec, "t".to_owned(), LogId(1));
        let pool = Arc::new(ProducerPool::with_patience(&settings, Duration::ZERO).unwrap());
        Mock { cluster, settings, known, pool }
    }

    pub(super) fn producer(&self, number: u32) -> Box<PartitionProducer> {
        let partition = PartitionId { database: DatabaseId(1), number };
        let (known, pool) = (Arc::clone(&self.known), Arc::clone(&self.pool));
        // Nobody reads: what is acknowledged is shown as soon as it is asked for.
        let show = |partition: PartitionId, log: &Arc<KnownLog>| {
            let number = partition.number;
            while let Some(offset) = log.seen(number, SeenRecords::oldest_unseen).flatten() {
                log.saw(number, offset, EPOCH);
            }
        };
        Box::new(PartitionProducer::new(known, pool, partition, Arc::new(show)))
    }

    /// How often a client of the pool has been refused with a code that also follows an append.
    pub(super) fn doubts(&self) -> u64 {
        self.pool.clients().iter().map(|client| client.doubts()).sum()
    }

    /// Closes the clients that are in use, whoever waits.
    pub(super) fn close_clients(&self) {
        self.pool.clients().iter().for_each(|client| client.close());
    }

    /// Bytes that the clients of the pool hold.
    pub(super) fn held_bytes(&self) -> u64 {
        self.pool.bytes()
    }
}

pub(super) fn send(producer: &mut PartitionProducer, text: &'static str) {
    producer.send(vec![Bytes::from_static(text.as_bytes())]);
}

/// The outcome of all that was sent, as a letter each.
pub(super) fn outcomes(producer: &mut PartitionProducer) -> String {
    let mut outcomes = Vec::new();
    while producer.outstanding() > 0 {
        block_on(outcomes_of(producer, &mut outcomes));
    }
    outcomes.iter().map(spell).collect()
}

pub(super) fn spell(outcome: &AppendOutcome) -> char {
    match outcome {
        AppendOutcome::At(_) => 'a',
        AppendOutcome::Somewhere => 's',
        AppendOutcome::NotAppended(_) => 'n',
        AppendOutcome::Perhaps(_) => 'p',
        AppendOutcome::Unusable(_) => 'u',
    }
}
