//! For how long writes of a partition wait, while nodes and brokers die, nodes stop, and get back
//! what they led.
//!
//! Start reading at [`gaps`].

use crate::bare_producers::BareProducers;
use crate::connection::{Connection, request};
use crate::report::{self, Round};
use crate::site::{NODES, Place, Site};
use crate::workload::document;
use anyhow::{Context, ensure};
use cortado_document::partition_of;
use hdrhistogram::Histogram;
use serde_json::Value;
use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::task::LocalSet;
use tokio::time::sleep;

/// What to measure.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    place: Place,
    /// Partitions of the database, each written all the time
    #[arg(long, default_value_t = 64)]
    partitions: u32,
    /// How often a node dies, and comes back
    #[arg(long, default_value_t = 30)]
    repetitions: usize,
    /// How often a node is stopped as operators do, and comes back
    #[arg(long, default_value_t = 30)]
    stops: usize,
    /// How often a broker dies, and comes back
    #[arg(long, default_value_t = 6)]
    brokers: usize,
}

/// Between two writes of a partition that is watched. With [`SELDOM`], a good half of what
/// the cluster can take on two cores.
const OFTEN: Duration = Duration::from_millis(100);
/// The same for all others.
const SELDOM: Duration = Duration::from_millis(500);
/// A write that was not done is repeated after this.
const AGAIN: Duration = Duration::from_millis(5);
/// Between two looks at the cluster.
const LOOK: Duration = Duration::from_millis(100);
/// What comes late belongs to the event before it, too.
const AFTERMATH: Duration = Duration::from_secs(2);
/// Until a broker that came back has copied what it missed.
const RECOVERS: Duration = Duration::from_secs(20);
const RECORD: &[u8] = &[0xA5; 1_024];

/// When a partition was written, and for how long a write has waited at most since that was asked.
struct Track {
    at: Cell<Instant>,
    longest: Cell<Duration>,
    pause: Cell<Duration>,
    /// When the next write is due: it waits from then on, whatever held it up.
    due: Cell<Instant>,
}

impl Track {
    fn new() -> Track {
        let now = Instant::now();
        let pause = Cell::new(SELDOM);
        Track { at: Cell::new(now), longest: Cell::default(), pause, due: Cell::new(now) }
    }

    /// Waits until the next write is due.
    async fn next(&self) {
        // What is overdue is not made up for: it would come in a burst.
        let due = (self.due.get() + self.pause.get()).max(Instant::now());
        self.due.set(due);
        sleep(due.saturating_duration_since(Instant::now())).await;
    }

    fn acknowledged(&self) {
        self.at.set(Instant::now());
        self.longest.set(self.longest.get().max(self.due.get().elapsed()));
    }
}

type Tracks = Rc<Vec<Track>>;

/// Failovers, planned handoffs and deaths of brokers, each as a distribution over partitions.
pub(crate) async fn gaps(options: &Options) -> anyhow::Result<()> {
    let mut site = Site::start(&options.place).await?;
    site.declare(DATABASE, options.partitions, 3).await?;
    let local = LocalSet::new();
    local.run_until(measure(&mut site, options)).await
}

const DATABASE: &str = "gaps";

async fn measure(site: &mut Site, options: &Options) -> anyhow::Result<()> {
    let places = 0..options.partitions;
    let tracks: Tracks = Rc::new(places.clone().map(|_| Track::new()).collect());
    for partition in places.clone() {
        let put = put_into(partition, options.partitions)?;
        let (address, tracks) = (site.address(), Rc::clone(&tracks));
        tokio::task::spawn_local(async move {
            write(address, &put, &tracks[partition as usize]).await;
        });
    }
    let home = await_home(site).await?;
    let mut gaps = Gaps::new()?;
    for repetition in 0..options.repetitions.max(options.stops) {
        let node = repetition % NODES.len();
        let led: Vec<bool> = home.iter().map(|by| by == NODES[node]).collect();
        for (track, led) in tracks.iter().zip(&led) {
            track.pause.set(if *led { OFTEN } else { SELDOM });
        }
        if repetition < options.repetitions {
            sleep(AFTERMATH).await;
            begin(&tracks);
            site.kill(node).await?;
            await_writes(&tracks, Instant::now()).await;
            sleep(AFTERMATH).await;
            record(&tracks, &led, true, &mut gaps.failover)?;
            record(&tracks, &led, false, &mut gaps.others)?;
            gaps.spreads.push(spread(&await_leaders(site, node).await?));
            gaps.comes_back(site, node, &home, &tracks, &led).await?;
        }
        if repetition < options.stops {
            sleep(AFTERMATH).await;
            begin(&tracks);
            site.stop(node).await?;
            await_writes(&tracks, Instant::now()).await;
            record(&tracks, &led, true, &mut gaps.stop)?;
            gaps.comes_back(site, node, &home, &tracks, &led).await?;
        }
    }
    gaps.report(options);
    broker_deaths(site, &tracks, options).await
}

