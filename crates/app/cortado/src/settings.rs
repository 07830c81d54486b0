//! What the operator of a development server may choose, checked once.
//!
//! [`RawSettings`] is what was written, in a file and on the command line; below this only
//! [`Settings`] exists. Start reading at [`RawSettings::validate`].

use crate::byte_size;
use crate::failure::Failure;
use serde::Deserialize;
use std::fs;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};

/// The port that clients expect.
const LISTEN_DEFAULT: &str = "127.0.0.1:7171";
const NODES_DEFAULT: u32 = 3;
const LOG_BYTES_DEFAULT: u64 = 2 << 30;
/// Four segments.
const LOG_BYTES_MIN: u64 = 256 << 20;

/// What was written, before any check. Also the format of the file of `--config`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawSettings {
    /// How many nodes live in this process.
    pub(crate) nodes: Option<u32>,
    /// Host and port; port 0 takes a free one.
    pub(crate) listen: Option<String>,
    /// The data directory; absent: a temporary one.
    pub(crate) data: Option<PathBuf>,
    /// Names of hosts, without ports, under which clients may reach the server.
    pub(crate) allow_hosts: Option<Vec<String>>,
    /// How much the log keeps at most while all nodes are well, such as `2GiB`.
    pub(crate) log_size: Option<String>,
}

/// What was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) nodes: u32,
    pub(crate) listen: SocketAddr,
    pub(crate) data: Option<PathBuf>,
    /// Names of hosts, without ports.
    pub(crate) allow_hosts: Vec<String>,
    /// How much the log keeps at most while all nodes are well.
    pub(crate) log_bytes: u64,
}

impl RawSettings {
    /// Reads a file of settings; a relative data directory counts from the file's own folder.
    ///
    /// # Errors
    /// It cannot be read, is no TOML, or has a setting that does not exist.
    pub(crate) fn read(path: &Path) -> Result<RawSettings, Failure> {
        let shown = path.display();
        let text = fs::read_to_string(path)
            .map_err(|error| Failure::usage(format!("{shown} cannot be read: {error}")))?;
        let mut raw = RawSettings::parse(&text)
            .map_err(|error| Failure::usage(format!("{shown}: {error}")))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        raw.data = raw.data.map(|data| folder.join(data));
        Ok(raw)
    }

    fn parse(text: &str) -> Result<RawSettings, toml::de::Error> {
        toml::from_str(text)
    }

    /// These settings where they are written, those of `file` elsewhere.
    pub(crate) fn over(self, file: RawSettings) -> RawSettings {
        RawSettings {
            nodes: self.nodes.or(file.nodes),
            listen: self.listen.or(file.listen),
            data: self.data.or(file.data),
            allow_hosts: self.allow_hosts.or(file.allow_hosts),
            log_size: self.log_size.or(file.log_size),
        }
    }

    /// Fills in defaults and checks every setting.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub(crate) fn validate(self) -> Result<Settings, Failure> {
        let nodes = self.nodes.unwrap_or(NODES_DEFAULT);
        if !(1..=9).contains(&nodes) {
            return Err(Failure::usage(format!("nodes is {nodes}; it must be 1 to 9")));
        }
        let text = self.listen.as_deref().unwrap_or(LISTEN_DEFAULT);
        let listen = text.to_socket_addrs().ok().and_then(|mut found| found.next());
        let listen = listen.ok_or_else(|| {
            Failure::usage(format!(
                "invalid listen address {text:?}: expected HOST:PORT of this machine"
            ))
            .next("such as 127.0.0.1:7171, or 127.0.0.1:0 for any free port")
        })?;
        let allow_hosts = self.allow_hosts.unwrap_or_default();
        if let Some(host) = allow_hosts.iter().find(|host| !is_host(host)) {
            let failure = Failure::usage(format!("invalid host name {host:?} to allow"));
            return Err(failure.next("a name without scheme and port, such as db.example.com"));
        }
        let log_bytes = match self.log_size.as_deref() {
            Some(text) => log_bytes(text)?,
            None => LOG_BYTES_DEFAULT,
        };
        Ok(Settings { nodes, listen, data: self.data, allow_hosts, log_bytes })
    }
}

/// Whether `text` can be the host of a URL, without a port.
fn is_host(text: &str) -> bool {
    let can_stand = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    !text.is_empty() && text.bytes().all(can_stand)
}

fn log_bytes(text: &str) -> Result<u64, Failure> {
    let bytes = byte_size::parse(text)
        .map_err(|why| Failure::usage(format!("invalid log size {text:?}: {why}")))?;
    if bytes < LOG_BYTES_MIN {
        let least = LOG_BYTES_MIN >> 20;
        return Err(Failure::usage(format!("log size is {text}; it must be {least}MiB or more")));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, want: Option<(u32, &str, Option<&str>)>) {
        let got = RawSettings::parse(text).ok().and_then(|raw| raw.validate().ok());
        let want = want.map(|(nodes, listen, data)| Settings {
            nodes,
            listen: listen.parse().expect("an address"),
            data: data.map(PathBuf::from),
            allow_hosts: Vec::new(),
            log_bytes: LOG_BYTES_DEFAULT,
        });
        assert_eq!(got, want, "{text}");
    }

    #[test]
    fn settings_are_checked_once() {
        check("", Some((3, "127.0.0.1:7171", None)));
        let all = "nodes = 5\nlisten = \"127.0.0.1:0\"\ndata = \"d\"";
        check(all, Some((5, "127.0.0.1:0", Some("d"))));
        check("nodes = 0", None);
        check("nodes = 10", None);
        check("listen = \"7171\"", None);
        check("listen = \"127.0.0.1:99999\"", None);
        check("port = 7171", None);
    }

    #[test]
    fn a_host_to_allow_is_a_name_alone() {
        let got = |text: &str| {
            let raw = RawSettings::parse(&format!("allow_hosts = [{text:?}]")).expect("settings");
            raw.validate().is_ok()
        };
        for name in ["db.example.com", "DB", "db_1.example."] {
            assert!(got(name), "{name}");
        }
        for other in ["", "db.example.com:7171", "https://db.example.com", "a b", "*"] {
            assert!(!got(other), "{other}");
        }
    }

    #[test]
    fn a_log_has_room_for_some_segments() {
        let bytes = |text: &str| {
            let raw = RawSettings { log_size: Some(text.to_owned()), ..RawSettings::default() };
            raw.validate().map(|settings| settings.log_bytes).ok()
        };
        assert_eq!(bytes("1GiB"), Some(1 << 30));
        assert_eq!(bytes("256MiB"), Some(256 << 20));
        assert_eq!(bytes("255MiB"), None);
        assert_eq!(bytes("much"), None);
    }

    #[test]
    fn the_command_line_wins_over_the_file() {
        let file = RawSettings::parse("nodes = 5\ndata = \"d\"").expect("settings");
        let line = RawSettings { nodes: Some(1), ..RawSettings::default() };
        let merged = line.over(file);
        assert_eq!((merged.nodes, merged.data), (Some(1), Some(PathBuf::from("d"))));
    }
}
