//! The body of a request: whole, in time, and not too large.
//!
//! Never keeps bytes that it would refuse: what is left of a refused body is read and dropped
//! behind the answer, since many clients listen only when they have sent everything. Start reading
//! at [`read`], then [`Upload`].

use crate::budget::{ByteBudget, Reserved};
use crate::failure::Failure;
use crate::fields::Fields;
use crate::media;
use crate::pulse::InFlight;
use bytes::{Bytes, BytesMut};
use cortado_model::limits::BODY_BYTES_MAX;
use cortado_wire::Code;
use cortado_wire::openapi::RequestBody;
use http::request::Parts;
use http::{HeaderValue, Version, header};
use hyper::body::{Body, Frame, Incoming};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

/// A body and what kind it says it is.
pub(crate) struct ReceivedBody {
    /// Empty if the route can do without.
    pub(crate) bytes: Bytes,
    /// One of the route's; the first one if there is no body.
    pub(crate) media_type: &'static str,
}

/// How much of a refused body is read and dropped. More than a body may have: a client that sends
/// somewhat too much is to hear so.
pub(crate) const DRAIN_BYTES_MAX: usize = 4 * BODY_BYTES_MAX;

/// A body on its way.
pub(crate) struct Upload {
    body: Incoming,
    is_http2: bool,
    /// All of it is due.
    due: Instant,
    /// Whether the client sends nothing before it is asked to.
    waits: bool,
    received_bytes: usize,
    end: End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// More may come.
    Open,
    /// Everything has come.
    Whole,
    /// What is missing will not come, or not in time.
    Broken,
}

impl Upload {
    /// * `due`: when the last byte must be here.
    pub(crate) fn new(body: Incoming, parts: &Parts, due: Instant) -> Upload {
        let is_http2 = parts.version == Version::HTTP_2;
        let end = if body.is_end_stream() { End::Whole } else { End::Open };
        Upload {
            is_http2,
            due,
            // No word of ours invites a body on HTTP/2: clients wait a moment, then send it.
            waits: end == End::Open && !is_http2 && parts.headers.contains_key(header::EXPECT),
            received_bytes: 0,
            end,
            body,
        }
    }

    /// Whether another request can follow on this connection, since the whole body has come or its
    /// rest will be read.
    pub(crate) fn can_be_followed(&self) -> bool {
        match self.end {
            End::Whole => true,
            End::Open => {
                let left_bytes = self.declared_bytes().unwrap_or(0);
                let bytes = (self.received_bytes as u64).saturating_add(left_bytes);
                !self.waits && bytes <= BODY_BYTES_MAX as u64
            }
            End::Broken => false,
        }
    }

    /// Reads the rest behind the answer and drops it, within the bounds of time and size; ends with
    /// the server. An HTTP/1 connection that ends with this request reads it by itself.
    ///
    /// * `in_flight`: the connection is not idle meanwhile.
    pub(crate) fn drain(mut self, in_flight: InFlight, mut closing: watch::Receiver<bool>) {
        if self.end != End::Open || !(self.is_http2 || self.can_be_followed()) {
            return;
        }
        tokio::spawn(async move {
            let _in_flight = in_flight;
            let rest = async {
                while self.received_bytes <= DRAIN_BYTES_MAX {
                    let Ok(Some(_)) = self.next_piece().await else { break };
                }
            };
            tokio::select! {
                _ = closing.wait_for(|closing| *closing) => {}
                () = rest => {}
            }
        });
    }

    /// What the request says about the size, less what has come; `None` if it says nothing.
    fn declared_bytes(&self) -> Option<u64> {
        self.body.size_hint().exact()
    }

