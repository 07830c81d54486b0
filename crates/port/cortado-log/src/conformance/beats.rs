//! What every implementation of the port of beats must do, as one suite that its tests run.
//!
//! The suite knows only the port: it waits for beats, never for time. Start reading at
//! [`run_beats`].

use super::case::{block_on, records};
use super::naming::Naming;
use crate::{BeatFollower, BeatNotSent, Beats, HeardBeat, beats_of};
use bytes::Bytes;
use cortado_model::BeatStream;
use std::sync::Arc;
use std::thread;

/// Streams on which nothing was ever sent.
pub struct FreshBeats {
    /// The streams.
    pub beats: Arc<dyn Beats>,
    /// Lets something go wrong with one of them; answers `false` where the implementation cannot be
    /// made to do so, and the rule is passed over.
    pub provoke: Box<dyn Fn(BeatStream, BeatMischief) -> bool>,
}

/// What can go wrong with a stream of beats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BeatMischief {
    /// It takes nothing more, and says so.
    Refuse,
    /// It takes beats, and shows none.
    Hide,
    /// It works again.
    Mend,
}

/// Runs every rule on streams of its own.
///
/// * `fresh`: is called once for every rule.
///
/// # Panics
/// When a rule is broken; standard error names it.
pub fn run_beats(fresh: &mut dyn FnMut() -> FreshBeats) {
    for (name, rule) in RULES {
        let _naming = Naming(name);
        rule(&Case { name, fresh: fresh() });
    }
}

type Rule = fn(&Case<'_>);

const RULES: &[(&str, Rule)] = &[
    ("a beat comes on every stream", a_beat_comes_on_every_stream),
    ("beats come in the order of sending", beats_come_in_order),
    ("every follower hears every beat", every_follower_hears_every_beat),
    ("a follower begins behind what was sent", a_follower_begins_behind_what_was_sent),
    ("a follower that waits is woken", a_follower_that_waits_is_woken),
    ("a slow follower delays no other", a_slow_follower_delays_no_other),
    ("what is refused is told", what_is_refused_is_told),
    ("one stream's silence is not another's", one_streams_silence_is_not_anothers),
];

/// One rule on streams of its own.
struct Case<'a> {
    name: &'a str,
    fresh: FreshBeats,
}

impl Case<'_> {
    fn beats(&self) -> &dyn Beats {
        self.fresh.beats.as_ref()
    }

    fn streams(&self) -> Vec<BeatStream> {
        (0..self.beats().streams()).map(BeatStream).collect()
    }

    fn send(&self, text: &str) -> Result<(), BeatNotSent> {
        block_on(self.beats().send(Bytes::copy_from_slice(text.as_bytes())))
    }

    #[track_caller]
    fn send_all(&self, texts: &[&str]) {
        for text in texts {
            self.send(text).unwrap_or_else(|error| panic!("{}: {error}", self.name));
        }
    }

    fn provoke(&self, stream: BeatStream, mischief: BeatMischief) -> bool {
        (self.fresh.provoke)(stream, mischief)
    }

    /// Awaits `texts` on each of `streams`, in their order, and nothing else.
    #[track_caller]
    fn expect(&self, follower: &mut dyn BeatFollower, streams: &[BeatStream], texts: &[&str]) {
        let mut heard = Vec::new();
        while heard.len() < texts.len() * streams.len() {
            block_on(beats_of(follower, &mut heard));
        }
        for stream in streams {
            assert_eq!(of_stream(&heard, *stream), records(texts), "{}: {stream}", self.name);
        }
        assert_eq!(heard.len(), texts.len() * streams.len(), "{}: {heard:?}", self.name);
    }
}

fn of_stream(heard: &[HeardBeat], stream: BeatStream) -> Vec<Bytes> {
    let heard = heard.iter().filter(|heard| heard.stream == stream);
    heard.map(|heard| heard.beat.clone()).collect()
}

fn a_beat_comes_on_every_stream(case: &Case<'_>) {
    let mut follower = case.beats().follow();
    assert!(!case.streams().is_empty(), "{}: no beat streams", case.name);
    case.send_all(&["a"]);
    case.expect(follower.as_mut(), &case.streams(), &["a"]);
}

