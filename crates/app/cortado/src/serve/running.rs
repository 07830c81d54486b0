//! A node in this process: its directory, log, peers and listener, started and ended in order.
//!
//! Start reading at [`ServedNode::start`].

use super::gossiping::{Gossiping, GossipingNetwork};
use super::node_directory::NodeDirectory;
use super::node_store::{NoStores, NodeStore};
use super::settings::{Is, NodeSettings, ServeSettings};
use crate::data_directory::{DataDirectory, Reserve};
use crate::dev::{Descriptors, raise_limit};
use crate::failure::Failure;
use crate::kafka_arguments::not_opened;
use crate::listener::listen;
use crate::logging;
use crate::node_identities::NodeIdentities;
use crate::private_files;
use crate::process_metrics::metrics_of_process;
use crate::reserve_task::ReserveTask;
use cortado_http::{Limits, Options, Server};
use cortado_log::{LogReadError, VerifyError};
use cortado_log_kafka::{KafkaBeats, KafkaLog, KafkaSettings};
use cortado_metrics::Registry;
use cortado_model::{DatabaseId, NodeId, with_causes};
use cortado_node::{
    Cluster, Components, Founding, IdentityError, MemoryDirectories, NodeDescription,
    NodeDirectories, NodeError, NodeSeats, RawSettings, StartError, StoreFactory, check_begun,
    logged,
};
use cortado_peer_http::{HttpListening, HttpNetwork, PeerTiming};
use cortado_peer_security::Security;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tracing::{error, info};

/// How long requests may take to finish when the process ends.
const GRACE: Duration = Duration::from_secs(5);
/// How long handing over may take: most of a service manager's patience is left for the rest.
const HAND_OVER: Duration = Duration::from_secs(15);
/// How often it is looked whether the process serves what it should.
const READY_LOOK: Duration = Duration::from_millis(50);
/// Sockets to brokers and nodes: many clients of Kafka, each with a connection to every broker.
const CONNECTIONS_OUT: u64 = 512;

/// What helps a new directory, or a router, after `_cluster` was trimmed.
const ASK_A_SEED: &str = "name a node that runs: --seed HOST:PORT, as its peer_listen or \
    peer_advertise is; or start the other nodes first";

/// A process of a cluster that runs.
pub(crate) struct ServedNode {
    server: Server,
    cluster: Cluster,
    security: Security,
    _reserve: Option<ReserveTask>,
    // Last, so that its lock is let go of last.
    _data: Option<DataDirectory>,
}

/// What a node has on its disk.
struct OnDisk {
    data: DataDirectory,
    reserve: ReserveTask,
    stores: Arc<dyn StoreFactory>,
    directories: Arc<dyn NodeDirectories>,
    seats: Arc<dyn NodeSeats>,
}

impl ServedNode {
    /// Starts everything, and answers when it is known which node this is; it may not be ready yet.
    ///
    /// # Errors
    /// What stands in the way, and what to do about it. Nothing runs then.
    pub(crate) async fn start(settings: ServeSettings) -> Result<ServedNode, Failure> {
        private_files::keep_others_out();
        let wanted = Limits::default().connections_max;
        // A router has no store, and leaves those of one unused.
        let files = Descriptors::share_out(raise_limit(), 1, CONNECTIONS_OUT, wanted)?;
        let security = security_of(&settings)?;
        let listener = listen(settings.listen).await?;
        let address = listener.local_addr().map_err(Failure::new)?;
        let mut disk = match &settings.is {
            Is::Node(node) => Some(OnDisk::open(node, files.store_tables_max)?),
            Is::Router(_) => None,
        };
        let log = open_log(&settings.kafka).await?;
        // Before anything is made there.
        check_log(&log, &settings, disk.as_ref()).await?;
        let beats = open_beats(&settings.kafka).await?;
        let metrics = Arc::new(metrics_of_process());
        let client_address = settings.advertise.clone().unwrap_or_else(|| address.to_string());
        let checked = RawSettings {
            nodes: 1,
            address: client_address.clone(),
            description: description_of(&settings),
            ..RawSettings::default()
        };
        let checked = checked.validate().map_err(Failure::usage)?;
        let proving = (security.clone(), client_address);
        let components =
            components(&settings, proving, disk.as_ref(), (log, beats), Arc::clone(&metrics));
        let seats = disk.as_ref().map(|disk| Arc::clone(&disk.seats));
        let joined = Cluster::join(checked, components, seats).await;
        let cluster = joined.map_err(|error| not_joined(&error, &settings))?;
        let identity = cluster.gateway().catalog().cluster().to_string();
        let noted = disk.as_mut().map_or(Ok(()), |disk| disk.data.belongs_to(&identity));
        if let Err(failure) = noted {
            cluster.shutdown().await;
            return Err(failure);
        }
        tell_names(&cluster);
        let options = Options {
            limits: Limits { connections_max: files.connections_max, ..Limits::default() },
            dev: None,
            own: Some(cluster.nodes()),
            hosts: settings.allow_hosts,
        };
        let server = Server::start(listener, cluster.gateway(), metrics, options);
        let server = server.map_err(Failure::new)?;
        info!(%address, "server started");
        let (reserve, data) = disk.map(|disk| (disk.reserve, disk.data)).unzip();
        Ok(ServedNode { server, cluster, security, _reserve: reserve, _data: data })
    }

