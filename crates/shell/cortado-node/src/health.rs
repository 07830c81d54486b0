//! What a node knows of its own health, and what it has read of others' in the log.
//!
//! Measures and remembers; the conclusions are `cortado-cluster`'s. Start reading at [`Health`].

use crate::append_vitals::AppendVitals;
use crate::clock::Clock;
use crate::vitals::Vitals;
use cortado_cluster::Evidence;
use cortado_model::NodeId;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The evidence of one life of a node.
pub(crate) struct Health {
    pub(crate) vitals: Arc<Vitals>,
    pub(crate) appends: Arc<AppendVitals>,
    /// What has been read in the log since it was last asked for.
    signs: Mutex<Vec<Evidence>>,
    /// Why the node trusts itself less, if it does.
    sickness: Mutex<Option<String>>,
    /// Nodes that have been silent for so long that no log waits for them.
    away: Mutex<Vec<NodeId>>,
}

impl Health {
    pub(crate) fn new(clock: Clock) -> Health {
        let (vitals, appends) = (Vitals::new(clock), AppendVitals::new(clock));
        let (vitals, appends) = (Arc::new(vitals), Arc::new(appends));
        let (signs, sickness, away) = (Mutex::default(), Mutex::default(), Mutex::default());
        Health { vitals, appends, signs, sickness, away }
    }

    /// Something was read in the log.
    pub(crate) fn heard(&self, sign: Evidence) {
        let mut signs = lock(&self.signs);
        if !signs.contains(&sign) {
            signs.push(sign);
        }
    }

    /// What has been read in the log since the last call.
    pub(crate) fn take_signs(&self) -> Vec<Evidence> {
        std::mem::take(&mut *lock(&self.signs))
    }

    /// Why the node trusts itself less, if it does.
    pub(crate) fn sickness(&self) -> Option<String> {
        let full = self.vitals.waits_for_room().then(|| "the store has no room".to_owned());
        full.or_else(|| lock(&self.sickness).clone())
    }

    /// Whether logs are trimmed without `node`.
    pub(crate) fn is_away(&self, node: NodeId) -> bool {
        lock(&self.away).contains(&node)
    }

    /// Takes over which nodes are away; answers which were before.
    pub(crate) fn set_away(&self, away: Vec<NodeId>) -> Vec<NodeId> {
        std::mem::replace(&mut *lock(&self.away), away)
    }

    pub(crate) fn set_sickness(&self, sickness: Option<String>) {
        *lock(&self.sickness) = sickness;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while it holds one of these locks with the value half changed.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
