//! The threads that call a node's store, so that no runtime thread has to wait for it.
//!
//! Decides nothing about what is applied or read. What is asked of one partition keeps its order;
//! batches of many partitions share a commit. Start reading at [`StoreLanes::apply`], then `Lane`.

mod lane;
mod observer;
mod panics;
mod queue;
mod readers;

pub use observer::LaneObserver;

use cortado_model::{Batch, NodeId, PartitionId};
use cortado_store::{Store, StoreError};
use lane::Lane;
use parking_lot::Mutex;
use queue::Job;
use readers::Readers;
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::task::spawn_blocking;

/// The threads of one store in one life of its node.
///
/// A *lane* is a thread that applies; a store has as many as are of use to it. Reads take a lane's
/// time only where they ask for their place in the order of a partition.
pub struct StoreLanes {
    store: Arc<dyn Store>,
    lane: Arc<Lane>,
    /// `None` for a store whose reads are inline.
    readers: Option<Readers>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl StoreLanes {
    /// Starts the threads of `store`, the store of `node`.
    ///
    /// They run as urgently as who serves requests: an answer waits for an apply.
    ///
    /// # Errors
    /// [`StoreError::Failed`]: a thread cannot be started, and none was left.
    pub fn start(
        node: NodeId,
        store: Arc<dyn Store>,
        observer: impl LaneObserver,
    ) -> Result<StoreLanes, StoreError> {
        let traits = store.traits();
        let lane = Arc::new(Lane::new(Arc::clone(&store), Box::new(observer)));
        let readers = (!traits.reads_inline).then(|| Readers::new(Arc::clone(&store)));
        // From here on, an early return ends what was started.
        let lanes = StoreLanes { store, lane, readers, threads: Mutex::default() };
        for number in 0..traits.lanes.max(1) {
            let lane = Arc::clone(&lanes.lane);
            lanes.spawn(format!("{node}-store{number}"), move || lane.run())?;
        }
        if let Some(readers) = &lanes.readers {
            for number in 0..readers::READERS {
                lanes.spawn(format!("{node}-read{number}"), readers.reader())?;
            }
        }
        Ok(lanes)
    }

    fn spawn(&self, name: String, run: impl FnOnce() + Send + 'static) -> Result<(), StoreError> {
        let spawned = std::thread::Builder::new().name(name).spawn(run);
        let failed = |error| StoreError::Failed { why: format!("no thread for it: {error}") };
        self.threads.lock().push(spawned.map_err(failed)?);
        Ok(())
    }

    /// Applies `batch` behind everything that was asked of `partition` before, in one commit with
    /// other partitions' batches that wait. Does not wait itself.
    ///
    /// * `done`: told whether the batch has become visible, once and on a lane, which it must not
    ///   hold up; on this thread if the lanes have ended. An error is of this batch, or of the
    ///   whole store.
    pub fn apply(
        &self,
        partition: PartitionId,
        batch: Batch,
        done: impl FnOnce(Result<(), StoreError>) + Send + 'static,
    ) {
        self.lane.submit(partition, Job::Apply { batch, done: Box::new(done) });
    }

    /// Runs `work` between what was asked of `partition` before and what will be asked after: the
    /// store is then exactly as the last batch has left it. Does not wait itself.
    ///
    /// * `work`: called once and on a lane, which it must not hold up: it takes a view, and who
    ///   has much to read goes on elsewhere. On this thread, with an error, if the lanes have
    ///   ended.
    pub fn run(
        &self,
        partition: PartitionId,
        work: impl FnOnce(Result<&dyn Store, StoreError>) + Send + 'static,
    ) {
        self.lane.submit(partition, Job::Run(Box::new(work)));
    }

    /// The store, for who may block.
    pub fn store(&self) -> &dyn Store {
        self.store.as_ref()
    }

    /// The store, if it may be read on this thread: for short reads, such as a few calls of a view.
    pub fn inline(&self) -> Option<&dyn Store> {
        self.readers.is_none().then_some(self.store.as_ref())
    }

    /// Reads at once, in no order with what is applied: on this thread if the store says that it
    /// may be, on a reader's otherwise. Waits for a reader while all are busy.
    ///
    /// * `work`: short. Not called if the future is dropped before its turn.
    ///
    /// # Errors
    /// What `work` answers, or [`StoreError::Failed`] if it panics or the lanes end before.
    pub async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        match &self.readers {
            None => work(self.store.as_ref()),
            Some(readers) => readers.read(work).await,
        }
    }

    /// [`read`](Self::read) for what takes longer, whatever the store says: never on this thread.
    ///
    /// # Errors
    /// See there.
    pub async fn read_long<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        match &self.readers {
            None => {
                let store = Arc::clone(&self.store);
                let read = spawn_blocking(move || work(store.as_ref())).await;
                read.unwrap_or_else(|panic| Err(StoreError::Failed { why: panic.to_string() }))
            }
            Some(readers) => readers.read(work).await,
        }
    }

    /// Ends all threads: what they are at is finished, what waits is refused at once. Blocks until
    /// no thread is left; not to be called on one of them.
    pub fn end(&self) {
        self.begin_end();
        for thread in self.threads.lock().drain(..) {
            // None panics: what they run is caught, told and then refused.
            let _ = thread.join();
        }
    }

    fn begin_end(&self) {
        self.lane.end(&StoreError::Failed { why: "the store is closed".to_owned() });
        if let Some(readers) = &self.readers {
            readers.end();
        }
    }
}

impl Drop for StoreLanes {
    fn drop(&mut self) {
        // Perhaps on a runtime thread, or on one of its own: the threads end by themselves.
        self.begin_end();
    }
}

#[cfg(test)]
mod tests;
