//! What a node with a slow store costs the partitions that other nodes lead.
//!
//! Three nodes in this process, their log and stores in memory: nothing is durable, and nothing
//! else is slow. Start reading at [`slow_store`].

use crate::report::{self, Round, median};
use anyhow::Context;
use bytes::Bytes;
use cortado_document::{Condition, Document, DocumentAction, Operation, TableDefinition};
use cortado_gateway::{
    Consistency, Database, DatabaseSpec, Gateway, ReadOptions, Table, WriteRequest,
};
use cortado_log::memory::{SharedMemoryBeats, SharedMemoryLog};
use cortado_metrics::Registry;
use cortado_model::{DocumentKey, NodeId};
use cortado_node::{Cluster, Components, Founding, MemoryDirectories, RawSettings, StoreFactory};
use cortado_peer::MemoryNetwork;
use cortado_store::{MemoryStore, Slow, Store, StoreError};
use fastrand::Rng;
use hdrhistogram::Histogram;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// The node whose store takes 1 to 20 ms a call.
const SLOW: NodeId = NodeId(3);
const PARTITIONS: u32 = 12;
/// Documents of each group of partitions, written and read over and over.
const DOCUMENTS: usize = 2_000;
const VALUE_BYTES: usize = 1_000;
/// Who writes to the slow node's own partitions meanwhile.
const BESIDE: usize = 4;
/// Longer than any request takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// How much to measure.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// Clients of the partitions whose leaders' stores are fast
    #[arg(long, default_value_t = 8)]
    clients: usize,
    /// Rounds of each cluster
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds of each round
    #[arg(long, default_value_t = 4)]
    seconds: u64,
}

/// Partitions beside a slow store, and the same ones beside a fast one.
pub(crate) async fn slow_store(options: &Options) -> anyhow::Result<()> {
    report::heading(
        "Partitions of two nodes while the third one's store takes 1 to 20 ms a call, in memory",
    );
    let (fast, slow) = (Subject::start(false).await?, Subject::start(true).await?);
    let (mut beside_fast, mut beside_slow) = (Rounds::default(), Rounds::default());
    for _ in 0..options.rounds {
        beside_fast.add(fast.round(options).await?);
        beside_slow.add(slow.round(options).await?);
    }
    report::rate("PUT, all stores fast", &beside_fast.puts);
    report::rate("PUT, one store slow", &beside_slow.puts);
    let ratio = |name, fast: &[Round], slow: &[Round]| {
        report::ratio(name, median(slow, Round::p99), median(fast, Round::p99));
    };
    ratio("p99 beside the slow store / beside a fast one", &beside_fast.puts, &beside_slow.puts);
    report::rate("strong GET, all stores fast", &beside_fast.gets);
    report::rate("strong GET, one store slow", &beside_slow.gets);
    ratio("p99 beside the slow store / beside a fast one", &beside_fast.gets, &beside_slow.gets);
    fast.cluster.shutdown().await;
    slow.cluster.shutdown().await;
    Ok(())
}

#[derive(Default)]
struct Rounds {
    puts: Vec<Round>,
    gets: Vec<Round>,
}

impl Rounds {
    fn add(&mut self, (puts, gets): (Round, Round)) {
        self.puts.push(puts);
        self.gets.push(gets);
    }
}

/// A cluster under load.
struct Subject {
    cluster: Cluster,
    /// Of the partitions that fast nodes should lead.
    others: Client,
    /// Of those that the slow node should lead.
    beside: Client,
}

