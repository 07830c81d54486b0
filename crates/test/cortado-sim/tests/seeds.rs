//! Every seed that has ever shown a bug, again.

use cortado_sim::database::coverage::variant::demanded_of;
use cortado_sim::{Coverage, Judge, Order, Scenario, Telling, simulate};

#[test]
fn no_bug_comes_back() {
    let list = include_str!("../testdata/seeds.txt");
    let lines = list.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut runs = 0;
    for line in lines {
        let mut words = line.split_whitespace();
        let name = words.next().expect("a name");
        let scenario = words.next().and_then(Scenario::parse).expect("a scenario");
        let seeds = words.next().expect("seeds, with commas between");
        for seed in seeds.split(',') {
            let seed = seed.parse().expect("a number");
            let order = Order { seed, scenario, mutant: None, judge: Judge::All };
            let finding = simulate(&order, Telling::Silent).finding;
            let again = format!("cargo xtask sim --seed {seed} --scenario {scenario} --trace");
            assert_eq!(finding, None, "{name} is back: {again}");
            runs += 1;
        }
    }
    assert!(runs >= 20, "the list has been emptied");
}

/// A scenario that does not show any more what it is about would judge nothing.
#[test]
fn scenarios_show_the_evidence_that_they_are_about() {
    for scenario in Scenario::ALL {
        let demanded = || demanded_of(scenario);
        if demanded().next().is_none() {
            continue;
        }
        let mut coverage = Coverage::default();
        for seed in 0..25 {
            let order = Order { seed, scenario, mutant: None, judge: Judge::All };
            coverage.add(&simulate(&order, Telling::Silent).coverage);
        }
        assert_eq!(coverage.never_in(scenario), Vec::<&str>::new(), "in {scenario}");
    }
}

#[test]
fn every_scenario_runs_well() {
    for scenario in Scenario::ALL {
        for seed in 1_000..1_008 {
            let order = Order { seed, scenario, mutant: None, judge: Judge::All };
            let report = simulate(&order, Telling::Silent);
            let again = format!("cargo xtask sim --seed {seed} --scenario {scenario} --trace");
            assert_eq!(report.finding, None, "{again}");
            // A run in which nothing works proves nothing.
            assert!(report.done > 20, "{again}: {} of {}", report.done, report.operations);
        }
    }
}
