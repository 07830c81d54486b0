//! How a connection begins: TLS if there are certificates, then who speaks with whom, then proofs.
//!
//! Nothing of HTTP/2 is read before both sides have proven who they are. Start reading at
//! [`greet`] and [`welcome`]. Source: docs/protocols/peers.md, "Connections".

use crate::codec::{
    HandshakePart, HandshakeProof, HandshakeVerdict, Hello, HelloReply, MAGIC, Nonce,
    PART_BYTES_MAX, PREFIX_BYTES, RefusedPeer, WIRE_VERSION, Welcome, WireError,
};
use crate::identity::{PeerIdentity, Prover, Speaker};
use bytes::{BufMut, Bytes, BytesMut};
use cortado_model::{ClusterUuid, NodeId, NodeIncarnation};
use cortado_peer_security::{
    CertificateExpiry, MacKey, NodeProtocol, NodeStream, Security, TlsIdentity, Wired, random_bytes,
};
use rustls::pki_types::{CertificateDer, ServerName};
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, lookup_host};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// The oldest version of the protocol that this build speaks.
const VERSION_MIN: u8 = 1;

/// Why a connection ends that has lasted longer than what it was proven by.
pub(crate) const EXPIRED: &str = "the other node's certificate has expired";

/// Which side proves, so that a proof cannot be sent back to whom it came from.
const CALLING: &[u8] = b"calling";
const CALLED: &[u8] = b"called";

/// Why a connection did not begin. Nothing was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GreetingError {
    /// TCP or TLS failed.
    #[error("the connection failed")]
    Io(#[source] io::Error),
    /// The other side refuses.
    #[error("the node refuses the connection: {0}")]
    Refused(RefusedPeer),
    /// This side refuses.
    #[error("refused the connection of another node: {0}")]
    Refuses(RefusedPeer),
    /// What answers is no node.
    #[error("what answers is no node of Cortado")]
    Stranger,
    /// What it says cannot be read.
    #[error("the handshake cannot be read")]
    Unreadable(#[source] WireError),
    /// It does not know the secret.
    #[error("what answers does not know the shared secret: compare the nodes' peer_secret_file")]
    NotProven,
    /// The operating system gives no random bytes.
    #[error("the operating system gives no random bytes")]
    NoRandom,
}

impl From<io::Error> for GreetingError {
    fn from(error: io::Error) -> GreetingError {
        GreetingError::Io(error)
    }
}

/// The life of a node that is meant.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Meant {
    pub(crate) node: NodeId,
    pub(crate) life: Option<NodeIncarnation>,
}

/// A connection whose both sides have proven who they are.
pub(crate) struct Greeted {
    pub(crate) wired: Box<dyn Wired>,
    /// Until when the other side's certificate is valid.
    pub(crate) expiry: Option<CertificateExpiry>,
}

/// Makes a connection known to the node that was called.
///
/// # Errors
/// See [`GreetingError`].
pub(crate) async fn greet(
    tcp: TcpStream,
    speaker: &Speaker,
    meant: Meant,
) -> Result<Greeted, GreetingError> {
    let mut expiry = None;
    let mut wired: Box<dyn Wired> = match &speaker.prover {
        Prover::Loopback | Prover::Secret(_) => Box::new(tcp),
        Prover::Certificate(tls) => {
            let name = ServerName::try_from(tls.name_of(meant.node));
            let name = name.map_err(|_| GreetingError::Stranger)?;
            let connector = TlsConnector::from(tls.calling(NodeProtocol::Peer, meant.node));
            let stream = connector.connect(name, tcp).await?;
            expiry = stream.get_ref().1.peer_certificates().and_then(CertificateExpiry::of_chain);
            Box::new(stream)
        }
    };
    let hello = hello_of(speaker, meant)?;
    send(&mut wired, &hello).await?;
    let (welcome, proof) = match receive(&mut wired).await? {
        HelloReply::Welcome(welcome, proof) => (welcome, proof),
        HelloReply::Refused(why) => return Err(GreetingError::Refused(why)),
    };
    let is_meant = welcome.node == meant.node
        && meant.life.is_none_or(|life| life == welcome.incarnation)
        && (VERSION_MIN..=WIRE_VERSION).contains(&welcome.version);
    if !is_meant {
        return Err(GreetingError::Stranger);
    }
    let own = prove_back(speaker, &hello, &welcome, proof)?;
    send(&mut wired, &own).await?;
    match receive(&mut wired).await? {
        HandshakeVerdict::Accepted => Ok(Greeted { wired, expiry }),
        HandshakeVerdict::Refused(why) => Err(GreetingError::Refused(why)),
    }
}

fn hello_of(speaker: &Speaker, meant: Meant) -> Result<Hello, GreetingError> {
    Ok(Hello {
        versions: (VERSION_MIN, WIRE_VERSION),
        method: speaker.method(),
        cluster: speaker.me.cluster,
        node: speaker.me.node,
        incarnation: speaker.me.incarnation,
        wanted: meant.node,
        wanted_life: meant.life,
        nonce: fresh()?,
    })
}

