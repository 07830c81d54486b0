//! One connection, from its first byte to its end.
//!
//! Finds out the protocol, lets hyper speak it, and says the last word where hyper cannot.
//! Start reading at [`serve`].

use crate::answer::AnswerBody;
use crate::api::{Api, Origin};
use crate::body::DRAIN_BYTES_MAX;
use crate::failure::Failure;
use crate::frames::{Frames, PREFACE};
use crate::framing::{Framing, Violation};
use crate::guard::{Followed, Guard, Stream, Verdict};
use crate::pulse::Pulse;
use crate::request_id::RequestIds;
use bytes::BytesMut;
use cortado_model::limits::{HEADER_BYTES_MAX, HEADERS_MAX, URI_BYTES_MAX};
use cortado_model::with_causes;
use cortado_wire::{Code, Outcome};
use http::Response;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};
use tracing::debug;

/// hyper's buffer: the longest head, and a good piece of a body.
const BUFFER_BYTES_MAX: usize = 64 << 10;
/// Streams that one HTTP/2 connection may have open. What this does not bound h2 does by itself:
/// it ends a connection whose client opens streams only to reset them (20 that were not looked at),
/// has us reset them (1,024), or continues a head without end.
const HTTP2_STREAMS_MAX: u32 = 128;
/// What an HTTP/2 connection may hold back for a slow reader, for each stream.
const HTTP2_SEND_BYTES_MAX: usize = 256 << 10;
/// How often an HTTP/2 client is asked whether it lives.
const HTTP2_PING: Duration = Duration::from_secs(20);
/// After a last word, what the client still sends is read and dropped this long, as much of it as
/// of a refused body, and as long as something comes: closing earlier could destroy the answer on
/// its way.
const LINGER_TIME: Duration = Duration::from_secs(30);
const LINGER_SILENCE: Duration = Duration::from_secs(2);
/// How long an idle connection that is to end may take to say goodbye, as HTTP/2 does.
const GOODBYE_TIME: Duration = Duration::from_millis(500);

/// A connection as the listener hands it on, whatever carries its bytes.
pub(crate) struct Accepted<S> {
    pub(crate) stream: S,
    /// The other end.
    pub(crate) client: SocketAddr,
    /// Names for its requests.
    pub(crate) ids: Arc<RequestIds>,
    /// How it does.
    pub(crate) pulse: Arc<Pulse>,
}

enum Protocol {
    Http1,
    Http2,
}

/// Serves a connection until its client, the rules or `closing` end it.
pub(crate) async fn serve<S: Stream>(
    api: Arc<Api>,
    accepted: Accepted<S>,
    closing: watch::Receiver<bool>,
) {
    let Accepted { mut stream, client, ids, pulse } = accepted;
    let mut prefix = BytesMut::with_capacity(1_024);
    let due = Instant::now() + api.limits().head_time;
    let sniffed = tokio::select! {
        biased;
        sniffed = timeout_at(due, sniff(&mut stream, &mut prefix)) => sniffed,
        () = pulse.asked_to_leave() => return,
    };
    let protocol = match sniffed {
        Ok(Ok(Some(protocol))) => protocol,
        Ok(Ok(None) | Err(_)) => return,
        Err(_) => return last_word(stream, slow_head(), &ids, &pulse).await,
    };
    let requests = Arc::new(Requests { api, ids, client, pulse });
    match protocol {
        Protocol::Http1 => serve_http1(requests, stream, prefix, closing).await,
        Protocol::Http2 => serve_http2(requests, stream, prefix, closing).await,
    }
}

/// Reads until the protocol is clear; `None` if the client goes away before.
async fn sniff(stream: &mut impl Stream, prefix: &mut BytesMut) -> io::Result<Option<Protocol>> {
    loop {
        if stream.read_buf(prefix).await? == 0 {
            return Ok(None);
        }
        let compared = prefix.len().min(PREFACE.len());
        if prefix[..compared] != PREFACE[..compared] {
            return Ok(Some(Protocol::Http1));
        }
        if compared == PREFACE.len() {
            return Ok(Some(Protocol::Http2));
        }
    }
}

