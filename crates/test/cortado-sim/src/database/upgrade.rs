//! What `_cluster` says of the builds that nodes run, as the simulator keeps it.
//!
//! Decides nothing. Start reading at [`Upgrade`].

use cortado_replica::FEATURE_LEVEL_MAX;

/// What `_cluster` says of builds.
#[derive(Clone, Copy, Debug)]
pub struct Upgrade {
    /// What leaders may use.
    pub level: u16,
    /// Counts what was declared: an order to open the gate rests on all of it.
    pub version: u64,
}

impl Default for Upgrade {
    fn default() -> Upgrade {
        Upgrade { level: FEATURE_LEVEL_MAX, version: 0 }
    }
}
