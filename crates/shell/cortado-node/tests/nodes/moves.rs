//! Replicas move from node to node while clients write: nodes join, leave and are replaced.

use crate::failovers::{Load, one_artist_for_each_partition};
use crate::joining::{Directory, Site};
use crate::world::{Music, deadline, eventually, eventually_asking};
use cortado_document::TableDefinition;
use cortado_driver::ReplicaRole;
use cortado_gateway::{
    AdminError, Catalog, ChangeOrder, ChangePlan, DatabaseSpec, Declared, Gateway, PlannedMove,
};
use cortado_model::{NodeId, PartitionId};
use cortado_node::{ChangeId, ChangeState, Cluster, MoveLimits, PlannedKind};
use std::collections::{BTreeMap, BTreeSet};

const PARTITIONS: u32 = 8;
/// Of the journal, which moves as any database does.
const JOURNAL_PARTITIONS: u32 = 4;

/// Nodes of a cluster, each as a process of its own would be, and a database on them.
struct Moving {
    site: Site,
    nodes: BTreeMap<&'static str, Cluster>,
    /// Where each of them lives; outlives it.
    directories: BTreeMap<&'static str, Directory>,
    router: Cluster,
    music: Music,
}

fn order(kind: PlannedKind) -> ChangeOrder {
    ChangeOrder { kind, limits: MoveLimits::default() }
}

