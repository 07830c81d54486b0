//! Where a server is.
//!
//! Start reading at [`ServerAddress`].

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// The scheme, host and port of a server; text form `http://127.0.0.1:7171`.
#[derive(Clone, Debug, PartialEq, Eq)]
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
