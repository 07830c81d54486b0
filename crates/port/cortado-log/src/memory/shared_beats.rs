//! The port of beats on top of the streams in memory, shared by all nodes of the process.
//!
//! Decides nothing: every answer is [`MemoryBeats`]'s. Start reading at [`SharedMemoryBeats`].

use super::beats::{BeatPlace, MemoryBeats, StreamFault};
use crate::{BeatFollower, BeatNotSent, Beats, HeardBeat, Pending};
use bytes::Bytes;
use cortado_model::BeatStream;
use std::future::ready;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// [`Beats`] in memory; clones share the streams and the faults.
#[derive(Clone, Debug)]
pub struct SharedMemoryBeats {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    beats: MemoryBeats,
    /// Followers that have heard everything; those that have gone are among them until the next
    /// beat.
    waiting: Vec<Waker>,
}

impl SharedMemoryBeats {
    /// The streams of a log with so many brokers; 0 counts as 1.
    pub fn new(streams: u32) -> SharedMemoryBeats {
        let state = State { beats: MemoryBeats::new(streams), waiting: Vec::new() };
        SharedMemoryBeats { state: Arc::new(Mutex::new(state)) }
    }

    /// Lets something go wrong with `stream` from now on; `None` mends it.
    pub fn strike(&self, stream: BeatStream, fault: Option<StreamFault>) {
        self.with(|beats| beats.strike(stream, fault));
    }

    /// Lets something go wrong, in the words of the conformance suite.
    #[cfg(feature = "conformance")]
    pub fn provoke(&self, stream: BeatStream, mischief: crate::conformance::BeatMischief) {
        use crate::conformance::BeatMischief;
        self.strike(
            stream,
            match mischief {
                BeatMischief::Refuse => Some(StreamFault::Refuses),
                BeatMischief::Hide => Some(StreamFault::Hides),
                BeatMischief::Mend => None,
            },
        );
    }

    /// Works on the streams, then wakes the followers.
    fn with<T>(&self, work: impl FnOnce(&mut MemoryBeats) -> T) -> T {
        let mut state = self.lock();
        let answer = work(&mut state.beats);
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
        answer
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No method of the streams leaves them half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The streams of a log on one machine.
impl Default for SharedMemoryBeats {
    fn default() -> SharedMemoryBeats {
        SharedMemoryBeats::new(1)
    }
}

impl Beats for SharedMemoryBeats {
    fn streams(&self) -> u32 {
        self.lock().beats.streams()
    }

    fn send(&self, beat: Bytes) -> Pending<Result<(), BeatNotSent>> {
        let sent = self.with(|beats| {
            let streams = (0..beats.streams()).map(BeatStream);
            let each = streams.map(|stream| {
                let sent = beats.send_now(stream, beat.clone());
                sent.map_err(|cause| BeatNotSent { stream, cause })
            });
            // On every stream, whatever becomes of the others.
            each.collect::<Vec<_>>().into_iter().collect()
        });
        Box::pin(ready(sent))
    }

    fn follow(&self) -> Box<dyn BeatFollower> {
        Box::new(MemoryFollower { streams: self.clone(), place: self.lock().beats.end() })
    }
}

struct MemoryFollower {
    streams: SharedMemoryBeats,
    place: BeatPlace,
}

impl BeatFollower for MemoryFollower {
    fn poll_heard(&mut self, context: &mut Context<'_>, heard: &mut Vec<HeardBeat>) -> Poll<()> {
        let mut state = self.streams.lock();
        let before = heard.len();
        state.beats.take_from(&mut self.place, heard);
        if heard.len() > before {
            return Poll::Ready(());
        }
        let waker = context.waker();
        if !state.waiting.iter().any(|known| known.will_wake(waker)) {
            state.waiting.push(waker.clone());
        }
        Poll::Pending
    }
}
