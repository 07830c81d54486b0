//! `cortado serve`: one node of a cluster, or a router to it, in a process of its own.
//!
//! Start reading at [`run`]; what runs is [`ServedNode`].

mod gossiping;
mod node_directory;
mod node_store;
mod running;
mod settings;

pub(crate) use running::{open_beats, open_log};
pub(crate) use settings::RawServe;

use crate::dev::warn_if_exposed;
use crate::failure::{Exit, Failure};
use crate::kafka_arguments::KafkaArguments;
use crate::logging::{self, LogFormat};
use crate::service_manager::{Notice, notify};
use crate::stop_signals::{ReloadSignal, StopSignals};
use crate::terminal::stdout;
use clap::{Args, ValueHint};
use running::ServedNode;
use settings::{Is, Role, ServeSettings};
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;
use tracing::info;

/// What `cortado serve` is told.
#[derive(Debug, Args)]
pub(crate) struct ServeArguments {
    /// Name of this node, which it keeps: a-z, 0-9, dots and hyphens
    #[arg(long, value_name = "NAME", env = "CORTADO_NODE")]
    node: Option<String>,
    /// What this process is [default: node]
    #[arg(long, value_enum, env = "CORTADO_ROLE")]
    role: Option<Role>,
    /// Data directory of this node
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, env = "CORTADO_DATA")]
    data: Option<PathBuf>,
    /// Address to listen on for clients; port 0 takes a free port [default: 127.0.0.1:7171]
    #[arg(long, value_name = "HOST:PORT", env = "CORTADO_LISTEN")]
    listen: Option<String>,
    /// Where clients reach this process, if not where it listens
    #[arg(long, value_name = "URL", env = "CORTADO_ADVERTISE")]
    advertise: Option<String>,
    /// Address to listen on for other nodes, TCP and UDP [default: 127.0.0.1:7172; of a router, a
    /// free port where it listens for clients]
    #[arg(long, value_name = "HOST:PORT", env = "CORTADO_PEER_LISTEN")]
    peer_listen: Option<String>,
    /// Where other nodes reach this one, if not where it listens for them
    #[arg(long, value_name = "HOST:PORT", env = "CORTADO_PEER_ADVERTISE")]
    peer_advertise: Option<String>,
    /// Address of another node, for as long as the log does not tell where they are; repeated, or
    /// separated by commas
    #[arg(long = "seed", value_name = "HOST:PORT", env = "CORTADO_SEEDS", value_delimiter = ',')]
    seeds: Vec<String>,
    #[command(flatten)]
    log: KafkaArguments,
    /// What fails together with this node, such as a rack
    #[arg(long, value_name = "NAME", env = "CORTADO_ZONE")]
    zone: Option<String>,
    /// How much this node takes in proportion to others [default: 100]
    #[arg(long, value_name = "N", env = "CORTADO_CAPACITY")]
    capacity: Option<u32>,
    /// Name of a host, without a port, under which clients may reach this process; repeated, or
    /// separated by commas. Addresses and localhost always may
    #[arg(
        long = "allow-host",
        value_name = "NAME",
        env = "CORTADO_ALLOW_HOSTS",
        value_delimiter = ','
    )]
    allow_hosts: Vec<String>,
    /// File with a secret of 32 bytes or more that all nodes share
    #[arg(
        long,
        value_name = "FILE",
        value_hint = ValueHint::FilePath,
        env = "CORTADO_PEER_SECRET_FILE"
    )]
    peer_secret_file: Option<PathBuf>,
    /// Nobody but the nodes is on the network between them: a secret is enough there
    #[arg(
        long,
        num_args = 0..=1,
        default_missing_value = "true",
        env = "CORTADO_PEER_NETWORK_PRIVATE"
    )]
    peer_network_private: Option<bool>,
    /// File with the authorities of the nodes' certificates, PEM
    #[arg(
        long,
        value_name = "FILE",
        value_hint = ValueHint::FilePath,
        env = "CORTADO_PEER_CA_FILE"
    )]
    peer_ca_file: Option<PathBuf>,
    /// File with this node's certificate, PEM
    #[arg(
        long,
        value_name = "FILE",
        value_hint = ValueHint::FilePath,
        env = "CORTADO_PEER_CERTIFICATE_FILE"
    )]
    peer_certificate_file: Option<PathBuf>,
    /// File with its private key, PEM
    #[arg(
        long,
        value_name = "FILE",
        value_hint = ValueHint::FilePath,
        env = "CORTADO_PEER_KEY_FILE"
    )]
    peer_key_file: Option<PathBuf>,
    /// What stands behind the names of nodes in their certificates, such as db.example.com
    #[arg(long, value_name = "DOMAIN", env = "CORTADO_PEER_DOMAIN")]
    peer_domain: Option<String>,
    /// For tests of upgrades: declares the next feature level, as the next version will
    #[arg(long, env = "CORTADO_NEXT_FORMAT", hide = true)]
    next_format: bool,
    /// TOML file: the options' names with underscores, and `kafka`, a table of client properties;
    /// options and environment take precedence
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

/// How long threads are waited for that hang on a disk, or in the Kafka client, when everything has
/// ended that matters.
const LEFT_BEHIND: Duration = Duration::from_secs(2);

