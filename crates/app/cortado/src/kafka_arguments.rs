//! Where the log is, and how its brokers are spoken to: of every command that goes there.
//!
//! Start reading at [`RawKafka::validate`].

use crate::failure::Failure;
use crate::near_word::nearest;
use clap::{Args, ValueHint};
use cortado_log_kafka::{
    KafkaOpenError, KafkaPassword, KafkaSasl, KafkaSecurity, KafkaSettings, KafkaTls,
    OPERATIONS_NEEDED, OwnCertificate, SaslMechanism,
};
use cortado_model::with_causes;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The client property that holds the addresses of brokers.
const BOOTSTRAP: &str = "bootstrap.servers";
const PROTOCOL: &str = "security.protocol";
const MECHANISM: &str = "sasl.mechanism";
/// What librdkafka calls it, too.
const MECHANISMS: &str = "sasl.mechanisms";
const USER: &str = "sasl.username";
const CA: &str = "ssl.ca.location";
const CERTIFICATE: &str = "ssl.certificate.location";
const KEY: &str = "ssl.key.location";
/// Those that are secrets: they stand in a file of their own.
const SECRETS: [&str; 3] = ["sasl.password", "ssl.key.password", "ssl.key.pem"];
const PROTOCOLS: [&str; 4] = ["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"];

/// The options that say where the log is.
#[derive(Debug, Default, Args)]
pub(crate) struct KafkaArguments {
    /// Brokers of the log, one or more, separated by commas
    #[arg(long, value_name = "HOST:PORT,…", env = "CORTADO_KAFKA")]
    kafka: Option<String>,
    /// A property of the Kafka client, such as security.protocol=SASL_SSL; repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = property)]
    kafka_property: Vec<(String, String)>,
    /// File with the password of sasl.username
    #[arg(
        long,
        value_name = "FILE",
        value_hint = ValueHint::FilePath,
        env = "CORTADO_KAFKA_PASSWORD_FILE"
    )]
    pub(crate) kafka_password_file: Option<PathBuf>,
    /// What the names of the log's topics begin with [default: cortado]
    #[arg(long, value_name = "NAME", env = "CORTADO_PREFIX")]
    pub(crate) prefix: Option<String>,
    /// Make do with one broker: a lost disk is a lost log
    #[arg(
        long,
        num_args = 0..=1,
        default_missing_value = "true",
        env = "CORTADO_ALLOW_UNREPLICATED_LOG"
    )]
    pub(crate) allow_unreplicated_log: Option<bool>,
}

fn property(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(name, _)| !name.is_empty());
    let (name, value) = pair.ok_or("expected NAME=VALUE")?;
    if SECRETS.contains(&name) {
        // Others on this machine see what stands on a command line.
        return Err(format!("{name} is a secret: --kafka-password-file names a file with it"));
    }
    Ok((name.to_owned(), value.to_owned()))
}

impl KafkaArguments {
    /// The member `kafka` that says the same.
    pub(crate) fn member(&self) -> Option<KafkaMember> {
        if self.kafka_property.is_empty() {
            return self.kafka.clone().map(KafkaMember::Brokers);
        }
        let brokers = self.kafka.iter().map(|brokers| (BOOTSTRAP.to_owned(), brokers.clone()));
        let properties = self.kafka_property.iter().cloned().chain(brokers);
        let text = |(name, value)| (name, PropertyValue::Text(value));
        Some(KafkaMember::Properties(properties.map(text).collect()))
    }
}

/// What was written, before any check.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RawKafka {
    /// `HOST:PORT`, several separated by commas.
    pub(crate) brokers: Option<String>,
    /// What the names of topics begin with.
    pub(crate) prefix: Option<String>,
    /// Whether one broker may be all.
    pub(crate) allow_unreplicated_log: bool,
    /// More properties of the client.
    pub(crate) properties: BTreeMap<String, String>,
    /// Where the password is.
    pub(crate) password_file: Option<PathBuf>,
}

/// The member `kafka` of a file: addresses, or a table of client properties.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(crate) enum KafkaMember {
    /// As of `--kafka`.
    Brokers(String),
    /// Those of librdkafka, by their names.
    Properties(BTreeMap<String, PropertyValue>),
}

/// A value of a client property as TOML spells it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(crate) enum PropertyValue {
    /// Quoted.
    Text(String),
    /// A number.
    Number(i64),
    /// `true` or `false`.
    Switch(bool),
}

