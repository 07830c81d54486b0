//! The header fields of a request, read in one pass.
//!
//! Checks their number, their size, and that every one that has a meaning here can be understood.
//! Start reading at [`Fields::read`].

#[cfg(test)]
mod tests;

use crate::failure::Failure;
use cortado_document::{Condition, Match};
use cortado_gateway::Consistency;
use cortado_model::limits::{
    HEADER_BYTES_MAX, HEADERS_MAX, IDEMPOTENCY_KEY_BYTES_MAX, IDEMPOTENCY_TTL_MS_MAX,
};
use cortado_wire::{Code, SessionToken, headers};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use std::borrow::Cow;
use std::time::Duration;

/// The longest deadline; later ones become this one.
pub(crate) const DEADLINE_MS_MAX: u64 = 60_000;
/// The deadline of a request that names none.
const DEADLINE_MS_DEFAULT: u64 = 10_000;
const WITHOUT: &str = "remove the header";

/// What the header fields of a request say.
#[derive(Debug, Default)]
pub(crate) struct Fields<'a> {
    pub(crate) host: Option<&'a HeaderValue>,
    pub(crate) accept: Listed<'a>,
    /// hyper has read it; here it must only stand once.
    content_length: Option<&'a HeaderValue>,
    pub(crate) content_type: Option<&'a HeaderValue>,
    pub(crate) content_encoding: Option<&'a HeaderValue>,
    pub(crate) expect: Option<&'a HeaderValue>,
    pub(crate) authorization: Option<&'a HeaderValue>,
    /// The page that sends the request, as a browser names it.
    pub(crate) origin: Option<&'a HeaderValue>,
    /// How that page's origin relates to this server's, as a browser judges it.
    pub(crate) fetch_site: Option<&'a HeaderValue>,
    pub(crate) last_event_id: Option<&'a HeaderValue>,
    /// The token as it came; the bytes have been understood.
    pub(crate) session: Option<&'a HeaderValue>,
    if_match: Listed<'a>,
    if_none_match: Listed<'a>,
    if_modified_since: Option<&'a HeaderValue>,
    idempotency_key: Option<&'a HeaderValue>,
    idempotency_ttl: Option<&'a HeaderValue>,
    consistency: Option<&'a HeaderValue>,
    max_lag_ms: Option<&'a HeaderValue>,
    deadline_ms: Option<&'a HeaderValue>,
    header_bytes: usize,
}

/// A field whose lines are joined by commas.
#[derive(Debug, Default)]
pub(crate) struct Listed<'a>(Option<Cow<'a, [u8]>>);

impl<'a> Listed<'a> {
    pub(crate) fn get(&self) -> Option<&[u8]> {
        self.0.as_deref()
    }

    fn push(&mut self, value: &'a HeaderValue) {
        self.0 = Some(match self.0.take() {
            None => Cow::Borrowed(value.as_bytes()),
            Some(first) => Cow::Owned([&first, b",".as_slice(), value.as_bytes()].concat()),
        });
    }
}

