//! One way to a node: a connection that is made anew whenever it has ended, and calls on it.
//!
//! Start reading at [`Link::call`] for a call, and at [`Keeper::keep`] for the connection.

use crate::address::PeerAddress;
use crate::codec::{RefusedCall, WireAnswer, WireCall, WireReply};
use crate::framing::{read_body, send_frame};
use crate::greeting::{GreetingError, Meant, greet};
use crate::identity::Speaker;
use crate::limits::{CALLS_MAX, FRAME_BYTES_MAX, PeerTiming};
use crate::open_connection::{Carrier, OpenConnection, open};
use crate::outbox::{Letterbox, Outbox, letterbox};
use bytes::Bytes;
use cortado_model::{NodeId, with_causes};
use cortado_peer::CallError;
use h2::client::ResponseFuture;
use http::StatusCode;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::net::{TcpStream, lookup_host};
use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tracing::{debug, info, warn};

/// One way to a node.
pub(crate) struct Link {
    node: NodeId,
    state: watch::Receiver<LinkState>,
    messages: Letterbox,
    calls: Semaphore,
    nudge: Arc<Notify>,
    keeper: AbortHandle,
}

/// Whether the node is reached.
#[derive(Clone)]
pub(crate) enum LinkState {
    /// A first try, or the first since a connection ended: calls wait for it.
    Trying,
    /// It is.
    Open(OpenConnection),
    /// The last try failed. It is tried again, and no call waits for that.
    Down(Arc<str>),
}

/// Makes connections, and carries them on.
pub(crate) struct Keeper {
    pub(crate) speaker: Arc<Speaker>,
    pub(crate) timing: PeerTiming,
    pub(crate) node: NodeId,
    pub(crate) address: PeerAddress,
    /// What it carries, for those who read the log.
    pub(crate) carries: &'static str,
}

impl Link {
    /// A link whose connection is being made. It ends when it is dropped.
    pub(crate) fn new(keeper: Keeper, runtime: &Handle) -> Link {
        let (sender, state) = watch::channel(LinkState::Trying);
        let (messages, outbox) = letterbox();
        let (node, nudge) = (keeper.node, Arc::new(Notify::new()));
        let keeper = runtime.spawn(keeper.keep(sender, outbox, Arc::clone(&nudge)));
        let keeper = keeper.abort_handle();
        Link { node, state, messages, calls: Semaphore::new(CALLS_MAX), nudge, keeper }
    }

    /// Lets go of the connection: its calls are lost, and later ones are not sent.
    pub(crate) fn close(&self) {
        self.keeper.abort();
    }

    /// Tries at once, if the node was not reached: there is a sign that it lives.
    pub(crate) fn nudge(&self) {
        self.nudge.notify_one();
    }

    pub(crate) fn state(&self) -> LinkState {
        self.state.borrow().clone()
    }

    /// Waits until the node is reached.
    pub(crate) async fn opened(&self) -> bool {
        let mut state = self.state.clone();
        state.wait_for(|state| matches!(state, LinkState::Open(_))).await.is_ok()
    }

    /// Calls that wait for an answer.
    pub(crate) fn calls(&self) -> usize {
        CALLS_MAX - self.calls.available_permits()
    }

    /// Messages that were lost because there was no room.
    pub(crate) fn lost_messages(&self) -> u64 {
        self.messages.lost()
    }

    pub(crate) fn tell(&self, frame: Bytes) {
        if !matches!(*self.state.borrow(), LinkState::Down(_)) {
            self.messages.drop_in(frame);
        }
    }

    /// Asks the node.
    ///
    /// # Errors
    /// `Unreachable` as long as the last byte of the question was not handed to the connection:
    /// the asked node does nothing before it has all of it.
    pub(crate) async fn call(&self, call: WireCall) -> Result<WireAnswer, CallError> {
        let is_asked = AtomicBool::new(false);
        match timeout_at(call.deadline(), self.exchange(&call, &is_asked)).await {
            Ok(answered) => answered,
            Err(_) if is_asked.load(Ordering::Relaxed) => Err(CallError::Late),
            Err(_) => Err(CallError::Unreachable),
        }
    }

