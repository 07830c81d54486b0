//! Two clocks that must not be mixed: one measures, the other names.

/// Milliseconds of a node's steady clock (`CLOCK_BOOTTIME`), from an arbitrary start.
///
/// Measures durations on one node; means nothing to another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(pub u64);

impl Millis {
    /// The moment `duration_ms` later; saturates, so that "never" can be spelled.
    pub const fn plus(self, duration_ms: u64) -> Millis {
        Millis(self.0.saturating_add(duration_ms))
    }

    /// Milliseconds since `earlier`; 0 if `earlier` is later.
    pub const fn since(self, earlier: Millis) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Milliseconds since the beginning of 1970 (UTC), as a node's wall clock believes.
///
/// Names moments for people and for expiry; no safety rests on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WallMillis(pub u64);
