//! Certificates as an operator has them: an authority, and files for each node.

use cortado_model::NodeId;
use cortado_peer_security::{Security, TlsFiles, TlsIdentity};
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use std::fs;
use std::sync::Arc;
use tempfile::TempDir;

/// Signs certificates of nodes, and keeps them in files.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    folder: TempDir,
}

impl Authority {
    pub(crate) fn new() -> Authority {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).expect("signed").pem();
        let folder = tempfile::tempdir().expect("a folder");
        Authority { issuer: Issuer::new(params, key), pem, folder }
    }

    /// Writes a certificate for `name` as that of `node`.
    pub(crate) fn issue(
        &self,
        node: NodeId,
        name: &str,
        change: impl FnOnce(&mut CertificateParams),
    ) -> TlsFiles {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).expect("signed");
        self.write("ca.pem", &self.pem);
        self.write(&format!("{node}.pem"), &certificate.pem());
        self.write(&format!("{node}.key"), &key.serialize_pem());
        self.files(node)
    }

    /// The identity of `node`, with a certificate as it should be.
    pub(crate) fn identity(&self, node: NodeId) -> Arc<TlsIdentity> {
        let files = self.issue(node, &node.to_string(), |_| {});
        Arc::new(TlsIdentity::load(files, node).expect("a good certificate"))
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).expect("written");
    }

    /// Where the certificate of `node` is.
    pub(crate) fn files(&self, node: NodeId) -> TlsFiles {
        let path = |name: String| self.folder.path().join(name);
        TlsFiles {
            ca: path("ca.pem".to_owned()),
            certificate: path(format!("{node}.pem")),
            key: path(format!("{node}.key")),
            domain: None,
        }
    }

    /// How `node` proves who it is.
    pub(crate) fn security(&self, node: NodeId) -> Security {
        Security::Certificate(self.identity(node))
    }
}
