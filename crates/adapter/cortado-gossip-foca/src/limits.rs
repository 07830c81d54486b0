//! What gossip may hold, and its pace.

use std::time::Duration;

/// Bytes of a datagram's payload: with envelope and headers it stays below the 1,500 of Ethernet,
/// whatever tunnel it goes through.
pub(crate) const DATAGRAM_BYTES_MAX: usize = 1_200;
/// Bytes of what goes over TCP: the facts of some 2,000 nodes at once.
pub(crate) const STREAM_BYTES_MAX: usize = 512 << 10;
/// Bytes of what a node tells of itself, so that a datagram holds the sender and one more.
pub(crate) const IDENTITY_BYTES_MAX: usize = 480;
/// Nodes that are remembered, those included that were down in the last day. What more tell is
/// passed over.
pub(crate) const MEMBERS_MAX: usize = 4_096;
/// Addresses of one node.
pub(crate) const ADDRESSES_MAX: usize = 8;
/// Streams in one direction at a time: each lasts for milliseconds.
pub(crate) const STREAMS_MAX: usize = 32;
/// Frames from streams that wait for their turn.
pub(crate) const FRAMES_MAX: usize = 64;
/// Seeds that are tried at a time.
pub(crate) const SEEDS_MAX: usize = 64;

/// The pace of gossip. The defaults are for one data centre; tests use shorter ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GossipTiming {
    /// Between two probes, each of another node. One that is not answered within this time makes
    /// the node suspect.
    pub probe_every: Duration,
    /// Until others are asked to probe the node as well; less than half of the former.
    pub probe_answer: Duration,
    /// How long a suspect has to contradict before it counts as down.
    pub suspect_for: Duration,
    /// Between two messages that only spread news.
    pub gossip_every: Duration,
    /// Between two tries to find other nodes, as long as there are none.
    pub seek_every: Duration,
    /// Between two messages to nodes that count as down, and to seeds: parts that were cut from
    /// one another find together again.
    pub mend_every: Duration,
    /// How long a stream may take.
    pub stream: Duration,
}

impl Default for GossipTiming {
    fn default() -> GossipTiming {
        GossipTiming {
            probe_every: Duration::from_millis(300),
            probe_answer: Duration::from_millis(120),
            suspect_for: Duration::from_secs(2),
            gossip_every: Duration::from_millis(200),
            seek_every: Duration::from_secs(1),
            mend_every: Duration::from_secs(10),
            stream: Duration::from_secs(5),
        }
    }
}
