//! Nodes and whole processes start again from what is left, and rebuild what is not.

use crate::storage::says;
use crate::world::{
    Music, N1, N2, N3, World, deadline, eventually, eventually_asking, idempotency, settings,
    stored,
};
use cortado_gateway::{EventKind, ReplicaRole};
use cortado_log::memory::SharedMemoryLog;
use cortado_log::{Beats, Drift};
use cortado_model::{
    Beat, DatabaseId, LogOffset, NodeIncarnation, PartitionId, WallMillis, with_causes,
};
use cortado_node::{Founding, IdentityError, RawSettings, StartError};
use cortado_store::StoreError;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

async fn fill(music: &Music, from: usize, count: usize) {
    for number in from..from + count {
        let value = format!("{{\"n\":{number}}}");
        music.put(&format!("a{}", number % 7), &format!("t{number}"), &value).await.unwrap();
    }
}

async fn check_filled(music: &Music, count: usize) {
    for number in 0..count {
        let found = music.get(&format!("a{}", number % 7), &format!("t{number}")).await;
        assert_eq!(found, Some(format!("{{\"n\":{number}}}")));
    }
}

/// Waits until the stores of all nodes hold the same of every partition.
async fn check_equal(world: &World, music: &Music) {
    music.await_complete().await;
    for number in 0..music.database.partitions {
        let partition = PartitionId { database: music.database.id, number };
        let on = |node| stored(&world.stores.of(node), music, partition);
        eventually("replicas hold the same", || on(N1) == on(N2) && on(N2) == on(N3)).await;
    }
}

