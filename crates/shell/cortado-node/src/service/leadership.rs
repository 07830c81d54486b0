//! Orders to the replica that leads: hand the leadership over, compare the state.

use super::{NoLeader, NodeService};
use crate::asker::{Asker, Input};
use cortado_driver::Reply;
use cortado_model::{NodeId, PartitionId};
use cortado_peer::{CallError, HandOff, HandOffAnswer, KnownLeader, Message, VerifyAnswer};
use cortado_replica::NotDone;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// How long a possible successor may take to say how it is.
const SUCCESSOR_ANSWERS: Duration = Duration::from_secs(1);

impl NodeService {
    /// Gives up a leadership of this node's to a successor that can lead.
    pub(crate) async fn answer_hand_off(&self, order: HandOff) -> HandOffAnswer {
        let HandOff { partition, to, deadline } = order;
        let route = self.host.routes.route(partition);
        let leader = match self.leader(&route, deadline).await {
            Ok(leader) => leader,
            Err(why) => return HandOffAnswer::WrongNode(known(why)),
        };
        if to == self.host.node() {
            return HandOffAnswer::Leads;
        }
        // One that is about to join, or to leave, would claim nothing.
        let may_claim = leader.leadership().replicas.may_claim(to);
        let is_placed = self.host.cluster.placed(partition).contains(&to) && may_claim;
        if !is_placed || !self.could_lead(partition, to, deadline).await {
            return HandOffAnswer::NoSuccessor;
        }
        let (caller, answer) = Asker::new();
        let taken = leader.send(Input::HandOff { caller, to: Some(to) });
        match timeout_at(deadline, taken).await {
            Ok(true) => {}
            Ok(false) => return HandOffAnswer::WrongNode(route.leader()),
            // Its line was full until then.
            Err(_) => return HandOffAnswer::NotDone(NotDone::Overloaded),
        }
        match timeout_at(deadline, leader.answer(answer)).await {
            Ok(Some(Reply::Ready)) => {}
            Ok(Some(Reply::NotDone(why))) => return HandOffAnswer::NotDone(why),
            Ok(
                Some(Reply::Written(_) | Reply::Each(_) | Reply::Refused(_) | Reply::Unknown(_))
                | None,
            )
            | Err(_) => {
                return HandOffAnswer::Unknown;
            }
        }
        if let (Some(end), Some(peer)) =
            (self.host.log.local_end(partition), self.host.peers.peer(to))
        {
            peer.tell(Message::LogGrew { partition, end });
        }
        HandOffAnswer::SteppedDown(to)
    }

    /// Begins a round of digests, if this node leads.
    pub(crate) async fn answer_verify(
        &self,
        partition: PartitionId,
        deadline: Instant,
    ) -> VerifyAnswer {
        let route = self.host.routes.route(partition);
        let leader = match self.leader(&route, deadline).await {
            Ok(leader) => leader,
            Err(why) => return VerifyAnswer::WrongNode(known(why)),
        };
        match timeout_at(deadline, leader.send(Input::Verify)).await {
            Ok(true) => VerifyAnswer::Begun,
            Ok(false) | Err(_) => VerifyAnswer::WrongNode(route.leader()),
        }
    }

    /// Whether `node` says that it could follow this one.
    async fn could_lead(&self, partition: PartitionId, node: NodeId, deadline: Instant) -> bool {
        let Some(peer) = self.host.peers.peer(node) else { return false };
        let deadline = deadline.min(Instant::now() + SUCCESSOR_ANSWERS);
        let report = timeout_at(deadline, peer.report(Some(partition.database), deadline)).await;
        let Ok(report) = report.unwrap_or(Err(CallError::Late)) else { return false };
        let told = self.host.progress.of(partition, self.host.clock.steady());
        let none_has_room = self.host.none_has_room(&told);
        let replicas = report.replicas.iter().map(|replica| replica.progress);
        let mut own = replicas.filter(|replica| replica.partition == partition);
        own.any(|replica| replica.could_lead(report.fit, none_has_room))
    }
}

fn known(why: NoLeader) -> KnownLeader {
    match why {
        NoLeader::Elsewhere(leader) => leader,
        // There is no leader to name.
        NoLeader::NoRoom | NoLeader::Dropped => KnownLeader::default(),
    }
}
