//! What producers ask of brokers, and what those answer.

use crate::batch::{BatchKind, Sequenced};
use crate::code::ErrorCode;
use bytes::Bytes;

/// What a client asks of a broker: `Produce`.
#[derive(Clone, Debug)]
pub struct ProduceRequest {
    /// The name of the topic: which topic that is, the broker says.
    pub topic: String,
    /// Which partition.
    pub number: u32,
    /// The producer's numbering.
    pub writer: Option<Sequenced>,
    /// What is sent; the records of a control batch do not matter.
    pub kind: BatchKind,
    /// The records.
    pub records: Vec<Bytes>,
    /// `acks=all`; else the leader's alone.
    pub all: bool,
    /// How long the broker waits for the followers.
    pub timeout_us: u64,
}

/// The answer to [`ProduceRequest`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProduceAnswer {
    /// The records stand from here on.
    At {
        /// The offset of the first.
        base: u64,
        /// Which leader has appended them. Brokers do not say: a client reads back what was
        /// acknowledged, as its reader does anyhow, and learns it there.
        epoch: u32,
    },
    /// An error.
    Failed(ErrorCode),
    /// The connection is closed, or there is none: nothing is known.
    Disconnected,
}
