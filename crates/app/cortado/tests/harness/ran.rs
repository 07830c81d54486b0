//! The command line, run to its end.
//!
//! Start reading at [`Ran`].

use super::Server;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::thread;

/// What a command has printed, and how it ended.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// What the binary takes from its environment.
const VARIABLES: [&str; 29] = [
    "CORTADO_URL",
    "CORTADO_LOG",
    "CORTADO_NODES",
    "CORTADO_LISTEN",
    "CORTADO_DATA",
    "CORTADO_ALLOW_HOSTS",
    "CORTADO_CONFIG",
    "CORTADO_LOG_FORMAT",
    "CORTADO_LOG_SIZE",
    "CORTADO_COMPLETE",
    "NOTIFY_SOCKET",
    "CORTADO_NODE",
    "CORTADO_ROLE",
    "CORTADO_ADVERTISE",
    "CORTADO_PEER_LISTEN",
    "CORTADO_PEER_ADVERTISE",
    "CORTADO_KAFKA",
    "CORTADO_KAFKA_PASSWORD_FILE",
    "CORTADO_PREFIX",
    "CORTADO_ALLOW_UNREPLICATED_LOG",
    "CORTADO_ZONE",
    "CORTADO_CAPACITY",
    "CORTADO_PEER_SECRET_FILE",
    "CORTADO_PEER_NETWORK_PRIVATE",
    "CORTADO_PEER_CA_FILE",
    "CORTADO_PEER_CERTIFICATE_FILE",
    "CORTADO_PEER_KEY_FILE",
    "CORTADO_PEER_DOMAIN",
    "CORTADO_NEXT_FORMAT",
];

/// The built binary, free of the caller's environment.
pub fn binary() -> Command {
    unset(Command::new(env!("CARGO_BIN_EXE_cortado")))
}

/// The same, run by the program `by`.
pub fn binary_by(by: &str) -> Command {
    let mut command = unset(Command::new(by));
    command.arg(env!("CARGO_BIN_EXE_cortado"));
    command
}

fn unset(mut command: Command) -> Command {
    for variable in VARIABLES {
        command.env_remove(variable);
    }
    command
}

/// What a command writes to a terminal.
pub fn on_a_terminal(mut command: Command) -> String {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let controller = openpt(flags).expect("a terminal");
    grantpt(&controller).and_then(|()| unlockpt(&controller)).expect("it is ours");
    let name = ptsname(&controller, Vec::new()).expect("it has a name");
    let mut options = OpenOptions::new();
    let terminal = options.read(true).write(true).open(name.to_str().expect("UTF-8"));
    command.stdin(Stdio::null()).stdout(terminal.expect("open")).stderr(Stdio::null());
    let mut process = command.spawn().expect("cannot run the binary");
    // The last of its terminals: reading fails when the process has closed its own.
    drop(command);
    let mut bytes = Vec::new();
    // EIO is the end of a terminal.
    let _ = File::from(controller).read_to_end(&mut bytes);
    assert_eq!(process.wait().expect("it was started").code(), Some(0));
    String::from_utf8(bytes).expect("UTF-8")
}

impl Ran {
    /// Runs the binary without a server.
    pub fn alone(arguments: &[&str]) -> Ran {
        let mut command = binary();
        command.args(arguments);
        Ran::of(command, "")
    }

    /// Runs `command` with `input` on its standard input.
    pub fn of(command: Command, input: &str) -> Ran {
        Ran::of_bytes(command, input.as_bytes())
    }

    /// The same with bytes that are no text.
    pub fn of_bytes(mut command: Command, input: &[u8]) -> Ran {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().expect("cannot run the binary");
        let mut stdin = process.stdin.take().expect("piped");
        let input = input.to_owned();
        // On its own thread, so that the output is read meanwhile; the command may not read it all.
        let writer = thread::spawn(move || stdin.write_all(&input));
        let output = process.wait_with_output().expect("it was started");
        let _ = writer.join().expect("writing does not panic");
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        Ran {
            code: output.status.code().unwrap_or(-1),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }

    /// It must have done what it was asked; answers standard output.
    #[track_caller]
    pub fn done(self) -> String {
        assert_eq!(self.code, 0, "{}{}", self.out, self.err);
        self.out
    }

    /// It must have ended with `code`, and standard error must hold every one of `texts`.
    #[track_caller]
    pub fn refused(self, code: i32, texts: &[&str]) -> Ran {
        assert_eq!(self.code, code, "{}{}", self.out, self.err);
        for text in texts {
            assert!(self.err.contains(text), "no {text:?} in: {}", self.err);
        }
        self
    }
}

impl Server {
    /// Where it listens, as clients spell it.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Runs the command line against it.
    pub fn cortado(&self, arguments: &[&str]) -> Ran {
        self.cortado_with(arguments, "")
    }

    /// The same with text on standard input.
    pub fn cortado_with(&self, arguments: &[&str], input: impl AsRef<[u8]>) -> Ran {
        let mut command = binary();
        command.env("CORTADO_URL", self.url()).args(arguments);
        Ran::of_bytes(command, input.as_ref())
    }
}
