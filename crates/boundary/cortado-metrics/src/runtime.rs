//! What the async runtime tells about itself.
//!
//! Start reading at [`RuntimeFacts`].

use crate::samples::{Samples, Source};
use std::time::Duration;
use tokio::runtime::Handle;

/// Threads, tasks and load of a runtime: the families `cortado_runtime_*`.
#[derive(Clone, Debug)]
pub struct RuntimeFacts(Handle);

impl RuntimeFacts {
    /// Of the runtime behind `handle`.
    pub fn of(handle: Handle) -> RuntimeFacts {
        RuntimeFacts(handle)
    }
}

impl Source for RuntimeFacts {
    fn collect(&self, samples: &mut Samples<'_>) {
        let runtime = self.0.metrics();
        let threads = runtime.num_workers();
        samples.gauge("cortado_runtime_threads", "Threads that run async tasks", threads);
        let help = "Async tasks that have not ended";
        samples.gauge("cortado_runtime_tasks", help, runtime.num_alive_tasks());
        let help = "Async tasks that wait in the queue that all threads share";
        samples.gauge("cortado_runtime_queued_tasks", help, runtime.global_queue_depth());
        let busy: Duration = (0..threads).map(|at| runtime.worker_total_busy_duration(at)).sum();
        let help = "Time that the threads spent running async tasks, all threads together";
        samples.counter("cortado_runtime_busy_seconds_total", help, busy);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Registry;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_runtime_knows_its_threads() {
        let registry = Registry::default();
        registry.collect(RuntimeFacts::of(Handle::current()));
        let text = registry.encode();
        assert!(text.lines().any(|line| line == "cortado_runtime_threads 2"), "{text}");
    }
}
