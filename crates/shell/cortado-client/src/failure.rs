//! What a request that was not done tells its caller.
//!
//! Every error states its [`Outcome`]: whether the request may still have taken effect.
//! Start reading at [`ClientError`].

use crate::retry::Repeat;
use crate::transport::{Answer, SendError};
use cortado_wire::{Outcome, Problem, Reason};

/// Why a request gave no result.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nothing was sent: the call itself makes no sense.
    #[error("{why}")]
    Misuse {
        /// The rule that it breaks.
        why: String,
    },
    /// The server's last word. Certainly not done; the same again gives the same.
    #[error("{}", described(.0))]
    Refused(Box<Problem>),
    /// Nobody could do it in time. Certainly not done; repeat it later.
    #[error("not done within {waited_ms} ms and {attempts} attempts; the last: {last}")]
    Unavailable {
        /// How long it was tried.
        waited_ms: u64,
        /// How often it was sent.
        attempts: u32,
        /// What the last attempt met.
        last: String,
    },
    /// Perhaps done.
    #[error("it is unknown whether it was done: {last}")]
    Unknown {
        /// How long it was tried.
        waited_ms: u64,
        /// How often it was sent.
        attempts: u32,
        /// What the attempt met that left it open.
        last: String,
    },
    /// The answer is not what the API promises: another program, or another version.
    #[error("the answer is not what was promised: {what}")]
    BadAnswer {
        /// What is wrong with it.
        what: String,
    },
}

impl ClientError {
    /// Whether the request may have taken effect.
    pub fn outcome(&self) -> Outcome {
        match self {
            ClientError::Misuse { .. }
            | ClientError::Refused(_)
            | ClientError::Unavailable { .. } => Outcome::None,
            ClientError::Unknown { .. } | ClientError::BadAnswer { .. } => Outcome::Unknown,
        }
    }

    /// The server's reason, where it gave a last word.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            ClientError::Refused(problem) => Some(problem),
            ClientError::Misuse { .. }
            | ClientError::Unavailable { .. }
            | ClientError::Unknown { .. }
            | ClientError::BadAnswer { .. } => None,
        }
    }

    /// The stable code of the server's reason, such as `no_such_table`.
    pub fn code(&self) -> Option<&str> {
        self.problem().map(|problem| problem.code.as_str())
    }

    /// The status of the server's last word.
    pub fn status(&self) -> Option<u16> {
        self.problem().map(|problem| problem.status)
    }
}

/// A refusal, as a sentence for people and a line for each reason.
fn described(problem: &Problem) -> String {
    let Problem { title, detail, code, .. } = problem;
    let what = match code.as_str() {
        _ if detail.is_empty() => title.clone(),
        // Their detail says what to do; what is wrong is in the title alone.
        "no_such_database" | "no_such_table" | "no_such_node" => format!("{title}: {detail}"),
        _ => detail.clone(),
    };
    let mut text = format!("{what} ({code}, {})", problem.status);
    for Reason { path, why } in &problem.reasons {
        text.push_str("\n  - ");
        if !path.is_empty() {
            text.push_str(path);
            text.push_str(": ");
        }
        text.push_str(why);
    }
    text
}

/// An attempt that gave no result: what it proves, and what to do with it.
#[derive(Debug)]
pub(crate) struct Missed {
    /// Whether this attempt may have taken effect.
    pub(crate) outcome: Outcome,
    /// What was met, for people.
    pub(crate) what: String,
    /// The server's reason; `None` if it was the network's.
    pub(crate) problem: Option<Problem>,
    /// Whether the same again may succeed.
    pub(crate) is_passing: bool,
    /// What the server asked for, in milliseconds.
    pub(crate) retry_after_ms: u64,
}

impl Missed {
    /// What an error of the transport proves.
    pub(crate) fn from_send(error: &SendError) -> Missed {
        let (outcome, is_passing) = match error {
            SendError::NotSent { .. } => (Outcome::None, true),
            SendError::Unspeakable(_) => (Outcome::None, false),
            SendError::Broken { .. } | SendError::Late { .. } => (Outcome::Unknown, true),
        };
        Missed { outcome, what: error.to_string(), problem: None, is_passing, retry_after_ms: 0 }
    }

    /// The same for a request of which a repetition does what `repeat` says: a read is never done.
    pub(crate) fn of(self, repeat: Repeat) -> Missed {
        match repeat {
            Repeat::Nothing => Missed { outcome: Outcome::None, ..self },
            Repeat::Harmless | Repeat::Risky => self,
        }
    }

    /// What an answer proves whose status is no success.
    pub(crate) fn from_answer(answer: &Answer) -> Missed {
        let status = answer.status.as_u16();
        let parsed: Option<Problem> = serde_json::from_slice(&answer.body).ok();
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
        Missed {
            outcome,
            what: described(&problem),
            problem: Some(problem),
            is_passing: matches!(status, 408 | 421 | 425 | 429 | 502 | 503 | 504),
            retry_after_ms: seconds.unwrap_or(0).saturating_mul(1_000),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cortado_wire::Code;
    use http::{HeaderMap, StatusCode};

    fn problem(outcome: Option<Outcome>) -> String {
        let problem = Problem { outcome, ..Problem::new(Code::Unavailable, 0, String::new()) };
        serde_json::to_string(&problem).expect("a problem is JSON")
    }

    #[track_caller]
    fn check(status: u16, body: &str, want: (Outcome, bool)) {
        let answer = Answer {
            status: StatusCode::from_u16(status).expect("a status"),
            headers: HeaderMap::new(),
            body: body.to_owned().into(),
        };
        let missed = Missed::from_answer(&answer);
        assert_eq!((missed.outcome, missed.is_passing), want, "{status} {body}");
        assert_eq!(missed.problem.map(|problem| problem.status), Some(status));
    }

    #[test]
    fn answers_prove_outcomes() {
        check(503, &problem(Some(Outcome::None)), (Outcome::None, true));
        check(503, &problem(Some(Outcome::Unknown)), (Outcome::Unknown, true));
        check(412, &problem(Some(Outcome::None)), (Outcome::None, false));
        check(404, &problem(None), (Outcome::None, false));
        check(400, "", (Outcome::None, false));
        check(502, "<html>", (Outcome::Unknown, true));
        check(503, &problem(None), (Outcome::None, true));
    }

    #[test]
    fn reasons_are_lines() {
        let reason = |path: &str| Reason { path: path.to_owned(), why: "is no number".to_owned() };
        let mut problem = Problem::new(Code::SchemaViolated, 422, "two places".to_owned());
        problem.reasons = vec![reason("/lat"), reason("")];
        let want = "two places (schema_violated, 422)\n  - /lat: is no number\n  - is no number";
        assert_eq!(described(&problem), want);

        let problem = Problem::new(Code::NoSuchNode, 404, "GET /admin/v1/nodes".to_owned());
        let want = "There is no such node: GET /admin/v1/nodes (no_such_node, 404)";
        assert_eq!(described(&problem), want);
    }
}
