//! Which way something goes.

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// From whoever connects to what stands behind the relay.
    In,
    /// Back.
    Out,
}
