//! What a request that was not done tells its caller.
//!
//! Every error states its [`Outcome`]: whether the request may still have taken effect.
//! Start reading at [`ClientError`].

use crate::address::ServerAddress;
use cortado_wire::{Code, Outcome, Problem, Reason};
use std::error::Error;
use std::fmt::Write as _;

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
    /// Certainly not done in time: no server took it. Retry later.
    #[error("not done after {attempts} attempts in {waited_ms} ms; last error: {last}")]
    Unavailable {
        /// How long it was tried.
        waited_ms: u64,
        /// How often it was sent.
        attempts: u32,
        /// What the last attempt met.
        #[source]
        last: AttemptError,
    },
    /// Perhaps done.
    #[error("outcome unknown: {last}")]
    Unknown {
        /// How long it was tried.
        waited_ms: u64,
        /// How often it was sent.
        attempts: u32,
        /// What the attempt met that left it open.
        #[source]
        last: AttemptError,
    },
    /// The answer is not what the API promises: another program, or another version.
    #[error("unexpected answer from the server: {what}")]
    BadAnswer {
        /// What is wrong with it.
        what: String,
    },
}

/// What one attempt at a request has met.
#[derive(Debug, thiserror::Error)]
pub enum AttemptError {
    /// The server's answer.
    #[error("{}", described(.0))]
    Problem(Box<Problem>),
    /// There was none, or not the whole of it.
    #[error(transparent)]
    Transport(Box<dyn Error + Send + Sync>),
    /// Where there are several servers: what each that was asked has met.
    #[error("{}", of_each_server(.earlier, .server, .last))]
    OfServers {
        /// Those that were asked before, each with the last that it met.
        earlier: Vec<(ServerAddress, AttemptError)>,
        /// The one that was asked last.
        server: ServerAddress,
        /// What that one has met.
        #[source]
        last: Box<AttemptError>,
    },
}

fn of_each_server(
    earlier: &[(ServerAddress, AttemptError)],
    server: &ServerAddress,
    last: &AttemptError,
) -> String {
    let said = |server: &ServerAddress, met: &AttemptError| match met {
        AttemptError::Problem(problem) => format!("{server} answered: {}", described(problem)),
        // Its text names the server.
        AttemptError::Transport(_) | AttemptError::OfServers { .. } => met.to_string(),
    };
    let mut text = said(server, last);
    if !earlier.is_empty() {
        text.push_str("; before that:");
    }
    for (server, met) in earlier {
        let _ = write!(text, "\n  - {}", said(server, met));
    }
    text
}

impl AttemptError {
    pub(crate) fn problem(&self) -> Option<&Problem> {
        match self {
            AttemptError::Problem(problem) => Some(problem),
            AttemptError::Transport(_) => None,
            AttemptError::OfServers { last, .. } => last.problem(),
        }
    }
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

    /// The server's reason: its last word, or why the last attempt gave no result.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            ClientError::Refused(problem) => Some(problem),
            ClientError::Unavailable { last, .. } | ClientError::Unknown { last, .. } => {
                last.problem()
            }
            ClientError::Misuse { .. } | ClientError::BadAnswer { .. } => None,
        }
    }

    /// The server's reason; `None` too for a code of another version, which
    /// [`problem`](Self::problem) still names.
    pub fn code(&self) -> Option<Code> {
        self.problem().and_then(|problem| Code::parse(&problem.code))
    }

    /// The status of the server's answer.
    pub fn status(&self) -> Option<u16> {
        self.problem().map(|problem| problem.status)
    }
}

/// A refusal: a sentence, and a line for each reason.
pub(crate) fn described(problem: &Problem) -> String {
    let Problem { title, detail, code, .. } = problem;
    let what = match Code::parse(code) {
        _ if detail.is_empty() => title.clone(),
        // Their detail says what to do; what is wrong is in the title alone.
        Some(Code::NoSuchDatabase | Code::NoSuchTable | Code::NoSuchNode) => {
            format!("{title}: {detail}")
        }
        Some(_) | None => detail.clone(),
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

#[cfg(test)]
mod tests {
    use super::*;

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
