//! What writes and reads of a leader take while a replica of its partition is copied to another
//! node, beside what they take while nothing is.
//!
//! Start reading at [`copies`].

use crate::connection::{Connection, request};
use crate::report::{self, Round, median};
use crate::site::{NODES, Place, Site};
use crate::workload::{Requests, all, bulks, document, sum};
use anyhow::{Context, ensure};
use hdrhistogram::Histogram;
use serde_json::Value;
use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// What is copied, and beside which load.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    place: Place,
    /// Documents of 1 KB in the one partition
    #[arg(long, default_value_t = 100_000)]
    documents: usize,
    /// Writes a second, and as many reads
    #[arg(long, default_value_t = 50)]
    rate: u32,
    /// Copies, each after a rest
    #[arg(long, default_value = "6", value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Seconds of each rest
    #[arg(long, default_value_t = 10)]
    seconds: u64,
}

const DATABASE: &str = "copies";
/// Requests at once; more would measure the generator.
const CLIENTS: u32 = 8;
const LOADERS: usize = 4;
/// Documents of one record of the log: a replica whose log has few records folds it, and copies
/// nothing.
const TOGETHER: usize = 8;
const LOOK: Duration = Duration::from_millis(20);

/// Latencies at rest and during copies, and the speed of the copies.
pub(crate) async fn copies(options: &Options) -> anyhow::Result<()> {
    let site = Site::start(&options.place).await?;
    site.declare(DATABASE, 1, 2).await?;
    load(&site, options).await?;
    let (mut rest, mut copied) = (Rounds::default(), Rounds::default());
    let mut speeds = Vec::new();
    for _ in 0..options.rounds {
        let time = Duration::from_secs(options.seconds);
        let resting = async {
            sleep(time).await;
            Ok(())
        };
        let (round, ()) = measure(&site, options, resting).await?;
        rest.push(round);
        let (from, to) = free_place(&site).await?;
        let (round, taken) = measure(&site, options, copy(&site, &from, &to)).await?;
        copied.push(round);
        speeds.push(options.documents as f64 * 1_024.0 / 1e6 / taken.as_secs_f64());
    }
    report::heading(&format!(
        "A replica of {} documents of 1 KB goes to another node, beside {} PUTs and GETs a second",
        options.documents, options.rate
    ));
    speeds.sort_by(f64::total_cmp);
    report::value("MB a second, the whole move, median", speeds[speeds.len() / 2]);
    report::latency("PUT, at rest", &rest.puts);
    report::latency("PUT, during copies", &copied.puts);
    report::latency("GET, at rest", &rest.gets);
    report::latency("GET, during copies", &copied.gets);
    for (name, rest, copied) in
        [("PUT", &rest.puts, &copied.puts), ("GET", &rest.gets, &copied.gets)]
    {
        let ratio = |what: &str, figure: fn(&Round) -> f64| {
            let name = format!("{name} {what}, during copies / at rest (goal: at most 1.2)");
            report::ratio(&name, median(copied, figure), median(rest, figure));
        };
        ratio("p50", Round::p50);
        ratio("p99", Round::p99);
    }
    Ok(())
}

#[derive(Default)]
struct Rounds {
    puts: Vec<Round>,
    gets: Vec<Round>,
}

impl Rounds {
    fn push(&mut self, (puts, gets): (Round, Round)) {
        self.puts.push(puts);
        self.gets.push(gets);
    }
}

/// Writes all documents.
async fn load(site: &Site, options: &Options) -> anyhow::Result<()> {
    let bulks: Requests = Rc::new(bulks(DATABASE, options.documents, TOGETHER).collect());
    let loaders = (0..LOADERS).map(|loader| {
        let (bulks, address) = (Rc::clone(&bulks), site.address());
        async move {
            let mut connection = Connection::open(address).await?;
            for bulk in bulks.iter().skip(loader).step_by(LOADERS) {
                ensure!(connection.exchange(bulk).await? == 200, "a bulk was refused");
            }
            Ok(())
        }
    });
    all(loaders).await.map(drop)
}

/// What PUTs and GETs take from when they are due, as long as `work` is under way.
async fn measure<T>(
    site: &Site,
    options: &Options,
    work: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<((Round, Round), T)> {
    let (begun, ends) = (Instant::now(), Rc::new(Cell::new(false)));
    let pause = Duration::from_secs(1) * CLIENTS / options.rate;
    let clients = (0..2 * CLIENTS).map(|client| {
        let (address, ends, documents) = (site.address(), Rc::clone(&ends), options.documents);
        async move {
            let mut connection = Connection::open(address).await?;
            let mut latencies = Histogram::<u64>::new(3)?;
            let mut due = tokio::time::Instant::now() + pause * (client / 2) / CLIENTS;
            let mut number = client as usize * 7_919;
            while !ends.get() {
                tokio::time::sleep_until(due).await;
                let target = format!("/v1/{DATABASE}/document/d{:07}", number % documents);
                let put = request("PUT", &target, Some(&document(number % documents)));
                let get = request("GET", &target, None);
                let status = connection.exchange(if client % 2 == 0 { &put } else { &get }).await?;
                ensure!(matches!(status, 200 | 201), "a request was answered {status}");
                latencies.record(due.elapsed().as_micros() as u64)?;
                (due, number) = (due + pause, number + 104_729);
            }
            Ok(latencies)
        }
    });
    let worked = async {
        let worked = work.await;
        ends.set(true);
        worked
    };
    let (latencies, worked) = tokio::join!(all(clients), worked);
    let (latencies, time) = (latencies?, begun.elapsed());
    let kind = |gets: usize| sum(latencies.iter().skip(gets).step_by(2).cloned().collect());
    Ok(((Round::new(kind(0)?, time), Round::new(kind(1)?, time)), worked?))
}

/// The follower of the partition, and the node that has no replica.
async fn free_place(site: &Site) -> anyhow::Result<(String, String)> {
    let partitions = site.get(&format!("/admin/v1/databases/{DATABASE}/partitions")).await?;
    let partition = &partitions["partitions"][0];
    let replicas = partition["replicas"].as_array().context("no replicas")?;
    let names: Vec<&str> = replicas.iter().filter_map(|one| one["node"].as_str()).collect();
    let follower = names.iter().find(|name| partition["leader"] != **name);
    let free = NODES.iter().find(|name| !names.contains(name));
    let (from, to) = follower.zip(free).context("no node is free")?;
    Ok(((*from).to_owned(), (*to).to_owned()))
}

/// Moves the replica, and waits until that is over; answers how long it took.
async fn copy(site: &Site, from: &str, to: &str) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    let target = format!("/admin/v1/databases/{DATABASE}/partitions/0:move");
    let body = format!(r#"{{"from":"{from}","to":"{to}"}}"#);
    let mut connection = Connection::open(site.address()).await?;
    let status = connection.exchange(&request("POST", &target, Some(&body))).await?;
    ensure!(status == 201, "the move was answered {status}");
    loop {
        let moves: Value = site.get("/admin/v1/moves").await?;
        if moves["changes"].as_array().is_some_and(Vec::is_empty) {
            return Ok(begun.elapsed());
        }
        sleep(LOOK).await;
    }
}
