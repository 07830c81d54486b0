//! What a handler answers, and the body that carries it to hyper.
//!
//! An answer takes room in a budget until the connection has taken its last byte, wherever it lies
//! meanwhile: here, or in a queue of hyper's. Start reading at [`Content`], then [`AnswerBody`].

use crate::budget::Reserved;
use crate::pulse::InFlight;
use bytes::Bytes;
use cortado_model::Etag;
use cortado_wire::{JsonText, ShortText, media};
use http::{HeaderValue, Response, StatusCode, header};
use hyper::body::{Body, Frame, SizeHint};
use serde::Serialize;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::vec::IntoIter;

/// An answer, not yet tied to its connection.
pub(crate) type Answer = Response<Content>;

/// What an answer says.
pub(crate) enum Content {
    /// Nothing.
    Empty,
    /// All at once.
    Whole(Bytes),
    /// All at once, though not in one buffer: none of them is empty.
    Parts(IntoIter<Bytes>),
    /// Piece by piece, until the client, the server or time ends it.
    Stream(Box<dyn Pieces>),
}

/// A body that is made while it is sent.
pub(crate) trait Pieces: Send {
    /// The next bytes; `None` at the end, and not to be asked again. An error is an end, too.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Truncated>>>;

    /// Whether it waits for what is to come, until the client ends its side of the connection.
    fn waits(&self) -> bool;
}

/// More was to come, and does not: HTTP/1 closes the connection without the last chunk, HTTP/2
/// resets the stream, so that no client takes what it has for everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Truncated;

impl fmt::Display for Truncated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the answer ends early")
    }
}

impl std::error::Error for Truncated {}

/// The media type of almost everything.
pub(crate) const JSON: HeaderValue = HeaderValue::from_static(media::JSON);

/// An answer of JSON text, which gets a line end: it is read on terminals, too.
pub(crate) fn json_text(status: StatusCode, mut text: Vec<u8>) -> Answer {
    text.push(b'\n');
    of_json(status, Content::Whole(Bytes::from(text)))
}

/// The same of a text that shares the documents in it.
pub(crate) fn json_parts(status: StatusCode, mut text: JsonText) -> Answer {
    text.raw(b"\n");
    of_json(status, Content::Parts(text.into_pieces().into_iter()))
}

fn of_json(status: StatusCode, content: Content) -> Answer {
    let mut answer = Response::new(content);
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
        Content::Whole(_) | Content::Parts(_) => answer.body().size_hint().exact(),
    };
    if let Some(length_bytes) = length_bytes {
        answer.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length_bytes));
    }
    *answer.body_mut() = Content::Empty;
}

/// Bytes that hold on to something until the connection has taken all of them.
struct Held<H> {
    /// Dropped before the bytes: nothing else may lie in their place while it counts as theirs.
    _hold: H,
    bytes: Bytes,
}

impl<H> AsRef<[u8]> for Held<H> {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Ties `hold` to `bytes`, and to whatever is cut from them.
pub(crate) fn held<H: Send + 'static>(bytes: Bytes, hold: H) -> Bytes {
    Bytes::from_owner(Held { bytes, _hold: hold })
}

/// A body that keeps its request in flight, and its room, until its last byte is sent.
pub(crate) struct AnswerBody {
    content: Content,
    /// Of what has no bytes to tie it to.
    in_flight: Option<InFlight>,
}

impl AnswerBody {
    /// * `reserved`: the room of `content`.
    pub(crate) fn new(
        content: Content,
        mut in_flight: InFlight,
        reserved: Option<Reserved>,
    ) -> AnswerBody {
        let (content, in_flight) = match content {
            Content::Empty => (Content::Empty, Some(in_flight)),
            Content::Stream(stream) => {
                if stream.waits() {
                    in_flight.becomes_a_stream();
                }
                (Content::Stream(stream), Some(in_flight))
            }
            Content::Whole(bytes) => {
                let debt = in_flight.owes(bytes.len());
                (Content::Whole(held(bytes, (debt, in_flight, reserved))), None)
            }
            Content::Parts(parts) => {
                let debt = in_flight.owes(parts.as_slice().iter().map(Bytes::len).sum());
                let hold = Arc::new((debt, in_flight, reserved));
                let parts: Vec<_> = parts.map(|part| held(part, Arc::clone(&hold))).collect();
                (Content::Parts(parts.into_iter()), None)
            }
        };
        AnswerBody { content, in_flight }
    }
}

impl Content {
    fn is_end(&self) -> bool {
        match self {
            Content::Empty => true,
            Content::Whole(bytes) => bytes.is_empty(),
            Content::Parts(parts) => parts.as_slice().is_empty(),
            Content::Stream(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Content::Empty => SizeHint::with_exact(0),
            Content::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Content::Parts(parts) => {
                let bytes = parts.as_slice().iter().map(|part| part.len() as u64);
                SizeHint::with_exact(bytes.sum())
            }
            Content::Stream(_) => SizeHint::default(),
        }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Truncated;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Truncated>>> {
        let AnswerBody { content, in_flight } = &mut *self;
        let next = match content {
            Content::Empty => None,
            Content::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                *content = Content::Empty;
                Some(Ok(bytes))
            }
            Content::Parts(parts) => parts.next().map(Ok),
            Content::Stream(stream) => {
                let piece = ready!(stream.poll_piece(cx));
                piece.map(|piece| {
                    piece.map(|bytes| match in_flight {
                        Some(in_flight) => {
                            let debt = in_flight.owes(bytes.len());
                            held(bytes, debt)
                        }
                        None => bytes,
                    })
                })
            }
        };
        Poll::Ready(next.map(|piece| piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.content.is_end()
    }

    fn size_hint(&self) -> SizeHint {
        self.content.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::ByteBudget;

    #[test]
    fn bytes_hold_on_until_the_last_of_them_is_gone() {
        let budget = ByteBudget::new(10);
        let mut bytes = held(Bytes::from_static(b"0123456789"), budget.reserve(10));
        let tail = bytes.split_off(5);
        drop(bytes);
        assert_eq!(budget.used_bytes(), 10);
        drop(tail);
        assert_eq!(budget.used_bytes(), 0);
    }
}
