//! What a process knows about the others, from heartbeats and records.
//!
//! Holds it; the world decides by it. Start reading at [`Watch`].

use crate::kernel::time::Moment;
use cortado_cluster::{Detector, Placement};
use cortado_model::{Millis, NodeId, NodeIncarnation};

/// What a process knows about all nodes, and about its partitions' leaders.
#[derive(Debug)]
pub(crate) struct Watch {
    pub(crate) detector: Detector,
    pub(crate) placements: Vec<Placement>,
    pub(crate) partitions: Vec<Watched>,
    pub(crate) heartbeat_at: Moment,
    pub(crate) heartbeat_sent_at: Millis,
    pub(crate) looked_at: Millis,
    pub(crate) last_hand_back_at: Option<Millis>,
}

/// What it knows about one partition's leader.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    pub(crate) since: Millis,
    pub(crate) own_claims: Vec<Millis>,
    pub(crate) claimed_at: Option<Millis>,
    pub(crate) heard: Option<(NodeId, NodeIncarnation)>,
}
