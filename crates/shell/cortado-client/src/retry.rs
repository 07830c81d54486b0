//! Whether and when a request is sent again. Decides only; never waits or sends.
//!
//! Start reading at [`next`].

use crate::failure::AttemptError;
use crate::transport::{Answer, SendError};
use cortado_wire::{Code, Outcome, Problem};

/// What a second sending of the same request would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// Nothing at all, as the first: a read.
    Nothing,
    /// Nothing more than the first, and it is answered as the first: a write with an idempotency
    /// key.
    Remembered,
    /// Nothing more than the first, but the answer may be another one: a declaration.
    Harmless,
    /// Perhaps something the caller did not ask for: only after a definite "not done".
    Risky,
}

/// An attempt that gave no result: what it proves, and what to do with it.
#[derive(Debug)]
pub(crate) struct FailedAttempt {
    /// Whether this attempt may have taken effect.
    pub(crate) outcome: Outcome,
    /// What was met.
    pub(crate) met: AttemptError,
    /// Whether the same again may succeed.
    pub(crate) is_transient: bool,
    /// What the server asked for, in milliseconds.
    pub(crate) retry_after_ms: u64,
    /// Whether this machine says that no server runs.
    pub(crate) is_refused_here: bool,
    /// Whether it speaks against the server that was asked, and not against the request or a
    /// partition: others may do better, and it is left alone for a while.
    pub(crate) is_servers_fault: bool,
}

impl FailedAttempt {
    /// What an error of the transport proves.
    pub(crate) fn from_send(error: SendError) -> FailedAttempt {
        let (outcome, is_transient) = match &error {
            SendError::NotSent { .. } => (Outcome::None, true),
            SendError::InvalidRequest(_) => (Outcome::None, false),
            SendError::Broken { .. } | SendError::Late { .. } => (Outcome::Unknown, true),
        };
        let is_refused_here = error.is_refused_here();
        let met = AttemptError::Transport(Box::new(error));
        let is_servers_fault = is_transient;
        FailedAttempt {
            outcome,
            met,
            is_transient,
            retry_after_ms: 0,
            is_refused_here,
            is_servers_fault,
        }
    }

    /// Whether the request certainly never reached what could have done it, so that another server
    /// can be asked at once. To be asked before [`of`](Self::of), which knows what it proves.
    pub(crate) fn may_go_elsewhere(&self) -> bool {
        self.outcome == Outcome::None && self.is_servers_fault
    }

    /// The same for a request of which a repetition does what `repeat` says: a read is never done.
    pub(crate) fn of(self, repeat: Repeat) -> FailedAttempt {
        match repeat {
            Repeat::Nothing => FailedAttempt { outcome: Outcome::None, ..self },
            Repeat::Remembered | Repeat::Harmless | Repeat::Risky => self,
        }
    }

    /// What an answer proves whose status is no success.
    pub(crate) fn from_answer(answer: &Answer) -> FailedAttempt {
        let status = answer.status.as_u16();
        let parsed: Option<Problem> = serde_json::from_slice(&answer.body).ok();
        // It goes by the request's `Host`, which the next attempt would repeat.
        let is_wrong_host =
            parsed.as_ref().is_some_and(|problem| problem.code == Code::WrongHost.name());
        let is_servers_fault = match &parsed {
            // Another one has another `Host`.
            Some(problem) => problem.code == Code::ShuttingDown.name() || is_wrong_host,
            // A proxy speaks for a server that it cannot reach.
            None => matches!(status, 502..=504),
        };
        let outcome = match parsed.as_ref().and_then(|problem| problem.outcome) {
            Some(outcome) => outcome,
            // A proxy's word for a server that it could not reach says nothing about the write.
            None if status >= 500 && parsed.is_none() => Outcome::Unknown,
            None => Outcome::None,
        };
        let problem = parsed.map(|problem| Problem { status, ..problem }).unwrap_or_else(|| {
            let title = answer.status.canonical_reason().unwrap_or("an error").to_owned();
            Problem { status, code: format!("http_{status}"), title, ..Problem::default() }
        });
        let seconds = answer.headers.get(http::header::RETRY_AFTER);
        let seconds = seconds.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        FailedAttempt {
            outcome,
            met: AttemptError::Problem(Box::new(problem)),
            is_transient: is_transient(status) && !is_wrong_host,
            retry_after_ms: seconds.unwrap_or(0).saturating_mul(1_000),
            is_refused_here: false,
            is_servers_fault,
        }
    }
}

/// Whether the same again may succeed after an answer with this status.
pub(crate) fn is_transient(status: u16) -> bool {
    matches!(status, 408 | 421 | 425 | 429 | 502 | 503 | 504)
}

