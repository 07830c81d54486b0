//! One connection, from its first byte to its end.
//!
//! Finds out the protocol, lets hyper speak it, and says the last word where hyper cannot.
//! Start reading at [`serve`].

use crate::api::Api;
use crate::failure::Failure;
use crate::framing::{Framing, Violation};
use crate::guard::{Guard, Pulse, Verdict};
use crate::request_id::RequestIds;
use bytes::{Bytes, BytesMut};
use cortado_model::limits::{HEADER_BYTES_MAX, HEADERS_MAX, URI_BYTES_MAX};
use cortado_wire::{Code, Outcome};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};
use tracing::debug;

/// With these bytes a client begins HTTP/2 (RFC 9113, section 3.4).
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// hyper's buffer: the longest head, and a good piece of a body.
const BUFFER_BYTES_MAX: usize = 64 << 10;
/// Streams that one HTTP/2 connection may have open.
const HTTP2_STREAMS_MAX: u32 = 256;
/// What an HTTP/2 connection may hold back for a slow reader, for each stream.
const HTTP2_SEND_BYTES_MAX: usize = 256 << 10;
/// How often an HTTP/2 peer is asked whether it lives.
const HTTP2_PING: Duration = Duration::from_secs(20);
/// After a last word, what the peer still sends is read and dropped this long, and this much of
/// it: closing earlier could destroy the answer on its way.
const LINGER_TIME: Duration = Duration::from_secs(2);
const LINGER_BYTES_MAX: usize = 1 << 20;

enum Protocol {
    Http1,
    Http2,
}

/// Serves `stream` until its peer, the rules or `closing` end it.
pub(crate) async fn serve(
    api: Arc<Api>,
    mut stream: TcpStream,
    number: u64,
    closing: watch::Receiver<bool>,
) {
    let opened = Instant::now();
    let ids = RequestIds::new(api.process_tag(), number);
    let mut prefix = BytesMut::with_capacity(1_024);
    let due = opened + api.limits().head_time;
    let protocol = match timeout_at(due, sniff(&mut stream, &mut prefix)).await {
        Ok(Ok(Some(protocol))) => protocol,
        Ok(Ok(None) | Err(_)) => return,
        Err(_) => return last_word(stream, slow_head(), &ids).await,
    };
    let connection = Connection { api, ids, pulse: Pulse::new(opened), closing };
    match protocol {
        Protocol::Http1 => connection.serve_http1(stream, prefix.freeze()).await,
        Protocol::Http2 => connection.serve_http2(stream, prefix.freeze()).await,
    }
}

/// Reads until the protocol is clear; `None` if the peer goes away before.
async fn sniff(stream: &mut TcpStream, prefix: &mut BytesMut) -> io::Result<Option<Protocol>> {
    loop {
        if stream.read_buf(prefix).await? == 0 {
            return Ok(None);
        }
        let compared = prefix.len().min(HTTP2_PREFACE.len());
        if prefix[..compared] != HTTP2_PREFACE[..compared] {
            return Ok(Some(Protocol::Http1));
        }
        if compared == HTTP2_PREFACE.len() {
            return Ok(Some(Protocol::Http2));
        }
    }
}

struct Connection {
    api: Arc<Api>,
    ids: Arc<RequestIds>,
    pulse: Arc<Pulse>,
    closing: watch::Receiver<bool>,
}

impl Connection {
    async fn serve_http1(self, stream: TcpStream, prefix: Bytes) {
        let Connection { api, ids, pulse, mut closing } = self;
        // One count of references for each connection: requests of others do not contend for it.
        let own = Arc::new(api);
        let framing = Some(Framing::new());
        let guard = Guard::new(stream, prefix, framing, own.limits(), Arc::clone(&pulse));
        let last_ids = Arc::clone(&ids);
        let service = service_fn(move |request: http::Request<Incoming>| {
            let (own, id, in_flight) = (Arc::clone(&own), ids.next(), pulse.begin());
            async move { Ok::<_, Infallible>(own.answer(request, id, in_flight).await) }
        });
        let mut connection = http1::Builder::new()
            .half_close(true)
            .header_read_timeout(None)
            .max_buf_size(BUFFER_BYTES_MAX)
            .serve_connection(TokioIo::new(guard), service);
        let mut told = false;
        let result = loop {
            let ended = tokio::select! {
                biased;
                result = &mut connection => Some(result),
                _ = closing.wait_for(|closing| *closing), if !told => None,
            };
            if let Some(result) = ended {
                break result;
            }
            told = true;
            Pin::new(&mut connection).graceful_shutdown();
        };
        if let Err(error) = result {
            debug!(%error, "connection ended early");
        }
        let guard = connection.into_parts().io.into_inner();
        let (verdict, mid_message) = (guard.verdict(), guard.is_mid_message());
        let stream = guard.into_stream();
        match verdict.and_then(farewell) {
            Some(failure) => last_word(stream, failure, &last_ids).await,
            None if mid_message => linger(stream).await,
            None => {}
        }
    }

