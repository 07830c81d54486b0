//! Threads that read from a store that must not be read on a runtime thread.
//!
//! Start reading at [`Readers::read`].

use crate::panics::caught;
use cortado_store::{Store, StoreError};
use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::{Semaphore, oneshot};

/// How many reads go on at once: a store that is far away has some of each, and none is asked by
/// more connections than it has.
pub(crate) const READERS: usize = 16;
/// How many reads are with the readers, those that go on among them. One beyond these waits as a
/// task, which costs no thread and can give up.
pub(crate) const READS_MAX: usize = 4 * READERS;

/// The readers of one store.
pub(crate) struct Readers {
    shared: Arc<Shared>,
    /// For each read that may still come.
    pub(crate) room: Arc<Semaphore>,
}

struct Shared {
    store: Arc<dyn Store>,
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    /// At most [`READS_MAX`], less those that go on.
    reads: VecDeque<Read>,
    ended: bool,
}

type Read = Box<dyn FnOnce(&dyn Store) + Send>;

impl Readers {
    pub(crate) fn new(store: Arc<dyn Store>) -> Readers {
        let shared = Shared { store, state: Mutex::default(), wake: Condvar::new() };
        Readers { shared: Arc::new(shared), room: Arc::new(Semaphore::new(READS_MAX)) }
    }

    /// What each of the [`READERS`] threads runs, until the end.
    pub(crate) fn reader(&self) -> impl FnOnce() + Send + 'static {
        let shared = Arc::clone(&self.shared);
        move || {
            while let Some(read) = shared.next() {
                read(shared.store.as_ref());
            }
        }
    }

    /// Lets a reader run `work`, and waits for it.
    ///
    /// # Errors
    /// What `work` answers, or [`StoreError::Failed`] if it panics or the readers end before.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let Ok(room) = Arc::clone(&self.room).acquire_owned().await else { return Err(closed()) };
        let (answer, answered) = oneshot::channel();
        self.shared.push(Box::new(move |store| {
            // The caller may have given up.
            if !answer.is_closed() {
                let read = caught(|| work(store)).unwrap_or_else(|panic| Err(panicked(&panic)));
                // Or gives up now.
                let _ = answer.send(read);
            }
            drop(room);
        }));
        answered.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Lets the readers finish what they are at, and refuses what waits.
    pub(crate) fn end(&self) {
        self.room.close();
        let mut state = self.shared.state.lock();
        state.ended = true;
        // Dropping a read tells its caller.
        let waiting = std::mem::take(&mut state.reads);
        drop(state);
        self.shared.wake.notify_all();
        drop(waiting);
    }
}

#[cfg(test)]
impl Readers {
    /// How many reads wait for a reader.
    pub(crate) fn waiting(&self) -> usize {
        self.shared.state.lock().reads.len()
    }
}

impl Shared {
    fn push(&self, read: Read) {
        let mut state = self.state.lock();
        if !state.ended {
            state.reads.push_back(read);
            drop(state);
            self.wake.notify_one();
        }
    }

    fn next(&self) -> Option<Read> {
        let mut state = self.state.lock();
        loop {
            if state.ended {
                return None;
            }
            if let Some(read) = state.reads.pop_front() {
                return Some(read);
            }
            self.wake.wait(&mut state);
        }
    }
}

fn closed() -> StoreError {
    StoreError::Failed { why: "the store is closed".to_owned() }
}

fn panicked(panic: &str) -> StoreError {
    StoreError::Failed { why: format!("a read panicked: {panic}") }
}
