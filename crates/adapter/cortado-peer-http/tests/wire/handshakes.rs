//! Who is let in, who is not, and what they are told.

use crate::certificates::Authority;
use crate::played::{Played, one_of_each, report};
use crate::raw;
use crate::support::{
    ASKED, ASKING, any_port, ask, ask_until_answered, asking, asking_with, at, far, identity,
    listen, listen_with, secret, soon, until, why_down,
};
use cortado_model::{ClusterUuid, NodeId, NodeIncarnation};
use cortado_peer::{CallError, Message, Peers, Reach};
use cortado_peer_http::{
    HandshakeProof, HandshakeVerdict, Hello, HelloReply, HttpPeers, ListenError, Nonce,
    PeerAddress, PeerServer, PeerTiming, ProofMethod, RefusedPeer, Welcome,
};
use cortado_peer_security::{PeerSecret, Security, SecurityError, TlsError, TlsIdentity};
use rcgen::date_time_ymd;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// The asking node does not reach the asked one, and says why; nothing is asked.
async fn check(asked: Security, asks: Security, why: &str) {
    let (played, serves) = Played::prompt();
    let server = listen(ASKED, asked, serves).await;
    let peers = asking(asks, server.address());
    for question in one_of_each(far()) {
        assert_eq!(ask(&peers, question).await, Err(CallError::Unreachable));
    }
    let error = why_down(&peers).await;
    assert!(error.contains(why), "{error}");
    assert_eq!(played.asked(), 0);
}

#[tokio::test]
async fn another_authority_is_refused_by_both_sides() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    check(ours.security(ASKED), theirs.security(ASKING), "invalid peer certificate").await;
}

#[tokio::test]
async fn another_secret_is_refused_by_both_sides() {
    check(secret(1), secret(2), "does not know the shared secret").await;
    // The called node does not believe who calls, either: it hears a wrong proof.
    let (_, serves) = Played::prompt();
    let server = listen(ASKED, secret(1), serves).await;
    let mut stream = TcpStream::connect(server.address()).await.expect("it listens");
    raw::send(&mut stream, &Hello { method: ProofMethod::Secret, ..raw::hello() }).await;
    let Some(HelloReply::Welcome(_, Some(proof))) = raw::receive(&mut stream).await else {
        panic!("it proves itself")
    };
    raw::send(&mut stream, &Some(proof)).await;
    let verdict: Option<HandshakeVerdict> = raw::receive(&mut stream).await;
    let refused = Some(HandshakeVerdict::Refused(RefusedPeer::NotProven));
    assert_eq!(verdict, refused, "its own proof is sent back");
}

#[tokio::test]
async fn another_way_to_prove_is_refused_and_named() {
    let authority = Authority::new();
    check(secret(1), Security::Loopback, "it expects a shared secret (peer_secret_file)").await;
    check(Security::Loopback, secret(1), "it expects no proof").await;
    check(authority.security(ASKED), secret(1), "").await;
    check(secret(1), authority.security(ASKING), "").await;
}

#[tokio::test]
async fn a_certificate_of_another_node_is_refused() {
    let authority = Authority::new();
    // It has the certificate of node 3 and says that it is node 9.
    check(authority.security(ASKED), authority.security(NodeId(3)), "does not name n9").await;
    // What answers has the certificate of node 3 and says that it is node 1.
    check(authority.security(NodeId(3)), authority.security(ASKING), "not valid for name").await;
}

#[tokio::test]
async fn a_certificate_that_others_would_refuse_is_refused_at_once() {
    let (authority, other) = (Authority::new(), Authority::new());
    let refused = |files| match TlsIdentity::load(files, ASKED) {
        Err(TlsError::Certificate { source, .. }) => source.to_string(),
        other => panic!("{other:?}"),
    };
    let expired = authority.issue(ASKED, "n1", |params| {
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(2002, 1, 1);
    });
    assert!(refused(expired).contains("expired"));
    let foreign = authority.issue(ASKED, "n2", |_| {});
    assert!(refused(foreign).contains("not valid for name"));
    let mut mixed = authority.issue(ASKED, "n1", |_| {});
    mixed.ca = other.issue(ASKED, "n1", |_| {}).ca;
    assert!(refused(mixed).contains("invalid peer certificate"));
    let mut keyless = authority.issue(ASKED, "n1", |_| {});
    keyless.key = other.issue(ASKED, "n1", |_| {}).key;
    refused(keyless);
    let mut domain = authority.issue(ASKED, "n1.db.example.com", |_| {});
    domain.domain = Some("db.example.com".to_owned());
    assert!(TlsIdentity::load(domain, ASKED).is_ok());
}

