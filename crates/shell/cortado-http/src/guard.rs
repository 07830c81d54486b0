//! A connection's bytes, watched: strict framing, and timeouts.
//!
//! Never answers anything: it cuts the stream and leaves a [`Verdict`] for the connection's task.
//! Timers are armed rarely and moved lazily, so that a request costs none. Start reading at
//! [`Guard`].

use crate::framing::{Broken, Framing, Violation};
use crate::limits::Limits;
use bytes::{Buf, Bytes};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// Bytes both ways: TCP, or what encrypts it.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Stream for S {}

/// A stream that fails when its peer breaks the rules or takes too long.
pub(crate) struct Guard<S> {
    stream: S,
    /// Bytes that were read to find out the protocol.
    prefix: Bytes,
    /// HTTP/1 only; HTTP/2 has its own framing.
    framing: Option<Framing>,
    head_since: Option<Instant>,
    stalled_since: Option<Instant>,
    reading: Alarm,
    writing: Alarm,
    timeouts: Timeouts,
    pulse: Arc<Pulse>,
    verdict: Option<Verdict>,
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

/// What the requests of a connection tell its guard.
#[derive(Debug)]
pub(crate) struct Pulse {
    opened: Instant,
    in_flight: AtomicUsize,
    /// Milliseconds after `opened`.
    last_end_ms: AtomicU64,
}

impl Pulse {
    pub(crate) fn new(opened: Instant) -> Arc<Pulse> {
        let (in_flight, last_end_ms) = (AtomicUsize::new(0), AtomicU64::new(0));
        Arc::new(Pulse { opened, in_flight, last_end_ms })
    }

    /// Marks a request as running until the answer is dropped, its last byte sent.
    pub(crate) fn begin(self: &Arc<Pulse>) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight { pulse: Arc::clone(self) }
    }

    /// When the connection became idle; `None` while a request runs.
    fn idle_since(&self) -> Option<Instant> {
        let idle = self.in_flight.load(Ordering::Relaxed) == 0;
        let since_ms = Duration::from_millis(self.last_end_ms.load(Ordering::Relaxed));
        idle.then(|| self.opened + since_ms)
    }
}

/// A request that runs.
#[derive(Debug)]
pub(crate) struct InFlight {
    pulse: Arc<Pulse>,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        // Fits 64 bits for half a billion years.
        let now_ms = self.pulse.opened.elapsed().as_millis() as u64;
        self.pulse.last_end_ms.store(now_ms, Ordering::Relaxed);
        self.pulse.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<S> Guard<S> {
    /// Watches `stream`, whose first bytes are `prefix`.
    pub(crate) fn new(
        stream: S,
        prefix: Bytes,
        framing: Option<Framing>,
        limits: &Limits,
        pulse: Arc<Pulse>,
    ) -> Guard<S> {
        let timeouts =
            Timeouts { head: limits.head_time, idle: limits.idle_time, stall: limits.stall_time };
        Guard {
            stream,
            prefix,
            framing,
            // The first head is due from the moment of the connection.
            head_since: Some(pulse.opened),
            stalled_since: None,
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
        self.framing.as_ref().is_some_and(|framing| !framing.is_between()) || self.verdict.is_some()
    }

    pub(crate) fn into_stream(self) -> S {
        self.stream
    }

    /// Takes note of `bytes`; answers how many of them may be passed on.
    ///
    /// From the first broken rule on, the peer counts as having fallen silent: a request that runs
    /// is answered, and what comes behind it is never parsed.
    fn took(&mut self, bytes: &[u8]) -> usize {
        let Some(framing) = &mut self.framing else {
            self.head_since = None;
            return bytes.len();
        };
        let heads = framing.heads();
        let fed = framing.feed(bytes);
        // Empty lines neither begin a head nor end the wait for the first one.
        if framing.heads() > heads {
            self.head_since = None;
        }
        if framing.is_in_head() {
            self.head_since.get_or_insert_with(Instant::now);
        }
        match fed {
            Ok(()) => bytes.len(),
            Err(Broken { violation, good_bytes }) => {
                let in_head = framing.is_between() || framing.is_in_head();
                self.verdict = Some(Verdict::Violation { violation, in_head });
                good_bytes
            }
        }
    }

    fn cut(&mut self, verdict: Verdict) -> io::Error {
        self.verdict = Some(verdict);
        io::Error::new(io::ErrorKind::ConnectionAborted, "connection closed by the guard")
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

    fn watch_write<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled_since = None;
            return written;
        }
        let due = *self.stalled_since.get_or_insert_with(Instant::now) + self.timeouts.stall;
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
        if guard.verdict.is_some() {
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        if guard.prefix.is_empty() {
            match Pin::new(&mut guard.stream).poll_read(cx, buf) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return guard.poll_patience(cx),
            }
        } else {
            let bytes = guard.prefix.len().min(buf.remaining());
            buf.put_slice(&guard.prefix[..bytes]);
            guard.prefix.advance(bytes);
        }
        let good_bytes = guard.took(&buf.filled()[before..]);
        buf.set_filled(before + good_bytes);
        Poll::Ready(Ok(()))
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
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
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