    async fn exchange(
        &self,
        call: &WireCall,
        is_asked: &AtomicBool,
    ) -> Result<WireAnswer, CallError> {
        let _slot = self.calls.acquire().await.map_err(|_| CallError::Unreachable)?;
        let response = self.ask(call, is_asked).await?;
        let reply = self.hear(response).await?;
        self.understand(call, reply)
    }

    /// Sends the whole question.
    async fn ask(
        &self,
        call: &WireCall,
        is_asked: &AtomicBool,
    ) -> Result<ResponseFuture, CallError> {
        let mut state = self.state.clone();
        loop {
            let Some(open) = reached(&mut state).await else { return Err(CallError::Unreachable) };
            let frame = call.encode(Instant::now());
            if frame.len() > FRAME_BYTES_MAX {
                let bytes = frame.len();
                warn!(node = %self.node, bytes, "call not sent: larger than any frame");
                return Err(CallError::Unreachable);
            }
            match open.begin_call(frame.len()).await {
                Ok((response, mut sending)) => {
                    let sent = send_frame(&mut sending, frame, true).await;
                    sent.map_err(|_| CallError::Unreachable)?;
                    is_asked.store(true, Ordering::Relaxed);
                    return Ok(response);
                }
                Err(error) => {
                    debug!(node = %self.node, %error, "call not sent on an ended connection");
                    // A node that ends lets calls go on that have begun: no other one waits for
                    // them. Otherwise the keeper is about to say that the connection has ended.
                    if error.is_go_away() || state.changed().await.is_err() {
                        return Err(CallError::Unreachable);
                    }
                }
            }
        }
    }

    /// Waits for the reply.
    async fn hear(&self, response: ResponseFuture) -> Result<Bytes, CallError> {
        let response = match response.await {
            Ok(response) => response,
            Err(error) => {
                // What was refused before it was read: RFC 9113, section 8.7.
                let refused = error.is_reset()
                    && error.is_remote()
                    && error.reason() == Some(h2::Reason::REFUSED_STREAM);
                return Err(if refused { CallError::Unreachable } else { CallError::Lost });
            }
        };
        let status = response.status();
        if status != StatusCode::OK {
            warn!(node = %self.node, %status, "node answered a call with an unexpected status");
            // A node says so of a path that it does not know, and of nothing that it has begun.
            let unknown = status == StatusCode::NOT_FOUND;
            return Err(if unknown { CallError::Unreachable } else { CallError::Lost });
        }
        read_body(response.into_body(), FRAME_BYTES_MAX).await.map_err(|error| {
            debug!(node = %self.node, error = with_causes(&error), "reply lost");
            CallError::Lost
        })
    }

    fn understand(&self, call: &WireCall, reply: Bytes) -> Result<WireAnswer, CallError> {
        match WireReply::decode(reply) {
            Ok(WireReply::Answer(answer)) if answer.answers(call) => Ok(answer),
            Ok(WireReply::Answer(_)) => {
                warn!(node = %self.node, "node answered a call of another kind");
                Err(CallError::Lost)
            }
            Ok(WireReply::Failed(error)) => Err(error),
            Ok(WireReply::Refused(why)) => {
                match why {
                    RefusedCall::Late | RefusedCall::Ending => {}
                    RefusedCall::Unreadable { .. } | RefusedCall::TooLarge { .. } => {
                        warn!(node = %self.node, reason = %why, "node refused a call");
                    }
                }
                Err(CallError::Unreachable)
            }
            Err(error) => {
                let error = with_causes(&error);
                warn!(node = %self.node, error, "cannot read a node's reply; upgrade this node");
                Err(CallError::Lost)
            }
        }
    }
}

