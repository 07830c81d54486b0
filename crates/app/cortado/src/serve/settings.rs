//! What the operator of one node chooses, checked once.
//!
//! [`RawServe`] is what was written, in a file and on the command line; below this only
//! [`ServeSettings`] exists. Start reading at [`RawServe::validate`].

use crate::failure::Failure;
use crate::field_names::field_names;
use crate::kafka_arguments::{KafkaArguments, KafkaMember, RawKafka, is_place};
use crate::near_word::nearest;
use clap::ValueEnum;
use cortado_log_kafka::KafkaSettings;
use cortado_node::{Capacity, FEATURE_LEVEL, NEXT_FEATURE_LEVEL, NodeDescription, Zone};
use cortado_peer_security::RawSecurity;
use serde::Deserialize;
use std::fs;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};

const LISTEN_DEFAULT: &str = "127.0.0.1:7171";
const PEER_LISTEN_DEFAULT: &str = "127.0.0.1:7172";

/// What a process is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    /// Holds replicas, and serves clients
    #[default]
    Node,
    /// Serves clients, and holds no replicas
    Router,
}

/// What was written, before any check. Also the format of the file of `--config`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawServe {
    pub(crate) node: Option<String>,
    pub(crate) role: Option<Role>,
    pub(crate) data: Option<PathBuf>,
    pub(crate) listen: Option<String>,
    pub(crate) advertise: Option<String>,
    pub(crate) peer_listen: Option<String>,
    pub(crate) peer_advertise: Option<String>,
    pub(crate) seeds: Option<Vec<String>>,
    pub(crate) kafka: Option<KafkaMember>,
    pub(crate) kafka_password_file: Option<PathBuf>,
    pub(crate) prefix: Option<String>,
    pub(crate) allow_unreplicated_log: Option<bool>,
    pub(crate) zone: Option<String>,
    pub(crate) capacity: Option<u32>,
    pub(crate) allow_hosts: Option<Vec<String>>,
    pub(crate) peer_secret_file: Option<PathBuf>,
    pub(crate) peer_network_private: Option<bool>,
    pub(crate) peer_ca_file: Option<PathBuf>,
    pub(crate) peer_certificate_file: Option<PathBuf>,
    pub(crate) peer_key_file: Option<PathBuf>,
    pub(crate) peer_domain: Option<String>,
    /// Declares the next feature level, for tests of upgrades; no setting of a file.
    #[serde(skip)]
    pub(crate) next_format: bool,
}

/// What was checked.
#[derive(Clone, Debug)]
pub(crate) struct ServeSettings {
    /// What the process is, besides a door for clients.
    pub(crate) is: Is,
    pub(crate) listen: SocketAddr,
    /// `host:port` for clients, if it is not the one that is listened on.
    pub(crate) advertise: Option<String>,
    pub(crate) kafka: KafkaSettings,
    pub(crate) allow_hosts: Vec<String>,
    pub(crate) security: RawSecurity,
    /// Where other nodes may be: `host:port`.
    pub(crate) seeds: Vec<String>,
    pub(crate) peer_advertise: Option<String>,
    /// The highest feature level that it declares to read.
    pub(crate) feature_level: u32,
}

/// What a process is.
#[derive(Clone, Debug)]
pub(crate) enum Is {
    Node(NodeSettings),
    /// Where it listens for gossip; `None`: it takes no part.
    Router(Option<SocketAddr>),
}

/// Of a node.
#[derive(Clone, Debug)]
pub(crate) struct NodeSettings {
    pub(crate) data: PathBuf,
    pub(crate) peer_listen: SocketAddr,
    pub(crate) description: NodeDescription,
}

impl RawServe {
    /// Reads a file of settings; relative paths count from the file's own folder.
    ///
    /// # Errors
    /// It cannot be read, is no TOML, or has a setting that does not exist.
    pub(crate) fn read(path: &Path) -> Result<RawServe, Failure> {
        let shown = path.display();
        let text = fs::read_to_string(path)
            .map_err(|error| Failure::usage(format!("{shown} cannot be read: {error}")))?;
        let mut raw = RawServe::parse(&text, &shown.to_string())?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let paths = [
            &mut raw.data,
            &mut raw.kafka_password_file,
            &mut raw.peer_secret_file,
            &mut raw.peer_ca_file,
            &mut raw.peer_certificate_file,
            &mut raw.peer_key_file,
        ];
        for path in paths {
            *path = path.take().map(|path| folder.join(path));
        }
        if let Some(kafka) = &mut raw.kafka {
            kafka.relative_to(folder);
        }
        Ok(raw)
    }

