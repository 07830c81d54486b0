//! What the command line says about a measurement.

use std::path::PathBuf;

/// How much to measure.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// The cortado binary
    #[arg(long, default_value = "target/release/cortado")]
    pub(crate) cortado: PathBuf,
    /// Where its data and the raw file lie; the disk that is measured
    #[arg(long, default_value = "target")]
    pub(crate) directory: PathBuf,
    /// Nodes of the measured server
    #[arg(long, default_value_t = 3)]
    pub(crate) nodes: u32,
    /// Concurrent clients of the throughput rounds
    #[arg(long, default_value_t = 64)]
    pub(crate) clients: usize,
    /// Rounds of each peer
    #[arg(long, default_value_t = 5)]
    pub(crate) rounds: usize,
    /// Seconds of each round
    #[arg(long, default_value_t = 4)]
    pub(crate) seconds: u64,
    /// Documents that are read and overwritten
    #[arg(long, default_value_t = 20_000)]
    pub(crate) documents: usize,
}
