//! Planted bugs: each must be found within a few seeds, and the checkers named here must be those
//! that find it. A simulator that finds none of them would find nothing.

use cortado_sim::database::coverage::CoveragePoint;
use cortado_sim::{Judge, Mutant, Order, Scenario, Telling, simulate};

/// The rarest are seen in one seed of some hundreds.
const SEEDS_MAX: u64 = 1_000;

/// Looks for `mutant` in the first `seeds` seeds; answers what found it.
fn find(mutant: Mutant, scenario: Scenario, judge: Judge, seeds: u64) -> Option<&'static str> {
    (0..seeds).find_map(|seed| {
        let order = Order { seed, scenario, mutant: Some(mutant), judge };
        let finding = simulate(&order, Telling::Silent).finding?;
        Some(finding.violation.invariant)
    })
}

#[track_caller]
fn check(mutant: Mutant, scenario: Scenario, by: &[&str]) {
    let found = find(mutant, scenario, Judge::All, SEEDS_MAX);
    let found = found.unwrap_or_else(|| panic!("{mutant} was not found in {scenario}"));
    assert!(by.contains(&found), "{mutant} was found by {found}, not by one of {by:?}");
}

/// The clients' own eyes, without any look inside.
#[track_caller]
fn check_seen_by_clients(mutant: Mutant, scenario: Scenario) {
    let found = find(mutant, scenario, Judge::Oracle, SEEDS_MAX);
    assert_eq!(found, Some("linearizable"), "{mutant} in {scenario}");
}

#[test]
fn without_a_mutant_the_same_seeds_are_well() {
    for scenario in [
        Scenario::Swarm,
        Scenario::Lease,
        Scenario::Crash,
        Scenario::Trim,
        Scenario::Beats,
        Scenario::CutOff,
        Scenario::LeaderDies,
    ] {
        for seed in 0..25 {
            let order = Order { seed, scenario, mutant: None, judge: Judge::All };
            let finding = simulate(&order, Telling::Silent).finding;
            assert_eq!(finding, None, "cargo xtask sim --seed {seed} --scenario {scenario}");
        }
    }
}

#[test]
fn answering_before_a_write_is_committed_is_found() {
    let by = ["no_lost_write", "real_time", "definite_errors"];
    check(Mutant::AnswersWhenSent, Scenario::Swarm, &by);
    check(Mutant::AnswersWhenAppended, Scenario::Limbo, &by);
    check(Mutant::AnswersBeforeApply, Scenario::Swarm, &["checkpoint_order", "sessions"]);
    check_seen_by_clients(Mutant::AnswersWhenSent, Scenario::Limbo);
}

#[test]
fn reading_without_proof_is_found() {
    check(Mutant::SkipsBarrier, Scenario::Asymmetric, &["real_time"]);
    check(Mutant::SkipsLease, Scenario::Asymmetric, &["real_time"]);
    check_seen_by_clients(Mutant::SkipsBarrier, Scenario::Lease);
    check_seen_by_clients(Mutant::SkipsLease, Scenario::Lease);
}

#[test]
fn wrong_leases_are_found() {
    check(Mutant::WaitsTooShort, Scenario::Duel, &["real_time", "linearizable"]);
    check(Mutant::WaitsTooShort, Scenario::Outvoted, &["disputes"]);
    check(Mutant::ClockStops, Scenario::Lease, &["real_time", "linearizable"]);
    check_seen_by_clients(Mutant::ClockStops, Scenario::Lease);
}

/// The promise about clocks is needed: without it strong reads are stale, and nothing else breaks.
#[test]
fn clocks_outside_the_promise_cost_strong_reads_alone() {
    // One in some hundreds is stale.
    let stale = (0..4_000).find(|seed| {
        let order =
            Order { seed: *seed, scenario: Scenario::Drift, mutant: None, judge: Judge::All };
        let report = simulate(&order, Telling::Silent);
        assert_eq!(report.finding, None, "cargo xtask sim --seed {seed} --scenario drift");
        report.coverage.points.has(CoveragePoint::StaleUnderDrift)
    });
    assert!(stale.is_some(), "no strong read was stale: the scenario proves nothing");
}

