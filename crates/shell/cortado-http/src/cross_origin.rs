//! Which web pages may change something: those that were loaded from this server itself.
//!
//! A page of any origin can make a browser send requests to a server that the browser reaches,
//! whether or not the page may read the answers. A browser names the page, and no page can lie
//! about that; other clients send neither header. Start reading at [`check`].

use crate::failure::Failure;
use crate::fields::Fields;
use crate::hosts::Hosts;
use cortado_wire::Code;
use http::{HeaderValue, Method};

/// Refuses a request that may change something and that a page of another origin sends.
///
/// * `authority`: the host that the request names; `None` if it names none, as HTTP/1.0 may.
///
/// # Errors
/// `Origin` is neither that host's nor one that the operator has named, or `Sec-Fetch-Site` is
/// neither `same-origin` nor `none`, which is a person's own doing.
pub(crate) fn check(
    method: &Method,
    fields: &Fields<'_>,
    authority: Option<&str>,
    hosts: &Hosts,
) -> Result<(), Failure> {
    if method.is_safe() {
        return Ok(());
    }
    let is_ours = |origin: &HeaderValue| is_own(origin, authority, hosts);
    let is_same = |site: &HeaderValue| site == "same-origin" || site == "none";
    if fields.origin.is_none_or(is_ours) && fields.fetch_site.is_none_or(is_same) {
        return Ok(());
    }
    let detail = "a web page of another origin may not change anything here: serve the page from \
                  the server's own address, or have its own server send the request; behind a \
                  proxy that changes the Host header, start the server with --allow-host and the \
                  name that browsers use";
    Err(Failure::new(Code::CrossOrigin, detail))
}

fn is_own(origin: &HeaderValue, authority: Option<&str>, hosts: &Hosts) -> bool {
    let Some((scheme, host)) = origin.to_str().ok().and_then(|text| text.split_once("://")) else {
        // `null` among others: a sandboxed page, a file, a redirect across origins.
        return false;
    };
    let default_port = match scheme {
        "http" => ":80",
        // Something before the server ends TLS.
        "https" => ":443",
        _ => return false,
    };
    let bare = |authority| str::strip_suffix(authority, default_port).unwrap_or(authority);
    // Another port of a name is another server, unless the request itself names it.
    authority.is_some_and(|own| bare(own).eq_ignore_ascii_case(bare(host)))
        || hosts.has_named(bare(host))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderMap, header};

    /// Whether a request to `localhost:7171` may change something.
    #[track_caller]
    fn check_request(method: Method, lines: &[(&'static str, &'static str)], want: bool) {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_static("localhost:7171"));
        for (name, value) in lines {
            headers.insert(*name, HeaderValue::from_static(value));
        }
        let address = ([127, 0, 0, 1], 7171).into();
        let hosts = Hosts::new(address, &["db.example".to_owned()]);
        let fields = Fields::read(&headers).expect("good headers");
        let got = check(&method, &fields, Some("localhost:7171"), &hosts);
        let got = got.map_err(|failure| failure.code());
        assert_eq!(got, if want { Ok(()) } else { Err(Code::CrossOrigin) }, "{method} {lines:?}");
    }

    #[test]
    fn only_pages_of_this_server_change_something() {
        for origin in ["http://localhost:7171", "http://LOCALHOST:7171", "https://localhost:7171"] {
            check_request(Method::POST, &[("origin", origin)], true);
        }
        for origin in ["https://db.example", "http://DB.example:80", "https://db.example:443"] {
            check_request(Method::POST, &[("origin", origin)], true);
        }
        for origin in ["http://db.example:8080", "http://db.example:443", "https://a.db.example"] {
            check_request(Method::POST, &[("origin", origin)], false);
        }
        for origin in ["http://localhost", "http://localhost:7172", "http://127.0.0.1:7171"] {
            check_request(Method::POST, &[("origin", origin)], false);
        }
        for origin in ["null", "", "https://evil.example", "http://localhost:7171.evil.example"] {
            check_request(Method::POST, &[("origin", origin)], false);
        }
        for origin in ["localhost:7171", "file://", "ftp://localhost:7171", "chrome-extension://a"]
        {
            check_request(Method::POST, &[("origin", origin)], false);
        }
    }

    #[test]
    fn a_default_port_need_not_be_spelled() {
        let own = |origin, authority| {
            let hosts = Hosts::new(([10, 0, 0, 1], 80).into(), &[]);
            is_own(&HeaderValue::from_static(origin), Some(authority), &hosts)
        };
        assert!(own("http://db.example", "db.example:80"));
        assert!(own("http://db.example:80", "db.example"));
        assert!(own("https://db.example", "db.example:443"));
        assert!(!own("https://db.example", "db.example:80"));
        assert!(!own("http://db.example", "db.example:7171"));
    }

    #[test]
    fn what_a_browser_says_about_the_page_counts_too() {
        for site in ["cross-site", "same-site", "", "something-new"] {
            check_request(Method::DELETE, &[("sec-fetch-site", site)], false);
            let both = [("origin", "http://localhost:7171"), ("sec-fetch-site", site)];
            check_request(Method::PUT, &both, false);
        }
        for site in ["same-origin", "none"] {
            check_request(Method::PATCH, &[("sec-fetch-site", site)], true);
            let both = [("origin", "https://evil.example"), ("sec-fetch-site", site)];
            check_request(Method::POST, &both, false);
        }
    }

    #[test]
    fn requests_that_change_nothing_and_other_clients_pass() {
        let foreign = [("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")];
        for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
            check_request(method, &foreign, true);
        }
        check_request(Method::POST, &[], true);
    }
}
