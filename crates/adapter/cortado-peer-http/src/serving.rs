//! One connection of another node: its calls, side by side, and its messages.
//!
//! Start reading at [`Serving::run`].

use crate::codec::{RefusedCall, WireAnswer, WireCall, WireError, WireReply, decode_message};
use crate::framing::{FrameReader, FramingError, Room, send_frame};
use crate::limits::{
    CONNECTION_WINDOW_BYTES, FRAME_BYTES_MAX, HEADER_BYTES_MAX, PeerTiming, STREAM_WINDOW_BYTES,
    STREAMS_MAX, TASKS_MAX,
};
use crate::open_connection::{CALL_PATH, TELL_PATH, ping};
use bytes::Bytes;
use cortado_model::{NodeId, with_causes};
use cortado_peer::{CallError, Peer, TRACEPARENT, TraceContext};
use cortado_peer_security::Wired;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::{Request, Response, StatusCode};
use std::future::{pending, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep, sleep, timeout, timeout_at};
use tracing::{debug, warn};

/// How far a node is in ending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It does not end.
    Not,
    /// It begins nothing new, and answers what has begun.
    Answering,
    /// It answers nothing any more.
    LettingGo,
}

/// One connection of another node.
pub(crate) struct Serving {
    pub(crate) node: NodeId,
    pub(crate) serves: Arc<dyn Peer>,
    pub(crate) room: Arc<Room>,
    pub(crate) timing: PeerTiming,
}

