//! A process that ends with the one that started it, whatever becomes of that.
//!
//! A shell stands between the two and waits for the end of a pipe, so that not even `kill -9`
//! leaves anything behind. Start reading at [`GuardedProcess::start`].

use crate::broker_process::{BrokerProcess, ProcessState};
use crate::error::{BrokersError, at};
use rustix::process::Signal;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Starts its arguments in the background, tells their process id, and ends them when its standard
/// input ends.
const GUARD: &str = r#"out=$1; shift
"$@" </dev/null >>"$out" 2>&1 &
echo $!
read -r _
kill -KILL $! 2>/dev/null
wait"#;
/// How long a process may take to do what a signal says.
pub(crate) const OBEYS_WITHIN: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A process that is killed when this is dropped, and when the process that dropped nothing ends.
#[derive(Debug)]
pub struct GuardedProcess {
    process: BrokerProcess,
    _guard: Guard,
}

/// Ends the process when it is dropped.
#[derive(Debug)]
struct Guard {
    shell: Child,
    /// The shell waits for its end.
    input: Option<ChildStdin>,
}

impl GuardedProcess {
    /// Starts program, arguments and environment of `command`; what it says is appended to the
    /// file `output`.
    ///
    /// It is in a process group of its own: Ctrl-C reaches the caller alone.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(command: &Command, output: &Path) -> Result<GuardedProcess, BrokersError> {
        // So that what is wrong with the file is told here, and not in the file.
        let file = File::options().create(true).append(true).open(output);
        file.map_err(at("write", output))?;
        let mut shell = Command::new("sh");
        shell.args(["-c", GUARD, "sh"]).arg(output);
        shell.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        shell.stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
        let mut shell = shell.spawn().map_err(not_started)?;
        let (input, told) = (shell.stdin.take(), shell.stdout.take());
        let guard = Guard { shell, input };
        let process = told.map(BufReader::new).and_then(|mut told| {
            let mut line = String::new();
            told.read_line(&mut line).ok()?;
            BrokerProcess::of(line.trim().parse().ok()?)
        });
        match process {
            Some(process) => Ok(GuardedProcess { process, _guard: guard }),
            None => Err(not_started(io::ErrorKind::NotFound.into())),
        }
    }

    pub(crate) fn process(&self) -> BrokerProcess {
        self.process
    }

    /// Its process id.
    pub fn pid(&self) -> i32 {
        self.process.pid
    }

    /// Whether it has ended.
    pub fn has_ended(&self) -> bool {
        self.process.state() == ProcessState::Ended
    }

    /// SIGKILL, and its end.
    ///
    /// # Errors
    /// The system refuses the signal.
    pub fn kill(self) -> Result<(), BrokersError> {
        self.end(Signal::KILL)
    }

    /// SIGTERM, and its end; killed if that takes very long.
    ///
    /// # Errors
    /// The system refuses the signal.
    pub fn stop(self) -> Result<(), BrokersError> {
        self.end(Signal::TERM)
    }

    fn end(self, signal: Signal) -> Result<(), BrokersError> {
        self.process.signal(signal)?;
        wait_until(self.process, &[ProcessState::Ended], OBEYS_WITHIN);
        Ok(())
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.input = None;
        // It waits for the process, which was killed: no zombie is left.
        let _ = self.shell.wait();
    }
}

/// Waits until a process is in one of `states`; answers whether it is.
pub(crate) fn wait_until(
    process: BrokerProcess,
    states: &[ProcessState],
    within: Duration,
) -> bool {
    let begun = Instant::now();
    while !states.contains(&process.state()) {
        if begun.elapsed() > within {
            return false;
        }
        thread::sleep(LOOK_EVERY);
    }
    true
}

pub(crate) fn not_started(source: io::Error) -> BrokersError {
    BrokersError::Io { doing: "start a process".to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_guarded_process_ends_when_it_is_dropped_and_its_output_is_kept() {
        let folder = tempfile::tempdir().expect("the machine has a directory for tests");
        let output = folder.path().join("output.txt");
        let mut command = Command::new("sh");
        command.args(["-c", "echo $WORD; exec tail -f /dev/null"]).env("WORD", "hello");
        let guarded = GuardedProcess::start(&command, &output).expect("there is a shell");
        let process = guarded.process();
        let begun = Instant::now();
        while fs::read_to_string(&output).expect("it is ours") != "hello\n" {
            assert!(begun.elapsed() < OBEYS_WITHIN && !guarded.has_ended());
            thread::park_timeout(LOOK_EVERY);
        }
        drop(guarded);
        assert_eq!(process.state(), ProcessState::Ended);
        let again = GuardedProcess::start(&command, &output).expect("there is a shell");
        again.stop().expect("it is ours");
    }
}
