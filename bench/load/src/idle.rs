//! What a node with many partitions takes while nobody writes, beside a process that has the same
//! Kafka clients and nothing else.
//!
//! Start reading at [`idle`].

use crate::report;
use crate::site::{Place, Site, cpu_seconds};
use anyhow::Context;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, Producer};
use rdkafka::{Offset, TopicPartitionList};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::process::Command;
use tokio::time::sleep;

/// What is idle.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    place: Place,
    /// Databases, of 100 partitions each; every node has a replica of each partition
    #[arg(long, default_value_t = 10)]
    databases: u32,
    /// Seconds that are measured
    #[arg(long, default_value_t = 30)]
    seconds: u64,
}

const PARTITIONS: u32 = 100;
/// What was declared is told, stored and looked at; also what a new process does but once.
const SETTLES: Duration = Duration::from_secs(60);
/// As many as a node has.
const PRODUCERS: usize = 8;
const METADATA: Duration = Duration::from_secs(30);

/// Memory and processor time of a node with many partitions and nothing to do.
pub(crate) async fn idle(options: &Options) -> anyhow::Result<()> {
    let site = Site::start(&options.place).await?;
    for number in 0..options.databases {
        site.declare(&format!("idle{number}"), PARTITIONS, 3).await?;
    }
    site.await_status("/readyz", 200).await?;
    let mut bare = Command::new(std::env::current_exe()?);
    let bare = bare.args(["idle-clients", &site.brokers.bootstrap()]).kill_on_drop(true).spawn()?;
    let bare = bare.id().context("the bare clients have ended")?;
    sleep(SETTLES).await;
    let folder = |pid: u32| Path::new("/proc").join(pid.to_string());
    let (bare, node) = (folder(bare), folder(site.running(0)?.pid()));
    let time = Duration::from_secs(options.seconds);
    let used = async |folder: &Path| {
        let before = (cpu_seconds(folder)?, of_kafka_client(folder)?);
        sleep(time).await;
        let after = (cpu_seconds(folder)?, of_kafka_client(folder)?);
        let percent = |seconds: f64| 100.0 * seconds / time.as_secs_f64();
        anyhow::Ok((percent(after.0 - before.0), percent(after.1 - before.1)))
    };
    let (bare_used, node_used) = tokio::join!(used(&bare), used(&node));
    let ((bare_all, _), (all, client)) = (bare_used?, node_used?);
    report::heading(&format!("A node with {} partitions, idle", options.databases * PARTITIONS));
    let (bare_resident, resident) = (resident_mb(&bare)?, resident_mb(&node)?);
    report::value("resident memory of the same Kafka clients alone, MB", bare_resident);
    report::value("resident memory, MB", resident);
    report::value("beyond the clients alone, MB (goal: at most 100)", resident - bare_resident);
    report::value("% of a core, the same Kafka clients alone", bare_all);
    report::value("% of a core, threads of the Kafka client", client);
    report::value("% of a core, everything else (goal: at most 2)", all - client);
    Ok(())
}

fn resident_mb(process: &Path) -> anyhow::Result<f64> {
    let status = std::fs::read_to_string(process.join("status"))?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let resident = resident.and_then(|text| text.trim().strip_suffix("kB")?.trim().parse().ok());
    resident.map(|kib: f64| kib / 1_024.0).context("no VmRSS in /proc")
}

/// Processor time of the threads of librdkafka, in seconds.
fn of_kafka_client(process: &Path) -> anyhow::Result<f64> {
    let threads = std::fs::read_dir(process.join("task"))?;
    let is_its = |thread: &PathBuf| {
        let name = std::fs::read_to_string(thread.join("comm"));
        name.is_ok_and(|name| name.starts_with("rdk:"))
    };
    let threads = threads.flatten().map(|thread| thread.path()).filter(is_its);
    threads.map(cpu_seconds).sum()
}

/// Producers that know every topic, and a consumer of every partition; never returns.
pub(crate) fn serve_clients(bootstrap: &str) -> anyhow::Result<()> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap).set("fetch.wait.max.ms", "500");
    config.set("enable.idempotence", "true").set("queued.max.messages.kbytes", "4096");
    let producers = (0..PRODUCERS).map(|_| config.create::<BaseProducer>());
    let producers: Vec<_> = producers.collect::<Result<_, _>>()?;
    for producer in &producers {
        producer.client().fetch_metadata(None, METADATA)?;
    }
    config.set("group.id", "idle").set("enable.auto.commit", "false");
    let consumer: BaseConsumer = config.create()?;
    let known = consumer.fetch_metadata(None, METADATA)?;
    let mut assigned = TopicPartitionList::new();
    for topic in known.topics() {
        for partition in topic.partitions() {
            assigned.add_partition_offset(topic.name(), partition.id(), Offset::End)?;
        }
    }
    consumer.assign(&assigned)?;
    loop {
        consumer.poll(Duration::from_secs(60));
    }
}
