//! The process of a broker, found again by its id and the moment of its start.
//!
//! A process id alone may have become another process's. Start reading at [`BrokerProcess::state`].

use crate::error::BrokersError;
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;

/// A process that may have ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BrokerProcess {
    pub(crate) pid: i32,
    /// Clock ticks since the machine was booted, as Linux tells them.
    started: u64,
}

/// What a process does at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProcessState {
    Runs,
    /// Stopped by a signal; goes on when it is told to.
    Paused,
    /// Gone, or a zombie that its parent has not waited for yet.
    Ended,
}

impl BrokerProcess {
    /// The process that has this id now; `None` if there is none.
    pub(crate) fn of(pid: i32) -> Option<BrokerProcess> {
        let (_, started) = look(pid)?;
        Some(BrokerProcess { pid, started })
    }

    pub(crate) fn state(self) -> ProcessState {
        match look(self.pid) {
            Some((state, started)) if started == self.started => state,
            Some(_) | None => ProcessState::Ended,
        }
    }

    /// Sends `signal` to the process, if it still runs.
    pub(crate) fn signal(self, signal: Signal) -> Result<(), BrokersError> {
        if self.state() == ProcessState::Ended {
            return Ok(());
        }
        let Some(pid) = Pid::from_raw(self.pid) else { return Ok(()) };
        match kill_process(pid, signal) {
            // It has ended meanwhile.
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(BrokersError::Io {
                doing: format!("send a signal to process {}", self.pid),
                source: io::Error::from(error),
            }),
        }
    }
}

fn look(pid: i32) -> Option<(ProcessState, u64)> {
    parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Reads a line of /proc/PID/stat, in which the name of the program may hold anything.
fn parse(line: &str) -> Option<(ProcessState, u64)> {
    let (_, behind_name) = line.rsplit_once(')')?;
    let mut fields = behind_name.split_ascii_whitespace();
    let state = match fields.next()? {
        "Z" | "X" | "x" => ProcessState::Ended,
        "T" | "t" => ProcessState::Paused,
        _ => ProcessState::Runs,
    };
    // The 22nd field of the line; the state is the third.
    let started = fields.nth(18)?.parse().ok()?;
    Some((state, started))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_line_is_read_whatever_the_program_is_called() {
        let rest = "1 1 1 0 -1 4 1 2 3 4 5 6 7 8 20 0 80 0 4242 9 9";
        for (name, state, want) in [
            ("java", "S", ProcessState::Runs),
            ("a) Z (b", "R", ProcessState::Runs),
            ("java", "T", ProcessState::Paused),
            ("java", "Z", ProcessState::Ended),
        ] {
            assert_eq!(parse(&format!("7 ({name}) {state} {rest}")), Some((want, 4242)), "{name}");
        }
        assert_eq!(parse("7 (java) S 1 1"), None);
    }

    #[test]
    fn an_id_that_belongs_to_another_process_is_no_more_ours() {
        let mut child =
            Command::new("tail").args(["-f", "/dev/null"]).spawn().expect("tail exists");
        let process = BrokerProcess::of(child.id().cast_signed()).expect("it runs");
        assert_ne!(process.state(), ProcessState::Ended);
        let other = BrokerProcess { started: process.started + 1, ..process };
        assert_eq!(other.state(), ProcessState::Ended);
        other.signal(Signal::KILL).expect("nothing is sent");
        assert_ne!(process.state(), ProcessState::Ended);
        process.signal(Signal::KILL).expect("it is ours");
        child.wait().expect("it was started");
        assert_eq!(process.state(), ProcessState::Ended);
    }
}
