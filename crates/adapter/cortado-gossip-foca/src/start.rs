//! Starting and ending a node's part in gossip.
//!
//! Start reading at [`FocaGossip::start`].

use crate::gate::Gate;
use crate::identity::{Identity, Told, UNKNOWN};
use crate::keys::Keys;
use crate::limits::{FRAMES_MAX, GossipTiming};
use crate::replays::Replays;
use crate::seed::GossipSeed;
use crate::stream::{StreamHearer, StreamSource, hear_streams};
use crate::swim::Swim;
use crate::task::{Gossiping, TaskState};
use crate::told::told_bytes;
use crate::wire_error::GossipWireError;
use cortado_model::{ClusterUuid, NodeId, NodeIncarnation};
use cortado_peer::{Gossip, GossipView, MemberFacts};
use cortado_peer_security::{NodeStream, Security};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tracing::{info, warn};

/// How often another port is tried when UDP has taken the one that TCP found.
const PORTS_TRIED: usize = 32;

/// What a node needs to take part.
pub struct GossipSettings {
    /// The cluster: others hear nothing of it.
    pub cluster: ClusterUuid,
    /// What the node tells of itself at first.
    pub facts: MemberFacts,
    /// Where it listens, on UDP and TCP; port 0 for any that is free for both.
    pub listen: SocketAddr,
    /// Where streams come from if another one listens on TCP there; then gossip takes UDP alone.
    pub streams: Option<mpsc::Receiver<NodeStream>>,
    /// Where others reach it; `None` if that is where it listens.
    pub advertise: Option<SocketAddr>,
    /// How it proves who it is.
    pub security: Security,
    /// The pace.
    pub timing: GossipTiming,
    /// Where others may be.
    pub seeds: Vec<GossipSeed>,
}

/// Why a node cannot take part.
#[derive(Debug, thiserror::Error)]
pub enum GossipError {
    /// The address is taken, or none of this machine.
    #[error("cannot listen for gossip on {address} (UDP and TCP): correct peer_listen")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Others could speak without any proof.
    #[error(
        "gossip on {address} would not be authenticated: set peer_ca_file, peer_certificate_file \
         and peer_key_file, or peer_secret_file with peer_network_private = true, or use a \
         loopback address"
    )]
    Open {
        /// The address.
        address: SocketAddr,
    },
    /// Others cannot reach that address.
    #[error("others cannot reach {address}: set peer_advertise to an address of this machine")]
    Unreachable {
        /// The address.
        address: SocketAddr,
    },
    /// What it tells is longer than others take.
    #[error("the node's addresses, zone and version are too long for gossip: shorten them")]
    TooLong(#[source] GossipWireError),
    /// Node 0 and life 0 are nobody's.
    #[error("node {node} in life {incarnation} cannot take part: both count from 1")]
    Nobody {
        /// The node.
        node: NodeId,
        /// The life.
        incarnation: NodeIncarnation,
    },
    /// The operating system gives no random bytes.
    #[error("the operating system gives no random bytes")]
    NoRandom,
}

/// A node's part in gossip. When it is dropped, others find out after a while; they are told by
/// [`leave`](Self::leave).
pub struct FocaGossip {
    address: SocketAddr,
    facts: watch::Sender<Arc<Told>>,
    seeds: watch::Sender<Vec<GossipSeed>>,
    leaving: watch::Sender<bool>,
    view: watch::Receiver<Arc<GossipView>>,
    task: JoinHandle<()>,
    streams: JoinHandle<()>,
}

