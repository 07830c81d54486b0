//! Where servers are.
//!
//! Start reading at [`ServerAddresses`].

use cortado_aperture::RingKey;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// One server or several, of one cluster, each of which serves everything; text form
/// `http://a:7171,http://b:7171`. Never empty, and each of them once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerAddresses {
    first: ServerAddress,
    others: Vec<ServerAddress>,
}

impl ServerAddresses {
    /// Each server, in the order in which they were given.
    pub fn iter(&self) -> impl Iterator<Item = &ServerAddress> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// Whether there is a choice.
    pub fn are_several(&self) -> bool {
        !self.others.is_empty()
    }

    /// The same and `address`, unless it is one of them.
    pub fn and(mut self, address: ServerAddress) -> ServerAddresses {
        if !self.iter().any(|known| *known == address) {
            self.others.push(address);
        }
        self
    }
}

impl From<ServerAddress> for ServerAddresses {
    fn from(first: ServerAddress) -> ServerAddresses {
        ServerAddresses { first, others: Vec::new() }
    }
}

impl fmt::Display for ServerAddresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.first)?;
        self.others.iter().try_for_each(|other| write!(f, ",{other}"))
    }
}

impl FromStr for ServerAddresses {
    type Err = AddressError;

    /// Reads addresses that are separated by commas; white space around them does not count.
    fn from_str(text: &str) -> Result<ServerAddresses, AddressError> {
        let mut addresses = text.split(',').map(|each| {
            if each.trim().is_empty() && text.contains(',') {
                let why = "an address is missing before or after a comma";
                return Err(AddressError { text: text.to_owned(), why });
            }
            each.trim().parse::<ServerAddress>()
        });
        let first = addresses.next().expect("a text has a part before its first comma")?;
        addresses.try_fold(first.into(), |all: ServerAddresses, next| Ok(all.and(next?)))
    }
}

/// The scheme, host and port of a server; text form `http://127.0.0.1:7171`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerAddress {
    /// Host and port, as a request's `Host` field spells them.
    authority: String,
}

impl ServerAddress {
    /// The server's root followed by `path`, which starts with a slash.
    pub(crate) fn join(&self, path: &str) -> String {
        format!("http://{}{path}", self.authority)
    }

    /// Whether it is this machine, where a refused connection means that no server listens.
    pub(crate) fn is_loopback(&self) -> bool {
        let parsed: Option<http::uri::Authority> = self.authority.parse().ok();
        let host = parsed.as_ref().map(http::uri::Authority::host).unwrap_or_default();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

/// All clients of a group must be given the same spelling of an address; letters' case is no part
/// of it.
impl RingKey for ServerAddress {
    fn identity(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.authority.to_ascii_lowercase().as_bytes());
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}", self.authority)
    }
}

impl FromStr for ServerAddress {
    type Err = AddressError;

    /// Reads `http://host:port`, with or without a slash at the end; the port may be absent (80).
    fn from_str(text: &str) -> Result<ServerAddress, AddressError> {
        let refuse = |why| AddressError { text: text.to_owned(), why };
        if text.starts_with("https://") {
            return Err(refuse("TLS is not supported; use a proxy that terminates it"));
        }
        let rest =
            text.strip_prefix("http://").ok_or_else(|| refuse("it must start with http://"))?;
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.contains(['/', '?', '#']) {
            return Err(refuse("only a host and a port may follow, no path"));
        }
        let parsed: http::uri::Authority =
            authority.parse().map_err(|_| refuse("invalid host or port"))?;
        if parsed.host().is_empty() || authority.contains('@') {
            return Err(refuse("a host is required, and a user name is not allowed"));
        }
        // The parser takes a port beyond 65535 for none, and requests would go to port 80.
        let port = authority.strip_prefix(parsed.host()).and_then(|rest| rest.strip_prefix(':'));
        if port.is_some_and(|port| !port.parse::<u16>().is_ok_and(|port| port > 0)) {
            return Err(refuse("the port must be 1 to 65535"));
        }
        Ok(ServerAddress { authority: authority.to_owned() })
    }
}

/// An invalid address of a server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid server address {text:?}: {why}; expected something like http://127.0.0.1:7171")]
pub struct AddressError {
    /// What was given.
    pub text: String,
    /// The rule that it breaks.
    pub why: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, want: Option<&str>) {
        let got = text.parse::<ServerAddress>().ok().map(|address| address.to_string());
        assert_eq!(got.as_deref(), want, "{text}");
    }

    #[test]
    fn this_machine_is_known_by_its_addresses() {
        let is_loopback =
            |text: &str| text.parse::<ServerAddress>().is_ok_and(|it| it.is_loopback());
        assert!(is_loopback("http://127.0.0.1:7171") && is_loopback("http://localhost"));
        assert!(is_loopback("http://[::1]:7171") && is_loopback("http://127.1.2.3"));
        assert!(!is_loopback("http://10.0.0.1:7171") && !is_loopback("http://localhost.example"));
    }

    #[track_caller]
    fn check_several(text: &str, want: Result<&str, &str>) {
        let got = text.parse::<ServerAddresses>();
        match (got, want) {
            (Ok(got), Ok(want)) => assert_eq!(got.to_string(), want),
            (Err(got), Err(want)) => assert!(got.to_string().contains(want), "{got}"),
            (got, _) => panic!("{text}: {got:?}"),
        }
    }

    #[test]
    fn several_addresses_are_separated_by_commas() {
        check_several("http://a:1", Ok("http://a:1"));
        check_several("http://a:1,http://b:2/", Ok("http://a:1,http://b:2"));
        check_several("http://a:1, http://b:2 ,http://a:1", Ok("http://a:1,http://b:2"));
        check_several("http://a:1,", Err("missing before or after a comma"));
        check_several(",http://a:1", Err("missing before or after a comma"));
        check_several("http://a:1,,http://b:2", Err("missing before or after a comma"));
        // The one that is wrong is named.
        check_several("http://a:1,b:2", Err(r#"invalid server address "b:2""#));
        check_several("", Err("must start with http://"));
        let several: ServerAddresses = "http://a,http://b".parse().expect("two");
        let one: ServerAddresses = "http://a,http://a".parse().expect("one");
        assert!(several.are_several() && !one.are_several());
    }

    #[test]
    fn addresses_have_a_scheme_and_a_host() {
        check("http://127.0.0.1:7171", Some("http://127.0.0.1:7171"));
        check("http://[::1]:7171/", Some("http://[::1]:7171"));
        check("http://db.example", Some("http://db.example"));
        check("127.0.0.1:7171", None);
        check("https://127.0.0.1:7171", None);
        check("http://", None);
        check("http://a/b", None);
        check("http://a b", None);
        check("http://user@host:1", None);
        check("http://db.example:65535", Some("http://db.example:65535"));
        check("http://db.example:65536", None);
        check("http://db.example:0", None);
        for beyond in ["http://a/b", "http://a:1/?x", "http://a?x", "http://a#x", "http://a//"] {
            let error = beyond.parse::<ServerAddress>().expect_err("more than an address");
            assert!(error.why.contains("no path"), "{error}");
        }
    }
}
