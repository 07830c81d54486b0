//! Gossip by SWIM: which nodes there are and who lives, over UDP, and TCP for what is large.
//!
//! The protocol is foca's; this crate gives it sockets, timers, bytes and proofs, and shows what it
//! knows as evidence. Start reading at [`FocaGossip::start`].
//! Source: docs/protocols/peers.md, "Gossip", and docs/formats/gossip.md.

mod awareness;
mod codec;
mod envelope;
mod gate;
mod identity;
mod keys;
mod limits;
mod random;
mod replays;
mod seed;
mod start;
mod stream;
mod swim;
mod task;
mod told;
mod wire_error;

pub use codec::members_in;
pub use envelope::{Envelope, EnvelopeError};
pub use limits::GossipTiming;
pub use seed::GossipSeed;
pub use start::{FocaGossip, GossipError, GossipSettings};
pub use wire_error::GossipWireError;
