//! Why no replica of a partition serves although nodes run: nothing that a client could wait for.
//!
//! Start reading at [`Gateway::lasting_standstill`].

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
    /// Why nothing serves a partition, and will not before an operator has done something. Never
    /// waits: whoever asks looks again for a leader meanwhile, and asks again.
    ///
    /// * `begun`: when the request that has found no leader yet began to look for one.
    pub(super) fn lasting_standstill(
        &self,
        partition: PartitionId,
        begun: Instant,
    ) -> Option<Standstill> {
        if self.is_ending() {
            return None;
        }
        let now = Instant::now();
        let standstills = &self.door.standstills;
        let lasting = standstills.lasting(partition, now);
        // What another request has found is worth a look at once.
        let is_worth_it = now - begun >= ANSWERS || standstills.has_found(partition);
        if is_worth_it && standstills.begin_look(partition, now) {
            let gateway = self.clone();
            tokio::spawn(async move { gateway.look_for_standstill(partition).await });
        }
        lasting
    }

    async fn look_for_standstill(&self, partition: PartitionId) {
        let found = blocked_by(&self.histories_within(partition, ANSWERS).await);
        self.door.standstills.end_look(partition, Instant::now(), found);
    }

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

/// Why none of these replicas will lead by itself, whatever nodes come back; `None` if one may.
fn blocked_by(replicas: &[ReplicaHistory]) -> Option<Standstill> {
    let is_blocked =
        |one: &&ReplicaHistory| one.is_in_doubt() || one.role() == Some(ReplicaRole::NeedsUpgrade);
    let blocked = replicas.iter().filter(is_blocked).count();
    let answering = replicas.iter().filter(|one| one.role().is_some()).count();
    let is_majority = 2 * blocked > replicas.len();
    (is_majority && blocked == answering).then(|| standstill_of(replicas)).flatten()
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
    fn check(roles: &[Option<ReplicaRole>], want: Option<Standstill>, at_once: Option<Standstill>) {
        let replica = |role: &Option<ReplicaRole>| {
            let (node, wall) = (NodeId(1), WallMillis(0));
            let incarnation = ReplicaIncarnation { node: NodeIncarnation(1), life: 1 };
            let standing = |role| PeerStanding { node, incarnation, role, folded: None, wall };
            ReplicaHistory { node, standing: role.map(standing) }
        };
        let replicas: Vec<_> = roles.iter().map(replica).collect();
        assert_eq!(standstill_of(&replicas), want, "{roles:?}");
        assert_eq!(blocked_by(&replicas), at_once, "{roles:?}");
    }

    #[test]
    fn what_an_operator_must_end_is_told_from_what_passes() {
        use ReplicaRole::{Disputed, Diverged, Follower, Leader, NeedsUpgrade, Offline};
        let disputed = Some(Standstill::Disputed);
        check(&[Some(Disputed), Some(Disputed), None], disputed, disputed);
        // The others may come back and lead.
        check(&[Some(Diverged), None, None], disputed, None);
        check(&[Some(Diverged), Some(Disputed), Some(Follower)], disputed, None);
        check(&[Some(Disputed)], disputed, disputed);
        check(&[Some(Leader), Some(Disputed)], None, None); // another one is served by now
        check(&[Some(NeedsUpgrade), Some(Disputed)], disputed, disputed);
        let too_old = Some(Standstill::NeedsUpgrade);
        check(&[Some(NeedsUpgrade), Some(Offline), None], too_old, None);
        check(&[Some(NeedsUpgrade), Some(NeedsUpgrade), None], too_old, too_old);
        check(&[Some(Follower), Some(Offline), None], None, None);
        check(&[], None, None);
    }
}
