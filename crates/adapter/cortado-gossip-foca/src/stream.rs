//! Messages over TCP: what is too large for a datagram, or has no key for one yet.
//!
//! One stream carries one message. With certificates both sides show theirs, and the receiver
//! gives a key for datagrams back. Start reading at [`send`] and [`hear_streams`].

use crate::envelope::{Envelope, MAC_BYTES};
use crate::keys::Keys;
use crate::limits::{STREAM_BYTES_MAX, STREAMS_MAX};
use cortado_model::{ClusterUuid, NodeId, NodeIncarnation};
use cortado_peer_security::{CertificateExpiry, NodeProtocol, NodeStream, TlsIdentity};
use rustls::pki_types::{CertificateDer, ServerName};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tracing::debug;

/// Bytes of a message with its envelope.
const FRAME_BYTES_MAX: usize = STREAM_BYTES_MAX + 4 * MAC_BYTES;
/// After accepting has failed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A message that came on a stream.
pub(crate) struct Streamed {
    pub(crate) bytes: Vec<u8>,
    /// The stream has proven who sent it: its MAC need not be looked at.
    pub(crate) is_proven: bool,
}

/// What the receiver gives back: its life, and the key for datagrams to it.
pub(crate) type Given = (NodeIncarnation, [u8; 32]);

/// Sends one message.
///
/// * `receiver`: whose certificate must be shown; known if there are certificates.
///
/// # Errors
/// It did not go through.
pub(crate) async fn send(
    address: SocketAddr,
    receiver: NodeId,
    keys: &Keys,
    message: &[u8],
) -> io::Result<Option<Given>> {
    let tcp = TcpStream::connect(address).await?;
    tcp.set_nodelay(true)?;
    let Some(tls) = keys.tls() else {
        let mut tcp = tcp;
        write(&mut tcp, message).await?;
        return Ok(None);
    };
    let name = ServerName::try_from(tls.name_of(receiver)).map_err(io::Error::other)?;
    let connector = TlsConnector::from(tls.calling(NodeProtocol::Gossip, receiver));
    let mut stream = connector.connect(name, tcp).await?;
    write(&mut stream, message).await?;
    let life = NodeIncarnation(stream.read_u64().await?);
    let mut key = [0; 32];
    stream.read_exact(&mut key).await?;
    Ok(Some((life, key)))
}

async fn write(stream: &mut (impl AsyncWrite + Unpin), message: &[u8]) -> io::Result<()> {
    let length = u32::try_from(message.len()).map_err(io::Error::other)?;
    stream.write_u32(length).await?;
    stream.write_all(message).await?;
    stream.flush().await
}

/// Who hears streams.
pub(crate) struct StreamHearer {
    pub(crate) cluster: ClusterUuid,
    pub(crate) life: NodeIncarnation,
    pub(crate) keys: Arc<Keys>,
    pub(crate) patience: Duration,
    pub(crate) heard: mpsc::Sender<Streamed>,
}

/// Where streams come from: a listener of gossip's own, or one that others share.
pub(crate) enum StreamSource {
    Own(TcpListener),
    Shared(mpsc::Receiver<NodeStream>),
}

impl StreamSource {
    /// The next stream; `None` if there will be none.
    async fn next(&mut self, keys: &Keys) -> Option<Incoming> {
        match self {
            StreamSource::Own(listener) => loop {
                match listener.accept().await {
                    Ok((tcp, _)) => break Some(Incoming::Accepted(tcp, keys.tls().cloned())),
                    Err(_) => sleep(ACCEPT_PAUSE).await,
                }
            },
            StreamSource::Shared(streams) => streams.recv().await.map(Incoming::Welcomed),
        }
    }
}

/// A stream that was opened by another node.
enum Incoming {
    Accepted(TcpStream, Option<Arc<TlsIdentity>>),
    Welcomed(NodeStream),
}

impl Incoming {
    /// Its bytes, behind TLS if there are certificates.
    async fn welcome(self) -> io::Result<NodeStream> {
        let (tcp, tls) = match self {
            Incoming::Welcomed(stream) => return Ok(stream),
            Incoming::Accepted(tcp, tls) => (tcp, tls),
        };
        let Some(tls) = tls else {
            return Ok(NodeStream { wired: Box::new(tcp), certificate: None });
        };
        let acceptor = TlsAcceptor::from(tls.called(NodeProtocol::Gossip));
        let stream = acceptor.accept(tcp).await?;
        let chain = stream.get_ref().1.peer_certificates();
        let certificate = chain.and_then(|chain| chain.first()).map(|shown| shown.to_vec());
        Ok(NodeStream { wired: Box::new(stream), certificate })
    }
}

/// Hears streams until there are no more. One more than there may be is closed at once.
pub(crate) async fn hear_streams(mut source: StreamSource, hearer: StreamHearer) {
    let hearer = Arc::new(hearer);
    let room = Arc::new(Semaphore::new(STREAMS_MAX));
    let mut streams = JoinSet::new();
    while let Some(incoming) = source.next(&hearer.keys).await {
        while streams.try_join_next().is_some() {}
        let Ok(room) = Arc::clone(&room).try_acquire_owned() else { continue };
        let hearer = Arc::clone(&hearer);
        streams.spawn(async move {
            let heard = async { hearer.hear(incoming.welcome().await?).await };
            match timeout(hearer.patience, heard).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => debug!(%error, "gossip stream failed"),
                Err(_) => debug!("gossip stream too slow"),
            }
            drop(room);
        });
    }
}

impl StreamHearer {
    async fn hear(&self, stream: NodeStream) -> io::Result<()> {
        let NodeStream { mut wired, certificate } = stream;
        let bytes = read(&mut wired).await?;
        let Some(tls) = self.keys.tls() else {
            return self.pass_on(Streamed { bytes, is_proven: false }).await;
        };
        let envelope = Envelope::read(&bytes, self.cluster).map_err(io::Error::other)?;
        let (sender, life) = (envelope.sender, envelope.sender_life);
        let shown = certificate.map(CertificateDer::from);
        let Some(shown) = shown.filter(|certificate| tls.names(certificate, sender)) else {
            return Err(io::Error::other(format!("the certificate does not name {sender}")));
        };
        let expiry = CertificateExpiry::of_chain(&[shown]);
        if let Some(key) = self.keys.give(sender, life, expiry) {
            wired.write_u64(self.life.0).await?;
            wired.write_all(&key).await?;
            wired.flush().await?;
        }
        self.pass_on(Streamed { bytes, is_proven: true }).await
    }

    async fn pass_on(&self, streamed: Streamed) -> io::Result<()> {
        self.heard.send(streamed).await.map_err(|_| io::Error::other("gossip has ended"))
    }
}

async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let length = usize::try_from(stream.read_u32().await?).map_err(io::Error::other)?;
    if length > FRAME_BYTES_MAX {
        return Err(io::Error::other(format!("a message of {length} bytes")));
    }
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}
