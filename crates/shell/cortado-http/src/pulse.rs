//! How a connection does: what runs on it, what its peer owes, and whether it is to end.
//!
//! Start reading at [`Pulse`].

use crate::owed::{Debt, Owed};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// What the requests of a connection tell its guard and the listener.
#[derive(Debug)]
pub(crate) struct Pulse {
    opened: Instant,
    in_flight: AtomicUsize,
    /// Those among them that are streams, which end when the peer ends its side.
    streams: AtomicUsize,
    /// Milliseconds after `opened`.
    last_end_ms: AtomicU64,
    leave: watch::Sender<bool>,
    owed: Arc<Owed>,
}

impl Pulse {
    /// * `stall_time`: what the peer has to take an answer, however short.
    pub(crate) fn new(opened: Instant, stall_time: Duration) -> Arc<Pulse> {
        Arc::new(Pulse {
            opened,
            in_flight: AtomicUsize::new(0),
            streams: AtomicUsize::new(0),
            last_end_ms: AtomicU64::new(0),
            leave: watch::Sender::new(false),
            owed: Owed::new(stall_time),
        })
    }

    /// When the connection began.
    pub(crate) fn opened(&self) -> Instant {
        self.opened
    }

    /// Marks a request as running until the answer is dropped, its last byte sent.
    pub(crate) fn begin(self: &Arc<Pulse>) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight { pulse: Arc::clone(self), is_stream: false }
    }

    /// What the peer has asked for and not taken.
    pub(crate) fn owed(&self) -> &Owed {
        &self.owed
    }

    /// Whether a request is answered with a stream.
    pub(crate) fn streams(&self) -> bool {
        self.streams.load(Ordering::Relaxed) > 0
    }

    /// Asks the connection to end, unless a request runs: another one needs its place.
    pub(crate) fn ask_to_leave(&self) {
        self.leave.send_replace(true);
    }

    /// Waits until the connection is asked to end; at once if it was.
    pub(crate) async fn asked_to_leave(&self) {
        // It cannot fail: the sender is here.
        let _ = self.leave.subscribe().wait_for(|leave| *leave).await;
    }

    /// When the connection became idle; `None` while a request runs.
    pub(crate) fn idle_since(&self) -> Option<Instant> {
        let idle = self.in_flight.load(Ordering::Relaxed) == 0;
        let since_ms = Duration::from_millis(self.last_end_ms.load(Ordering::Relaxed));
        idle.then(|| self.opened + since_ms)
    }
}

/// A request that runs.
#[derive(Debug)]
pub(crate) struct InFlight {
    pulse: Arc<Pulse>,
    is_stream: bool,
}

impl InFlight {
    /// For another part of the same request.
    pub(crate) fn again(&self) -> InFlight {
        self.pulse.begin()
    }

    /// For `bytes` of its answer, until they are taken.
    pub(crate) fn owes(&self, bytes: usize) -> Debt {
        self.pulse.owed.owe(bytes)
    }

    /// Its answer goes on until the peer, among others, ends it.
    pub(crate) fn becomes_a_stream(&mut self) {
        self.is_stream = true;
        self.pulse.streams.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if self.is_stream {
            self.pulse.streams.fetch_sub(1, Ordering::Relaxed);
        }
        // Fits 64 bits for half a billion years.
        let now_ms = self.pulse.opened.elapsed().as_millis() as u64;
        self.pulse.last_end_ms.store(now_ms, Ordering::Relaxed);
        self.pulse.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
