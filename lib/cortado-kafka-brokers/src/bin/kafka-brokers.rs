//! `cargo xtask kafka`: a cluster of real brokers, for people.
//!
//! Decides nothing: the library does. Start reading at [`Command`].

use clap::{Args, Parser, Subcommand};
use cortado_kafka_brokers::{
    BrokerSettings, BrokerStatus, BrokersError, Compilation, KafkaBrokers, Lifetime, Pace,
};
use std::error::Error;
use std::io::Write;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::ExitCode;

/// Prints a line; the reader may have closed the pipe.
macro_rules! tell {
    ($($text:tt)*) => {{
        let _closed = writeln!(std::io::stdout(), $($text)*);
    }};
}

/// Real Kafka brokers on this machine
#[derive(Debug, Parser)]
#[command(name = "cargo xtask kafka", bin_name = "cargo xtask kafka", after_help = HELP)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
    /// The folder of the cluster: state, data, settings and logs of its brokers
    #[arg(long, global = true, value_name = "DIR", default_value = ".cache/kafka")]
    dir: PathBuf,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Fetch, format and start brokers, and print where clients find them
    Up(UpArgs),
    /// Kill all brokers and remove the folder
    Down,
    /// Show every broker
    Status,
    /// Kill a broker: SIGKILL
    Kill { broker: u32 },
    /// Start a broker that was killed
    Start { broker: u32 },
    /// Let a broker stand still: SIGSTOP
    Pause { broker: u32 },
    /// Let a paused broker go on
    Resume { broker: u32 },
}

#[derive(Debug, Args)]
struct UpArgs {
    /// How many, each a controller too
    #[arg(long, value_name = "N", default_value_t = 3)]
    brokers: u32,
    /// The address of this machine that they listen on
    #[arg(long, value_name = "IP", default_value_t = Ipv4Addr::LOCALHOST)]
    address: Ipv4Addr,
    /// Quick to see that a broker is dead: 1 to 3 seconds (the default)
    #[arg(long, conflicts_with = "defaults")]
    tuned: bool,
    /// Kafka's own timeouts: 8 to 13 seconds
    #[arg(long)]
    defaults: bool,
    /// Listeners of their own for so many clients, each behind a relay that you bring
    #[arg(long, value_name = "N", default_value_t = 0)]
    clients: u32,
}

const HELP: &str = "\
The jars come from Maven Central once, are checked, and kept below CORTADO_CACHE, or cortado in \
XDG_CACHE_HOME, or ~/.cache/cortado. Java 17 or newer and Maven must be there. The brokers live \
until `down`.";

fn main() -> ExitCode {
    let line = CommandLine::parse();
    match run(&line) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            let mut cause = error.source();
            while let Some(source) = cause {
                eprintln!("  because: {source}");
                cause = source.source();
            }
            ExitCode::FAILURE
        }
    }
}

fn run(line: &CommandLine) -> Result<(), BrokersError> {
    let open = || KafkaBrokers::open(&line.dir);
    match &line.command {
        Command::Up(args) => {
            let brokers = KafkaBrokers::start(&BrokerSettings {
                folder: line.dir.clone(),
                brokers: args.brokers,
                address: args.address,
                pace: if args.defaults { Pace::Defaults } else { Pace::Quick },
                clients: args.clients,
                secured: None,
                lifetime: Lifetime::UntilEnded,
                compilation: Compilation::Quick,
            })?;
            show(&brokers);
            Ok(())
        }
        Command::Down => open()?.end(),
        Command::Status => open().map(|brokers| show(&brokers)),
        Command::Kill { broker } => open()?.kill(*broker),
        Command::Start { broker } => open()?.start_again(*broker),
        Command::Pause { broker } => open()?.pause(*broker),
        Command::Resume { broker } => open()?.resume(*broker),
    }
}

fn show(brokers: &KafkaBrokers) {
    for (broker, status) in brokers.status() {
        let does = match status {
            BrokerStatus::Runs(pid) => format!("runs, process {pid}"),
            BrokerStatus::Paused(pid) => format!("is paused, process {pid}"),
            BrokerStatus::Ended => "does not run".to_owned(),
        };
        tell!("broker {}  port {}  {does}", broker.id, broker.port);
        for (client, number) in broker.clients.iter().zip(1..) {
            let (listen, advertised) = (client.listen, client.advertised);
            tell!("  client {number}: told {advertised}; relay that to {listen}");
        }
    }
    tell!("bootstrap.servers={}", brokers.bootstrap());
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        CommandLine::command().debug_assert();
    }

    #[track_caller]
    fn check(words: &[&str], accepted: bool) {
        let got = CommandLine::try_parse_from([&["kafka"], words].concat());
        assert_eq!(got.is_ok(), accepted, "{words:?}: {got:?}");
    }

    #[test]
    fn commands_take_what_their_help_shows() {
        check(&["up", "--brokers", "1", "--defaults", "--clients", "2", "--dir", "/d"], true);
        check(&["up", "--tuned", "--defaults"], false);
        check(&["kill", "2"], true);
        check(&["kill"], false);
        check(&["--dir", "/d", "down"], true);
        check(&["restart", "1"], false);
    }
}
