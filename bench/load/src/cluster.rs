//! Writes through router, node and Kafka, beside bare producers with the same settings.
//!
//! Start reading at [`cluster`].

use crate::bare_producers::{BareProducers, BareReaders};
use crate::connection::{Connection, request};
use crate::report::{self, Round, median};
use crate::site::{NODES, Place, Site, cpu_seconds};
use crate::workload::{Requests, all, closed, document, sum};
use hdrhistogram::Histogram;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// How much to measure.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    place: Place,
    /// Partitions of the database and of the bare topic; repeated for several
    #[arg(long, default_values_t = [64, 1])]
    partitions: Vec<u32>,
    /// Concurrent clients of the throughput rounds
    #[arg(long, default_value_t = 64)]
    clients: usize,
    /// Rounds of each peer
    #[arg(long, default_value = "5", value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Seconds of each round
    #[arg(long, default_value_t = 4)]
    seconds: u64,
    /// Documents that are overwritten
    #[arg(long, default_value_t = 20_000)]
    documents: usize,
}

/// Rounds that do not count: they make connections, find leaders, and brokers compile their code.
const WARM_UP: u32 = 2;
/// For how many rounds' time a node is away: its start must not be most of what its replay takes.
const AWAY: u32 = 5;
/// How often followers are asked how far behind they are.
const LAG_PACE: Duration = Duration::from_millis(100);

/// Latency, throughput and processor time of PUTs; lag and replay of followers.
pub(crate) async fn cluster(options: &Options) -> anyhow::Result<()> {
    let mut site = Site::start(&options.place).await?;
    for partitions in &options.partitions {
        let database = format!("bench{partitions}");
        site.declare(&database, *partitions, 3).await?;
        let bare = BareProducers::new(&site.brokers.bootstrap(), *partitions).await?;
        let rate = writes(&site, &Rc::new(bare), &database, options).await?;
        followers(&mut site, &database, rate, options).await?;
    }
    Ok(())
}

/// Answers the rate of PUTs of many clients.
async fn writes(
    site: &Site,
    bare: &Rc<BareProducers>,
    database: &str,
    options: &Options,
) -> anyhow::Result<f64> {
    let puts = puts(database, options.documents);
    let time = Duration::from_secs(options.seconds);
    let (mut bare_one, mut one, mut bare_many, mut many) = (vec![], vec![], vec![], vec![]);
    let (mut read_one, mut read_many) = (vec![], vec![]);
    let (mut bare_cpu, mut cpu) = (0.0, 0.0);
    for round in 0..WARM_UP + options.rounds {
        let bare_round = append(bare, 1, time).await?;
        let own_round = closed(site.address(), &puts, 1, time).await?;
        let before = cpu_seconds("/proc/self")?;
        let bare_rounds = append(bare, options.clients, time).await?;
        let bare_used = cpu_seconds("/proc/self")? - before;
        let readers = BareReaders::start(bare)?;
        let read_round = append(bare, 1, time).await?;
        let read_rounds = append(bare, options.clients, time).await?;
        tokio::task::spawn_blocking(|| readers.stop()).await?;
        let before = site.cpu_seconds()?;
        let own_rounds = closed(site.address(), &puts, options.clients, time).await?;
        let used = site.cpu_seconds()? - before;
        if round >= WARM_UP {
            bare_cpu += bare_used / bare_rounds.count();
            cpu += used / own_rounds.count();
            bare_one.push(bare_round);
            read_one.push(read_round);
            read_many.push(read_rounds);
            one.push(own_round);
            bare_many.push(bare_rounds);
            many.push(own_rounds);
        }
    }
    report::heading(&format!(
        "PUT of 1 KB by a router, {} partitions: acknowledged by all replicas in sync",
        bare.partitions
    ));
    report::latency("bare producer, 1 in flight", &bare_one);
    report::latency("the same, read by three consumers", &read_one);
    report::latency("cortado PUT, 1 client", &one);
    let of_p50 = |rounds: &[Round]| median(rounds, Round::p50);
    report::ratio("PUT p50 / bare p50 (goal: at most 1.5)", of_p50(&one), of_p50(&bare_one));
    report::rate(&format!("bare producers, {} in flight", options.clients), &bare_many);
    report::rate("the same, read by three consumers", &read_many);
    report::rate(&format!("cortado PUT, {} clients", options.clients), &many);
    let goal = if bare.partitions > 1 { "0.70" } else { "0.50" };
    let of_rate = |rounds: &[Round]| median(rounds, Round::per_second);
    let (rate, bare_rate) = (of_rate(&many), of_rate(&bare_many));
    report::ratio(&format!("PUT / bare rate (goal: at least {goal})"), rate, bare_rate);
    report::ratio("PUT / rate of what is read, too", rate, of_rate(&read_many));
    let of_one = |sum: f64| sum * 1e6 / f64::from(options.rounds);
    report::value("processor time of a bare append and its client, µs", of_one(bare_cpu));
    report::value("processor time of a PUT on router and three nodes, µs", of_one(cpu));
    Ok(rate)
}

