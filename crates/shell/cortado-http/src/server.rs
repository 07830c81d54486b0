//! The listener: accepts connections up to a number, and ends them all when asked.
//!
//! Start reading at [`Server::start`].

use crate::api::Api;
use crate::connection::{self, Accepted};
use crate::failure::Failure;
use crate::guard::Stream;
use crate::hosts::Hosts;
use crate::limits::Limits;
use crate::occupancy::Occupancy;
use crate::open_connections::OpenConnections;
use crate::pulse::Pulse;
use crate::request_id::RequestIds;
use crate::services::{NodeControl, OwnHealth, Services};
use cortado_metrics::Registry;
use cortado_wire::Code;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tracing::{debug, info, warn};

/// How a server is to behave.
#[derive(Clone, Default)]
pub struct Options {
    /// How long and how much.
    pub limits: Limits,
    /// Development mode: the nodes that may be killed and started by request.
    pub dev: Option<Arc<dyn NodeControl>>,
    /// How the process itself is, where it is one node of many: `/readyz` then speaks of it alone.
    pub own: Option<Arc<dyn OwnHealth>>,
    /// Names, without ports, under which clients may reach the server besides `localhost` and
    /// addresses. With none, a listener that is not on a loopback address answers to every name.
    pub hosts: Vec<String>,
}

/// Serves the API on one address until it is [`shutdown`](Self::shutdown) or dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    closing: watch::Sender<bool>,
    accepting: JoinHandle<OpenConnections>,
}

/// How long to wait when the process has run out of file descriptors or memory.
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
        let (limits, nodes) = (options.limits, (options.dev, options.own));
        let api = Api::new(Arc::new(services), metrics, limits, nodes, hosts, closed.clone());
        let api = Arc::new(api);
        api.registry().collect(Occupancy(Arc::downgrade(&api)));
        let connections_max = api.limits().connections_max;
        let accepting = tokio::spawn(Door::new(api).accept(listener, closed));
        info!(%address, connections_max, "listening for HTTP");
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
        let Ok(open) = self.accepting.await else { return };
        let left = open.end_by(Instant::now() + grace).await;
        if left > 0 {
            warn!(connections = left, "connections closed at the end of the grace period");
        }
    }
}

/// Where connections come from, whatever carries their bytes.
pub(crate) trait Listener: Send + 'static {
    type Stream: Stream;

    /// The next one, and the address of its client.
    fn next(&self) -> impl Future<Output = io::Result<(Self::Stream, SocketAddr)>> + Send;

    /// Sends some bytes to a client that is not served, if they can be sent at once.
    fn try_send(stream: &Self::Stream, bytes: &[u8]);
}

impl Listener for TcpListener {
    type Stream = TcpStream;

    async fn next(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let (stream, client) = self.accept().await?;
        // Answers are written whole: waiting for more to send only delays them.
        let _ = stream.set_nodelay(true);
        Ok((stream, client))
    }

    fn try_send(stream: &TcpStream, bytes: &[u8]) {
        // A new connection's buffer takes this at once; if not, closing it says as much.
        let _ = stream.try_write(bytes);
        // What the client has sent already must not destroy what it was told.
        let mut dropped = [0; 4 << 10];
        while stream.try_read(&mut dropped).is_ok_and(|bytes| bytes > 0) {}
    }
}

/// Lets connections in.
struct Door {
    api: Arc<Api>,
    open: OpenConnections,
    /// How many were let in.
    number: u64,
    /// Names for those that were not.
    refused: Arc<RequestIds>,
    /// Whether the last attempt failed for want of file descriptors or memory.
    is_short: bool,
}

impl Door {
    fn new(api: Arc<Api>) -> Door {
        let refused = RequestIds::new(api.process_tag(), 0);
        Door { api, open: OpenConnections::default(), number: 0, refused, is_short: false }
    }

    /// Lets connections in until the server closes; answers those that are still open.
    async fn accept<L: Listener>(
        mut self,
        listener: L,
        mut closing: watch::Receiver<bool>,
    ) -> OpenConnections {
        let closed = closing.clone();
        loop {
            let accepted = tokio::select! {
                biased;
                _ = closing.wait_for(|closing| *closing) => return self.open,
                () = self.open.one_ends() => {
                    self.count();
                    continue;
                }
                accepted = listener.next() => accepted,
            };
            match accepted {
                Ok((stream, client)) => {
                    self.is_short = false;
                    self.enter::<L>(stream, client, &closed).await;
                    self.count();
                }
                Err(error) => self.cannot_accept(&error).await,
            }
        }
    }

    async fn enter<L: Listener>(
        &mut self,
        stream: L::Stream,
        client: SocketAddr,
        closing: &watch::Receiver<bool>,
    ) {
        let api = Arc::clone(&self.api);
        let pulse = Pulse::new(Instant::now(), api.limits().stall_time);
        if !self.open.make_room(api.limits().connections_max).await {
            api.metrics().connections_refused.add(1);
            let failure = Failure::new(Code::Overloaded, "too many open connections; retry later");
            L::try_send(&stream, &failure.to_http1(self.refused.next()));
            return;
        }
        self.number += 1;
        api.metrics().connections_accepted.add(1);
        let ids = RequestIds::new(api.process_tag(), self.number);
        let accepted = Accepted { stream, client, ids, pulse: Arc::clone(&pulse) };
        self.open.add(pulse, connection::serve(api, accepted, closing.clone()));
    }

    /// Goes on after a failure: at once if it concerns one client, else when there may be
    /// descriptors again. An idle connection gives its own away.
    async fn cannot_accept(&mut self, error: &io::Error) {
        if is_of_one_client(error) {
            debug!(%error, "connection lost before it was accepted");
            return;
        }
        self.api.metrics().accepts_failed.add(1);
        if !std::mem::replace(&mut self.is_short, true) {
            warn!(
                %error, connections = self.open.len(),
                "cannot accept connections; trying again until it works"
            );
        }
        self.open.end_idlest();
        // Whichever comes first.
        let _ = timeout(ACCEPT_PAUSE, self.open.one_ends()).await;
        self.count();
    }

    fn count(&self) {
        self.api.connections().store(self.open.len(), Ordering::Relaxed);
    }
}

/// Whether the next connection may well be accepted (accept(2): errors of the new socket).
fn is_of_one_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
            | io::ErrorKind::PermissionDenied
            | io::ErrorKind::NetworkDown
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::TimedOut
    )
}

#[cfg(test)]
mod tests;
