//! The body of a request: whole, in time, and not too large.
//!
//! Never waits for bytes that it would refuse. Start reading at [`read`].

use crate::failure::Failure;
use crate::fields::Fields;
use crate::media;
use bytes::{Bytes, BytesMut};
use cortado_model::limits::BODY_BYTES_MAX;
use cortado_wire::Code;
use cortado_wire::openapi::RequestBody;
use http::HeaderValue;
use hyper::body::{Body, Frame, Incoming};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// A body and what kind it says it is.
pub(crate) struct ReceivedBody {
    /// Empty if the route can do without.
    pub(crate) bytes: Bytes,
    /// One of the route's; the first one if there is no body.
    pub(crate) media_type: &'static str,
}

/// Bytes that all bodies together may occupy while they arrive.
#[derive(Debug)]
pub(crate) struct BodyBudget {
    used_bytes: AtomicUsize,
    bytes_max: usize,
}

impl BodyBudget {
    pub(crate) fn new(bytes_max: usize) -> BodyBudget {
        BodyBudget { used_bytes: AtomicUsize::new(0), bytes_max }
    }

    pub(crate) fn used_bytes(&self) -> usize {
        self.used_bytes.load(Ordering::Relaxed)
    }

    fn reserve(&self, bytes: usize) -> Result<Reserved<'_>, Failure> {
        let used_bytes = self.used_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let reserved = Reserved { budget: self, bytes };
        if used_bytes > self.bytes_max {
            let detail = "too many request bodies in flight; retry later";
            return Err(Failure::new(Code::Overloaded, detail));
        }
        Ok(reserved)
    }
}

struct Reserved<'a> {
    budget: &'a BodyBudget,
    bytes: usize,
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        self.budget.used_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Reads the body that a route takes.
///
/// # Errors
/// No body where one is needed, one where none is taken, another type or coding, too large, too
/// slow, or cut off.
pub(crate) async fn read(
    body: Incoming,
    fields: &Fields<'_>,
    wanted: RequestBody,
    budget: &BodyBudget,
    timeout: Duration,
) -> Result<ReceivedBody, Failure> {
    check_expectation(fields.expect)?;
    if body.is_end_stream() {
        return match wanted {
            RequestBody::None | RequestBody::Optional(_) => Ok(no_body(wanted)),
            RequestBody::Required(_) => Err(missing()),
        };
    }
    if wanted.media().is_empty() {
        return Err(Failure::new(Code::UnexpectedBody, "this request does not take a body"));
    }
    let media_type = check_type(fields, wanted)?;
    let declared = body.size_hint().exact().unwrap_or(0);
    if declared > BODY_BYTES_MAX as u64 {
        return Err(too_large());
    }
    let due = Instant::now() + timeout;
    let bytes = match timeout_at(due, collect(body, declared as usize, budget)).await {
        Ok(bytes) => bytes?,
        Err(_) => {
            let detail = "timed out waiting for the request body";
            return Err(Failure::new(Code::RequestTimeout, detail));
        }
    };
    match wanted {
        RequestBody::Required(_) if bytes.is_empty() => Err(missing()),
        RequestBody::None | RequestBody::Optional(_) | RequestBody::Required(_) => {
            Ok(ReceivedBody { bytes, media_type })
        }
    }
}

async fn collect(
    mut body: Incoming,
    declared_bytes: usize,
    budget: &BodyBudget,
) -> Result<Bytes, Failure> {
    let first = next_piece(&mut body).await?.unwrap_or_default();
    if body.is_end_stream() {
        // The usual case: everything came with the head. No copy, no budget.
        return check_size(first.len()).map(|()| first);
    }
    let mut reserved = vec![budget.reserve(declared_bytes.max(first.len()))?];
    let mut whole = BytesMut::with_capacity(declared_bytes.max(2 * first.len()));
    whole.extend_from_slice(&first);
    while let Some(piece) = next_piece(&mut body).await? {
        check_size(whole.len() + piece.len())?;
        if declared_bytes == 0 {
            reserved.push(budget.reserve(piece.len())?);
        }
        whole.extend_from_slice(&piece);
    }
    Ok(whole.freeze())
}

/// The next bytes; `None` at the end.
async fn next_piece(body: &mut Incoming) -> Result<Option<Bytes>, Failure> {
    loop {
        let frame = poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await;
        match frame.map(|frame| frame.map(Frame::into_data)) {
            None => return Ok(None),
            Some(Ok(Ok(bytes))) => return Ok(Some(bytes)),
            // Trailer fields mean nothing here.
            Some(Ok(Err(_))) => {}
            Some(Err(_)) => {
                let detail = "the request body ended early";
                return Err(Failure::new(Code::IncompleteBody, detail));
            }
        }
    }
}

fn check_expectation(expect: Option<&HeaderValue>) -> Result<(), Failure> {
    match expect {
        Some(value) if !value.as_bytes().eq_ignore_ascii_case(b"100-continue") => {
            Err(Failure::new(
                Code::ExpectationFailed,
                "unsupported Expect header; only 100-continue is supported",
            ))
        }
        Some(_) | None => Ok(()),
    }
}

fn check_type(fields: &Fields<'_>, wanted: RequestBody) -> Result<&'static str, Failure> {
    let identity = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
    if !fields.content_encoding.is_none_or(identity) {
        let detail = "Content-Encoding is not supported; send the body uncompressed";
        return Err(Failure::new(Code::UnsupportedCoding, detail));
    }
    let value = fields.content_type.map(HeaderValue::as_bytes).unwrap_or_default();
    media::content_type(value, wanted.media()).ok_or_else(|| {
        let known: Vec<&str> = wanted.media().iter().map(|(media_type, _)| *media_type).collect();
        let detail = format!("Content-Type must be {}, in UTF-8", known.join(" or "));
        Failure::new(Code::UnsupportedMediaType, detail)
    })
}

fn check_size(bytes: usize) -> Result<(), Failure> {
    if bytes > BODY_BYTES_MAX { Err(too_large()) } else { Ok(()) }
}

fn no_body(wanted: RequestBody) -> ReceivedBody {
    let media_type = wanted.media().first().map_or("", |(media_type, _)| media_type);
    ReceivedBody { bytes: Bytes::new(), media_type }
}

fn missing() -> Failure {
    Failure::new(Code::MissingBody, "this request requires a body")
}

fn too_large() -> Failure {
    Failure::new(Code::BodyTooLarge, "a request body is limited to 8 MiB")
}
