//! A connection that has come in where a node listens, on its way to what it speaks.
//!
//! Start reading at [`NodeStream`].

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;

/// A connection's bytes, encrypted or not.
pub trait Wired: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wired for T {}

/// A connection of which nothing has been read behind TLS yet.
pub struct NodeStream {
    /// Its bytes.
    pub wired: Box<dyn Wired>,
    /// The certificate that the other side has shown, which is valid; `None` without TLS.
    pub certificate: Option<Vec<u8>>,
}

/// Where connections that speak gossip go, on a port that is also the peers'. Bounded: what there
/// is no room for is closed.
pub type GossipDoor = mpsc::Sender<NodeStream>;