impl KafkaMember {
    /// This where it says something, `file` elsewhere.
    pub(crate) fn over(self, file: Option<KafkaMember>) -> KafkaMember {
        let properties = |member| match member {
            KafkaMember::Brokers(brokers) => {
                BTreeMap::from([(BOOTSTRAP.to_owned(), PropertyValue::Text(brokers))])
            }
            KafkaMember::Properties(properties) => properties,
        };
        match (self, file) {
            (own, None) => own,
            (KafkaMember::Brokers(own), Some(KafkaMember::Brokers(_))) => KafkaMember::Brokers(own),
            (own, Some(file)) => {
                let mut merged = properties(file);
                merged.extend(properties(own));
                KafkaMember::Properties(merged)
            }
        }
    }

    /// Files that are named relatively count from this folder.
    pub(crate) fn relative_to(&mut self, folder: &Path) {
        let KafkaMember::Properties(properties) = self else { return };
        for name in [CA, CERTIFICATE, KEY] {
            if let Some(PropertyValue::Text(path)) = properties.get_mut(name) {
                *path = folder.join(path.as_str()).display().to_string();
            }
        }
    }
}

impl RawKafka {
    /// What a file says.
    pub(crate) fn of_file(member: Option<KafkaMember>) -> RawKafka {
        match member {
            None => RawKafka::default(),
            Some(KafkaMember::Brokers(brokers)) => {
                RawKafka { brokers: Some(brokers), ..RawKafka::default() }
            }
            Some(KafkaMember::Properties(table)) => {
                let text = |value| match value {
                    PropertyValue::Text(text) => text,
                    PropertyValue::Number(number) => number.to_string(),
                    PropertyValue::Switch(on) => on.to_string(),
                };
                let mut properties: BTreeMap<_, _> =
                    table.into_iter().map(|(name, value)| (name, text(value))).collect();
                let brokers = properties.remove(BOOTSTRAP);
                RawKafka { brokers, properties, ..RawKafka::default() }
            }
        }
    }

    /// Checks what can be checked without the brokers.
    ///
    /// # Errors
    /// No address, or one that is none; TLS or SASL that is not said whole; a secret that does not
    /// stand in a file of its own.
    pub(crate) fn validate(self) -> Result<KafkaSettings, Failure> {
        let RawKafka { brokers, prefix, allow_unreplicated_log, mut properties, password_file } =
            self;
        let missing = || {
            Failure::usage("kafka is not set: where the log is")
                .next("--kafka HOST:PORT of one broker or more, separated by commas")
                .next("`cortado dev` keeps its log in files and needs no brokers")
        };
        let brokers = brokers.filter(|text| !text.trim().is_empty()).ok_or_else(missing)?;
        if let Some(wrong) = brokers.split(',').find(|broker| !is_place(broker.trim())) {
            return Err(Failure::usage(format!("invalid address {wrong:?} in kafka"))
                .next("HOST:PORT of one broker or more, separated by commas"));
        }
        let mut settings = KafkaSettings::new(brokers);
        if let Some(prefix) = prefix {
            settings.topic_prefix = prefix;
        }
        if allow_unreplicated_log {
            (settings.replication_factor, settings.min_insync_replicas) = (1, 1);
        }
        settings.security = security(&mut properties, password_file.as_deref())?;
        settings.client_options = properties.into_iter().collect();
        Ok(settings)
    }
}

/// Takes from the properties how brokers are spoken to, and as whom.
fn security(
    properties: &mut BTreeMap<String, String>,
    password_file: Option<&Path>,
) -> Result<KafkaSecurity, Failure> {
    if let Some(secret) = SECRETS.iter().find(|name| properties.contains_key(**name)) {
        return Err(Failure::usage(format!("{secret} is a secret, and does not belong here"))
            .next("kafka_password_file names a file that holds the password and nothing else"));
    }
    let protocol = properties.remove(PROTOCOL).unwrap_or_else(|| "PLAINTEXT".to_owned());
    let protocol = protocol.to_ascii_uppercase();
    if !PROTOCOLS.contains(&protocol.as_str()) {
        let failure = Failure::usage(format!("{PROTOCOL} is {protocol:?}"));
        return Err(match nearest(&protocol, &PROTOCOLS) {
            Some(near) => failure.next(format!("did you mean {near}?")),
            None => failure.next(format!("it is one of {}", PROTOCOLS.join(", "))),
        });
    }
    let tls = tls(properties)?;
    let sasl = sasl(properties, password_file)?;
    let (has_tls, has_sasl) = (protocol.ends_with("SSL"), protocol.starts_with("SASL"));
    if tls.is_some() && !has_tls {
        return Err(Failure::usage(format!("{PROTOCOL} is {protocol}, and files for TLS are set"))
            .next(format!("set {PROTOCOL} to SSL or SASL_SSL, or leave the files out")));
    }
    if sasl.is_some() && !has_sasl {
        return Err(Failure::usage(format!("{PROTOCOL} is {protocol}, and a user is set"))
            .next(format!("set {PROTOCOL} to SASL_SSL, or leave the user out")));
    }
    if has_sasl && sasl.is_none() {
        return Err(Failure::usage(format!("{PROTOCOL} is {protocol}, and no user is set"))
            .next(format!("set {MECHANISM}, {USER} and kafka_password_file")));
    }
    let tls = has_tls.then(|| tls.unwrap_or_default());
    Ok(KafkaSecurity { tls, sasl })
}

