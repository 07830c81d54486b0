//! How the process of a broker is started, and how it ends with whom it belongs to.
//!
//! Start reading at [`Launcher::start`].

use crate::broker_process::{BrokerProcess, ProcessState};
use crate::error::{BrokersError, at};
use crate::guarded_process::{GuardedProcess, not_started};
use crate::jars::Jars;
use crate::java::Java;
use std::fs::{self, File};
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How a broker's Java is called, beside compilers, class path and archive.
const FLAGS: [&str; 7] = [
    "-Xms96m",
    "-Xmx320m",
    "-XX:MaxDirectMemorySize=96m",
    "-XX:+UseSerialGC",
    "-Djava.awt.headless=true",
    "-Dlog4j2.disable.jmx=true",
    // Large records would otherwise leave large buffers behind in every thread.
    "-Djdk.nio.maxCachedBufferSize=262144",
];
const LOG_SETTINGS: &str = include_str!("../broker/log4j2.properties");
/// How long a broker may take until it can be connected to; a machine with much to do is slow.
const READY_WITHIN: Duration = Duration::from_secs(600);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How a broker's code is compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compilation {
    /// By the first compiler only: short runs on few cores are twice as fast.
    Quick,
    /// As Java does it by itself: once warm, brokers take a third less of the processor.
    Full,
}

/// Whatever is the same for every broker.
#[derive(Clone, Debug)]
pub(crate) struct Launcher {
    pub(crate) java: Java,
    pub(crate) jars: Jars,
    /// What to do with the archive of classes, as flags.
    pub(crate) archive: Vec<String>,
    pub(crate) compilation: Compilation,
}

impl Launcher {
    /// A class of the jars as a command.
    ///
    /// * `log`: the file that its log goes to.
    pub(crate) fn java(&self, class: &str, folder: &Path, log: &Path) -> Command {
        let settings = folder.join("log4j2.properties");
        let mut command = Command::new(&self.java.program);
        command.args(FLAGS).args(&self.archive);
        match self.compilation {
            Compilation::Quick => drop(command.arg("-XX:TieredStopAtLevel=1")),
            Compilation::Full => {}
        }
        command.arg(format!("-Dlog4j2.configurationFile={}", settings.display()));
        command.arg(format!("-Dkafka.log={}", log.display()));
        command.args(["-cp", &self.jars.class_path(), class]).stdin(Stdio::null());
        command
    }

    /// Writes the settings of the log that every command in `folder` reads.
    pub(crate) fn prepare(folder: &Path) -> Result<(), BrokersError> {
        let settings = folder.join("log4j2.properties");
        fs::write(&settings, LOG_SETTINGS).map_err(at("write", &settings))
    }

    fn broker(&self, folder: &Path) -> Command {
        let log = log_of(folder);
        // That of the former life is kept; the new one tells when it has started.
        let _ = fs::rename(&log, folder.join("server.log.former"));
        let mut command = self.java("kafka.Kafka", folder, &log);
        command.arg(folder.join("server.properties"));
        command
    }

    /// Starts a broker that lives on when this process has ended, in a process group of its own.
    pub(crate) fn start(&self, folder: &Path) -> Result<BrokerProcess, BrokersError> {
        let output = output_of(folder);
        let file = File::options().create(true).append(true).open(&output);
        let file = file.map_err(at("write", &output))?;
        let errors = file.try_clone().map_err(at("write", &output))?;
        let mut command = self.broker(folder);
        command.stdout(file).stderr(errors).process_group(0);
        let mut child = command.spawn().map_err(not_started)?;
        let process = BrokerProcess::of(child.id().cast_signed());
        // Should it end while this process lives, it is no zombie.
        thread::spawn(move || child.wait());
        process.ok_or_else(|| not_started(io::ErrorKind::NotFound.into()))
    }

    /// Starts a broker that ends when what is answered is dropped, or this process has ended.
    pub(crate) fn start_guarded(&self, folder: &Path) -> Result<GuardedProcess, BrokersError> {
        GuardedProcess::start(&self.broker(folder), &output_of(folder))
    }
}

/// Waits until broker `id` has started, and accepts connections: the controller has let it in.
///
/// # Errors
/// It has ended, or takes longer than a broker may.
pub(crate) fn wait_until_ready(
    id: u32,
    process: BrokerProcess,
    address: SocketAddr,
    folder: &Path,
) -> Result<(), BrokersError> {
    let begun = Instant::now();
    let not_ready = |why: &str| {
        Err(BrokersError::NotReady { id, why: why.to_owned(), last_lines: last_lines(folder) })
    };
    loop {
        if process.state() == ProcessState::Ended {
            return not_ready("it has ended");
        }
        let has_started =
            || fs::read_to_string(log_of(folder)).is_ok_and(|log| log.contains(STARTED));
        if TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok() && has_started() {
            return Ok(());
        }
        if begun.elapsed() > READY_WITHIN {
            return not_ready("it has not started");
        }
        thread::sleep(LOOK_EVERY);
    }
}

/// What a broker writes when it has started: one that is told to end before does so in no order.
const STARTED: &str = "Kafka Server started";

fn log_of(folder: &Path) -> PathBuf {
    folder.join("server.log")
}

fn output_of(folder: &Path) -> PathBuf {
    folder.join("output.txt")
}

/// The end of what a broker has written, for who must find out what is wrong.
fn last_lines(folder: &Path) -> String {
    let mut lines = Vec::new();
    for file in [log_of(folder), output_of(folder)] {
        let text = fs::read_to_string(file).unwrap_or_default();
        let from = text.lines().count().saturating_sub(15);
        lines.extend(text.lines().skip(from).map(str::to_owned));
    }
    lines.join("\n")
}