/// A certificate of that node which has expired, and its key.
fn expired(
    authority: &Authority,
    node: NodeId,
) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>, CertificateDer<'static>) {
    let files = authority.issue(node, &node.to_string(), |params| {
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(2002, 1, 1);
    });
    let one = |path| CertificateDer::from_pem_file(path).expect("a certificate");
    let key = PrivateKeyDer::from_pem_file(&files.key).expect("a key");
    (vec![one(&files.certificate)], key, one(&files.ca))
}

#[tokio::test]
async fn an_expired_certificate_is_refused_whoever_shows_it() {
    let authority = Authority::new();
    let (_, serves) = Played::prompt();
    let server = listen(ASKED, authority.security(ASKED), serves).await;
    let (chain, key, ca) = expired(&authority, ASKING);
    let mut roots = rustls::RootCertStore::empty();
    roots.add(ca).expect("an authority");
    let calling = rustls::ClientConfig::builder().with_root_certificates(roots);
    let mut calling = calling.with_client_auth_cert(chain, key).expect("a pair");
    calling.alpn_protocols = vec![b"cortado-peer/1".to_vec()];
    let tcp = TcpStream::connect(server.address()).await.expect("it listens");
    let connector = TlsConnector::from(Arc::new(calling));
    let name = ServerName::try_from("n1").expect("a name");
    let refused = async {
        let mut stream = connector.connect(name, tcp).await?;
        stream.read_u8().await
    };
    let error = soon(refused).await.expect_err("it is refused");
    assert!(error.to_string().contains("CertificateExpired"), "{error}");

    let (chain, key, _) = expired(&authority, ASKED);
    let called = rustls::ServerConfig::builder().with_no_client_auth();
    let mut called = called.with_single_cert(chain, key).expect("a pair");
    called.alpn_protocols = vec![b"cortado-peer/1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(called));
    let listener = TcpListener::bind(any_port()).await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let _ = acceptor.accept(tcp).await;
        }
    });
    let peers = asking(authority.security(ASKING), address);
    assert_eq!(ask(&peers, report(far())).await, Err(CallError::Unreachable));
    let error = why_down(&peers).await;
    assert!(error.contains("expired"), "{error}");
}

#[tokio::test]
async fn a_connection_lasts_no_longer_than_the_certificates_that_began_it() {
    let authority = Authority::new();
    let soon_over = |node: NodeId| {
        let over = SystemTime::now() + Duration::from_secs(4);
        let files =
            authority.issue(node, &node.to_string(), |params| params.not_after = over.into());
        let identity = TlsIdentity::load(files, node).expect("it is good as yet");
        Arc::new(identity)
    };
    // Of the one that asks, then of the one that is asked.
    for expiring in [ASKING, ASKED] {
        let identity = soon_over(expiring);
        let security = |node| match node == expiring {
            true => Security::Certificate(Arc::clone(&identity)),
            false => authority.security(node),
        };
        let (_, serves) = Played::prompt();
        let server = listen(ASKED, security(ASKED), serves).await;
        let peers = asking(security(ASKING), server.address());
        ask_until_answered(&peers, report(far())).await;
        let links = || peers.links()[0].clone();
        until(|| links().error.is_some()).await;
        assert_eq!(ask(&peers, report(far())).await, Err(CallError::Unreachable));
        // With a new one it is back.
        authority.issue(expiring, &expiring.to_string(), |_| {});
        identity.reload().expect("it is good");
        ask_until_answered(&peers, report(far())).await;
    }
}

#[tokio::test]
async fn a_secret_is_replaced_while_nodes_speak() {
    let [old, new] = [[7; 32], [8; 32]];
    let secrets = [&old, &old].map(|secret| PeerSecret::new(secret).expect("long enough"));
    let security =
        |at: usize| Security::Secret { secret: secrets[at].clone(), file: None, private: false };
    let (_, serves) = Played::prompt();
    let server = listen(ASKED, security(0), Arc::clone(&serves)).await;
    let ask_anew = async || {
        let peers = asking(security(1), server.address());
        let answered = ask(&peers, report(far())).await.is_ok();
        peers.remove(ASKED);
        answered
    };
    assert!(ask_anew().await);
    assert!(secrets[0].replace(&new));
    assert!(!ask_anew().await, "they do not know one another");
    assert!(secrets[1].replace(&new));
    assert!(ask_anew().await);
}

