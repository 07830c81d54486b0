//! The replicas that a node should have, by what it has folded of `_cluster`.
//!
//! Start reading at [`PlacedReplicas::keep`].

use crate::asker::Input;
use crate::replica_handle::ReplicaHandle;
use crate::replica_host::{Duty, ReplicaHost};
use crate::replica_task::run_replica;
use crate::service::NodeService;
use cortado_cluster::LifeStanding;
use cortado_gateway::{Catalog, CatalogError, ExpectedLog};
use cortado_model::{PartitionId, with_causes};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::{error, info, warn};

/// How often a node looks at its tasks and its catalog, whatever happens.
const LOOK: Duration = Duration::from_secs(1);
/// How long a replica that is taken away may take to settle what it has begun.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// The replicas that a node runs.
pub(crate) struct PlacedReplicas {
    host: Arc<ReplicaHost>,
    service: Arc<NodeService>,
    cluster: Arc<ReplicaHandle>,
    /// All but that of `_cluster`.
    handles: BTreeMap<PartitionId, Arc<ReplicaHandle>>,
    /// Those that are being taken away. Ends with the node, as this does.
    stopping: JoinSet<PartitionId>,
    /// The same, and how many lives each has had; also of those that are gone. A replica that comes
    /// back begins when the one before has ended, and takes itself for another one.
    lives: BTreeMap<PartitionId, u32>,
    ending: BTreeSet<PartitionId>,
    /// A replica should begin, and the one before it has not ended.
    awaits_end: bool,
    /// The feature level that replicas were last told of.
    told_level: u32,
}

impl PlacedReplicas {
    /// Starts the replica of `_cluster`, which every node has.
    pub(crate) fn start(host: Arc<ReplicaHost>, service: Arc<NodeService>) -> PlacedReplicas {
        let origin = ExpectedLog::of_cluster(host.cluster.catalog.newest().cluster());
        let lives_before = lives_before(host.me().nonce);
        let cluster = start_replica(&host, PartitionId::CLUSTER, (origin, lives_before));
        PlacedReplicas {
            host,
            service,
            cluster,
            handles: BTreeMap::new(),
            stopping: JoinSet::new(),
            lives: BTreeMap::new(),
            ending: BTreeSet::new(),
            awaits_end: false,
            told_level: 0,
        }
    }

    /// Runs the replicas that the catalog places on this node, and no others.
    pub(crate) async fn keep(mut self) {
        loop {
            // Either of the two: both mean to look.
            let _ = timeout(LOOK, self.host.cluster.catalog.wanted()).await;
            self.host.tasks.check();
            self.service.snapshots.give_up_unused();
            let looked = self.refresh_catalog().await;
            self.tell_unread(looked.as_ref().err());
            if let Ok(true) = looked {
                self.follow_catalog().await;
            } else if self.awaits_end {
                self.begin_replicas();
            }
        }
    }

    /// Tells why the catalog is not read: once, however often it is looked for meanwhile.
    fn tell_unread(&self, error: Option<&CatalogError>) {
        let (node, unread) = (self.host.node(), error.map(|error| with_causes(error)));
        if self.host.health.set_unread(unread.clone()) {
            return;
        }
        match unread {
            Some(error) => error!(%node, error, "catalog not read; retrying"),
            None => info!(%node, "catalog read again"),
        }
    }

    /// Reads the catalog anew; answers whether it has moved.
    async fn refresh_catalog(&self) -> Result<bool, CatalogError> {
        // Before the store is read: what comes later may not be seen.
        let covers = self.cluster.applied();
        let known = self.host.cluster.catalog.newest();
        let read = self
            .host
            .lanes
            .read(move |store| Ok(known.newer_in(store.view(PartitionId::CLUSTER)?.as_ref())));
        let catalog = read.await??.map(Arc::new);
        if let Some(catalog) = &catalog
            && self.host.duty == Duty::Member
            && let LifeStanding::Refused(refusal) = self.host.standing_in(catalog)
        {
            self.host.life.report(refusal.to_string(), refusal.next_life());
        }
        let moved = catalog.is_some();
        self.host.cluster.catalog.publish(catalog, covers);
        Ok(moved)
    }

