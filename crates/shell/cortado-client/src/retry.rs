//! Whether and when a request is sent again. Decides only; never waits or sends.
//!
//! Start reading at [`next`].

use crate::failure::Missed;
use cortado_wire::Outcome;

/// What a second sending of the same request would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// Nothing at all, as the first: a read.
    Nothing,
    /// Nothing more than the first: a declaration, or a write with an idempotency key.
    Harmless,
    /// Perhaps something the caller did not ask for: only after a definite "not done".
    Risky,
}

/// What to do after an attempt without a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Send it again after a pause of about this long.
    Again { pause_ms: u64 },
    /// That was the last attempt.
    Stop,
}

/// The first pause; each further one is twice as long.
const PAUSE_FIRST_MS: u64 = 25;
/// The longest pause that we choose ourselves.
const PAUSE_MAX_MS: u64 = 1_000;

/// Judges the attempt number `attempt`, counted from 1.
///
/// * `chance`: 0 to 1, anew for each call; spreads clients that failed together.
/// * `left_ms`: how much of the caller's patience is left.
pub(crate) fn next(
    missed: &Missed,
    repeat: Repeat,
    attempt: u32,
    chance: f64,
    left_ms: u64,
) -> Next {
    let is_open = missed.outcome == Outcome::Unknown;
    if !missed.is_passing || (is_open && repeat == Repeat::Risky) {
        return Next::Stop;
    }
    let doubled = PAUSE_FIRST_MS << (attempt - 1).min(10);
    // Between half and the whole: never zero, so that a refusing server is not hammered.
    let jittered = (doubled.min(PAUSE_MAX_MS) as f64 * (0.5 + chance / 2.0)) as u64;
    let pause_ms = jittered.max(missed.retry_after_ms);
    if pause_ms < left_ms { Next::Again { pause_ms } } else { Next::Stop }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missed(outcome: Outcome, is_passing: bool, retry_after_ms: u64) -> Missed {
        Missed { outcome, what: String::new(), problem: None, is_passing, retry_after_ms }
    }

    #[track_caller]
    fn check(missed: &Missed, repeat: Repeat, attempt: u32, want: Next) {
        assert_eq!(next(missed, repeat, attempt, 1.0, 10_000), want);
    }

    #[test]
    fn an_open_outcome_is_repeated_only_where_that_is_harmless() {
        let open = missed(Outcome::Unknown, true, 0);
        check(&open, Repeat::Risky, 1, Next::Stop);
        check(&open, Repeat::Harmless, 1, Next::Again { pause_ms: 25 });
        let definite = missed(Outcome::None, true, 0);
        check(&definite, Repeat::Risky, 1, Next::Again { pause_ms: 25 });
        let last_word = missed(Outcome::None, false, 0);
        check(&last_word, Repeat::Harmless, 1, Next::Stop);
    }

    #[test]
    fn pauses_double_up_to_a_bound_and_respect_the_server() {
        let definite = missed(Outcome::None, true, 0);
        check(&definite, Repeat::Risky, 3, Next::Again { pause_ms: 100 });
        check(&definite, Repeat::Risky, 40, Next::Again { pause_ms: 1_000 });
        let asked = missed(Outcome::None, true, 2_000);
        check(&asked, Repeat::Risky, 1, Next::Again { pause_ms: 2_000 });
        let too_long = missed(Outcome::None, true, 20_000);
        check(&too_long, Repeat::Risky, 1, Next::Stop);
        assert_eq!(next(&definite, Repeat::Risky, 1, 0.0, 10_000), Next::Again { pause_ms: 12 });
        assert_eq!(next(&definite, Repeat::Risky, 1, 0.0, 12), Next::Stop);
    }
}
