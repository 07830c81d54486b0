//! Calls, replies, messages and handshakes as bytes.
//!
//! Decoding is total: any bytes give a value or an error, and allocate little more than they are
//! long. Every byte is described in docs/formats/peer-wire.md. Start reading at [`WireCall`].

// In the order in which they are used: their macros come first.
#[macro_use]
mod wire;
mod call;
mod frame;
mod hello;
mod input;
mod message;
mod operations;
mod positions;
mod reply;
#[cfg(test)]
mod tests;

pub use call::WireCall;
pub use frame::WIRE_VERSION;
pub use hello::{
    HandshakePart, HandshakeProof, HandshakeVerdict, Hello, HelloReply, Nonce, ProofMethod,
    RefusedPeer, Welcome,
};
pub(crate) use hello::{MAGIC, PART_BYTES_MAX, PREFIX_BYTES};
pub use input::WireError;
pub use message::{decode_message, encode_message};
pub use reply::{RefusedCall, WireAnswer, WireReply};
