//! The log and the beats on the modelled cluster keep the port's promises.

use cortado_kafka_model::ClusterSettings;
use cortado_kafka_model::log::{KafkaMischief, KafkaModelBeats, KafkaModelLog};
use cortado_log::conformance::{
    BeatMischief, Fresh, FreshBeats, Mischief, Subject, run, run_beats,
};
use std::cell::RefCell;
use std::sync::Arc;

fn fresh(log: &KafkaModelLog) -> Fresh {
    let provoked = log.clone();
    let provoke = move |partition, mischief| {
        let mischief = match mischief {
            Mischief::SucceedWithoutPosition => KafkaMischief::SucceedWithoutPosition,
            Mischief::HoldNext => KafkaMischief::HoldNext,
            Mischief::ReleaseHeld => KafkaMischief::ReleaseHeld,
            Mischief::Skip { offsets } => KafkaMischief::Skip(offsets),
            Mischief::Lose { at } => KafkaMischief::Lose(at),
            Mischief::Truncate { end } => KafkaMischief::Truncate(end),
            Mischief::Replace => KafkaMischief::Replace,
        };
        provoked.provoke(partition, mischief);
        true
    };
    Fresh { log: Arc::new(log.clone()), provoke: Box::new(provoke) }
}

#[test]
fn the_log_on_the_model_conforms() {
    // What survives a process is the cluster.
    let held = RefCell::new(KafkaModelLog::new(ClusterSettings::quick(1)));
    run(Subject {
        fresh: &mut || {
            *held.borrow_mut() = KafkaModelLog::new(ClusterSettings::quick(2));
            fresh(&held.borrow())
        },
        reopen: Some(&mut |log| {
            drop(log);
            held.borrow().restart();
            Arc::new(held.borrow().clone())
        }),
    });
}

#[test]
fn the_log_on_a_single_broker_conforms() {
    let settings = ClusterSettings { brokers: 1, ..ClusterSettings::quick(3) };
    run(Subject { fresh: &mut || fresh(&KafkaModelLog::new(settings.clone())), reopen: None });
}

#[test]
fn the_beats_on_the_model_conform() {
    run_beats(&mut || {
        let beats = KafkaModelBeats::new(ClusterSettings::quick(4));
        let provoked = beats.clone();
        let provoke = move |stream, mischief| {
            match mischief {
                BeatMischief::Refuse => provoked.refuse(stream),
                BeatMischief::Hide => provoked.hide(stream, true),
                BeatMischief::Mend => provoked.hide(stream, false),
            }
            true
        };
        FreshBeats { beats: Arc::new(beats), provoke: Box::new(provoke) }
    });
}
