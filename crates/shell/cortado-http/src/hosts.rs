//! Which hosts a request may name.
//!
//! A page in a browser can make any name resolve to a loopback address and so reach servers that
//! trust their machine (DNS rebinding); it cannot change the name that the browser sends. So a
//! listener on a loopback address answers only to names of this machine. Start reading at
//! [`Hosts::allows`].

use std::net::{IpAddr, SocketAddr};

/// The names under which a listener may be reached.
#[derive(Clone, Debug)]
pub(crate) enum Hosts {
    /// Not a loopback address: any name may lead here.
    Any,
    /// A loopback address.
    Loopback {
        /// Further names, lower case.
        names: Vec<String>,
    },
}

impl Hosts {
    pub(crate) fn new(address: SocketAddr, names: &[String]) -> Hosts {
        if !address.ip().is_loopback() {
            return Hosts::Any;
        }
        Hosts::Loopback { names: names.iter().map(|name| name.to_ascii_lowercase()).collect() }
    }

    /// Whether a request to `authority`, a host with or without a port, is meant for us.
    pub(crate) fn allows(&self, authority: &str) -> bool {
        let names = match self {
            Hosts::Any => return true,
            Hosts::Loopback { names } => names,
        };
        let Some(host) = host_of(authority) else { return false };
        if host.eq_ignore_ascii_case("localhost") {
            return true;
        }
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        if let Ok(address) = bare.unwrap_or(host).parse::<IpAddr>() {
            return address.is_loopback();
        }
        let host = host.strip_suffix('.').unwrap_or(host);
        host.eq_ignore_ascii_case("localhost")
            || names.iter().any(|name| host.eq_ignore_ascii_case(name))
    }
}

/// Whether `authority` holds only what a host and a port can (RFC 3986, section 3.2.2): anything
/// else is an error of the client, not another server.
pub(crate) fn is_well_formed(authority: &str) -> bool {
    let can_stand =
        |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=:[]".contains(&byte);
    authority.bytes().all(can_stand)
}

/// The host of `authority` without its port; `None` if it is malformed.
fn host_of(authority: &str) -> Option<&str> {
    let end_of_host = match authority.strip_prefix('[') {
        Some(_) => authority.find(']')? + 1,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let (host, port) = authority.split_at(end_of_host);
    let port = port.strip_prefix(':').unwrap_or(if port.is_empty() { "0" } else { "x" });
    let is_port = port.len() <= 5 && port.bytes().all(|b| b.is_ascii_digit());
    (is_port && !host.is_empty()).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(listener: &str, authority: &str, want: bool) {
        let address = listener.parse().expect("an address");
        let hosts = Hosts::new(address, &["cortado.test".to_owned()]);
        assert_eq!(hosts.allows(authority), want, "{authority} at {listener}");
    }

    #[test]
    fn a_loopback_listener_answers_to_its_own_names() {
        for listener in ["127.0.0.1:7171", "[::1]:7171"] {
            for ours in ["localhost", "LocalHost:1", "localhost.:80", "127.0.0.1", "127.0.0.1:7171"]
            {
                check(listener, ours, true);
            }
            for ours in ["127.1.2.3:9", "[::1]", "[::1]:7171", "cortado.test:7171", "localhost:"] {
                check(listener, ours, true);
            }
            for other in ["evil.example", "evil.example:7171", "localhost.evil.example", "10.0.0.1"]
            {
                check(listener, other, false);
            }
            for other in ["evil.example.", "evil.example.:7171", "xlocalhost", "evil.localhost"] {
                check(listener, other, false);
            }
            for other in ["", ":7171", "[::1", "[::2]", "localhost:x", "127.0.0.1:123456", "a@b"] {
                check(listener, other, false);
            }
        }
    }

    #[test]
    fn a_malformed_host_is_not_another_host() {
        for host in ["", "localhost", "[::1]:80", "a_b.example", "%C3%A9.example", "localhost:x"] {
            assert!(is_well_formed(host), "{host}");
        }
        for other in ["local host", "a/b", "a@b", "a?b", "é", "a#b", "a\tb", "http://a"] {
            assert!(!is_well_formed(other), "{other}");
        }
    }

    #[test]
    fn any_other_listener_answers_to_every_name() {
        check("0.0.0.0:7171", "db.example:7171", true);
        check("10.0.0.1:7171", "evil.example", true);
    }
}
