//! Lives that take their places in networks of their own, as in processes of their own.

use crate::certificates::Authority;
use crate::support::{any_port, identity, near, soon};
use cortado_model::{DirectoryUuid, NodeId, NodeIncarnation, PartitionId};
use cortado_peer::conformance::{Answer, FnPeer};
use cortado_peer::{CallError, Peer, PeerLife, PeerNetwork, PeerPlace, PeerWhereabouts};
use cortado_peer_http::{HttpListening, HttpNetwork, PeerTiming};
use cortado_peer_security::{Security, TlsIdentity};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::interval;

const A: NodeId = NodeId(1_001);
const B: NodeId = NodeId(1_002);
const ROUTER: NodeId = NodeId(1 << 31);

fn life(node: NodeId, incarnation: u64) -> PeerLife {
    let cluster = identity(node, incarnation).cluster;
    let is_asked = node != ROUTER;
    let (incarnation, directory) = (NodeIncarnation(incarnation), DirectoryUuid(0));
    PeerLife { cluster, node, incarnation, directory, is_asked }
}

fn process(listen: Option<SocketAddr>, security: Security) -> HttpNetwork {
    let timing = PeerTiming { retry_min: Duration::from_millis(5), ..PeerTiming::default() };
    HttpNetwork::new(HttpListening { listen, advertise: None, security, timing })
}

/// Has a standing of nothing, whatever is asked.
fn serving() -> Arc<dyn Peer> {
    Arc::new(FnPeer {
        call: Box::new(|_| Box::pin(std::future::ready(Ok(Answer::Standing(None))))),
        at_once: Box::new(|_| None),
        tell: Box::new(drop),
    })
}

fn whereabouts(node: NodeId, name: &str, place: &dyn PeerPlace) -> PeerWhereabouts {
    let (name, addresses) = (Some(name.to_owned()), vec![place.address()]);
    PeerWhereabouts { node, incarnation: NodeIncarnation(1), name, addresses }
}

async fn ask(place: &dyn PeerPlace, node: NodeId) -> Result<(), CallError> {
    let peer = place.peers().peer(node).ok_or(CallError::Unreachable)?;
    peer.standing(PartitionId::CLUSTER, near()).await.map(drop)
}

async fn is_reached(place: &dyn PeerPlace, node: NodeId) {
    soon(async {
        let mut look_again = interval(Duration::from_millis(5));
        while ask(place, node).await.is_err() {
            look_again.tick().await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_in_the_book_is_reached_in_whichever_life_it_is() {
    let (one, two) = (process(Some(any_port()), Security::Loopback), any_port());
    let a = one.enter(life(A, 1));
    a.serve(serving()).await.expect("it listens");
    let other = process(Some(two), Security::Loopback);
    let b = other.enter(life(B, 1));
    b.serve(serving()).await.expect("it listens");
    assert_eq!(ask(a.as_ref(), B).await, Err(CallError::Unreachable), "nobody has told where");
    a.know(&[whereabouts(A, "a", a.as_ref()), whereabouts(B, "b", b.as_ref())]);
    is_reached(a.as_ref(), B).await;
    // A router of the same process reaches its node in memory, and the others as the node does.
    let router = one.enter(life(ROUTER, 1));
    router.serve(serving()).await.expect("nobody asks it");
    assert_eq!(router.address(), "");
    assert_eq!(ask(router.as_ref(), A).await, Ok(()));
    router.know(&[whereabouts(B, "b", b.as_ref())]);
    is_reached(router.as_ref(), B).await;
    // The next life listens where the former one did; nobody need be told.
    let at: SocketAddr = b.address().parse().expect("an address");
    b.leave().await;
    soon(async { while ask(a.as_ref(), B).await.is_ok() {} }).await;
    let b = process(Some(at), Security::Loopback).enter(life(B, 2));
    b.serve(serving()).await.expect("it listens");
    is_reached(a.as_ref(), B).await;
    a.know(&[]);
    assert_eq!(ask(a.as_ref(), B).await, Err(CallError::Unreachable));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_name_nodes_as_the_cluster_calls_them() {
    let authority = Authority::new();
    let named = |node: NodeId, name: &str| {
        let files = authority.issue(node, name, |_| {});
        let own = TlsIdentity::load(files, name).expect("a good certificate");
        Security::Certificate(Arc::new(own))
    };
    let a = process(Some(any_port()), named(A, "tokyo-1")).enter(life(A, 1));
    let b = process(Some(any_port()), named(B, "tokyo-2")).enter(life(B, 1));
    for place in [&a, &b] {
        place.serve(serving()).await.expect("it listens");
    }
    // Neither has folded the other's registration: a certificate of the cluster is enough to call.
    b.know(&[]);
    a.know(&[whereabouts(B, "tokyo-2", b.as_ref())]);
    is_reached(a.as_ref(), B).await;
    // Who is called by another name than its certificate's is not the one that is meant.
    let all = [whereabouts(A, "tokyo-1", a.as_ref()), whereabouts(B, "osaka-1", b.as_ref())];
    a.know(&[]);
    a.know(&all);
    assert!(ask(a.as_ref(), B).await.is_err());
    let names = BTreeMap::from([(A, "osaka-1".to_owned())]);
    let Security::Certificate(tls) = named(B, "tokyo-2") else { panic!("it has one") };
    assert_eq!(tls.name_of(A), A.to_string());
    tls.call(names);
    assert_eq!(tls.name_of(A), "osaka-1");
}