fn beats_come_in_order(case: &Case<'_>) {
    let mut follower = case.beats().follow();
    let texts = ["a", "b", "c", "d", "e"];
    // All at once: no sender waits for an answer before the next one.
    let send = |text: &&str| case.beats().send(Bytes::copy_from_slice(text.as_bytes()));
    let pending: Vec<_> = texts.iter().map(send).collect();
    for sent in pending {
        assert!(block_on(sent).is_ok(), "{}", case.name);
    }
    case.expect(follower.as_mut(), &case.streams(), &texts);
}

fn every_follower_hears_every_beat(case: &Case<'_>) {
    let (mut one, mut other) = (case.beats().follow(), case.beats().follow());
    case.send_all(&["a", "b"]);
    case.expect(one.as_mut(), &case.streams(), &["a", "b"]);
    case.expect(other.as_mut(), &case.streams(), &["a", "b"]);
    drop(one);
    case.send_all(&["c"]);
    case.expect(other.as_mut(), &case.streams(), &["c"]);
}

/// Or a node would take the past for the present.
fn a_follower_begins_behind_what_was_sent(case: &Case<'_>) {
    case.send_all(&["a", "b"]);
    let mut follower = case.beats().follow();
    case.send_all(&["c"]);
    case.expect(follower.as_mut(), &case.streams(), &["c"]);
}

fn a_follower_that_waits_is_woken(case: &Case<'_>) {
    let mut follower = case.beats().follow();
    let (beats, streams) = (case.beats(), case.streams());
    thread::scope(|scope| {
        let waits = scope.spawn(move || {
            let mut heard = Vec::new();
            while heard.len() < 100 * streams.len() {
                block_on(beats_of(follower.as_mut(), &mut heard));
            }
            heard
        });
        for _ in 0..100 {
            assert!(block_on(beats.send(Bytes::from_static(b"a"))).is_ok(), "{}", case.name);
        }
        waits.join().expect("the follower has heard them");
    });
}

fn a_slow_follower_delays_no_other(case: &Case<'_>) {
    let (mut slow, mut quick) = (case.beats().follow(), case.beats().follow());
    let streams = case.streams();
    for number in 0..3_000 {
        let text = number.to_string();
        case.send_all(&[&text]);
        case.expect(quick.as_mut(), &streams, &[&text]);
    }
    let mut heard = Vec::new();
    let is_last = |heard: &HeardBeat| heard.beat == "2999";
    while heard.iter().filter(|heard| is_last(heard)).count() < streams.len() {
        block_on(beats_of(slow.as_mut(), &mut heard));
    }
    // It may have missed the oldest, and nothing between.
    for stream in streams {
        let texts: Vec<String> = (0..3_000).map(|number: u32| number.to_string()).collect();
        let heard = of_stream(&heard, stream);
        let newest = texts.iter().skip(3_000 - heard.len());
        assert!(heard.iter().eq(newest), "{}: {stream}: {}", case.name, heard.len());
    }
}

fn what_is_refused_is_told(case: &Case<'_>) {
    let mut follower = case.beats().follow();
    let streams = case.streams();
    let last = streams[streams.len() - 1];
    if !case.provoke(last, BeatMischief::Refuse) {
        return;
    }
    let refused = case.send("a");
    assert!(matches!(&refused, Err(error) if error.stream == last), "{}: {refused:?}", case.name);
    assert!(case.provoke(last, BeatMischief::Mend), "{}", case.name);
    case.send_all(&["b"]);
    let mut heard = Vec::new();
    while of_stream(&heard, last).is_empty() {
        block_on(beats_of(follower.as_mut(), &mut heard));
    }
    assert_eq!(of_stream(&heard, last), records(&["b"]), "{}", case.name);
}

fn one_streams_silence_is_not_anothers(case: &Case<'_>) {
    let mut follower = case.beats().follow();
    let streams = case.streams();
    let (first, others) = (streams[0], &streams[1..]);
    for mischief in [BeatMischief::Refuse, BeatMischief::Hide] {
        if !case.provoke(first, mischief) {
            continue;
        }
        // Whatever becomes of it there.
        let _ = case.send("a");
        if !others.is_empty() {
            case.expect(follower.as_mut(), others, &["a"]);
        }
        assert!(case.provoke(first, BeatMischief::Mend), "{}", case.name);
        if mischief == BeatMischief::Hide {
            case.expect(follower.as_mut(), &[first], &["a"]);
        }
        case.send_all(&["b"]);
        case.expect(follower.as_mut(), &streams, &["b"]);
    }
}