impl<'a> Fields<'a> {
    /// Reads all fields.
    ///
    /// # Errors
    /// Too many or too large ones; one that may stand once standing twice; one that belongs to a
    /// later version, or is unknown although its name is ours.
    pub(crate) fn read(headers: &'a HeaderMap) -> Result<Fields<'a>, Failure> {
        let too_large = |detail: &'static str| Err(Failure::new(Code::HeadersTooLarge, detail));
        if headers.len() > HEADERS_MAX {
            return too_large("a request is limited to 100 header fields");
        }
        let mut fields = Fields::default();
        for (name, value) in headers {
            fields.header_bytes += name.as_str().len() + value.len();
            fields.take(name, value)?;
        }
        if fields.header_bytes > HEADER_BYTES_MAX {
            return too_large("the header fields of a request are limited to 32 KiB");
        }
        Ok(fields)
    }

    fn take(&mut self, name: &'a HeaderName, value: &'a HeaderValue) -> Result<(), Failure> {
        let single = match *name {
            header::HOST => &mut self.host,
            header::CONTENT_LENGTH => &mut self.content_length,
            header::CONTENT_TYPE => &mut self.content_type,
            header::CONTENT_ENCODING => &mut self.content_encoding,
            header::EXPECT => &mut self.expect,
            header::AUTHORIZATION => &mut self.authorization,
            header::ORIGIN => &mut self.origin,
            header::IF_MODIFIED_SINCE => &mut self.if_modified_since,
            header::ACCEPT => {
                self.accept.push(value);
                return Ok(());
            }
            header::IF_MATCH => {
                self.if_match.push(value);
                return Ok(());
            }
            header::IF_NONE_MATCH => {
                self.if_none_match.push(value);
                return Ok(());
            }
            header::IF_UNMODIFIED_SINCE => {
                return Err(not_supported("If-Unmodified-Since", "use If-Match"));
            }
            _ => match self.ours(name.as_str())? {
                Some(field) => field,
                None => return Ok(()),
            },
        };
        match single.replace(value) {
            None => Ok(()),
            Some(_) => Err(bad(format!("duplicate header {name}"))),
        }
    }

    /// The place of a field that HTTP itself does not know; `None` for one that means nothing here.
    fn ours(&mut self, name: &str) -> Result<Option<&mut Option<&'a HeaderValue>>, Failure> {
        if name == headers::IDEMPOTENCY_KEY {
            return Ok(Some(&mut self.idempotency_key));
        }
        if name == headers::LAST_EVENT_ID {
            return Ok(Some(&mut self.last_event_id));
        }
        if name == headers::SEC_FETCH_SITE {
            return Ok(Some(&mut self.fetch_site));
        }
        if !name.starts_with(headers::PREFIX) {
            return Ok(None);
        }
        if name == headers::CONSISTENCY {
            Ok(Some(&mut self.consistency))
        } else if name == headers::SESSION {
            Ok(Some(&mut self.session))
        } else if name == headers::MAX_LAG_MS {
            Ok(Some(&mut self.max_lag_ms))
        } else if name == headers::DEADLINE_MS {
            Ok(Some(&mut self.deadline_ms))
        } else if name == headers::IDEMPOTENCY_TTL {
            Ok(Some(&mut self.idempotency_ttl))
        } else if name == headers::TTL {
            Err(not_supported("Cortado-Ttl", WITHOUT))
        } else if name == headers::EXPIRES {
            Err(not_supported("Cortado-Expires", WITHOUT))
        } else {
            let known = headers::OURS.map(|name| name.to_string()).join(", ");
            Err(bad(format!("unknown Cortado- header; known headers: {known}")))
        }
    }

