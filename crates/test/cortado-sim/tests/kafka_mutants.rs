//! Planted bugs of the kind that a log on Kafka invites: each must be found within a few seeds, and
//! by the checkers that are named here. The same table stands in docs/reliability.md.

use cortado_kafka_model::{BrokerDefect, ClientDefect};
use cortado_sim::{Judge, Mutant, Order, Scenario, Telling, simulate};

/// The rarest are seen in one seed of some hundreds.
const SEEDS_MAX: u64 = 600;

fn find(mutant: Mutant, scenario: Scenario) -> Option<(u64, &'static str)> {
    (0..SEEDS_MAX).find_map(|seed| {
        let order = Order { seed, scenario, mutant: Some(mutant), judge: Judge::All };
        let finding = simulate(&order, Telling::Silent).finding?;
        Some((seed, finding.violation.invariant))
    })
}

#[track_caller]
fn check(mutant: Mutant, scenario: Scenario, by: &[&str]) {
    let found = find(mutant, scenario);
    let (seed, found) = found.unwrap_or_else(|| panic!("{mutant} was not found in {scenario}"));
    println!("| `{mutant}` | `{scenario}` | {found} | {} |", seed + 1);
    assert!(by.contains(&found), "{mutant} was found by {found}, not by one of {by:?}");
}

#[track_caller]
fn check_client(defect: ClientDefect, scenario: Scenario, by: &[&str]) {
    check(Mutant::Client(defect), scenario, by);
}

#[track_caller]
fn check_brokers(defect: BrokerDefect, scenario: Scenario, by: &[&str]) {
    check(Mutant::Broker(defect), scenario, by);
}