    fn parse(text: &str, shown: &str) -> Result<RawServe, Failure> {
        let wrong = |error: toml::de::Error| Failure::usage(format!("{shown}: {error}"));
        let table: toml::Table = toml::from_str(text).map_err(wrong)?;
        let names = field_names::<RawServe>();
        if let Some(unknown) = table.keys().find(|key| !names.contains(&key.as_str())) {
            let failure = Failure::usage(format!("{shown}: there is no setting {unknown:?}"));
            return Err(match nearest(unknown, names) {
                Some(near) => failure.next(format!("did you mean {near}?")),
                None => failure.next(format!("the settings are {}", names.join(", "))),
            });
        }
        toml::from_str(text).map_err(wrong)
    }

    /// These settings where they are written, those of `file` elsewhere.
    pub(crate) fn over(self, file: RawServe) -> RawServe {
        RawServe {
            node: self.node.or(file.node),
            role: self.role.or(file.role),
            data: self.data.or(file.data),
            listen: self.listen.or(file.listen),
            advertise: self.advertise.or(file.advertise),
            peer_listen: self.peer_listen.or(file.peer_listen),
            peer_advertise: self.peer_advertise.or(file.peer_advertise),
            seeds: self.seeds.or(file.seeds),
            kafka: match self.kafka {
                Some(kafka) => Some(kafka.over(file.kafka)),
                None => file.kafka,
            },
            kafka_password_file: self.kafka_password_file.or(file.kafka_password_file),
            prefix: self.prefix.or(file.prefix),
            allow_unreplicated_log: self.allow_unreplicated_log.or(file.allow_unreplicated_log),
            zone: self.zone.or(file.zone),
            capacity: self.capacity.or(file.capacity),
            allow_hosts: self.allow_hosts.or(file.allow_hosts),
            peer_secret_file: self.peer_secret_file.or(file.peer_secret_file),
            peer_network_private: self.peer_network_private.or(file.peer_network_private),
            peer_ca_file: self.peer_ca_file.or(file.peer_ca_file),
            peer_certificate_file: self.peer_certificate_file.or(file.peer_certificate_file),
            peer_key_file: self.peer_key_file.or(file.peer_key_file),
            peer_domain: self.peer_domain.or(file.peer_domain),
            next_format: self.next_format || file.next_format,
        }
    }

    /// What was said of the log, and nothing else.
    pub(crate) fn of_log(log: KafkaArguments) -> RawServe {
        RawServe {
            kafka: log.member(),
            kafka_password_file: log.kafka_password_file,
            prefix: log.prefix,
            allow_unreplicated_log: log.allow_unreplicated_log,
            ..RawServe::default()
        }
    }

    /// What of it is about the log.
    pub(crate) fn kafka(&self) -> RawKafka {
        RawKafka {
            prefix: self.prefix.clone(),
            allow_unreplicated_log: self.allow_unreplicated_log.unwrap_or_default(),
            password_file: self.kafka_password_file.clone(),
            ..RawKafka::of_file(self.kafka.clone())
        }
    }