/// Whether an answer with this status tells of the attempts before it, too, if they had the same
/// idempotency key: the server looks that up before it judges the request, though not before it
/// says that it can do nothing.
pub(crate) fn is_last_word(status: u16) -> bool {
    status < 500 && !is_transient(status)
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
/// * `left_ms`: how much of the time for the whole call is left.
pub(crate) fn next(
    failed: &FailedAttempt,
    repeat: Repeat,
    attempt: u32,
    chance: f64,
    left_ms: u64,
) -> Next {
    let is_open = failed.outcome == Outcome::Unknown;
    if !failed.is_transient || (is_open && repeat == Repeat::Risky) {
        return Next::Stop;
    }
    let pause_ms = pause_ms(attempt, chance).max(failed.retry_after_ms);
    if pause_ms < left_ms { Next::Again { pause_ms } } else { Next::Stop }
}

/// How long to wait after the attempt number `attempt`, if the server asks for no more.
///
/// * `chance`: as for [`next`].
pub(crate) fn pause_ms(attempt: u32, chance: f64) -> u64 {
    let doubled = PAUSE_FIRST_MS << (attempt - 1).min(10);
    // Between half and the whole: never zero, so that a refusing server is not hammered.
    (doubled.min(PAUSE_MAX_MS) as f64 * (0.5 + chance / 2.0)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderMap, StatusCode};

    fn failed(outcome: Outcome, is_transient: bool, retry_after_ms: u64) -> FailedAttempt {
        let met = AttemptError::Transport("a broken wire".into());
        FailedAttempt {
            outcome,
            met,
            is_transient,
            retry_after_ms,
            is_refused_here: false,
            is_servers_fault: false,
        }
    }

    #[track_caller]
    fn check(failed: &FailedAttempt, repeat: Repeat, attempt: u32, want: Next) {
        assert_eq!(next(failed, repeat, attempt, 1.0, 10_000), want);
    }

    #[test]
    fn an_open_outcome_is_repeated_only_where_that_is_harmless() {
        let open = failed(Outcome::Unknown, true, 0);
        check(&open, Repeat::Risky, 1, Next::Stop);
        check(&open, Repeat::Harmless, 1, Next::Again { pause_ms: 25 });
        check(&open, Repeat::Remembered, 1, Next::Again { pause_ms: 25 });
        let definite = failed(Outcome::None, true, 0);
        check(&definite, Repeat::Risky, 1, Next::Again { pause_ms: 25 });
        let last_word = failed(Outcome::None, false, 0);
        check(&last_word, Repeat::Harmless, 1, Next::Stop);
    }

    #[test]
    fn pauses_double_up_to_a_bound_and_respect_the_server() {
        let definite = failed(Outcome::None, true, 0);
        check(&definite, Repeat::Risky, 3, Next::Again { pause_ms: 100 });
        check(&definite, Repeat::Risky, 40, Next::Again { pause_ms: 1_000 });
        let asked = failed(Outcome::None, true, 2_000);
        check(&asked, Repeat::Risky, 1, Next::Again { pause_ms: 2_000 });
        let too_long = failed(Outcome::None, true, 20_000);
        check(&too_long, Repeat::Risky, 1, Next::Stop);
        assert_eq!(next(&definite, Repeat::Risky, 1, 0.0, 10_000), Next::Again { pause_ms: 12 });
        assert_eq!(next(&definite, Repeat::Risky, 1, 0.0, 12), Next::Stop);
    }

    fn problem(outcome: Option<Outcome>) -> String {
        coded(Code::Unavailable, outcome)
    }

    fn coded(code: Code, outcome: Option<Outcome>) -> String {
        let problem = Problem { outcome, ..Problem::new(code, 0, String::new()) };
        serde_json::to_string(&problem).expect("a problem is JSON")
    }

    #[track_caller]
    fn check_answer(status: u16, body: &str, want: (Outcome, bool)) {
        let answer = Answer {
            status: StatusCode::from_u16(status).expect("a status"),
            headers: HeaderMap::new(),
            body: body.to_owned().into(),
        };
        let failed = FailedAttempt::from_answer(&answer);
        assert_eq!((failed.outcome, failed.is_transient), want, "{status} {body}");
        assert_eq!(failed.met.problem().map(|problem| problem.status), Some(status));
    }

    #[track_caller]
    fn check_blame(status: u16, body: &str, want: (bool, bool)) {
        let answer = Answer {
            status: StatusCode::from_u16(status).expect("a status"),
            headers: HeaderMap::new(),
            body: body.to_owned().into(),
        };
        let failed = FailedAttempt::from_answer(&answer);
        assert_eq!((failed.is_servers_fault, failed.may_go_elsewhere()), want, "{status} {body}");
    }

    #[test]
    fn a_server_is_blamed_for_itself_only() {
        check_blame(503, &coded(Code::ShuttingDown, Some(Outcome::None)), (true, true));
        check_blame(503, &coded(Code::ShuttingDown, Some(Outcome::Unknown)), (true, false));
        check_blame(421, &coded(Code::WrongHost, None), (true, true));
        check_blame(502, "<html>", (true, false));
        check_blame(503, &problem(Some(Outcome::None)), (false, false));
        check_blame(503, &coded(Code::Overloaded, Some(Outcome::None)), (false, false));
        check_blame(404, &problem(None), (false, false));
        check_blame(500, "", (false, false));
    }

    #[test]
    fn answers_prove_outcomes() {
        check_answer(503, &problem(Some(Outcome::None)), (Outcome::None, true));
        check_answer(503, &problem(Some(Outcome::Unknown)), (Outcome::Unknown, true));
        check_answer(412, &problem(Some(Outcome::None)), (Outcome::None, false));
        check_answer(404, &problem(None), (Outcome::None, false));
        check_answer(400, "", (Outcome::None, false));
        check_answer(502, "<html>", (Outcome::Unknown, true));
        check_answer(503, &problem(None), (Outcome::None, true));
        check_answer(421, &problem(None), (Outcome::None, true));
        check_answer(421, &coded(Code::WrongHost, None), (Outcome::None, false));
    }
}
