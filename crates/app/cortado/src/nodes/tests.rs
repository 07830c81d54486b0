//! What is told of orders about leaderships.

use super::*;

fn partition(number: u32, pinned: Option<&str>) -> PartitionAnswer {
    PartitionAnswer {
        partition: number,
        leader: Some("n1".to_owned()),
        preferred: Some("n1".to_owned()),
        pinned: pinned.map(str::to_owned),
        generation: None,
        applied: None,
        lag_records: None,
        replicas: Vec::new(),
    }
}

#[test]
fn the_undo_of_a_handoff_is_the_former_pin_or_names_what_else_it_forgets() {
    let undo = |pins: [Option<&str>; 2]| {
        let before: Vec<_> = (0..).zip(pins).map(|(number, pin)| partition(number, pin)).collect();
        undo_of_handoff("geo", 0, &before)
    };
    assert_eq!(undo([None, None]), "`cortado rebalance geo` undoes that");
    assert_eq!(undo([Some("n3"), None]), "`cortado handoff geo/0 --to n3` undoes that");
    let besides = "`cortado rebalance geo` undoes that, and 1 handoff more";
    assert_eq!(undo([None, Some("n2")]), besides);
}

#[test]
fn a_handoff_to_the_leader_is_not_told_as_one() {
    let told = |to: &str, pin| handed_over("geo", 0, to, &[partition(0, pin)]);
    assert_eq!(told("n1", Some("n1")), "geo/0 is led by n1 and stays there, as before");
    let unpinned = told("n1", None);
    assert!(unpinned.contains("already, and stays there now: `cortado rebalance"), "{unpinned}");
    assert!(told("n2", None).starts_with("handed geo/0 over; it is led by n2"));
}

#[test]
fn a_drain_that_is_stuck_is_not_told_as_done() {
    let stuck = Led { partition: "geo/1".to_owned(), is_movable: true };
    let kept = Led { partition: "geo/2".to_owned(), is_movable: false };
    let rest = |stuck: &[&Led], kept: &[&Led]| rest_of_drain("n1", stuck, kept);
    assert_eq!(rest(&[], &[]), "it leads nothing");
    assert!(rest(&[], &[&kept]).contains("no other node with a replica can"));
    let told = rest(&[&stuck], &[&kept]);
    assert!(told.contains("geo/1") && told.contains("do not stop n1 yet"), "{told}");
    assert!(!told.contains("no other node"), "{told}");
}
