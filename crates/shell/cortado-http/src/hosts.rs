//! Which hosts a request may name.
//!
//! A page in a browser can make any name resolve to an address that the browser reaches, and so
//! talk to servers that trust their network (DNS rebinding); it cannot change the name that the
//! browser sends. So a listener on a loopback address, and any listener that was told its names,
//! answers only to these names and to addresses, which nothing can rebind. Start reading at
//! [`Hosts::allows`].

use std::net::{IpAddr, SocketAddr};

/// The names under which a listener may be reached.
#[derive(Clone, Debug)]
pub(crate) struct Hosts {
    /// Whether the listener has a loopback address.
    is_loopback: bool,
    /// Further names, lower case.
    names: Vec<String>,
}

impl Hosts {
    pub(crate) fn new(address: SocketAddr, names: &[String]) -> Hosts {
        let names = names.iter().map(|name| without_dot(name).to_ascii_lowercase()).collect();
        Hosts { is_loopback: address.ip().is_loopback(), names }
    }

    /// Whether a request to `authority`, a host with or without a port, is meant for us.
    pub(crate) fn allows(&self, authority: &str) -> bool {
        if !self.is_loopback && self.names.is_empty() {
            return true;
        }
        let Some(host) = host_of(authority) else { return false };
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        if let Ok(address) = bare.unwrap_or(host).parse::<IpAddr>() {
            return !self.is_loopback || address.is_loopback();
        }
        without_dot(host).eq_ignore_ascii_case("localhost") || self.has_named(host)
    }

    /// Whether the operator has named `host`, which is without a port.
    pub(crate) fn has_named(&self, host: &str) -> bool {
        self.names.iter().any(|name| without_dot(host).eq_ignore_ascii_case(name))
    }
}

/// A host without the dot that a fully qualified name may end with.
fn without_dot(host: &str) -> &str {
    host.strip_suffix('.').unwrap_or(host)
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
    fn check(hosts: &Hosts, authority: &str, want: bool) {
        assert_eq!(hosts.allows(authority), want, "{authority} at {hosts:?}");
    }

    fn hosts(listener: &str, names: &[&str]) -> Hosts {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        Hosts::new(listener.parse().expect("an address"), &names)
    }

    #[test]
    fn a_loopback_listener_answers_to_its_own_names() {
        for listener in ["127.0.0.1:7171", "[::1]:7171"] {
            let hosts = hosts(listener, &["Cortado.test."]);
            for ours in ["localhost", "LocalHost:1", "localhost.:80", "127.0.0.1", "127.0.0.1:7171"]
            {
                check(&hosts, ours, true);
            }
            for ours in ["127.1.2.3:9", "[::1]", "[::1]:7171", "cortado.test:7171", "localhost:"] {
                check(&hosts, ours, true);
            }
            for other in ["evil.example", "evil.example:7171", "localhost.evil.example", "10.0.0.1"]
            {
                check(&hosts, other, false);
            }
            for other in ["evil.example.", "evil.example.:7171", "xlocalhost", "evil.localhost"] {
                check(&hosts, other, false);
            }
            for other in ["", ":7171", "[::1", "[::2]", "localhost:x", "127.0.0.1:123456", "a@b"] {
                check(&hosts, other, false);
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
    fn any_other_listener_answers_to_every_name_until_it_is_told_its_own() {
        for listener in ["0.0.0.0:7171", "10.0.0.1:7171"] {
            check(&hosts(listener, &[]), "evil.example:7171", true);
            let told = hosts(listener, &["db.example"]);
            for ours in
                ["db.example", "DB.example.:7171", "10.0.0.1:7171", "[fd00::1]", "localhost"]
            {
                check(&told, ours, true);
            }
            for other in ["evil.example:7171", "db.example.evil.example", "xdb.example", ""] {
                check(&told, other, false);
            }
        }
    }

    #[test]
    fn what_was_named_is_told_apart_from_what_is_allowed() {
        let hosts = hosts("127.0.0.1:7171", &["db.example"]);
        assert!(hosts.has_named("db.example") && hosts.has_named("DB.example."));
        assert!(!hosts.has_named("localhost") && !hosts.has_named("evil.example"));
    }
}
