//! A node's own beats: which it has sent, and since when they come back on each stream.
//!
//! As long as they do, what is heard of others is what there is to hear. Start reading at
//! [`OwnBeats::trusted_since`]. Source: docs/protocols/failover.md, "Beats".

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::fmt;
use cortado_model::{BeatStream, Millis};

/// What one life of a node has sent, and what of it has come back.
#[derive(Clone, Debug)]
pub(super) struct OwnBeats {
    /// Beats sent so far.
    count: u64,
    /// When the last of them were sent, oldest first: those that may still come back in time.
    sent: VecDeque<Millis>,
    first_sent_at: Option<Millis>,
    /// By the number of the stream; `None` where none has come back so far.
    returns: Vec<Option<Returns>>,
    /// A beat that takes longer comes too late, and a stream on which none comes for longer is
    /// silent.
    gap_ms_max: u64,
}

/// The own beats that have come back on one stream.
#[derive(Clone, Copy, Debug)]
struct Returns {
    /// Since when they come without a gap.
    since: Millis,
    last_at: Millis,
}

/// Beat intervals between two own beats before a stream counts as silent.
const GAP_INTERVALS_MAX: u64 = 2;

impl OwnBeats {
    /// Nothing has been sent.
    ///
    /// * `streams`: how many there are; at least one.
    pub(super) fn new(streams: u32, beat_ms: u64) -> OwnBeats {
        OwnBeats {
            count: 0,
            sent: VecDeque::new(),
            first_sent_at: None,
            returns: (0..streams.max(1)).map(|_| None).collect(),
            gap_ms_max: GAP_INTERVALS_MAX.saturating_mul(beat_ms),
        }
    }

    /// One more is sent; answers its count.
    pub(super) fn send(&mut self, now: Millis) -> u64 {
        while self.sent.front().is_some_and(|at| now.since(*at) > self.gap_ms_max) {
            self.sent.pop_front();
        }
        self.sent.push_back(now);
        self.first_sent_at.get_or_insert(now);
        self.count += 1;
        self.count
    }

    /// One has come back on `stream`.
    pub(super) fn come_back(&mut self, now: Millis, stream: BeatStream, count: u64) {
        let in_time = self.sent_at(count).is_some_and(|at| now.since(at) <= self.gap_ms_max);
        let gap_ms_max = self.gap_ms_max;
        if let Some(returns) = self.returns.get_mut(stream.0 as usize)
            && in_time
        {
            let unbroken = returns.filter(|returns| returns.is_recent(now, gap_ms_max));
            let since = unbroken.map_or(now, |returns| returns.since);
            *returns = Some(Returns { since, last_at: now });
        }
    }

    /// When the first one was sent.
    pub(super) fn first_sent_at(&self) -> Option<Millis> {
        self.first_sent_at
    }

    /// Since when silence of others means that they are silent; `None` if it does not.
    pub(super) fn trusted_since(&self, now: Millis) -> Option<Millis> {
        let since = self.returns.iter().map(|returns| {
            returns
                .filter(|returns| returns.is_recent(now, self.gap_ms_max))
                .map(|known| known.since)
        });
        since.collect::<Option<Vec<_>>>()?.into_iter().max()
    }

    /// The streams on which own beats should have come back and have not.
    pub(super) fn silence(&self, now: Millis) -> Option<OwnSilence> {
        let first_sent_at = self.first_sent_at?;
        let last_at = |returns: &Option<Returns>| returns.map_or(first_sent_at, |r| r.last_at);
        let silent = |returns: &&Option<Returns>| now.since(last_at(returns)) > self.gap_ms_max;
        let streams = self.returns.iter().filter(silent).count() as u32;
        (streams > 0).then_some(OwnSilence { streams, of: self.returns.len() as u32 })
    }

    /// When the beat with this count was sent, if that is not long ago.
    fn sent_at(&self, count: u64) -> Option<Millis> {
        let back = self.count.checked_sub(count)?;
        let index = (self.sent.len() as u64).checked_sub(back.checked_add(1)?)?;
        self.sent.get(index as usize).copied()
    }
}

impl Returns {
    /// Whether the last one is not too long ago.
    fn is_recent(&self, now: Millis, gap_ms_max: u64) -> bool {
        now.since(self.last_at) <= gap_ms_max
    }
}

/// Own beats do not come back, so that the silence of other nodes means nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnSilence {
    /// On how many streams.
    pub streams: u32,
    /// How many there are.
    pub of: u32,
}

impl fmt::Display for OwnSilence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let OwnSilence { streams, of } = self;
        write!(f, "own beats do not come back on {streams} of {of} beat streams")
    }
}