#[tokio::test]
async fn certificates_are_loaded_anew() {
    let (authority, later) = (Authority::new(), Authority::new());
    let (_, serves) = Played::prompt();
    let ours = authority.identity(ASKED);
    let server = listen(ASKED, Security::Certificate(Arc::clone(&ours)), serves).await;
    let peers = asking(authority.security(ASKING), server.address());
    ask_until_answered(&peers, report(far())).await;
    let strangers = asking(later.security(ASKING), server.address());
    assert_eq!(ask(&strangers, report(far())).await, Err(CallError::Unreachable));
    // The node's files are replaced by those of another authority.
    let (files, new) = (authority.files(ASKED), later.issue(ASKED, "n1", |_| {}));
    std::fs::write(&files.certificate, "nothing").expect("written");
    assert!(ours.reload().is_err(), "what cannot be used is not");
    ask_until_answered(&peers, report(far())).await;
    for (to, from) in
        [(&files.ca, &new.ca), (&files.certificate, &new.certificate), (&files.key, &new.key)]
    {
        std::fs::copy(from, to).expect("copied");
    }
    ours.reload().expect("they are good");
    ask_until_answered(&strangers, report(far())).await;
    ask_until_answered(&peers, report(far())).await;
}

#[tokio::test]
async fn another_cluster_node_life_or_version_is_refused() {
    let (_, serves) = Played::prompt();
    let server = listen(ASKED, Security::Loopback, serves).await;
    let refused = async |hello: Hello| match raw::says(server.address(), &hello).await {
        Some(HelloReply::Refused(why)) => why,
        other => panic!("{other:?}"),
    };
    let other = Hello { cluster: ClusterUuid(1), ..raw::hello() };
    assert_eq!(refused(other).await, RefusedPeer::OtherCluster { cluster: 0xc0f_fee });
    let other = Hello { wanted: NodeId(2), ..raw::hello() };
    assert_eq!(refused(other).await, RefusedPeer::OtherNode(ASKED));
    let other = Hello { wanted_life: Some(NodeIncarnation(2)), ..raw::hello() };
    assert_eq!(refused(other).await, RefusedPeer::OtherLife(NodeIncarnation(1)));
    let newer = Hello { versions: (2, 9), ..raw::hello() };
    assert_eq!(refused(newer).await, RefusedPeer::OtherVersions { oldest: 1, newest: 1 });
    let both = Hello { versions: (1, 9), ..raw::hello() };
    let reply = raw::says(server.address(), &both).await;
    assert!(matches!(reply, Some(HelloReply::Welcome(welcome, None)) if welcome.version == 1));
}

#[tokio::test]
async fn a_node_that_is_not_meant_is_not_asked() {
    let (played, serves) = Played::prompt();
    let server = listen(ASKED, Security::Loopback, serves).await;
    let me = identity(ASKING, 1);
    let check = async |peers: HttpPeers, node: NodeId, address, why: &str| {
        assert!(peers.set(node, address));
        let peer = peers.peer(node).expect("it is in the book");
        let answer = soon(report(far()).put_to(peer.as_ref())).await;
        assert_eq!(answer, Err(CallError::Unreachable));
        let error = why_down(&peers).await;
        assert!(error.contains(why), "{error}");
    };
    let fresh = || HttpPeers::new(me, Security::Loopback, PeerTiming::default());
    let here = || at(server.address());
    check(fresh(), NodeId(2), here(), "it is node n1").await;
    let later = PeerAddress { incarnation: Some(NodeIncarnation(2)), ..here() };
    check(fresh(), ASKED, later, "it is in incarnation 1").await;
    let stranger = cortado_peer_http::PeerIdentity { cluster: ClusterUuid(1), ..me };
    let stranger = HttpPeers::new(stranger, Security::Loopback, PeerTiming::default());
    check(stranger, ASKED, here(), "it belongs to cluster").await;
    let nowhere = PeerAddress { incarnation: None, addresses: Vec::new() };
    check(fresh(), ASKED, nowhere, "names no address").await;
    assert_eq!(played.asked(), 0);
}

#[tokio::test]
async fn the_address_book_knows_lives() {
    let peers = HttpPeers::new(identity(ASKING, 1), Security::Loopback, PeerTiming::default());
    let life = |life: Option<u64>, address: &str| PeerAddress {
        incarnation: life.map(NodeIncarnation),
        addresses: vec![address.to_owned()],
    };
    let known = || peers.links()[0].address.clone();
    assert!(peers.set(ASKED, life(None, "127.0.0.1:1")), "from settings");
    assert!(peers.set(ASKED, life(Some(4), "127.0.0.1:2")), "its life is heard of");
    assert!(!peers.set(ASKED, life(Some(3), "127.0.0.1:3")), "an older one comes late");
    assert!(!peers.set(ASKED, life(None, "127.0.0.1:1")), "settings are older than news");
    assert_eq!(known(), life(Some(4), "127.0.0.1:2"));
    assert!(peers.set(ASKED, life(Some(4), "127.0.0.1:4")), "it has moved");
    assert!(peers.set(ASKED, life(Some(5), "127.0.0.1:5")), "it has started again");
    assert_eq!(known(), life(Some(5), "127.0.0.1:5"));
    peers.remove(ASKED);
    assert!(peers.peer(ASKED).is_none() && peers.links().is_empty());
}

