//! A server in this process: its directory, log, nodes and listener, started and ended in order.
//!
//! The only place that names adapters. Start reading at [`Running::start`].

use super::descriptors::{Descriptors, raise_limit};
use super::stores::Stores;
use crate::data_directory::{DataDirectory, LOG_FOLDER, Reserve, store_folder};
use crate::failure::Failure;
use crate::listener::listen;
use crate::node_identities::NodeIdentities;
use crate::private_files;
use crate::process_metrics::metrics_of_process;
use crate::reserve_task::ReserveTask;
use crate::settings::Settings;
use cortado_http::{Limits, Options, Server};
use cortado_log::memory::SharedMemoryBeats;
use cortado_log_embedded::{EmbeddedLog, OpenError as LogOpenError, Settings as LogSettings};
use cortado_model::{DatabaseId, with_causes};
use cortado_node::{
    Cluster, Components, Founding, IdentityError, NodeError, RawSettings, StartError, logged,
};
use cortado_peer::MemoryNetwork;
use cortado_store::StoreError;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::spawn_blocking;
use tracing::info;

/// How long requests may take to finish when the server ends.
const GRACE: Duration = Duration::from_secs(5);

/// What the log holds open beside the segments that it keeps: spares, the next one, its lock, and
/// what it gains until it is trimmed.
const LOG_FILES_BESIDE: u64 = 16;

/// A server that runs.
pub(crate) struct Running {
    server: Server,
    cluster: Cluster,
    log: Arc<EmbeddedLog>,
    nodes: u32,
    /// None for temporary data.
    reserve: Option<ReserveTask>,
    // Last, so that it is dropped last: a temporary directory goes when nothing writes there.
    data: DataDirectory,
}

impl Running {
    /// Starts everything, and answers when the cluster serves.
    ///
    /// # Errors
    /// What stands in the way, and what to do about it. Nothing runs then.
    pub(crate) async fn start(settings: Settings) -> Result<Running, Failure> {
        private_files::keep_others_out();
        let listener = listen(settings.listen).await?;
        let address = listener.local_addr().map_err(Failure::new)?;
        let mut data = match &settings.data {
            Some(path) => DataDirectory::open(path)?,
            None => DataDirectory::temporary()?,
        };
        // A disk may fill while the server starts.
        let reserve = (!data.is_temporary()).then(|| ReserveTask::of(Reserve::of(data.path())));
        let nodes = settings.nodes;
        let descriptors = share_descriptors(&settings, &data)?;
        let log = open_log(&data).await?;
        let tables_max = descriptors.store_tables_max;
        let stores = Arc::new(Stores::new(data.nodes(), tables_max, Arc::clone(&log)));
        let raw = RawSettings {
            nodes,
            address: address.to_string(),
            // What came in the last round and in this one is kept.
            trim_after_bytes: settings.log_bytes / 2,
            ..RawSettings::default()
        };
        let checked = raw.validate().map_err(Failure::usage)?;
        let shared: Arc<dyn cortado_log::Log> = Arc::clone(&log) as Arc<dyn cortado_log::Log>;
        let metrics = Arc::new(metrics_of_process());
        let directories = Arc::new(NodeIdentities::new(data.identities()));
        let components = Components {
            log: shared,
            // The nodes of this process are alone: what they tell one another leaves no memory.
            beats: Arc::new(SharedMemoryBeats::default()),
            network: Arc::new(MemoryNetwork::default()),
            stores,
            directories,
            metrics: Arc::clone(&metrics),
            warnings: Vec::new(),
            founding: if data.is_new() { Founding::Create } else { Founding::Join },
            belongs_to: data.cluster_uuid(),
        };
        if let Some(noted) = data.cluster()
            && let Ok(Some(logged)) = logged(log.as_ref()).await
        {
            // Before any store is opened: that one is set aside rests on what the log holds.
            data.check_cluster(noted, &logged.to_string())?;
        }
        let cluster = Cluster::start(checked, components)
            .await
            .map_err(|error| not_started(&error, &data))?;
        let identity = cluster.gateway().catalog().cluster().to_string();
        if let Err(failure) = data.belongs_to(&identity) {
            cluster.shutdown().await;
            return Err(failure);
        }
        let connections_max = descriptors.connections_max;
        let options = Options {
            limits: Limits { connections_max, ..Limits::default() },
            dev: Some(cluster.nodes()),
            own: None,
            hosts: settings.allow_hosts,
        };
        let server = Server::start(listener, cluster.gateway(), metrics, options);
        let server = server.map_err(Failure::new)?;
        info!(%address, nodes, data = %data.path().display(), "server started");
        Ok(Running { server, cluster, log, nodes, reserve, data })
    }

