//! One connection to a server, as a service: it is ready once it is connected.

use http::Request;
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use tokio::net::TcpStream;
use tower::{BoxError, Service};

type Connection = Arc<tokio::sync::Mutex<SendRequest<Empty<Bytes>>>>;

/// Clones share the connection.
#[derive(Clone)]
pub(crate) struct Remote {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

enum State {
    Closed,
    Connecting(Vec<Waker>),
    Open(Connection),
    Failed(BoxError),
}

impl Remote {
    pub(crate) fn new(address: SocketAddr) -> Remote {
        Remote { address, state: Arc::new(Mutex::new(State::Closed)) }
    }

    fn set(&self, state: State) {
        let before = std::mem::replace(&mut *self.state.lock().expect("no holder panics"), state);
        if let State::Connecting(waiting) = before {
            waiting.into_iter().for_each(Waker::wake);
        }
    }

    async fn connect(self) {
        let connected = async {
            let stream = TcpStream::connect(self.address).await?;
            let (sender, connection) = handshake(TokioIo::new(stream)).await?;
            tokio::spawn(connection);
            Ok::<_, BoxError>(Arc::new(tokio::sync::Mutex::new(sender)))
        };
        self.set(match connected.await {
            Ok(connection) => State::Open(connection),
            Err(error) => State::Failed(error),
        });
    }
}

impl Service<()> for Remote {
    /// Who has answered.
    type Response = SocketAddr;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<SocketAddr, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        let mut state = self.state.lock().expect("no holder panics");
        match std::mem::replace(&mut *state, State::Closed) {
            State::Open(connection) => {
                *state = State::Open(connection);
                Poll::Ready(Ok(()))
            }
            State::Failed(error) => Poll::Ready(Err(error)),
            State::Connecting(mut waiting) => {
                waiting.push(cx.waker().clone());
                *state = State::Connecting(waiting);
                Poll::Pending
            }
            State::Closed => {
                *state = State::Connecting(vec![cx.waker().clone()]);
                tokio::spawn(self.clone().connect());
                Poll::Pending
            }
        }
    }

    fn call(&mut self, (): ()) -> Self::Future {
        let remote = self.clone();
        let state = self.state.lock().expect("no holder panics");
        let State::Open(connection) = &*state else { panic!("called before it was ready") };
        let connection = Arc::clone(connection);
        Box::pin(async move {
            let request = Request::get("/").header("host", "loopback").body(Empty::new())?;
            let answer = connection.lock().await.send_request(request).await;
            if let Err(error) = answer {
                // The next one connects anew.
                remote.set(State::Closed);
                return Err(error.into());
            }
            Ok(remote.address)
        })
    }
}
