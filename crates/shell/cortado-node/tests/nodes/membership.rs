//! Which nodes are in the cluster: one life of one data directory for each name.

use crate::failovers::count_of;
use crate::held_log::HeldLog;
use crate::world::{Music, N1, N2, N3, World, deadline, eventually, eventually_asking, settings};
use cortado_gateway::{AdminError, DatabaseSpec, NodeFacts, NodeStatus};
use cortado_log::memory::SharedMemoryLog;
use cortado_metrics::Registry;
use cortado_model::{NodeId, NodeIncarnation, PartitionId};
use cortado_node::{Cluster, Founding, NodeIdentity, RawSettings, StartError};
use std::sync::Arc;

async fn status(world: &World, node: NodeId) -> NodeStatus {
    world.gateway.status().await.nodes.into_iter().find(|status| status.node == node).unwrap()
}

fn registered(world: &World, node: NodeId) -> NodeFacts {
    world.gateway.catalog().nodes().find(|facts| facts.node == node).unwrap().clone()
}

/// Waits until `node` does not run, and says `why`.
async fn await_refused(world: &World, node: NodeId, why: &str) {
    eventually_asking("the node is refused", async || {
        let status = status(world, node).await;
        !status.alive && status.sick.is_some_and(|said| said.contains(why))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_data_directory_is_refused_until_the_node_is_replaced() {
    let world = World::start().await;
    let music = world.music(3).await;
    let before = registered(&world, N3);
    world.nodes.kill(N3).await.unwrap();
    world.stores.delete(N3);
    world.stores.directories.replace(N3, None);
    for _ in 0..2 {
        world.nodes.start(N3).await.unwrap();
        await_refused(&world, N3, "cortado node replace").await;
    }
    assert_eq!(registered(&world, N3), before);
    // The others live on.
    music.put("a", "t", "{}").await.unwrap();

    world.gateway.replace_node(N3, deadline()).await.unwrap();
    world.gateway.replace_node(N3, deadline()).await.unwrap();
    world.nodes.start(N3).await.unwrap();
    eventually("the successor holds the name", || {
        let facts = registered(&world, N3);
        facts.incarnation > before.incarnation && facts.directory != before.directory
    })
    .await;
    assert!(!registered(&world, N3).replaced);
    music.await_complete().await;

    let refused = world.gateway.replace_node(N1, deadline()).await;
    assert!(matches!(refused, Err(AdminError::NodeRuns)), "{refused:?}");
    let refused = world.gateway.replace_node(NodeId(9), deadline()).await;
    assert!(matches!(refused, Err(AdminError::NotRegistered)), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_starts_without_the_node_that_is_refused() {
    let world = World::start().await;
    let music = world.music(3).await;
    music.put("a", "t", "{}").await.unwrap();
    drop(music);
    let (log, stores) = world.shutdown().await;
    stores.delete(N3);
    stores.directories.replace(N3, None);
    let world = World::over(log, stores, settings()).await;
    await_refused(&world, N3, "cortado node replace").await;
    let music = Music::again(&world);
    music.await_leaders(&[N1, N2]).await;
    assert_eq!(music.get("a", "t").await.as_deref(), Some("{}"));
    world.gateway.replace_node(N3, deadline()).await.unwrap();
    let (log, stores) = world.shutdown().await;
    // A new process has a life begin that is too low, and another one above it.
    let world = World::over(log, stores, settings()).await;
    assert!(status(&world, N3).await.alive);
}

/// One node, in a process of its own.
fn alone() -> RawSettings {
    RawSettings { nodes: 1, ..settings() }
}

/// A process with one node, and what another one on a copy of its data directory has.
async fn twins() -> (World, SharedMemoryLog, Arc<crate::world::Stores>) {
    let log = SharedMemoryLog::of_many_machines();
    let world = World::over(log.clone(), Arc::default(), alone()).await;
    (world, log, Arc::default())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_life_ends_the_older_one() {
    let (older, log, stores) = twins().await;
    stores.directories.replace(N1, older.stores.directories.identity(N1));
    let newer = World::over(log, stores, alone()).await;
    await_refused(&older, N1, "incarnation 2 of this data directory").await;
    assert!(status(&newer, N1).await.alive);
    assert_eq!(registered(&newer, N1).incarnation, NodeIncarnation(2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_copy_of_a_data_directory_is_refused() {
    let (world, log, stores) = twins().await;
    let first = world.stores.directories.identity(N1).unwrap();
    let lived = |lives| Some(NodeIdentity { incarnation: NodeIncarnation(lives), ..first });
    world.stores.directories.replace(N1, lived(10));
    world.nodes.kill(N1).await.unwrap();
    world.nodes.start(N1).await.unwrap();
    eventually("the present life has registered", || {
        registered(&world, N1).incarnation == NodeIncarnation(11)
    })
    .await;
    stores.directories.replace(N1, lived(5));
    let said = match World::try_over(log, stores, alone(), Founding::Join).await.err() {
        Some(StartError::Node { node: N1, source }) => source.to_string(),
        other => panic!("not refused: {other:?}"),
    };
    assert!(said.contains("incarnation 11 of this data directory has registered"), "{said}");
    assert!(status(&world, N1).await.alive, "the registered life has ended");
}

/// Both claim `_cluster`, in the same incarnation: neither takes the other's claim for its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_copies_of_a_data_directory_that_start_at_once_one_ends() {
    let (world, _, copy) = twins().await;
    copy.directories.replace(N1, world.stores.directories.identity(N1));
    let (log, stores) = world.shutdown().await;
    let start = |stores| World::try_over(log.clone(), stores, alone(), Founding::Join);
    let started = tokio::join!(start(stores), start(copy));
    let (lives, refused) = match started {
        (Ok(lives), Err(refused)) | (Err(refused), Ok(lives)) => (lives, refused),
        (Ok(_), Ok(_)) => panic!("both live"),
        (Err(one), Err(other)) => panic!("none lives: {one}; {other}"),
    };
    let StartError::Node { node: N1, source } = refused else { panic!("{refused:?}") };
    assert!(source.to_string().contains("runs a copy of this data directory"), "{source}");
    let music = lives.music(1).await;
    music.put("a", "t", "{}").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_database_is_claimed_before_the_claimant_is_registered() {
    let world = World::start().await;
    let music = world.music(4).await;
    let partitions: Vec<PartitionId> =
        (0..4).map(|number| PartitionId { database: music.database.id, number }).collect();
    drop(music);
    let (log, stores) = world.shutdown().await;
    let ends = || log.with(|log| partitions.iter().map(|p| log.end(*p)).collect::<Vec<_>>());
    let before = ends();
    let (held, metrics) = (HeldLog::new(log.clone()), Arc::new(Registry::default()));
    let components = stores.components(Arc::new(held.clone()), Arc::clone(&metrics));
    let starting = tokio::spawn(Cluster::start(settings().validate().unwrap(), components));
    let claims = || count_of(&metrics, "cortado_claims_total");
    eventually("_cluster has been claimed", || claims() > 0).await;
    let beats = || count_of(&metrics, "cortado_beats_total");
    eventually("the nodes have had time to claim", || beats() > 100).await;
    assert_eq!(ends(), before, "a database was claimed by a node that is not registered");
    held.let_go();
    let cluster = starting.await.unwrap().unwrap();
    let gateway = cluster.gateway();
    eventually_asking("every database is led again", async || gateway.ready().await.is_ok()).await;
    assert!(ends().iter().zip(&before).all(|(now, before)| now > before));
    cluster.shutdown().await;
}

/// The log must hear of it: what it does not answer may hold up what others send.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_producer_that_does_not_answer_is_abandoned() {
    let (log, stores) = World::start().await.shutdown().await;
    let (held, metrics) = (HeldLog::with_little_patience(log), Arc::new(Registry::default()));
    let components = stores.components(Arc::new(held.clone()), metrics);
    let starting = tokio::spawn(Cluster::start(settings().validate().unwrap(), components));
    // Whoever leads `_cluster` registers itself first.
    eventually("the log has heard of it", || held.abandoned() > 0).await;
    held.let_go();
    let cluster = starting.await.unwrap().unwrap();
    let gateway = cluster.gateway();
    eventually_asking("every node is registered", async || gateway.ready().await.is_ok()).await;
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_knows_the_nodes_that_it_does_not_run() {
    let world = World::start().await;
    let (log, stores) = world.shutdown().await;
    let world =
        World::over(log, stores, RawSettings { address: "b:1".to_owned(), ..alone() }).await;
    let nodes = world.gateway.status().await.nodes;
    let seen: Vec<_> = nodes.iter().map(|n| (n.node, n.alive, n.address.as_str())).collect();
    assert_eq!(
        seen,
        [(N1, true, "b:1"), (N2, false, "127.0.0.1:7171"), (N3, false, "127.0.0.1:7171")]
    );
    let status = world.gateway.status().await;
    assert_eq!(status.databases[0].partitions[0].replicas.len(), 3);
    // Databases are placed on all of them.
    let music = world.music_on(3, Some(3)).await;
    assert!((0..3).all(|number| music.database.placement(number).len() == 3));
    music.await_leaders(&[N1]).await;
    music.put("a", "t", "{}").await.unwrap();
    let spec = DatabaseSpec { replication: Some(4), ..DatabaseSpec::default() };
    let refused = world.gateway.create_database("films", spec, deadline()).await.err();
    assert!(matches!(refused, Some(AdminError::Invalid { .. })), "{refused:?}");
}