/// Checks the called node's proof, and makes one's own.
fn prove_back(
    speaker: &Speaker,
    hello: &Hello,
    welcome: &Welcome,
    proof: Option<HandshakeProof>,
) -> Result<Option<HandshakeProof>, GreetingError> {
    let Prover::Secret(keys) = &speaker.prover else { return Ok(None) };
    let (hello, welcome) = (hello.to_fields(), welcome.to_fields());
    let proof = proof.ok_or(GreetingError::NotProven)?;
    if !keys.is_mac(&[CALLED, &hello, &welcome], &proof.0) {
        return Err(GreetingError::NotProven);
    }
    Ok(Some(HandshakeProof(keys.proving().mac(&[CALLING, &hello, &welcome]))))
}

/// Which cluster the node at `place` is of: it says so to who asks in the name of another one. That
/// it is a node of that cluster it proves only to who asks in its name.
///
/// # Errors
/// See [`GreetingError`]; what answers is no node.
pub(crate) async fn cluster_at(
    place: &str,
    security: &Security,
) -> Result<ClusterUuid, GreetingError> {
    let me =
        PeerIdentity { cluster: ClusterUuid(0), node: NodeId(0), incarnation: NodeIncarnation(1) };
    let found = lookup_host(place).await?.find(|address| security.allows(*address));
    let address = found.ok_or(GreetingError::Io(io::ErrorKind::AddrNotAvailable.into()))?;
    let tcp = TcpStream::connect(address).await?;
    let meant = Meant { node: NodeId(0), life: None };
    match greet(tcp, &Speaker::new(me, security.clone()), meant).await {
        Err(GreetingError::Refused(RefusedPeer::OtherCluster { cluster })) => {
            Ok(ClusterUuid(cluster))
        }
        Err(error) => Err(error),
        Ok(_) => Err(GreetingError::Stranger),
    }
}

/// A connection that another node has opened, and whose it is.
pub(crate) struct Welcomed {
    pub(crate) wired: Box<dyn Wired>,
    pub(crate) node: NodeId,
    pub(crate) incarnation: NodeIncarnation,
    /// Until when its certificate is valid.
    pub(crate) expiry: Option<CertificateExpiry>,
}

/// Finds out who calls, and proves who is called.
///
/// * `called`: a connection that speaks this protocol.
/// * `admits`: whether a node may have one more connection; asked when it has proven itself.
///
/// # Errors
/// See [`GreetingError`].
pub(crate) async fn welcome(
    called: Called,
    speaker: &Speaker,
    admits: impl FnOnce(NodeId, NodeIncarnation) -> Result<(), RefusedPeer>,
) -> Result<Welcomed, GreetingError> {
    let Called { stream: NodeStream { mut wired, certificate }, expiry, .. } = called;
    let hello: Hello = match receive(&mut wired).await {
        Ok(hello) => hello,
        Err(error @ GreetingError::Unreadable(_)) => {
            send(&mut wired, &HelloReply::Refused(RefusedPeer::Unreadable)).await?;
            return Err(error);
        }
        Err(error) => return Err(error),
    };
    if let Err(why) = judge(&hello, speaker, certificate.as_deref()) {
        send(&mut wired, &HelloReply::Refused(why.clone())).await?;
        return Err(GreetingError::Refuses(why));
    }
    let welcome = Welcome {
        version: hello.versions.1.min(WIRE_VERSION),
        node: speaker.me.node,
        incarnation: speaker.me.incarnation,
        nonce: fresh()?,
    };
    let (hello_fields, welcome_fields) = (hello.to_fields(), welcome.to_fields());
    let keys = match &speaker.prover {
        Prover::Secret(keys) => Some(keys),
        Prover::Loopback | Prover::Certificate(_) => None,
    };
    let prove = |key: MacKey| HandshakeProof(key.mac(&[CALLED, &hello_fields, &welcome_fields]));
    let proof = keys.map(|keys| prove(keys.proving()));
    send(&mut wired, &HelloReply::Welcome(welcome, proof)).await?;
    let theirs: Option<HandshakeProof> = receive(&mut wired).await?;
    let is_proven = keys.is_none_or(|keys| {
        theirs.is_some_and(|theirs| {
            keys.is_mac(&[CALLING, &hello_fields, &welcome_fields], &theirs.0)
        })
    });
    let verdict =
        if is_proven { admits(hello.node, hello.incarnation) } else { Err(RefusedPeer::NotProven) };
    match verdict {
        Ok(()) => send(&mut wired, &HandshakeVerdict::Accepted).await?,
        Err(why) => {
            send(&mut wired, &HandshakeVerdict::Refused(why.clone())).await?;
            return Err(GreetingError::Refuses(why));
        }
    }
    Ok(Welcomed { wired, node: hello.node, incarnation: hello.incarnation, expiry })
}

