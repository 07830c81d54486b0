//! What a node knows of its own health, and what it has read of others' in the log.
//!
//! Measures and remembers; the conclusions are `cortado-cluster`'s. Start reading at [`Health`].

use crate::clock::Clock;
use crate::log_drifts::LogDrifts;
use crate::store_room::StoreRoom;
use crate::vitals::Vitals;
use cortado_cluster::{Evidence, OwnCalls};
use cortado_model::NodeId;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The evidence of one life of a node.
pub(crate) struct Health {
    /// How its appends go.
    pub(crate) appends: Arc<Vitals>,
    /// How its store applies.
    pub(crate) store: Arc<Vitals>,
    pub(crate) room: Arc<StoreRoom>,
    /// Of the logs of its databases.
    pub(crate) drifts: LogDrifts,
    /// What has been read in the log since it was last asked for.
    signs: Mutex<Vec<Evidence>>,
    /// Why the node is unhealthy, if it is.
    sickness: Mutex<Option<String>>,
    /// Why it does not read its catalog, if it does not.
    unread: Mutex<Option<String>>,
    /// Nodes that have been silent for so long that no log waits for them.
    away: Mutex<Vec<NodeId>>,
    /// None of its own beats comes back, although they should.
    cut_off: AtomicBool,
    /// Some of them do not, on some stream.
    beats_silent: AtomicBool,
    /// It is about to end, and takes no leadership any more.
    leaving: AtomicBool,
}

impl Health {
    pub(crate) fn new(clock: Clock) -> Health {
        Health {
            appends: Arc::new(Vitals::new(clock)),
            store: Arc::new(Vitals::new(clock)),
            room: Arc::default(),
            drifts: LogDrifts::default(),
            signs: Mutex::default(),
            sickness: Mutex::default(),
            unread: Mutex::default(),
            away: Mutex::default(),
            cut_off: AtomicBool::new(false),
            beats_silent: AtomicBool::new(false),
            leaving: AtomicBool::new(false),
        }
    }

    /// What the node has felt of its own log and store since the last call.
    pub(crate) fn felt(&self) -> impl Iterator<Item = Evidence> {
        let appends = self.appends.evidence(OwnCalls::append_evidence);
        let store = self.store.evidence(OwnCalls::store_evidence);
        appends.into_iter().chain(store)
    }

    /// Something was read in the log.
    pub(crate) fn heard(&self, sign: Evidence) {
        let mut signs = self.signs.lock();
        // What was said before something else is not what is said now.
        signs.retain(|known| *known != sign);
        signs.push(sign);
    }

    /// What has been read in the log since the last call.
    pub(crate) fn take_signs(&self) -> Vec<Evidence> {
        std::mem::take(&mut *self.signs.lock())
    }

    /// Why the node is unhealthy, if it is.
    pub(crate) fn sickness(&self) -> Option<String> {
        let full = match (self.room.is_awaited(), self.room.is_missing()) {
            (true, _) => Some("the store has no room".to_owned()),
            (false, true) => Some("the disk is nearly full: writes are refused".to_owned()),
            (false, false) => None,
        };
        let unread = || Some(format!("catalog not read: {}", self.unread.lock().as_ref()?));
        full.or_else(unread).or_else(|| self.sickness.lock().clone())
    }

    /// Whether the node is well enough to be given leaderships. Room is another matter: where no
    /// node has any, it makes no difference who leads.
    pub(crate) fn is_fit(&self) -> bool {
        !self.is_leaving() && self.sickness.lock().is_none() && self.unread.lock().is_none()
    }

    /// Whether the node reaches the log, as far as its own beats tell.
    pub(crate) fn reaches_log(&self) -> bool {
        !self.cut_off.load(Ordering::Acquire)
    }

    /// Takes over whether it does; answers whether it was so before.
    pub(crate) fn set_reaches_log(&self, reaches: bool) -> bool {
        self.cut_off.swap(!reaches, Ordering::AcqRel) != reaches
    }

    /// Whether own beats do not come back on some stream.
    pub(crate) fn beats_silent(&self) -> bool {
        self.beats_silent.load(Ordering::Acquire)
    }

    pub(crate) fn set_beats_silent(&self, silent: bool) {
        self.beats_silent.store(silent, Ordering::Release);
    }

    /// From now on the node is given no leadership, and claims none.
    pub(crate) fn leave(&self) {
        self.leaving.store(true, Ordering::Release);
    }

    pub(crate) fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Acquire)
    }

    /// Whether logs are trimmed without `node`.
    pub(crate) fn is_away(&self, node: NodeId) -> bool {
        self.away.lock().contains(&node)
    }

    /// The nodes without which logs are trimmed, in ascending order.
    pub(crate) fn away(&self) -> Vec<NodeId> {
        self.away.lock().clone()
    }

    /// Takes over which nodes are away; answers which were before.
    pub(crate) fn set_away(&self, away: Vec<NodeId>) -> Vec<NodeId> {
        std::mem::replace(&mut *self.away.lock(), away)
    }

    /// Takes over why the catalog is not read; answers whether that was known.
    pub(crate) fn set_unread(&self, unread: Option<String>) -> bool {
        std::mem::replace(&mut *self.unread.lock(), unread.clone()) == unread
    }

    pub(crate) fn set_sickness(&self, sickness: Option<String>) {
        *self.sickness.lock() = sickness;
    }
}
