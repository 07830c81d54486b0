//! How long a call may take, and whom it tells that it takes long.
//!
//! Start reading at [`Timeouts`].

use std::time::Duration;

/// How long a call and its attempts may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// How long one call may take in all, its repetitions included.
    pub whole: Duration,
    /// How long one attempt may take, and what the server is told about it.
    pub attempt: Duration,
}

impl Default for Timeouts {
    /// 15 s in all, which outlasts a failover, of attempts of up to 10 s, as the server's own.
    fn default() -> Timeouts {
        Timeouts { whole: Duration::from_secs(15), attempt: Duration::from_secs(10) }
    }
}

/// What a client's calls go by.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Patience {
    pub(crate) timeouts: Timeouts,
    /// How long a call may take in all while no server of this machine runs or has run.
    pub(crate) refused_max: Option<Duration>,
    /// Called with the last error of a call that is retried for long.
    pub(crate) tell: Option<fn(&str)>,
}
