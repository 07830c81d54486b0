//! The report that is kept is the one that would be written, as far as a second or two can tell.

use cortado_aperture_sim::{Plan, Scenario, Shelf, Size};
use std::path::Path;

#[test]
fn the_report_is_what_would_be_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/aperture");
    if let Err(error) = Shelf::new(folder).check() {
        panic!("{error:#}\nwrite it anew: `cargo xtask sim-aperture`, and read the diff");
    }
}

#[test]
fn the_same_seed_gives_the_same_lines() {
    let lines = |seed| {
        let plan = Plan::of(seed, Some(Scenario::RestartEndpoints), Some(Size::new(5, 20)));
        plan.run(|_| {}).iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let first = lines(7);
    assert_eq!(first, lines(7));
    assert!(first.iter().zip(lines(8)).all(|(first, second)| *first != second), "{first:?}");
}