#[test]
fn what_is_not_accepted_must_not_be_applied() {
    let by = ["checkpoint_order", "equal_digests", "applied_in_order", "one_state"];
    check(Mutant::AppliesZombies, Scenario::Duel, &by);
    check_seen_by_clients(Mutant::AppliesZombies, Scenario::Duel);
}

#[test]
fn torn_and_forgetful_stores_are_found() {
    let by = ["checkpoint_order", "equal_digests", "applied_in_order", "one_state"];
    check(Mutant::TearsCheckpoint, Scenario::Crash, &by);
    check(Mutant::DropsApply, Scenario::Swarm, &by);
    check(Mutant::ForgetsKeys, Scenario::Swarm, &["one_effect", "equal_digests"]);
    check(Mutant::PurgesKeysEarly, Scenario::Swarm, &["one_effect"]);
    check(Mutant::HashesLate, Scenario::Crash, &["equal_digests"]);
    check_seen_by_clients(Mutant::DropsApply, Scenario::Swarm);
}

#[test]
fn a_life_that_goes_on_after_death_is_found() {
    let by = ["offline", "equal_digests", "definite_errors", "answers", "liveness"];
    check(Mutant::KeepsIncarnation, Scenario::Crash, &by);
    check(Mutant::RebuildsAsItself, Scenario::Swarm, &by);
}

#[test]
fn lies_about_outcomes_are_found() {
    let by = ["definite_errors", "offline", "log_time"];
    check(Mutant::TrustsSilence, Scenario::Limbo, &by);
    check(Mutant::DeniesUnknown, Scenario::Crash, &by);
    check_seen_by_clients(Mutant::DeniesUnknown, Scenario::Crash);
}

#[test]
fn careless_evaluation_is_found() {
    check(Mutant::FindsLate, Scenario::Swarm, &["linearizable", "no_lost_write"]);
    check_seen_by_clients(Mutant::FindsLate, Scenario::Swarm);
    check(Mutant::SkipsSettle, Scenario::Limbo, &["linearizable"]);
    check(Mutant::IgnoresToken, Scenario::Swarm, &["sessions"]);
}

#[test]
fn a_bulk_that_is_not_each_for_itself_is_found() {
    check(Mutant::LooksUpOneKey, Scenario::Swarm, &["one_effect"]);
    check(Mutant::MixesParts, Scenario::Swarm, &["definite_errors", "no_lost_write"]);
    check(Mutant::TakesRestForDone, Scenario::Swarm, &["no_lost_write"]);
    check_seen_by_clients(Mutant::MixesParts, Scenario::Swarm);
}

#[test]
fn trimming_what_is_not_durable_elsewhere_is_found() {
    check(Mutant::TrimsEarly, Scenario::Trim, &["trims"]);
    check(Mutant::TrimsWithoutTheAbsent, Scenario::Trim, &["trims"]);
}

#[test]
fn counting_silence_without_hearing_oneself_is_found() {
    check(Mutant::TrustsNoEar, Scenario::Beats, &["hearing"]);
    check(Mutant::TrustsNoEar, Scenario::Asymmetric, &["hearing"]);
}

#[test]
fn a_leader_that_is_not_told_of_log_growth_is_found() {
    check(Mutant::DeafLeader, Scenario::Duel, &["answers", "liveness"]);
}

#[test]
fn answers_that_are_lost_or_given_twice_are_found() {
    check(Mutant::LosesAnswersAtResignation, Scenario::Duel, &["answers", "liveness"]);
    check(Mutant::SettlesTwice, Scenario::Swarm, &["answers"]);
    check(Mutant::NeverSettles, Scenario::Swarm, &["answers", "liveness"]);
}

#[test]
fn opening_over_what_others_have_is_found() {
    let by = ["offline", "checkpoint_order", "applied_in_order", "log_time"];
    check(Mutant::SkipsPeerComparison, Scenario::Blind, &by);
}

