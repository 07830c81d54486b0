//! The peer port between machines: HTTP/2 over TCP or TLS.
//!
//! Two connections to each node carry every call as a stream of its own and all messages on one
//! stream. Decides nothing, and retries nothing that may have been done. Start reading at
//! [`HttpPeers`], which asks, and [`PeerServer`], which answers.
//! Source: docs/protocols/peers.md, "Connections", and docs/formats/peer-wire.md.

mod address;
#[macro_use]
mod codec;
mod framing;
mod greeting;
mod identity;
mod keeper;
mod limits;
mod link;
mod network;
mod open_connection;
mod outbox;
mod peers;
mod server;
mod serving;

pub use address::PeerAddress;
pub use codec::{
    HandshakePart, HandshakeProof, HandshakeVerdict, Hello, HelloReply, Nonce, ProofMethod,
    RefusedCall, RefusedPeer, WIRE_VERSION, Welcome, WireAnswer, WireCall, WireError, WireReply,
    decode_message, encode_message,
};
pub use identity::PeerIdentity;
pub use limits::PeerTiming;
pub use network::{HttpListening, HttpNetwork, HttpPlace};
pub use peers::{HttpPeers, PeerLinkReport};
pub use server::{ListenError, PeerServer, PeerServerUsage};
