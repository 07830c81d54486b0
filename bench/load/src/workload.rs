//! What is measured: rounds of closed-loop load for rates, one of open-loop load for latencies.
//!
//! Start reading at [`write()`].

use crate::connection::{Connection, request};
use crate::disk;
use crate::options::Options;
use crate::report::{self, Round, median};
use crate::server::Server;
use anyhow::ensure;
use hdrhistogram::Histogram;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::task::LocalSet;

/// Requests that a client walks through.
pub(crate) type Requests = Rc<Vec<Vec<u8>>>;

/// Durable PUTs beside append + fdatasync (one client) and a bare server's POSTs (many clients).
pub(crate) async fn write(options: &Options) -> anyhow::Result<()> {
    let directory = tempfile::tempdir_in(&options.directory)?;
    let cortado = Server::cortado(options, &directory.path().join("data")).await?;
    let bare = Server::bare().await?;
    let puts = prepare(&cortado, options).await?;
    let posts: Requests = Rc::new(vec![request("POST", "/", Some(&document(1)))]);
    let record = document(1).into_bytes();
    let time = Duration::from_secs(options.seconds);

    let (mut raw, mut one, mut bare_many, mut many) = (vec![], vec![], vec![], vec![]);
    for _ in 0..options.rounds {
        let latencies = disk::append_and_sync(directory.path(), &record, time)?;
        raw.push(Round::new(latencies, time));
        one.push(closed(cortado.address, &puts, 1, time).await?);
        bare_many.push(closed(bare.address, &posts, options.clients, time).await?);
        many.push(closed(cortado.address, &puts, options.clients, time).await?);
    }
    report::heading("Durable PUT of 1 KB: acknowledged after fdatasync, applied by the leader");
    report::latency("append + fdatasync, 1 writer", &raw);
    report::latency("cortado PUT, 1 client", &one);
    report::ratio(
        "PUT p50 / raw p50 (goal: at most 2.5)",
        median(&one, Round::p50),
        median(&raw, Round::p50),
    );
    report::rate(&format!("bare hyper POST, {} clients", options.clients), &bare_many);
    report::rate(&format!("cortado PUT, {} clients", options.clients), &many);
    let (put_rate, post_rate) =
        (median(&many, Round::per_second), median(&bare_many, Round::per_second));
    report::ratio("PUT / bare POST (goal: 0.60, or 25,000/s)", put_rate, post_rate);
    open_loop("cortado PUT", cortado.address, &puts, options, put_rate).await
}

/// Operations of one bulk.
const BULK_OPERATIONS: usize = 500;
/// More have no more to overlap: each bulk goes to all partitions.
const BULK_CLIENTS_MAX: usize = 8;

/// Documents written many at a time, beside a disk that takes as many bytes with each sync.
pub(crate) async fn bulk(options: &Options) -> anyhow::Result<()> {
    let directory = tempfile::tempdir_in(&options.directory)?;
    let cortado = Server::cortado(options, &directory.path().join("data")).await?;
    let puts = prepare(&cortado, options).await?;
    let bulks: Requests = Rc::new(bulks("bench", options.documents, BULK_OPERATIONS).collect());
    let record = document(1).into_bytes().repeat(BULK_OPERATIONS);
    let time = Duration::from_secs(options.seconds);
    let clients = options.clients.min(BULK_CLIENTS_MAX);

    // What a bulk answers of its operations is not read: that it does them is seen here.
    let mut connection = Connection::open(cortado.address).await?;
    connection.exchange(&bulks[0]).await?;
    let status = connection.exchange(&request("GET", &target(0), None)).await?;
    ensure!(status == 200, "a document that was written by :bulk was answered {status}");

    let (mut raw, mut alone, mut together) = (vec![], vec![], vec![]);
    for _ in 0..options.rounds {
        let latencies = disk::append_and_sync(directory.path(), &record, time)?;
        raw.push(Round::new(latencies, time));
        alone.push(closed(cortado.address, &puts, options.clients, time).await?);
        together.push(closed(cortado.address, &bulks, clients, time).await?);
    }
    report::heading("Durable documents of 1 KB, 500 in a request");
    report::rate("append + fdatasync of 500 KB, 1 writer", &raw);
    report::rate(&format!("cortado PUT, {} clients", options.clients), &alone);
    report::rate(&format!("cortado :bulk of 500, {clients} clients"), &together);
    let documents = median(&together, Round::per_second) * BULK_OPERATIONS as f64;
    report::ratio("documents a second by :bulk", documents, 1.0);
    report::ratio(":bulk / PUT", documents, median(&alone, Round::per_second));
    let raw_documents = median(&raw, Round::per_second) * BULK_OPERATIONS as f64;
    report::ratio(":bulk / append + fdatasync", documents, raw_documents);
    Ok(())
}

