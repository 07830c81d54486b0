//! The listener: accepts connections up to a number, and ends them all when asked.
//!
//! Start reading at [`Server::start`].

use crate::api::Api;
use crate::connection::{self, Accepted};
use crate::failure::Failure;
use crate::hosts::Hosts;
use crate::limits::Limits;
use crate::occupancy::Occupancy;
use crate::request_id::RequestIds;
use crate::services::{NodeControl, Services};
use cortado_metrics::Registry;
use cortado_wire::Code;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep, timeout_at};
use tracing::{error, info, warn};

/// How a server is to behave.
#[derive(Clone, Default)]
pub struct Options {
    /// How long and how much.
    pub limits: Limits,
    /// Development mode: the nodes that may be killed and started by request.
    pub dev: Option<Arc<dyn NodeControl>>,
    /// Names, without ports, under which clients may reach the server besides `localhost` and
    /// addresses. With none, a listener that is not on a loopback address answers to every name.
    pub hosts: Vec<String>,
}

/// Serves the API on one address until it is [`shutdown`](Self::shutdown) or dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    closing: watch::Sender<bool>,
    accepting: JoinHandle<JoinSet<()>>,
}

/// How long to wait when the process has run out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

impl Server {
    /// Begins to answer on `listener` with `services`; clients that came earlier are answered too.
    ///
    /// * `metrics`: what `/metrics` shows; takes what this server, the only one, counts.
    ///
    /// # Errors
    /// The listener has no address.
    pub fn start(
        listener: TcpListener,
        services: impl Services + 'static,
        metrics: Arc<Registry>,
        options: Options,
    ) -> io::Result<Server> {
        let address = listener.local_addr()?;
        let (closing, closed) = watch::channel(false);
        let hosts = Hosts::new(address, &options.hosts);
        let (limits, dev) = (options.limits, options.dev);
        let api = Api::new(Arc::new(services), metrics, limits, dev, hosts, closed.clone());
        let api = Arc::new(api);
        api.registry().collect(Occupancy(Arc::downgrade(&api)));
        let accepting = tokio::spawn(accept(listener, api, closed));
        info!(%address, "listening for HTTP");
        Ok(Server { address, closing, accepting })
    }

    /// Where the server listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops accepting, ends streams and idle connections, lets requests finish, and answers when
    /// all connections have ended; after `grace` those that are left are cut.
    pub async fn shutdown(self, grace: Duration) {
        // Fails only if every receiver is gone.
        let _ = self.closing.send(true);
        let Ok(mut connections) = self.accepting.await else { return };
        let due = Instant::now() + grace;
        while let Ok(Some(_)) = timeout_at(due, connections.join_next()).await {}
        let left = connections.len();
        if left > 0 {
            warn!(connections = left, "connections closed at the end of the grace period");
        }
        connections.shutdown().await;
    }
}

async fn accept(
    listener: TcpListener,
    api: Arc<Api>,
    mut closing: watch::Receiver<bool>,
) -> JoinSet<()> {
    let mut connections = JoinSet::new();
    let mut number = 0_u64;
    let refused = RequestIds::new(api.process_tag(), number);
    loop {
        let accepted = tokio::select! {
            biased;
            _ = closing.wait_for(|closing| *closing) => return connections,
            Some(ended) = connections.join_next(), if !connections.is_empty() => {
                api.connections().store(connections.len(), Ordering::Relaxed);
                if let Err(error) = ended {
                    error!(%error, "connection task panicked");
                }
                continue;
            }
            accepted = listener.accept() => accepted,
        };
        let (stream, client) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                warn!(%error, "cannot accept a connection");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        // Answers are written whole: waiting for more to send only delays them.
        let _ = stream.set_nodelay(true);
        if connections.len() >= api.limits().connections_max {
            api.metrics().connections_refused.add(1);
            refuse(&stream, &refused);
            continue;
        }
        number += 1;
        api.metrics().connections_accepted.add(1);
        let ids = RequestIds::new(api.process_tag(), number);
        let accepted = Accepted { stream, client, ids };
        connections.spawn(connection::serve(Arc::clone(&api), accepted, closing.clone()));
        api.connections().store(connections.len(), Ordering::Relaxed);
    }
}

/// Tells one client too many to come back, without spending a task on it.
fn refuse(stream: &TcpStream, ids: &RequestIds) {
    let failure = Failure::new(Code::Overloaded, "too many open connections; retry later");
    // A new connection's buffer takes this at once; if not, closing it says as much.
    let _ = stream.try_write(&failure.to_http1(ids.next()));
}
