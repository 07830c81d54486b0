//! The network of a process whose nodes are reached over HTTP/2, and reach one another in memory.
//!
//! Start reading at [`HttpNetwork`].

use crate::address::PeerAddress;
use crate::greeting::cluster_at;
use crate::identity::PeerIdentity;
use crate::limits::PeerTiming;
use crate::peers::HttpPeers;
use crate::server::{ListenError, PeerServer};
use cortado_model::{ClusterUuid, NodeId, with_causes};
use cortado_peer::{
    MemoryNetwork, Peer, PeerLife, PeerNetwork, PeerPlace, PeerPlaceError, PeerWhereabouts, Peers,
    Pending, PlaceUsage,
};
use cortado_peer_security::{GossipDoor, Security};
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};
use tracing::warn;

/// How long a node that leaves goes on answering what has begun.
const LEAVING: Duration = Duration::from_secs(2);
/// How long the address of a life that has left may be held by what it left.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(5);
/// How often it is tried meanwhile.
const RELEASE_LOOK: Duration = Duration::from_millis(20);

/// The way to the nodes of other processes.
pub struct HttpNetwork {
    listening: Arc<HttpListening>,
    /// The lives of this process.
    own: MemoryNetwork,
}

/// Where this process listens, and how it speaks.
pub struct HttpListening {
    /// Where the node of this process listens for its peers; `None` in a process without one.
    pub listen: Option<SocketAddr>,
    /// `host:port` under which others reach it, if that is another one.
    pub advertise: Option<String>,
    /// How nodes prove who they are.
    pub security: Security,
    /// How long to wait for what.
    pub timing: PeerTiming,
}

/// A life's place.
pub struct HttpPlace {
    listening: Arc<HttpListening>,
    gossip: Option<GossipDoor>,
    life: PeerLife,
    own: Arc<dyn PeerPlace>,
    others: Arc<HttpPeers>,
    known: Mutex<BTreeSet<NodeId>>,
    server: Mutex<Option<PeerServer>>,
    address: Mutex<String>,
}

/// Those of this process first.
struct OwnAndOthers {
    own: Arc<dyn Peers>,
    others: Arc<HttpPeers>,
}

impl HttpNetwork {
    /// A network that knows no other node yet.
    pub fn new(listening: HttpListening) -> HttpNetwork {
        HttpNetwork { listening: Arc::new(listening), own: MemoryNetwork::default() }
    }

    /// Which cluster a node is of, as it says itself; the first of `places` that answers.
    ///
    /// * `places`: `host:port`, where nodes may listen for their peers.
    pub async fn cluster_at(&self, places: &[String]) -> Option<ClusterUuid> {
        let HttpListening { security, timing, .. } = self.listening.as_ref();
        for place in places {
            match timeout(timing.connect + timing.greet, cluster_at(place, security)).await {
                Ok(Ok(cluster)) => return Some(cluster),
                Ok(Err(error)) => warn!(place, error = with_causes(&error), "seed not asked"),
                Err(_) => warn!(place, "seed did not answer in time"),
            }
        }
        None
    }

    /// Gives a life its place, on a port that it may share with gossip.
    ///
    /// * `gossip`: takes the connections that speak it.
    ///
    /// # Panics
    /// Outside of a runtime, on which the connections live.
    pub fn enter_beside(&self, life: PeerLife, gossip: Option<GossipDoor>) -> HttpPlace {
        let HttpListening { security, timing, .. } = self.listening.as_ref();
        let others = HttpPeers::new(identity_of(&life), security.clone(), *timing);
        HttpPlace {
            listening: Arc::clone(&self.listening),
            gossip,
            life,
            own: self.own.enter(life),
            others: Arc::new(others),
            known: Mutex::default(),
            server: Mutex::default(),
            address: Mutex::default(),
        }
    }
}

impl PeerNetwork for HttpNetwork {
    /// # Panics
    /// Outside of a runtime, on which the connections live.
    fn enter(&self, life: PeerLife) -> Arc<dyn PeerPlace> {
        Arc::new(self.enter_beside(life, None))
    }

    /// It was told of none to ask.
    fn seek_cluster(&self) -> Pending<'_, Option<ClusterUuid>> {
        Box::pin(std::future::ready(None))
    }
}

