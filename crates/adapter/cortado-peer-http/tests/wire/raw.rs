//! Connections made by hand, as no node makes them.

use crate::support::{ASKED, ASKING, CLUSTER, PATIENCE};
use bytes::Bytes;
use cortado_model::NodeIncarnation;
use cortado_peer_http::{
    HandshakePart, HandshakeProof, HandshakeVerdict, Hello, HelloReply, Nonce, ProofMethod,
};
use std::net::SocketAddr;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A hello to `ASKED` as it should be.
pub(crate) fn hello() -> Hello {
    Hello {
        versions: (1, 1),
        method: ProofMethod::Loopback,
        cluster: CLUSTER,
        node: ASKING,
        incarnation: NodeIncarnation(1),
        wanted: ASKED,
        wanted_life: None,
        nonce: Nonce([7; 32]),
    }
}

/// Sends one part of a handshake.
pub(crate) async fn send(stream: &mut (impl AsyncWrite + Unpin), part: &impl HandshakePart) {
    let fields = part.to_fields();
    let length = u16::try_from(fields.len()).expect("short").to_le_bytes();
    let bytes = [b"CtPr", &length[..], &fields].concat();
    stream.write_all(&bytes).await.expect("sent");
}

/// Reads one; `None` if the connection ends.
pub(crate) async fn receive<P: HandshakePart>(stream: &mut (impl AsyncRead + Unpin)) -> Option<P> {
    let read = async {
        let mut prefix = [0; 6];
        stream.read_exact(&mut prefix).await.ok()?;
        let mut fields = vec![0; usize::from(u16::from_le_bytes([prefix[4], prefix[5]]))];
        stream.read_exact(&mut fields).await.ok()?;
        Some(P::from_fields(fields.into()).expect("it can be read"))
    };
    timeout(PATIENCE, read).await.expect("it comes")
}

/// What a node says to a hello.
pub(crate) async fn says(address: SocketAddr, hello: &Hello) -> Option<HelloReply> {
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    send(&mut stream, hello).await;
    receive(&mut stream).await
}

/// HTTP/2 on a connection without proofs.
pub(crate) async fn http(address: SocketAddr) -> h2::client::SendRequest<Bytes> {
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    send(&mut stream, &hello()).await;
    let reply: HelloReply = receive(&mut stream).await.expect("it answers");
    assert!(matches!(reply, HelloReply::Welcome(_, None)), "{reply:?}");
    send(&mut stream, &None::<HandshakeProof>).await;
    let verdict: HandshakeVerdict = receive(&mut stream).await.expect("it answers");
    assert_eq!(verdict, HandshakeVerdict::Accepted);
    let (requests, connection) = h2::client::handshake(stream).await.expect("it speaks HTTP/2");
    tokio::spawn(connection);
    requests
}