/// A connection that was opened by another node, and what it speaks.
pub(crate) struct Called {
    pub(crate) stream: NodeStream,
    pub(crate) protocol: NodeProtocol,
    expiry: Option<CertificateExpiry>,
}

/// What a connection speaks, behind TLS if there are certificates. Nothing of it is read.
///
/// * `either`: gossip may be spoken, too.
///
/// # Errors
/// TCP or TLS failed.
pub(crate) async fn called(
    tcp: TcpStream,
    speaker: &Speaker,
    either: bool,
) -> Result<Called, GreetingError> {
    let Prover::Certificate(tls) = &speaker.prover else {
        let protocol = if either { plainly_spoken(&tcp).await? } else { NodeProtocol::Peer };
        let stream = NodeStream { wired: Box::new(tcp), certificate: None };
        return Ok(Called { stream, protocol, expiry: None });
    };
    let config = if either { tls.called_either() } else { tls.called(NodeProtocol::Peer) };
    let stream = TlsAcceptor::from(config).accept(tcp).await?;
    let (_, session) = stream.get_ref();
    let protocol = TlsIdentity::spoken(session.alpn_protocol());
    let chain = session.peer_certificates();
    let expiry = chain.and_then(CertificateExpiry::of_chain);
    let first = chain.and_then(|chain| chain.first());
    let certificate = first.map(|shown: &CertificateDer<'_>| shown.to_vec());
    let stream = NodeStream { wired: Box::new(stream), certificate };
    Ok(Called { stream, protocol, expiry })
}

/// Who calls speaks first: peers with a letter, gossip with the high byte of a length, which is 0.
async fn plainly_spoken(tcp: &TcpStream) -> io::Result<NodeProtocol> {
    let mut first = [0];
    let heard = tcp.peek(&mut first).await?;
    Ok(if heard == 1 && first[0] == 0 { NodeProtocol::Gossip } else { NodeProtocol::Peer })
}

/// Whether a hello is meant for this node, and comes from one that it may come from.
fn judge(hello: &Hello, speaker: &Speaker, certificate: Option<&[u8]>) -> Result<(), RefusedPeer> {
    let me = &speaker.me;
    let (oldest, newest) = (VERSION_MIN, WIRE_VERSION);
    if hello.cluster != me.cluster {
        return Err(RefusedPeer::OtherCluster { cluster: me.cluster.0 });
    }
    if hello.versions.0 > newest || hello.versions.1 < oldest {
        return Err(RefusedPeer::OtherVersions { oldest, newest });
    }
    if hello.method != speaker.method() {
        return Err(RefusedPeer::OtherMethod(speaker.method()));
    }
    if hello.wanted != me.node {
        return Err(RefusedPeer::OtherNode(me.node));
    }
    if hello.wanted_life.is_some_and(|life| life != me.incarnation) {
        return Err(RefusedPeer::OtherLife(me.incarnation));
    }
    if let Prover::Certificate(tls) = &speaker.prover {
        let is_named = certificate.is_some_and(|bytes| tls.names(&bytes.into(), hello.node));
        if !is_named {
            return Err(RefusedPeer::NotNamed { name: tls.name_of(hello.node) });
        }
    }
    Ok(())
}

/// Waits until then; for ever if there is no such moment.
pub(crate) async fn passes(expiry: Option<CertificateExpiry>) {
    match expiry {
        Some(expiry) => expiry.passes().await,
        None => std::future::pending().await,
    }
}

fn fresh() -> Result<Nonce, GreetingError> {
    random_bytes().map(Nonce).map_err(|_| GreetingError::NoRandom)
}

async fn send(wired: &mut Box<dyn Wired>, part: &impl HandshakePart) -> io::Result<()> {
    let fields = part.to_fields();
    let mut out = BytesMut::with_capacity(PREFIX_BYTES + fields.len());
    out.put_slice(&MAGIC);
    out.put_u16_le(u16::try_from(fields.len()).map_err(io::Error::other)?);
    out.put_slice(&fields);
    wired.write_all(&out).await?;
    wired.flush().await
}

async fn receive<P: HandshakePart>(wired: &mut Box<dyn Wired>) -> Result<P, GreetingError> {
    let mut prefix = [0; PREFIX_BYTES];
    wired.read_exact(&mut prefix).await?;
    let [m0, m1, m2, m3, low, high] = prefix;
    let length = usize::from(u16::from_le_bytes([low, high]));
    if [m0, m1, m2, m3] != MAGIC || length > PART_BYTES_MAX {
        return Err(GreetingError::Stranger);
    }
    let mut fields = vec![0; length];
    wired.read_exact(&mut fields).await?;
    P::from_fields(Bytes::from(fields)).map_err(GreetingError::Unreadable)
}