    /// Waits until the process serves what it should.
    pub(crate) async fn ready(&self) {
        while !self.is_ready() {
            sleep(READY_LOOK).await;
        }
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.cluster.nodes().ready().is_ok()
    }

    /// Waits until the cluster refuses the node; answers why.
    pub(crate) async fn refused(&self) -> String {
        self.cluster.refused().await
    }

    /// Reads certificates and secrets again. What cannot be used is told, and changes nothing.
    pub(crate) fn reload(&self) {
        match self.security.reload() {
            Ok(()) => info!("certificates and secrets read again"),
            Err(error) => {
                let error = with_causes(&error);
                error!(error, "certificates and secrets not read again; the former ones stay");
            }
        }
    }

    /// Gives the leaderships to other nodes, while requests are still served.
    pub(crate) async fn hand_over(&self) {
        self.cluster.hand_over(Instant::now() + HAND_OVER).await;
    }

    /// Ends in order: requests, node, log, directory.
    pub(crate) async fn stop(self) {
        self.server.shutdown(GRACE).await;
        self.cluster.shutdown().await;
        info!("server ended");
    }

    /// Where it serves, as clients on this machine spell it.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Which cluster it belongs to.
    pub(crate) fn cluster(&self) -> String {
        self.cluster.gateway().catalog().cluster().to_string()
    }
}

impl OnDisk {
    fn open(node: &NodeSettings, tables_max: usize) -> Result<OnDisk, Failure> {
        let data = DataDirectory::open_node(&node.data)?;
        Ok(OnDisk {
            reserve: ReserveTask::of(Reserve::of(data.path())),
            stores: Arc::new(NodeStore::new(data.nodes(), tables_max)),
            directories: Arc::new(NodeIdentities::new(data.identities())),
            seats: Arc::new(NodeDirectory::new(data.identities())),
            data,
        })
    }
}

/// The way to the other processes.
fn network(
    settings: &ServeSettings,
    security: Security,
    client_address: String,
) -> GossipingNetwork {
    let (listen, router_listen) = match &settings.is {
        // Others are sought there before it is known which node this is.
        Is::Node(node) => (Some(node.peer_listen), Some(node.peer_listen)),
        Is::Router(router_listen) => (None, *router_listen),
    };
    let (timing, advertise) = (PeerTiming::default(), settings.peer_advertise.clone());
    let listening = HttpListening { listen, advertise, security: security.clone(), timing };
    let NodeDescription { zone, build, feature_level, .. } = description_of(settings);
    let gossiping = Gossiping {
        router_listen,
        advertise: settings.peer_advertise.clone(),
        seeds: settings.seeds.clone(),
        security,
        client_address,
        zone: zone.map(|zone| zone.to_string()).unwrap_or_default(),
        version: build,
        feature_level,
        is_node: listen.is_some(),
    };
    GossipingNetwork::new(HttpNetwork::new(listening), gossiping)
}

/// What a process is built from.
fn components(
    settings: &ServeSettings,
    (security, client_address): (Security, String),
    disk: Option<&OnDisk>,
    (log, beats): (KafkaLog, KafkaBeats),
    metrics: Arc<Registry>,
) -> Components {
    let network = network(settings, security, client_address);
    let is_unreplicated = settings.kafka.replication_factor == 1;
    let unreplicated = "the log is not replicated (allow_unreplicated_log): a lost disk of the \
        broker is a lost log";
    let stores = disk.map(|disk| Arc::clone(&disk.stores));
    let directories = disk.map(|disk| Arc::clone(&disk.directories));
    Components {
        log: Arc::new(log),
        beats: Arc::new(beats),
        network: Arc::new(network),
        stores: stores.unwrap_or_else(|| Arc::new(NoStores)),
        directories: directories.unwrap_or_else(|| Arc::new(MemoryDirectories::default())),
        metrics,
        warnings: is_unreplicated.then(|| unreplicated.to_owned()).into_iter().collect(),
        founding: Founding::Join,
        belongs_to: disk.and_then(|disk| disk.data.cluster_uuid()),
    }
}

fn description_of(settings: &ServeSettings) -> NodeDescription {
    let feature_level = settings.feature_level;
    match &settings.is {
        Is::Node(node) => NodeDescription { feature_level, ..node.description.clone() },
        Is::Router(_) => NodeDescription { feature_level, ..NodeDescription::default() },
    }
}

