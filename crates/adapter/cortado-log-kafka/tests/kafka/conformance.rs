//! The suites of the ports, on three brokers.

use crate::cluster::{Tools, open, runtime, settings, shared_brokers, topic_of};
use crate::markers::append_markers;
use cortado_log::conformance::{Fresh, FreshBeats, Mischief, Subject, run, run_beats};
use cortado_log_kafka::{KafkaBeats, KafkaSettings};
use std::cell::RefCell;
use std::sync::Arc;
use tokio::runtime::Runtime;

/// What can be done to a real log: the rest is in the tests beside this one.
fn provoke(runtime: &Runtime, tools: &Tools, settings: &KafkaSettings, mischief: Mischief) -> bool {
    let spec = crate::cluster::spec(8);
    let topic = topic_of(settings, &cortado_log::LogSpec { uuid: SUITE, ..spec });
    match mischief {
        Mischief::Skip { offsets } => {
            append_markers(&tools.broker_leader(&topic, 0), &topic, 0, offsets);
            true
        }
        Mischief::Replace => {
            tools.delete_topic(runtime, &topic);
            tools.create_topic(runtime, &topic, 8, 3);
            true
        }
        Mischief::SucceedWithoutPosition
        | Mischief::HoldNext
        | Mischief::ReleaseHeld
        | Mischief::Lose { .. }
        | Mischief::Truncate { .. } => false,
    }
}

/// Of the suite's database.
const SUITE: cortado_model::PartitionUuid = cortado_model::PartitionUuid(0xC0FFEE);

#[test]
fn the_log_on_kafka_conforms() {
    let Some(brokers) = shared_brokers() else { return };
    let (runtime, tools) = (Arc::new(runtime()), Arc::new(Tools::new(&brokers.bootstrap())));
    let _entered = runtime.enter();
    let used = RefCell::new(settings(brokers.bootstrap()));
    run(Subject {
        fresh: &mut || {
            *used.borrow_mut() = settings(brokers.bootstrap());
            let settings = used.borrow().clone();
            let log = Arc::new(open(&runtime, &settings));
            let (runtime, tools) = (Arc::clone(&runtime), Arc::clone(&tools));
            let provoke = move |partition: cortado_model::PartitionId, mischief| {
                assert_eq!(partition.number, 0);
                provoke(&runtime, &tools, &settings, mischief)
            };
            Fresh { log, provoke: Box::new(provoke) }
        },
        reopen: Some(&mut |log| {
            drop(log);
            Arc::new(open(&runtime, &used.borrow()))
        }),
    });
}

#[test]
fn the_beats_on_kafka_conform() {
    let Some(brokers) = shared_brokers() else { return };
    let runtime = runtime();
    let _entered = runtime.enter();
    run_beats(&mut || {
        let beats = runtime.block_on(KafkaBeats::open(settings(brokers.bootstrap()))).unwrap();
        FreshBeats { beats: Arc::new(beats), provoke: Box::new(|_, _| false) }
    });
}