    /// Fills in defaults and checks every setting and every relation between them.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub(crate) fn validate(self) -> Result<ServeSettings, Failure> {
        let kafka = self.kafka().validate()?;
        let listen = address("listen", self.listen.as_deref().unwrap_or(LISTEN_DEFAULT))?;
        let advertise = self.advertise.as_deref().map(client_place).transpose()?;
        demand_place("listen", "advertise", listen, advertise.as_deref())?;
        let (peer_advertise, seeds) = (self.peer_place()?, self.seed_places()?);
        let is = match self.role.unwrap_or_default() {
            Role::Node => Is::Node(self.node_settings()?),
            Role::Router => {
                self.refuse_of_router()?;
                Is::Router(self.router_listen(listen)?)
            }
        };
        Ok(ServeSettings {
            is,
            listen,
            advertise,
            kafka,
            allow_hosts: self.allow_hosts.unwrap_or_default(),
            seeds,
            peer_advertise,
            feature_level: if self.next_format { NEXT_FEATURE_LEVEL } else { FEATURE_LEVEL },
            security: RawSecurity {
                peer_ca_file: self.peer_ca_file,
                peer_certificate_file: self.peer_certificate_file,
                peer_key_file: self.peer_key_file,
                peer_domain: self.peer_domain,
                peer_secret_file: self.peer_secret_file,
                peer_network_private: self.peer_network_private.unwrap_or_default(),
            },
        })
    }

    fn node_settings(&self) -> Result<NodeSettings, Failure> {
        let name = self.node.clone().ok_or_else(|| {
            Failure::usage("node is not set: the name of this node, which stays the same")
                .next("--node NAME, such as --node tokyo-1; --role router needs none")
        })?;
        let data = self.data.clone().ok_or_else(|| {
            Failure::usage("data is not set: where this node keeps its documents")
                .next("--data DIR, a folder that outlives the process")
        })?;
        let peer_listen = self.peer_listen.as_deref().unwrap_or(PEER_LISTEN_DEFAULT);
        let peer_listen = address("peer_listen", peer_listen)?;
        let advertised = self.peer_advertise.as_deref();
        demand_place("peer_listen", "peer_advertise", peer_listen, advertised)?;
        let capacity = self.capacity.unwrap_or(Capacity::DEFAULT.get());
        let capacity = Capacity::new(capacity).ok_or_else(|| {
            let (max, default) = (Capacity::MAX, Capacity::DEFAULT.get());
            Failure::usage(format!("capacity is {capacity}; it must be 1 to {max}"))
                .next(format!("a node takes load in proportion to it; the default is {default}"))
        })?;
        let wrong_zone =
            || Failure::usage("a zone is 1 to 64 letters, digits, dots, underscores and hyphens");
        let zone = self.zone.as_deref().map(|zone| Zone::new(zone).ok_or_else(wrong_zone));
        let zone = zone.transpose()?;
        let description = NodeDescription {
            name,
            zone,
            capacity,
            build: env!("CARGO_PKG_VERSION").to_owned(),
            ..NodeDescription::default()
        };
        Ok(NodeSettings { data, peer_listen, description })
    }

    fn peer_place(&self) -> Result<Option<String>, Failure> {
        match self.peer_advertise.as_deref().filter(|place| !is_place(place)) {
            None => Ok(self.peer_advertise.clone()),
            Some(wrong) => Err(Failure::usage(format!("invalid peer_advertise {wrong:?}"))
                .next("HOST:PORT, where other nodes reach this one")),
        }
    }

    fn seed_places(&self) -> Result<Vec<String>, Failure> {
        let seeds = self.seeds.clone().unwrap_or_default();
        match seeds.iter().find(|seed| !is_place(seed)) {
            None => Ok(seeds),
            Some(wrong) => Err(Failure::usage(format!("invalid seed {wrong:?}"))
                .next("HOST:PORT of another node, as its peer_listen or peer_advertise is")),
        }
    }

    /// Where a router listens for gossip: a free port of the address where clients reach it, unless
    /// that says nothing of where nodes do.
    fn router_listen(&self, listen: SocketAddr) -> Result<Option<SocketAddr>, Failure> {
        let Some(set) = self.peer_listen.as_deref() else {
            let listen = SocketAddr::from((listen.ip(), 0));
            return Ok(Some(listen).filter(|listen| !listen.ip().is_unspecified()));
        };
        let set = address("peer_listen", set)?;
        demand_place("peer_listen", "peer_advertise", set, self.peer_advertise.as_deref())?;
        Ok(Some(set))
    }

    /// A router has no replicas: what is of a node only was meant for another process.
    fn refuse_of_router(&self) -> Result<(), Failure> {
        let of_nodes = [("data", self.data.is_some()), ("capacity", self.capacity.is_some())];
        match of_nodes.iter().find(|(_, is_set)| *is_set) {
            None => Ok(()),
            Some((name, _)) => {
                Err(Failure::usage(format!("{name} is for a node, and role is router"))
                    .next(format!("leave {name} out, or set role to node")))
            }
        }
    }
}

fn address(name: &str, text: &str) -> Result<SocketAddr, Failure> {
    let found = text.to_socket_addrs().ok().and_then(|mut found| found.next());
    found.ok_or_else(|| {
        Failure::usage(format!("invalid {name} {text:?}: expected HOST:PORT of this machine"))
            .next("such as 127.0.0.1:7171, or 0.0.0.0:7171 for all addresses of this machine")
    })
}

/// `host:port` of a URL for clients.
fn client_place(url: &str) -> Result<String, Failure> {
    let place = url.strip_prefix("http://").unwrap_or(url);
    let place = place.strip_suffix('/').unwrap_or(place);
    if is_place(place) {
        return Ok(place.to_owned());
    }
    Err(Failure::usage(format!("invalid advertise {url:?}")).next(
        "a URL with a port, such as http://db1.example.com:7171, where clients reach this node",
    ))
}

