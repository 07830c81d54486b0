//! Why no replica of a partition serves although nodes run: nothing that a client could wait for.
//!
//! Start reading at [`Gateway::standstill`].

use super::Gateway;
use super::request::Standstill;
use super::resolving::ReplicaHistory;
use cortado_driver::ReplicaRole;
use cortado_model::PartitionId;
use std::time::Duration;
use tokio::time::Instant;

/// What replicas may take to say it. A request that waits for less than this does not ask: its
/// answer would be later than it has waited.
const ANSWERS: Duration = Duration::from_millis(300);

impl Gateway {
    /// Why nothing serves a partition, for a request that has waited in vain; `None` if that may
    /// pass by itself.
    ///
    /// * `begun`: when the request began to wait.
    pub(super) async fn standstill(
        &self,
        partition: PartitionId,
        begun: Instant,
    ) -> Option<Standstill> {
        if begun.elapsed() < ANSWERS || self.is_ending() {
            return None;
        }
        standstill_of(&self.histories_within(partition, ANSWERS).await)
    }
}

fn standstill_of(replicas: &[ReplicaHistory]) -> Option<Standstill> {
    let any = |is_so: fn(&ReplicaHistory) -> bool| replicas.iter().any(is_so);
    if any(|one| one.role() == Some(ReplicaRole::Leader)) {
        None
    } else if any(ReplicaHistory::is_in_doubt) {
        Some(Standstill::Disputed)
    } else {
        let is_too_old = |one: &ReplicaHistory| one.role() == Some(ReplicaRole::NeedsUpgrade);
        any(is_too_old).then_some(Standstill::NeedsUpgrade)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cortado_driver::PeerStanding;
    use cortado_model::{NodeId, NodeIncarnation, ReplicaIncarnation, WallMillis};

    #[track_caller]
    fn check(roles: &[Option<ReplicaRole>], want: Option<Standstill>) {
        let replica = |role: &Option<ReplicaRole>| {
            let (node, wall) = (NodeId(1), WallMillis(0));
            let incarnation = ReplicaIncarnation { node: NodeIncarnation(1), life: 1 };
            let standing = |role| PeerStanding { node, incarnation, role, folded: None, wall };
            ReplicaHistory { node, standing: role.map(standing) }
        };
        let replicas: Vec<_> = roles.iter().map(replica).collect();
        assert_eq!(standstill_of(&replicas), want, "{roles:?}");
    }

    #[test]
    fn what_an_operator_must_end_is_told_from_what_passes() {
        use ReplicaRole::{Disputed, Diverged, Follower, Leader, NeedsUpgrade, Offline};
        check(&[Some(Disputed), Some(Disputed), None], Some(Standstill::Disputed));
        check(&[Some(Diverged), None], Some(Standstill::Disputed));
        check(&[Some(Leader), Some(Disputed)], None); // another one is served by now
        check(&[Some(NeedsUpgrade), Some(Disputed)], Some(Standstill::Disputed));
        check(&[Some(NeedsUpgrade), Some(Offline), None], Some(Standstill::NeedsUpgrade));
        check(&[Some(Follower), Some(Offline), None], None);
        check(&[], None);
    }
}
