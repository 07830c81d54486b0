//! `cortado dev`: a server with several nodes in this process.
//!
//! Start reading at [`run`]; what runs is [`Running`].

mod descriptors;
mod running;
mod stores;

pub(crate) use descriptors::{Descriptors, raise_limit};
pub(crate) use running::Running;

use crate::data_directory::DataDirectory;
use crate::failure::{Exit, Failure};
use crate::logging::{self, LogFormat};
use crate::output::tell;
use crate::service_manager::{Notice, notify};
use crate::settings::{RawSettings, Settings};
use crate::stop_signals::StopSignals;
use crate::terminal::stdout;
use clap::{Args, ValueHint};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use tracing::{info, warn};

/// What `cortado dev` is told.
#[derive(Debug, Args)]
pub(crate) struct DevArguments {
    /// Number of nodes in this process [default: 3]
    #[arg(long, value_name = "N", env = "CORTADO_NODES")]
    nodes: Option<u32>,
    /// Address to listen on; port 0 takes a free port [default: 127.0.0.1:7171]
    #[arg(long, value_name = "HOST:PORT", env = "CORTADO_LISTEN")]
    listen: Option<String>,
    /// Data directory; without it, a temporary folder that is removed at the end
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, env = "CORTADO_DATA")]
    data: Option<PathBuf>,
    /// Name of a host, without a port, under which clients may reach the server, such as the one
    /// that a proxy passes on; repeated, or separated by commas. Addresses and localhost always may
    #[arg(
        long = "allow-host",
        value_name = "NAME",
        env = "CORTADO_ALLOW_HOSTS",
        value_delimiter = ','
    )]
    allow_hosts: Vec<String>,
    /// How much the log keeps at most while all nodes are well [default: 2GiB]
    #[arg(long, env = "CORTADO_LOG_SIZE", value_name = "SIZE")]
    log_size: Option<String>,
    /// TOML file with nodes, listen, data, allow_hosts and log_size; options and environment take
    /// precedence
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, env = "CORTADO_CONFIG")]
    config: Option<PathBuf>,
    /// Format of the log, which goes to standard error
    #[arg(
        long,
        value_enum,
        value_name = "FORMAT",
        default_value = "text",
        env = "CORTADO_LOG_FORMAT"
    )]
    log_format: LogFormat,
}

/// Serves until a signal asks for the end.
pub(crate) fn run(arguments: DevArguments) -> Result<Exit, Failure> {
    let DevArguments { nodes, listen, data, allow_hosts, log_size, config, log_format } = arguments;
    let file = config.as_deref().map(RawSettings::read).transpose()?.unwrap_or_default();
    let allow_hosts = (!allow_hosts.is_empty()).then_some(allow_hosts);
    let settings =
        RawSettings { nodes, listen, data, allow_hosts, log_size }.over(file).validate()?;
    logging::begin(log_format, logging::OF_A_SERVER)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let ended = runtime.map_err(Failure::new)?.block_on(serve(settings, log_format));
    match (ended, log_format) {
        // Standard error is the log, of which every line is JSON.
        (Err(failure), LogFormat::Json) => {
            failure.log();
            Ok(failure.exit())
        }
        (ended, LogFormat::Json | LogFormat::Text) => ended,
    }
}

async fn serve(settings: Settings, log_format: LogFormat) -> Result<Exit, Failure> {
    let mut signals = StopSignals::listen()?;
    let running = tokio::select! {
        started = Running::start(settings) => started?,
        () = signals.next() => return Err(Failure::new("interrupted during the start")),
    };
    logging::name_databases(running.name_of_database());
    warn_if_exposed(running.address(), log_format);
    notify(Notice::Ready { url: &running.url() });
    // Served is also who does not read it, as in `cortado dev | head -3`.
    let _ = greet(&running);
    let failed = tokio::select! {
        () = signals.next() => None,
        why = running.log_failed() => Some(why),
    };
    notify(Notice::Stopping);
    signals.end_at_once();
    if let Some(why) = failed {
        running.break_off().await;
        return Err(log_failed(&why));
    }
    info!("shutting down; a second signal ends at once");
    running.stop().await;
    Ok(Exit::Done)
}

/// Says loudly who may do everything, where that is more than this machine.
pub(crate) fn warn_if_exposed(address: SocketAddr, log_format: LogFormat) {
    let Some(exposure) = exposure(address) else { return };
    warn!(%address, "{exposure}");
    match log_format {
        // Whatever the level of the log; between empty lines, so that it is seen.
        LogFormat::Text => tell(&format!("\nWARNING: {exposure}\n")),
        // Every line on standard error is JSON.
        LogFormat::Json => {}
    }
}

