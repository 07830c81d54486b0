//! How nodes prove to one another who they are: certificates, a shared secret, or loopback.
//!
//! Opens no socket. Start reading at [`RawSecurity::validate`].
//! Source: docs/protocols/peers.md, "Connections".

mod secret;
mod security;
mod tls;

pub use secret::{MacKey, PeerSecret, random_bytes};
pub use security::{RawSecurity, Security, SecurityError};
pub use tls::{NodeProtocol, TlsError, TlsFiles, TlsIdentity};
