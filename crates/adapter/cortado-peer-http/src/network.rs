//! The network of a process whose nodes are reached over HTTP/2, and reach one another in memory.
//!
//! Start reading at [`HttpNetwork`].

use crate::address::PeerAddress;
use crate::identity::PeerIdentity;
use crate::limits::PeerTiming;
use crate::peers::HttpPeers;
use crate::server::{ListenError, PeerServer};
use cortado_model::NodeId;
use cortado_peer::{
    MemoryNetwork, Peer, PeerLife, PeerNetwork, PeerPlace, PeerPlaceError, PeerWhereabouts, Peers,
    Pending,
};
use cortado_peer_security::Security;
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

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
struct HttpPlace {
    listening: Arc<HttpListening>,
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
}

impl PeerNetwork for HttpNetwork {
    /// # Panics
    /// Outside of a runtime, on which the connections live.
    fn enter(&self, life: PeerLife) -> Arc<dyn PeerPlace> {
        let HttpListening { security, timing, .. } = self.listening.as_ref();
        let others = HttpPeers::new(identity_of(&life), security.clone(), *timing);
        Arc::new(HttpPlace {
            listening: Arc::clone(&self.listening),
            life,
            own: self.own.enter(life),
            others: Arc::new(others),
            known: Mutex::default(),
            server: Mutex::default(),
            address: Mutex::default(),
        })
    }
}

fn identity_of(life: &PeerLife) -> PeerIdentity {
    PeerIdentity { cluster: life.cluster, node: life.node, incarnation: life.incarnation }
}

impl HttpPlace {
    /// Listens; waits for a former life's socket to be closed.
    async fn listen(&self, serves: Arc<dyn Peer>) -> Result<(), ListenError> {
        let HttpListening { listen, advertise, security, timing } = self.listening.as_ref();
        let Some(listen) = listen.filter(|_| self.life.is_asked) else { return Ok(()) };
        let give_up_at = Instant::now() + RELEASE_TIMEOUT;
        let server = loop {
            let (security, serves) = (security.clone(), Arc::clone(&serves));
            let me = identity_of(&self.life);
            match PeerServer::start(me, listen, security, *timing, serves).await {
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

    fn know(&self, nodes: &[PeerWhereabouts]) {
        if let Security::Certificate(tls) = &self.listening.security {
            tls.call(nodes.iter().map(|other| (other.node, other.name.clone())).collect());
        }
        let mut known = self.known.lock();
        let others = nodes.iter().filter(|other| other.node != self.life.node);
        let named: BTreeSet<NodeId> = others.clone().map(|other| other.node).collect();
        for PeerWhereabouts { node, address, .. } in others {
            // Whichever life listens there is asked: a node that has started again is reached
            // before the others have folded its registration.
            let addresses = vec![address.clone()];
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
}