/// What was seen of the partitions that a node leads, when it ends and comes back.
struct Gaps {
    failover: Histogram<u64>,
    /// Of the partitions that it does not lead.
    others: Histogram<u64>,
    stop: Histogram<u64>,
    back: Histogram<u64>,
    spreads: Vec<f64>,
}

impl Gaps {
    fn new() -> anyhow::Result<Gaps> {
        let none = || Histogram::new(3);
        let (failover, others, stop, back) = (none()?, none()?, none()?, none()?);
        Ok(Gaps { failover, others, stop, back, spreads: Vec::new() })
    }

    /// Starts a node, and waits until it leads again what it is to lead.
    async fn comes_back(
        &mut self,
        site: &mut Site,
        node: usize,
        home: &[String],
        tracks: &Tracks,
        led: &[bool],
    ) -> anyhow::Result<()> {
        site.start_node(node).await?;
        begin(tracks);
        while leaders(site).await? != home {
            sleep(LOOK).await;
        }
        sleep(AFTERMATH).await;
        record(tracks, led, true, &mut self.back)
    }

    fn report(mut self, options: &Options) {
        report::heading(&format!(
            "For how long a write of one of {} partitions waited from when it was due (each {} \
             ms, of partitions that the node does not lead {} ms); {} deaths and {} stops of nodes",
            options.partitions,
            OFTEN.as_millis(),
            SELDOM.as_millis(),
            options.repetitions,
            options.stops
        ));
        let line = |name, gaps| report::latency(name, &[Round::new(gaps, Duration::from_secs(1))]);
        line("kill -9, partitions it led (goal: p50 1.0 s, max 2.5 s)", self.failover);
        line("kill -9, all others", self.others);
        line("planned: a node stops (goal: p99 100 ms)", self.stop);
        line("planned: it gets back what it led (the same goal)", self.back);
        self.spreads.sort_by(f64::total_cmp);
        let worst = self.spreads.last().copied().unwrap_or(f64::NAN);
        report::value("max / mean of leaders after a death, the worst (goal: 1.2)", worst);
    }
}

/// The longest waits of the partitions that the node leads, or of all others.
fn record(
    tracks: &Tracks,
    led: &[bool],
    wanted: bool,
    gaps: &mut Histogram<u64>,
) -> anyhow::Result<()> {
    for (track, _) in tracks.iter().zip(led).filter(|(_, led)| **led == wanted) {
        gaps.record(track.longest.get().as_micros() as u64)?;
    }
    Ok(())
}

async fn broker_deaths(site: &Site, tracks: &Tracks, options: &Options) -> anyhow::Result<()> {
    let bare = BareProducers::new(&site.brokers.bootstrap(), options.partitions).await?;
    let bare = Rc::new(bare);
    let bare_tracks: Tracks = Rc::new((0..options.partitions).map(|_| Track::new()).collect());
    for partition in 0..options.partitions {
        let (bare, tracks) = (Rc::clone(&bare), Rc::clone(&bare_tracks));
        tokio::task::spawn_local(async move {
            loop {
                let track = &tracks[partition as usize];
                while bare.append(partition, RECORD).await.is_err() {
                    sleep(AGAIN).await;
                }
                track.acknowledged();
                track.next().await;
            }
        });
    }
    let (mut own, mut ceiling) = (Histogram::new(3)?, Histogram::new(3)?);
    let mut beyond = Vec::new();
    // Twice as many are written now as before.
    let all = || tracks.iter().chain(bare_tracks.iter());
    all().for_each(|track| track.pause.set(2 * OFTEN));
    for repetition in 0..options.brokers {
        let broker = 1 + u32::try_from(repetition)? % 3;
        sleep(AFTERMATH).await;
        begin(tracks);
        begin(&bare_tracks);
        let killed = Instant::now();
        site.brokers.kill(broker)?;
        await_writes(tracks, killed).await;
        await_writes(&bare_tracks, killed).await;
        sleep(AFTERMATH).await;
        let mut longest = [Duration::ZERO; 2];
        for (of, (tracks, gaps)) in
            [(tracks, &mut own), (&bare_tracks, &mut ceiling)].into_iter().enumerate()
        {
            for track in tracks.iter() {
                gaps.record(track.longest.get().as_micros() as u64)?;
                longest[of] = longest[of].max(track.longest.get());
            }
        }
        beyond.push(longest[0].as_secs_f64() - longest[1].as_secs_f64());
        site.brokers.start_again(broker)?;
        sleep(RECOVERS).await;
    }
    report::heading(&format!("Gaps of {} deaths of brokers", options.brokers));
    let line = |name, gaps| report::latency(name, &[Round::new(gaps, Duration::from_secs(1))]);
    line("bare producers", ceiling);
    line("cortado PUT by a router", own);
    beyond.sort_by(f64::total_cmp);
    let median = beyond.get(beyond.len() / 2).copied().unwrap_or(f64::NAN);
    report::value("longest gap beyond the bare one's, median, ms (goal: 500)", median * 1e3);
    Ok(())
}

