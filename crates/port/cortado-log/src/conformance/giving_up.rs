//! Rules about producers that are abandoned.

use super::case::{Case, Mischief, partition, records};
use crate::AppendOutcome;
use cortado_model::{LogOffset, LogPosition};

pub(super) fn giving_up_answers_everything(case: &Case<'_>) {
    let mut producer = case.log.producer(partition(0));
    let texts: Vec<String> = (0..100).map(|number| format!("record {number}")).collect();
    for text in &texts {
        producer.send(records(&[text]));
    }
    let sent = producer.outstanding();
    assert_eq!(sent, 100, "{}", case.name);
    let outcomes = producer.abandon();
    assert_eq!(outcomes.len(), sent, "{}", case.name);
    // A new producer goes on, and what was promised by the old one is there.
    case.append(partition(0), &["next"]);
    let entries = case.read_all(partition(0), LogOffset::ZERO, 1 << 20);
    for (text, outcome) in texts.iter().zip(outcomes) {
        let found = entries.iter().find(|entry| entry.record == text.as_bytes());
        match outcome {
            AppendOutcome::At(LogPosition { offset, .. }) => {
                assert_eq!(found.map(|entry| entry.offset), Some(offset), "{}", case.name);
            }
            AppendOutcome::Somewhere => assert!(found.is_some(), "{}: {text}", case.name),
            AppendOutcome::NotAppended(_) => assert!(found.is_none(), "{}: {text}", case.name),
            AppendOutcome::Perhaps(_) => {}
            AppendOutcome::Unusable(cause) => panic!("{}: {cause}", case.name),
        }
    }
}

pub(super) fn late_copies_land_behind(case: &Case<'_>) {
    if !(case.provoke)(partition(0), Mischief::HoldNext) {
        return;
    }
    let mut producer = case.log.producer(partition(0));
    producer.send(records(&["late", "later"]));
    let outcomes = producer.abandon();
    assert_eq!(outcomes.len(), 2, "{}", case.name);
    let all_open = outcomes.iter().all(|outcome| matches!(outcome, AppendOutcome::Perhaps(_)));
    assert!(all_open, "{}: {outcomes:?}", case.name);
    case.append(partition(0), &["first"]);
    assert!((case.provoke)(partition(0), Mischief::ReleaseHeld), "{}", case.name);
    case.expect(partition(0), LogOffset::ZERO, &["first", "late", "later"]);
}
