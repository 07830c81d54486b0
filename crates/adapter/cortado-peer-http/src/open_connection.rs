//! A connection to a node that is open: what carries it on, and what is sent on it.
//!
//! Start reading at [`open`].

use crate::framing::send_frame;
use crate::limits::{CONNECTION_WINDOW_BYTES, HEADER_BYTES_MAX, PeerTiming, STREAM_WINDOW_BYTES};
use crate::outbox::Outbox;
use bytes::{BufMut, Bytes, BytesMut};
use cortado_peer::{TRACEPARENT, TraceContext};
use cortado_peer_security::Wired;
use h2::client::{Connection, ResponseFuture, SendRequest};
use h2::{Ping, PingPong, SendStream};
use http::{Method, Request};
use std::future::{pending, poll_fn};
use std::io;
use tokio::time::{sleep, timeout};

/// Where calls are posted.
pub(crate) const CALL_PATH: &str = "/v1/call";
/// Where messages are.
pub(crate) const TELL_PATH: &str = "/v1/tell";

/// Bytes of messages that are sent together.
const TOGETHER_BYTES: usize = 64 << 10;

/// Sends calls on a connection. Clones share it.
#[derive(Clone)]
pub(crate) struct OpenConnection {
    requests: SendRequest<Bytes>,
}

/// What carries a connection on until it ends; when this is dropped, it has ended.
pub(crate) struct Carrier {
    connection: Connection<Box<dyn Wired>, Bytes>,
    requests: SendRequest<Bytes>,
}

/// Begins HTTP/2.
///
/// # Errors
/// The connection has ended.
pub(crate) async fn open(wired: Box<dyn Wired>) -> Result<(OpenConnection, Carrier), h2::Error> {
    let (requests, connection) = h2::client::Builder::new()
        .enable_push(false)
        .initial_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_header_list_size(HEADER_BYTES_MAX)
        .handshake(wired)
        .await?;
    Ok((OpenConnection { requests: requests.clone() }, Carrier { connection, requests }))
}

impl OpenConnection {
    /// Begins a call. Nothing was sent if it fails.
    ///
    /// # Errors
    /// The connection has ended, or ends.
    pub(crate) async fn begin_call(
        &self,
        bytes: usize,
    ) -> Result<(ResponseFuture, SendStream<Bytes>), h2::Error> {
        begin(&self.requests, CALL_PATH, Some(bytes)).await
    }
}

impl Carrier {
    /// Carries the connection on until it ends, and says why it did.
    ///
    /// * `messages`: to be sent on it.
    pub(crate) async fn run(self, timing: &PeerTiming, messages: &mut Outbox) -> String {
        let Carrier { mut connection, requests } = self;
        let pings = connection.ping_pong();
        tokio::select! {
            ended = &mut connection => match ended {
                Ok(()) => "the node closed the connection".to_owned(),
                Err(error) => error.to_string(),
            },
            silence = ping(pings, timing) => silence.to_string(),
            never = send_messages(requests, messages) => match never {},
        }
    }
}

async fn begin(
    requests: &SendRequest<Bytes>,
    path: &str,
    bytes: Option<usize>,
) -> Result<(ResponseFuture, SendStream<Bytes>), h2::Error> {
    let mut request = Request::builder().method(Method::POST).uri(format!("http://node{path}"));
    if let Some(bytes) = bytes {
        request = request.header(http::header::CONTENT_LENGTH, bytes);
        // Messages belong to no request.
        if let Some(trace) = TraceContext::current() {
            request = request.header(TRACEPARENT, trace.to_string());
        }
    }
    let request = request.body(()).expect("a constant path makes a request");
    requests.clone().ready().await?.send_request(request, false)
}

/// Ends when the other side has not answered a ping in time.
pub(crate) async fn ping(pings: Option<PingPong>, timing: &PeerTiming) -> io::Error {
    let Some(mut pings) = pings else { return pending().await };
    loop {
        sleep(timing.ping_every).await;
        let answered = async {
            pings.send_ping(Ping::opaque())?;
            poll_fn(|cx| pings.poll_pong(cx)).await
        };
        match timeout(timing.ping_answer, answered).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return io::Error::other(error),
            Err(_) => return io::Error::new(io::ErrorKind::TimedOut, "the node is silent"),
        }
    }
}

/// Sends messages as they come, on a stream that never ends by itself. What cannot be sent is
/// lost.
async fn send_messages(
    requests: SendRequest<Bytes>,
    messages: &mut Outbox,
) -> std::convert::Infallible {
    // The response never comes; dropping it would end the stream.
    let mut stream: Option<(ResponseFuture, SendStream<Bytes>)> = None;
    loop {
        let mut framed = BytesMut::new();
        let mut next = Some(messages.next().await);
        while let Some(message) = next {
            framed.put_u32_le(u32::try_from(message.frame.len()).expect("frames are bounded"));
            framed.put_slice(&message.frame);
            // What waits goes together: each frame of HTTP/2 costs both sides the same.
            next = if framed.len() < TOGETHER_BYTES { messages.ready() } else { None };
        }
        if stream.is_none() {
            stream = begin(&requests, TELL_PATH, None).await.ok();
        }
        let Some((_, sending)) = &mut stream else { continue };
        if send_frame(sending, framed.freeze(), false).await.is_err() {
            stream = None;
        }
    }
}
