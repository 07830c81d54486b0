//! What this node does for others, and for its own gateway: it answers for its replicas only.
//!
//! Passes no question on, and never touches a replica's state: it reads the store and sends
//! requests to the tasks that own the replicas. Start reading at [`NodeService`].
//! Source: docs/protocols/peers.md, "Duties of the asked node".

mod cut_off;
mod foresight;
mod leadership;
mod moving;
mod read;
mod report;
mod snapshot;
mod write;

use crate::asker::{Asker, Input};
use crate::clock::wall;
use crate::local_routes::LocalRoute;
use crate::replica_handle::ReplicaHandle;
use crate::replica_host::{Duty, ReplicaHost};
use cortado_cluster::Evidence;
use cortado_driver::{Event, PeerStanding, ReplicaRole};
use cortado_model::{DatabaseId, LogOffset, NodeId, PartitionId};
use cortado_peer::{
    CallError, ChangeReplicas, ChangeReplicasAnswer, GivenSnapshots, HandOff, HandOffAnswer,
    Holdings, KnownLeader, Message, NodeReport, Peer, Pending, Progress, Reach, Read, ReadAnswer,
    SnapshotAnswer, SnapshotChunk, SnapshotId, VerifyAnswer, Write, WriteAnswer,
};
use cortado_replica::{ClaimReason, ReadNeed};
use foresight::Foresight;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use tracing::debug;

/// How long a request for the leader waits for a replica that is about to lead. Then the
/// asking node may have learned more.
const ABOUT_TO_LEAD: Duration = Duration::from_secs(1);

/// Serves one life of a node.
pub(crate) struct NodeService {
    host: Arc<ReplicaHost>,
    foresight: Foresight,
    pub(crate) snapshots: GivenSnapshots,
}

/// Why a node that is asked for a leader has none to show.
enum NoLeader {
    /// The database was dropped.
    Dropped,
    /// It knows as much as this.
    Elsewhere(KnownLeader),
    /// No replica can lead: the stores are full.
    NoRoom,
}

impl NodeService {
    pub(crate) fn new(host: Arc<ReplicaHost>) -> NodeService {
        NodeService { host, foresight: Foresight::new(), snapshots: GivenSnapshots::default() }
    }

    /// The own replica once it serves as leader, if it does or is about to.
    async fn leader(
        &self,
        route: &LocalRoute,
        deadline: Instant,
    ) -> Result<Arc<ReplicaHandle>, NoLeader> {
        if let Some(leader) = route.serving() {
            return self.unless_cut_off(route, leader);
        }
        let mut changes = route.changes();
        let deadline = deadline.min(Instant::now() + ABOUT_TO_LEAD);
        loop {
            if let Some(leader) = route.serving() {
                return self.unless_cut_off(route, leader);
            }
            if self.was_dropped(route.partition.database) {
                return Err(NoLeader::Dropped);
            }
            if self.waits_for_room(route) {
                return Err(NoLeader::NoRoom);
            }
            let elsewhere = NoLeader::Elsewhere(route.leader());
            if !self.is_about_to_lead(route)
                || timeout_at(deadline, changes.changed()).await.is_err()
            {
                return Err(elsewhere);
            }
        }
    }

    fn was_dropped(&self, database: DatabaseId) -> bool {
        let catalog = self.host.cluster.catalog.newest();
        database != DatabaseId::CLUSTER
            && database < catalog.next_database()
            && catalog.database_by_id(database).is_none()
    }

    /// Whether the own replica has claimed, or was named to follow.
    fn is_about_to_lead(&self, route: &LocalRoute) -> bool {
        let Some(replica) = route.replica() else { return false };
        match replica.role() {
            ReplicaRole::Candidate | ReplicaRole::Opening => true,
            ReplicaRole::Follower => {
                let leader = route.leader();
                leader.stepped_down && leader.node == Some(self.host.node())
            }
            ReplicaRole::Leader
            | ReplicaRole::SteppingDown
            | ReplicaRole::Diverged
            | ReplicaRole::Disputed
            | ReplicaRole::NeedsUpgrade
            | ReplicaRole::Full
            | ReplicaRole::Offline
            | ReplicaRole::Restoring => false,
        }
    }

