//! A connection's bytes, watched: strict framing, and timeouts.
//!
//! Never answers anything: it cuts the stream and leaves a [`Verdict`] for the connection's task.
//! Timers are armed rarely and moved lazily, so that a request costs none. Start reading at
//! [`Guard`].

use crate::frames::Frames;
use crate::framing::{Broken, Framing, Violation};
use crate::limits::Limits;
use crate::pulse::Pulse;
use bytes::{Buf, BytesMut};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// Bytes both ways: TCP, or what encrypts it.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Stream for S {}

/// A stream that fails when its peer breaks the rules or takes too long.
pub(crate) struct Guard<S> {
    stream: S,
    /// Bytes that were read before they were asked for.
    ahead: BytesMut,
    framing: Followed,
    head_since: Option<Instant>,
    /// Since when the peer has taken next to nothing, and how much that is.
    stalled: Option<(Instant, usize)>,
    /// Whether nothing more can be read: the peer has ended its side or broken a rule.
    is_over: bool,
    /// Of the task that was not told so yet, since a request runs.
    unaware: Option<Waker>,
    reading: Alarm,
    writing: Alarm,
    timeouts: Timeouts,
    pulse: Arc<Pulse>,
    verdict: Option<Verdict>,
}

/// How far the requests of a stream have come.
#[derive(Debug)]
pub(crate) enum Followed {
    /// And whether they keep the rules.
    Http1(Framing),
    /// h2 minds the rules.
    Http2(Frames),
}

impl Followed {
    fn heads(&self) -> u64 {
        match self {
            Followed::Http1(framing) => framing.heads(),
            Followed::Http2(frames) => frames.heads(),
        }
    }

    fn is_in_head(&self) -> bool {
        match self {
            Followed::Http1(framing) => framing.is_in_head(),
            Followed::Http2(frames) => frames.is_in_head(),
        }
    }

    fn feed(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        match self {
            Followed::Http1(framing) => framing.feed(bytes),
            Followed::Http2(frames) => {
                frames.feed(bytes);
                Ok(())
            }
        }
    }
}

/// Why the stream was cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// A request's head did not come in time.
    SlowHead,
    /// No request came for long.
    Idle,
    /// The peer takes nothing of what it asked for.
    Stalled,
    /// The peer breaks the rules.
    Violation {
        /// Which one.
        violation: Violation,
        /// Whether it was in the head of a request; otherwise a handler has answered that request.
        in_head: bool,
    },
}

/// How long the guard waits for what.
#[derive(Clone, Copy, Debug)]
struct Timeouts {
    head: Duration,
    idle: Duration,
    stall: Duration,
}

/// How long an end may go unnoticed that could be told.
const UNAWARE_TIME: Duration = Duration::from_secs(1);
/// How much is read ahead of a stream's end; a client that has sent more is heard of at the next
/// heartbeat.
const AHEAD_BYTES_MAX: usize = 16 << 10;
/// As much must be taken before the wait for a slow reader begins anew.
const PROGRESS_BYTES_MIN: usize = 16 << 10;

impl<S> Guard<S> {
    /// Watches `stream`, whose first bytes are `ahead`: they were read to find out the protocol.
    pub(crate) fn new(
        stream: S,
        ahead: BytesMut,
        framing: Followed,
        limits: &Limits,
        pulse: Arc<Pulse>,
    ) -> Guard<S> {
        let timeouts =
            Timeouts { head: limits.head_time, idle: limits.idle_time, stall: limits.stall_time };
        Guard {
            stream,
            ahead,
            framing,
            // The first head is due from the moment of the connection.
            head_since: Some(pulse.opened()),
            stalled: None,
            is_over: false,
            unaware: None,
            reading: Alarm::default(),
            writing: Alarm::default(),
            timeouts,
            pulse,
            verdict: None,
        }
    }

    /// Why the stream was cut, if it was.
    pub(crate) fn verdict(&self) -> Option<Verdict> {
        self.verdict
    }

    /// Whether the client may be sending something that has not been read.
    pub(crate) fn is_mid_message(&self) -> bool {
        let is_between = match &self.framing {
            Followed::Http1(framing) => framing.is_between(),
            Followed::Http2(_) => true,
        };
        !is_between || self.verdict.is_some()
    }

    pub(crate) fn into_stream(self) -> S {
        self.stream
    }

    /// Takes note of `bytes`; answers how many of them may be passed on.
    ///
    /// From the first broken rule on, the peer counts as having fallen silent: a request that runs
    /// is answered, and what comes behind it is never parsed.
    fn took(&mut self, bytes: &[u8]) -> usize {
        let framing = &mut self.framing;
        let heads = framing.heads();
        let fed = framing.feed(bytes);
        // Empty lines neither begin a head nor end the wait for the first one.
        if framing.heads() > heads {
            self.head_since = None;
        }
        if framing.is_in_head() {
            self.head_since.get_or_insert_with(Instant::now);
        } else if framing.heads() > 0 {
            self.head_since = None;
        }
        match fed {
            Ok(()) => bytes.len(),
            Err(Broken { violation, good_bytes }) => {
                let in_head = !self.is_in_body();
                self.verdict = Some(Verdict::Violation { violation, in_head });
                self.is_over = true;
                good_bytes
            }
        }
    }

    /// Whether the body of a request is on its way.
    fn is_in_body(&self) -> bool {
        match &self.framing {
            Followed::Http1(framing) => framing.is_in_body(),
            Followed::Http2(_) => false,
        }
    }

