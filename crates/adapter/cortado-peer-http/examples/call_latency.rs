//! How long calls between two nodes of this machine take, without proofs and with certificates.
//!
//! `cargo run --release -p cortado-peer-http --example call_latency`

use bytes::Bytes;
use cortado_model::{ClusterUuid, NodeId, NodeIncarnation};
use cortado_peer::conformance::{Answer, FnPeer, Question};
use cortado_peer::{Peers, SnapshotChunk, SnapshotId};
use cortado_peer_http::{HttpPeers, PeerAddress, PeerIdentity, PeerServer, PeerTiming};
use cortado_peer_security::{Security, TlsFiles, TlsIdentity};
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use std::future::ready;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

const CALLS: usize = 5_000;
const SIDE_BY_SIDE: usize = 64;
const SIZES: [usize; 3] = [100, 10_000, 256 << 10];

#[tokio::main]
async fn main() {
    println!("proof        answer bytes  one by one: median, 99 %  side by side: calls/s, MB/s");
    for (name, security) in [("loopback", loopback()), ("certificate", certificates())] {
        for bytes in SIZES {
            measure(name, &security, bytes).await;
        }
    }
}

async fn measure(name: &str, security: &[Security; 2], bytes: usize) {
    let (peers, server) = connected(security, bytes).await;
    let mut taken = Vec::new();
    for _ in 0..CALLS {
        let begin = Instant::now();
        ask(&peers).await;
        taken.push(begin.elapsed());
    }
    taken.sort_unstable();
    let (median, slow) = (taken[CALLS / 2], taken[CALLS * 99 / 100]);
    let begin = Instant::now();
    let mut asking = JoinSet::new();
    for _ in 0..SIDE_BY_SIDE {
        let peers = Arc::clone(&peers);
        asking.spawn(async move {
            for _ in 0..CALLS / SIDE_BY_SIDE {
                ask(&peers).await;
            }
        });
    }
    asking.join_all().await;
    let rate = (CALLS / SIDE_BY_SIDE * SIDE_BY_SIDE) as f64 / begin.elapsed().as_secs_f64();
    let megabytes = rate * bytes as f64 / 1e6;
    println!("{name:12} {bytes:12}  {median:>12.0?} {slow:>12.0?}  {rate:12.0} {megabytes:10.0}");
    server.shutdown(Duration::ZERO).await;
}

async fn ask(peers: &HttpPeers) {
    let peer = peers.peer(NodeId(1)).expect("it is in the book");
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    peer.snapshot_chunk(SnapshotId(1), 0, deadline).await.expect("it answers");
}

async fn connected(security: &[Security; 2], bytes: usize) -> (Arc<HttpPeers>, PeerServer) {
    let chunk = Bytes::from(vec![7; bytes]);
    let serves = FnPeer {
        call: Box::new(move |question| {
            assert!(matches!(question, Question::SnapshotChunk(..)));
            let chunk = SnapshotChunk::Chunk(chunk.clone());
            Box::pin(ready(Ok(Answer::SnapshotChunk(chunk))))
        }),
        at_once: Box::new(|_| None),
        tell: Box::new(drop),
    };
    let identity = |node| PeerIdentity {
        cluster: ClusterUuid(1),
        node: NodeId(node),
        incarnation: NodeIncarnation(1),
    };
    let (listen, timing) = (([127, 0, 0, 1], 0).into(), PeerTiming::default());
    let [called, calling] = security.clone();
    let server = PeerServer::start(identity(1), listen, called, timing, Arc::new(serves)).await;
    let server = server.expect("a free port");
    let peers = Arc::new(HttpPeers::new(identity(2), calling, timing));
    let addresses = vec![server.address().to_string()];
    peers.set(NodeId(1), PeerAddress { incarnation: None, addresses });
    assert!(peers.connected(NodeId(1)).await);
    (peers, server)
}

fn loopback() -> [Security; 2] {
    [Security::Loopback, Security::Loopback]
}

fn certificates() -> [Security; 2] {
    let folder = tempfile::tempdir().expect("a folder");
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca = params.self_signed(&key).expect("signed").pem();
    let issuer = Issuer::new(params, key);
    [1, 2].map(|node| {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec![format!("n{node}")]).expect("a name");
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(&key, &issuer).expect("signed").pem();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).expect("written");
            path
        };
        let files = TlsFiles {
            ca: write("ca.pem", &ca),
            certificate: write("own.pem", &certificate),
            key: write("own.key", &key.serialize_pem()),
            domain: None,
        };
        let identity = TlsIdentity::load(files, NodeId(node)).expect("a good certificate");
        Security::Certificate(Arc::new(identity))
    })
}
