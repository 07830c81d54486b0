//! The streams of beats that all nodes share, and what ails them.
//!
//! What is sent is kept by the in-memory streams of `cortado-log`. Start reading at
//! [`SharedBeats`].

use crate::kernel::time::Moment;
use cortado_log::memory::{MemoryBeats, StreamFault};
use cortado_model::BeatStream;

/// The streams that all nodes share, and what ails them.
#[derive(Debug)]
pub(super) struct SharedBeats {
    pub(super) memory: MemoryBeats,
    /// By stream: it is silent before.
    silent_until: Vec<Moment>,
}

impl SharedBeats {
    pub(super) fn new(streams: u32) -> SharedBeats {
        let memory = MemoryBeats::new(streams);
        let silent_until = vec![Moment::default(); memory.streams() as usize];
        SharedBeats { memory, silent_until }
    }

    pub(super) fn streams(&self) -> impl Iterator<Item = BeatStream> + use<> {
        (0..self.memory.streams()).map(BeatStream)
    }

    /// `stream` is silent in this way before `until`.
    pub(super) fn silence(&mut self, stream: BeatStream, fault: StreamFault, until: Moment) {
        self.memory.strike(stream, Some(fault));
        self.silent_until[stream.0 as usize] = until;
    }

    /// Mends the streams whose silence is over `now`.
    pub(super) fn mend(&mut self, now: Moment) {
        for stream in self.streams() {
            if self.silent_until[stream.0 as usize] <= now {
                self.memory.strike(stream, None);
            }
        }
    }

    /// Mends all.
    pub(super) fn heal(&mut self) {
        self.silent_until.fill(Moment::default());
        self.mend(Moment::default());
    }
}
