//! What a driver is configured with, and whose driver it is.
//!
//! Start reading at [`Settings`].

use cortado_model::{LogId, NodeId, NodeIncarnation, PartitionId};
use cortado_replica::{Genesis, ReadNeed};

/// What may differ between a log in the same process, one on other machines, and a simulation.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The core's.
    pub replica: cortado_replica::Settings,
    /// How leadership is proven for a write that publishes nothing, where the log's end cannot be
    /// read locally: [`ReadNeed::Lease`], or [`ReadNeed::Barrier`] where no clock may be assumed.
    pub proof: ReadNeed,
    /// What the log takes at first; [`Driver::heed`](crate::Driver::heed) tells more.
    pub log: LogLimits,
    /// When replicas compare their state, and the log may forget.
    pub trim: TrimPolicy,
    /// Bytes that are committed and not in the store, beyond which nothing more is read and nothing
    /// is added to a batch; 1 or more. One read, and so one record of any length, may exceed it.
    pub gather_bytes_max: usize,
    /// A replica that has nothing copies what another one has where its log holds more records than
    /// this: that is faster than to fold them all, and keeps to the pace that a move is given.
    pub copy_beyond_records: u64,
}

/// Folded within a second or so.
pub const COPY_BEYOND_RECORDS: u64 = 10_000;

/// What a log takes, and how long that may take it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogLimits {
    /// The longest record that the log takes.
    pub record_bytes_max: usize,
    /// A producer that has not answered an append for this long is given up. Longer than the log
    /// may stall while all is well.
    pub append_timeout_ms: u64,
}

/// As much as a store takes in a fraction of a second, and enough for it never to wait for a read:
/// a replica that has been away reads faster than it stores, and one commit without an end would
/// hold up all others of its node.
pub const GATHER_BYTES_MAX: usize = 8 << 20;

/// When a partition's replicas compare their state and its log may forget.
#[derive(Clone, Copy, Debug)]
pub struct TrimPolicy {
    /// Records that the partition's log gains between two rounds.
    pub after_records: u64,
    /// Bytes that all logs of the node gain between two rounds.
    pub after_bytes: u64,
}

/// Whose driver it is, and what it must find in its log.
#[derive(Clone, Debug)]
pub struct Me {
    /// The node.
    pub node: NodeId,
    /// Its life.
    pub incarnation: NodeIncarnation,
    /// Lives of replicas of the partition that this life of the node has had before: a replica that
    /// comes back must not take itself for the one that was removed.
    pub lives_before: u32,
    /// The partition.
    pub partition: PartitionId,
    /// The log's identity; `None` for `_cluster`, whose genesis alone says whose it is.
    pub log: Option<LogId>,
    /// With which record the log begins.
    pub genesis: Genesis,
}