fn tls(properties: &mut BTreeMap<String, String>) -> Result<Option<KafkaTls>, Failure> {
    let mut path = |name| properties.remove(name).map(PathBuf::from);
    let (ca_file, certificate, key) = (path(CA), path(CERTIFICATE), path(KEY));
    let own = match (certificate, key) {
        (Some(certificate_file), Some(key_file)) => {
            Some(OwnCertificate { certificate_file, key_file })
        }
        (None, None) => None,
        (Some(_), None) | (None, Some(_)) => {
            return Err(Failure::usage(format!("of {CERTIFICATE} and {KEY} one is missing"))
                .next("set both for brokers that ask for a certificate, or neither"));
        }
    };
    Ok((ca_file.is_some() || own.is_some()).then_some(KafkaTls { ca_file, own }))
}

fn sasl(
    properties: &mut BTreeMap<String, String>,
    password_file: Option<&Path>,
) -> Result<Option<KafkaSasl>, Failure> {
    let (one, other) = (properties.remove(MECHANISM), properties.remove(MECHANISMS));
    let (mechanism, user) = (one.or(other), properties.remove(USER));
    let (mechanism, user, file) = match (mechanism, user, password_file) {
        (None, None, None) => return Ok(None),
        (Some(mechanism), Some(user), Some(file)) => (mechanism, user, file),
        (mechanism, user, file) => {
            let lacks = [
                (MECHANISM, mechanism.is_some()),
                (USER, user.is_some()),
                ("kafka_password_file", file.is_some()),
            ];
            let lacking = lacks.iter().filter(|(_, is_set)| !is_set).map(|(name, _)| *name);
            let lacking = lacking.collect::<Vec<_>>().join(" and ");
            return Err(Failure::usage(format!("a user of Kafka needs {lacking}, too"))
                .next(format!("set {MECHANISM}, {USER} and kafka_password_file")));
        }
    };
    let names = || SaslMechanism::ALL.map(SaslMechanism::name).join(", ");
    let mechanism = SaslMechanism::parse(&mechanism).ok_or_else(|| {
        Failure::usage(format!("{MECHANISM} is {mechanism:?}"))
            .next(format!("it is one of {}", names()))
    })?;
    let shown = file.display();
    let content = fs::read_to_string(file).map_err(|error| {
        Failure::usage(format!("kafka_password_file {shown} cannot be read: {error}"))
    })?;
    let empty = || {
        Failure::usage(format!("kafka_password_file {shown} is empty"))
            .next("its first line is the password")
    };
    let password = KafkaPassword::of_file(&content).ok_or_else(empty)?;
    Ok(Some(KafkaSasl { mechanism, user, password }))
}

/// Whether `text` is a host and a port.
pub(crate) fn is_place(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let can_stand = |byte: u8| byte.is_ascii_alphanumeric() || b"-._[]:".contains(&byte);
    !host.is_empty() && host.bytes().all(can_stand) && port.parse::<u16>().is_ok()
}

