//! How long and how much: the limits of connections. Those of requests are in
//! [`cortado_model::limits`].
//!
//! Start reading at [`Limits`].

use std::time::Duration;

/// What one listener allows. Source: docs/api.md, "Limits".
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections at a time, each with a file descriptor. One more takes the place of the one that
    /// has been idle for longest, or is told to come back.
    pub connections_max: usize,
    /// Change streams at a time; further ones are told to come back.
    pub streams_max: usize,
    /// Bytes of request bodies at a time, until their requests are answered, all connections
    /// together.
    pub bodies_bytes_max: usize,
    /// Bytes of answers that are being read or sent at a time, all
    /// connections and change streams together.
    pub answers_bytes_max: usize,
    /// From the beginning of a connection, or of a request, to the end of the request's head.
    pub head_time: Duration,
    /// From the end of a head to the end of the body.
    pub body_time: Duration,
    /// Without any request.
    pub idle_time: Duration,
    /// For the client to take at least 16 KiB of what there is to send, and to take an answer
    /// whole, with a second more for each 16 KiB of all answers that are on their way to it.
    pub stall_time: Duration,
    /// Between two signs of life of a change stream; at most 10 s.
    pub heartbeat_time: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections_max: 4_096,
            streams_max: 1_024,
            bodies_bytes_max: 512 << 20,
            answers_bytes_max: 512 << 20,
            head_time: Duration::from_secs(10),
            body_time: Duration::from_secs(30),
            idle_time: Duration::from_secs(75),
            stall_time: Duration::from_secs(75),
            heartbeat_time: Duration::from_secs(9),
        }
    }
}
