//! The metric families of a process: one registry, and its text as Prometheus reads it.
//!
//! Counting takes no lock and looks no label up: a handle is made once and is an atomic from then
//! on. The text is the work of `prometheus-client`. Start reading at [`Registry`].
//! Source: docs/metrics.md lists every family.

mod registry;
mod samples;
mod series;
mod counter;
mod histogram;
mod family_name;
mod build;
mod process;
mod runtime;

pub use build::Build;
pub use counter::Counter;
pub use histogram::{Histogram, LATENCY_BOUNDS};
pub use process::ProcessFacts;
pub use registry::{CONTENT_TYPE, Registry};
pub use runtime::RuntimeFacts;
pub use samples::{Family, Number, Samples, Source};
pub use series::{Label, Metric, Series};