/// What the requests of one connection share. They count references to this, so that they do not
/// contend with those of other connections for the count of the [`Api`].
struct Requests {
    api: Arc<Api>,
    ids: Arc<RequestIds>,
    client: SocketAddr,
    pulse: Arc<Pulse>,
}

impl Requests {
    /// Watches the bytes in which the requests come.
    fn guard<S: Stream>(&self, stream: S, prefix: BytesMut, framing: Followed) -> Guard<S> {
        Guard::new(stream, prefix, framing, self.api.limits(), Arc::clone(&self.pulse))
    }

    /// What may end their connection before its client does.
    fn end(&self, closing: watch::Receiver<bool>) -> End {
        End { client: self.client, pulse: Arc::clone(&self.pulse), closing }
    }

    /// Answers one of them, which counts as running from now on.
    fn answer(
        self: Arc<Requests>,
        request: http::Request<Incoming>,
    ) -> impl Future<Output = Result<Response<AnswerBody>, Infallible>> {
        let origin = Origin { request_id: self.ids.next(), client: self.client };
        let in_flight = self.pulse.begin();
        async move { Ok(self.api.answer(request, origin, in_flight).await) }
    }
}

async fn serve_http1<S: Stream>(
    requests: Arc<Requests>,
    stream: S,
    prefix: BytesMut,
    closing: watch::Receiver<bool>,
) {
    let guard = requests.guard(stream, prefix, Followed::Http1(Framing::new()));
    let (ids, pulse) = (Arc::clone(&requests.ids), Arc::clone(&requests.pulse));
    let end = requests.end(closing);
    let mut connection = http1::Builder::new()
        // The guard knows when a client that has ended its side still wants its answer.
        .half_close(false)
        .header_read_timeout(None)
        .max_buf_size(BUFFER_BYTES_MAX)
        // An answer's bytes are held, and their room with them, until the last one is written.
        .writev(true)
        .serve_connection(
            TokioIo::new(guard),
            service_fn(move |request| Arc::clone(&requests).answer(request)),
        );
    run(&mut connection, http1::Connection::graceful_shutdown, end).await;
    let guard = connection.into_parts().io.into_inner();
    let (verdict, mid_message) = (guard.verdict(), guard.is_mid_message());
    let stream = guard.into_stream();
    match verdict.and_then(farewell) {
        Some(failure) => last_word(stream, failure, &ids, &pulse).await,
        None if mid_message => linger(stream, &pulse).await,
        None => {}
    }
}

async fn serve_http2<S: Stream>(
    requests: Arc<Requests>,
    stream: S,
    prefix: BytesMut,
    closing: watch::Receiver<bool>,
) {
    let guard = requests.guard(stream, prefix, Followed::Http2(Frames::new()));
    let end = requests.end(closing);
    // What a request may have, and room for what HPACK counts in addition.
    let header_bytes_max = (HEADER_BYTES_MAX + URI_BYTES_MAX + 40 * HEADERS_MAX) as u32;
    let mut connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(HTTP2_STREAMS_MAX)
        .max_header_list_size(header_bytes_max)
        .max_send_buf_size(HTTP2_SEND_BYTES_MAX)
        .keep_alive_interval(HTTP2_PING)
        .serve_connection(
            TokioIo::new(guard),
            service_fn(move |request| Arc::clone(&requests).answer(request)),
        );
    run(&mut connection, http2::Connection::graceful_shutdown, end).await;
}

/// What ends a connection from this side.
struct End {
    client: SocketAddr,
    pulse: Arc<Pulse>,
    closing: watch::Receiver<bool>,
}

/// Lets hyper speak until the connection ends, which `end` may bring about.
async fn run<C: Future<Output = hyper::Result<()>> + Unpin>(
    connection: &mut C,
    wind_down: fn(Pin<&mut C>),
    end: End,
) {
    let End { client, pulse, closing } = end;
    tokio::select! {
        biased;
        ended = speak(connection, wind_down, &pulse, closing) => {
            if let Err(error) = ended {
                debug!(%client, error = with_causes(&error), "connection ended early");
            }
        }
        () = pulse.owed().overdue() => {
            debug!(%client, "connection cut: its client takes no answers");
        }
    }
}

