//! Keeps one connection to a node: makes it, carries it on, and makes it anew when it has ended.
//!
//! Start reading at [`Keeper::keep`].

use crate::address::PeerAddress;
use crate::greeting::{EXPIRED, Greeted, GreetingError, Meant, greet, passes};
use crate::identity::Speaker;
use crate::limits::PeerTiming;
use crate::open_connection::{Carrier, OpenConnection, open};
use crate::outbox::Outbox;
use cortado_model::{NodeId, with_causes};
use cortado_peer_security::CertificateExpiry;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpStream, lookup_host};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout};
use tracing::{info, warn};

/// Whether the node is reached.
#[derive(Clone)]
pub(crate) enum LinkState {
    /// A first try, or the first since a connection ended: calls wait for it.
    Trying,
    /// It is.
    Open(OpenConnection),
    /// The last try failed. It is tried again, and no call waits for that.
    Down(Arc<Down>),
}

/// Why the last try failed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Down {
    pub(crate) why: String,
    /// The node's machine was reached, and nothing listens there.
    pub(crate) refused: bool,
}

/// Makes connections, and carries them on.
pub(crate) struct Keeper {
    pub(crate) speaker: Arc<Speaker>,
    pub(crate) timing: PeerTiming,
    pub(crate) node: NodeId,
    pub(crate) address: PeerAddress,
    /// What it carries, for those who read the log.
    pub(crate) carries: &'static str,
}

/// A connection that has just been made.
struct Connected {
    open: OpenConnection,
    carrier: Carrier,
    /// Until when the node's certificate is valid.
    expiry: Option<CertificateExpiry>,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
enum ConnectError {
    #[error("{address} does not resolve to an address")]
    Resolve {
        address: String,
        #[source]
        source: io::Error,
    },
    #[error("{address} names no address")]
    Nowhere { address: String },
    #[error(
        "{address} is not an address of this machine and peers are not authenticated: set \
         peer_ca_file, peer_certificate_file and peer_key_file, or peer_secret_file with \
         peer_network_private = true"
    )]
    NotAllowed { address: SocketAddr },
    #[error("cannot connect to {address}")]
    Tcp {
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
    #[error("no answer from {address} within {waited_ms} ms")]
    Silent { address: SocketAddr, waited_ms: u128 },
    #[error("{address}")]
    Greeting {
        address: SocketAddr,
        #[source]
        source: GreetingError,
    },
    #[error("{address} does not speak HTTP/2")]
    Http {
        address: SocketAddr,
        #[source]
        source: h2::Error,
    },
}

impl ConnectError {
    /// Whether the machine was reached, and nothing listens there.
    fn is_refusal(&self) -> bool {
        let ConnectError::Tcp { source, .. } = self else { return false };
        source.kind() == io::ErrorKind::ConnectionRefused
    }
}

impl Keeper {
    /// Keeps the node connected, for ever.
    pub(crate) async fn keep(
        self,
        state: watch::Sender<LinkState>,
        mut messages: Outbox,
        nudge: Arc<Notify>,
    ) {
        let mut pause = self.timing.retry_min;
        loop {
            let begin = Instant::now();
            let down = match self.connect().await {
                Ok(connected) => {
                    let reason = self.carry(connected, &state, &mut messages).await;
                    // One that lasted is made anew at once; one that did not has failed.
                    if begin.elapsed() >= self.timing.retry_max {
                        pause = self.timing.retry_min;
                        state.send_replace(LinkState::Trying);
                        continue;
                    }
                    Down { why: reason, refused: false }
                }
                Err(error) => Down { why: with_causes(&error), refused: error.is_refusal() },
            };
            self.tell_down(&state, &Arc::new(down));
            messages.clear();
            // Between half of the pause and all of it: what ended together does not come back
            // together.
            let part = 0.5 + fastrand::f64() / 2.0;
            tokio::select! {
                () = sleep(pause.mul_f64(part)) => {}
                () = nudge.notified() => {}
            }
            pause = (2 * pause).min(self.timing.retry_max);
        }
    }

    /// Carries a connection on until it ends, and says why it did.
    async fn carry(
        &self,
        Connected { open, carrier, expiry }: Connected,
        state: &watch::Sender<LinkState>,
        messages: &mut Outbox,
    ) -> String {
        let (node, carries) = (self.node, self.carries);
        info!(%node, carries, "connected to node");
        state.send_replace(LinkState::Open(open));
        let reason = tokio::select! {
            reason = carrier.run(&self.timing, messages) => reason,
            () = passes(expiry) => EXPIRED.to_owned(),
        };
        info!(%node, carries, reason, "connection to node ended");
        reason
    }

    /// Says that the node is not reached; for the same reason once.
    fn tell_down(&self, state: &watch::Sender<LinkState>, down: &Arc<Down>) {
        let former = state.send_replace(LinkState::Down(Arc::clone(down)));
        match former {
            LinkState::Down(former) if former == *down => {}
            LinkState::Trying | LinkState::Open(_) | LinkState::Down(_) => {
                let (node, carries, why) = (self.node, self.carries, &down.why);
                warn!(%node, carries, error = why, "node cannot be reached; trying again");
            }
        }
    }

    /// A connection to the first address at which the node is.
    ///
    /// # Errors
    /// The last one; a refusal only if every address refuses.
    async fn connect(&self) -> Result<Connected, ConnectError> {
        let mut failed: Option<ConnectError> = None;
        let mut fail = |error: ConnectError| {
            let says_more = failed.as_ref().is_none_or(ConnectError::is_refusal);
            if says_more || !error.is_refusal() {
                failed = Some(error);
            }
        };
        for address in &self.address.addresses {
            let found = timeout(self.timing.connect, lookup_host(address.as_str())).await;
            let found = found.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
            let found = found.map_err(|source| {
                let address = address.clone();
                ConnectError::Resolve { address, source }
            });
            match found {
                Ok(found) => {
                    for address in found {
                        match self.connect_to(address).await {
                            Ok(connected) => return Ok(connected),
                            Err(error) => fail(error),
                        }
                    }
                }
                Err(error) => fail(error),
            }
        }
        let address = || self.address.addresses.join(", ");
        Err(failed.unwrap_or_else(|| ConnectError::Nowhere { address: address() }))
    }

    async fn connect_to(&self, address: SocketAddr) -> Result<Connected, ConnectError> {
        if !self.speaker.allows(address) {
            return Err(ConnectError::NotAllowed { address });
        }
        let silent = |waited: Duration| {
            move |_| ConnectError::Silent { address, waited_ms: waited.as_millis() }
        };
        let connected = timeout(self.timing.connect, TcpStream::connect(address)).await;
        let tcp = connected.map_err(silent(self.timing.connect))?;
        let tcp = tcp.and_then(|tcp| tcp.set_nodelay(true).map(|()| tcp));
        let tcp = tcp.map_err(|source| ConnectError::Tcp { address, source })?;
        let meant = Meant { node: self.node, life: self.address.incarnation };
        let greeted = timeout(self.timing.greet, greet(tcp, &self.speaker, meant)).await;
        let greeted = greeted.map_err(silent(self.timing.greet))?;
        let greeted = greeted.map_err(|source| ConnectError::Greeting { address, source })?;
        let Greeted { wired, expiry } = greeted;
        let opened = timeout(self.timing.greet, open(wired)).await;
        let opened = opened.map_err(silent(self.timing.greet))?;
        let (open, carrier) = opened.map_err(|source| ConnectError::Http { address, source })?;
        Ok(Connected { open, carrier, expiry })
    }
}
