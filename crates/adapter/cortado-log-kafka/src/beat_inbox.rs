//! What followers of beats have not taken yet.
//!
//! Pure but for the lock and the wakers. Start reading at [`BeatInboxes`].

use bytes::Bytes;
use cortado_log::HeardBeat;
use cortado_model::BeatStream;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};

/// Beats of one stream that are kept for a slow follower: a minute of four nodes.
const BEATS_KEPT_MAX: usize = 1_024;

/// Where all streams stand, and who follows them.
#[derive(Debug)]
pub(crate) struct BeatInboxes {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    streams: Vec<StreamPlace>,
    followers: Vec<Weak<Mutex<BeatInbox>>>,
}

/// Offsets of a stream: one above the last, and 0 if there was none.
#[derive(Clone, Copy, Debug, Default)]
struct StreamPlace {
    /// Of what was heard.
    heard: u64,
    /// Of what was acknowledged to this process.
    sent: u64,
}

/// What one follower has not taken.
#[derive(Debug)]
pub(crate) struct BeatInbox {
    /// By stream: what stands before this was sent before it began to follow.
    from: Vec<u64>,
    /// By stream.
    beats: Vec<VecDeque<Bytes>>,
    waker: Option<Waker>,
}

impl BeatInboxes {
    /// Streams of which everything below `ends` is of the past.
    pub(crate) fn new(ends: &[u64]) -> BeatInboxes {
        let place = |end: &u64| StreamPlace { heard: *end, sent: 0 };
        let streams = ends.iter().map(place).collect();
        BeatInboxes { inner: Mutex::new(Inner { streams, followers: Vec::new() }) }
    }

    /// A beat was acknowledged at an offset.
    pub(crate) fn sent(&self, stream: BeatStream, offset: u64) {
        if let Some(place) = self.inner.lock().streams.get_mut(stream.0 as usize) {
            // In the order of the log; or back at the beginning, in a topic that was created anew.
            place.sent = offset + 1;
        }
    }

    /// A beat has come.
    pub(crate) fn heard(&self, stream: BeatStream, offset: u64, beat: &[u8]) {
        let at = stream.0 as usize;
        let mut inner = self.inner.lock();
        let Some(place) = inner.streams.get_mut(at) else { return };
        let is_anew = offset < place.heard;
        place.heard = offset + 1;
        let beat = Bytes::copy_from_slice(beat);
        inner.followers.retain(|follower| {
            let Some(follower) = follower.upgrade() else { return false };
            let mut follower = follower.lock();
            if is_anew {
                follower.begin_anew(at);
            }
            follower.put(at, offset, &beat);
            true
        });
    }

    /// The streams on which something was acknowledged that was not heard.
    pub(crate) fn unheard(&self) -> usize {
        let inner = self.inner.lock();
        inner.streams.iter().filter(|place| place.sent > place.heard).count()
    }

    /// Where each stream stands: one above what was heard.
    pub(crate) fn places(&self) -> Vec<u64> {
        self.inner.lock().streams.iter().map(|place| place.heard).collect()
    }

    /// Follows what is sent from now on.
    pub(crate) fn follow(&self) -> Arc<Mutex<BeatInbox>> {
        let mut inner = self.inner.lock();
        let from: Vec<u64> =
            inner.streams.iter().map(|place| place.heard.max(place.sent)).collect();
        let beats = from.iter().map(|_| VecDeque::new()).collect();
        let inbox = Arc::new(Mutex::new(BeatInbox { from, beats, waker: None }));
        inner.followers.push(Arc::downgrade(&inbox));
        inbox
    }
}

impl BeatInbox {
    /// The topic was created anew: offsets of the former one mean nothing in it.
    fn begin_anew(&mut self, stream: usize) {
        if let Some(from) = self.from.get_mut(stream) {
            *from = 0;
        }
    }

    fn put(&mut self, stream: usize, offset: u64, beat: &Bytes) {
        let (Some(from), Some(beats)) = (self.from.get(stream), self.beats.get_mut(stream)) else {
            return;
        };
        if offset < *from {
            return;
        }
        if beats.len() == BEATS_KEPT_MAX {
            beats.pop_front();
        }
        beats.push_back(beat.clone());
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// Takes what has come.
    pub(crate) fn poll(
        &mut self,
        context: &mut Context<'_>,
        heard: &mut Vec<HeardBeat>,
    ) -> Poll<()> {
        let before = heard.len();
        for (beats, number) in self.beats.iter_mut().zip(0..) {
            let stream = BeatStream(number);
            heard.extend(beats.drain(..).map(|beat| HeardBeat { stream, beat }));
        }
        if heard.len() > before {
            return Poll::Ready(());
        }
        self.waker = Some(context.waker().clone());
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S0: BeatStream = BeatStream(0);
    const S1: BeatStream = BeatStream(1);

    fn taken(inbox: &Mutex<BeatInbox>) -> Vec<String> {
        let mut heard = Vec::new();
        let _ = inbox.lock().poll(&mut Context::from_waker(Waker::noop()), &mut heard);
        let spell = |HeardBeat { stream, beat }| format!("{stream}{}", beat.escape_ascii());
        heard.into_iter().map(spell).collect()
    }

    #[test]
    fn a_follower_begins_behind_what_was_heard_and_what_was_acknowledged() {
        let inboxes = BeatInboxes::new(&[5, 0]);
        let early = inboxes.follow();
        inboxes.heard(S0, 5, b"a");
        inboxes.sent(S1, 0);
        assert_eq!(inboxes.unheard(), 1);
        let late = inboxes.follow();
        inboxes.heard(S1, 0, b"b");
        inboxes.heard(S1, 1, b"c");
        assert_eq!(taken(&early), ["0a", "1b", "1c"]);
        assert_eq!(taken(&late), ["1c"]);
        assert_eq!((inboxes.unheard(), inboxes.places()), (0, vec![6, 2]));
    }

    #[test]
    fn a_topic_that_was_created_anew_is_heard() {
        let inboxes = BeatInboxes::new(&[500]);
        let follower = inboxes.follow();
        inboxes.sent(S0, 500);
        inboxes.heard(S0, 0, b"a");
        assert_eq!(taken(&follower), ["0a"]);
        inboxes.sent(S0, 1);
        inboxes.heard(S0, 1, b"b");
        assert_eq!((taken(&follower), inboxes.unheard()), (vec!["0b".to_owned()], 0));
        inboxes.heard(S0, 2, b"c");
        inboxes.heard(S0, 3, b"d");
        assert_eq!(taken(&inboxes.follow()), [""; 0]);
    }

    #[test]
    fn a_slow_follower_misses_the_oldest_and_one_that_has_gone_nothing() {
        let inboxes = BeatInboxes::new(&[0]);
        let slow = inboxes.follow();
        drop(inboxes.follow());
        for offset in 0..=BEATS_KEPT_MAX as u64 {
            inboxes.heard(S0, offset, offset.to_string().as_bytes());
        }
        let taken = taken(&slow);
        assert_eq!((taken.len(), taken[0].as_str()), (BEATS_KEPT_MAX, "01"));
        assert_eq!(inboxes.inner.lock().followers.len(), 1);
    }
}