    /// Whether no replica can lead: each is full (it has met a record that its store does not take)
    /// or not readable.
    fn waits_for_room(&self, route: &LocalRoute) -> bool {
        let cannot_lead = |role: ReplicaRole| role == ReplicaRole::Full || !role.is_readable();
        let Some(replica) = route.replica().filter(|own| own.role() == ReplicaRole::Full) else {
            return false;
        };
        let told = self.host.progress.of(replica.partition, self.host.clock.steady());
        let mut others = self.host.cluster.placed(replica.partition);
        others.retain(|node| *node != self.host.node() && self.host.peers.peer(*node).is_some());
        others.iter().all(|node| {
            let told = told.iter().find(|(of, _)| of == node).map(|(_, told)| told);
            // A node of which nothing is known may have room.
            told.is_some_and(|told| cannot_lead(told.role))
        })
    }

    /// Lets a replica read its log at once: a step-down waits for it there.
    fn read_log(&self, partition: PartitionId, end: LogOffset) {
        let (caller, _) = Asker::new();
        if let Some(replica) = self.host.routes.route(partition).replica() {
            // If the line is full it is awake already.
            let _ = replica.offer(Input::Read { caller, need: ReadNeed::Folded(end) });
        }
    }

    /// A peer tells how far it is, and what its clock says.
    fn hear(&self, progress: Progress) {
        let node = progress.node;
        // What a router's clock says is no node's word.
        let is_member = self.host.cluster.catalog.newest().node(node).is_some();
        if is_member {
            self.host.log_time.hear(node, progress.wall);
        }
        let judges = self.host.duty == Duty::Member && self.host.gossip.get().is_some();
        if judges {
            self.host.health.heard(Evidence::PeerHeard { node });
            if is_member {
                let reaches = progress.reaches_log;
                self.host.health.heard(Evidence::PeerReachesLog { node, reaches });
            }
        }
        // Sooner than from the log, and all that is heard of it if that is out of reach.
        for told in &progress.replicas {
            if let Some(route) = self.host.routes.known(told.partition) {
                route.learn(told.leader);
            }
        }
        let before = self.host.progress.unreached(node);
        self.host.progress.hear(progress, self.host.clock.steady());
        if judges && is_member {
            self.hear_of_logs(node, &before);
        }
    }

    /// A peer has told to the logs of which partitions that it leads it does not get.
    ///
    /// * `before`: those that it had told of.
    fn hear_of_logs(&self, node: NodeId, before: &[PartitionId]) {
        let told = self.host.progress.unreached(node);
        let over = before.iter().filter(|partition| !told.contains(partition));
        let over = over.map(|partition| (*partition, true));
        for (partition, reaches) in over.chain(told.iter().map(|each| (*each, false))) {
            self.host.health.heard(Evidence::PeerReachesLogOf { node, partition, reaches });
        }
    }

    /// Requests of another node or router have reached some, and have not reached others.
    fn hear_of(&self, reach: &Reach) {
        if self.host.duty == Duty::Router {
            return;
        }
        let Reach { by, failed, served } = reach;
        let me = self.host.node();
        for node in failed.iter().filter(|node| **node != me) {
            self.host.health.heard(Evidence::RequestFailed { node: *node, by: *by });
        }
        for node in served {
            self.host.health.heard(Evidence::RequestServed { node: *node });
        }
    }

    /// A claimant found that this node's replica has what it lacks.
    fn claim(&self, partition: PartitionId) {
        let claim = Event::Claim { reason: ClaimReason::ClaimantDiverged, evidence: 0 };
        let replica = self.host.routes.route(partition).replica();
        let may_claim =
            |own: &Arc<ReplicaHandle>| self.host.may_claim(partition, &own.leadership());
        if let Some(replica) = replica.filter(may_claim) {
            // One that does not take it is asked again.
            let _ = replica.offer(claim);
        }
    }

    /// Tells a replica what a full line must not lose: without one digest, a round is in vain.
    fn send(&self, partition: PartitionId, input: Input) {
        if let Some(replica) = self.host.routes.route(partition).replica() {
            replica.send_beside(&self.host.tasks, input);
        }
    }