/// Writes one partition for ever.
async fn write(address: SocketAddr, put: &[u8], track: &Track) {
    let mut connection = None;
    loop {
        if connection.is_none() {
            connection = Connection::open(address).await.ok();
        }
        let answered = match &mut connection {
            Some(open) => open.exchange(put).await,
            None => Err(anyhow::anyhow!("the router is not there")),
        };
        match answered {
            Ok(200 | 201) => {
                track.acknowledged();
                track.next().await;
            }
            Ok(_) => sleep(AGAIN).await,
            Err(_) => {
                connection = None;
                sleep(AGAIN).await;
            }
        }
    }
}

/// What is seen from now on counts.
fn begin(tracks: &Tracks) {
    tracks.iter().for_each(|track| track.longest.set(Duration::ZERO));
}

/// Waits until every partition was written after `since`.
async fn await_writes(tracks: &Tracks, since: Instant) {
    while tracks.iter().any(|track| track.at.get() <= since) {
        sleep(LOOK).await;
    }
}

/// The preferred leader of each partition, when it leads: to where leaderships come back.
async fn await_home(site: &Site) -> anyhow::Result<Vec<String>> {
    loop {
        let preferred = nodes(site, "preferred").await?;
        if leaders(site).await? == preferred {
            return Ok(preferred);
        }
        sleep(LOOK).await;
    }
}

/// The leader of each partition; an empty text where there is none.
async fn leaders(site: &Site) -> anyhow::Result<Vec<String>> {
    nodes(site, "leader").await
}

/// The node that each partition has as `role`.
async fn nodes(site: &Site, role: &str) -> anyhow::Result<Vec<String>> {
    let answer = site.get(&format!("/admin/v1/databases/{DATABASE}/partitions")).await?;
    let partitions = answer["partitions"].as_array().context("no partitions")?;
    let node = |partition: &Value| partition[role].as_str().unwrap_or_default().to_owned();
    Ok(partitions.iter().map(node).collect())
}

/// The leaders, once every partition has one.
///
/// * `but`: a node that leads none then.
async fn await_leaders(site: &Site, but: usize) -> anyhow::Result<Vec<String>> {
    loop {
        let leaders = leaders(site).await?;
        let is_one = |leader: &String| !leader.is_empty() && leader != NODES[but];
        if leaders.iter().all(is_one) {
            return Ok(leaders);
        }
        sleep(LOOK).await;
    }
}

/// How many more partitions the busiest node leads than the mean of those that lead some.
fn spread(leaders: &[String]) -> f64 {
    let count = |node: &&str| leaders.iter().filter(|leader| leader == node).count();
    let led: Vec<usize> = NODES.iter().map(count).filter(|led| *led > 0).collect();
    let most = led.iter().copied().max().unwrap_or_default();
    most as f64 * led.len() as f64 / leaders.len() as f64
}

/// A PUT of a document that `partition` holds.
fn put_into(partition: u32, partitions: u32) -> anyhow::Result<Vec<u8>> {
    let id = (0..100_000_u32).map(|number| format!("d{number}"));
    let id = id.into_iter().find(|id| partition_of(id, partitions) == partition);
    let id = id.context("no document for a partition")?;
    ensure!(partition < partitions, "there is no such partition");
    let target = format!("/v1/{DATABASE}/document/{id}");
    Ok(request("PUT", &target, Some(&document(1))))
}
