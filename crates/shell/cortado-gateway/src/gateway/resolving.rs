//! Replicas of a partition that have different histories: what each has, and which of them an
//! operator lets go on.
//!
//! Nothing is written down: what is done shows in the replicas, and who repeats the order goes on
//! where it stopped. Start reading at [`Gateway::resolve`].
//! Source: docs/protocols/replication.md, "Resolving a dispute".

use super::Gateway;
use super::admin_error::{AdminError, Obstacle, Uncertainty, not_done};
use crate::database_log::CLUSTER_NAME;
use crate::decisions::Manual;
use crate::events::EventKind;
use cortado_driver::{Folded, PeerStanding, ReplicaRole, Resolution};
use cortado_model::{NodeId, PartitionId, with_causes};
use cortado_peer::{CallError, Message};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};
use tracing::{info, warn};

/// What a node may take to say how its replica stands.
const ANSWERS: Duration = Duration::from_secs(1);
/// How often it is looked how far replicas are.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// A replica that has been told and is in doubt still is told again after this: what it was told
/// may be lost, or its claim may have come too late.
const TELL_AGAIN: Duration = Duration::from_secs(5);

/// What a placed replica has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplicaHistory {
    /// Whose.
    pub node: NodeId,
    /// What it says; `None` if its node does not answer, or has no such replica.
    pub standing: Option<PeerStanding>,
}

impl ReplicaHistory {
    /// What the replica does.
    pub fn role(&self) -> Option<ReplicaRole> {
        self.standing.map(|standing| standing.role)
    }

    /// What it has folded, if that can be compared.
    pub fn folded(&self) -> Option<Folded> {
        self.standing?.folded
    }

    /// Whether it waits for an operator's word.
    pub fn is_in_doubt(&self) -> bool {
        matches!(self.role(), Some(ReplicaRole::Disputed | ReplicaRole::Diverged))
    }

    fn serves(&self) -> bool {
        matches!(self.role(), Some(ReplicaRole::Leader | ReplicaRole::Follower))
    }
}

impl Gateway {
    /// What each placed replica of a partition has, of `_cluster` like of any other; nothing if
    /// there is no such partition.
    pub async fn histories(&self, partition: PartitionId) -> Vec<ReplicaHistory> {
        self.histories_within(partition, ANSWERS).await
    }

    /// The same; who takes longer than `patience` tells nothing.
    pub(super) async fn histories_within(
        &self,
        partition: PartitionId,
        patience: Duration,
    ) -> Vec<ReplicaHistory> {
        let deadline = Instant::now() + patience;
        let mut asked = JoinSet::new();
        let placed = self.cluster().placed(partition);
        for node in &placed {
            let Some(target) = self.target(*node) else { continue };
            let node = *node;
            asked.spawn(async move {
                let standing = timeout_at(deadline, target.standing(partition, deadline)).await;
                (node, standing.unwrap_or(Err(CallError::Late)).ok().flatten())
            });
        }
        let told: BTreeMap<_, _> = asked.join_all().await.into_iter().collect();
        let of = |node: &NodeId| {
            let standing = told.get(node).copied().flatten();
            ReplicaHistory { node: *node, standing }
        };
        placed.iter().map(of).collect()
    }

    /// Lets the history of `keep` go on: the replicas in doubt that have another one copy it.
    ///
    /// Done again, it goes on where it stopped; where no replica is in doubt, it does nothing.
    ///
    /// # Errors
    /// The replica of `keep` tells no history, or not all is done by the deadline.
    pub async fn resolve(
        &self,
        partition: PartitionId,
        keep: NodeId,
        deadline: Instant,
    ) -> Result<(), AdminError> {
        let histories = self.histories(partition).await;
        let kept = histories.iter().find(|one| one.node == keep);
        if kept.is_none_or(|kept| kept.folded().is_none()) {
            return Err(AdminError::NoHistory { node: self.catalog().name_of(keep) });
        }
        if !histories.iter().any(ReplicaHistory::is_in_doubt) {
            return Ok(());
        }
        let gateway = self.clone();
        // A task: it is not over when a client goes away.
        let done =
            tokio::spawn(async move { gateway.see_to_resolution(partition, keep, deadline).await });
        done.await.unwrap_or(Err(AdminError::Unknown(Uncertainty::Interrupted)))
    }

    async fn see_to_resolution(
        &self,
        partition: PartitionId,
        keep: NodeId,
        deadline: Instant,
    ) -> Result<(), AdminError> {
        let outcome = self.await_resolution(partition, keep, deadline).await;
        let what = match &outcome {
            Ok(()) => format!("an operator has chosen the history of {keep}: it goes on"),
            Err(error) => {
                format!("an operator has chosen the history of {keep}: {}", with_causes(error))
            }
        };
        match &outcome {
            Ok(()) => info!(%partition, %keep, "dispute resolved by an operator"),
            Err(error) => {
                let error = with_causes(error);
                warn!(%partition, %keep, error, "dispute not resolved, or not yet; run it again");
            }
        }
        let catalog = self.catalog();
        let database = catalog.database_by_id(partition.database);
        let name = database.map_or(CLUSTER_NAME, |database| &database.name);
        let number = partition.number;
        let manual = Manual::Texts {
            by_hand: format!("cortado partition resolve {name}/{number} --keep {keep}"),
            undo: "cannot be undone; a copy of a data directory holds what was given up".to_owned(),
        };
        self.explain_order(EventKind::Resolution, Some(partition), what, manual);
        outcome
    }

    /// Tells the chosen replica first, and the others when it goes on.
    async fn await_resolution(
        &self,
        partition: PartitionId,
        keep: NodeId,
        deadline: Instant,
    ) -> Result<(), AdminError> {
        let mut told = BTreeMap::<NodeId, Instant>::new();
        loop {
            if self.is_ending() {
                return Err(not_done(Obstacle::Ending));
            }
            let histories = self.histories(partition).await;
            let kept = histories.iter().find(|one| one.node == keep);
            let goes_on = kept.filter(|kept| kept.serves()).and_then(ReplicaHistory::folded);
            let is_told = |one: &&ReplicaHistory| one.standing.is_some();
            if goes_on.is_some() && histories.iter().filter(is_told).all(ReplicaHistory::serves) {
                return Ok(());
            }
            for one in histories.iter().filter(|one| one.is_in_doubt()) {
                let (beyond, is_next) = match goes_on {
                    Some(folded) => (folded.below, true),
                    None => (Default::default(), one.node == keep),
                };
                let again = told.get(&one.node).is_none_or(|at| at.elapsed() >= TELL_AGAIN);
                if let Some(folded) = one.folded().filter(|_| is_next && again) {
                    told.insert(one.node, Instant::now());
                    let resolution = Resolution { keep, own: folded.accepted, beyond };
                    self.tell_resolution(one.node, partition, resolution);
                }
            }
            if Instant::now() >= deadline {
                return Err(AdminError::Unknown(Uncertainty::Unresolved));
            }
            sleep(LOOK_AGAIN).await;
        }
    }

    fn tell_resolution(&self, node: NodeId, partition: PartitionId, resolution: Resolution) {
        let Resolution { keep, own, .. } = resolution;
        warn!(%partition, %node, %keep, history = %own, "replica is told which history goes on");
        if let Some(target) = self.target(node) {
            target.tell(Message::Resolve { partition, resolution });
        }
    }
}
