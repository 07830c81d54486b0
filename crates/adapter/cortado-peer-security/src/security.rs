//! How nodes know one another: by certificates, by a secret on a private network, or not at all on
//! one machine.
//!
//! Start reading at [`RawSecurity::validate`].

use crate::expiry::CertificateExpiry;
use crate::secret::{PeerSecret, SECRET_BYTES_MIN};
use crate::tls::{TlsError, TlsFiles, TlsIdentity};
use std::fmt::Display;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
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
        /// The file that holds it, to be read again.
        file: Option<PathBuf>,
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
    /// Holds the secret, 32 bytes or more; during a rotation several, one in each line.
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
        "peer_secret_file {} holds a secret of fewer than {SECRET_BYTES_MIN} bytes, or more than \
         four: write a random one, such as `openssl rand -hex 32` prints", .path.display()
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
        let bytes = read_secret(&path)?;
        let Some(secret) = PeerSecret::new(&bytes) else {
            return Err(SecurityError::ShortSecret { path });
        };
        let private = self.peer_network_private;
        Ok(Security::Secret { secret, file: Some(path), private })
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
    /// Reads the files again. What begins from now on is proven by what they hold now.
    ///
    /// # Errors
    /// See [`SecurityError`]: then what was read before still counts.
    pub fn reload(&self) -> Result<(), SecurityError> {
        match self {
            Security::Loopback | Security::Secret { file: None, .. } => Ok(()),
            Security::Secret { secret, file: Some(path), .. } => {
                if secret.replace(&read_secret(path)?) {
                    return Ok(());
                }
                Err(SecurityError::ShortSecret { path: path.clone() })
            }
            Security::Certificate(tls) => Ok(tls.reload()?),
        }
    }

    /// Until when this node's own certificate is valid; `None` without one.
    pub fn expiry(&self) -> Option<CertificateExpiry> {
        match self {
            Security::Loopback | Security::Secret { .. } => None,
            Security::Certificate(tls) => tls.expiry(),
        }
    }

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

fn read_secret(path: &Path) -> Result<Vec<u8>, SecurityError> {
    let failed = |source| SecurityError::SecretFile { path: path.to_owned(), source };
    fs::read(path).map_err(failed)
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
        check(private(write("short", "secret")), everywhere, "of fewer than 32 bytes");
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

    #[test]
    fn a_secret_is_read_again_and_kept_if_the_file_is_none() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("secret");
        fs::write(&path, "0123456789abcdef0123456789abcdef").expect("written");
        let raw = RawSecurity { peer_secret_file: Some(path.clone()), ..RawSecurity::default() };
        let listen = "127.0.0.1:0".parse().expect("an address");
        let security = raw.validate(NODE, listen).expect("a good secret");
        let Security::Secret { secret, .. } = &security else { panic!("{security:?}") };
        let keys = secret.keys(cortado_model::ClusterUuid(1), "peer");
        let mac = || keys.proving().mac(&[b"hello"]);
        let first = mac();
        fs::write(&path, "fedcba9876543210fedcba9876543210").expect("written");
        security.reload().expect("a good secret");
        let second = mac();
        assert_ne!(second, first);
        fs::write(&path, "short").expect("written");
        let refused = security.reload().expect_err("too short").to_string();
        assert!(refused.contains("fewer than 32 bytes"), "{refused}");
        fs::remove_file(&path).expect("removed");
        assert!(security.reload().expect_err("gone").to_string().contains("cannot read"));
        assert_eq!(mac(), second);
    }
}
