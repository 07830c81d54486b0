//! Certificates: each node shows one to the other, and each looks whether it names that node.
//!
//! TLS 1.3, both sides with a certificate of the cluster's own authority. Start reading at
//! [`TlsIdentity::load`].

use crate::expiry::CertificateExpiry;
use crate::verifier::AnyNode;
use arc_swap::{ArcSwap, ArcSwapOption};
use cortado_model::NodeId;
use rustls::client::danger::ServerCertVerifier;
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, DnsName, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What both sides must say they speak: an HTTPS server that is reached by mistake does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeProtocol {
    /// Calls and messages.
    Peer,
    /// Gossip.
    Gossip,
}

impl NodeProtocol {
    /// The name in ALPN.
    fn name(self) -> &'static [u8] {
        match self {
            NodeProtocol::Peer => b"cortado-peer/1",
            NodeProtocol::Gossip => b"cortado-gossip/1",
        }
    }
}

/// Where a node's certificate is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// `peer_ca_file`: the authorities that sign nodes' certificates, PEM. They sign nothing else:
    /// who has a certificate of theirs with a node's name is that node.
    pub ca: PathBuf,
    /// `peer_certificate_file`: the node's certificate and those between it and the authority, PEM.
    pub certificate: PathBuf,
    /// `peer_key_file`: its private key, PEM.
    pub key: PathBuf,
    /// `peer_domain`: what stands behind a node's name in its certificate's DNS name. `n1` without
    /// it, and with it `n1.db.example.com`.
    pub domain: Option<String>,
}

/// A node's certificate, and what it holds others' against. Can be loaded anew.
pub struct TlsIdentity {
    files: TlsFiles,
    /// What this node is called.
    own: String,
    /// What the others are called; without it, after their ids.
    named: ArcSwapOption<BTreeMap<NodeId, String>>,
    current: ArcSwap<TlsConfigs>,
}

/// One state of the files, for each protocol.
struct TlsConfigs {
    called: [Arc<ServerConfig>; 2],
    /// For a port on which both are spoken.
    called_either: Arc<ServerConfig>,
    calling: [Arc<ClientConfig>; 2],
    /// Where it is not known what the other node is called.
    calling_any: [Arc<ClientConfig>; 2],
    expiry: Option<CertificateExpiry>,
}

/// Why certificates cannot be used. What was used before still is.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is missing, or is no PEM.
    #[error("cannot read {setting} {}", .path.display())]
    File {
        /// The setting that names it.
        setting: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rustls::pki_types::pem::Error,
    },
    /// A file holds no certificate.
    #[error("{setting} {} holds no certificate", .path.display())]
    Empty {
        /// The setting that names it.
        setting: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// `peer_domain` makes no DNS name.
    #[error("{name} is no DNS name: correct peer_domain")]
    Name {
        /// What it makes.
        name: String,
    },
    /// The certificate and the key do not fit, or the other nodes would refuse them.
    #[error(
        "peer_certificate_file must hold a valid certificate for {name}, signed by peer_ca_file, \
         for server and client authentication, and peer_key_file its key"
    )]
    Certificate {
        /// The name of the node.
        name: String,
        /// Why they would.
        #[source]
        source: rustls::Error,
    },
    /// `peer_ca_file` holds nothing that can sign.
    #[error("peer_ca_file {} holds no usable authority", .path.display())]
    Authority {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl TlsIdentity {
    /// Reads the files of `node`, and looks at its certificate as the others will.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub fn load(files: TlsFiles, node: impl Display) -> Result<TlsIdentity, TlsError> {
        let own = node.to_string();
        let current = ArcSwap::from_pointee(load_configs(&files, &own)?);
        Ok(TlsIdentity { files, own, named: ArcSwapOption::empty(), current })
    }

    /// From now on nodes are called by these names, and not after their ids. A node that has none
    /// yet has not registered: any certificate of the cluster's authorities will do for it.
    pub fn call(&self, names: BTreeMap<NodeId, String>) {
        self.named.store(Some(Arc::new(names)));
    }

    /// Reads the files again. New connections use what they hold now; open ones go on.
    ///
    /// # Errors
    /// See [`TlsError`]: then new connections use what was read before.
    pub fn reload(&self) -> Result<(), TlsError> {
        self.current.store(Arc::new(load_configs(&self.files, &self.own)?));
        Ok(())
    }

    /// How this node speaks when it is called.
    pub fn called(&self, protocol: NodeProtocol) -> Arc<ServerConfig> {
        Arc::clone(&self.current.load().called[protocol as usize])
    }

    /// How this node speaks when it is called on a port that is for both protocols.
    pub fn called_either(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current.load().called_either)
    }

    /// How this node speaks when it calls `node`; 0 if it knows an address only. One that has no
    /// name yet has not registered: any certificate of the cluster's authorities will do for it.
    pub fn calling(&self, protocol: NodeProtocol, node: NodeId) -> Arc<ClientConfig> {
        let current = self.current.load();
        let is_any = node == NodeId(0) || self.is_without_name(node);
        let configs = if is_any { &current.calling_any } else { &current.calling };
        Arc::clone(&configs[protocol as usize])
    }

    /// Until when this node's own certificate, and those between it and the authority, are valid.
    pub fn expiry(&self) -> Option<CertificateExpiry> {
        self.current.load().expiry
    }

    /// The name that a node's certificate must have.
    pub fn name_of(&self, node: NodeId) -> String {
        let named = self.named.load();
        let name = named.as_ref().and_then(|named| named.get(&node).cloned());
        name_of(&name.unwrap_or_else(|| node.to_string()), self.files.domain.as_deref())
    }

    fn is_without_name(&self, node: NodeId) -> bool {
        self.named.load().as_ref().is_some_and(|named| !named.contains_key(&node))
    }

    /// What a connection speaks on a port that is for both protocols.
    ///
    /// * `agreed`: what both sides have agreed upon in ALPN.
    pub fn spoken(agreed: Option<&[u8]>) -> NodeProtocol {
        match agreed {
            Some(name) if name == NodeProtocol::Gossip.name() => NodeProtocol::Gossip,
            Some(_) | None => NodeProtocol::Peer,
        }
    }

    /// Whether a certificate, which is valid, names `node`.
    pub fn names(&self, certificate: &CertificateDer<'_>, node: NodeId) -> bool {
        if self.is_without_name(node) {
            return true;
        }
        let name = self.name_of(node);
        let (Ok(certificate), Ok(name)) =
            (webpki::EndEntityCert::try_from(certificate), DnsName::try_from(name.as_str()))
        else {
            return false;
        };
        certificate.verify_is_valid_for_subject_name(&ServerName::DnsName(name)).is_ok()
    }
}