/// Serves until a signal asks for the end, or the cluster does not let the node live.
pub(crate) fn run(arguments: ServeArguments) -> Result<Exit, Failure> {
    let log_format = arguments.log_format;
    let file = arguments.config.as_deref().map(RawServe::read).transpose()?.unwrap_or_default();
    let settings = raw(arguments).over(file).validate()?;
    logging::begin(log_format, logging::OF_A_SERVER)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(Failure::new)?;
    let ended = runtime.block_on(serve(settings, log_format));
    runtime.shutdown_timeout(LEFT_BEHIND);
    match (ended, log_format) {
        // Standard error is the log, of which every line is JSON.
        (Err(failure), LogFormat::Json) => {
            failure.log();
            Ok(failure.exit())
        }
        (ended, LogFormat::Json | LogFormat::Text) => ended,
    }
}

fn raw(arguments: ServeArguments) -> RawServe {
    let ServeArguments { allow_hosts, seeds, .. } = arguments;
    RawServe {
        node: arguments.node,
        role: arguments.role,
        data: arguments.data,
        listen: arguments.listen,
        advertise: arguments.advertise,
        peer_listen: arguments.peer_listen,
        peer_advertise: arguments.peer_advertise,
        seeds: (!seeds.is_empty()).then_some(seeds),
        zone: arguments.zone,
        capacity: arguments.capacity,
        allow_hosts: (!allow_hosts.is_empty()).then_some(allow_hosts),
        peer_secret_file: arguments.peer_secret_file,
        peer_network_private: arguments.peer_network_private,
        peer_ca_file: arguments.peer_ca_file,
        peer_certificate_file: arguments.peer_certificate_file,
        peer_key_file: arguments.peer_key_file,
        peer_domain: arguments.peer_domain,
        next_format: arguments.next_format,
        ..RawServe::of_log(arguments.log)
    }
}

async fn serve(settings: ServeSettings, log_format: LogFormat) -> Result<Exit, Failure> {
    let mut signals = StopSignals::listen_beside_reload()?;
    let mut reload = ReloadSignal::listen()?;
    let what = match &settings.is {
        Is::Node(node) => format!("node {}", node.description.name),
        Is::Router(_) => "router".to_owned(),
    };
    let running = tokio::select! {
        started = ServedNode::start(settings) => started?,
        () = signals.next() => return Err(Failure::new("interrupted during the start")),
    };
    warn_if_exposed(running.address(), log_format);
    // Served is also who does not read it, as in `cortado serve | head -3`.
    let _ = greet(&running, &what);
    let refused = tokio::select! {
        () = tell_when_ready(&running) => None,
        () = reload_when_told(&running, &mut reload) => None,
        () = signals.next() => None,
        why = running.refused() => Some(why),
    };
    notify(Notice::Stopping);
    signals.end_at_once();
    if let Some(why) = refused {
        running.stop().await;
        return Err(Failure::new(format!("the cluster refused this node: {why}")));
    }
    info!("shutting down; a second signal ends at once");
    running.hand_over().await;
    running.stop().await;
    Ok(Exit::Done)
}

/// Tells the service manager when the process serves what it should. Never ends.
async fn tell_when_ready(running: &ServedNode) {
    running.ready().await;
    info!("ready");
    notify(Notice::Ready { url: &running.url() });
    std::future::pending().await
}

/// Reads certificates and secrets again whenever that is ordered. Never ends.
async fn reload_when_told(running: &ServedNode, reload: &mut ReloadSignal) {
    loop {
        reload.next().await;
        running.reload();
    }
}

/// Says where it listens. Programs wait for the line `listening on`.
fn greet(running: &ServedNode, what: &str) -> io::Result<()> {
    let url = running.url();
    let greeting = format!(
        "cortado {}, {what} of cluster {}\nlistening on {url}\n\n",
        env!("CARGO_PKG_VERSION"),
        running.cluster(),
    );
    let mut out = stdout();
    out.write_all(greeting.as_bytes())?;
    out.flush()
}

/// Shown below the options.
pub(crate) const HELP: &str = "\
Examples:
  cortado cluster init --kafka broker1:9092,broker2:9092,broker3:9092
  cortado serve --kafka broker1:9092 --node tokyo-1 --data /var/lib/cortado
  cortado serve --config /etc/cortado.toml
  cortado serve --kafka broker1:9092 --role router --listen 127.0.0.1:7173

A node finds all others by the log: it needs no list of them (but see --seed). Its name
stays with its data directory; if that is lost, `cortado node replace NAME` lets a new one
take its place. A router finds the node that a request is for, and keeps nothing.

/readyz answers 200 when the node has registered and its replicas work. SIGINT and SIGTERM end
a process in order: its leaderships go to other nodes first. SIGHUP lets it read its
certificates and secrets again. Under systemd, Type=notify works.

Beyond loopback, nodes prove to one another who they are: with certificates
(--peer-ca-file, --peer-certificate-file, --peer-key-file), or with a secret
(--peer-secret-file) on a network that is declared private (--peer-network-private).

An option wins over the environment, and that over the file.";
