//! The metrics of any server process.

use cortado_metrics::{Build, ProcessFacts, Registry, RuntimeFacts};
use tokio::runtime::Handle;

/// A registry that knows this process; nodes and listener add what they know.
pub(crate) fn metrics_of_process() -> Registry {
    let registry = Registry::default();
    let (version, revision) = (env!("CARGO_PKG_VERSION"), env!("CORTADO_REVISION"));
    registry.collect(Build { version, revision });
    registry.collect(ProcessFacts);
    registry.collect(RuntimeFacts::of(Handle::current()));
    registry
}
