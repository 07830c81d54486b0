//! Child processes: printed before they run, their output passed on as it comes.
//!
//! Never hides an exit code. Start reading at [`Invocation`].

use std::io::{self, BufRead, BufReader, PipeReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// One command line, as a person could type it in the root of the checkout.
#[derive(Debug)]
pub(crate) struct Invocation {
    program: String,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
}

/// How a child process ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// With exit code 0.
    Well,
    /// In another way; `why` says in which.
    Badly {
        /// The exit code; `None` after a signal, and where a process was left behind.
        code: Option<i32>,
        /// What to tell the person who waits for it.
        why: String,
    },
}

impl Invocation {
    /// `cargo` with `arguments`.
    pub(crate) fn cargo<I: IntoIterator<Item = S>, S: Into<String>>(arguments: I) -> Invocation {
        Invocation::new(&crate::project::cargo(), arguments)
    }

    /// `program` with `arguments`.
    pub(crate) fn new<I, S>(program: &str, arguments: I) -> Invocation
    where
        I: IntoIterator<Item = S>,
        S: Into<String>,
    {
        let arguments = arguments.into_iter().map(Into::into).collect();
        Invocation { program: program.to_owned(), arguments, environment: Vec::new() }
    }

    /// Adds an environment variable.
    pub(crate) fn env(mut self, name: &str, value: impl Into<String>) -> Invocation {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// The same, but it takes no time from anything else that runs.
    pub(crate) fn at_lowest_priority(self) -> Invocation {
        let nice = ["-n".to_owned(), "19".to_owned(), self.program];
        let arguments = nice.into_iter().chain(self.arguments).collect();
        Invocation { program: "nice".to_owned(), arguments, environment: self.environment }
    }

    /// Runs it with this process's own output.
    ///
    /// # Errors
    /// The program could not be started.
    pub(crate) fn run(&self, folder: &Path) -> Result<Ended, String> {
        println!("$ {self}");
        let status = self.command(folder).status().map_err(|error| self.not_started(&error))?;
        Ok(Ended::of(status))
    }

    /// Runs it, passes its output on line by line, errors among it, and shows each line to `see`.
    ///
    /// It ends badly, too, when a process that it left behind still holds its output.
    ///
    /// # Errors
    /// The program could not be started, or its output could not be passed on.
    pub(crate) fn run_watched(
        &self,
        folder: &Path,
        see: impl FnMut(&str),
    ) -> Result<Ended, String> {
        println!("$ {self}");
        self.run_copied(folder, io::stdout().lock(), see)
    }

    /// Runs it, and keeps the command and its output, errors among it.
    ///
    /// # Errors
    /// The program could not be started.
    pub(crate) fn run_into(&self, folder: &Path, output: &mut Vec<u8>) -> Result<Ended, String> {
        output.extend(format!("$ {self}\n").bytes());
        self.run_copied(folder, output, |_| {})
    }

    fn run_copied(
        &self,
        folder: &Path,
        to: impl Write,
        see: impl FnMut(&str),
    ) -> Result<Ended, String> {
        let lost = |error: io::Error| format!("output of `{self}`: {error}");
        // One pipe for both, so that the lines come in the order in which they were written.
        let (output, into) = io::pipe().map_err(lost)?;
        let mut command = self.command(folder);
        command.stdout(into.try_clone().map_err(lost)?).stderr(into);
        let mut child = command.spawn().map_err(|error| self.not_started(&error))?;
        // It holds ends of the pipe as well.
        drop(command);
        let followed = follow(&mut child, output, OUTPUT_GRACE, to, see);
        // Waited for even when its output was lost: no child is left behind.
        let status = child.wait().map_err(|error| format!("`{self}`: {error}"))?;
        let all_seen = followed.map_err(lost)?;
        if all_seen {
            return Ok(Ended::of(status));
        }
        Ok(Ended::Badly { code: None, why: format!("{status}, and it left a process behind") })
    }

    fn command(&self, folder: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).current_dir(folder);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    fn not_started(&self, error: &io::Error) -> String {
        format!("cannot run `{}`: {error}", self.program)
    }
}

impl std::fmt::Display for Invocation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (name, value) in &self.environment {
            write!(f, "{name}={value} ")?;
        }
        // The full path of a program, cargo's above all, says nothing to a person.
        let program = |word: &str| word.rsplit('/').next().map(str::to_owned).unwrap_or_default();
        f.write_str(&program(&self.program))?;
        self.arguments.iter().try_for_each(|argument| match argument.ends_with("/cargo") {
            true => write!(f, " {}", program(argument)),
            false => write!(f, " {argument}"),
        })
    }
}

impl Ended {
    fn of(status: std::process::ExitStatus) -> Ended {
        if status.success() {
            return Ended::Well;
        }
        Ended::Badly { code: status.code(), why: status.to_string() }
    }
}

/// How long after its end the output of a child process may still arrive.
const OUTPUT_GRACE: Duration = Duration::from_secs(2);

