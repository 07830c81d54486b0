//! The suite of the log port notices a client that breaks a rule: the model fails as Kafka does.

use cortado_kafka_model::log::{KafkaMischief, KafkaModelLog};
use cortado_kafka_model::{ClientDefect, ClusterSettings};
use cortado_log::conformance::{Fresh, Mischief, Subject, run};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// The suite fails, and its message names a rule that has `rule` in its name.
#[track_caller]
fn check(defect: ClientDefect, rule: &str) {
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let fresh = &mut || {
            let log = KafkaModelLog::with_defect(ClusterSettings::quick(5), defect);
            let provoked = log.clone();
            let provoke = move |partition, mischief| {
                provoked.provoke(
                    partition,
                    match mischief {
                        Mischief::SucceedWithoutPosition => KafkaMischief::SucceedWithoutPosition,
                        Mischief::HoldNext => KafkaMischief::HoldNext,
                        Mischief::ReleaseHeld => KafkaMischief::ReleaseHeld,
                        Mischief::Skip { offsets } => KafkaMischief::Skip(offsets),
                        Mischief::Lose { at } => KafkaMischief::Lose(at),
                        Mischief::Truncate { end } => KafkaMischief::Truncate(end),
                        Mischief::Replace => KafkaMischief::Replace,
                    },
                );
                true
            };
            Fresh { log: Arc::new(log), provoke: Box::new(provoke) }
        };
        run(Subject { fresh, reopen: None });
    }));
    let panic = outcome.expect_err("the suite has not noticed the defect");
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    let text = text.expect("assertions have texts");
    assert!(text.contains(rule), "{defect:?} was noticed as: {text}");
}

#[test]
fn the_suite_notices_a_careless_client() {
    check(ClientDefect::HidesHoles, "a hole is no gap");
    check(ClientDefect::ControlsAreHoles, "nothing fails here");
    check(ClientDefect::ResetsToEarliest, "trimmed records are gone by name");
    check(ClientDefect::IgnoresTopicId, "a replaced log says so");
    check(ClientDefect::TrimsByName, "another log is not trimmed");
    check(ClientDefect::GuessesOffset, "success may have no position");
    check(ClientDefect::DropsFirstOfPage, "outcomes name the place");
}