    /// Says how long a replica took: the part of a request's trace that is this node's.
    async fn timed<T>(
        &self,
        work: &'static str,
        partition: PartitionId,
        answer: impl Future<Output = T>,
    ) -> T {
        let begun = Instant::now();
        let answer = answer.await;
        let (node, took_us) = (self.host.node(), begun.elapsed().as_micros() as u64);
        debug!(%partition, %node, work, took_us, "replica answered");
        answer
    }

    /// Answers, unless the node is going away.
    fn serve<'a, T: Send + 'a>(
        &self,
        answer: impl Future<Output = T> + Send + 'a,
    ) -> Pending<'a, Result<T, CallError>> {
        if self.host.tasks.is_ending() {
            return Box::pin(std::future::ready(Err(CallError::Unreachable)));
        }
        Box::pin(async move { Ok(answer.await) })
    }
}

impl Peer for NodeService {
    fn write(&self, write: Write) -> Pending<'_, Result<WriteAnswer, CallError>> {
        let partition = write.partition;
        self.serve(self.timed("write", partition, self.answer_write(write)))
    }

    fn read(&self, read: Read) -> Pending<'_, Result<ReadAnswer, CallError>> {
        let partition = read.partition;
        self.serve(self.timed("read", partition, self.answer_read(read)))
    }

    fn read_at_once(&self, read: &Read) -> Option<ReadAnswer> {
        if self.host.tasks.is_ending() { None } else { self.see_at_once(read) }
    }

    fn hand_off(&self, order: HandOff) -> Pending<'_, Result<HandOffAnswer, CallError>> {
        self.serve(self.answer_hand_off(order))
    }

    fn verify(
        &self,
        partition: PartitionId,
        deadline: Instant,
    ) -> Pending<'_, Result<VerifyAnswer, CallError>> {
        self.serve(self.answer_verify(partition, deadline))
    }

    fn report(
        &self,
        database: Option<DatabaseId>,
        _: Instant,
    ) -> Pending<'_, Result<NodeReport, CallError>> {
        self.serve(std::future::ready(self.answer_report(database)))
    }

    fn change_replicas(
        &self,
        order: ChangeReplicas,
    ) -> Pending<'_, Result<ChangeReplicasAnswer, CallError>> {
        self.serve(self.answer_change_replicas(order))
    }

    fn holdings(
        &self,
        partitions: Option<Vec<PartitionId>>,
        _: Instant,
    ) -> Pending<'_, Result<Holdings, CallError>> {
        self.serve(std::future::ready(self.answer_holdings(partitions)))
    }

    fn standing(
        &self,
        partition: PartitionId,
        _: Instant,
    ) -> Pending<'_, Result<Option<PeerStanding>, CallError>> {
        let replica = self.host.routes.route(partition).replica();
        let standing = replica.and_then(|replica| replica.standing(wall()));
        self.serve(std::future::ready(standing))
    }

    fn open_snapshot(
        &self,
        partition: PartitionId,
        _: Instant,
    ) -> Pending<'_, Result<SnapshotAnswer, CallError>> {
        self.serve(std::future::ready(self.answer_open_snapshot(partition)))
    }

    fn snapshot_chunk(
        &self,
        snapshot: SnapshotId,
        number: u64,
        _: Instant,
    ) -> Pending<'_, Result<SnapshotChunk, CallError>> {
        self.serve(self.snapshots.chunk(snapshot, number))
    }

    fn tell(&self, message: Message) {
        match message {
            Message::Progress(progress) => self.hear(progress),
            Message::Digest { partition, report } => self.send(partition, Event::Digest(report)),
            Message::Claim { partition } => self.claim(partition),
            Message::Condemned { partition, why } => self.send(partition, Event::Condemned { why }),
            Message::Resolve { partition, resolution } => {
                self.send(partition, Event::Resolve(resolution));
            }
            Message::LogGrew { partition, end } => self.read_log(partition, end),
            Message::Reach(reach) => self.hear_of(&reach),
        }
    }
}