impl Serving {
    /// Serves until the connection ends, and says why it did.
    pub(crate) async fn run(
        self,
        wired: Box<dyn Wired>,
        mut ends: watch::Receiver<Ending>,
    ) -> String {
        let handshake = h2::server::Builder::new()
            .max_concurrent_streams(STREAMS_MAX)
            // Calls that are given up before this node has looked at them are no attack.
            .max_pending_accept_reset_streams(TASKS_MAX)
            .initial_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_header_list_size(HEADER_BYTES_MAX)
            .handshake::<_, Bytes>(wired);
        let mut connection = match timeout(self.timing.greet, handshake).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => return error.to_string(),
            Err(_) => return "no HTTP/2 came".to_owned(),
        };
        let timing = self.timing;
        let silence = ping(connection.ping_pong(), &timing);
        tokio::pin!(silence);
        let told = ends.clone();
        let shared = Arc::new(self);
        let mut tasks = JoinSet::new();
        let (mut ending, mut lingers) = (Ending::Not, None);
        loop {
            tokio::select! {
                accepted = connection.accept() => match accepted {
                    Some(Ok((request, respond))) => {
                        while tasks.try_join_next().is_some() {}
                        shared.begin(request, respond, &mut tasks, &told);
                    }
                    Some(Err(error)) => return error.to_string(),
                    None => return "it was closed".to_owned(),
                },
                error = &mut silence => return error.to_string(),
                next = stage_after(&mut ends, ending), if ending != Ending::LettingGo => {
                    ending = next;
                    connection.graceful_shutdown();
                    if next == Ending::LettingGo {
                        lingers = Some(Box::pin(sleep(timing.linger)));
                    }
                }
                () = until(&mut lingers) => {
                    return "the node has ended".to_owned();
                }
            }
        }
    }

    /// Lets a task answer, unless there are too many.
    fn begin(
        self: &Arc<Self>,
        request: Request<RecvStream>,
        mut respond: SendResponse<Bytes>,
        tasks: &mut JoinSet<()>,
        ends: &watch::Receiver<Ending>,
    ) {
        if tasks.len() >= TASKS_MAX || *ends.borrow() != Ending::Not {
            respond.send_reset(Reason::REFUSED_STREAM);
            return;
        }
        let (shared, ends) = (Arc::clone(self), ends.clone());
        match request.uri().path() {
            CALL_PATH => drop(tasks.spawn(shared.answer(request, respond, ends))),
            TELL_PATH => drop(tasks.spawn(shared.hear(request.into_body(), respond, ends))),
            path => {
                debug!(node = %self.node, path, "peer asks for an unknown path");
                let response = Response::builder().status(StatusCode::NOT_FOUND).body(());
                let response = response.expect("a status makes a response");
                // Its stream may be gone.
                let _ = respond.send_response(response, true);
            }
        }
    }

    /// Answers one call, unless the other side gives it up, or this one lets it go.
    async fn answer(
        self: Arc<Self>,
        request: Request<RecvStream>,
        mut respond: SendResponse<Bytes>,
        mut ends: watch::Receiver<Ending>,
    ) {
        let reply = tokio::select! {
            // First: what was given up while it was on its way is not begun.
            biased;
            _ = poll_fn(|cx| respond.poll_reset(cx)) => return,
            reply = self.reply_to(request) => reply,
            _ = ends.wait_for(|ending| *ending == Ending::LettingGo) => {
                return respond.send_reset(Reason::CANCEL);
            }
        };
        let Some(reply) = reply else { return respond.send_reset(Reason::CANCEL) };
        let frame = reply.encode();
        if frame.len() > FRAME_BYTES_MAX {
            let bytes = frame.len();
            warn!(node = %self.node, bytes, "answer not sent: larger than any frame");
            return respond.send_reset(Reason::INTERNAL_ERROR);
        }
        let sent = async {
            let mut body = respond.send_response(Response::new(()), false)?;
            send_frame(&mut body, frame, true).await
        };
        let sent: Result<(), h2::Error> = sent.await;
        if let Err(error) = sent {
            debug!(node = %self.node, %error, "answer not sent");
        }
    }

    /// What is to be said to a call; `None` if it did not come as a whole, so that nobody waits.
    async fn reply_to(&self, request: Request<RecvStream>) -> Option<WireReply> {
        let length = request.headers().get(http::header::CONTENT_LENGTH);
        let length = length.and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
        let Some(length) = length else {
            let why = "it does not say how long it is".to_owned();
            return Some(WireReply::Refused(RefusedCall::Unreadable { why }));
        };
        if length > FRAME_BYTES_MAX {
            let (bytes, bytes_max) = (length as u64, FRAME_BYTES_MAX as u64);
            return Some(WireReply::Refused(RefusedCall::TooLarge { bytes, bytes_max }));
        }
        let trace = trace_of(&request);
        let reader = FrameReader::new(request.into_body());
        let incoming = match reader.whole(length, &self.room).await {
            Ok(incoming) => incoming,
            Err(error) => {
                debug!(node = %self.node, error = with_causes(&error), "call did not come whole");
                return None;
            }
        };
        let now = Instant::now();
        let call = match WireCall::decode(incoming.frame.clone(), now) {
            Ok(call) => call,
            Err(error) => {
                let why = error.to_string();
                warn!(node = %self.node, error = why, "cannot read a call; upgrade the older node");
                return Some(WireReply::Refused(RefusedCall::Unreadable { why }));
            }
        };
        let deadline = call.deadline();
        if deadline <= now {
            return Some(WireReply::Refused(RefusedCall::Late));
        }
        let answer = put_to(self.serves.as_ref(), call);
        let answered = async {
            match trace {
                Some(trace) => trace.scope(timeout_at(deadline, answer)).await,
                None => timeout_at(deadline, answer).await,
            }
        };
        Some(match answered.await.unwrap_or(Err(CallError::Late)) {
            Ok(answer) => WireReply::Answer(answer),
            Err(error) => WireReply::Failed(error),
        })
    }

    /// Lets the node hear messages until there are no more.
    async fn hear(
        self: Arc<Self>,
        body: RecvStream,
        mut respond: SendResponse<Bytes>,
        mut ends: watch::Receiver<Ending>,
    ) {
        let heard = tokio::select! {
            heard = self.hear_all(body) => heard,
            _ = ends.wait_for(|ending| *ending != Ending::Not) => {
                return respond.send_reset(Reason::CANCEL);
            }
        };
        let reason = match heard {
            Ok(()) => Reason::NO_ERROR,
            Err(error) => {
                debug!(node = %self.node, error = with_causes(&error), "messages end");
                Reason::PROTOCOL_ERROR
            }
        };
        respond.send_reset(reason);
    }

    async fn hear_all(&self, body: RecvStream) -> Result<(), HearError> {
        let mut frames = FrameReader::new(body);
        while let Some(incoming) = frames.next(FRAME_BYTES_MAX, &self.room).await? {
            match decode_message(incoming.frame.clone()) {
                Ok(message) => match message.teller().filter(|teller| *teller != self.node) {
                    None => self.serves.tell(message),
                    // This connection has proven nothing of that one.
                    Some(teller) => {
                        warn!(node = %self.node, %teller, "message in another node's name refused");
                    }
                },
                // The stream is still where it should be.
                Err(
                    error @ (WireError::UnknownVersion { .. }
                    | WireError::UnknownKind { .. }
                    | WireError::UnknownVariant { .. }
                    | WireError::Trailing { .. }
                    | WireError::Truncated
                    | WireError::TooMany { .. }
                    | WireError::Invalid(_)),
                ) => debug!(node = %self.node, %error, "message passed over"),
                Err(error @ WireError::Damaged) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// The span of this node's work, if the caller's is part of a trace.
fn trace_of(request: &Request<RecvStream>) -> Option<TraceContext> {
    let text = request.headers().get(TRACEPARENT)?.to_str().ok()?;
    Some(TraceContext::parse(text)?.child(fastrand::u64(..)))
}

/// Waits for what is there; for ever if nothing is.
async fn until(waited_for: &mut Option<Pin<Box<Sleep>>>) {
    match waited_for {
        Some(sleep) => sleep.await,
        None => pending().await,
    }
}

/// Waits until the node is further in ending than `stage`.
async fn stage_after(ends: &mut watch::Receiver<Ending>, stage: Ending) -> Ending {
    // Whoever started the node and keeps no hold on it lets everything go.
    ends.wait_for(|ending| *ending != stage).await.map_or(Ending::LettingGo, |ending| *ending)
}

/// Why no more messages are heard on a stream.
#[derive(Debug, thiserror::Error)]
enum HearError {
    #[error(transparent)]
    Framing(#[from] FramingError),
    #[error(transparent)]
    Wire(#[from] WireError),
}

async fn put_to(peer: &dyn Peer, call: WireCall) -> Result<WireAnswer, CallError> {
    Ok(match call {
        WireCall::Write(write) => WireAnswer::Write(peer.write(write).await?),
        WireCall::Read(read) => WireAnswer::Read(peer.read(read).await?),
        WireCall::HandOff(order) => WireAnswer::HandOff(peer.hand_off(order).await?),
        WireCall::Verify(partition, deadline) => {
            WireAnswer::Verify(peer.verify(partition, deadline).await?)
        }
        WireCall::Report(database, deadline) => {
            WireAnswer::Report(peer.report(database, deadline).await?)
        }
        WireCall::Standing(partition, deadline) => {
            WireAnswer::Standing(peer.standing(partition, deadline).await?)
        }
        WireCall::ChangeReplicas(order) => {
            WireAnswer::ChangeReplicas(peer.change_replicas(order).await?)
        }
        WireCall::Holdings(partitions, deadline) => {
            WireAnswer::Holdings(peer.holdings(partitions, deadline).await?)
        }
        WireCall::OpenSnapshot(partition, deadline) => {
            WireAnswer::OpenSnapshot(peer.open_snapshot(partition, deadline).await?)
        }
        WireCall::SnapshotChunk(snapshot, number, deadline) => {
            WireAnswer::SnapshotChunk(peer.snapshot_chunk(snapshot, number, deadline).await?)
        }
    })
}