#[test]
fn leaving_unled_what_can_be_read_is_found() {
    check(Mutant::LeavesFullUnled, Scenario::NoRoom, &["led"]);
}

#[test]
fn reading_faster_than_a_store_takes_is_found() {
    check(Mutant::GathersWithoutBound, Scenario::Swarm, &["limits"]);
}

#[test]
fn following_a_leader_that_most_dispute_is_found() {
    check(Mutant::DisputesAlone, Scenario::Outvoted, &["offline", "one_state", "real_time"]);
}

#[test]
fn replacing_a_leader_that_has_served_is_found() {
    check(Mutant::ReplacesWhoServes, Scenario::Outvoted, &["offline", "disputes"]);
}

#[test]
fn claiming_for_a_dispute_before_registration_is_found() {
    check(Mutant::DisputesUnregistered, Scenario::Outvoted, &["eligible"]);
}

#[test]
fn trusting_a_wrong_wall_clock_is_found() {
    check(Mutant::StampsAnyTime, Scenario::Blind, &["log_time"]);
}

#[test]
fn throwing_away_what_only_a_person_can_judge_is_found() {
    check(Mutant::WipesWhoStands, Scenario::Upgrade, &["kept"]);
    check(Mutant::WipesWhoStands, Scenario::Disputed, &["kept"]);
}

#[test]
fn going_on_in_a_generation_that_the_log_knows_is_found() {
    check(Mutant::LooksThroughNothing, Scenario::Disputed, &["resolved"]);
}

#[test]
fn forgetting_where_an_operator_has_placed_a_leadership_is_found() {
    check(Mutant::ForgetsPins, Scenario::Pinned, &["pinned"]);
}

#[test]
fn leading_on_where_operators_have_drained_is_found() {
    check(Mutant::IgnoresOwnDrain, Scenario::Drained, &["drained"]);
    check(Mutant::ForgetsDrains, Scenario::Drained, &["drained"]);
}

#[test]
fn log_time_that_goes_on_too_fast_is_found() {
    check(Mutant::HurriesLogTime, Scenario::Blind, &["log_time"]);
}

#[test]
fn moving_replicas_carelessly_is_found() {
    check(Mutant::TakesAllForCaughtUp, Scenario::Moves, &["moves"]);
    check(Mutant::DeletesEarly, Scenario::Moves, &["moves"]);
}

/// A move that does not end is seen when the longest time has passed in which one may, so each of
/// these takes a core for a while.
#[test]
fn forgetting_moves_that_are_under_way_is_found() {
    check(Mutant::ForgetsMoves, Scenario::Moves, &["moves"]);
}

#[test]
fn taking_replica_sets_for_what_is_placed_is_found() {
    check(Mutant::TrustsReplicaSets, Scenario::Moves, &["moves"]);
}

#[test]
fn taking_the_word_of_one_layer_is_found() {
    check(Mutant::DoubtsPeers, Scenario::Gray, &["layers"]);
    check(Mutant::ProbesAlone, Scenario::Gray, &["layers"]);
}

#[test]
fn opening_the_gate_early_is_found() {
    check(Mutant::CountsWhoRuns, Scenario::Rolling, &["gate"]);
    check(Mutant::OpensOnOldWord, Scenario::Rolling, &["gate"]);
}

#[test]
fn hiding_that_the_log_is_out_of_reach_is_found() {
    check(Mutant::HidesItsCut, Scenario::CutOff, &["cut_off"]);
    check(Mutant::PassesOverCuts, Scenario::CutOff, &["cut_off"]);
}

#[test]
fn not_hearing_that_a_machine_refuses_connections_is_found() {
    check(Mutant::HearsNoRefusals, Scenario::LeaderDies, &["dead_leader"]);
}

#[test]
fn confusion_about_the_log_is_found() {
    let by = [
        "answers",
        "applied_in_order",
        "checkpoint_order",
        "definite_errors",
        "liveness",
        "offline",
    ];
    check(Mutant::MixesProducers, Scenario::Limbo, &by);
    check(Mutant::RecoveryMissesRecord, Scenario::Limbo, &by);
}
