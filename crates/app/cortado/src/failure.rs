//! How a command ends: exit codes, and errors that say what happened, why, and what to do next.
//!
//! Start reading at [`Failure`].

use crate::terminal::for_stderr;
use cortado_client::{ClientError, Outcome};
use cortado_wire::Code;
use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;
use tracing::error;

/// What a command answers to its shell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// 0: done.
    Done,
    /// 1: refused or failed; nothing of it will happen later.
    Refused,
    /// 2: the command line makes no sense.
    Usage,
    /// 3: perhaps done, or begun and not at its end.
    Unknown,
}

impl Exit {
    /// The number.
    pub(crate) fn code(self) -> ExitCode {
        ExitCode::from(match self {
            Exit::Done => 0,
            Exit::Refused => 1,
            Exit::Usage => 2,
            Exit::Unknown => 3,
        })
    }
}

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    /// What happened, and why. Empty: the reader of the output has gone away.
    what: String,
    /// What to do next, each a sentence.
    next: Vec<String>,
}

impl Failure {
    /// Refused or failed.
    pub(crate) fn new(what: impl Display) -> Failure {
        Failure { exit: Exit::Refused, what: what.to_string(), next: Vec::new() }
    }

    /// The command line makes no sense.
    pub(crate) fn usage(what: impl Display) -> Failure {
        Failure { exit: Exit::Usage, ..Failure::new(what) }
    }

    /// A request that gave no result.
    pub(crate) fn from_client(error: &ClientError) -> Failure {
        let exit = match error {
            ClientError::Misuse { .. } => Exit::Usage,
            ClientError::Refused(_)
            | ClientError::Unavailable { .. }
            | ClientError::Unknown { .. }
            | ClientError::BadAnswer { .. } => match error.outcome() {
                Outcome::None => Exit::Refused,
                Outcome::Unknown => Exit::Unknown,
            },
        };
        let failure = Failure { exit, ..Failure::new(error) };
        match advice(error) {
            Some(next) => failure.next(next),
            None => failure,
        }
    }

    /// A write of documents that gave no result.
    pub(crate) fn of_write(error: ClientError) -> Failure {
        Failure::from(error).if_unknown(
            "read it back, or repeat the command with the same --idempotency-key if it had one",
        )
    }

    /// A declaration that gave no result.
    pub(crate) fn of_declaration(error: ClientError) -> Failure {
        Failure::from(error).if_unknown("repeat the command: it does nothing twice")
    }

    /// With one more thing to do if the command was perhaps done.
    pub(crate) fn if_unknown(self, next: impl Display) -> Failure {
        match self.exit {
            Exit::Unknown => self.next(next),
            Exit::Done | Exit::Refused | Exit::Usage => self,
        }
    }

    /// The same, of a look after something was `done`, which goes on.
    pub(crate) fn of_what_goes_on(self, done: impl Display) -> Failure {
        let what = format!("{done}, but how far that is could not be read: {}", self.what);
        Failure { exit: Exit::Unknown, what, ..self }
    }

    /// With one more thing to do.
    pub(crate) fn next(mut self, next: impl Display) -> Failure {
        self.next.push(next.to_string());
        self
    }

    /// What happened, and why.
    pub(crate) fn what(&self) -> &str {
        &self.what
    }

    /// The exit code.
    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }

    /// Logs it as an error: where standard error is a log.
    pub(crate) fn log(&self) {
        error!(next = self.next.join("; "), "{}", self.what);
    }

    /// Writes it to standard error.
    pub(crate) fn print(&self) {
        if self.what.is_empty() {
            return;
        }
        let mut text = format!("error: {}\n", self.what);
        for next in &self.next {
            text.push_str("  next: ");
            text.push_str(next);
            text.push('\n');
        }
        // Where standard error is gone, there is nowhere left to report it.
        let _ = io::stderr().write_all(for_stderr(&text).as_bytes());
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Failure {
        Failure::from_client(&error)
    }
}