    /// The next bytes, at least one; `None` at the end.
    async fn next_piece(&mut self) -> Result<Option<Bytes>, Failure> {
        self.waits = false;
        loop {
            let frame = poll_fn(|cx| Pin::new(&mut self.body).poll_frame(cx));
            let Ok(frame) = timeout_at(self.due, frame).await else {
                self.end = End::Broken;
                let detail = "timed out waiting for the request body";
                return Err(Failure::new(Code::RequestTimeout, detail));
            };
            match frame.map(|frame| frame.map(Frame::into_data)) {
                // hyper takes a stream that its client resets without an error for one that ends.
                None if self.is_http2 && !self.body.is_end_stream() => return Err(self.cut_off()),
                None => {
                    self.end = End::Whole;
                    return Ok(None);
                }
                Some(Ok(Ok(bytes))) if bytes.is_empty() => {}
                Some(Ok(Ok(bytes))) => {
                    self.received_bytes += bytes.len();
                    return Ok(Some(bytes));
                }
                // Trailer fields mean nothing here.
                Some(Ok(Err(_))) => {}
                Some(Err(_)) => return Err(self.cut_off()),
            }
        }
    }

    fn cut_off(&mut self) -> Failure {
        self.end = End::Broken;
        Failure::new(Code::IncompleteBody, "the request body ended early")
    }

    /// Whether everything has come, though nobody has asked for the end yet.
    fn is_whole(&mut self) -> bool {
        if self.end == End::Open && self.body.is_end_stream() {
            self.end = End::Whole;
        }
        self.end == End::Whole
    }
}

/// Reads the body that a route takes; its room is to be kept as long as it.
///
/// # Errors
/// No body where one is needed, one where none is taken, another type or coding, too large, too
/// slow, or cut off.
pub(crate) async fn read(
    upload: &mut Upload,
    fields: &Fields<'_>,
    wanted: RequestBody,
    budget: &Arc<ByteBudget>,
) -> Result<(ReceivedBody, Option<Reserved>), Failure> {
    check_expectation(fields.expect)?;
    let declared_bytes = upload.declared_bytes();
    let first = match (wanted, declared_bytes) {
        (_, _) if upload.is_whole() => None,
        // Whether there is a body at all is told by what comes.
        (RequestBody::None | RequestBody::Optional(_), None | Some(0)) => {
            upload.next_piece().await?
        }
        (_, _) => Some(Bytes::new()),
    };
    let Some(first) = first else {
        return match wanted {
            RequestBody::None | RequestBody::Optional(_) => Ok((no_body(wanted), None)),
            RequestBody::Required(_) => Err(missing()),
        };
    };
    if wanted.media().is_empty() {
        return Err(Failure::new(Code::UnexpectedBody, "this request does not take a body"));
    }
    let media_type = check_type(fields, wanted)?;
    let declared_bytes = declared_bytes.unwrap_or(0);
    if declared_bytes > BODY_BYTES_MAX as u64 {
        return Err(too_large());
    }
    let (bytes, reserved) = collect(upload, first, declared_bytes as usize, budget).await?;
    match wanted {
        RequestBody::Required(_) if bytes.is_empty() => Err(missing()),
        RequestBody::None | RequestBody::Optional(_) | RequestBody::Required(_) => {
            Ok((ReceivedBody { bytes, media_type }, Some(reserved)))
        }
    }
}

/// * `first`: what has been read already.
async fn collect(
    upload: &mut Upload,
    mut first: Bytes,
    declared_bytes: usize,
    budget: &Arc<ByteBudget>,
) -> Result<(Bytes, Reserved), Failure> {
    if first.is_empty() {
        first = upload.next_piece().await?.unwrap_or_default();
    }
    let reserve = |bytes| {
        let detail = "too many request bodies in flight; retry later";
        budget.reserve(bytes).ok_or_else(|| Failure::new(Code::Overloaded, detail))
    };
    let mut reserved = reserve(declared_bytes.max(first.len()))?;
    if upload.is_whole() {
        // The usual case: everything came with the head. No copy.
        return check_size(first.len()).map(|()| (first, reserved));
    }
    let mut whole = BytesMut::with_capacity(declared_bytes.max(2 * first.len()));
    whole.extend_from_slice(&first);
    while let Some(piece) = upload.next_piece().await? {
        check_size(whole.len() + piece.len())?;
        if declared_bytes == 0 {
            reserved.add(reserve(piece.len())?);
        }
        whole.extend_from_slice(&piece);
    }
    Ok((whole.freeze(), reserved))
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
