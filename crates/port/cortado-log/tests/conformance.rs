//! The log and the beats in memory keep the port's promises.

use cortado_log::conformance::{Fresh, FreshBeats, Subject, run, run_beats};
use cortado_log::memory::{SharedMemoryBeats, SharedMemoryLog};
use std::cell::RefCell;
use std::sync::Arc;

fn fresh(log: &SharedMemoryLog) -> Fresh {
    let provoked = log.clone();
    let provoke = move |partition, mischief| {
        provoked.provoke(partition, mischief);
        true
    };
    Fresh { log: Arc::new(log.clone()), provoke: Box::new(provoke) }
}

#[test]
fn the_memory_log_conforms() {
    // What survives a restart is what a caller holds on to.
    let held = RefCell::new(SharedMemoryLog::new());
    run(Subject {
        fresh: &mut || {
            *held.borrow_mut() = SharedMemoryLog::new();
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
fn the_memory_log_of_many_machines_conforms() {
    run(Subject { fresh: &mut || fresh(&SharedMemoryLog::of_many_machines()), reopen: None });
}

#[test]
fn the_beats_in_memory_conform() {
    for streams in [1, 3] {
        run_beats(&mut || {
            let beats = SharedMemoryBeats::new(streams);
            let provoked = beats.clone();
            let provoke = move |stream, mischief| {
                provoked.provoke(stream, mischief);
                true
            };
            FreshBeats { beats: Arc::new(beats), provoke: Box::new(provoke) }
        });
    }
}