fn identity_of(life: &PeerLife) -> PeerIdentity {
    PeerIdentity { cluster: life.cluster, node: life.node, incarnation: life.incarnation }
}

impl HttpPlace {
    /// Where it listens; `None` if it does not.
    pub fn bound(&self) -> Option<SocketAddr> {
        self.server.lock().as_ref().map(PeerServer::address)
    }

    /// Listens; waits for a former life's socket to be closed.
    async fn listen(&self, serves: Arc<dyn Peer>) -> Result<(), ListenError> {
        let HttpListening { listen, advertise, security, timing } = self.listening.as_ref();
        let Some(listen) = listen.filter(|_| self.life.is_asked) else { return Ok(()) };
        let give_up_at = Instant::now() + RELEASE_TIMEOUT;
        let server = loop {
            let (security, serves) = (security.clone(), Arc::clone(&serves));
            let (me, gossip) = (identity_of(&self.life), self.gossip.clone());
            let started =
                PeerServer::start_beside(me, listen, security, *timing, serves, gossip).await;
            match started {
                Ok(server) => break server,
                Err(ListenError::Bind { source, .. })
                    if source.kind() == ErrorKind::AddrInUse && Instant::now() < give_up_at =>
                {
                    sleep(RELEASE_LOOK).await;
                }
                Err(error) => return Err(error),
            }
        };
        let address = server.address().to_string();
        *self.address.lock() = advertise.clone().unwrap_or(address);
        *self.server.lock() = Some(server);
        Ok(())
    }
}

impl PeerPlace for HttpPlace {
    fn peers(&self) -> Arc<dyn Peers> {
        Arc::new(OwnAndOthers { own: self.own.peers(), others: Arc::clone(&self.others) })
    }

    fn serve(&self, serves: Arc<dyn Peer>) -> Pending<'_, Result<(), PeerPlaceError>> {
        Box::pin(async move {
            self.own.serve(Arc::clone(&serves)).await?;
            self.listen(serves).await.map_err(|error| PeerPlaceError(Box::new(error)))
        })
    }

    fn address(&self) -> String {
        self.address.lock().clone()
    }

    fn usage(&self) -> PlaceUsage {
        let links = self.others.links();
        let usage = self.server.lock().as_ref().map(PeerServer::usage).unwrap_or_default();
        PlaceUsage {
            connected: links.iter().filter(|link| link.is_connected).count(),
            known: links.len(),
            connections: usage.connections,
            connections_max: usage.connections_max,
            frame_bytes: usage.frame_bytes,
            frame_bytes_max: usage.frame_bytes_max,
            certificate_expiry_s: self
                .listening
                .security
                .expiry()
                .map_or(0, |at| at.unix_seconds()),
        }
    }

    fn know(&self, nodes: &[PeerWhereabouts]) {
        if let Security::Certificate(tls) = &self.listening.security {
            let named = nodes.iter().filter_map(|other| Some((other.node, other.name.clone()?)));
            tls.call(named.collect());
        }
        let mut known = self.known.lock();
        let others = nodes.iter().filter(|other| other.node != self.life.node);
        let named: BTreeSet<NodeId> = others.clone().map(|other| other.node).collect();
        for PeerWhereabouts { node, addresses, .. } in others {
            // Whichever life listens there is asked: a node that has started again is reached
            // before the others have folded its registration.
            let addresses = addresses.clone();
            self.others.set(*node, PeerAddress { incarnation: None, addresses });
        }
        known.difference(&named).for_each(|gone| self.others.remove(*gone));
        *known = named;
    }

    fn leave(&self) -> Pending<'_, ()> {
        Box::pin(async {
            let server = self.server.lock().take();
            if let Some(server) = server {
                server.shutdown(LEAVING).await;
            }
            self.own.leave().await;
        })
    }
}

impl Peers for OwnAndOthers {
    fn peer(&self, node: NodeId) -> Option<Arc<dyn Peer>> {
        self.own.peer(node).or_else(|| self.others.peer(node))
    }

    fn nodes(&self) -> Vec<NodeId> {
        let all: BTreeSet<NodeId> =
            self.own.nodes().into_iter().chain(self.others.nodes()).collect();
        all.into_iter().collect()
    }
}