    /// Ends in order: requests, nodes, log, directory.
    pub(crate) async fn stop(self) {
        self.server.shutdown(GRACE).await;
        self.cluster.shutdown().await;
        drop(self.reserve);
        self.log.close().await;
        info!("server ended");
    }

    /// Waits until the log has failed for good; answers why.
    pub(crate) async fn log_failed(&self) -> String {
        self.log.failed().await
    }

    /// Ends a server whose log has failed: requests are answered, and nothing is settled, since
    /// nothing can be written.
    pub(crate) async fn break_off(self) {
        // Now, so that requests that wait for the log are answered: what they asked for is unknown.
        drop(self.cluster);
        self.server.shutdown(GRACE).await;
        self.log.close().await;
        info!("server ended");
    }

    /// Where it serves, as clients spell it.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Whether clients find it without being told.
    pub(crate) fn has_default_address(&self) -> bool {
        self.address() == SocketAddr::from(([127, 0, 0, 1], 7171))
    }

    /// Finds the name of a database by its id.
    pub(crate) fn name_of_database(
        &self,
    ) -> impl Fn(u32) -> Option<String> + Send + Sync + 'static {
        let gateway = self.cluster.gateway();
        move |id| match DatabaseId(id) {
            DatabaseId::CLUSTER => Some("_cluster".to_owned()),
            id => Some(gateway.catalog().database_by_id(id)?.name.clone()),
        }
    }

    /// How many nodes it holds.
    pub(crate) fn nodes(&self) -> u32 {
        self.nodes
    }

    /// Where it keeps everything.
    pub(crate) fn data(&self) -> &DataDirectory {
        &self.data
    }
}

/// Raises the limit of open files, and shares it out.
fn share_descriptors(settings: &Settings, data: &DataDirectory) -> Result<Descriptors, Failure> {
    // A log that is larger than it should be keeps that for a while.
    let found = std::fs::read_dir(data.log()).map_or(0, Iterator::count) as u64;
    let segments = settings.log_bytes / LogSettings::new(data.log()).segment_bytes;
    let (limit, log_files) = (raise_limit(), found.max(segments) + LOG_FILES_BESIDE);
    let connections_max = Limits::default().connections_max;
    let shared = Descriptors::share_out(limit, settings.nodes, log_files, connections_max)?;
    let Descriptors { limit, store_tables_max, connections_max } = shared;
    info!(limit, log_files, store_tables_max, connections_max, "shared out file descriptors");
    Ok(shared)
}

/// Reads every segment once, which takes a while for a large log.
async fn open_log(data: &DataDirectory) -> Result<Arc<EmbeddedLog>, Failure> {
    let settings = LogSettings { must_exist: !data.is_new(), ..LogSettings::new(data.log()) };
    info!(data = %data.path().display(), "opening the log");
    let opened = spawn_blocking(move || EmbeddedLog::open(settings)).await;
    let opened = opened.map_err(|error| Failure::new(format!("opening the log: {error}")))?;
    opened.map(Arc::new).map_err(|error| log_refused(&error, data))
}

