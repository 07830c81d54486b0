//! The same seed is the same story, to the last draw.

use cortado_sim::{Order, Report, Scenario, Telling, simulate};

fn run(seed: u64, scenario: Scenario) -> Report {
    simulate(&Order { scenario, ..Order::of_seed(seed) }, Telling::Silent)
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for (seed, scenario) in (0..).zip(Scenario::ALL) {
        let (first, again) = (run(seed, scenario), run(seed, scenario));
        assert_eq!(first.trace, again.trace, "seed {seed} of {scenario}");
        assert_eq!(first.coverage, again.coverage, "seed {seed} of {scenario}");
        assert_eq!(first.happenings, again.happenings, "seed {seed} of {scenario}");
    }
}

#[test]
fn another_seed_or_scenario_gives_another() {
    let story = run(3, Scenario::Swarm);
    assert_ne!(story.trace, run(4, Scenario::Swarm).trace);
    assert_ne!(story.trace, run(3, Scenario::Limbo).trace);
}

#[test]
fn telling_the_story_does_not_change_it() {
    let order = Order::of_seed(11);
    let kept = Telling::Kept(Default::default(), 10);
    let (told, silent) = (simulate(&order, kept), simulate(&order, Telling::Silent));
    assert_eq!(told.trace, silent.trace);
    assert_eq!((told.lines.len(), silent.lines.len()), (10, 0));
}
