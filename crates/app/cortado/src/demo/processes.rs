//! `cortado cluster demo`: brokers and nodes, each a process of its own, are killed under load, and
//! every acknowledged write is found.
//!
//! Uses what any operator has: this binary, and Kafka. Start reading at [`run`].

use super::audit::Audit;
use super::broker_death::BrokerDeath;
use super::failover::Failover;
use super::sample;
use super::site::{NODES, Site};
use super::stage::Stage;
use super::workload::Workload;
use super::{STEADY, TIMEOUTS};
use crate::failure::{Exit, Failure};
use crate::logging::{self, LogFormat};
use crate::stop_signals::StopSignals;
use clap::{Args, ValueHint};
use cortado_client::Client;
use cortado_kafka_brokers::Pace;
use std::path::PathBuf;
use std::pin::pin;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// What `cortado cluster demo` is told.
#[derive(Debug, Args)]
pub(crate) struct ProcessesArguments {
    /// Leave everything running afterwards, until Ctrl-C
    #[arg(long)]
    serve: bool,
    /// Folder for brokers, nodes and their logs, which must not exist [default: a new one in
    /// CORTADO_CACHE or ~/.cache/cortado]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    dir: Option<PathBuf>,
    /// Keep the folder, also if all went well
    #[arg(long)]
    keep: bool,
    /// Leave the brokers Kafka's own timeouts: a dead one is noticed after 8 to 13 seconds, and a
    /// slow one is not taken for dead
    #[arg(long)]
    kafka_defaults: bool,
}

/// The broker that is killed.
const VICTIM: u32 = 2;
/// How long the nodes may take until everything is served; a machine with much to do is slow.
const START_MAX: Duration = Duration::from_secs(300);
const LOOK: Duration = Duration::from_millis(50);

/// Runs the demonstration; answers "refused" if anything was lost.
pub(crate) fn run(arguments: ProcessesArguments) -> Result<Exit, Failure> {
    logging::begin(LogFormat::Text, "off")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(Failure::new)?.block_on(async {
        let mut signals = StopSignals::listen()?;
        let stage = Stage::new();
        let pace = if arguments.kafka_defaults { Pace::Defaults } else { Pace::Quick };
        stage.title("A cluster of eight processes on this machine")?;
        let mut starting = pin!(Site::start(arguments.dir, pace, &stage));
        let started = tokio::select! {
            started = &mut starting => Some(started?),
            () = signals.next() => None,
        };
        let Some(site) = started else {
            signals.end_at_once();
            stage.fact("interrupted; what was begun is taken back")?;
            // What did not start has left nothing.
            if let Ok(site) = starting.await {
                site.end(false).await?;
            }
            return Err(interrupted());
        };
        let mut played = tokio::select! {
            played = play(&site, &stage) => played,
            () = signals.next() => Err(interrupted()),
        };
        if arguments.serve && played.is_ok() {
            tell_how_to_go_on(&site, &stage)?;
            signals.next().await;
        }
        signals.end_at_once();
        let is_kept = arguments.keep || played.is_err();
        if is_kept {
            let kept = format!("{} holds data and logs of every process", site.folder().display());
            played = played.map_err(|failure| failure.next(&kept));
            stage.fact(&kept)?;
        }
        stage.fact("ending every process")?;
        site.end(is_kept).await?;
        played
    })
}

fn interrupted() -> Failure {
    Failure::new("interrupted")
}