/// How this process proves to others who it is.
fn security_of(settings: &ServeSettings) -> Result<Security, Failure> {
    let (name, listen) = match &settings.is {
        Is::Node(node) => (node.description.name.as_str(), node.peer_listen),
        Is::Router(_) => ("router", SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
    };
    let security = settings.security.clone().validate(name, listen);
    security.map_err(|error| Failure::usage(with_causes(&error)))
}

/// Refuses a log in which no cluster has begun, or another one than the data directory's.
async fn check_log(
    log: &KafkaLog,
    settings: &ServeSettings,
    disk: Option<&OnDisk>,
) -> Result<(), Failure> {
    let begun = check_begun(log).await.map_err(StartError::Identity);
    begun.map_err(|error| not_joined(&error, settings))?;
    let data = disk.map(|disk| &disk.data);
    // Of a log that was trimmed others know whose it is: they are asked when the process joins.
    if let Some((data, noted)) = data.and_then(|data| Some((data, data.cluster()?)))
        && let Some(logged) = logged(log).await.unwrap_or_default()
    {
        data.check_cluster(noted, &logged.to_string())?;
    }
    Ok(())
}

/// The log of a cluster.
///
/// # Errors
/// What stands in the way, and what to do about it.
pub(crate) async fn open_log(settings: &KafkaSettings) -> Result<KafkaLog, Failure> {
    info!(kafka = settings.bootstrap_servers, "connecting to the log");
    KafkaLog::open(settings.clone()).await.map_err(|error| not_opened(&error))
}

/// The streams of beats of a cluster, which are made if they are not there.
///
/// # Errors
/// What stands in the way, and what to do about it.
pub(crate) async fn open_beats(settings: &KafkaSettings) -> Result<KafkaBeats, Failure> {
    KafkaBeats::open(settings.clone()).await.map_err(|error| not_opened(&error))
}

/// From now on lines of text name databases and nodes as the command line does.
fn tell_names(cluster: &Cluster) {
    let gateway = cluster.gateway();
    logging::name_databases(move |id| match DatabaseId(id) {
        DatabaseId::CLUSTER => Some("_cluster".to_owned()),
        id => Some(gateway.catalog().database_by_id(id)?.name.clone()),
    });
    let gateway = cluster.gateway();
    logging::name_nodes(move |id| Some(gateway.catalog().node(NodeId(id))?.name()));
}

fn not_joined(error: &StartError, settings: &ServeSettings) -> Failure {
    let failure = Failure::new(with_causes(error));
    let kafka = &settings.kafka;
    let data: Option<&PathBuf> = match &settings.is {
        Is::Node(node) => Some(&node.data),
        Is::Router(_) => None,
    };
    match error {
        StartError::Identity(IdentityError::LogEmpty) => Failure::new(format!(
            "there is no cluster in the log: topic {}-cluster is missing or empty",
            kafka.topic_prefix
        ))
        .next(format!(
            "`cortado cluster init --kafka {} --prefix {}` begins one",
            kafka.bootstrap_servers, kafka.topic_prefix
        ))
        .next("if there was one, kafka or prefix is wrong, or its log is lost: do not begin anew"),
        StartError::Identity(
            IdentityError::StoreForeign { .. }
            | IdentityError::DataForeign { .. }
            | IdentityError::LogForeign { .. },
        ) => failure.next("check kafka and prefix, or choose another folder with --data"),
        StartError::Identity(
            IdentityError::LogUnverified(VerifyError::Unavailable(_))
            | IdentityError::LogUnreadable(LogReadError::Unavailable(_)),
        ) => failure.next(format!(
            "check that the brokers of `kafka` ({}) run, lead topic {}-cluster, and are reached \
             from here under the names that they advertise (advertised.listeners)",
            kafka.bootstrap_servers, kafka.topic_prefix
        )),
        StartError::Identity(IdentityError::LogUnverified(_)) => {
            failure.next("docs/operations/kafka.md says what a topic must be like")
        }
        StartError::Node { source: NodeError::Place(_), .. } => {
            failure.next("correct peer_listen: another process may listen there")
        }
        StartError::Node { source: NodeError::Store(_), .. } => match data {
            Some(data) => failure.next(format!("look at the disk of {}", data.display())),
            None => failure,
        },
        StartError::TooOld { .. } => failure
            .next("install the build that the other nodes run: `cortado cluster upgrade` tells"),
        StartError::NotFolded { .. } => failure.next(ASK_A_SEED).next("or look at the brokers"),
        StartError::Identity(IdentityError::IdentityLost) => failure.next(ASK_A_SEED),
        StartError::Identity(_)
        | StartError::Node { .. }
        | StartError::Router(_)
        | StartError::NotServed { .. }
        | StartError::Seat(_)
        | StartError::Name(_) => failure,
    }
}