/// Lets hyper speak; winds down once that is asked for.
async fn speak<C: Future<Output = hyper::Result<()>> + Unpin>(
    connection: &mut C,
    wind_down: fn(Pin<&mut C>),
    pulse: &Pulse,
    mut closing: watch::Receiver<bool>,
) -> hyper::Result<()> {
    tokio::select! {
        biased;
        ended = &mut *connection => return ended,
        // Fails only when the server is gone, which ends connections all the more.
        _ = closing.wait_for(|closing| *closing) => {}
        () = pulse.asked_to_leave() => {}
    }
    wind_down(Pin::new(&mut *connection));
    loop {
        match timeout(GOODBYE_TIME, &mut *connection).await {
            Ok(ended) => return ended,
            // Neither does a request run nor does the client say goodbye.
            Err(_) if pulse.idle_since().is_some() => return Ok(()),
            Err(_) => {}
        }
    }
}

/// What to say when the guard has cut an HTTP/1 connection; `None` is nothing.
fn farewell(verdict: Verdict) -> Option<Failure> {
    match verdict {
        Verdict::SlowHead => Some(slow_head()),
        Verdict::Idle | Verdict::Stalled => None,
        Verdict::Violation { in_head: false, .. } => None,
        Verdict::Violation { violation, in_head: true } => Some(match violation {
            Violation::BareLineEnd => Failure::new(
                Code::BadRequest,
                "bare line feed in the request; HTTP lines end with CR LF",
            ),
            Violation::LongRequestLine => {
                Failure::new(Code::UriTooLong, "path and query are limited to 8 KiB")
            }
            Violation::Fragment => {
                Failure::new(Code::BadRequest, "# in the request target; in a path write it as %23")
            }
            Violation::LargeHead => Failure::new(
                Code::HeadersTooLarge,
                "a request is limited to 100 header fields and 32 KiB of them",
            ),
            Violation::TwoLengths => Failure::new(
                Code::BadRequest,
                "repeated or conflicting Content-Length or Transfer-Encoding headers",
            ),
            Violation::BadLength => {
                Failure::new(Code::BadRequest, "invalid Content-Length: expected a decimal number")
            }
            Violation::UnknownCoding => Failure::new(
                Code::UnknownTransferCoding,
                "unsupported Transfer-Encoding; only chunked is supported",
            ),
            Violation::BadChunk => Failure::new(Code::BadRequest, "invalid chunk in the body"),
        }),
    }
}

fn slow_head() -> Failure {
    Failure::new(Code::RequestTimeout, "timed out waiting for the request head")
}

/// Answers without hyper, then ends the connection.
async fn last_word(
    mut stream: impl Stream,
    failure: Failure,
    ids: &Arc<RequestIds>,
    pulse: &Pulse,
) {
    // Nothing of the request was begun.
    let text = failure.with_outcome(Outcome::None).to_http1(ids.next());
    // A client that has gone away gets no answer.
    if let Ok(Ok(())) = timeout(LINGER_SILENCE, stream.write_all(&text)).await {
        linger(stream, pulse).await;
    }
}

/// Ends the connection in a way that lets the client read what it was sent, even if it sends
/// everything before it reads. Another connection that needs its place is not kept waiting.
async fn linger(mut stream: impl Stream, pulse: &Pulse) {
    let drain = async {
        stream.shutdown().await?;
        let mut dropped = BytesMut::with_capacity(16 << 10);
        let mut dropped_bytes = 0;
        while dropped_bytes < DRAIN_BYTES_MAX {
            match timeout(LINGER_SILENCE, stream.read_buf(&mut dropped)).await?? {
                0 => break,
                bytes => dropped_bytes += bytes,
            }
            dropped.clear();
        }
        io::Result::Ok(())
    };
    tokio::select! {
        // Slow or gone: either way this is the end.
        _ = timeout(LINGER_TIME, drain) => {}
        () = pulse.asked_to_leave() => {}
    }
}

#[cfg(test)]
pub(crate) mod tests;
