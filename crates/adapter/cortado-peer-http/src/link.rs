//! One way to a node: a connection that is made anew whenever it has ended, and calls on it.
//!
//! Start reading at [`Link::call`].

use crate::codec::{RefusedCall, WireAnswer, WireCall, WireReply};
use crate::framing::{read_body, send_frame};
use crate::keeper::{Keeper, LinkState};
use crate::limits::{CALLS_MAX, FRAME_BYTES_MAX};
use crate::open_connection::OpenConnection;
use crate::outbox::{Letterbox, letterbox};
use bytes::Bytes;
use cortado_model::{NodeId, with_causes};
use cortado_peer::CallError;
use h2::client::ResponseFuture;
use http::StatusCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};
use tracing::{debug, warn};

/// One way to a node.
pub(crate) struct Link {
    node: NodeId,
    state: watch::Receiver<LinkState>,
    messages: Letterbox,
    calls: Semaphore,
    nudge: Arc<Notify>,
    keeper: AbortHandle,
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
