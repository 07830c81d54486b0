//! Telling of a stranger's records in a partition's log: loudly, and not once for each.
//!
//! Start reading at [`Strangers::met`].

use std::time::Duration;
use tokio::time::Instant;

/// Whoever writes into a log that is not his writes more than once.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// Foreign records that a replica has passed over.
#[derive(Debug, Default)]
pub(super) struct Strangers {
    told_at: Option<Instant>,
    untold: u64,
}

impl Strangers {
    /// One more was met; answers how many there are to tell of, if it is time to.
    pub(super) fn met(&mut self, now: Instant) -> Option<u64> {
        self.untold += 1;
        if self.told_at.is_some_and(|told_at| now < told_at + TELL_EVERY) {
            return None;
        }
        self.told_at = Some(now);
        Some(std::mem::take(&mut self.untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_told_at_once_and_the_others_together() {
        let mut strangers = Strangers::default();
        let now = Instant::now();
        assert_eq!(strangers.met(now), Some(1));
        assert_eq!(strangers.met(now), None);
        assert_eq!(strangers.met(now + TELL_EVERY / 2), None);
        assert_eq!(strangers.met(now + TELL_EVERY), Some(3));
        assert_eq!(strangers.met(now + TELL_EVERY), None);
    }
}