/// What the journal says of one kind.
pub(crate) async fn events(world: &World, kind: EventKind) -> Vec<String> {
    let events = world.gateway.events(None, 10_000, deadline()).await.unwrap();
    let events = events.into_iter().filter(|event| event.kind == kind);
    events.map(|event| format!("{} {} {:?}", event.node, event.what, event.evidence)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_starts_again_where_it_ended() {
    let world = World::start().await;
    let music = world.music(4).await;
    fill(&music, 0, 60).await;
    let before = world.gateway.catalog();
    drop(music);
    let (log, stores) = world.shutdown().await;
    let world = World::over(log, stores, settings()).await;
    let music = Music::again(&world);
    check_filled(&music, 60).await;
    fill(&music, 60, 20).await;
    check_filled(&music, 80).await;
    check_equal(&world, &music).await;
    let incarnations = |catalog: &cortado_gateway::Catalog| {
        catalog.nodes().map(|node| node.incarnation).collect::<Vec<_>>()
    };
    let after = incarnations(&world.gateway.catalog());
    assert!(incarnations(&before).iter().zip(after).all(|(before, after)| *before < after));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_start_again_while_the_settings_of_their_own_log_differ() {
    let world = World::start().await;
    let music = world.music(4).await;
    fill(&music, 0, 20).await;
    drop(music);
    let (log, stores) = world.shutdown().await;
    let text = str::to_owned;
    let (setting, found, wanted) = (text("retention.ms"), text("86400000"), text("-1"));
    log.with(|log| log.drift(DatabaseId::CLUSTER, vec![Drift { setting, found, wanted }]));
    // Nobody leads who has not registered.
    let world = World::over(log, stores, RawSettings { log_look_ms: 20, ..settings() }).await;
    let music = Music::again(&world);
    fill(&music, 20, 20).await;
    check_filled(&music, 40).await;
    // Nothing else is written there before it is mended.
    let declare = || world.gateway.drop_database("music", deadline());
    let refused = declare().await.unwrap_err();
    assert!(with_causes(&refused).contains("read-only"), "{}", with_causes(&refused));
    world.log.with(|log| log.drift(DatabaseId::CLUSTER, Vec::new()));
    eventually_asking("declarations go on", async || declare().await.is_ok()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stores_that_forgot_what_was_not_synced_catch_up_from_the_log() {
    let world = World::start().await;
    let music = world.music(4).await;
    fill(&music, 0, 40).await;
    drop(music);
    let (log, stores) = world.shutdown().await;
    let world = World::over(log, stores, settings()).await;
    let music = Music::again(&world);
    fill(&music, 40, 40).await;
    // The process dies: no store has been synced since it started.
    let (log, stores) = (world.log.clone(), Arc::clone(&world.stores));
    stores.forgetful.store(true, Ordering::Relaxed);
    drop((world, music));
    let world = World::over(log, stores, settings()).await;
    let music = Music::again(&world);
    check_filled(&music, 80).await;
    check_equal(&world, &music).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deleted_stores_are_folded_again_from_the_log() {
    let world = World::start().await;
    let music = world.music(3).await;
    fill(&music, 0, 50).await;
    drop(music);
    let (log, stores) = world.shutdown().await;
    for node in [N1, N2, N3] {
        stores.delete(node);
    }
    let world = World::over(log, stores, settings()).await;
    eventually("the catalog is back", || world.gateway.catalog().database("music").is_some()).await;
    let music = Music::again(&world);
    check_filled(&music, 50).await;
    check_equal(&world, &music).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_is_tried_again_where_that_may_help() {
    let world = World::start().await;
    let music = world.music(2).await;
    fill(&music, 0, 20).await;
    drop(music);
    let (log, stores) = world.shutdown().await;
    let why = |what: &str| what.to_owned();
    stores.broken.lock().unwrap().extend([
        (N2, StoreError::Failed { why: why("no descriptors") }),
        (N3, StoreError::Damaged { why: why("the last copy") }),
    ]);
    let world = World::over(log, stores, settings()).await;
    let music = Music::again(&world);
    check_filled(&music, 20).await;
    music.await_leaders(&[N1]).await;
    assert!(says(&world, N2, "no descriptors").await && says(&world, N3, "the last copy").await);
    eventually_asking("it is ready, and says what is wrong with two nodes", async || {
        world.gateway.ready().await.is_ok_and(|warnings| warnings.len() == 2)
    })
    .await;
    // Both were looked into and opened at the start.
    let tries = |node| world.stores.tries_in_vain.lock().unwrap()[&node];
    eventually("it is tried again", || tries(N2) >= 4).await;
    assert_eq!(tries(N3), 2, "what only a person can mend");
    world.stores.broken.lock().unwrap().clear();
    eventually_asking("it is up", async || {
        let status = world.gateway.status().await;
        status.nodes[1].alive && status.nodes[1].sick.is_none()
    })
    .await;
    assert!(says(&world, N3, "the last copy").await, "until it is started by hand");
    world.nodes.start(N3).await.unwrap();
    music.await_complete().await;
    assert_eq!(world.gateway.ready().await, Ok(Vec::new()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_of_another_cluster_is_refused() {
    let world = World::start().await;
    let (_, stores) = world.shutdown().await;
    let (log, _) = World::start().await.shutdown().await;
    let refused = World::try_over(log, stores, settings(), Founding::Join).await.err();
    assert!(
        matches!(refused, Some(StartError::Identity(IdentityError::StoreForeign { .. }))),
        "{refused:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_log_is_begun_by_who_creates_the_cluster_alone() {
    #[track_caller]
    fn check(log: &SharedMemoryLog, refused: Result<World, StartError>) {
        let refused = refused.err();
        let empty = Some(StartError::Identity(IdentityError::LogEmpty));
        assert_eq!(format!("{refused:?}"), format!("{empty:?}"));
        assert_eq!(log.with(|log| log.end(PartitionId::CLUSTER)), LogOffset::ZERO);
    }
    let log = SharedMemoryLog::new();
    check(&log, World::try_over(log.clone(), Arc::default(), settings(), Founding::Join).await);
    // Whose stores know a cluster creates no other one, whatever it is told.
    let (_, stores) = World::start().await.shutdown().await;
    check(&log, World::try_over(log.clone(), stores, settings(), Founding::Create).await);
    let created = World::try_over(log.clone(), Arc::default(), settings(), Founding::Create).await;
    let cluster = created.unwrap().shutdown().await;
    assert!(World::try_over(cluster.0, cluster.1, settings(), Founding::Join).await.is_ok());
}

/// The wall clock is set back between two lives, as a wrong time zone does it: the last beats of
/// the former lives, which come late, are of an hour from now. They must not let the new lives pass
/// for older ones.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_was_set_back_lets_no_node_pass_for_an_earlier_life() {
    let world = World::start().await;
    let music = world.music(3).await;
    fill(&music, 0, 20).await;
    let lives: Vec<_> = world.gateway.catalog().nodes().map(|n| (n.node, n.incarnation)).collect();
    drop(music);
    let cluster = world.gateway.catalog().cluster();
    let (log, stores) = world.shutdown().await;
    const HOUR_MS: u64 = 60 * 60 * 1_000;
    let ahead = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let time = WallMillis(ahead.as_millis() as u64 + HOUR_MS);
    let world = World::over(log, stores, settings()).await;
    for (node, incarnation) in lives.iter().copied() {
        let late = Beat { node, incarnation, count: 1_000, time };
        world.stores.beats.send(late.encode(cluster)).await.unwrap();
    }
    let music = Music::again(&world);
    music.await_leaders(&[N1, N2, N3]).await;
    fill(&music, 20, 20).await;
    check_filled(&music, 40).await;
    let metric = |name| crate::failovers::metric(&world, name);
    let beats = metric("cortado_beats_total");
    let resigned = metric("cortado_resignations_total");
    eventually("some time has passed", || metric("cortado_beats_total") > beats + 150).await;
    // A wrong suspicion on a busy machine costs a few; lives that pass for over cost hundreds.
    let resigned = metric("cortado_resignations_total") - resigned;
    assert!(resigned < 30, "{resigned} leaderships were taken away from live nodes");
    // Lives are counted, by no clock: each is the next one.
    let next = lives.into_iter().map(|(node, life)| (node, NodeIncarnation(life.0 + 1)));
    let lives =
        world.gateway.catalog().nodes().map(|n| (n.node, n.incarnation)).collect::<Vec<_>>();
    assert_eq!(lives, next.collect::<Vec<_>>());
}

/// A world whose logs have been trimmed, with one node's store gone.
async fn trimmed_world() -> (World, Music) {
    let world = World::start().await;
    let music = world.music(1).await;
    fill(&music, 0, 200).await;
    music.await_complete().await;
    let partition = music.partition_of("a0");
    // The log keeps what came after the round before the last one, and forgets nothing that a
    // replica lacks: all must be there.
    let trimmed = || world.log.with(|log| log.first(partition)) > LogOffset(100);
    eventually_asking("the log is trimmed", async || {
        world.gateway.verify(&music.database, 0, deadline()).await.unwrap();
        trimmed()
    })
    .await;
    world.nodes.kill(N3).await.unwrap();
    world.stores.delete(N3);
    fill(&music, 200, 50).await;
    (world, music)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_behind_the_logs_beginning_copies_a_snapshot() {
    let (world, music) = trimmed_world().await;
    let put = vec![music.putting("cher", "believe", "{}")];
    let first = music.write(put.clone(), Some(idempotency("k", 7))).await.unwrap();
    fill(&music, 250, 10).await;
    world.nodes.start(N3).await.unwrap();
    eventually_asking("the replica is back", async || {
        let status = world.gateway.status().await;
        let music = status.databases.iter().find(|database| database.name == "music").unwrap();
        music.partitions[0].replicas.iter().all(|replica| replica.lag_records == 0)
    })
    .await;
    check_filled(&music, 260).await;
    check_equal(&world, &music).await;
    eventually_asking("the journal tells of it", async || {
        let resyncs = events(&world, EventKind::Resync).await;
        resyncs.iter().any(|event| event.contains("copied a snapshot"))
            && !events(&world, EventKind::Trim).await.is_empty()
    })
    .await;
    // It can lead like any other.
    let deadline = deadline();
    world.gateway.hand_off(&music.database, 0, Some(N3), deadline).await.unwrap();
    fill(&music, 260, 5).await;
    check_filled(&music, 265).await;
    // The snapshot tells it what was answered before, too; of this, it has read no record.
    let again = music.write(put, Some(idempotency("k", 7))).await.unwrap();
    assert!(again.repeated);
    assert_eq!((again.scn, again.etag, again.time), (first.scn, first.etag, first.time));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trimmed_process_starts_from_its_stores() {
    let (world, music) = trimmed_world().await;
    drop(music);
    let (log, stores) = world.shutdown().await;
    let world = World::over(log, stores, settings()).await;
    let music = Music::again(&world);
    check_filled(&music, 250).await;
    check_equal(&world, &music).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_with_no_replica_to_compare_with_is_shown_as_unverified() {
    let world = World::start().await;
    let music = world.music_on(2, Some(1)).await;
    let shown = async || {
        let status = world.gateway.status().await;
        let music = status.databases.into_iter().find(|database| database.name == "music");
        let replicas = music.unwrap().partitions.into_iter().map(|each| each.replicas[0].clone());
        let shown = replicas.map(|replica| (replica.role, replica.unverified));
        shown.collect::<Vec<_>>()
    };
    // Nothing was there that could have been lost.
    eventually_asking("both are led", async || shown().await == [(ReplicaRole::Leader, false); 2])
        .await;
    let leader = music.leaders().await[0].unwrap();
    world.nodes.kill(leader).await.unwrap();
    world.nodes.start(leader).await.unwrap();
    // There is one replica of each, so no other can say whether this one has lost something.
    let want = [(ReplicaRole::Leader, true), (ReplicaRole::Leader, false)];
    eventually_asking("it leads again", async || shown().await == want).await;
}