impl Moving {
    async fn start(names: &[&'static str], replication: u32) -> Moving {
        let mut site = Site::begun().await;
        // A log that is no longer is folded: what is longer is copied.
        site.raw.copy_beyond_records = 4;
        let (mut nodes, mut directories) = (BTreeMap::new(), BTreeMap::new());
        for name in names {
            let directory = Directory::default();
            nodes.insert(*name, site.join(name, Some(&directory)).await.unwrap());
            directories.insert(*name, directory);
        }
        let router = site.join("", None).await.unwrap();
        eventually("the journal and all nodes are there", || {
            let catalog = router.gateway().catalog();
            let is_there = |name: &&str| catalog.node_named(name).is_some();
            catalog.journal().is_some() && names.iter().all(is_there)
        })
        .await;
        let key = vec!["artist".to_owned(), "title".to_owned()];
        let album = TableDefinition::new(key, None).unwrap();
        let spec = DatabaseSpec {
            partitions: Some(PARTITIONS),
            replication: Some(replication),
            tables: BTreeMap::from([("album".to_owned(), album)]),
            ..DatabaseSpec::default()
        };
        let created = router.gateway().create_database("music", spec, deadline()).await.unwrap();
        let Declared::Created(database) = created else { panic!("it is there already") };
        let music = Music::of(&router.gateway(), database);
        Moving { site, nodes, directories, router, music }
    }

    /// A node begins, or goes on.
    async fn join(&mut self, name: &'static str) {
        let directory = self.directories.entry(name).or_default();
        let joined = self.site.join(name, Some(directory)).await.unwrap();
        self.nodes.insert(name, joined);
        let catalog = || self.router.gateway().catalog();
        eventually("the node is there", || catalog().node_named(name).is_some()).await;
    }

    fn gateway(&self) -> Gateway {
        self.router.gateway()
    }

    fn id(&self, name: &str) -> NodeId {
        self.gateway().catalog().node_named(name).unwrap().node
    }

    async fn begin(&self, kind: PlannedKind) -> ChangePlan {
        self.gateway().begin_change(&order(kind), deadline()).await.unwrap()
    }

    async fn await_over(&self) {
        let catalog = || self.gateway().catalog();
        eventually("the change is over", || catalog().changes().next().is_none()).await;
    }

    /// Replicas of all databases that are placed on each node.
    fn held(&self) -> BTreeMap<NodeId, u32> {
        let catalog = self.gateway().catalog();
        let mut held: BTreeMap<NodeId, u32> = catalog.members().map(|node| (node, 0)).collect();
        for (_, nodes) in catalog.placements() {
            nodes.iter().for_each(|node| *held.entry(*node).or_default() += 1);
        }
        held
    }

    /// The partitions of the music of which a replica is on its way.
    fn on_their_way(&self) -> BTreeSet<PartitionId> {
        let catalog = self.gateway().catalog();
        let partitions = catalog.moves_of_partitions().map(|(partition, _)| partition);
        partitions.filter(|partition| partition.database == self.music.database.id).collect()
    }

    /// Waits until every replica is where it is placed and follows, every partition is led, and no
    /// node has a replica that it should not have.
    async fn await_settled(&self) {
        let is_settled = async || {
            let catalog = self.gateway().catalog();
            let found = self.music.partitions().await;
            let follows = |role| matches!(role, ReplicaRole::Follower | ReplicaRole::Leader);
            let is_led = found.iter().all(|partition| partition.leader.is_some());
            let mut replicas = found.iter().flat_map(|partition| &partition.replicas);
            let all_follow = replicas.all(|replica| replica.is_told && follows(replica.role));
            is_led && all_follow && self.nodes.values().all(|node| has_its_own(node, &catalog))
        };
        eventually_asking("replicas are where they should be", is_settled).await;
    }
}

/// Whether the node of a process holds exactly what is placed on it.
fn has_its_own(process: &Cluster, catalog: &Catalog) -> bool {
    process.nodes().replicas_held().into_iter().all(|(node, held)| {
        let placed = catalog.placements().filter(|(_, nodes)| nodes.contains(&node));
        let mut placed: Vec<PartitionId> = placed.map(|(partition, _)| partition).collect();
        placed.insert(0, PartitionId::CLUSTER);
        placed == held
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_join_get_their_share_while_clients_write() {
    let mut moving = Moving::start(&["a", "b", "c"], 3).await;
    let load = Load::start(&moving.music, 3);
    load.more(50).await;
    moving.join("d").await;
    moving.join("e").await;
    let planned = order(PlannedKind::Expand);
    let plan = moving.gateway().plan_change(&planned, deadline()).await.unwrap();
    assert_eq!(plan.id, None);
    assert!(plan.replicas > 0 && plan.all_measured && plan.bytes > 0, "{plan:?}");
    let is_a_move = |one: &PlannedMove| one.from.is_some() && one.to.is_some();
    assert!(plan.moves.iter().all(is_a_move), "{plan:?}");
    assert_eq!(moving.gateway().catalog().changes().count(), 0, "it was only planned");
    let begun = moving.begin(PlannedKind::Expand).await;
    assert_eq!((begun.id, &begun.moves), (Some(ChangeId(1)), &plan.moves));
    let second = moving.gateway().begin_change(&planned, deadline()).await;
    let is_under_way = matches!(second, Err(AdminError::ChangeUnderWay { .. }) | Ok(_));
    assert!(is_under_way, "{second:?}");
    moving.await_over().await;
    load.more(50).await;
    let replicas = 3 * (PARTITIONS + JOURNAL_PARTITIONS);
    let share = replicas / 5;
    let held = moving.held();
    assert!(held.values().all(|held| [share, share + 1].contains(held)), "{held:?}");
    moving.await_settled().await;
    load.audit(&moving.music).await;
    // There is nothing left to do.
    let again = moving.begin(PlannedKind::Expand).await;
    assert_eq!((again.id, again.replicas), (None, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_removed_holds_nothing_and_is_no_member_any_more() {
    let moving = Moving::start(&["a", "b", "c", "d"], 3).await;
    let load = Load::start(&moving.music, 3);
    load.more(50).await;
    let b = moving.id("b");
    moving.begin(PlannedKind::RemoveNode(b)).await;
    // What is created meanwhile is placed elsewhere.
    let late = moving.gateway().create_database("late", DatabaseSpec::default(), deadline()).await;
    assert!(late.is_ok(), "{late:?}");
    moving.await_over().await;
    let catalog = moving.gateway().catalog();
    assert!(catalog.node(b).unwrap().removed && !catalog.members().any(|node| node == b));
    let held = moving.held();
    assert!(!held.contains_key(&b), "{held:?}");
    eventually("the node is refused", || {
        let refused = moving.nodes["b"].nodes().ready();
        refused.is_err_and(|why| why.to_string().contains("removed from the cluster"))
    })
    .await;
    load.more(50).await;
    load.audit(&moving.music).await;
    // Too few are left for another one to go.
    let c = moving.id("c");
    let (gateway, asked) = (moving.gateway(), order(PlannedKind::RemoveNode(c)));
    let refused = gateway.begin_change(&asked, deadline()).await.unwrap_err().to_string();
    assert!(refused.contains("has 3 replicas, and 2 nodes would be left"), "{refused}");
}

/// The journal has no more replicas than there are nodes: it keeps nobody from leaving.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_shrinks_to_one_node_and_its_journal_with_it() {
    let mut moving = Moving::start(&["a", "b", "c"], 1).await;
    let replicas = |moving: &Moving| {
        let catalog = moving.gateway().catalog();
        let journal = catalog.journal().unwrap();
        (0..journal.partitions).map(|number| journal.placement(number).len()).collect::<Vec<_>>()
    };
    eventually("the journal is everywhere", || replicas(&moving) == [3; 4]).await;
    let load = Load::start(&moving.music, 3);
    load.more(50).await;
    for (name, left) in [("c", 2), ("b", 1)] {
        let leaves = moving.id(name);
        moving.begin(PlannedKind::RemoveNode(leaves)).await;
        moving.await_over().await;
        assert_eq!(replicas(&moving), [left; 4]);
        assert!(!moving.held().contains_key(&leaves));
        load.more(50).await;
    }
    load.audit(&moving.music).await;
    let last = order(PlannedKind::RemoveNode(moving.id("a")));
    let refused = moving.gateway().begin_change(&last, deadline()).await.unwrap_err().to_string();
    assert!(refused.contains("is the last node: add another one first"), "{refused}");
    moving.join("d").await;
    eventually("the journal is there, too", || replicas(&moving) == [2; 4]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_node_is_replaced_by_another_one() {
    let mut moving = Moving::start(&["a", "b", "c"], 3).await;
    let load = Load::start(&moving.music, 3);
    load.more(50).await;
    let dead = moving.id("c");
    moving.nodes.remove("c").unwrap().shutdown().await;
    moving.join("d").await;
    let (from, to) = (dead, moving.id("d"));
    let plan = moving.begin(PlannedKind::ReplaceNode { from, to }).await;
    assert_eq!(plan.replicas as u32, PARTITIONS + JOURNAL_PARTITIONS);
    let direct = PlannedMove { from: Some(from), to: Some(to), ..plan.moves[0] };
    let is_direct = |one: &PlannedMove| *one == PlannedMove { partition: one.partition, ..direct };
    assert!(plan.moves.iter().all(is_direct), "{plan:?}");
    moving.await_over().await;
    load.more(50).await;
    assert!(!moving.held().contains_key(&dead));
    moving.await_settled().await;
    load.audit(&moving.music).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_change_rests_and_another_controller_goes_on_with_it() {
    let mut moving = Moving::start(&["a", "b", "c"], 2).await;
    let load = Load::start(&moving.music, 3);
    load.more(50).await;
    moving.join("d").await;
    let gateway = moving.gateway();
    let slow = MoveLimits { copies_per_node: 1, copies_per_cluster: 1, ..MoveLimits::default() };
    let planned = ChangeOrder { kind: PlannedKind::Expand, limits: slow };
    let id = gateway.begin_change(&planned, deadline()).await.unwrap().id.unwrap();
    gateway.set_change_state(id, ChangeState::Paused, deadline()).await.unwrap();
    let rests = async || {
        let status = gateway.changes_status().await;
        let [status] = status.as_slice() else { panic!("{status:?}") };
        let progress = &status.progress;
        let mut waits = status.waiting.iter();
        let is_paused = waits.all(|waiting| waiting.why == "the change is paused");
        is_paused && progress.replicas_done < progress.replicas
    };
    eventually_asking("the change rests", rests).await;
    let before = gateway.catalog().moves_of_partitions().count();
    // The controller goes away without a word; the next one has only what stands in `_cluster`.
    let leader = gateway.status().await.databases[0].partitions[0].leader.unwrap();
    let name = ["a", "b", "c", "d"].into_iter().find(|name| moving.id(name) == leader).unwrap();
    moving.nodes.remove(name).unwrap().shutdown().await;
    load.more(50).await;
    assert_eq!(gateway.catalog().moves_of_partitions().count(), before);
    moving.join(name).await;
    let resumed = gateway.set_change_state(id, ChangeState::Running, deadline()).await.unwrap();
    assert_eq!(resumed.state, ChangeState::Running);
    gateway.throttle_change(id, |limits| limits.copies_per_cluster = 10, deadline()).await.unwrap();
    moving.await_over().await;
    let held = moving.held();
    let (least, most) = (held.values().min().unwrap(), held.values().max().unwrap());
    assert!(most - least <= 1, "{held:?}");
    moving.await_settled().await;
    load.audit(&moving.music).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_change_ends_where_it_is_and_stays_cancelled() {
    let mut moving = Moving::start(&["a", "b", "c"], 2).await;
    let load = Load::start(&moving.music, 2);
    load.more(20).await;
    moving.join("d").await;
    let before = moving.held();
    let gateway = moving.gateway();
    let slow = MoveLimits { copies_per_node: 1, copies_per_cluster: 1, ..MoveLimits::default() };
    let planned = ChangeOrder { kind: PlannedKind::Expand, limits: slow };
    let id = gateway.begin_change(&planned, deadline()).await.unwrap().id.unwrap();
    gateway.set_change_state(id, ChangeState::Cancelled, deadline()).await.unwrap();
    let refused = gateway.set_change_state(id, ChangeState::Running, deadline()).await;
    let stays = matches!(refused, Err(AdminError::ChangeCancelled | AdminError::NoSuchChange));
    assert!(stays, "{refused:?}");
    moving.await_over().await;
    let after = moving.held();
    assert_eq!(before.values().sum::<u32>(), after.values().sum::<u32>());
    let d = moving.id("d");
    assert!(after[&d] <= 1, "at most one was being copied at a time: {after:?}");
    moving.await_settled().await;
    load.audit(&moving.music).await;
    // An id is never given out twice.
    let next = gateway.begin_change(&planned, deadline()).await.unwrap().id;
    assert_eq!(next, Some(ChangeId(id.0 + 1)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copies_keep_to_their_pace_until_that_is_changed() {
    let mut moving = Moving::start(&["a", "b", "c"], 2).await;
    // Seven chunks of a snapshot in every partition: each of them waits for half a minute.
    let long = format!("{{\"text\":\"{}\"}}", "x".repeat(300_000));
    for artist in one_artist_for_each_partition(&moving.music) {
        for title in 1..=6 {
            moving.music.put(&artist, &title.to_string(), &long).await.unwrap();
        }
    }
    moving.join("d").await;
    let gateway = moving.gateway();
    let slow = MoveLimits { bytes_per_second: 1, ..MoveLimits::default() };
    let planned = ChangeOrder { kind: PlannedKind::Expand, limits: slow };
    let plan = gateway.begin_change(&planned, deadline()).await.unwrap();
    assert!(plan.bytes > 300_000, "{plan:?}");
    let first_chunks_are_there = async || {
        let status = gateway.changes_status().await;
        !moving.on_their_way().is_empty() && status[0].progress.bytes_done > 200_000
    };
    eventually_asking("the copies have begun", first_chunks_are_there).await;
    let begun = moving.on_their_way();
    let load = Load::start(&moving.music, 2);
    load.more(300).await;
    let under_way = moving.on_their_way();
    assert!(begun.is_subset(&under_way), "{begun:?} are no more all of {under_way:?}");
    let id = plan.id.unwrap();
    gateway.throttle_change(id, |limits| limits.bytes_per_second = 0, deadline()).await.unwrap();
    moving.await_over().await;
    moving.await_settled().await;
    load.audit(&moving.music).await;
    for artist in one_artist_for_each_partition(&moving.music) {
        assert_eq!(moving.music.get(&artist, "6").await.as_ref(), Some(&long));
    }
}
