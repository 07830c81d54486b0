//! Logs that have lost what replicas have applied: an operator chooses which history goes on.

use crate::restarts::events;
use crate::world::{Music, N1, N2, N3, World, deadline, eventually_asking, settings, stored};
use cortado_gateway::{EventKind, ReplicaHistory, ReplicaRole};
use cortado_log::Log;
use cortado_model::{LogOffset, NodeId, PartitionId, with_causes};
use std::time::Duration;
use tokio::time::Instant;

const TITLES: usize = 12;

fn title(number: usize) -> String {
    format!("t{number}")
}

/// Three nodes that have applied more than their log holds any more, started again.
///
/// * `without`: a node whose store is lost, too.
async fn robbed(without: Option<NodeId>) -> (World, Music) {
    // Of the documents, four are left: behind a genesis, a claim and a barrier.
    robbed_behind(LogOffset(7), without).await
}

/// The same, with a log that ends at `end`.
async fn robbed_behind(end: LogOffset, without: Option<NodeId>) -> (World, Music) {
    let world = World::start().await;
    let music = world.music(1).await;
    for number in 0..TITLES {
        music.put("cher", &title(number), "{}").await.unwrap();
    }
    music.await_complete().await;
    let partition = music.partition_of("cher");
    drop(music);
    let (log, stores) = world.shutdown().await;
    log.with(|log| log.truncate(partition, end));
    without.into_iter().for_each(|node| stores.delete(node));
    let world = World::over(log, stores, settings()).await;
    let music = Music::again(&world);
    (world, music)
}

async fn histories(world: &World, music: &Music) -> Vec<ReplicaHistory> {
    world.gateway.histories(music.partition_of("cher")).await
}

/// Waits until the replicas have these roles.
async fn await_roles(world: &World, music: &Music, roles: [ReplicaRole; 3]) {
    eventually_asking(&format!("they are {roles:?}"), async || {
        let found = histories(world, music).await;
        found.iter().map(ReplicaHistory::role).eq(roles.map(Some))
    })
    .await;
}

/// How many of the documents that were acknowledged are there.
async fn count(music: &Music) -> usize {
    let mut found = 0;
    for number in 0..TITLES {
        found += usize::from(music.get("cher", &title(number)).await.is_some());
    }
    found
}

/// Waits until the journal has an entry of a resolution with this text.
async fn await_told(world: &World, text: &str) {
    eventually_asking("the resolution is told", async || {
        events(world, EventKind::Resolution).await.iter().any(|told| told.contains(text))
    })
    .await;
}

/// One leads, the others follow, and all hold the same.
async fn check_one(world: &World, music: &Music) {
    music.await_leaders(&[N1, N2, N3]).await;
    music.put("cher", "afterwards", "{}").await.unwrap();
    music.await_complete().await;
    let partition = PartitionId { database: music.database.id, number: 0 };
    let on = |node| stored(&world.stores.of(node), music, partition);
    eventually_asking("replicas hold the same", async || on(N1) == on(N2) && on(N2) == on(N3))
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_log_has_lost_is_kept_and_goes_on_when_an_operator_says_so() {
    let (world, music) = robbed(None).await;
    await_roles(&world, &music, [ReplicaRole::Disputed; 3]).await;
    assert_eq!(music.leaders().await, [None]);
    world.gateway.resolve(music.partition_of("cher"), N2, deadline()).await.unwrap();
    assert_eq!(count(&music).await, TITLES);
    check_one(&world, &music).await;
    await_told(&world, "the history of n2").await;
    // Once more: there is nothing to be done.
    world.gateway.resolve(music.partition_of("cher"), N3, deadline()).await.unwrap();
    let told = events(&world, EventKind::Resolution).await;
    assert!(!told.iter().any(|told| told.contains("the history of n3")), "{told:?}");
    // It goes on after the next start, too.
    drop(music);
    let (log, stores) = world.shutdown().await;
    let world = World::over(log, stores, settings()).await;
    let music = Music::again(&world);
    check_one(&world, &music).await;
    assert_eq!(count(&music).await, TITLES);
}

/// The cluster's own log loses what was declared last, while all nodes run.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_log_of_the_cluster_has_lost_goes_on_when_an_operator_says_so() {
    let world = World::start().await;
    let music = world.music(1).await;
    music.put("cher", "x", "{}").await.unwrap();
    let roles = async |wanted: fn(ReplicaRole) -> bool| {
        let found = world.gateway.histories(PartitionId::CLUSTER).await;
        found.len() == 3 && found.iter().all(|one| one.role().is_some_and(wanted))
    };
    let follows = |role| matches!(role, ReplicaRole::Leader | ReplicaRole::Follower);
    let extents = world.log.extents(&[PartitionId::CLUSTER]).await.unwrap();
    world.log.with(|log| log.truncate(PartitionId::CLUSTER, LogOffset(extents[0].end.0 - 2)));
    eventually_asking("in dispute", async || roles(|role| role == ReplicaRole::Disputed).await)
        .await;
    // Databases are served as ever.
    music.put("cher", "y", "{}").await.unwrap();
    let soon = Instant::now() + Duration::from_secs(1);
    let refused = world.gateway.drop_database("music", soon).await.unwrap_err();
    assert!(with_causes(&refused).contains("different histories"), "{}", with_causes(&refused));
    world.gateway.resolve(PartitionId::CLUSTER, N2, deadline()).await.unwrap();
    eventually_asking("they go on", async || roles(follows).await).await;
    await_told(&world, "the history of n2").await;
    // What the log has lost was that there is this database.
    music.put("cher", "z", "{}").await.unwrap();
    world.gateway.drop_database("music", deadline()).await.unwrap();
}

/// A replica that knows only what the log still holds leads nothing by itself: others have more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_less_leads_only_if_an_operator_says_so() {
    let (world, music) = robbed(Some(N1)).await;
    let (diverged, disputed) = (ReplicaRole::Diverged, ReplicaRole::Disputed);
    await_roles(&world, &music, [diverged, disputed, disputed]).await;
    world.gateway.resolve(music.partition_of("cher"), N1, deadline()).await.unwrap();
    let left = count(&music).await;
    assert!(left > 0 && left < TITLES, "{left}");
    check_one(&world, &music).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_has_lost_everything_begins_anew_with_the_history_that_was_chosen() {
    let (world, music) = robbed_behind(LogOffset::ZERO, None).await;
    await_roles(&world, &music, [ReplicaRole::Disputed; 3]).await;
    world.gateway.resolve(music.partition_of("cher"), N3, deadline()).await.unwrap();
    assert_eq!(count(&music).await, TITLES);
    check_one(&world, &music).await;
    // Who has nothing copies: the log alone does not say it all.
    drop(music);
    let (log, stores) = world.shutdown().await;
    stores.delete(N1);
    let world = World::over(log, stores, settings()).await;
    let music = Music::again(&world);
    check_one(&world, &music).await;
    assert_eq!(count(&music).await, TITLES);
}
