//! What a connection may hold, and for how long things may take.

use std::time::Duration;

/// Bytes of one frame: a whole body of operations with their keys, a page of documents, or a
/// chunk of a snapshot, each of which stays below 12 MiB.
pub(crate) const FRAME_BYTES_MAX: usize = 16 << 20;
/// Calls that wait for an answer on one connection: more than a node's inboxes take in the time
/// that an append needs.
pub(crate) const CALLS_MAX: usize = 512;
/// Streams of one connection: the calls, and one for messages.
pub(crate) const STREAMS_MAX: u32 = CALLS_MAX as u32 + 8;
/// Tasks of one connection, those included whose stream was reset and that have not noticed yet.
pub(crate) const TASKS_MAX: usize = 2 * STREAMS_MAX as usize;
/// Bytes that one stream may have on its way: a document or a chunk without a pause.
pub(crate) const STREAM_WINDOW_BYTES: u32 = 1 << 20;
/// Bytes that one connection may have on its way: what 10 Gbit/s carry in 10 ms, about.
pub(crate) const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;
/// Bytes of the longest frame that is short: most calls and messages.
pub(crate) const SHORT_FRAME_BYTES: usize = 64 << 10;
/// Bytes of all short frames that a node is being sent, or works on: a thousand of the longest.
pub(crate) const SHORT_FRAMES_BYTES_MAX: usize = 64 << 20;
/// Bytes of all others: sixteen of the largest.
pub(crate) const LONG_FRAMES_BYTES_MAX: usize = 16 * FRAME_BYTES_MAX;
/// Bytes of headers: there are four short ones.
pub(crate) const HEADER_BYTES_MAX: u32 = 4 << 10;
/// Messages that wait to be sent to one node: some seconds of progress and digests.
pub(crate) const MESSAGES_MAX: usize = 1_024;
/// Bytes of those.
pub(crate) const MESSAGE_BYTES_MAX: usize = 2 * FRAME_BYTES_MAX;
/// Connections of all nodes to one: two from each of 500.
pub(crate) const CONNECTIONS_MAX: usize = 1_024;
/// Connections of one node: two, and those of an earlier life that have not been noticed to be
/// over.
pub(crate) const CONNECTIONS_OF_NODE_MAX: usize = 8;
/// Connections that have not proven yet who they are. One more is closed at once.
pub(crate) const GREETINGS_MAX: usize = 64;

/// Those of one address, so that one stranger does not keep all nodes out.
pub(crate) const GREETINGS_OF_ADDRESS_MAX: usize = 16;

/// How long things may take between nodes. The defaults are for one data centre and a loaded
/// machine; tests use shorter ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerTiming {
    /// Until a TCP connection is there.
    pub connect: Duration,
    /// Until both sides have proven who they are.
    pub greet: Duration,
    /// Between two signs of life of a connection.
    pub ping_every: Duration,
    /// Until the answer to one; then the connection is given up, and its calls are lost.
    pub ping_answer: Duration,
    /// Before the first repetition of a failed connection; doubled each time.
    pub retry_min: Duration,
    /// Before any repetition.
    pub retry_max: Duration,
    /// How long a node that ends waits for the others to close.
    pub linger: Duration,
}

impl Default for PeerTiming {
    fn default() -> PeerTiming {
        PeerTiming {
            connect: Duration::from_secs(2),
            greet: Duration::from_secs(5),
            ping_every: Duration::from_secs(2),
            ping_answer: Duration::from_secs(8),
            retry_min: Duration::from_millis(50),
            retry_max: Duration::from_secs(1),
            linger: Duration::from_secs(2),
        }
    }
}
