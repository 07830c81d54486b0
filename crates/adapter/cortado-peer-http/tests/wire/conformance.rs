//! Peers over HTTP/2 keep the port's promises, whichever way they prove who they are.

use crate::certificates::Authority;
use crate::support::{any_port, identity, secret};
use cortado_model::{NodeId, NodeIncarnation};
use cortado_peer::conformance::{Leave, Subject, run};
use cortado_peer::{Faults, FaultyPeers, Peer, Peers, Pending};
use cortado_peer_http::{HttpPeers, PeerAddress, PeerServer, PeerTiming};
use cortado_peer_security::Security;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Nodes that listen on ports of this machine.
struct OverHttp {
    security: Box<dyn Fn(NodeId) -> Security + Send + Sync>,
    lives: AtomicU64,
    /// Of each node that asks.
    asking: Mutex<Vec<Arc<HttpPeers>>>,
}

impl OverHttp {
    fn new(security: impl Fn(NodeId) -> Security + Send + Sync + 'static) -> OverHttp {
        let (security, asking) = (Box::new(security), Mutex::default());
        OverHttp { security, lives: AtomicU64::new(1), asking }
    }

    fn asking(&self) -> Vec<Arc<HttpPeers>> {
        self.asking.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Subject for OverHttp {
    fn join(&self, node: NodeId, serves: Arc<dyn Peer>) -> Pending<'_, Leave> {
        Box::pin(async move {
            let life = self.lives.fetch_add(1, Ordering::Relaxed);
            let (me, timing) = (identity(node, life), PeerTiming::default());
            let server = PeerServer::start(me, any_port(), (self.security)(node), timing, serves);
            let server = server.await.expect("a free port");
            let incarnation = Some(NodeIncarnation(life));
            let addresses = vec![server.address().to_string()];
            for asking in self.asking() {
                let (incarnation, addresses) = (incarnation, addresses.clone());
                assert!(asking.set(node, PeerAddress { incarnation, addresses }));
                assert!(asking.connected(node).await);
            }
            // The address book is left as it is: nobody tells it of a death.
            let leave: Leave = Box::new(|| Box::pin(server.shutdown(Duration::ZERO)));
            leave
        })
    }

    fn peers(&self, asking: NodeId) -> Arc<dyn Peers> {
        let security = (self.security)(asking);
        let peers = HttpPeers::new(identity(asking, 1), security, PeerTiming::default());
        let peers = Arc::new(peers);
        self.asking.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&peers));
        peers
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_on_one_machine_conform() {
    run(&mut |_| Box::new(OverHttp::new(|_| Security::Loopback))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_with_a_secret_conform() {
    run(&mut |_| Box::new(OverHttp::new(|_| secret(7)))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_with_certificates_conform() {
    let authority = Arc::new(Authority::new());
    run(&mut |_| {
        let authority = Arc::clone(&authority);
        Box::new(OverHttp::new(move |node| authority.security(node)))
    })
    .await;
}

/// The same behind a wrapper that has no faults.
struct Faultless(OverHttp);

impl Subject for Faultless {
    fn join(&self, node: NodeId, serves: Arc<dyn Peer>) -> Pending<'_, Leave> {
        self.0.join(node, serves)
    }

    fn peers(&self, asking: NodeId) -> Arc<dyn Peers> {
        Arc::new(FaultyPeers::new(asking, self.0.peers(asking), &Arc::new(Faults::default())))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_that_could_have_faults_conform() {
    run(&mut |_| Box::new(Faultless(OverHttp::new(|_| Security::Loopback)))).await;
}