/// Why the log was not reached, and what to do about it.
pub(crate) fn not_opened(error: &KafkaOpenError) -> Failure {
    let failure = Failure::new(with_causes(error));
    match error {
        KafkaOpenError::Setting(_) | KafkaOpenError::Client(_) => {
            failure.next("correct it on the command line, or in the table [kafka] of the file")
        }
        KafkaOpenError::Unreachable { .. } => failure
            .next("check that the brokers run and that this machine reaches them")
            .next("kafka must name addresses of brokers, as in --kafka broker1:9092,broker2:9092"),
        KafkaOpenError::TooOld => {
            failure.next("upgrade every broker to Kafka 4.0 or newer: docs/operations/kafka.md")
        }
        KafkaOpenError::Untrusted { .. } => failure
            .next("ssl.ca.location must name the authority that signed the brokers' certificates")
            .next("kafka must name the brokers as their certificates do"),
        KafkaOpenError::Unauthenticated { .. } => failure
            .next("check sasl.mechanism, sasl.username and the first line of kafka_password_file"),
        KafkaOpenError::Forbidden { user, prefix, .. } => {
            let operations = OPERATIONS_NEEDED.map(|one| format!("--operation {one}")).join(" ");
            failure
                .next(format!(
                    "kafka-acls.sh --bootstrap-server … --add --allow-principal {user} \
                     {operations} --topic {prefix} --resource-pattern-type prefixed"
                ))
                .next("then repeat the command: nothing was made")
        }
        KafkaOpenError::TooFewBrokers { .. } => failure.next("start the missing brokers").next(
            "for development, --allow-unreplicated-log makes do with one: a lost disk is a \
                 lost log",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(brokers: Option<&str>, want: bool) {
        let raw = RawKafka { brokers: brokers.map(str::to_owned), ..RawKafka::default() };
        assert_eq!(raw.validate().is_ok(), want, "{brokers:?}");
    }

    #[test]
    fn brokers_are_named_by_host_and_port() {
        check(Some("b1:9092"), true);
        check(Some("b1:9092, 10.0.0.7:9092,[::1]:9092"), true);
        for wrong in ["b1", "b1:", ":9092", "b1:9092,", "http://b1:9092", "b1:99999", ""] {
            check(Some(wrong), false);
        }
        check(None, false);
    }

    /// What is said of these properties, with a file that holds a password or without.
    #[track_caller]
    fn check_security(properties: &[(&str, &str)], has_password: bool, want: Result<&str, &str>) {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("password");
        fs::write(&file, "hush\n").expect("written");
        let pairs =
            properties.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let raw = RawKafka {
            brokers: Some("b:1".to_owned()),
            properties: pairs.collect(),
            password_file: has_password.then_some(file),
            ..RawKafka::default()
        };
        let got = raw.validate();
        let shown = format!("{got:?}");
        assert!(!shown.contains("hush"), "{shown}");
        match (got, want) {
            (Ok(settings), Ok(want)) => {
                assert_eq!(settings.security.protocol(), want);
                assert_eq!(settings.client_options, []);
            }
            (Err(_), Err(want)) => assert!(shown.contains(want), "{shown}"),
            (got, want) => panic!("{got:?}, not {want:?}"),
        }
    }

    #[test]
    fn tls_and_sasl_are_said_whole_or_not_at_all() {
        let (ssl, both) = (("security.protocol", "SSL"), ("security.protocol", "sasl_ssl"));
        let (user, ca) = (("sasl.username", "cortado"), ("ssl.ca.location", "/etc/ca.pem"));
        let scram = ("sasl.mechanisms", "SCRAM-SHA-512");
        check_security(&[], false, Ok("PLAINTEXT"));
        check_security(&[ssl], false, Ok("SSL"));
        check_security(&[ssl, ca], false, Ok("SSL"));
        check_security(&[both, ca, user, scram], true, Ok("SASL_SSL"));
        check_security(&[("security.protocol", "SASL_SSSL")], false, Err("did you mean SASL_SSL?"));
        check_security(&[ca], false, Err("files for TLS are set"));
        check_security(&[ssl, ("ssl.key.location", "/k")], false, Err("one is missing"));
        check_security(&[both], false, Err("no user is set"));
        check_security(&[both, user, scram], false, Err("needs kafka_password_file, too"));
        check_security(&[both, user], true, Err("needs sasl.mechanism, too"));
        check_security(&[ssl, user, scram], true, Err("a user is set"));
        let kerberos = ("sasl.mechanism", "GSSAPI");
        check_security(&[both, user, kerberos], true, Err("one of PLAIN, SCRAM-SHA-256"));
        let secret = ("sasl.password", "hush");
        check_security(&[both, user, scram, secret], true, Err("sasl.password is a secret"));
    }

    #[test]
    fn the_command_line_takes_no_secret() {
        assert!(property("client.id=a=b").is_ok_and(|(_, value)| value == "a=b"));
        for wrong in ["client.id", "=x", "sasl.password=hush", "ssl.key.password=hush"] {
            let refused = property(wrong).expect_err("refused");
            assert!(!refused.contains("hush"), "{refused}");
        }
    }

    #[test]
    fn one_broker_is_enough_only_if_that_is_said() {
        let raw = RawKafka { brokers: Some("b:1".to_owned()), ..RawKafka::default() };
        let kept = raw.clone().validate().expect("settings");
        assert_eq!((kept.replication_factor, kept.min_insync_replicas), (3, 2));
        let alone = RawKafka { allow_unreplicated_log: true, ..raw }.validate().expect("settings");
        assert_eq!((alone.replication_factor, alone.min_insync_replicas), (1, 1));
    }
}
