//! The in-memory log keeps the port's promises.

use cortado_log::conformance::{Fresh, Subject, run};
use cortado_log::memory::SharedMemoryLog;
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
    // What survives a restart is what somebody holds on to.
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