    async fn serve_http2(self, stream: TcpStream, prefix: Bytes) {
        let Connection { api, ids, pulse, mut closing } = self;
        let own = Arc::new(api);
        let guard = Guard::new(stream, prefix, None, own.limits(), Arc::clone(&pulse));
        let service = service_fn(move |request: http::Request<Incoming>| {
            let (own, id, in_flight) = (Arc::clone(&own), ids.next(), pulse.begin());
            async move { Ok::<_, Infallible>(own.answer(request, id, in_flight).await) }
        });
        // What a request may have, and room for what HPACK counts in addition.
        let header_bytes_max = (HEADER_BYTES_MAX + URI_BYTES_MAX + 40 * HEADERS_MAX) as u32;
        let mut connection = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(HTTP2_STREAMS_MAX)
            .max_header_list_size(header_bytes_max)
            .max_send_buf_size(HTTP2_SEND_BYTES_MAX)
            .keep_alive_interval(HTTP2_PING)
            .serve_connection(TokioIo::new(guard), service);
        let mut told = false;
        let result = loop {
            let ended = tokio::select! {
                biased;
                result = &mut connection => Some(result),
                _ = closing.wait_for(|closing| *closing), if !told => None,
            };
            if let Some(result) = ended {
                break result;
            }
            told = true;
            Pin::new(&mut connection).graceful_shutdown();
        };
        if let Err(error) = result {
            debug!(%error, "connection ended early");
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
                "a line of the request ends with a line feed alone; HTTP ends lines with CR LF",
            ),
            Violation::LongRequestLine => {
                Failure::new(Code::UriTooLong, "path and query have at most 8 KiB")
            }
            Violation::Fragment => Failure::new(
                Code::BadRequest,
                "the request line holds a #, which no server sees; in a path it is written %23",
            ),
            Violation::LargeHead => Failure::new(
                Code::HeadersTooLarge,
                "a request has at most 100 header fields of 32 KiB together",
            ),
            Violation::TwoLengths => {
                Failure::new(Code::BadRequest, "the request states the length of its body twice")
            }
            Violation::BadLength => {
                Failure::new(Code::BadRequest, "the Content-Length is not a plain decimal number")
            }
            Violation::UnknownCoding => {
                Failure::new(Code::UnknownTransferCoding, "the only transfer coding is chunked")
            }
            Violation::BadChunk => {
                Failure::new(Code::BadRequest, "a chunk of the body has no proper size or end")
            }
        }),
    }
}

fn slow_head() -> Failure {
    Failure::new(Code::RequestTimeout, "the head of the request did not arrive in time")
}

/// Answers without hyper, then ends the connection.
async fn last_word(mut stream: TcpStream, failure: Failure, ids: &Arc<RequestIds>) {
    // Nothing of the request was begun.
    let text = failure.with_outcome(Outcome::None).to_http1(ids.next());
    // Whoever has gone away gets no answer.
    if let Ok(Ok(())) = timeout(LINGER_TIME, stream.write_all(&text)).await {
        linger(stream).await;
    }
}

/// Ends the connection in a way that lets the peer read what it was sent.
async fn linger(mut stream: TcpStream) {
    let drain = async {
        stream.shutdown().await?;
        let mut dropped = BytesMut::with_capacity(16 << 10);
        let mut dropped_bytes = 0;
        while dropped_bytes < LINGER_BYTES_MAX {
            match stream.read_buf(&mut dropped).await? {
                0 => break,
                bytes => dropped_bytes += bytes,
            }
            dropped.clear();
        }
        io::Result::Ok(())
    };
    // Slow or gone: either way this is the end.
    let _ = timeout(LINGER_TIME, drain).await;
}
