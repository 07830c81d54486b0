//! Who sends a request: the one place where a request says it and the server believes it.
//!
//! This version checks no credentials, and says so to clients that send some: to ignore them would
//! look like accepting them. Start reading at [`authenticate`].

use crate::failure::Failure;
use cortado_wire::Code;
use http::HeaderValue;
use std::fmt;

/// Who sends a request, as far as the server knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Principal {
    /// No credentials: every client that reaches the listener may do everything.
    Anonymous,
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Principal::Anonymous => f.write_str("anonymous"),
        }
    }
}

/// Finds out who sends a request.
///
/// * `authorization`: the value of the header field of that name.
///
/// # Errors
/// Credentials, of any kind.
pub(crate) fn authenticate(authorization: Option<&HeaderValue>) -> Result<Principal, Failure> {
    match authorization {
        None => Ok(Principal::Anonymous),
        Some(_) => {
            let detail = "this version has no authentication and checks no credentials: remove the \
                          Authorization header, in a proxy before the server if that adds it";
            Err(Failure::new(Code::NotSupported, detail))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_refused_rather_than_ignored() {
        let got = |value: Option<&'static str>| {
            let value = value.map(HeaderValue::from_static);
            authenticate(value.as_ref()).map_err(|failure| failure.code())
        };
        assert_eq!(got(None), Ok(Principal::Anonymous));
        for value in ["", "Basic dXNlcjpwYXNz", "Bearer x"] {
            assert_eq!(got(Some(value)), Err(Code::NotSupported), "{value}");
        }
    }
}
