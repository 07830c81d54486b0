//! From one aperture to the next: the next one is connected before the last one is left.

use super::openings::Stage;
use super::{EndpointSet, Nanos, RingKey};
use crate::load::LoadMetric;
use std::time::Duration;

/// After that long, who is not connected yet has to connect under its first request.
const HANDOVER_MAX: Duration = Duration::from_secs(10);

impl<K: RingKey, T, M: LoadMetric> EndpointSet<K, T, M> {
    /// Serves who is wanted, or waits with that.
    pub(super) fn hand_over(&mut self, now: Nanos) {
        let until = *self.handover_until.get_or_insert(now.after(HANDOVER_MAX));
        if now < until && self.should_wait() {
            return;
        }
        self.handover_until = None;
        for entry in self.entries.values_mut() {
            self.is_stale |= entry.serving != entry.wanted;
            entry.serving = entry.wanted;
            // Without openings ahead, the first request connects.
            if entry.serving > 0 && self.settings.openings_max.is_none() {
                entry.stage = Stage::Open;
            }
        }
    }

    /// Whether someone who is wanted is still connecting, while most of those who serve can.
    fn should_wait(&self) -> bool {
        let mut is_connecting = false;
        let (mut serving, mut alive) = (0_usize, 0_usize);
        for entry in self.entries.values() {
            let is_newly_wanted = entry.wanted > 0 && entry.serving == 0;
            is_connecting |= is_newly_wanted
                && matches!(entry.stage, Stage::Closed | Stage::Waiting | Stage::Opening)
                && self.settings.openings_max.is_some();
            if entry.serving > 0 {
                serving += 1;
                alive += usize::from(entry.endpoint.is_alive());
            }
        }
        is_connecting && serving > 0 && 2 * alive >= serving
    }
}
