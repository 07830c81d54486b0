//! An HTTP server that counts connections and answers.

use http::{Request, Response};
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

pub(crate) struct Server {
    address: SocketAddr,
    counts: Arc<Counts>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Counts {
    accepted: AtomicU64,
    answered: AtomicU64,
}

impl Server {
    pub(crate) async fn start() -> Server {
        Server::start_at(SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    pub(crate) async fn start_at(address: SocketAddr) -> Server {
        let listener = TcpListener::bind(address).await.expect("a port of loopback");
        let address = listener.local_addr().expect("bound");
        let counts = Arc::new(Counts::default());
        let task = tokio::spawn(serve(listener, Arc::clone(&counts)));
        Server { address, counts, task }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn accepted(&self) -> u64 {
        self.counts.accepted.load(Ordering::Relaxed)
    }

    pub(crate) fn answered(&self) -> u64 {
        self.counts.answered.load(Ordering::Relaxed)
    }

    /// Dies, with every connection; answers where it was.
    pub(crate) async fn stop(self) -> SocketAddr {
        self.task.abort();
        assert!(self.task.await.expect_err("aborted").is_cancelled());
        self.address
    }
}

async fn serve(listener: TcpListener, counts: Arc<Counts>) {
    // Dropped with this task, which ends all of them.
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        counts.accepted.fetch_add(1, Ordering::Relaxed);
        connections.spawn(answer(stream, Arc::clone(&counts)));
    }
}

async fn answer(stream: TcpStream, counts: Arc<Counts>) {
    let service = service_fn(|_: Request<Incoming>| {
        counts.answered.fetch_add(1, Ordering::Relaxed);
        async { Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new())) }
    });
    // A client that goes away is no error here.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// Waits until `is_reached` says so.
///
/// # Panics
/// After a minute.
pub(crate) async fn reach(mut is_reached: impl FnMut() -> bool) {
    let wait = async {
        while !is_reached() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), wait).await.expect("reached within a minute");
}
