//! What a handler answers, and the body that carries it to hyper.
//!
//! Start reading at [`Content`].

use crate::guard::InFlight;
use bytes::Bytes;
use cortado_model::Etag;
use cortado_wire::{ShortText, media};
use http::{HeaderValue, Response, StatusCode, header};
use hyper::body::{Body, Frame, SizeHint};
use serde::Serialize;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

/// An answer, not yet tied to its connection.
pub(crate) type Answer = Response<Content>;

/// What an answer says.
pub(crate) enum Content {
    /// Nothing.
    Empty,
    /// All at once.
    Whole(Bytes),
    /// Piece by piece, until the client, the server or time ends it.
    Stream(Box<dyn Pieces>),
}

/// A body that is made while it is sent.
pub(crate) trait Pieces: Send {
    /// The next bytes; `None` at the end, and not to be asked again.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>>;
}

/// The media type of almost everything.
pub(crate) const JSON: HeaderValue = HeaderValue::from_static(media::JSON);

/// An answer of JSON text.
pub(crate) fn json_text(status: StatusCode, text: Vec<u8>) -> Answer {
    let mut answer = Response::new(Content::Whole(Bytes::from(text)));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, JSON);
    answer
}

/// An answer of JSON that serde writes.
pub(crate) fn json<T: Serialize>(status: StatusCode, body: &T) -> Answer {
    // Fails for maps with keys that are no strings only, and there are none.
    json_text(status, serde_json::to_vec(body).unwrap_or_default())
}

/// An answer without a body.
pub(crate) fn empty(status: StatusCode) -> Answer {
    let mut answer = Response::new(Content::Empty);
    *answer.status_mut() = status;
    answer
}

/// `ETag`.
pub(crate) fn etag_header(etag: Etag) -> HeaderValue {
    short_header(ShortText::of_etag_quoted(etag))
}

/// A header of digits, letters and punctuation.
pub(crate) fn short_header(text: ShortText) -> HeaderValue {
    HeaderValue::from_bytes(text.as_bytes()).expect("short texts are visible ASCII and spaces")
}

/// Keeps the head of an answer, its length included, and drops the rest.
pub(crate) fn strip_for_head(answer: &mut Answer) {
    let length_bytes = match answer.body() {
        Content::Empty | Content::Stream(_) => None,
        Content::Whole(bytes) => Some(bytes.len()),
    };
    if let Some(length_bytes) = length_bytes {
        answer.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length_bytes));
    }
    *answer.body_mut() = Content::Empty;
}

/// A body that keeps its request in flight until its last byte is sent.
pub(crate) struct AnswerBody {
    content: Content,
    _in_flight: InFlight,
}

impl AnswerBody {
    pub(crate) fn new(content: Content, in_flight: InFlight) -> AnswerBody {
        AnswerBody { content, _in_flight: in_flight }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut self.content {
            Content::Empty => Poll::Ready(None),
            Content::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                self.content = Content::Empty;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Content::Stream(stream) => {
                stream.poll_piece(cx).map(|piece| piece.map(|bytes| Ok(Frame::data(bytes))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Empty => true,
            Content::Whole(bytes) => bytes.is_empty(),
            Content::Stream(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Empty => SizeHint::with_exact(0),
            Content::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Content::Stream(_) => SizeHint::default(),
        }
    }
}
