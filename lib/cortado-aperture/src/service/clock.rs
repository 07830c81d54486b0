//! Where a driver takes the time from.

use crate::time::Nanos;
use std::sync::Arc;
use std::time::Instant;

/// A clock that never goes backwards, as nanoseconds since it was made.
#[derive(Clone)]
pub struct Clock(Kind);

#[derive(Clone)]
enum Kind {
    System { since: Instant },
    Custom(Arc<dyn Fn() -> Nanos + Send + Sync>),
}

impl Clock {
    /// The system's monotonic clock.
    pub fn system() -> Clock {
        Clock(Kind::System { since: Instant::now() })
    }

    /// A clock of one's own, such as that of a test. It must never go backwards.
    pub fn custom(now: impl Fn() -> Nanos + Send + Sync + 'static) -> Clock {
        Clock(Kind::Custom(Arc::new(now)))
    }

    /// What time it is.
    #[inline]
    pub fn now(&self) -> Nanos {
        match &self.0 {
            Kind::System { since } => Nanos::default().after(since.elapsed()),
            Kind::Custom(now) => now(),
        }
    }
}

impl std::fmt::Debug for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Clock({:?})", self.now())
    }
}
