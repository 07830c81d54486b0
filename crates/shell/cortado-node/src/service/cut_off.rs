//! What a leader does that does not reach the log, or that of one partition: it cannot fold who
//! leads after it, and believes those that can.
//!
//! Start reading at [`NodeService::unless_cut_off`]. Source: docs/protocols/failover.md, "Cut off
//! from the log".

use super::{NoLeader, NodeService};
use crate::local_routes::LocalRoute;
use crate::replica_handle::ReplicaHandle;
use std::future::pending;
use std::sync::Arc;

impl NodeService {
    /// The own replica, which leads as far as it has folded the log; unless it can do nothing there
    /// and some other replica can, which leads already or will in a moment.
    ///
    /// Where no node reaches the log, it is the log that is away, and no other leader would help.
    /// The same may be so of one broker, so a leader that does not reach its partition's log alone
    /// waits until another one leads.
    pub(super) fn unless_cut_off(
        &self,
        route: &LocalRoute,
        leader: Arc<ReplicaHandle>,
    ) -> Result<Arc<ReplicaHandle>, NoLeader> {
        if self.reaches_log_of(&leader) {
            return Ok(leader);
        }
        let now = self.host.clock.steady();
        let others_reach_it = || {
            let placed = self.host.cluster.placed(route.partition);
            let reached = self.host.progress.any_reaches_log(&placed, now);
            !self.host.health.reaches_log() && reached
        };
        if leads_no_more(route, &leader) || others_reach_it() {
            return Err(NoLeader::Elsewhere(route.leader()));
        }
        Ok(leader)
    }

    /// Waits until another node has told that it leads what `leader` would lead on if it could not
    /// read so in its log: what was asked of that is not answered any more.
    pub(super) async fn cut_off(&self, route: &LocalRoute, leader: &ReplicaHandle) {
        let mut changes = route.changes();
        while !leads_no_more(route, leader) || self.reaches_log_of(leader) {
            if changes.changed().await.is_err() {
                pending::<()>().await;
            }
        }
    }

    /// Whether `leader`, an own replica, gets to its log, as far as can be told.
    fn reaches_log_of(&self, leader: &ReplicaHandle) -> bool {
        // Asked for every request: nothing is locked where nothing is wrong.
        let is_cut_off = || {
            let beat_ms = self.host.settings.detection.beat_ms;
            leader.is_cut_off(self.host.clock.steady(), true, beat_ms)
        };
        let health = &self.host.health;
        health.reaches_log() && !(health.beats_silent() && is_cut_off())
    }
}

/// Whether a later leadership of the partition is known than `leader` has folded.
fn leads_no_more(route: &LocalRoute, leader: &ReplicaHandle) -> bool {
    route.leader().is_newer_than(&leader.known_leader())
}
