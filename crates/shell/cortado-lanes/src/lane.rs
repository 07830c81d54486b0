//! A thread that applies: it takes all batches that wait and commits them together.
//!
//! Start reading at [`Lane::run`].

use crate::observer::LaneObserver;
use crate::panics::caught;
use crate::queue::{Applying, Job, Queue, Turn};
use cortado_model::{Batch, PartitionId};
use cortado_store::{Store, StoreError};
use parking_lot::{Condvar, Mutex};
use std::sync::Arc;
use std::time::Instant;
use tracing::error;

/// Applies to one store, on all threads that [run](Self::run) it.
pub(crate) struct Lane {
    store: Arc<dyn Store>,
    observer: Box<dyn LaneObserver>,
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    queue: Queue,
    /// Why nothing begins any more.
    ended: Option<StoreError>,
}

impl Lane {
    pub(crate) fn new(store: Arc<dyn Store>, observer: Box<dyn LaneObserver>) -> Lane {
        Lane { store, observer, state: Mutex::default(), wake: Condvar::new() }
    }

    /// Puts a job in line, or refuses it at once if the lanes have ended.
    pub(crate) fn submit(&self, partition: PartitionId, job: Job) {
        let mut state = self.state.lock();
        if let Some(why) = state.ended.clone() {
            drop(state);
            job.refuse(why);
            return;
        }
        let begins = state.queue.push(partition, job);
        drop(state);
        if begins {
            self.wake.notify_one();
        }
    }

    /// Begins nothing any more, and refuses what waits. `false` if that was so already.
    pub(crate) fn end(&self, why: &StoreError) -> bool {
        let mut state = self.state.lock();
        let ends = state.ended.is_none();
        state.ended.get_or_insert_with(|| why.clone());
        let waiting = state.queue.drain();
        drop(state);
        self.wake.notify_all();
        for job in waiting {
            if let Err(panic) = caught(|| job.refuse(why.clone())) {
                error!(panic, "callback of a store lane panicked");
            }
        }
        ends
    }

    /// Works until the lanes end.
    pub(crate) fn run(&self) {
        while let Some(turn) = self.next_turn() {
            match turn {
                Turn::Commit(batches) => self.commit(batches),
                Turn::Run(partition, work) => {
                    if let Err(panic) = caught(|| work(Ok(self.store.as_ref()))) {
                        self.break_off(&panic);
                    }
                    self.state.lock().queue.release(partition);
                }
            }
        }
    }

    fn next_turn(&self) -> Option<Turn> {
        let mut state = self.state.lock();
        loop {
            if state.ended.is_some() {
                return None;
            }
            if let Some(turn) = state.queue.take() {
                if state.queue.is_ready() {
                    // For another lane, if one sleeps.
                    self.wake.notify_one();
                }
                return Some(turn);
            }
            self.wake.wait(&mut state);
        }
    }

    fn commit(&self, applying: Vec<Applying>) {
        let mut batches = Vec::with_capacity(applying.len());
        let mut waiting = Vec::with_capacity(applying.len());
        for Applying { partition, batch, done } in applying {
            batches.push((partition, batch));
            waiting.push((partition, done));
        }
        let outcomes = self.outcomes(batches);
        let mut partitions = Vec::with_capacity(waiting.len());
        for ((partition, done), outcome) in waiting.into_iter().zip(outcomes) {
            if let Err(panic) = caught(|| done(outcome)) {
                self.break_off(&panic);
            }
            partitions.push(partition);
        }
        let mut state = self.state.lock();
        partitions.into_iter().for_each(|partition| state.queue.release(partition));
    }

    /// What becomes of each batch.
    ///
    /// A commit that is refused for want of room or for damage is taken apart, so that only the
    /// partitions hear of it that cannot be applied.
    fn outcomes(&self, batches: Vec<(PartitionId, Batch)>) -> Vec<Result<(), StoreError>> {
        let count = batches.len();
        // A single one needs no second try.
        let again = if count > 1 { batches.clone() } else { Vec::new() };
        let together = self.call(batches);
        match together {
            Err(StoreError::Full { .. } | StoreError::Damaged { .. }) if count > 1 => {
                let mut outcomes = Vec::with_capacity(count);
                for one in again {
                    let outcome = match outcomes.last() {
                        // A store that has failed is not asked again.
                        Some(Err(failed @ StoreError::Failed { .. })) => Err(failed.clone()),
                        Some(
                            Ok(()) | Err(StoreError::Full { .. } | StoreError::Damaged { .. }),
                        )
                        | None => self.call(vec![one]),
                    };
                    outcomes.push(outcome);
                }
                outcomes
            }
            Ok(()) | Err(_) => vec![together; count],
        }
    }

    /// One commit, timed.
    fn call(&self, batches: Vec<(PartitionId, Batch)>) -> Result<(), StoreError> {
        let begun = Instant::now();
        self.observer.begun();
        let applied = caught(|| self.store.apply(batches));
        let took = begun.elapsed();
        let applied = applied.unwrap_or_else(|panic| Err(self.break_off(&panic)));
        self.observer.ended(took, &applied);
        applied
    }

    /// A panic in a lane: what it was at is half done, so nothing goes on.
    fn break_off(&self, panic: &str) -> StoreError {
        error!(panic, "store lane panicked");
        let why = format!("store lane panicked: {panic}");
        let failed = StoreError::Failed { why: why.clone() };
        if self.end(&failed) {
            self.observer.broken(why);
        }
        failed
    }
}