/// The connection, as soon as it is known whether there is one.
async fn reached(state: &mut watch::Receiver<LinkState>) -> Option<OpenConnection> {
    let known = state.wait_for(|state| !matches!(state, LinkState::Trying)).await.ok()?;
    match &*known {
        LinkState::Open(open) => Some(open.clone()),
        LinkState::Trying | LinkState::Down(_) => None,
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.close();
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
enum ConnectError {
    #[error("{address} does not resolve to an address")]
    Resolve {
        address: String,
        #[source]
        source: io::Error,
    },
    #[error("{address} names no address")]
    Nowhere { address: String },
    #[error(
        "{address} is not an address of this machine and peers are not authenticated: set \
         peer_ca_file, peer_certificate_file and peer_key_file, or peer_secret_file with \
         peer_network_private = true"
    )]
    NotAllowed { address: SocketAddr },
    #[error("cannot connect to {address}")]
    Tcp {
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
    #[error("no answer from {address} within {waited_ms} ms")]
    Silent { address: SocketAddr, waited_ms: u128 },
    #[error("{address}")]
    Greeting {
        address: SocketAddr,
        #[source]
        source: GreetingError,
    },
    #[error("{address} does not speak HTTP/2")]
    Http {
        address: SocketAddr,
        #[source]
        source: h2::Error,
    },
}

impl Keeper {
    /// Keeps the node connected, for ever.
    async fn keep(self, state: watch::Sender<LinkState>, mut messages: Outbox, nudge: Arc<Notify>) {
        let (node, carries) = (self.node, self.carries);
        let mut pause = self.timing.retry_min;
        loop {
            match self.connect().await {
                Ok((connection, carrier)) => {
                    info!(%node, carries, "connected to node");
                    pause = self.timing.retry_min;
                    state.send_replace(LinkState::Open(connection));
                    let reason = carrier.run(&self.timing, &mut messages).await;
                    info!(%node, carries, reason, "connection to node ended");
                    state.send_replace(LinkState::Trying);
                }
                Err(error) => {
                    let why: Arc<str> = with_causes(&error).into();
                    self.tell_down(&state, &why);
                    messages.clear();
                    // Between half of the pause and all of it: what ended together does not come
                    // back together.
                    let part = 0.5 + fastrand::f64() / 2.0;
                    tokio::select! {
                        () = sleep(pause.mul_f64(part)) => {}
                        () = nudge.notified() => {}
                    }
                    pause = (2 * pause).min(self.timing.retry_max);
                }
            }
        }
    }

    /// Says that the node is not reached; for the same reason once.
    fn tell_down(&self, state: &watch::Sender<LinkState>, why: &Arc<str>) {
        let former = state.send_replace(LinkState::Down(Arc::clone(why)));
        match former {
            LinkState::Down(former) if former == *why => {}
            LinkState::Trying | LinkState::Open(_) | LinkState::Down(_) => {
                let (node, carries) = (self.node, self.carries);
                warn!(%node, carries, error = %why, "node cannot be reached; trying again");
            }
        }
    }

    /// A connection to the first address at which the node is.
    async fn connect(&self) -> Result<(OpenConnection, Carrier), ConnectError> {
        let mut failed = None;
        for address in &self.address.addresses {
            let found = timeout(self.timing.connect, lookup_host(address.as_str())).await;
            let found = found.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
            let found = found.map_err(|source| {
                let address = address.clone();
                ConnectError::Resolve { address, source }
            });
            match found {
                Ok(found) => {
                    for address in found {
                        match self.connect_to(address).await {
                            Ok(connected) => return Ok(connected),
                            Err(error) => failed = Some(error),
                        }
                    }
                }
                Err(error) => failed = Some(error),
            }
        }
        let address = || self.address.addresses.join(", ");
        Err(failed.unwrap_or_else(|| ConnectError::Nowhere { address: address() }))
    }

    async fn connect_to(
        &self,
        address: SocketAddr,
    ) -> Result<(OpenConnection, Carrier), ConnectError> {
        if !self.speaker.allows(address) {
            return Err(ConnectError::NotAllowed { address });
        }
        let silent = |waited: Duration| {
            move |_| ConnectError::Silent { address, waited_ms: waited.as_millis() }
        };
        let connected = timeout(self.timing.connect, TcpStream::connect(address)).await;
        let tcp = connected.map_err(silent(self.timing.connect))?;
        let tcp = tcp.and_then(|tcp| tcp.set_nodelay(true).map(|()| tcp));
        let tcp = tcp.map_err(|source| ConnectError::Tcp { address, source })?;
        let meant = Meant { node: self.node, life: self.address.incarnation };
        let greeted = timeout(self.timing.greet, greet(tcp, &self.speaker, meant)).await;
        let greeted = greeted.map_err(silent(self.timing.greet))?;
        let wired = greeted.map_err(|source| ConnectError::Greeting { address, source })?;
        let opened = timeout(self.timing.greet, open(wired)).await;
        let opened = opened.map_err(silent(self.timing.greet))?;
        opened.map_err(|source| ConnectError::Http { address, source })
    }
}
