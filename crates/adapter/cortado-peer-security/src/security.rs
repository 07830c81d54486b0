//! How nodes know one another: by certificates, by a secret on a private network, or not at all on
//! one machine.
//!
//! Start reading at [`RawSecurity::validate`].

use crate::secret::{PeerSecret, SECRET_BYTES_MIN};
use crate::tls::{TlsError, TlsFiles, TlsIdentity};
use std::fmt::Display;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

/// How a node proves to others who it is.
#[derive(Clone, Debug)]
pub enum Security {
    /// Not at all: only this machine's own addresses are listened on and called.
    Loopback,
    /// By a secret that all nodes know. What is said can be read and changed by who is on the
    /// network: off this machine it must be declared private.
    Secret {
        /// The secret.
        secret: PeerSecret,
        /// Nobody but the nodes is on the network between them.
        private: bool,
    },
    /// By certificates: nobody else reads or changes what is said.
    Certificate(Arc<TlsIdentity>),
}

/// What the operator wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RawSecurity {
    /// See [`TlsFiles::ca`].
    pub peer_ca_file: Option<PathBuf>,
    /// See [`TlsFiles::certificate`].
    pub peer_certificate_file: Option<PathBuf>,
    /// See [`TlsFiles::key`].
    pub peer_key_file: Option<PathBuf>,
    /// See [`TlsFiles::domain`].
    pub peer_domain: Option<String>,
    /// Holds the secret, 32 bytes or more.
    pub peer_secret_file: Option<PathBuf>,
    /// The network between the nodes is private: nobody but them is on it.
    pub peer_network_private: bool,
}

/// Why nodes would not be safe from others.
#[derive(Debug, thiserror::Error)]
pub enum SecurityError {
    /// Others than this machine could call, and nothing is checked.
    #[error(
        "peers could reach {address} without authentication: set peer_ca_file, \
         peer_certificate_file and peer_key_file, or peer_secret_file with \
         peer_network_private = true, or listen on a loopback address"
    )]
    Open {
        /// Where.
        address: SocketAddr,
    },
    /// The secret alone keeps nobody from listening.
    #[error(
        "peer_secret_file proves who a node is but encrypts nothing: set peer_network_private = \
         true if nobody else is on the network of {address}, or use certificates (peer_ca_file, \
         peer_certificate_file, peer_key_file)"
    )]
    NotPrivate {
        /// Where.
        address: SocketAddr,
    },
    /// Some of the files that belong together.
    #[error(
        "certificates need peer_ca_file, peer_certificate_file and peer_key_file: set {missing}"
    )]
    Incomplete {
        /// The first that is missing.
        missing: &'static str,
    },
    /// Two ways at once.
    #[error("set either peer_secret_file or peer_certificate_file, not both")]
    Both,
    /// The secret cannot be read.
    #[error("cannot read peer_secret_file {}", .path.display())]
    SecretFile {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The secret can be guessed.
    #[error(
        "peer_secret_file {} holds fewer than {SECRET_BYTES_MIN} bytes: write a random one, such \
         as `openssl rand -hex 32` prints", .path.display()
    )]
    ShortSecret {
        /// The file.
        path: PathBuf,
    },
    /// The certificates cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl RawSecurity {
    /// Checks all relations, and reads the files.
    ///
    /// * `node`: who listens, as its certificate names it.
    /// * `listen`: on which address.
    ///
    /// # Errors
    /// See [`SecurityError`].
    pub fn validate(
        self,
        node: impl Display,
        listen: SocketAddr,
    ) -> Result<Security, SecurityError> {
        if let Some(files) = self.tls_files()? {
            if self.peer_secret_file.is_some() {
                return Err(SecurityError::Both);
            }
            return Ok(Security::Certificate(Arc::new(TlsIdentity::load(files, node)?)));
        }
        let Some(path) = self.peer_secret_file else {
            let allowed = Security::Loopback.allows(listen);
            let open = SecurityError::Open { address: listen };
            return if allowed { Ok(Security::Loopback) } else { Err(open) };
        };
        if !self.peer_network_private && !listen.ip().is_loopback() {
            return Err(SecurityError::NotPrivate { address: listen });
        }
        match fs::read(&path) {
            Ok(bytes) => match PeerSecret::new(&bytes) {
                Some(secret) => Ok(Security::Secret { secret, private: self.peer_network_private }),
                None => Err(SecurityError::ShortSecret { path }),
            },
            Err(source) => Err(SecurityError::SecretFile { path, source }),
        }
    }

    fn tls_files(&self) -> Result<Option<TlsFiles>, SecurityError> {
        let files = [
            ("peer_ca_file", &self.peer_ca_file),
            ("peer_certificate_file", &self.peer_certificate_file),
            ("peer_key_file", &self.peer_key_file),
        ];
        if files.iter().all(|(_, file)| file.is_none()) {
            return Ok(None);
        }
        let mut found = Vec::new();
        for (missing, file) in files {
            found.push(file.clone().ok_or(SecurityError::Incomplete { missing })?);
        }
        let [ca, certificate, key] = <[PathBuf; 3]>::try_from(found).expect("three were looked at");
        Ok(Some(TlsFiles { ca, certificate, key, domain: self.peer_domain.clone() }))
    }
}

impl Security {
    /// Whether an address may be listened on or called: without certificates and a private network
    /// only this machine's own.
    pub fn allows(&self, address: SocketAddr) -> bool {
        match self {
            Security::Loopback | Security::Secret { private: false, .. } => {
                address.ip().is_loopback()
            }
            Security::Secret { private: true, .. } | Security::Certificate(_) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cortado_model::NodeId;

    const NODE: NodeId = NodeId(1);

    fn check(raw: RawSecurity, listen: &str, want: &str) {
        let got = match raw.validate(NODE, listen.parse().expect("an address")) {
            Ok(security) => format!("{security:?}"),
            Err(error) => error.to_string(),
        };
        assert!(got.contains(want), "{got}");
    }

    #[test]
    fn what_is_not_safe_is_refused_and_says_what_to_set() {
        let everywhere = "0.0.0.0:7000";
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::write(&path, text).expect("written");
            path
        };
        let long = write("long", "0123456789abcdef0123456789abcdef\n");
        let secret = |file| RawSecurity { peer_secret_file: Some(file), ..RawSecurity::default() };
        let private = |file| RawSecurity { peer_network_private: true, ..secret(file) };
        check(RawSecurity::default(), "127.0.0.1:0", "Loopback");
        check(RawSecurity::default(), "[::1]:0", "Loopback");
        check(RawSecurity::default(), everywhere, "set peer_ca_file");
        check(secret(long.clone()), "127.0.0.1:0", "PeerSecret");
        check(secret(long.clone()), everywhere, "peer_network_private = true");
        check(private(long.clone()), everywhere, "PeerSecret");
        check(private(write("short", "secret")), everywhere, "fewer than 32 bytes");
        check(private(folder.path().join("none")), everywhere, "cannot read peer_secret_file");
        let ca = RawSecurity { peer_ca_file: Some(long.clone()), ..RawSecurity::default() };
        check(ca.clone(), everywhere, "set peer_certificate_file");
        let all = RawSecurity {
            peer_certificate_file: Some(long.clone()),
            peer_key_file: Some(long.clone()),
            ..ca
        };
        check(all.clone(), everywhere, "holds no certificate");
        check(RawSecurity { peer_secret_file: Some(long), ..all }, everywhere, "not both");
    }
}