    /// `If-Match` and `If-None-Match`.
    ///
    /// # Errors
    /// A malformed entity tag.
    pub(crate) fn condition(&self) -> Result<Condition, Failure> {
        let read = |listed: &Listed<'_>| match listed.get() {
            None => Ok(None),
            Some(value) => Match::parse_header(value).map(Some).ok_or_else(|| {
                let detail = "malformed entity tag: expected double quotes around it, or *";
                Failure::new(Code::BadEtag, detail)
            }),
        };
        Ok(Condition { if_match: read(&self.if_match)?, if_none_match: read(&self.if_none_match)? })
    }

    /// The conditions as they came: part of what makes two writes the same.
    pub(crate) fn raw_conditions(&self) -> [Option<&[u8]>; 2] {
        [self.if_match.get(), self.if_none_match.get()]
    }

    /// Seconds since the beginning of 1970; `None` if absent or invalid, as RFC 9110 says.
    pub(crate) fn if_modified_since(&self) -> Option<u64> {
        let text = self.if_modified_since?.to_str().ok()?;
        let moment = httpdate::parse_http_date(text).ok()?;
        moment.duration_since(std::time::UNIX_EPOCH).ok().map(|since| since.as_secs())
    }

    /// Under which key a write is remembered.
    ///
    /// # Errors
    /// The key is empty, longer than 255 bytes, or holds anything but visible ASCII.
    pub(crate) fn idempotency_key(&self) -> Result<Option<&'a [u8]>, Failure> {
        let Some(value) = self.idempotency_key else { return Ok(None) };
        let key = value.as_bytes();
        let in_bounds = (1..=IDEMPOTENCY_KEY_BYTES_MAX).contains(&key.len());
        if !in_bounds || !key.iter().all(u8::is_ascii_graphic) {
            return Err(bad("Idempotency-Key must have 1 to 255 visible ASCII characters"));
        }
        Ok(Some(key))
    }

    /// For how long the answer is remembered under the idempotency key, in milliseconds.
    ///
    /// # Errors
    /// Not a number of seconds from 1 to a day, or there is no idempotency key.
    pub(crate) fn idempotency_ttl_ms(&self) -> Result<u32, Failure> {
        let Some(value) = self.idempotency_ttl else { return Ok(IDEMPOTENCY_TTL_MS_MAX) };
        if self.idempotency_key.is_none() {
            return Err(bad("Cortado-Idempotency-Ttl requires an Idempotency-Key"));
        }
        let seconds = number(Some(value), "Cortado-Idempotency-Ttl", "seconds", 1)?;
        let ms = seconds.and_then(|seconds| u32::try_from(seconds).ok()?.checked_mul(1_000));
        ms.filter(|ms| *ms <= IDEMPOTENCY_TTL_MS_MAX).ok_or_else(|| {
            let seconds_max = IDEMPOTENCY_TTL_MS_MAX / 1_000;
            let detail = format!("Cortado-Idempotency-Ttl must be 1 to {seconds_max} seconds");
            bad(detail)
        })
    }

    /// How long the client waits, and whether it said so itself.
    ///
    /// # Errors
    /// Not a positive number.
    pub(crate) fn timeout(&self) -> Result<(Duration, bool), Failure> {
        let given = number(self.deadline_ms, "Cortado-Deadline-Ms", "milliseconds", 1)?;
        let ms = given.unwrap_or(DEADLINE_MS_DEFAULT).min(DEADLINE_MS_MAX);
        Ok((Duration::from_millis(ms), given.is_some()))
    }

    /// The promise that a read asks for.
    ///
    /// # Errors
    /// An unknown level, or a bound without `bounded` or the other way round.
    pub(crate) fn consistency(&self) -> Result<Consistency, Failure> {
        let max_lag_ms = number(self.max_lag_ms, "Cortado-Max-Lag-Ms", "milliseconds", 0)?;
        let level = match self.consistency.map(HeaderValue::as_bytes) {
            None | Some(b"strong") => Consistency::Strong,
            Some(b"strict") => Consistency::Strict,
            Some(b"session") => Consistency::Session,
            Some(b"eventual") => Consistency::Eventual,
            Some(b"bounded") => match max_lag_ms {
                Some(max_lag_ms) => return Ok(Consistency::Bounded { max_lag_ms }),
                None => {
                    return Err(bad("Cortado-Consistency: bounded requires Cortado-Max-Lag-Ms"));
                }
            },
            Some(_) => {
                let detail =
                    "Cortado-Consistency must be strong, strict, session, bounded or eventual";
                return Err(bad(detail));
            }
        };
        match max_lag_ms {
            None => Ok(level),
            Some(_) => Err(bad("Cortado-Max-Lag-Ms requires Cortado-Consistency: bounded")),
        }
    }

    /// What the client has seen.
    ///
    /// # Errors
    /// The token is invalid.
    pub(crate) fn session(&self) -> Result<Option<SessionToken>, Failure> {
        let Some(value) = self.session else { return Ok(None) };
        let parsed = SessionToken::parse(value.as_bytes());
        parsed
            .map(Some)
            .map_err(|_| Failure::new(Code::BadSession, "invalid Cortado-Session token"))
    }
}

fn number(
    value: Option<&HeaderValue>,
    name: &'static str,
    unit: &'static str,
    min: u64,
) -> Result<Option<u64>, Failure> {
    let Some(value) = value else { return Ok(None) };
    let digits = !value.is_empty() && value.as_bytes().iter().all(u8::is_ascii_digit);
    let text = value.to_str().ok().filter(|_| digits);
    // Digits beyond 64 bits are a very large number, which is well understood.
    let number = text.map(|text| text.parse().unwrap_or(u64::MAX));
    let number = number.filter(|number| *number >= min);
    number
        .map(Some)
        .ok_or_else(|| bad(format!("{name} must be a number of {unit}, at least {min}")))
}

fn bad(detail: impl Into<Cow<'static, str>>) -> Failure {
    Failure::new(Code::BadHeader, detail)
}

fn not_supported(name: &'static str, instead: &'static str) -> Failure {
    let detail = format!("{name} is not supported in this version; {instead}");
    Failure::new(Code::NotSupported, detail)
}
