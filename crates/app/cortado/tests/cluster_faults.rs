//! Faults of a cluster of processes on real brokers, under load: every history has an order, and
//! nothing that was acknowledged is lost.
//!
//! By default a short selection; with `CORTADO_TORTURE_MINUTES` all of them in random order, for
//! so long. `CORTADO_SEED` repeats a run's choices, `CORTADO_FAULT` names some of them.
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
#[path = "cluster_faults/namespaces.rs"]
mod namespaces;
#[path = "cluster_faults/network_faults.rs"]
mod network_faults;
#[path = "cluster_faults/topic_faults.rs"]
mod topic_faults;
#[path = "cluster_faults/upgrading.rs"]
mod upgrading;

use broken_site::BrokenSite;
use fault::Fault;
use harness::{BOUND, Random};
use history::{Client, History};
use ledger::Ledger;
use namespaces::Namespaces;
use std::sync::{Mutex, PoisonError};
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

/// Kinds of faults that need a site of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Relays stand between the processes.
    OfRelays,
    /// Each node is in a network namespace of its own.
    OfNetwork,
}

/// One site at a time: they share this machine.
static SITE: Mutex<()> = Mutex::new(());

/// The faults of this run that are of this kind, one after another.
fn faults(kind: Kind, random: &mut Random) -> Box<dyn Iterator<Item = Fault>> {
    let is_it = move |fault: &Fault| fault.is_of_network() == (kind == Kind::OfNetwork);
    if let Ok(names) = std::env::var("CORTADO_FAULT") {
        let named = names.split(',').map(|name| {
            let named = Fault::ALL.into_iter().find(|fault| format!("{fault:?}") == name);
            named.unwrap_or_else(|| panic!("no fault {name}"))
        });
        return Box::new(named.filter(is_it).collect::<Vec<_>>().into_iter());
    }
    let minutes = std::env::var("CORTADO_TORTURE_MINUTES").ok();
    let Some(minutes) = minutes.and_then(|text| text.parse::<u32>().ok()) else {
        return Box::new(SELECTION.into_iter().filter(is_it));
    };
    let all: Vec<Fault> = Fault::ALL.into_iter().filter(is_it).collect();
    // Each kind has its part of the time.
    let long = Duration::from_secs(60) * minutes * all.len() as u32 / Fault::ALL.len() as u32;
    let (begun, mut random) = (Instant::now(), random.fork());
    let mut left = Vec::new();
    Box::new(std::iter::from_fn(move || {
        if left.is_empty() {
            left = all.clone();
        }
        let next = left.swap_remove(random.below(left.len() as u64) as usize);
        (begun.elapsed() < long).then_some(next)
    }))
}

#[test]
fn whatever_happens_every_history_has_an_order_and_nothing_is_lost() {
    let _alone = SITE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut random = Random::seeded();
    let mut faults = faults(Kind::OfRelays, &mut random).peekable();
    if faults.peek().is_some()
        && let Some(site) = BrokenSite::start()
    {
        suffer(site, faults, &mut random);
    }
}

#[test]
fn whatever_a_network_loses_every_history_has_an_order() {
    let _alone = SITE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut random = Random::seeded();
    let mut faults = faults(Kind::OfNetwork, &mut random).peekable();
    if faults.peek().is_none() {
        return;
    }
    match Namespaces::enter("whatever_a_network_loses_every_history_has_an_order") {
        Some(Ok(())) => {}
        Some(Err(why)) => println!("skipped: {why}"),
        None => {
            if let Some(site) = BrokenSite::start_in_namespaces() {
                suffer(site, faults, &mut random);
            }
        }
    }
}

/// Lets these faults happen one after another, under load, and judges what clients saw.
fn suffer(mut site: BrokenSite, faults: impl Iterator<Item = Fault>, random: &mut Random) {
    let mut ledger = Ledger::new();
    for (round, fault) in faults.enumerate() {
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
            fault.strike(&mut site, random);
            site.heal();
            wait_for_steps(&site, &history, history.done() + STEPS_BETWEEN);
            history.end();
            writing.join().expect("it wrote");
        });
        history.read_out(&mut Client::new(address, &history, random.fork()));
        let steps = history.judge();
        let acknowledged = ledger.audit(&site);
        if fault.is_unfelt() {
            assert!(ledger.refused().is_empty(), "{fault:?}: {:#?}", ledger.refused());
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