/// The acts of the play.
async fn play(site: &Site, stage: &Stage) -> Result<Exit, Failure> {
    site.tell_brokers(stage)?;
    site.begin_cluster(stage).await?;
    site.start_all(stage)?;
    let client = Client::new(site.urls().parse().map_err(Failure::new)?).with_timeouts(TIMEOUTS);
    await_cluster(site, &client, stage).await?;
    let ledger = sample::prepare(&client, stage).await?;

    stage.title("Load: every partition is written and read without a pause, by all four doors")?;
    let workload = Workload::start(&client, &ledger);
    sleep(STEADY).await;
    stage.fact(&workload.progress())?;

    let kill = async |node: &str| site.kill_node(node).await;
    let failover = Failover::begin(&client, stage, kill).await?;
    failover.watch(&client, stage).await?;
    sleep(STEADY).await;
    stage.fact(&workload.progress())?;
    let start = async |node: &str| site.start_process(node);
    let revived = failover.revive(&client, stage, start).await?;
    let handed_back = Instant::now();
    sleep(STEADY / 3).await;

    let death = BrokerDeath::watch(site, VICTIM, &workload, stage).await?;
    sleep(STEADY).await;
    stage.fact(&workload.progress())?;
    let begun = Instant::now();
    site.start_broker(VICTIM).await?;
    let seconds = begun.elapsed().as_secs_f64();
    stage
        .fact(&format!("broker {VICTIM} is back after {seconds:.1} s and copies what it missed"))?;
    sleep(STEADY / 3).await;
    let history = workload.stop().await;
    if let Some(ended) = site.start_what_ended()?.pop() {
        return Err(Failure::new(ended));
    }
    failover.report_gaps(&history, revived, Some(handed_back), stage)?;
    death.report_gaps(&history, stage)?;

    stage.title("Audit: every acknowledged write is read back")?;
    let audit = Audit::of(&client, &ledger, &history).await?;
    audit.report(stage)?;
    if audit.is_clean() {
        return Ok(Exit::Done);
    }
    Err(Failure::new("audit failed: see above").next("report it, with the folder of the processes"))
}

/// Waits until all nodes are there and everything is served.
async fn await_cluster(site: &Site, client: &Client, stage: &Stage) -> Result<(), Failure> {
    let begun = Instant::now();
    loop {
        for ended in site.start_what_ended()? {
            stage.fact(&format!("{ended}; it is started again"))?;
        }
        let reason = match client.cluster().await {
            Ok(cluster) => {
                let alive = cluster.nodes.iter().filter(|node| node.alive).count();
                if cluster.ready && alive == NODES.len() {
                    break;
                }
                cluster.reason.unwrap_or_else(|| format!("{alive} nodes are there"))
            }
            Err(error) => error.to_string(),
        };
        if begun.elapsed() > START_MAX {
            let seconds = START_MAX.as_secs();
            return Err(Failure::new(format!("not ready after {seconds} s: {reason}")));
        }
        sleep(LOOK).await;
    }
    stage.fact(&format!(
        "{} nodes have found one another by the log, and serve, after {:.1} s; the router keeps \
         nothing",
        NODES.len(),
        begun.elapsed().as_secs_f64()
    ))?;
    Ok(())
}

fn tell_how_to_go_on(site: &Site, stage: &Stage) -> Result<(), Failure> {
    let (url, folder) = (site.router_url(), site.folder().display());
    stage.line(&format!(
        "\neverything is still running, in {folder}; Ctrl-C ends it; in another terminal:\n  \
         export CORTADO_URL={url}; cortado status; cortado explain; cortado list geo/place/JP --all"
    ))?;
    Ok(())
}

/// Shown below the options.
pub(crate) const HELP: &str = "\
Examples:
  cortado cluster demo
  cortado cluster demo --serve          leaves all eight processes running, with the data
  cortado cluster demo --keep --dir ./demo
  cortado cluster demo --kafka-defaults on a slow machine

Needs a JDK of version 17 or newer and nothing else: Kafka's jars are fetched from Maven
Central once (29 MB), checked, and kept below CORTADO_CACHE, or cortado in XDG_CACHE_HOME, or
~/.cache/cortado; CORTADO_MAVEN_REPOSITORY names a mirror. Everything listens on 127.0.0.1.

Takes about a minute and leaves nothing behind; when something goes wrong, the folder with
data and logs of every process is kept. The exit code is 0 only if no acknowledged write was
lost, none was applied twice, no refused one took effect, and every strong read was right.";
