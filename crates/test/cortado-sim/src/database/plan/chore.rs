//! What a world is asked for beside its clients' requests.

/// What operators and the automation ask for while the world runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Chore {
    /// A planned change of leadership.
    Handoff,
    /// Replicas compare their states now.
    Verify,
    /// Another lease length.
    Lease,
    /// A node is drained, or resumed.
    Drain,
    /// A node gets another build, or an upgrade is finished.
    Upgrade,
}