impl std::fmt::Debug for TlsIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsIdentity").field("files", &self.files).finish_non_exhaustive()
    }
}

fn name_of(node: &str, domain: Option<&str>) -> String {
    domain.map_or(node.to_owned(), |domain| format!("{node}.{domain}"))
}

fn load_configs(files: &TlsFiles, node: &str) -> Result<TlsConfigs, TlsError> {
    let name = name_of(node, files.domain.as_deref());
    let server_name = ServerName::try_from(name.clone());
    let server_name = server_name.map_err(|_| TlsError::Name { name: name.clone() })?;
    let chain = certificates("peer_certificate_file", &files.certificate)?;
    let key = || {
        PrivateKeyDer::from_pem_file(&files.key).map_err(|source| TlsError::File {
            setting: "peer_key_file",
            path: files.key.clone(),
            source,
        })
    };
    let refused = |source| TlsError::Certificate { name: name.clone(), source };
    let roots = Arc::new(authorities(&files.ca)?);
    let provider = Arc::new(ring::default_provider());
    let expiry = CertificateExpiry::of_chain(&chain);
    let server_verifier = server_verifier(&roots, &provider, &files.ca)?;
    check_own(&server_verifier, &chain, &server_name).map_err(refused)?;
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider));
    let verifier = verifier.build().map_err(|error| authority(&files.ca, error))?;
    let versions = &[&rustls::version::TLS13];
    let called = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .map_err(refused)?
        .with_client_cert_verifier(verifier);
    let mut called = called.with_single_cert(chain.clone(), key()?).map_err(refused)?;
    let calling = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .map_err(refused)?
        .with_root_certificates(roots);
    let mut calling = calling.with_client_auth_cert(chain, key()?).map_err(refused)?;
    // Each connection looks at the certificates anew: one that has expired since is refused.
    calling.resumption = Resumption::disabled();
    called.session_storage = Arc::new(NoServerSessionStorage {});
    called.send_tls13_tickets = 0;
    let mut calling_any = calling.clone();
    calling_any.dangerous().set_certificate_verifier(Arc::new(AnyNode(server_verifier)));
    let both = [NodeProtocol::Peer, NodeProtocol::Gossip];
    let mut called_either = called.clone();
    called_either.alpn_protocols = both.map(|protocol| protocol.name().to_vec()).to_vec();
    let called_either = Arc::new(called_either);
    let called = both.map(|protocol| {
        let mut called = called.clone();
        called.alpn_protocols = vec![protocol.name().to_vec()];
        Arc::new(called)
    });
    let [calling, calling_any] = [calling, calling_any].map(|calling| {
        both.map(|protocol| {
            let mut calling = calling.clone();
            calling.alpn_protocols = vec![protocol.name().to_vec()];
            Arc::new(calling)
        })
    });
    Ok(TlsConfigs { called, called_either, calling, calling_any, expiry })
}

fn server_verifier(
    roots: &Arc<RootCertStore>,
    provider: &Arc<CryptoProvider>,
    ca: &Path,
) -> Result<Arc<WebPkiServerVerifier>, TlsError> {
    let verifier =
        WebPkiServerVerifier::builder_with_provider(Arc::clone(roots), Arc::clone(provider));
    verifier.build().map_err(|error| authority(ca, error))
}

/// Whether the other nodes would accept the node's own certificate now: a mistake is told at once,
/// by the node that has made it.
fn check_own(
    verifier: &WebPkiServerVerifier,
    chain: &[CertificateDer<'static>],
    name: &ServerName<'_>,
) -> Result<(), rustls::Error> {
    let Some((own, between)) = chain.split_first() else { return Ok(()) };
    verifier.verify_server_cert(own, between, name, &[], UnixTime::now()).map(drop)
}

fn authorities(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates("peer_ca_file", path)? {
        roots.add(certificate).map_err(|error| authority(path, error))?;
    }
    Ok(roots)
}

fn authority(path: &Path, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> TlsError {
    TlsError::Authority { path: path.to_owned(), source: source.into() }
}

fn certificates(
    setting: &'static str,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let failed = |source| TlsError::File { setting, path: path.to_owned(), source };
    let found = CertificateDer::pem_file_iter(path).map_err(failed)?;
    let found: Vec<_> = found.collect::<Result<_, _>>().map_err(failed)?;
    if found.is_empty() {
        return Err(TlsError::Empty { setting, path: path.to_owned() });
    }
    Ok(found)
}
