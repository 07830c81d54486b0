//! A listener with TLS and SASL beside the others: who may come there, and what proves who it is.
//!
//! Start reading at [`Secured`].

use crate::error::{BrokersError, at};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use serde::{Deserialize, Serialize};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// The one user of the listener, by PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secured {
    /// Letters and digits.
    pub user: String,
    /// Letters and digits.
    pub password: String,
    /// Whether the user may do only what ACLs allow, and who comes without a name everything.
    pub with_acls: bool,
}

/// What the listener is called.
pub(crate) const LISTENER: &str = "SECURED";
/// Those that hash.
const SCRAM: [&str; 2] = ["SCRAM-SHA-256", "SCRAM-SHA-512"];

impl Secured {
    /// Arguments with which a folder is formatted so that the user is known.
    pub(crate) fn format_arguments(&self) -> Vec<String> {
        let Secured { user, password, .. } = self;
        let of = |mechanism| {
            ["--add-scram".to_owned(), format!("{mechanism}=[name={user},password={password}]")]
        };
        SCRAM.into_iter().flat_map(of).collect()
    }

    /// What a broker's settings say of the listener.
    ///
    /// * `certificate`: of the broker, with its key.
    pub(crate) fn properties(&self, certificate: &Path) -> String {
        let Secured { user, password, with_acls } = self;
        let (prefix, security) = ("listener.name.secured", "org.apache.kafka.common.security");
        let mut text = format!(
            "{prefix}.ssl.keystore.type=PEM
{prefix}.ssl.keystore.location={certificate}
{prefix}.sasl.enabled.mechanisms=PLAIN,{scram}
{prefix}.plain.sasl.jaas.config={security}.plain.PlainLoginModule required \
             user_{user}=\"{password}\";
",
            certificate = certificate.display(),
            scram = SCRAM.join(","),
        );
        for mechanism in SCRAM {
            let mechanism = mechanism.to_ascii_lowercase();
            let _ = writeln!(
                text,
                "{prefix}.{mechanism}.sasl.jaas.config={security}.scram.ScramLoginModule required;"
            );
        }
        if *with_acls {
            text.push_str(
                "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n\
                 super.users=User:ANONYMOUS\nallow.everyone.if.no.acl.found=false\n",
            );
        }
        text
    }
}

/// Where the authority is that has signed the brokers' certificates.
pub(crate) fn authority_of(cluster: &Path) -> PathBuf {
    cluster.join("authority.pem")
}

/// Where a broker's certificate is, with its key.
pub(crate) fn certificate_of(broker: &Path) -> PathBuf {
    broker.join("certificate.pem")
}

/// Makes an authority, and a certificate of it for each broker in `folders`: for 127.0.0.1 alone.
pub(crate) fn write_certificates(cluster: &Path, folders: &[PathBuf]) -> Result<(), BrokersError> {
    let unmade =
        |error: rcgen::Error| at("make a certificate in", cluster)(std::io::Error::other(error));
    let key = KeyPair::generate().map_err(unmade)?;
    let mut params = CertificateParams::new(Vec::new()).map_err(unmade)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // OpenSSL takes a certificate for its own authority if both are called the same.
    params.distinguished_name.push(DnType::CommonName, "authority of test brokers");
    let authority = params.self_signed(&key).map_err(unmade)?;
    let file = authority_of(cluster);
    fs::write(&file, authority.pem()).map_err(at("write", &file))?;
    let issuer = Issuer::new(params, key);
    for folder in folders {
        let key = KeyPair::generate().map_err(unmade)?;
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).map_err(unmade)?;
        params.distinguished_name.push(DnType::CommonName, "test broker");
        let certificate = params.signed_by(&key, &issuer).map_err(unmade)?;
        let file = certificate_of(folder);
        let text = format!("{}{}", key.serialize_pem(), certificate.pem());
        fs::write(&file, text).map_err(at("write", &file))?;
    }
    Ok(())
}