#[tokio::test]
async fn without_authentication_only_this_machine_is_spoken_with() {
    let (_, serves) = Played::prompt();
    let (me, timing) = (identity(ASKED, 1), PeerTiming::default());
    let everywhere = "0.0.0.0:0".parse().expect("an address");
    for security in [Security::Loopback, secret(7)] {
        let started =
            PeerServer::start(me, everywhere, security, timing, Arc::clone(&serves)).await;
        let Err(ListenError::Security(error)) = started else { panic!("it listens") };
        let open = matches!(error, SecurityError::Open { .. } | SecurityError::NotPrivate { .. });
        assert!(open && error.to_string().contains("peer_network_private = true"), "{error}");
    }
    // An address that is kept for documents: nothing is there, and nothing is sent there.
    let elsewhere = "192.0.2.1:7000".parse().expect("an address");
    let peers = asking(Security::Loopback, elsewhere);
    assert_eq!(ask(&peers, report(far())).await, Err(CallError::Unreachable));
    assert!(why_down(&peers).await.contains("peers are not authenticated: set peer_ca_file"));
}

#[tokio::test]
async fn what_is_no_node_is_recognised() {
    let listener = TcpListener::bind(any_port()).await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            let _ = tcp.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    let peers = asking(Security::Loopback, address);
    assert_eq!(ask(&peers, report(far())).await, Err(CallError::Unreachable));
    assert!(why_down(&peers).await.contains("no node of Cortado"));
}

#[tokio::test]
async fn what_ends_as_soon_as_it_has_begun_is_not_begun_without_a_pause() {
    let listener = TcpListener::bind(any_port()).await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            let hello: Option<Hello> = raw::receive(&mut tcp).await;
            let node = hello.expect("a hello").wanted;
            let (incarnation, nonce) = (NodeIncarnation(1), Nonce([1; 32]));
            let welcome = Welcome { version: 1, node, incarnation, nonce };
            raw::send(&mut tcp, &HelloReply::Welcome(welcome, None)).await;
            let proof: Option<Option<HandshakeProof>> = raw::receive(&mut tcp).await;
            assert_eq!(proof, Some(None));
            raw::send(&mut tcp, &HandshakeVerdict::Accepted).await;
        }
    });
    let never = Duration::from_secs(3_600);
    let timing = PeerTiming { retry_min: never, retry_max: never, ..PeerTiming::default() };
    let peers = asking_with(Security::Loopback, timing, address);
    assert!(!why_down(&peers).await.is_empty());
    assert_eq!(ask(&peers, report(far())).await, Err(CallError::Unreachable));
}

#[tokio::test]
async fn who_says_nothing_or_nonsense_is_let_go_of() {
    let (_, serves) = Played::prompt();
    let timing = PeerTiming { greet: Duration::from_millis(300), ..PeerTiming::default() };
    let server = listen_with(ASKED, Security::Loopback, timing, serves).await;
    let mut silent = TcpStream::connect(server.address()).await.expect("it listens");
    let mut nonsense = TcpStream::connect(server.address()).await.expect("it listens");
    nonsense.write_all(b"GET / HTTP/1.1\r\n\r\n").await.expect("sent");
    let mut cut = TcpStream::connect(server.address()).await.expect("it listens");
    cut.write_all(b"CtPr\xff\xff").await.expect("sent");
    for stream in [&mut silent, &mut nonsense, &mut cut] {
        let read = soon(stream.read_u8()).await;
        assert!(read.is_err(), "it says nothing: {read:?}");
    }
    let peers = asking_with(Security::Loopback, PeerTiming::default(), server.address());
    ask_until_answered(&peers, report(far())).await;
    until(|| peers.links()[0].is_connected).await;
}

/// What a connection has proven is who opened it: it may not speak for others.
#[tokio::test]
async fn a_message_in_another_nodes_name_is_not_heard() {
    let (played, serves) = Played::prompt();
    let server = listen(ASKED, Security::Loopback, serves).await;
    let peers = asking(Security::Loopback, server.address());
    assert!(soon(peers.connected(ASKED)).await);
    let told_by =
        |by: NodeId| Message::Reach(Reach { by, failed: vec![NodeId(3)], served: vec![] });
    let peer = peers.peer(ASKED).expect("it is in the book");
    // In their order on one stream: when the second one has come, the first one has been looked at.
    until(|| {
        peer.tell(told_by(NodeId(3)));
        peer.tell(told_by(ASKING));
        played.heard(&told_by(ASKING))
    })
    .await;
    assert!(!played.heard(&told_by(NodeId(3))));
}