fn log_refused(error: &LogOpenError, data: &DataDirectory) -> Failure {
    let failure = Failure::new(with_causes(error));
    let path = data.path().display();
    match error {
        LogOpenError::Damaged { .. } => failure
            .next(format!("`cortado log verify {path}` lists what is intact and what is damaged"))
            .next(format!(
                "restore {path} from a backup; the stores in {path}/nodes still hold what was \
                 applied before the damage"
            )),
        LogOpenError::Gone { .. } => data.log_lost(with_causes(error)),
        LogOpenError::NoSpace { .. } => failure.next("make room on that disk, then start again"),
        LogOpenError::ReadOnly { .. } => {
            failure.next("make it writable for this user, or choose another folder with --data")
        }
        LogOpenError::InUse { .. } => {
            failure.next("stop that server, or choose another folder with --data")
        }
        LogOpenError::NotADirectory { .. } => {
            failure.next(format!("{path}/{LOG_FOLDER} must be the folder that the server created"))
        }
        LogOpenError::Missing { .. }
        | LogOpenError::Version { .. }
        | LogOpenError::SegmentBytes { .. }
        | LogOpenError::Io { .. } => failure,
    }
}

fn not_started(error: &StartError, data: &DataDirectory) -> Failure {
    let failure = Failure::new(with_causes(error));
    let (nodes, path) = (data.nodes(), data.path().display());
    match error {
        StartError::Node { node, source: NodeError::Store(StoreError::Damaged { .. }) } => failure
            .next(format!(
                "restore {} from a backup, and start again",
                store_folder(&nodes, *node).display()
            ))
            .next("without one, move it away to give up what only it held, and keep it"),
        StartError::Node { source: NodeError::Store(StoreError::Full { .. }), .. } => {
            failure.next("make room on that disk, then start again")
        }
        StartError::Identity(IdentityError::StoreForeign { node, .. }) => failure.next(format!(
            "keep both: either may be the last copy; restore what belongs together from a backup, \
             the folder {LOG_FOLDER} or {}",
            store_folder(&nodes, *node).display()
        )),
        StartError::Identity(IdentityError::LogUnreadable(_) | IdentityError::LogUnverified(_)) => {
            failure.next(format!(
                "`cortado log verify {path}` lists what is intact and what is damaged"
            ))
        }
        StartError::Identity(
            IdentityError::LogForeign { .. } | IdentityError::DataForeign { .. },
        ) => failure
            .next("choose the folder that belongs to this cluster, or an empty one, with --data"),
        StartError::Identity(IdentityError::IdentityLost) => failure
            .next(format!("restore {}, or the whole of {path}, from a backup", nodes.display())),
        StartError::NotServed { .. } => {
            failure.next("start again with CORTADO_LOG=debug, which shows what the nodes wait for")
        }
        // Their texts say it.
        StartError::Identity(
            IdentityError::LogUnwritable(_)
            | IdentityError::LogDrifted { .. }
            | IdentityError::LogEmpty
            | IdentityError::Store { .. },
        )
        | StartError::Node { .. }
        | StartError::Router(_)
        | StartError::TooOld { .. }
        | StartError::NotFolded { .. }
        | StartError::Seat(_)
        | StartError::Name(_) => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cortado_log::{LogReadError, VerifyError};

    #[track_caller]
    fn check(error: &StartError, next: &str) {
        let data = DataDirectory::temporary().expect("a folder");
        let path = data.path().display().to_string();
        let failure = format!("{:?}", not_started(error, &data)).replace(&path, "DATA");
        assert!(failure.contains(next), "{failure}");
    }

    #[test]
    fn a_refused_start_says_what_to_do() {
        let refused = StartError::Identity;
        let verify = "`cortado log verify DATA` lists";
        check(&refused(IdentityError::LogUnreadable(LogReadError::Missing)), verify);
        check(&refused(IdentityError::LogUnverified(VerifyError::Missing)), verify);
        let foreign = IdentityError::LogForeign { why: String::new() };
        check(&refused(foreign), "choose the folder that belongs to this cluster");
        let lost = refused(IdentityError::IdentityLost);
        check(&lost, "restore DATA/nodes, or the whole of DATA, from a backup");
        check(&StartError::NotServed { waited_s: 60 }, "CORTADO_LOG=debug");
    }
}
