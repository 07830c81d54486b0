//! Faults on the wire: a relay in front of an address, which tests and operators break.
//!
//! It carries bytes and datagrams and knows nothing of what they mean. Start reading at
//! [`Relay::start`].

mod direction;
mod pipe;
mod relay;
mod tcp;
mod udp;

pub use direction::Direction;
pub use pipe::TcpFaults;
pub use relay::Relay;
pub use tcp::{Cut, TcpRelay};
pub use udp::{UdpFaults, UdpRelay};
