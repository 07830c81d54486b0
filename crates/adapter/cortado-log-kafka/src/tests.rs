//! Producers and consumers on librdkafka's mock cluster, which fails as it is told to.
//!
//! It appends nothing when it fails, and knows no sequence numbers: what a real broker does is in
//! the tests beside the crate.

mod abandoning;
mod fetching;
mod mock;
mod outcomes;