/// Copies the `output` of `child` to `to` as it comes, and shows each line to `see`.
///
/// Answers whether all of it was seen: not if the child has ended but something that it started
/// still holds the other end of the pipe a `grace` later: it is not waited for.
fn follow(
    child: &mut Child,
    output: PipeReader,
    grace: Duration,
    mut to: impl Write,
    mut see: impl FnMut(&str),
) -> io::Result<bool> {
    let (sender, lines) = mpsc::channel();
    // Ends with the pipe, or with this process.
    thread::spawn(move || read_lines(output, |line| sender.send(line).is_ok()));
    let mut has_ended = false;
    loop {
        match lines.recv_timeout(grace) {
            Ok(line) => {
                to.write_all(&line)?;
                to.flush()?;
                see(String::from_utf8_lossy(&line).trim_end());
            }
            Err(RecvTimeoutError::Disconnected) => return Ok(true),
            // Silent for a whole grace after it was seen to have ended.
            Err(RecvTimeoutError::Timeout) if has_ended => return Ok(false),
            Err(RecvTimeoutError::Timeout) => has_ended = child.try_wait()?.is_some(),
        }
    }
}

/// Takes `from` apart into lines, newlines included, while `take` says yes.
fn read_lines(from: impl io::Read, mut take: impl FnMut(Vec<u8>) -> bool) {
    let mut lines = BufReader::new(from);
    loop {
        let mut line = Vec::new();
        // A pipe that cannot be read has ended for us; the exit code tells the rest.
        match lines.read_until(b'\n', &mut line) {
            Ok(1..) if take(line) => {}
            Ok(_) | Err(_) => return,
        }
    }
}

/// What `program` says of its version; `None` if it cannot be started.
pub(crate) fn version_of(program: &str) -> Option<Vec<u8>> {
    let answer = Command::new(program).arg("--version").stdin(Stdio::null()).output().ok()?;
    answer.status.success().then_some(answer.stdout)
}

/// Whether `program` can be started.
pub(crate) fn is_installed(program: &str) -> bool {
    version_of(program).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invocation_is_printed_as_it_would_be_typed() {
        let run = Invocation::new("/opt/rust/bin/cargo", ["doc", "--no-deps"]);
        let run = run.env("RUSTDOCFLAGS", "-Dwarnings");
        assert_eq!(run.to_string(), "RUSTDOCFLAGS=-Dwarnings cargo doc --no-deps");
        let nice = run.at_lowest_priority().to_string();
        assert_eq!(nice, "RUSTDOCFLAGS=-Dwarnings nice -n 19 cargo doc --no-deps");
    }

    #[test]
    fn what_is_kept_begins_with_the_command_and_has_errors_among_it() {
        let mut kept = Vec::new();
        let run = Invocation::new("sh", ["-c", "nice; echo bad >&2; exit 3"]).at_lowest_priority();
        let ended = run.run_into(Path::new("."), &mut kept).expect("there is a shell");
        assert!(matches!(ended, Ended::Badly { code: Some(3), .. }), "{ended:?}");
        let kept = String::from_utf8(kept).expect("text");
        assert_eq!(kept, "$ nice -n 19 sh -c nice; echo bad >&2; exit 3\n19\nbad\n");
    }

    /// The output of a shell script, the lines that were seen in it, and whether it was all.
    fn output_of(script: &str) -> (Vec<u8>, Vec<String>, bool) {
        let (output, into) = io::pipe().expect("a pipe");
        let mut command = Command::new("sh");
        let mut child = command.args(["-c", script]).stdout(into).spawn().expect("sh");
        drop(command);
        let (mut copy, mut seen) = (Vec::new(), Vec::new());
        let grace = Duration::from_millis(400);
        let all = follow(&mut child, output, grace, &mut copy, |line| seen.push(line.to_owned()));
        let all = all.expect("a pipe");
        child.wait().expect("it was started");
        (copy, seen, all)
    }

    #[test]
    fn output_is_copied_to_the_byte_and_seen_line_by_line() {
        let (copy, seen, all) = output_of(r"printf 'one\n\377 two\r\nopen'");
        assert_eq!(copy, b"one\n\xff two\r\nopen");
        assert_eq!(seen, ["one", "\u{fffd} two", "open"]);
        assert!(all);
    }

    #[test]
    fn a_process_that_was_left_behind_is_not_waited_for() {
        // It ends by itself, with the process that runs this test.
        let (_, seen, all) = output_of("echo one; tail -f /dev/null --pid=$PPID & exit 0");
        assert_eq!(seen, ["one"]);
        assert!(!all);
    }

    #[test]
    fn exit_codes_come_back() {
        let folder = std::env::temp_dir();
        let run = |script: &str| {
            let mut seen = Vec::new();
            let run = Invocation::new("sh", ["-c", script]);
            let ended = run.run_watched(&folder, |line| seen.push(line.to_owned()));
            (ended.expect("sh exists"), seen.join(" "))
        };
        let (ended, seen) = run("echo out; echo err >&2; echo more; exit 4");
        assert!(matches!(ended, Ended::Badly { code: Some(4), why } if why.contains('4')));
        assert_eq!(seen, "out err more");
        assert!(matches!(run("kill -9 $$").0, Ended::Badly { code: None, .. }));
        assert!(matches!(run("exit 0").0, Ended::Well));
        assert!(Invocation::new("no-such-program", [""; 0]).run(&folder).is_err());
        assert!(!is_installed("no-such-program"));
    }
}
