//! Streams of beats in memory, which refuse or hide beats as they are told to.
//!
//! Pure like [`MemoryLog`](super::MemoryLog): no clock, no thread. Start reading at
//! [`MemoryBeats`].

use crate::{Cause, HeardBeat};
use bytes::Bytes;
use cortado_model::BeatStream;
use std::collections::VecDeque;

/// Beats of a stream that are kept for slow followers: a minute of four nodes.
const BEATS_KEPT_MAX: usize = 1_024;

/// The last beats of each stream.
#[derive(Clone, Debug)]
pub struct MemoryBeats {
    streams: Vec<Stream>,
}

#[derive(Clone, Debug, Default)]
struct Stream {
    /// The number of the oldest that is kept; each stream counts its own from 0.
    first: u64,
    kept: VecDeque<Bytes>,
    fault: Option<StreamFault>,
    /// Followers see nothing from here on while beats are hidden.
    hidden_from: u64,
}

/// What is wrong with a stream. Closed: a new way is a new variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamFault {
    /// Nothing more is taken, and the senders hear so.
    Refuses,
    /// Beats are taken, and shown to no follower until it is mended.
    Hides,
}

/// Where a follower of all streams stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BeatPlace(Vec<u64>);

impl MemoryBeats {
    /// Streams on which nothing was ever sent.
    ///
    /// * `streams`: how many; 0 counts as 1.
    pub fn new(streams: u32) -> MemoryBeats {
        MemoryBeats { streams: (0..streams.max(1)).map(|_| Stream::default()).collect() }
    }

    /// How many streams there are.
    pub fn streams(&self) -> u32 {
        self.streams.len() as u32
    }

    /// Puts `beat` on `stream`.
    ///
    /// # Errors
    /// The stream refuses it, or does not exist.
    pub fn send_now(&mut self, stream: BeatStream, beat: Bytes) -> Result<(), Cause> {
        let known = self.streams.get_mut(stream.0 as usize).ok_or(Cause::Missing)?;
        if known.fault == Some(StreamFault::Refuses) {
            return Err(Cause::refused("told to refuse beats"));
        }
        known.kept.push_back(beat);
        if known.kept.len() > BEATS_KEPT_MAX {
            known.kept.pop_front();
            known.first += 1;
        }
        Ok(())
    }

    /// Behind everything that was sent.
    pub fn end(&self) -> BeatPlace {
        BeatPlace(self.streams.iter().map(Stream::end).collect())
    }

    /// Adds what is shown from `place` on to `heard`, and moves `place` behind it.
    pub fn take_from(&self, place: &mut BeatPlace, heard: &mut Vec<HeardBeat>) {
        for (number, (stream, next)) in self.streams.iter().zip(&mut place.0).enumerate() {
            let end = stream.shown_end();
            let from = (*next).max(stream.first).min(end);
            let skipped = (from - stream.first) as usize;
            let shown = stream.kept.iter().skip(skipped).take((end - from) as usize);
            let stream = BeatStream(number as u32);
            heard.extend(shown.map(|beat| HeardBeat { stream, beat: beat.clone() }));
            *next = (*next).max(end);
        }
    }

    /// Lets something go wrong with `stream` from now on; `None` mends it.
    pub fn strike(&mut self, stream: BeatStream, fault: Option<StreamFault>) {
        if let Some(known) = self.streams.get_mut(stream.0 as usize) {
            known.hidden_from = known.shown_end();
            known.fault = fault;
        }
    }
}

impl Stream {
    fn end(&self) -> u64 {
        self.first + self.kept.len() as u64
    }

    fn shown_end(&self) -> u64 {
        match self.fault {
            // What is hidden for long is no longer kept.
            Some(StreamFault::Hides) => self.hidden_from.max(self.first),
            Some(StreamFault::Refuses) | None => self.end(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S0: BeatStream = BeatStream(0);

    /// What is heard from `place` on, as texts with the number of their stream.
    #[track_caller]
    fn check(beats: &MemoryBeats, place: &mut BeatPlace, want: &[&str]) {
        let mut heard = Vec::new();
        beats.take_from(place, &mut heard);
        let spell = |HeardBeat { stream, beat }| format!("{stream}{}", beat.escape_ascii());
        assert_eq!(heard.into_iter().map(spell).collect::<Vec<_>>(), want);
    }

    fn send(beats: &mut MemoryBeats, text: &'static str) {
        for stream in 0..beats.streams() {
            let _ = beats.send_now(BeatStream(stream), Bytes::from_static(text.as_bytes()));
        }
    }

    #[test]
    fn a_place_stands_behind_what_was_sent_before() {
        let mut beats = MemoryBeats::new(2);
        send(&mut beats, "a");
        let mut place = beats.end();
        check(&beats, &mut place, &[]);
        send(&mut beats, "b");
        check(&beats, &mut place, &["0b", "1b"]);
        check(&beats, &mut place, &[]);
    }

    #[test]
    fn a_slow_follower_misses_the_oldest() {
        let mut beats = MemoryBeats::new(1);
        let mut place = beats.end();
        (0..BEATS_KEPT_MAX).for_each(|_| send(&mut beats, "a"));
        send(&mut beats, "b");
        let mut heard = Vec::new();
        beats.take_from(&mut place, &mut heard);
        assert_eq!((heard.len(), &heard[BEATS_KEPT_MAX - 1].beat[..]), (BEATS_KEPT_MAX, &b"b"[..]));
    }

    #[test]
    fn what_is_hidden_comes_when_it_is_mended() {
        let mut beats = MemoryBeats::new(2);
        let mut place = beats.end();
        send(&mut beats, "a");
        beats.strike(S0, Some(StreamFault::Hides));
        send(&mut beats, "b");
        check(&beats, &mut place, &["0a", "1a", "1b"]);
        // A follower that begins meanwhile stands behind what it cannot see.
        let mut later = beats.end();
        send(&mut beats, "c");
        beats.strike(S0, None);
        check(&beats, &mut place, &["0b", "0c", "1c"]);
        check(&beats, &mut later, &["0c", "1c"]);
    }

    #[test]
    fn a_stream_that_refuses_says_so() {
        let mut beats = MemoryBeats::new(1);
        beats.strike(S0, Some(StreamFault::Refuses));
        assert!(matches!(beats.send_now(S0, Bytes::new()), Err(Cause::Refused(_))));
        assert!(matches!(beats.send_now(BeatStream(1), Bytes::new()), Err(Cause::Missing)));
        beats.strike(S0, None);
        assert!(beats.send_now(S0, Bytes::new()).is_ok());
    }
}
