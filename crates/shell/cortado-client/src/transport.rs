//! One attempt at one request: bytes out, bytes in, and what a failure proves.
//!
//! Never retries. Start reading at [`Transport::send`].

use crate::address::ServerAddress;
use bytes::Bytes;
use cortado_model::with_causes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_util::client::legacy::{self, connect::HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use std::error::Error;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// The largest answer that is taken into memory. A page of documents is far smaller.
const ANSWER_BYTES_MAX: usize = 256 << 20;
/// How long a kept connection may rest: shorter than the server's 75 s, so that we close first.
const IDLE_MAX: Duration = Duration::from_secs(60);
/// How long a connection may take to be made.
const CONNECT_MAX: Duration = Duration::from_secs(3);

/// What is sent.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    pub(crate) method: Method,
    /// Path and query, percent-encoded.
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// What came back, whole.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// An answer whose body still flows.
#[derive(Debug)]
pub(crate) struct Flowing {
    pub(crate) server: ServerAddress,
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Incoming,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    /// No connection: the request never left. Certainly not done.
    #[error("cannot connect to {server}: {}", with_causes(.source))]
    NotSent { server: ServerAddress, source: legacy::Error },
    /// The request breaks a rule of HTTP. Certainly not done.
    #[error("invalid request: {0}")]
    InvalidRequest(http::Error),
    /// The connection broke after the request may have left.
    #[error("connection to {server} lost: {}", with_causes(.source.as_ref()))]
    Broken { server: ServerAddress, source: Box<dyn Error + Send + Sync> },
    /// No answer in time.
    #[error("no answer from {server} within {waited_ms} ms")]
    Late { server: ServerAddress, waited_ms: u128 },
}

impl SendError {
    /// Whether this machine says that no program listens there.
    pub(crate) fn is_refused_here(&self) -> bool {
        let SendError::NotSent { server, source } = self else { return false };
        let causes = std::iter::successors(source.source(), |cause| (*cause).source());
        let errors = causes.filter_map(|cause| cause.downcast_ref::<io::Error>());
        let mut kinds = errors.map(io::Error::kind);
        server.is_loopback() && kinds.any(|kind| kind == io::ErrorKind::ConnectionRefused)
    }
}

/// The pool of connections to one server.
#[derive(Debug)]
pub(crate) struct Transport {
    http: legacy::Client<HttpConnector, Full<Bytes>>,
    server: ServerAddress,
    /// Whether an answer has ever come: a server that was there may come back.
    has_answered: AtomicBool,
}

impl Transport {
    pub(crate) fn new(server: ServerAddress) -> Transport {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_MAX));
        let http = legacy::Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE_MAX)
            .pool_timer(TokioTimer::new())
            .build(connector);
        Transport { http, server, has_answered: AtomicBool::new(false) }
    }

    pub(crate) fn server(&self) -> &ServerAddress {
        &self.server
    }

    pub(crate) fn has_answered(&self) -> bool {
        self.has_answered.load(Ordering::Relaxed)
    }

    /// Sends once and reads the whole answer.
    ///
    /// # Errors
    /// By what they prove: see [`SendError`].
    pub(crate) async fn send(
        &self,
        outgoing: &Outgoing,
        deadline: Instant,
    ) -> Result<Answer, SendError> {
        let begun = Instant::now();
        let flowing = self.open(outgoing, deadline).await?;
        self.collect(flowing, begun, deadline).await
    }

    /// Reads the rest of an answer to a request that was sent at `begun`.
    pub(crate) async fn collect(
        &self,
        flowing: Flowing,
        begun: Instant,
        deadline: Instant,
    ) -> Result<Answer, SendError> {
        let Flowing { status, headers, body, .. } = flowing;
        match timeout_at(deadline, Limited::new(body, ANSWER_BYTES_MAX).collect()).await {
            Ok(Ok(body)) => Ok(Answer { status, headers, body: body.to_bytes() }),
            Ok(Err(source)) => Err(SendError::Broken { server: self.server.clone(), source }),
            Err(_elapsed) => Err(self.late(begun)),
        }
    }

    /// Sends once and reads the head of the answer.
    pub(crate) async fn open(
        &self,
        outgoing: &Outgoing,
        deadline: Instant,
    ) -> Result<Flowing, SendError> {
        let mut request = Request::builder()
            .method(outgoing.method.clone())
            .uri(self.server.join(&outgoing.path))
            .body(Full::new(outgoing.body.clone()))
            .map_err(SendError::InvalidRequest)?;
        *request.headers_mut() = outgoing.headers.clone();
        let begun = Instant::now();
        match timeout_at(deadline, self.http.request(request)).await {
            Ok(Ok(response)) => {
                self.has_answered.store(true, Ordering::Relaxed);
                let (parts, body) = response.into_parts();
                let (status, headers, server) = (parts.status, parts.headers, self.server.clone());
                Ok(Flowing { server, status, headers, body })
            }
            Ok(Err(source)) if source.is_connect() => {
                Err(SendError::NotSent { server: self.server.clone(), source })
            }
            Ok(Err(source)) => {
                Err(SendError::Broken { server: self.server.clone(), source: source.into() })
            }
            Err(_elapsed) => Err(self.late(begun)),
        }
    }

    fn late(&self, begun: Instant) -> SendError {
        SendError::Late { server: self.server.clone(), waited_ms: begun.elapsed().as_millis() }
    }
}