    /// Begins the replicas that should be here and are not, but for those whose predecessors have
    /// not ended yet.
    fn begin_replicas(&mut self) {
        while let Some(ended) = self.stopping.try_join_next() {
            // One that has panicked is dropped with its node, which ends of it.
            self.ending.retain(|partition| ended.as_ref().is_ok_and(|ended| ended != partition));
        }
        let catalog = self.host.cluster.catalog.newest();
        let me = self.host.node();
        self.awaits_end = false;
        for (partition, _) in catalog.placements().filter(|(_, nodes)| nodes.contains(&me)) {
            let database = catalog.database_by_id(partition.database);
            let origin = database
                .filter(|_| !self.handles.contains_key(&partition))
                .and_then(|database| ExpectedLog::of(database, partition.number, &catalog));
            let Some(origin) = origin else { continue };
            if self.ending.contains(&partition) {
                self.awaits_end = true;
                continue;
            }
            let lives_before = self.lives.get(&partition).copied().unwrap_or_default();
            let replica = start_replica(&self.host, partition, (origin, lives_before));
            self.handles.insert(partition, replica);
        }
    }

    async fn follow_catalog(&mut self) {
        self.begin_replicas();
        let catalog = self.host.cluster.catalog.newest();
        if self.told_level != catalog.feature_level() {
            self.told_level = catalog.feature_level();
            // A quiet leader would not look for long.
            for replica in self.handles.values().chain([&self.cluster]) {
                replica.send_beside(&self.host.tasks, Input::Tick);
            }
        }
        let me = self.host.node();
        let placed: BTreeMap<_, _> = catalog.placements().collect();
        let is_placed = |partition: &PartitionId| {
            placed.get(partition).is_some_and(|nodes| nodes.contains(&me))
        };
        let gone = self.handles.extract_if(.., |partition, _| !is_placed(partition));
        for (partition, replica) in gone.collect::<Vec<_>>() {
            // It may begin one more while it is told to stop.
            let lives = replica.replica_incarnation().life + 1;
            if catalog.database_by_id(partition.database).is_some() {
                self.lives.insert(partition, lives);
            }
            self.ending.insert(partition);
            self.stopping.spawn(stop_and_remove(Arc::clone(&self.host), replica));
        }
        self.lives.retain(|partition, _| catalog.database_by_id(partition.database).is_some());
        // What is being stopped is no stray.
        if self.stopping.is_empty() {
            let host = &self.host;
            host.routes.retain(|id| catalog.database_by_id(id).is_some());
            if host.duty == Duty::Member {
                self.remove_strays(&catalog).await;
            }
        }
    }

    /// Removes what the store still holds of databases that were dropped while this node slept.
    async fn remove_strays(&self, catalog: &Catalog) {
        let Ok(stored) = self.host.lanes.read(|store| store.partitions()).await else { return };
        for partition in stored {
            let known = partition == PartitionId::CLUSTER
                || self.handles.contains_key(&partition)
                // Newer than what this node has folded so far: nothing is known of it.
                || partition.database >= catalog.next_database();
            if !known {
                drop(remove_state(&self.host, partition).await);
            }
        }
    }
}

/// Takes a replica away: lets it settle, and removes what it holds once it has ended, so that no
/// batch of it comes behind. Its node answers for it until then.
async fn stop_and_remove(host: Arc<ReplicaHost>, replica: Arc<ReplicaHandle>) -> PartitionId {
    stop_replica(&replica).await;
    host.routes.route(replica.partition).remove(&replica);
    host.effort.forget(replica.partition);
    if let Some(removed) = remove_state(&host, replica.partition).await {
        // The sender is gone if the node has ended.
        let _ = removed.await;
    }
    replica.partition
}

