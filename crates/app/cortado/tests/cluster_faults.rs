//! Faults of a cluster of processes on real brokers, under load: every history has an order, and
//! nothing that was acknowledged is lost.
//!
//! By default a short selection; with `CORTADO_TORTURE_MINUTES` all of them in random order, for
//! so long. `CORTADO_SEED` repeats a run's choices, `CORTADO_FAULT` names one of them.
//! Skipped, with a reason, where there are no brokers to be had.

mod harness;
#[path = "cluster_faults/broken_site.rs"]
mod broken_site;
#[path = "cluster_faults/fault.rs"]
mod fault;
#[path = "cluster_faults/hard.rs"]
mod hard;
#[path = "harness/history.rs"]
mod history;
#[path = "cluster_faults/ledger.rs"]
mod ledger;
#[path = "cluster_faults/log_tools.rs"]
mod log_tools;
#[path = "cluster_faults/machine_faults.rs"]
mod machine_faults;
#[path = "cluster_faults/topic_faults.rs"]
mod topic_faults;
#[path = "cluster_faults/upgrading.rs"]
mod upgrading;

use broken_site::BrokenSite;
use fault::Fault;
use harness::{BOUND, Random};
use history::{Client, History};
use ledger::Ledger;
use std::thread;
use std::time::{Duration, Instant};

const CLIENTS: usize = 4;
/// Few, so that clients meet; more than there are partitions, so that all have some.
const DOCUMENTS: usize = 12;
/// Steps before a fault strikes, and after it.
const STEPS_BETWEEN: usize = 60;

/// What every change is run through.
const SELECTION: [Fault; 5] = [
    Fault::NodeKilled,
    Fault::CutFromLog,
    Fault::NodeRenewedWithoutBroker,
    Fault::CutFromPeers,
    Fault::StrangersWrite,
];

/// The faults of this run, one after another.
fn faults(random: &mut Random) -> Box<dyn Iterator<Item = Fault>> {
    if let Ok(name) = std::env::var("CORTADO_FAULT") {
        let named = Fault::ALL.into_iter().find(|fault| format!("{fault:?}") == name);
        return Box::new([named.unwrap_or_else(|| panic!("no fault {name}"))].into_iter());
    }
    let minutes = std::env::var("CORTADO_TORTURE_MINUTES").ok();
    let Some(minutes) = minutes.and_then(|text| text.parse::<u64>().ok()) else {
        return Box::new(SELECTION.into_iter());
    };
    let (begun, long) = (Instant::now(), Duration::from_secs(60 * minutes));
    let mut random = random.fork();
    let mut left = Vec::new();
    Box::new(std::iter::from_fn(move || {
        if left.is_empty() {
            left = Fault::ALL.to_vec();
        }
        let next = left.swap_remove(random.below(left.len() as u64) as usize);
        (begun.elapsed() < long).then_some(next)
    }))
}

#[test]
fn whatever_happens_every_history_has_an_order_and_nothing_is_lost() {
    let Some(mut site) = BrokenSite::start() else { return };
    let mut random = Random::seeded();
    let mut ledger = Ledger::new();
    for (round, fault) in faults(&mut random).enumerate() {
        if let Some(why) = fault.missing() {
            println!("round {round}: {fault:?} skipped: {why}");
            continue;
        }
        let begun = Instant::now();
        let history = History::new("fault/register", &format!("r{round}"), DOCUMENTS);
        let address = site.address();
        thread::scope(|scope| {
            let _over = Over(&history);
            for _ in 0..CLIENTS {
                let mut client = Client::new(address, &history, random.fork());
                scope.spawn(move || assert!(client.work(), "the router is gone"));
            }
            let writing = scope.spawn(|| ledger.write(address, &history));
            wait_for_steps(&site, &history, STEPS_BETWEEN);
            fault.strike(&mut site, &mut random);
            site.heal();
            wait_for_steps(&site, &history, history.done() + STEPS_BETWEEN);
            history.end();
            writing.join().expect("it wrote");
        });
        history.read_out(&mut Client::new(address, &history, random.fork()));
        let steps = history.judge();
        let acknowledged = ledger.audit(&site);
        if fault.is_unfelt() {
            assert!(ledger.failed().is_empty(), "{fault:?}: {:#?}", ledger.failed());
        }
        let (seconds, gap) = (begun.elapsed().as_secs(), ledger.longest_gap());
        println!(
            "round {round}: {fault:?}, {seconds} s: {steps} steps have an order, {acknowledged} \
             writes are there, the longest gap between two was {} ms",
            gap.as_millis()
        );
    }
}

/// Ends a history, however its round ends: clients that went on would hide why.
struct Over<'a>(&'a History);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

fn wait_for_steps(site: &BrokenSite, history: &History, steps: usize) {
    let begun = Instant::now();
    while history.done() < steps {
        assert!(begun.elapsed() < BOUND, "no load: {} steps\n{}", history.done(), site.said());
        thread::park_timeout(Duration::from_millis(20));
    }
}