/// What is listened on everywhere must be told where.
fn demand_place(
    name: &str,
    advertise: &str,
    listen: SocketAddr,
    advertised: Option<&str>,
) -> Result<(), Failure> {
    if !listen.ip().is_unspecified() || advertised.is_some() {
        return Ok(());
    }
    Err(Failure::usage(format!("{name} is {listen}, which tells others no address"))
        .next(format!("set {advertise} to the host and port under which they reach this machine")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: &str = "node = \"a\"\ndata = \"d\"\nkafka = \"b:9092\"\n";

    /// What is said of `more` behind the settings of a node.
    fn said(more: &str) -> String {
        match RawServe::parse(&format!("{NODE}{more}"), "f").and_then(RawServe::validate) {
            Ok(_) => "fine".to_owned(),
            Err(failure) => format!("{failure:?}"),
        }
    }

    #[track_caller]
    fn check(more: &str, want: &str) {
        let said = said(more);
        assert!(said.contains(want), "{more}: {said}");
    }

    #[test]
    fn every_setting_is_checked_and_names_itself() {
        check("", "fine");
        check("zone = \"a\"\ncapacity = 50\nlisten = \"127.0.0.1:0\"", "fine");
        check("capacity = 0", "capacity is 0");
        check("listen = \"7171\"", "invalid listen");
        check("peer_listen = \"x\"", "invalid peer_listen");
        check("listen = \"0.0.0.0:7171\"", "set advertise to the host");
        check("listen = \"0.0.0.0:7171\"\nadvertise = \"http://db1:7171\"", "fine");
        check("peer_listen = \"0.0.0.0:7172\"", "set peer_advertise to the host");
        check("advertise = \"https://db1:7171\"", "invalid advertise");
        check("peer_advertise = \"db1\"", "invalid peer_advertise");
        check("seeds = [\"db1\"]", "invalid seed \\\"db1\\\"");
        check("seeds = [\"db1:7172\"]", "fine");
        check("role = \"router\"", "data is for a node");
        check("role = \"broker\"", "unknown variant");
        check("peer_listn = \"127.0.0.1:1\"", "did you mean peer_listen?");
        check("port = 1", "the settings are node, role");
    }

    #[test]
    fn the_example_for_systemd_is_complete() {
        let text = include_str!("../../../../../deploy/systemd/cortado.toml");
        RawServe::parse(text, "f").and_then(RawServe::validate).expect("settings");
    }

    #[test]
    fn what_is_missing_is_named() {
        let check = |text: &str, want: &str| {
            let refused = RawServe::parse(text, "f").and_then(RawServe::validate);
            let refused = format!("{:?}", refused.expect_err("refused"));
            assert!(refused.contains(want), "{refused}");
        };
        check("", "kafka is not set");
        check("kafka = \"b:1\"", "node is not set");
        check("kafka = \"b:1\"\nnode = \"a\"", "data is not set");
    }

    #[test]
    fn a_router_needs_the_log_alone() {
        let raw = RawServe::parse("role = \"router\"\nkafka = \"b:1\"", "f").expect("TOML");
        let settings = raw.validate().expect("settings");
        let Is::Router(Some(listen)) = settings.is else { panic!("{:?}", settings.is) };
        assert_eq!(listen.to_string(), "127.0.0.1:0", "it gossips where it listens for clients");
    }

    #[test]
    fn a_router_gossips_only_where_others_can_reach_it() {
        let check = |more: &str, want: Option<&str>| {
            let text = format!("role = \"router\"\nkafka = \"b:1\"\n{more}");
            let settings = RawServe::parse(&text, "f").and_then(RawServe::validate);
            let Is::Router(listen) = settings.expect("settings").is else { panic!("a node") };
            assert_eq!(listen.map(|listen| listen.to_string()).as_deref(), want, "{more}");
        };
        let everywhere = "listen = \"0.0.0.0:1\"\nadvertise = \"http://r:1\"\n";
        check(everywhere, None);
        let set = "peer_listen = \"0.0.0.0:7172\"\npeer_advertise = \"r:7172\"";
        check(&format!("{everywhere}{set}"), Some("0.0.0.0:7172"));
    }

    #[test]
    fn client_properties_come_from_the_file_and_brokers_from_either() {
        let text = "[kafka]\n\"bootstrap.servers\" = \"b:1\"\n\"client.id\" = \"me\"\n\"x\" = 3";
        let file = RawServe::parse(text, "f").expect("TOML");
        let kafka = file.kafka().validate().expect("settings");
        assert_eq!(kafka.bootstrap_servers, "b:1");
        let line = KafkaMember::Brokers("c:2".to_owned());
        let line = RawServe { kafka: Some(line), ..RawServe::default() };
        let kafka = line.over(file).kafka().validate().expect("settings");
        assert_eq!(kafka.bootstrap_servers, "c:2");
        let pairs = [("client.id", "me"), ("x", "3")].map(|(n, v)| (n.to_owned(), v.to_owned()));
        assert_eq!(kafka.client_options, pairs);
    }

    #[test]
    fn the_command_line_wins_over_the_file() {
        let file = RawServe::parse(NODE, "f").expect("TOML");
        let line = RawServe { node: Some("b".to_owned()), ..RawServe::default() };
        let merged = line.over(file);
        assert_eq!((merged.node.as_deref(), merged.data), (Some("b"), Some(PathBuf::from("d"))));
    }
}