/// Requests that write so many documents into a database.
///
/// * `together`: how many in a request.
pub(crate) fn bulks(
    database: &str,
    documents: usize,
    together: usize,
) -> impl Iterator<Item = Vec<u8>> {
    let target = format!("/v1/{database}:bulk");
    (0..documents).step_by(together).map(move |first| {
        let operation = |number| {
            let (key, value) = (format!("d{number:07}"), document(number));
            format!(r#"{{"op":"put","table":"document","key":["{key}"],"value":{value}}}"#)
        };
        let numbers = first..documents.min(first + together);
        let operations: Vec<String> = numbers.map(operation).collect();
        request("POST", &target, Some(&format!(r#"{{"operations":[{}]}}"#, operations.join(","))))
    })
}

/// Strong GETs beside a bare server's.
pub(crate) async fn read(options: &Options) -> anyhow::Result<()> {
    let directory = tempfile::tempdir_in(&options.directory)?;
    let cortado = Server::cortado(options, &directory.path().join("data")).await?;
    let bare = Server::bare().await?;
    let puts = prepare(&cortado, options).await?;
    fill(&cortado, &puts, options).await?;
    let gets: Requests =
        Rc::new((0..options.documents).map(|n| request("GET", &target(n), None)).collect());
    let bare_gets: Requests = Rc::new(vec![request("GET", "/", None)]);
    let time = Duration::from_secs(options.seconds);

    let (mut bare_one, mut one, mut bare_many, mut many) = (vec![], vec![], vec![], vec![]);
    for _ in 0..options.rounds {
        bare_one.push(closed(bare.address, &bare_gets, 1, time).await?);
        one.push(closed(cortado.address, &gets, 1, time).await?);
        bare_many.push(closed(bare.address, &bare_gets, options.clients, time).await?);
        many.push(closed(cortado.address, &gets, options.clients, time).await?);
    }
    report::heading("Strong GET of 1 KB");
    report::latency("bare hyper GET, 1 client", &bare_one);
    report::latency("cortado GET, 1 client", &one);
    report::rate(&format!("bare hyper GET, {} clients", options.clients), &bare_many);
    report::rate(&format!("cortado GET, {} clients", options.clients), &many);
    let (rate, bare_rate) =
        (median(&many, Round::per_second), median(&bare_many, Round::per_second));
    report::ratio("GET / bare GET (goal: at least 0.70)", rate, bare_rate);
    open_loop("cortado GET", cortado.address, &gets, options, rate).await
}

/// Creates the database and table, and the PUTs of every document.
async fn prepare(server: &Server, options: &Options) -> anyhow::Result<Requests> {
    let mut connection = Connection::open(server.address).await?;
    let database = request("PUT", "/admin/v1/databases/bench", Some(r#"{"partitions":16}"#));
    ensure!(connection.exchange(&database).await? == 201, "the database was not created");
    let table =
        request("PUT", "/admin/v1/databases/bench/tables/document", Some(r#"{"key":["id"]}"#));
    ensure!(connection.exchange(&table).await? == 201, "the table was not created");
    let put = |number| request("PUT", &target(number), Some(&document(number)));
    Ok(Rc::new((0..options.documents).map(put).collect()))
}

/// Writes every document once.
async fn fill(server: &Server, puts: &Requests, options: &Options) -> anyhow::Result<()> {
    let clients = (0..options.clients).map(|client| {
        let (puts, address, step) = (puts.clone(), server.address, options.clients);
        async move {
            let mut connection = Connection::open(address).await?;
            for put in puts.iter().skip(client).step_by(step) {
                let status = connection.exchange(put).await?;
                ensure!(status < 300, "a document was answered {status}");
            }
            Ok(())
        }
    });
    all(clients).await.map(drop)
}

/// Each client sends its next request when the last one is answered.
pub(crate) async fn closed(
    address: SocketAddr,
    requests: &Requests,
    clients: usize,
    time: Duration,
) -> anyhow::Result<Round> {
    let clients = (0..clients).map(|client| {
        let requests = requests.clone();
        async move {
            let mut connection = Connection::open(address).await?;
            let mut latencies = Histogram::<u64>::new(3)?;
            let begun = Instant::now();
            // Far from one another, so that clients do not write the same documents together.
            let mut next = client * 7_919;
            while begun.elapsed() < time {
                let sent = Instant::now();
                let status = connection.exchange(&requests[next % requests.len()]).await?;
                ensure!(status < 300, "a request was answered {status}");
                latencies.record(sent.elapsed().as_micros() as u64)?;
                next += 1;
            }
            Ok(latencies)
        }
    });
    Ok(Round::new(sum(all(clients).await?)?, time))
}

/// Requests are due at a fixed rate, answered or not: latency counts from when one was due.
async fn open_loop(
    name: &str,
    address: SocketAddr,
    requests: &Requests,
    options: &Options,
    closed_rate: f64,
) -> anyhow::Result<()> {
    report::heading("Open loop: latency from the moment a request was due");
    for percent in [25, 50, 75] {
        let rate = closed_rate * f64::from(percent) / 100.0;
        let interval = Duration::from_secs_f64(options.clients as f64 / rate);
        let time = Duration::from_secs(options.seconds * 2);
        let clients = (0..options.clients).map(|client| {
            let requests = requests.clone();
            let offset = interval.mul_f64(client as f64 / options.clients as f64);
            async move {
                let mut connection = Connection::open(address).await?;
                let mut latencies = Histogram::<u64>::new(3)?;
                let begun = tokio::time::Instant::now();
                let mut due = begun + offset;
                let mut next = client * 7_919;
                while due < begun + time {
                    tokio::time::sleep_until(due).await;
                    connection.exchange(&requests[next % requests.len()]).await?;
                    latencies.record(due.elapsed().as_micros() as u64)?;
                    (due, next) = (due + interval, next + 1);
                }
                Ok(latencies)
            }
        });
        let round = Round::new(sum(all(clients).await?)?, time);
        report::latency(
            &format!("{name} at {rate:.0}/s ({percent} % of its closed rate)"),
            &[round],
        );
    }
    Ok(())
}

/// Runs all clients on this thread; the first error ends the measurement.
pub(crate) async fn all<T: 'static>(
    clients: impl Iterator<Item = impl Future<Output = anyhow::Result<T>> + 'static>,
) -> anyhow::Result<Vec<T>> {
    let local = LocalSet::new();
    let tasks: Vec<_> = clients.map(|client| local.spawn_local(client)).collect();
    local
        .run_until(async {
            let mut results = Vec::with_capacity(tasks.len());
            for task in tasks {
                results.push(task.await??);
            }
            Ok(results)
        })
        .await
}

pub(crate) fn sum(parts: Vec<Histogram<u64>>) -> anyhow::Result<Histogram<u64>> {
    let mut whole = Histogram::new(3)?;
    for part in parts {
        whole.add(part)?;
    }
    Ok(whole)
}

fn target(number: usize) -> String {
    format!("/v1/bench/document/d{number:07}")
}

/// A document of 1 KB.
pub(crate) fn document(number: usize) -> String {
    let empty = format!(r#"{{"number":{number},"text":""}}"#).len();
    let text = "lorem ipsum dolor sit amet ".repeat(40);
    format!(r#"{{"number":{number},"text":"{}"}}"#, &text[..1_024 - empty])
}