/// Removes a replica's state, behind what it has left to the store if it has not settled.
/// Answers what tells when it is gone; `None` if the node ends.
async fn remove_state(
    host: &Arc<ReplicaHost>,
    partition: PartitionId,
) -> Option<oneshot::Receiver<()>> {
    let (sender, turn) = oneshot::channel();
    host.lanes.run(partition, move |store| {
        // The receiver is gone if the node has ended.
        let _ = sender.send(store.is_ok());
    });
    if turn.await != Ok(true) {
        return None;
    }
    let (gone, removed) = oneshot::channel();
    let (store, node) = (Arc::clone(&host.store), host.node());
    host.tasks.spawn_in_turn(&host.tasks.turns.upkeep, move || {
        match store.remove(partition) {
            Ok(()) => info!(%partition, %node, "replica removed"),
            Err(error) => warn!(%partition, %node, %error, "replica not removed"),
        }
        // Nobody waits for a stray's.
        let _ = gone.send(());
    });
    Some(removed)
}

/// Where the lives of a node's replica of `_cluster` begin to be counted.
///
/// It may claim before it is registered, so that another process may claim in the same incarnation:
/// one that runs a copy of the data directory. By what both drew, neither takes the other's claim
/// for its own. Elsewhere a node claims when it is registered, and its copy never is.
fn lives_before(nonce: u128) -> u32 {
    // Half of all numbers remain to be counted on.
    (nonce as u32) >> 1
}

fn start_replica(
    host: &Arc<ReplicaHost>,
    partition: PartitionId,
    origin: (ExpectedLog, u32),
) -> Arc<ReplicaHandle> {
    let identity = (host.node(), host.me().incarnation);
    let (lanes, room) = (Arc::clone(&host.lanes), Arc::clone(&host.health.room));
    let changed = Arc::clone(&host.changed);
    let (handle, inbox) = ReplicaHandle::new(partition, identity, lanes, room, changed);
    host.effort.add(partition);
    host.routes.route(partition).add(Arc::clone(&handle));
    host.tasks.spawn(run_replica(Arc::clone(host), Arc::clone(&handle), inbox, origin));
    handle
}

/// Lets a replica finish what it has begun, and waits for its end.
///
/// Its log may be gone: it would try for ever to find out what became of it. The second time it is
/// told to stop, it ends with what is open.
pub(crate) async fn stop_replica(handle: &ReplicaHandle) {
    while handle.send(Input::Stop).await && timeout(STOP_TIMEOUT, handle.ended()).await.is_err() {
        let (partition, node) = (handle.partition, handle.node);
        warn!(%partition, %node, "replica did not stop in time");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::health::Health;
    use cortado_driver::{Event, INBOX_MAX};
    use cortado_lanes::StoreLanes;
    use cortado_model::{NodeId, NodeIncarnation};
    use cortado_store::MemoryStore;

    #[test]
    fn a_catalog_that_is_not_read_is_told_of_once_and_shown_until_it_is_read() {
        let health = Health::new(Clock::start());
        let newer = || Some("upgrade this node".to_owned());
        let known = [newer(), newer(), None, None].map(|unread| {
            let known = health.set_unread(unread);
            (known, health.sickness())
        });
        let sick = || Some("catalog not read: upgrade this node".to_owned());
        assert_eq!(known, [(false, sick()), (true, sick()), (false, None), (true, None)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_replica_is_told_to_stop_until_it_has_ended() {
        let life = (NodeId(1), NodeIncarnation(1));
        let lanes = StoreLanes::start(life.0, Arc::new(MemoryStore::new()), ()).unwrap();
        let lanes = Arc::new(lanes);
        let (handle, mut line) =
            ReplicaHandle::new(PartitionId::CLUSTER, life, lanes, Arc::default(), Arc::default());
        (0..INBOX_MAX).for_each(|_| handle.offer(Event::Verify).unwrap());
        let stopping = stop_replica(&handle);
        tokio::pin!(stopping);
        // Its line is full for longer than it may take to settle.
        assert!(timeout(3 * STOP_TIMEOUT, &mut stopping).await.is_err());
        (0..INBOX_MAX).for_each(|_| drop(line.try_recv().unwrap()));
        // Nor can it settle.
        let told = async |line: &mut tokio::sync::mpsc::Receiver<_>| {
            assert!(matches!(line.recv().await, Some(Event::Stop)));
        };
        for _ in 0..2 {
            tokio::select! {
                () = &mut stopping => panic!("it has not ended"),
                () = told(&mut line) => {}
            }
        }
        drop(line);
        stopping.await;
    }
}