    /// Whether the end may be told. hyper takes it for the wish to give up what runs, and so it is
    /// for streams; but who has sent a request, and ends its side, still wants the answer.
    fn may_tell(&self) -> bool {
        let runs = self.pulse.idle_since().is_none();
        match self.framing {
            Followed::Http1(_) => !runs || self.pulse.streams() || self.is_in_body(),
            Followed::Http2(_) => true,
        }
    }

    /// Tells of the end once it may be told.
    fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.may_tell() {
            self.unaware = Some(cx.waker().clone());
            // The next flush wakes; this is for an end that nothing is written behind.
            if self.reading.poll_ring(Instant::now() + UNAWARE_TIME, cx).is_pending() {
                return Poll::Pending;
            }
        }
        Poll::Ready(Ok(()))
    }

    fn cut(&mut self, verdict: Verdict) -> io::Error {
        self.verdict = Some(verdict);
        self.is_over = true;
        io::Error::new(io::ErrorKind::ConnectionAborted, "connection closed by the guard")
    }

    /// Reads ahead while a stream is answered, and fails at the end of what the peer sends: hyper
    /// does not look for that end as long as it has bytes that it has no use for yet.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Error>
    where
        S: Stream,
    {
        let hyper_looks = matches!(self.framing, Followed::Http2(_));
        while !hyper_looks && self.pulse.streams() && self.ahead.len() < AHEAD_BYTES_MAX {
            let mut bytes = [0; 1 << 10];
            let mut buf = ReadBuf::new(&mut bytes);
            match ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buf)) {
                Ok(()) if buf.filled().is_empty() => {
                    return Poll::Ready(io::ErrorKind::ConnectionReset.into());
                }
                Ok(()) => self.ahead.extend_from_slice(buf.filled()),
                Err(error) => return Poll::Ready(error),
            }
        }
        Poll::Pending
    }

    /// Waits for bytes, but not for ever.
    fn poll_patience(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let (due, verdict) = match (self.pulse.idle_since(), self.head_since) {
                (Some(idle), Some(head)) => {
                    (head.max(idle) + self.timeouts.head, Some(Verdict::SlowHead))
                }
                (Some(idle), None) => (idle + self.timeouts.idle, Some(Verdict::Idle)),
                // Busy: look again later, without any judgement.
                (None, _) => (Instant::now() + self.timeouts.idle, None),
            };
            if self.reading.poll_ring(due, cx).is_pending() {
                return Poll::Pending;
            }
            if let Some(verdict) = verdict
                && due <= Instant::now()
            {
                return Poll::Ready(Err(self.cut(verdict)));
            }
        }
    }

    fn watch_write(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if let Poll::Ready(written) = written {
            if let (Some((_, taken_bytes)), Ok(bytes)) = (&mut self.stalled, &written) {
                *taken_bytes += bytes;
                if *taken_bytes >= PROGRESS_BYTES_MIN {
                    self.stalled = None;
                }
            }
            return Poll::Ready(written);
        }
        let (since, _) = *self.stalled.get_or_insert_with(|| (Instant::now(), 0));
        let due = since + self.timeouts.stall;
        while self.writing.poll_ring(due, cx).is_ready() {
            if due <= Instant::now() {
                return Poll::Ready(Err(self.cut(Verdict::Stalled)));
            }
        }
        Poll::Pending
    }
}

impl<S: Stream> AsyncRead for Guard<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let guard = self.get_mut();
        if guard.is_over {
            return guard.poll_over(cx);
        }
        let before = buf.filled().len();
        if guard.ahead.is_empty() {
            match Pin::new(&mut guard.stream).poll_read(cx, buf) {
                Poll::Ready(Ok(())) if buf.filled().len() == before => {
                    guard.is_over = true;
                    return guard.poll_over(cx);
                }
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return guard.poll_patience(cx),
            }
        } else {
            let bytes = guard.ahead.len().min(buf.remaining());
            buf.put_slice(&guard.ahead[..bytes]);
            guard.ahead.advance(bytes);
        }
        let good_bytes = guard.took(&buf.filled()[before..]);
        buf.set_filled(before + good_bytes);
        if good_bytes == 0 { guard.poll_over(cx) } else { Poll::Ready(Ok(())) }
    }
}

impl<S: Stream> AsyncWrite for Guard<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let guard = self.get_mut();
        let written = Pin::new(&mut guard.stream).poll_write(cx, buf);
        guard.watch_write(cx, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let guard = self.get_mut();
        let written = Pin::new(&mut guard.stream).poll_write_vectored(cx, bufs);
        guard.watch_write(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let guard = self.get_mut();
        // Everything that there was to write has been taken.
        guard.stalled = None;
        if guard.may_tell()
            && let Some(unaware) = guard.unaware.take()
        {
            unaware.wake();
        }
        if !guard.is_over
            && let Poll::Ready(error) = guard.poll_end(cx)
        {
            return Poll::Ready(Err(error));
        }
        Pin::new(&mut guard.stream).poll_flush(cx)
    }

    /// Does nothing: the connection's task ends the stream, perhaps after a last word.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A timer that is allocated when first needed and moved only when it must ring earlier.
#[derive(Default)]
struct Alarm {
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Alarm {
    /// Ready at some moment up to `due`: the caller looks whether it is the right one.
    fn poll_ring(&mut self, due: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(due)));
        if due < sleep.deadline() || sleep.is_elapsed() {
            sleep.as_mut().reset(due);
        }
        sleep.as_mut().poll(cx)
    }
}