/// Each task appends its next record when the last one is acknowledged.
async fn append(bare: &Rc<BareProducers>, tasks: usize, time: Duration) -> anyhow::Result<Round> {
    let record = Rc::new(document(1).into_bytes());
    let tasks = (0..tasks).map(|task| {
        let (bare, record) = (Rc::clone(bare), Rc::clone(&record));
        async move {
            let mut latencies = Histogram::<u64>::new(3)?;
            let begun = Instant::now();
            let mut partition = u32::try_from(task)? % bare.partitions;
            while begun.elapsed() < time {
                let sent = Instant::now();
                bare.append(partition, &record).await?;
                latencies.record(sent.elapsed().as_micros() as u64)?;
                partition = (partition + 1) % bare.partitions;
            }
            Ok(latencies)
        }
    });
    Ok(Round::new(sum(all(tasks).await?)?, time))
}

/// How far followers are behind under 60 % of `rate`, and how fast one that was away catches up.
async fn followers(
    site: &mut Site,
    database: &str,
    rate: f64,
    options: &Options,
) -> anyhow::Result<()> {
    let puts = puts(database, options.documents);
    let time = Duration::from_secs(2 * options.seconds);
    let clients = options.clients;
    let pause = Duration::from_secs_f64(clients as f64 / (0.6 * rate));
    let load = async || paced(site, &puts, clients, pause, time).await;
    let mut lags = Histogram::<u64>::new(3)?;
    let watch = async {
        let begun = Instant::now();
        while begun.elapsed() < time {
            for node in 0..NODES.len() {
                let text = metrics(site, node).await?;
                for lag in values(&text, "cortado_replica_lag_seconds", database) {
                    lags.record((lag * 1e6) as u64)?;
                }
            }
            sleep(LAG_PACE).await;
        }
        anyhow::Ok(())
    };
    let (loaded, watched) = tokio::join!(load(), watch);
    loaded.and(watched)?;
    report::heading(&format!("Followers of {database}"));
    report::latency("time behind the log, under 60 % load", &[Round::new(lags, time)]);

    // The others write on while it is away.
    let away = NODES.len() - 1;
    site.kill(away).await?;
    let time = AWAY * Duration::from_secs(options.seconds);
    let written = closed(site.address(), &puts, clients, time).await?;
    let begun = Instant::now();
    site.start_node(away).await?;
    let started = begun.elapsed();
    loop {
        let text = metrics(site, away).await?;
        let lags = values(&text, "cortado_replica_lag_records", database);
        if !lags.is_empty() && lags.iter().all(|lag| *lag == 0.0) {
            break;
        }
        sleep(Duration::from_millis(20)).await;
    }
    let replayed = written.count() / begun.elapsed().as_secs_f64();
    report::value("documents a second while it was away", written.per_second());
    report::value("seconds of its start", started.as_secs_f64());
    report::value("documents a second of its start and replay", replayed);
    report::ratio("replay / writes (goal: at least 5)", replayed, written.per_second());
    Ok(())
}

/// Each client sends a request, and rests for what is left of `pause`.
async fn paced(
    site: &Site,
    puts: &Requests,
    clients: usize,
    pause: Duration,
    time: Duration,
) -> anyhow::Result<()> {
    let address = site.address();
    let of = clients;
    let clients = (0..of).map(|client| {
        let puts = Rc::clone(puts);
        async move {
            let mut connection = Connection::open(address).await?;
            let begun = tokio::time::Instant::now();
            let mut due = begun + pause.mul_f64(client as f64 / of as f64);
            let mut next = client * 7_919;
            while due < begun + time {
                tokio::time::sleep_until(due).await;
                connection.exchange(&puts[next % puts.len()]).await?;
                (due, next) = (due + pause, next + 1);
            }
            Ok(())
        }
    });
    all(clients).await.map(drop)
}

async fn metrics(site: &Site, node: usize) -> anyhow::Result<String> {
    let mut connection = Connection::open(site.running(node)?.address).await?;
    connection.text(&request("GET", "/metrics", None)).await
}

/// The samples of a family, of one database.
fn values(text: &str, family: &str, database: &str) -> Vec<f64> {
    let label = format!("database=\"{database}\"");
    let lines = text.lines().filter_map(|line| line.strip_prefix(family)?.strip_prefix('{'));
    let own = lines.filter(|line| line.contains(&label));
    own.filter_map(|line| line.rsplit(' ').next()?.parse().ok()).collect()
}

fn puts(database: &str, documents: usize) -> Requests {
    let put = |number| {
        let target = format!("/v1/{database}/document/d{number:07}");
        request("PUT", &target, Some(&document(number)))
    };
    Rc::new((0..documents).map(put).collect())
}
