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

/// What stands in the log is denied, and found there.
const DENIED: [&str; 4] = ["definite_errors", "offline", "one_effect", "log_time"];
/// What counts for one replica does not for others.
const APART: [&str; 6] =
    ["checkpoint_order", "offline", "one_winner", "applied_in_order", "no_lost_write", "log_time"];

const APART_OR_DENIED: [&str; 4] = ["definite_errors", "one_winner", "offline", "log_time"];

#[test]
fn denying_what_a_broker_may_have_is_found() {
    check_client(ClientDefect::TrustsTimeout, Scenario::KafkaLimbo, &DENIED);
    check_client(ClientDefect::DeniesInFlight, Scenario::KafkaLimbo, &DENIED);
    check_client(ClientDefect::KeepsSendingRefused, Scenario::KafkaLimbo, &DENIED);
    check(Mutant::TrustsSilence, Scenario::KafkaLimbo, &DENIED);
    check(Mutant::DeniesUnknown, Scenario::KafkaLimbo, &DENIED);
}

#[test]
fn counting_on_what_is_not_committed_is_found() {
    let by = ["checkpoint_order", "no_lost_write"];
    check_client(ClientDefect::AsksLeaderAlone, Scenario::KafkaBrokers, &by);
    check_client(ClientDefect::AnswersWhenSent, Scenario::Kafka, &by);
    check_client(ClientDefect::ReadsUncommitted, Scenario::KafkaBrokers, &by);
    check(Mutant::AnswersWhenAppended, Scenario::KafkaLeaders, &["no_lost_write", "real_time"]);
}

#[test]
fn reading_what_is_not_there_or_not_all_of_it_is_found() {
    check_client(ClientDefect::DropsFirstOfPage, Scenario::Kafka, &APART);
    check_client(ClientDefect::ResetsToEarliest, Scenario::KafkaStrangers, &APART);
    check_client(ClientDefect::ControlsAreHoles, Scenario::KafkaStrangers, &["liveness"]);
    check(Mutant::RecoveryMissesRecord, Scenario::KafkaLimbo, &APART_OR_DENIED);
}

#[test]
fn not_noticing_that_a_log_was_cut_or_replaced_is_found() {
    check_client(ClientDefect::IgnoresLeaders, Scenario::KafkaUnclean, &["kept"]);
    check(Mutant::HidesLogFailures, Scenario::KafkaRecreated, &["kept"]);
    check(Mutant::ForgetsLeaders, Scenario::KafkaLeaders, &["liveness"]);
}

#[test]
fn confusion_about_lives_and_trims_is_found() {
    let by = ["definite_errors", "liveness", "offline", "answers"];
    check(Mutant::MixesProducers, Scenario::KafkaLimbo, &by);
    check(Mutant::KeepsIncarnation, Scenario::Kafka, &by);
    check(Mutant::TrimsEarly, Scenario::KafkaStrangers, &["trims"]);
}

#[test]
fn brokers_that_break_their_promise_are_found() {
    check_brokers(BrokerDefect::AcknowledgesAlone, Scenario::KafkaBrokers, &APART);
    check_brokers(BrokerDefect::LeadsUnclean, Scenario::KafkaBrokers, &["no_lost_write"]);
    check_brokers(BrokerDefect::NeverTruncates, Scenario::KafkaBrokers, &["no_lost_write"]);
    check_brokers(BrokerDefect::RaisesHighEarly, Scenario::KafkaBrokers, &APART);
    check_brokers(BrokerDefect::DeposedAcknowledges, Scenario::KafkaLeaders, &APART);
}