/// Who may do everything to a server that listens on `address`; `None` if that is this machine.
fn exposure(address: SocketAddr) -> Option<String> {
    let at = match address.ip().to_canonical() {
        ip if ip.is_loopback() => return None,
        ip if ip.is_unspecified() => "any address of this machine".to_owned(),
        ip => ip.to_string(),
    };
    let port = address.port();
    Some(format!(
        "this server has no authentication and no encryption: every machine that can reach {at} on \
         port {port} can read, change and drop all databases and stop nodes. Let a firewall decide \
         which machines that are, or listen on loopback (--listen 127.0.0.1:{port}) behind a proxy \
         that authenticates; --allow-host NAME limits the names under which browsers reach it"
    ))
}

/// After a failed write or sync nobody knows what the disk holds: only reading it back tells.
fn log_failed(why: &str) -> Failure {
    Failure::new(format!("the log has failed, so the server ends: {why}"))
        .next("look for errors of that disk, as in `dmesg`, and replace it if it fails")
        .next("start again: every acknowledged write is read back and checked")
}

/// Says where it listens and what to do next. Programs wait for the line `listening on`.
fn greet(running: &Running) -> io::Result<()> {
    let url = running.url();
    let data = data_line(running.data());
    let nodes = match running.nodes() {
        1 => "1 node".to_owned(),
        nodes => format!("{nodes} nodes"),
    };
    let greeting = format!(
        "cortado {}, {nodes} in this process\n\
         {data}\n\
         listening on {url}\n\
         \n\
         next, in another terminal{}:\n  \
           cortado db create geo\n  \
           cortado table create geo/place --key country,admin1,name\n  \
           cortado put geo/place/JP/40/Kitakyushu '{{\"lat\":33.85}}'\n  \
           curl {url}/v1/geo/place/JP/40/Kitakyushu\n  \
           cortado status --watch\n\
         Ctrl-C ends the server.\n\n",
        env!("CARGO_PKG_VERSION"),
        if running.has_default_address() {
            String::new()
        } else {
            format!(" (export CORTADO_URL={url})")
        },
    );
    // In one piece: a program that waits for its line may close the pipe behind it.
    let mut out = stdout();
    out.write_all(greeting.as_bytes())?;
    out.flush()
}

fn data_line(data: &DataDirectory) -> String {
    let path = data.path().display();
    if data.is_temporary() {
        format!("data in {path}, removed at the end; --data DIR keeps it")
    } else {
        format!("data in {path}")
    }
}

/// Shown below the options.
pub(crate) const HELP: &str = "\
Examples:
  cortado dev                               data in a temporary folder
  cortado dev --data ./data
  cortado dev --nodes 1 --listen 127.0.0.1:0 --data ./data
  cortado dev --config dev.toml             with `nodes = 3` and `data = \"data\"`, say
  CORTADO_LISTEN=127.0.0.1:8080 CORTADO_DATA=/var/lib/cortado cortado dev
  CORTADO_LOG=cortado_http=debug,info cortado dev --log-format json 2> server.log

The nodes share one log on this machine's disk, and each keeps a store of its own: a node
can be killed (`cortado node kill n2`) and every partition that it led is served by
another one within a second or so. A write is acknowledged when it is on the disk: the
whole process may be killed too. SIGINT, SIGTERM and SIGHUP end it in order (under nohup,
SIGHUP does nothing); a second one ends it at once. Under systemd, Type=notify works.

An option wins over the environment, and that over the file.

CORTADO_LOG says what is logged: a level (error, warn, info, debug, trace) or target=level,
separated by commas. Targets are cortado_http (requests), cortado_gateway (declarations, the
journal), cortado_node (nodes, replicas, leaderships) and cortado_log_embedded (the log's
files); by default, the level is info. NO_COLOR=1 leaves colours out.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_beyond_loopback_says_who_can_reach_it() {
        let says = |address: &str| exposure(address.parse().expect("an address"));
        for own in ["127.0.0.1:7171", "127.1.2.3:1", "[::1]:7171", "[::ffff:127.0.0.1]:7171"] {
            assert_eq!(says(own), None, "{own}");
        }
        let anywhere = says("0.0.0.0:7171").expect("a warning");
        assert!(anywhere.contains("no authentication"), "{anywhere}");
        assert!(anywhere.contains("any address of this machine on port 7171"), "{anywhere}");
        assert_eq!(says("[::]:7171"), Some(anywhere));
        assert!(says("10.0.0.7:80").is_some_and(|text| text.contains("reach 10.0.0.7 on port 80")));
    }
}
