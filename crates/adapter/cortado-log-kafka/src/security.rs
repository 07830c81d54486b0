//! How brokers are spoken to: in the clear or over TLS, and as whom.
//!
//! Start reading at [`KafkaSecurity`].
//! Source: docs/operations/kafka.md, "TLS and SASL".

use crate::setting_error::KafkaSettingError;
use rdkafka::config::ClientConfig;
use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};

/// How brokers are spoken to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KafkaSecurity {
    /// Over TLS; `None` is in the clear.
    pub tls: Option<KafkaTls>,
    /// As a user; `None` is as nobody in particular.
    pub sasl: Option<KafkaSasl>,
}

/// What proves who is who.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KafkaTls {
    /// The authorities that sign the brokers' certificates, PEM; those of the machine without it.
    pub ca_file: Option<PathBuf>,
    /// The own certificate and its key, PEM, for brokers that ask for one.
    pub own: Option<OwnCertificate>,
}

/// A certificate that is shown to brokers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnCertificate {
    /// It, and those between it and an authority.
    pub certificate_file: PathBuf,
    /// Its private key.
    pub key_file: PathBuf,
}

/// A user, and how that is proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KafkaSasl {
    /// How.
    pub mechanism: SaslMechanism,
    /// Who.
    pub user: String,
    /// With what.
    pub password: KafkaPassword,
}

/// How a user proves to be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SaslMechanism {
    /// Shows the password: over TLS, or on a network that nobody listens to.
    Plain,
    /// Shows that it knows the password, with SHA-256.
    ScramSha256,
    /// The same with SHA-512.
    ScramSha512,
}

/// A password, which is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct KafkaPassword(String);

impl SaslMechanism {
    /// All of them.
    pub const ALL: [SaslMechanism; 3] =
        [SaslMechanism::Plain, SaslMechanism::ScramSha256, SaslMechanism::ScramSha512];

    /// As Kafka calls it.
    pub fn name(self) -> &'static str {
        match self {
            SaslMechanism::Plain => "PLAIN",
            SaslMechanism::ScramSha256 => "SCRAM-SHA-256",
            SaslMechanism::ScramSha512 => "SCRAM-SHA-512",
        }
    }

    /// Reads a name of Kafka's, in any case.
    pub fn parse(name: &str) -> Option<SaslMechanism> {
        Self::ALL.into_iter().find(|one| one.name().eq_ignore_ascii_case(name))
    }
}

impl KafkaPassword {
    /// Takes the first line of a file's content, without its end; `None` if it is empty.
    pub fn of_file(content: &str) -> Option<KafkaPassword> {
        let line = content.lines().next().unwrap_or_default();
        (!line.is_empty()).then(|| KafkaPassword(line.to_owned()))
    }

    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for KafkaPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KafkaPassword")
    }
}

impl KafkaSecurity {
    /// Refuses what cannot work.
    pub(crate) fn check(&self) -> Result<(), KafkaSettingError> {
        let refused = |name: &str, found: &str, wanted| {
            let (name, found) = (name.to_owned(), found.to_owned());
            Err(KafkaSettingError { name, found, wanted })
        };
        let files = self.tls.iter().flat_map(|tls| {
            let own = tls.own.as_ref();
            [
                ("ssl.ca.location", tls.ca_file.as_deref()),
                ("ssl.certificate.location", own.map(|own| own.certificate_file.as_path())),
                ("ssl.key.location", own.map(|own| own.key_file.as_path())),
            ]
        });
        for (name, path) in files {
            let Some(path) = path else { continue };
            if File::open(path).is_err() {
                return refused(name, &path.display().to_string(), "it must be a file to read");
            }
        }
        match &self.sasl {
            Some(sasl) if sasl.user.is_empty() || sasl.user.contains('\0') => {
                refused("sasl.username", &sasl.user, "it must name a user")
            }
            Some(_) | None => Ok(()),
        }
    }

    /// The protocol as Kafka calls it.
    pub fn protocol(&self) -> &'static str {
        match (&self.tls, &self.sasl) {
            (None, None) => "PLAINTEXT",
            (Some(_), None) => "SSL",
            (None, Some(_)) => "SASL_PLAINTEXT",
            (Some(_), Some(_)) => "SASL_SSL",
        }
    }

    /// Whom brokers take this process for, as their ACLs call it.
    pub(crate) fn principal(&self) -> String {
        match (&self.sasl, &self.tls) {
            (Some(sasl), _) => format!("User:{}", sasl.user),
            (None, Some(KafkaTls { own: Some(_), .. })) => {
                "the user of the certificate in ssl.certificate.location".to_owned()
            }
            (None, _) => "User:ANONYMOUS".to_owned(),
        }
    }

    /// Sets a client of librdkafka up.
    pub(crate) fn apply(&self, config: &mut ClientConfig) {
        config.set("security.protocol", self.protocol());
        if let Some(KafkaTls { ca_file, own }) = &self.tls {
            let text = |path: &Path| path.display().to_string();
            if let Some(ca_file) = ca_file {
                config.set("ssl.ca.location", text(ca_file));
            }
            if let Some(OwnCertificate { certificate_file, key_file }) = own {
                config.set("ssl.certificate.location", text(certificate_file));
                config.set("ssl.key.location", text(key_file));
            }
        }
        if let Some(KafkaSasl { mechanism, user, password }) = &self.sasl {
            config.set("sasl.mechanism", mechanism.name());
            config.set("sasl.username", user);
            config.set("sasl.password", password.reveal());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sasl(user: &str) -> Option<KafkaSasl> {
        let password = KafkaPassword::of_file("hush\nthe rest").unwrap();
        Some(KafkaSasl { mechanism: SaslMechanism::ScramSha512, user: user.to_owned(), password })
    }

    #[test]
    fn a_password_is_the_first_line_and_is_never_shown() {
        let sasl = sasl("cortado").unwrap();
        assert_eq!(sasl.password.reveal(), "hush");
        assert!(!format!("{sasl:?}").contains("hush"));
        assert_eq!(KafkaPassword::of_file("\nx"), None);
    }

    #[test]
    fn what_cannot_work_is_named() {
        let security = KafkaSecurity { tls: None, sasl: sasl("") };
        assert_eq!(security.check().unwrap_err().name, "sasl.username");
        let ca_file = Some(PathBuf::from("/no/such/file"));
        let tls = Some(KafkaTls { ca_file, own: None });
        let security = KafkaSecurity { tls, sasl: sasl("cortado") };
        assert_eq!(security.check().unwrap_err().name, "ssl.ca.location");
        assert_eq!(
            (security.protocol(), security.principal()),
            ("SASL_SSL", "User:cortado".to_owned())
        );
        assert!(KafkaSecurity::default().check().is_ok());
    }

    #[test]
    fn mechanisms_are_known_by_kafkas_names() {
        for mechanism in SaslMechanism::ALL {
            let lower = mechanism.name().to_ascii_lowercase();
            assert_eq!(SaslMechanism::parse(&lower), Some(mechanism));
        }
        assert_eq!(SaslMechanism::parse("GSSAPI"), None);
    }
}
