//! How a connection begins: TLS if there are certificates, then who speaks with whom, then proofs.
//!
//! Nothing of HTTP/2 is read before both sides have proven who they are. Start reading at
//! [`greet`] and [`welcome`]. Source: docs/protocols/peers.md, "Connections".

use crate::codec::{
    HandshakePart, HandshakeProof, HandshakeVerdict, Hello, HelloReply, MAGIC, Nonce,
    PART_BYTES_MAX, PREFIX_BYTES, RefusedPeer, WIRE_VERSION, Welcome, WireError,
};
use crate::identity::{Prover, Speaker};
use bytes::{BufMut, Bytes, BytesMut};
use cortado_model::{NodeId, NodeIncarnation};
use cortado_peer_security::{NodeProtocol, random_bytes};
use rustls::pki_types::ServerName;
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// The oldest version of the protocol that this build speaks.
const VERSION_MIN: u8 = 1;

/// Which side proves, so that a proof cannot be sent back to whom it came from.
const CALLING: &[u8] = b"calling";
const CALLED: &[u8] = b"called";

/// A connection's bytes, encrypted or not.
pub(crate) trait Wired: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wired for T {}

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

/// Makes a connection known to the node that was called.
///
/// # Errors
/// See [`GreetingError`].
pub(crate) async fn greet(
    tcp: TcpStream,
    speaker: &Speaker,
    meant: Meant,
) -> Result<Box<dyn Wired>, GreetingError> {
    let mut wired: Box<dyn Wired> = match &speaker.prover {
        Prover::Loopback | Prover::Secret(_) => Box::new(tcp),
        Prover::Certificate(tls) => {
            let name = ServerName::try_from(tls.name_of(meant.node));
            let name = name.map_err(|_| GreetingError::Stranger)?;
            let connector = TlsConnector::from(tls.calling(NodeProtocol::Peer));
            Box::new(connector.connect(name, tcp).await?)
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
        HandshakeVerdict::Accepted => Ok(wired),
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
    let Prover::Secret(key) = &speaker.prover else { return Ok(None) };
    let (hello, welcome) = (hello.to_fields(), welcome.to_fields());
    let proof = proof.ok_or(GreetingError::NotProven)?;
    if !key.is_mac(&[CALLED, &hello, &welcome], &proof.0) {
        return Err(GreetingError::NotProven);
    }
    Ok(Some(HandshakeProof(key.mac(&[CALLING, &hello, &welcome]))))
}

/// A connection that another node has opened, and whose it is.
pub(crate) struct Welcomed {
    pub(crate) wired: Box<dyn Wired>,
    pub(crate) node: NodeId,
    pub(crate) incarnation: NodeIncarnation,
}

/// Finds out who calls, and proves who is called.
///
/// * `admits`: whether a node may have one more connection; asked when it has proven itself.
///
/// # Errors
/// See [`GreetingError`].
pub(crate) async fn welcome(
    tcp: TcpStream,
    speaker: &Speaker,
    admits: impl FnOnce(NodeId, NodeIncarnation) -> Result<(), RefusedPeer>,
) -> Result<Welcomed, GreetingError> {
    let (mut wired, certificate) = called(tcp, speaker).await?;
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
    let key = match &speaker.prover {
        Prover::Secret(key) => Some(key),
        Prover::Loopback | Prover::Certificate(_) => None,
    };
    let proof = key.map(|key| HandshakeProof(key.mac(&[CALLED, &hello_fields, &welcome_fields])));
    send(&mut wired, &HelloReply::Welcome(welcome, proof)).await?;
    let theirs: Option<HandshakeProof> = receive(&mut wired).await?;
    let is_proven = key.is_none_or(|key| {
        theirs
            .is_some_and(|theirs| key.is_mac(&[CALLING, &hello_fields, &welcome_fields], &theirs.0))
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
    Ok(Welcomed { wired, node: hello.node, incarnation: hello.incarnation })
}

/// The bytes of a connection, and the certificate of who has opened it.
async fn called(
    tcp: TcpStream,
    speaker: &Speaker,
) -> Result<(Box<dyn Wired>, Option<Vec<u8>>), GreetingError> {
    let Prover::Certificate(tls) = &speaker.prover else { return Ok((Box::new(tcp), None)) };
    let acceptor = TlsAcceptor::from(tls.called(NodeProtocol::Peer));
    let stream = acceptor.accept(tcp).await?;
    let certificates = stream.get_ref().1.peer_certificates();
    let certificate = certificates.and_then(|chain| chain.first()).map(|one| one.to_vec());
    Ok((Box::new(stream), certificate))
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
