//! Connections that are opened before anyone waits for them, a few at a time, and those that are
//! closed because no request has wanted them for long.

use super::{Effect, EndpointSet, Nanos, RingKey};
use crate::load::LoadMetric;
use std::num::NonZeroUsize;

/// How far an endpoint's connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// There is none, and none is wanted yet.
    Closed,
    /// It is wanted, and others are being opened.
    Waiting,
    Opening,
    Open,
    /// It could not be opened. The next request that is sent there tries again.
    Failed,
}

/// The connections that are being opened.
pub(super) struct Openings<K> {
    /// `None` if none is ever opened ahead.
    max: Option<NonZeroUsize>,
    under_way: Vec<K>,
}

impl<K: Eq> Openings<K> {
    pub(super) fn new(max: Option<NonZeroUsize>) -> Self {
        Openings { max, under_way: Vec::new() }
    }

    pub(super) fn under_way(&self) -> usize {
        self.under_way.len()
    }

    /// Makes room for another one; answers whether this one was under way.
    pub(super) fn finish(&mut self, key: &K) -> bool {
        let at = self.under_way.iter().position(|each| each == key);
        at.map(|at| self.under_way.swap_remove(at)).is_some()
    }
}

impl<K: RingKey, T, M: LoadMetric> EndpointSet<K, T, M> {
    /// Opens who is wanted and has no connection, as far as there is room.
    pub(super) fn queue_openings(&mut self, effects: &mut Vec<Effect<K>>) {
        let Some(max) = self.openings.max else { return };
        let mut room = max.get().saturating_sub(self.openings.under_way());
        for ((_, key), entry) in &mut self.entries {
            match (entry.wanted > 0, entry.stage) {
                (true, Stage::Closed | Stage::Waiting) if room > 0 => {
                    entry.stage = Stage::Opening;
                    room -= 1;
                    self.openings.under_way.push(key.clone());
                    effects.push(Effect::Open(key.clone()));
                }
                (true, Stage::Closed) => entry.stage = Stage::Waiting,
                (false, Stage::Waiting) => entry.stage = Stage::Closed,
                _ => {}
            }
        }
    }

    /// Closes who has been idle for long outside the aperture.
    pub(super) fn expire(&mut self, now: Nanos, effects: &mut Vec<Effect<K>>) {
        let Some(idle_max) = self.settings.idle_max else { return };
        for ((_, key), entry) in &mut self.entries {
            let is_inside = entry.wanted > 0 || entry.serving > 0;
            let is_connected = matches!(entry.stage, Stage::Open | Stage::Failed);
            if is_inside || !is_connected || entry.endpoint.outstanding() > 0 {
                entry.idle_since = None;
                continue;
            }
            let since = *entry.idle_since.get_or_insert(now);
            if now >= since.after(idle_max) {
                (entry.stage, entry.idle_since) = (Stage::Closed, None);
                self.tally.expired += 1;
                effects.push(Effect::Close(key.clone()));
            }
        }
    }
}