impl Subject {
    async fn start(slow: bool) -> anyhow::Result<Subject> {
        let settings = RawSettings::default().validate()?;
        let components = Components {
            log: Arc::new(SharedMemoryLog::new()),
            beats: Arc::new(SharedMemoryBeats::default()),
            network: Arc::new(MemoryNetwork::default()),
            stores: Arc::new(Stores { slow }),
            directories: Arc::new(MemoryDirectories::default()),
            metrics: Arc::new(Registry::default()),
            warnings: Vec::new(),
            founding: Founding::Create,
            belongs_to: None,
        };
        let cluster = Cluster::start(settings, components).await?;
        let gateway = cluster.gateway();
        let table = TableDefinition::new(vec!["id".to_owned()], None)?;
        let spec = DatabaseSpec {
            partitions: Some(PARTITIONS),
            tables: BTreeMap::from([("document".to_owned(), table)]),
            ..DatabaseSpec::default()
        };
        gateway.create_database("bench", spec, Instant::now() + PATIENCE).await?;
        let catalog = gateway.catalog();
        let database = Arc::clone(catalog.database("bench").context("it was created")?);
        let table = Arc::clone(database.table("document").context("it was created")?);
        let slow_leads = |key: &DocumentKey| {
            database.placement(database.partition_of(key)).first() == Some(&SLOW)
        };
        let keys = (0_u64..).filter_map(|n| DocumentKey::from_parts(&[format!("d{n}")]).ok());
        let (theirs, mut rest): (Vec<_>, Vec<_>) =
            keys.take(PARTITIONS as usize * DOCUMENTS).partition(slow_leads);
        rest.truncate(DOCUMENTS);
        let client = |keys| Client {
            gateway: gateway.clone(),
            database: Arc::clone(&database),
            table: Arc::clone(&table),
            keys: Arc::new(keys),
        };
        Ok(Subject { others: client(rest), beside: client(theirs), cluster })
    }

    /// Load on all partitions; what the other nodes' clients waited for their PUTs and GETs.
    async fn round(&self, options: &Options) -> anyhow::Result<(Round, Round)> {
        let time = Duration::from_secs(options.seconds);
        let end = Instant::now() + time;
        let (mut others, mut beside) = (JoinSet::new(), JoinSet::new());
        for seed in 0..options.clients as u64 {
            others.spawn(self.others.clone().work(seed, end));
        }
        for seed in 0..BESIDE as u64 {
            beside.spawn(self.beside.clone().work(seed, end));
        }
        let (mut puts, mut gets) = (Histogram::new(3)?, Histogram::new(3)?);
        for worked in others.join_all().await {
            let (put, get) = worked?;
            puts.add(put)?;
            gets.add(get)?;
        }
        for worked in beside.join_all().await {
            worked?;
        }
        Ok((Round::new(puts, time), Round::new(gets, time)))
    }
}

#[derive(Clone)]
struct Client {
    gateway: Gateway,
    database: Arc<Database>,
    table: Arc<Table>,
    keys: Arc<Vec<DocumentKey>>,
}

/// Microseconds of each PUT, and of each GET.
type Worked = (Histogram<u64>, Histogram<u64>);

impl Client {
    /// Writes a document and reads one, in turn, until `end`.
    async fn work(self, seed: u64, end: Instant) -> anyhow::Result<Worked> {
        let mut random = Rng::with_seed(seed);
        let value = format!(r#"{{"value":"{}"}}"#, "x".repeat(VALUE_BYTES));
        let value = Document::parse(Bytes::from(value))?;
        let (mut puts, mut gets) = (Histogram::new(3)?, Histogram::new(3)?);
        while Instant::now() < end {
            let mut key = || random.choice(self.keys.iter()).cloned().context("there are keys");
            let (put, get, begun) = (key()?, key()?, Instant::now());
            self.put(put, value.clone(), begun + PATIENCE).await?;
            puts.record(begun.elapsed().as_micros() as u64)?;
            let begun = Instant::now();
            let deadline = begun + PATIENCE;
            let read = ReadOptions { consistency: Consistency::Strong, at_least: None, deadline };
            self.gateway.get(&self.database, &self.table, &get, &read).await?;
            gets.record(begun.elapsed().as_micros() as u64)?;
        }
        Ok((puts, gets))
    }

    async fn put(
        &self,
        key: DocumentKey,
        value: Document,
        deadline: Instant,
    ) -> anyhow::Result<()> {
        let (action, condition) = (DocumentAction::Put { value }, Condition::default());
        let operations = vec![Operation { table: self.table.id, key, action, condition }];
        let request = WriteRequest { operations, idempotency: None, deadline };
        self.gateway.write(&self.database, request).await?;
        Ok(())
    }
}

/// Stores in memory, one of them perhaps slow.
struct Stores {
    slow: bool,
}

impl StoreFactory for Stores {
    fn open(&self, node: NodeId) -> Result<Arc<dyn Store>, StoreError> {
        let store = Arc::new(MemoryStore::new());
        Ok(match self.slow && node == SLOW {
            true => Arc::new(Slow::new(store, 7)),
            false => store,
        })
    }
}
