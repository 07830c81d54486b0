//! The suite of beats notices each of these broken streams: a rule that cannot fail is no rule.

use bytes::Bytes;
use cortado_log::conformance::{FreshBeats, run_beats};
use cortado_log::memory::SharedMemoryBeats;
use cortado_log::{BeatFollower, BeatNotSent, Beats, HeardBeat, Pending};
use cortado_model::BeatStream;
use std::future::ready;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

/// One promise that is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Defect {
    /// There is no stream.
    HasNoStream,
    /// All streams are one.
    MixesStreams,
    /// A beat is told twice.
    TellsTwice,
    /// What comes together comes backwards.
    TellsBackwards,
    /// A follower begins with what was sent before.
    TellsThePast,
    /// A slow follower misses what is neither old nor new.
    LosesTheMiddle,
    /// A refusal looks like success.
    HidesRefusals,
    /// A refusal names another stream.
    BlamesAnother,
}

/// Streams with a defect.
#[derive(Clone)]
struct Broken {
    beats: SharedMemoryBeats,
    defect: Defect,
    /// Has followed from the beginning.
    past: Arc<Mutex<Option<Box<dyn BeatFollower>>>>,
}

impl Broken {
    fn has(&self, defect: Defect) -> bool {
        self.defect == defect
    }
}

impl Beats for Broken {
    fn streams(&self) -> u32 {
        if self.has(Defect::HasNoStream) { 0 } else { self.beats.streams() }
    }

    fn send(&self, beat: Bytes) -> Pending<Result<(), BeatNotSent>> {
        let sent = self.beats.send(beat);
        if self.has(Defect::HidesRefusals) {
            return Box::pin(ready(Ok(())));
        }
        let blames = self.has(Defect::BlamesAnother);
        Box::pin(async move {
            sent.await.map_err(|error| {
                if blames { BeatNotSent { stream: BeatStream(0), ..error } } else { error }
            })
        })
    }

    fn follow(&self) -> Box<dyn BeatFollower> {
        let past = self.past.lock().expect("nothing panics under it").take();
        let past = past.filter(|_| self.has(Defect::TellsThePast));
        let follower = past.unwrap_or_else(|| self.beats.follow());
        Box::new(BrokenFollower { follower, broken: self.clone() })
    }
}

struct BrokenFollower {
    follower: Box<dyn BeatFollower>,
    broken: Broken,
}

impl BeatFollower for BrokenFollower {
    fn poll_heard(&mut self, context: &mut Context<'_>, heard: &mut Vec<HeardBeat>) -> Poll<()> {
        let mut new = Vec::new();
        let polled = self.follower.poll_heard(context, &mut new);
        if self.broken.has(Defect::MixesStreams) {
            new.iter_mut().for_each(|heard| heard.stream = BeatStream(0));
        }
        if self.broken.has(Defect::TellsBackwards) {
            new.reverse();
        }
        if self.broken.has(Defect::LosesTheMiddle) && new.len() > 1_000 {
            new.remove(100);
        }
        let again = new.first().filter(|_| self.broken.has(Defect::TellsTwice)).cloned();
        heard.extend(new.into_iter().chain(again));
        polled
    }
}

/// The suite fails, and its message names a rule that has `rule` in its name.
#[track_caller]
fn check(defect: Defect, rule: &str) {
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        run_beats(&mut || {
            let beats = SharedMemoryBeats::new(2);
            let past = Arc::new(Mutex::new(Some(beats.follow())));
            let broken = Broken { beats: beats.clone(), defect, past };
            let provoke = move |stream, mischief| {
                beats.provoke(stream, mischief);
                true
            };
            FreshBeats { beats: Arc::new(broken), provoke: Box::new(provoke) }
        });
    }));
    let panic = outcome.expect_err("the suite has not noticed the defect");
    let text = panic.downcast_ref::<String>().expect("assertions have texts");
    assert!(text.contains(rule), "{defect:?} was noticed as: {text}");
}

#[test]
fn the_suite_notices_every_defect_of_beats() {
    check(Defect::HasNoStream, "a beat comes on every stream");
    check(Defect::MixesStreams, "a beat comes on every stream");
    check(Defect::TellsTwice, "a beat comes on every stream");
    check(Defect::TellsBackwards, "the order of sending");
    check(Defect::TellsThePast, "a follower begins behind what was sent");
    check(Defect::LosesTheMiddle, "a slow follower delays no other");
    check(Defect::HidesRefusals, "what is refused is told");
    check(Defect::BlamesAnother, "what is refused is told");
}