impl From<io::Error> for Failure {
    /// Standard output or a file that was given; a reader that has gone away is no error to speak
    /// of.
    fn from(error: io::Error) -> Failure {
        if error.kind() == ErrorKind::BrokenPipe {
            return Failure::new("");
        }
        Failure::new(error)
    }
}

/// What a person at a shell can do about `error`.
fn advice(error: &ClientError) -> Option<&'static str> {
    let text = match error {
        ClientError::Unavailable { .. } => match error.code() {
            // The server's own answer: it runs.
            Some(_) => "`cortado status` shows what is served; --retry-for waits longer",
            None => {
                "is the server running? `cortado dev` starts one; --url or CORTADO_URL names \
                 another"
            }
        },
        // What finds out depends on the command.
        ClientError::Unknown { .. } => return None,
        ClientError::BadAnswer { .. } => "is this the address of a Cortado server? check --url",
        ClientError::Misuse { .. } => return None,
        ClientError::Refused(_) => match error.code()? {
            Code::WrongHost => {
                "the server answers to its own address only: give that as --url, or let the proxy \
                 in front of it send the server's address as Host (nginx: proxy_set_header Host \
                 127.0.0.1:7171)"
            }
            Code::NoSuchDatabase => {
                "`cortado db list` lists databases, `cortado db create NAME` creates one"
            }
            Code::NoSuchTable => {
                "`cortado db show DB` shows its tables, `cortado table create DB/TABLE --key \
                 PART,…` creates one"
            }
            Code::MethodNotAllowed | Code::NoSuchDocumentPath => {
                "`cortado db show DB` shows the parts of each table's key"
            }
            Code::AlreadyExists => "`cortado db show DB` shows the current declaration",
            Code::ChangesTrimmed => {
                "read the documents with `cortado export`, then follow the changes from now on"
            }
            _ => return None,
        },
    };
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use cortado_client::AttemptError;
    use cortado_wire::Problem;

    fn answered(code: Code, status: u16) -> AttemptError {
        AttemptError::Problem(Box::new(Problem::new(code, status, String::new())))
    }

    fn unavailable(last: AttemptError) -> Failure {
        ClientError::Unavailable { waited_ms: 1_000, attempts: 2, last }.into()
    }

    fn unknown() -> ClientError {
        let last = answered(Code::OutcomeUnknown, 504);
        ClientError::Unknown { waited_ms: 1_000, attempts: 2, last }
    }

    #[track_caller]
    fn check(failure: &Failure, exit: Exit, next: &[&str]) {
        assert_eq!(failure.exit, exit, "{failure:?}");
        assert_eq!(failure.next.len(), next.len(), "{failure:?}");
        for (said, want) in failure.next.iter().zip(next) {
            assert!(said.contains(want), "{failure:?}");
        }
    }

    #[test]
    fn a_server_that_answered_is_not_asked_for_whether_it_runs() {
        let silent = unavailable(AttemptError::Transport("connection refused".into()));
        check(&silent, Exit::Refused, &["is the server running?"]);
        let no_leader = unavailable(answered(Code::NoLeader, 503));
        check(&no_leader, Exit::Refused, &["`cortado status` shows"]);
        // A proxy's answer says nothing about the server behind it.
        let problem = Problem { code: "http_502".to_owned(), status: 502, ..Problem::default() };
        let proxy = unavailable(AttemptError::Problem(Box::new(problem)));
        check(&proxy, Exit::Refused, &["is the server running?"]);
    }

    #[test]
    fn what_finds_out_an_unknown_outcome_depends_on_the_command() {
        check(&Failure::from(unknown()), Exit::Unknown, &[]);
        check(&Failure::of_write(unknown()), Exit::Unknown, &["--idempotency-key"]);
        check(&Failure::of_declaration(unknown()), Exit::Unknown, &["it does nothing twice"]);
        let last = answered(Code::Unavailable, 503);
        let not_done = ClientError::Unavailable { waited_ms: 1_000, attempts: 2, last };
        check(&Failure::of_declaration(not_done), Exit::Refused, &["`cortado status` shows"]);
    }
}
