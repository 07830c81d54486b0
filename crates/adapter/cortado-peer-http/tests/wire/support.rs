//! Nodes that listen and ask, and what tests wait for.

use cortado_model::{ClusterUuid, NodeId, NodeIncarnation};
use cortado_peer::conformance::{Answer, Question};
use cortado_peer::{CallError, Peer, Peers};
use cortado_peer_http::{HttpPeers, PeerAddress, PeerIdentity, PeerServer, PeerTiming};
use cortado_peer_security::{PeerSecret, Security};
use std::future::{Future, pending};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// The node that asks.
pub(crate) const ASKING: NodeId = NodeId(9);
/// The node that is asked.
pub(crate) const ASKED: NodeId = NodeId(1);
pub(crate) const CLUSTER: ClusterUuid = ClusterUuid(0xc0f_fee);

pub(crate) fn identity(node: NodeId, life: u64) -> PeerIdentity {
    PeerIdentity { cluster: CLUSTER, node, incarnation: NodeIncarnation(life) }
}

/// A secret made of one byte.
pub(crate) fn secret(byte: u8) -> Security {
    let secret = PeerSecret::new(&[byte; 32]).expect("long enough");
    Security::Secret { secret, file: None, private: false }
}

/// What takes longer than this will never come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What must come, and soon.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect("it comes soon")
}

/// A deadline that never comes.
pub(crate) fn far() -> Instant {
    Instant::now() + Duration::from_secs(3_600)
}

/// A deadline that comes soon.
pub(crate) fn near() -> Instant {
    Instant::now() + Duration::from_millis(100)
}

/// A free port of this machine.
pub(crate) fn any_port() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

/// A node that listens.
pub(crate) async fn listen(node: NodeId, security: Security, serves: Arc<dyn Peer>) -> PeerServer {
    listen_with(node, security, PeerTiming::default(), serves).await
}

pub(crate) async fn listen_with(
    node: NodeId,
    security: Security,
    timing: PeerTiming,
    serves: Arc<dyn Peer>,
) -> PeerServer {
    let server = PeerServer::start(identity(node, 1), any_port(), security, timing, serves);
    server.await.expect("a free port")
}

/// A node that knows `ASKED` to be at `address`.
pub(crate) fn asking(security: Security, address: SocketAddr) -> HttpPeers {
    asking_with(security, PeerTiming::default(), address)
}

pub(crate) fn asking_with(
    security: Security,
    timing: PeerTiming,
    address: SocketAddr,
) -> HttpPeers {
    let peers = HttpPeers::new(identity(ASKING, 1), security, timing);
    assert!(peers.set(ASKED, at(address)));
    peers
}

/// An address, in whichever life.
pub(crate) fn at(address: SocketAddr) -> PeerAddress {
    PeerAddress { incarnation: None, addresses: vec![address.to_string()] }
}

/// Asks `ASKED`.
pub(crate) async fn ask(peers: &HttpPeers, question: Question) -> Result<Answer, CallError> {
    let peer = peers.peer(ASKED).expect("it is in the book");
    soon(question.put_to(peer.as_ref())).await
}

/// Asks until there is an answer: while connections are made anew, some calls are not sent.
pub(crate) async fn ask_until_answered(peers: &HttpPeers, question: Question) -> Answer {
    soon(async {
        loop {
            match ask(peers, question.clone()).await {
                Ok(answer) => return answer,
                Err(_) => a_little().await,
            }
        }
    })
    .await
}

/// Why `ASKED` is not reached, as soon as that is known.
pub(crate) async fn why_down(peers: &HttpPeers) -> String {
    soon(async {
        loop {
            if let Some(error) = peers.links().into_iter().find_map(|link| link.error) {
                return error;
            }
            a_little().await;
        }
    })
    .await
}

/// Waits until `condition` holds.
pub(crate) async fn until(condition: impl Fn() -> bool) {
    soon(async {
        while !condition() {
            a_little().await;
        }
    })
    .await;
}

/// Between two looks.
async fn a_little() {
    let _ = timeout(Duration::from_millis(5), pending::<()>()).await;
}
