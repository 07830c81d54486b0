//! How nodes prove to one another who they are: certificates, a shared secret, or loopback.
//!
//! Opens no socket. Start reading at [`RawSecurity::validate`].
//! Source: docs/protocols/peers.md, "Connections".

mod expiry;
mod node_stream;
mod secret;
mod security;
mod tls;
mod verifier;

pub use expiry::CertificateExpiry;
pub use node_stream::{GossipDoor, NodeStream, Wired};
pub use secret::{MacKey, PeerSecret, SecretKeys, random_bytes};
pub use security::{RawSecurity, Security, SecurityError};
pub use tls::{NodeProtocol, TlsError, TlsFiles, TlsIdentity};
