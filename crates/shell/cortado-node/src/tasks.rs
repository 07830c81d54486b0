//! The tasks of one life of a node: begun by its parts, ended together.
//!
//! Knows nothing of what they do. Start reading at [`Tasks::spawn`].

use cortado_cluster::{NextLife, NodeLife};
use parking_lot::Mutex;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tracing::error;

/// Runs tasks until the node ends.
pub(crate) struct Tasks {
    life: Life,
    ending: AtomicBool,
    tasks: Mutex<JoinSet<()>>,
    pub(crate) turns: Turns,
}

/// How much of what blocks runs at a time. A node has thousands of replicas: what each of them
/// wants done waits for its turn as a task, which is small, and not as a thread.
pub(crate) struct Turns {
    /// States are read as a whole: one at a time leaves the disk to clients.
    pub(crate) hashing: Arc<Semaphore>,
    /// Snapshots are copied, which may wait for others for minutes.
    pub(crate) copying: Arc<Semaphore>,
    /// Short work on the store.
    pub(crate) upkeep: Arc<Semaphore>,
}

/// More than those of a change at a time, which has a bound of its own.
const COPIES_MAX: usize = 16;
const UPKEEP_MAX: usize = 16;

impl Turns {
    fn new() -> Turns {
        let of = |permits| Arc::new(Semaphore::new(permits));
        Turns { hashing: of(1), copying: of(COPIES_MAX), upkeep: of(UPKEEP_MAX) }
    }
}

/// One life of a node, for the tasks that may have to end it.
#[derive(Clone)]
pub(crate) struct Life {
    pub(crate) me: NodeLife,
    failures: mpsc::UnboundedSender<NodeFailure>,
    /// Every replica and every reader meets it: one of them tells.
    store_failure_told: Arc<AtomicBool>,
}

/// A node cannot go on.
#[derive(Clone, Debug)]
pub(crate) struct NodeFailure {
    /// Which, and in which life; a later one is well.
    pub(crate) life: NodeLife,
    pub(crate) why: String,
    pub(crate) next: NextLife,
    /// The name is still its own: what it leads it gives up in the log before it ends.
    pub(crate) steps_down: bool,
}

impl Life {
    pub(crate) fn new(me: NodeLife, failures: mpsc::UnboundedSender<NodeFailure>) -> Life {
        Life { me, failures, store_failure_told: Arc::default() }
    }

    /// Tells the supervisor that this life must end.
    pub(crate) fn report(&self, why: String, next: NextLife) {
        self.fail(NodeFailure { life: self.me, why, next, steps_down: false });
    }

    /// The store of the node has failed: it must be opened again. Told once in a life.
    pub(crate) fn report_store_failure(&self, why: String) {
        if self.store_failure_told.swap(true, Ordering::Relaxed) {
            return;
        }
        let next = NextLife::Begins { above: self.me.incarnation };
        self.fail(NodeFailure { life: self.me, why, next, steps_down: true });
    }

    fn fail(&self, failure: NodeFailure) {
        // Without a supervisor, the node is ending anyway.
        let _ = self.failures.send(failure);
    }
}

impl Tasks {
    pub(crate) fn new(life: Life) -> Tasks {
        let (ending, tasks) = (AtomicBool::new(false), Mutex::default());
        Tasks { life, ending, tasks, turns: Turns::new() }
    }

    /// Whether the node is going away.
    pub(crate) fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Acquire)
    }

    /// Runs `task` until it ends or the node does.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock();
        if !self.is_ending() {
            tasks.spawn(task);
        }
        self.reap(&mut tasks);
    }

    /// Runs `work` beside the tasks; the node waits for it when it ends. `false` if it has ended.
    pub(crate) fn spawn_blocking(&self, work: impl FnOnce() + Send + 'static) -> bool {
        let mut tasks = self.tasks.lock();
        let runs = !self.is_ending();
        if runs {
            tasks.spawn_blocking(work);
        }
        self.reap(&mut tasks);
        runs
    }

    /// Runs `work` as [`spawn_blocking`](Self::spawn_blocking) does, when it is its turn.
    pub(crate) fn spawn_in_turn(
        self: &Arc<Self>,
        turns: &Arc<Semaphore>,
        work: impl FnOnce() + Send + 'static,
    ) {
        let (tasks, turns) = (Arc::clone(self), Arc::clone(turns));
        self.spawn(async move {
            let turn = turns.acquire_owned().await.expect("no turns are ever closed");
            tasks.spawn_blocking(move || {
                work();
                drop(turn);
            });
        });
    }

    /// Notices tasks that have panicked.
    pub(crate) fn check(&self) {
        self.reap(&mut self.tasks.lock());
    }

    fn reap(&self, tasks: &mut JoinSet<()>) {
        while let Some(ended) = tasks.try_join_next() {
            if let Err(panic) = ended
                && panic.is_panic()
            {
                let node = self.life.me.node;
                error!(%node, %panic, "task panicked; restarting the node");
                self.life.report_store_failure(format!("task panicked: {panic}"));
            }
        }
    }

    /// Ends every task at once.
    pub(crate) fn abort(&self) {
        self.ending.store(true, Ordering::Release);
        self.tasks.lock().abort_all();
    }

    /// Ends every task as [`abort`](Self::abort) does, and waits until none is left.
    pub(crate) async fn end(&self) {
        self.abort();
        let mut tasks = std::mem::take(&mut *self.tasks.lock());
        tasks.shutdown().await;
    }
}