impl FocaGossip {
    /// Takes part.
    ///
    /// # Errors
    /// See [`GossipError`].
    pub async fn start(settings: GossipSettings) -> Result<FocaGossip, GossipError> {
        let GossipSettings { cluster, facts, listen, streams, advertise, security, timing, seeds } =
            settings;
        let (node, incarnation) = (facts.node, facts.incarnation);
        if node == UNKNOWN || incarnation == NodeIncarnation(0) {
            return Err(GossipError::Nobody { node, incarnation });
        }
        for address in [Some(listen), advertise].into_iter().flatten() {
            if !security.allows(address) {
                return Err(GossipError::Open { address });
            }
        }
        let (source, socket) = match streams {
            Some(streams) => (StreamSource::Shared(streams), bind_shared(listen).await?),
            None => bind(listen).await?,
        };
        let bound = |source| GossipError::Bind { address: listen, source };
        let address = socket.local_addr().map_err(bound)?;
        let reached = advertise.unwrap_or(address);
        if reached.ip().is_unspecified() || reached.port() == 0 {
            return Err(GossipError::Unreachable { address: reached });
        }
        let told = Told { facts: facts.clone(), address: reached };
        told_bytes(&told).map_err(GossipError::TooLong)?;
        let keys = Arc::new(Keys::new(security, cluster).map_err(|()| GossipError::NoRandom)?);
        let (heard, streamed) = mpsc::channel(FRAMES_MAX);
        let hearer = StreamHearer {
            cluster,
            life: incarnation,
            keys: Arc::clone(&keys),
            patience: timing.stream,
            heard,
        };
        let (facts_sender, facts_told) = watch::channel(Arc::new(told));
        let (seeds, seeds_told) = watch::channel(seeds);
        let (leaving, leaves) = watch::channel(false);
        let (view_sender, view) = watch::channel(Arc::default());
        let gossiping = Gossiping {
            gate: Gate { cluster, node, life: incarnation, keys, replays: Replays::default() },
            timing,
            socket: Arc::new(socket),
            swim: Swim::new(Identity::new(facts, reached), &timing),
            streamed,
            facts: facts_told,
            seeds: seeds_told,
            leaving: leaves,
            view: view_sender,
            state: TaskState::new(),
        };
        info!(%node, %incarnation, %address, "listening for gossip");
        let streams = tokio::spawn(hear_streams(source, hearer));
        let task = tokio::spawn(gossiping.run());
        Ok(FocaGossip { address, facts: facts_sender, seeds, leaving, view, task, streams })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Looks for others there from now on.
    pub fn seek(&self, seeds: Vec<GossipSeed>) {
        self.seeds.send_replace(seeds);
    }

    /// Says farewell, so that nobody waits for this node, and ends. What was known last is still
    /// there to see.
    pub async fn leave(&self) {
        self.leaving.send_replace(true);
        // Until the task has ended.
        self.leaving.closed().await;
        self.streams.abort();
    }
}

impl Gossip for FocaGossip {
    fn view(&self) -> Arc<GossipView> {
        Arc::clone(&self.view.borrow())
    }

    fn changes(&self) -> watch::Receiver<Arc<GossipView>> {
        self.view.clone()
    }

    fn tell(&self, facts: MemberFacts) {
        let former = Arc::clone(&self.facts.borrow());
        let (node, incarnation) = (former.facts.node, former.facts.incarnation);
        let facts = MemberFacts { node, incarnation, ..facts };
        let told = Told { facts, address: former.address };
        if let Err(error) = told_bytes(&told) {
            return warn!(%node, %error, "gossip keeps what it told of this node: too long");
        }
        self.facts.send_if_modified(|current| {
            let news = **current != told;
            if news {
                *current = Arc::new(told);
            }
            news
        });
    }
}

impl Drop for FocaGossip {
    fn drop(&mut self) {
        self.task.abort();
        self.streams.abort();
    }
}

/// UDP on a port whose TCP another one has.
async fn bind_shared(address: SocketAddr) -> Result<UdpSocket, GossipError> {
    UdpSocket::bind(address).await.map_err(|source| GossipError::Bind { address, source })
}

/// TCP and UDP on one port.
async fn bind(address: SocketAddr) -> Result<(StreamSource, UdpSocket), GossipError> {
    let both = async || {
        let listener = TcpListener::bind(address).await?;
        let socket = UdpSocket::bind(listener.local_addr()?).await?;
        Ok((listener, socket))
    };
    let mut failed = io::Error::other("no port was tried");
    for _ in 0..PORTS_TRIED {
        match both().await {
            Ok((listener, socket)) => return Ok((StreamSource::Own(listener), socket)),
            Err(error) => failed = error,
        }
        // A port that was named is the only one.
        if address.port() != 0 {
            break;
        }
    }
    Err(GossipError::Bind { address, source: failed })
}
