//! Every outcome of a try, for every kind of request, before and after one that may have been done.

use super::*;
use proptest::prelude::*;

const OUTCOMES: [TryOutcome; 7] = [
    TryOutcome::Answered,
    TryOutcome::NotHere,
    TryOutcome::Declined,
    TryOutcome::DeadlineBefore,
    TryOutcome::LeaderLost,
    TryOutcome::LogFailed,
    TryOutcome::DeadlineAfter,
];

const LOST: RouteStep = RouteStep::Unknown(Doubt::LeaderLost);
const FAILED: RouteStep = RouteStep::Unknown(Doubt::LogFailed);
const LATE: RouteStep = RouteStep::Unknown(Doubt::Deadline);
use RouteStep::{Answer, NotDone, TryAgain};

/// What follows each of [`OUTCOMES`] after tries with the outcomes `before`.
#[track_caller]
fn check(repetition: Repetition, before: &[TryOutcome], want: [RouteStep; 7]) {
    let mut attempt = RouteAttempt::new(repetition);
    for outcome in before {
        assert_eq!(attempt.judge(*outcome), TryAgain);
    }
    assert_eq!(OUTCOMES.map(|outcome| attempt.clone().judge(outcome)), want);
}

#[test]
fn a_read_is_tried_until_it_is_answered_or_late() {
    let want = [Answer, TryAgain, NotDone, NotDone, TryAgain, TryAgain, NotDone];
    check(Repetition::Harmless, &[], want);
    check(
        Repetition::Harmless,
        &[TryOutcome::LeaderLost, TryOutcome::LogFailed, TryOutcome::NotHere],
        want,
    );
}

#[test]
fn a_write_without_a_key_is_tried_while_nothing_was_done() {
    let want = [Answer, TryAgain, NotDone, NotDone, LOST, FAILED, LATE];
    check(Repetition::Doubled, &[], want);
    check(Repetition::Doubled, &[TryOutcome::NotHere, TryOutcome::NotHere], want);
}

#[test]
fn a_write_with_a_key_is_tried_though_it_may_have_been_done() {
    let want = [Answer, TryAgain, NotDone, NotDone, TryAgain, FAILED, LATE];
    check(Repetition::Remembered, &[], want);
    check(Repetition::Remembered, &[TryOutcome::NotHere], want);
    // A leader went away with it: from then on only an answer settles it.
    let want = [Answer, TryAgain, LOST, LOST, TryAgain, FAILED, LATE];
    check(Repetition::Remembered, &[TryOutcome::LeaderLost], want);
    check(Repetition::Remembered, &[TryOutcome::LeaderLost, TryOutcome::NotHere], want);
}

proptest! {
    #[test]
    fn what_may_have_been_done_is_never_called_not_done_and_never_done_twice(
        repetition in prop::sample::select(vec![Repetition::Remembered, Repetition::Doubled]),
        outcomes in prop::collection::vec(prop::sample::select(OUTCOMES.to_vec()), 1..12),
    ) {
        let mut attempt = RouteAttempt::new(repetition);
        let mut perhaps = false;
        for outcome in outcomes {
            perhaps |= matches!(
                outcome,
                TryOutcome::LeaderLost | TryOutcome::LogFailed | TryOutcome::DeadlineAfter
            );
            let step = attempt.judge(outcome);
            match step {
                TryAgain => prop_assert!(!perhaps || repetition == Repetition::Remembered),
                NotDone => prop_assert!(!perhaps),
                RouteStep::Unknown(_) => prop_assert!(perhaps),
                Answer => prop_assert_eq!(outcome, TryOutcome::Answered),
            }
            if step != TryAgain {
                break;
            }
        }
    }
}
