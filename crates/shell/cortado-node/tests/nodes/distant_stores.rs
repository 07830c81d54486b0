//! Stores that must not be read on a runtime thread: serving clients does not.

use crate::distance::Call;
use crate::failovers::{metric, one_artist_for_each_partition};
use crate::restarts::events;
use crate::storage::{falsify, says};
use crate::world::{
    Music, N1, N2, N3, Stores, World, deadline, eventually, eventually_asking, read, settings,
    stored,
};
use cortado_gateway::{
    Changes, Consistency, EventKind, ListRequest, ReadError, ReadOptions, ScanRequest, Unserved,
    WriteError, WriteRequest,
};
use cortado_log::memory::SharedMemoryLog;
use cortado_model::{DocumentKey, NodeId, Scn};
use cortado_store::Slow;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How many titles a page of a collection shows.
async fn list(music: &Music, limit: usize) -> usize {
    let prefix = DocumentKey::from_parts(&["cher"]).unwrap();
    let list = ListRequest { prefix, after: None, descending: false, limit, bytes_max: 8 << 20 };
    let strong = read(Consistency::Strong);
    let page = music.gateway.list(&music.database, &music.album, &list, &strong).await.unwrap();
    page.value.documents.len()
}

async fn scan(music: &Music) -> usize {
    let scan = ScanRequest { position: None, limit: 50, bytes_max: 8 << 20 };
    let strong = read(Consistency::Strong);
    let page = music.gateway.scan(&music.database, &music.album, &scan, &strong).await.unwrap();
    page.documents.len()
}

async fn batch_get(music: &Music, count: usize) -> usize {
    let key = |n| DocumentKey::from_parts(&["cher".to_owned(), format!("t{n}")]).unwrap();
    let keys: Vec<_> = (0..count).map(|n| (music.album.id, key(n))).collect();
    let strong = read(Consistency::Strong);
    let found = music.gateway.batch_get(&music.database, &keys, |_| None, 8 << 20, &strong).await;
    let found = found.into_iter().flatten();
    found.filter(|served| served.as_ref().unwrap().value.is_some()).count()
}

/// Every way to read that the gateway has.
async fn read_everything(music: &Music, at_least: Scn) {
    assert!(music.get("cher", "t7").await.is_some());
    assert!(music.get("cher", "nothing").await.is_none());
    let session = ReadOptions { at_least: Some(at_least), ..read(Consistency::Session) };
    assert!(music.get_with("cher", "t7", &session).await.unwrap().value.is_some());
    assert_eq!((list(music, 10).await, list(music, 150).await), (10, 120));
    assert_eq!(scan(music).await, 50);
    assert_eq!((batch_get(music, 3).await, batch_get(music, 120).await), (3, 120));
    let number = music.partition_of("cher").number;
    let changes = music.gateway.changes(&music.database, number, Scn::ZERO, deadline());
    let first = changes.await.unwrap().next(Instant::now()).await.unwrap();
    assert!(matches!(first, Changes::Transactions(_)), "{first:?}");
    let told = async || !music.gateway.events(None, 10, deadline()).await.unwrap().is_empty();
    eventually_asking("the journal tells something", told).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_are_served_without_reading_on_a_runtime_thread() {
    let (world, distance) = World::distant(SharedMemoryLog::new(), settings()).await;
    let music = world.music(2).await;
    let mut last = Scn::ZERO;
    for number in 0..120 {
        last = music.put("cher", &format!("t{number}"), "{}").await.unwrap().scn;
    }
    music.await_complete().await;
    distance.watch();
    read_everything(&music, last).await;
    let threads = distance.read_on();
    assert!(!threads.is_empty(), "there was something to read");
    assert!(threads.iter().all(|name| name.contains("-read")), "{threads:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_does_not_answer_holds_up_only_who_waits_for_it() {
    let (world, distance) = World::distant(SharedMemoryLog::new(), settings()).await;
    let music = world.music(1).await;
    music.put("held", "x", "{}").await.unwrap();
    music.put("cher", "x", "{}").await.unwrap();
    let reads = distance.hold(Call::Get("held"));
    let soon = Instant::now() + Duration::from_millis(100);
    let hurried = ReadOptions { deadline: soon, ..read(Consistency::Strong) };
    let refused = music.get_with("held", "x", &hurried).await;
    let Err(ReadError::Unserved { why, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!(why, Unserved::StoreLate);
    // More of them than threads that serve clients.
    let waiting = std::iter::repeat_n(music.clone(), 4);
    let waiting = waiting.map(|music| tokio::spawn(async move { music.get("held", "x").await }));
    let waiting: Vec<_> = waiting.collect();
    for _ in 0..20 {
        assert!(music.get("cher", "x").await.is_some());
    }
    drop(reads);
    for held in waiting {
        assert!(held.await.unwrap().is_some());
    }
}

/// A strong read whose look at the leader's store takes until `meanwhile` has made another node
/// lead; which node serves it in the end.
async fn served_after(
    log: SharedMemoryLog,
    meanwhile: impl AsyncFnOnce(&World, &Music, NodeId),
) -> (NodeId, NodeId) {
    let (world, distance) = World::distant(log, settings()).await;
    let music = world.music(1).await;
    for artist in ["held", "cher"] {
        music.put(artist, "t3", r#"{"n":1}"#).await.unwrap();
    }
    music.await_complete().await;
    // Not the preferred one, to which the leadership would come back.
    let preferred = preferred(&music).await;
    let leader = [N1, N2, N3].into_iter().find(|node| *node != preferred).unwrap();
    world.gateway.hand_off(&music.database, 0, Some(leader), deadline()).await.unwrap();
    let reads = distance.hold(Call::Get("held"));
    let reader = {
        let music = music.clone();
        let strong = read(Consistency::Strong);
        tokio::spawn(async move { music.get_with("held", "t3", &strong).await })
    };
    eventually("the leader looks at its store", || distance.keeps(Call::Get("held"))).await;
    meanwhile(&world, &music, leader).await;
    music.put("held", "t3", r#"{"n":2}"#).await.unwrap();
    // The former leader shows it, too.
    music.await_complete().await;
    drop(reads);
    let served = reader.await.unwrap().unwrap();
    assert_eq!(served.value.unwrap().json(), r#"{"n":2}"#.as_bytes());
    (leader, served.node)
}

async fn preferred(music: &Music) -> NodeId {
    music.partitions().await[0].preferred.unwrap()
}

/// The lease was the former leader's, and the next one may not know yet what that one shows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_look_that_outlasts_the_leadership_does_not_count() {
    let hand_over = async |world: &World, music: &Music, _| {
        let to = preferred(music).await;
        world.gateway.hand_off(&music.database, 0, Some(to), deadline()).await.unwrap();
    };
    let (leader, served) = served_after(SharedMemoryLog::of_many_machines(), hand_over).await;
    assert_ne!(served, leader);
}

/// What is read across a restoration may be a part of a state.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_look_that_outlasts_the_state_does_not_count() {
    let rebuild = async |world: &World, music: &Music, leader: NodeId| {
        falsify(world, music, leader, music.partition_of("held"));
        world.gateway.verify(&music.database, 0, deadline()).await.unwrap();
        let is_rebuilt = |told: &String| told.starts_with(&format!("{leader} "));
        eventually_asking("the leader is rebuilt", async || {
            events(world, EventKind::Resync).await.iter().any(is_rebuilt)
        })
        .await;
        // That may be done before another node has claimed, and the leadership is pinned there.
        let to = preferred(music).await;
        let hand_over =
            async || world.gateway.hand_off(&music.database, 0, Some(to), deadline()).await;
        eventually_asking("it is handed over", async || hand_over().await.is_ok()).await;
        music.await_leaders(&[to]).await;
    };
    let (leader, served) = served_after(SharedMemoryLog::new(), rebuild).await;
    assert_ne!(served, leader);
}

/// As the client was told: its write was not begun, and is not done later either.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_whose_deadline_passes_before_it_is_begun_is_not_done() {
    let (world, distance) = World::distant(SharedMemoryLog::new(), settings()).await;
    let music = world.music(1).await;
    music.put("cher", "x", "{}").await.unwrap();
    let finds = distance.hold(Call::Find("held"));
    let hurried = async |title: &str| {
        let operations = vec![music.putting("held", title, "{}")];
        let deadline = Instant::now() + Duration::from_millis(100);
        let request = WriteRequest { operations, idempotency: None, deadline };
        music.gateway.write(&music.database, request).await
    };
    // On a slow machine the first ones may be late before the leader has them.
    let late = async || {
        assert_eq!(hurried("late").await, Err(WriteError::DeadlineBefore));
        distance.keeps(Call::Find("held"))
    };
    eventually_asking("the leader looks up what the write rests on", late).await;
    drop(finds);
    // Later writes are done behind it.
    for number in 0..20 {
        music.put("held", &format!("t{number}"), "{}").await.unwrap();
    }
    assert_eq!(music.get("held", "late").await, None);
    music.await_complete().await;
    for node in [N1, N2, N3] {
        let stored = stored(&world.stores.of(node), &music, music.partition_of("held"));
        assert_eq!(stored.len(), 21, "on {node}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_hangs_holds_up_nothing_that_is_led_elsewhere() {
    let mut raw = settings();
    // No node dies here, and on a slow machine none shall be taken for dead.
    raw.detection.dead_after_ms = Some(60_000);
    let (world, distance) = World::distant(SharedMemoryLog::new(), raw).await;
    let music = world.music(3).await;
    let artists = one_artist_for_each_partition(&music);
    for artist in &artists {
        music.put(artist, "x", "{}").await.unwrap();
    }
    music.await_complete().await;
    let leaders = music.leaders().await;
    let hanging = leaders[0].unwrap();
    let elsewhere: Vec<_> =
        artists.iter().zip(&leaders).filter(|(_, leader)| **leader != Some(hanging)).collect();
    assert!(!elsewhere.is_empty(), "{leaders:?}");
    let applies = distance.hold(Call::Apply(hanging));
    for number in 0..20 {
        for (artist, _) in &elsewhere {
            let title = format!("t{number}");
            music.put(artist, &title, "{}").await.unwrap();
            assert!(music.get(artist, &title).await.is_some());
            let eventual = music.get_with(artist, "x", &read(Consistency::Eventual)).await;
            assert!(eventual.unwrap().value.is_some());
        }
    }
    eventually("its own batches wait", || distance.keeps(Call::Apply(hanging))).await;
    drop(applies);
    music.put(&artists[0], "y", "{}").await.unwrap();
    music.await_complete().await;
    for (artist, _) in &elsewhere {
        let partition = music.partition_of(artist);
        let stored = stored(&world.stores.of(hanging), &music, partition);
        assert_eq!(stored.len(), 21, "of {partition}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_store_hangs_says_so_and_claims_nothing() {
    let mut raw = settings();
    // Half of it counts as slow, and a node that is only slow is not to be taken for dead.
    raw.detection.dead_after_ms = Some(1_500);
    let (world, distance) = World::distant(SharedMemoryLog::new(), raw).await;
    let music = world.music(1).await;
    music.put("cher", "x", "{}").await.unwrap();
    music.await_complete().await;
    let partition = music.partitions().await.remove(0);
    let leader = partition.leader.unwrap();
    // By rank: the first to claim, and the next.
    let others = partition.replicas.iter().map(|replica| replica.node);
    let others: Vec<_> = others.filter(|node| *node != leader).collect();
    let [hanging, next] = others[..] else { panic!("of three nodes: {others:?}") };
    let applies = distance.hold(Call::Apply(hanging));
    music.put("cher", "y", "{}").await.unwrap();
    let says_so = async || says(&world, hanging, "store is slow").await;
    eventually_asking("the node says that its store is slow", says_so).await;
    let claims = || metric(&world, &format!("cortado_claims_total{{node=\"{hanging}\"}}"));
    let claims_before = claims();
    world.nodes.kill(leader).await.unwrap();
    music.await_leaders(&[next]).await;
    assert_eq!((claims(), music.get("cher", "y").await), (claims_before, Some("{}".to_owned())));
    drop(applies);
    // It may lead the journal itself, which could not be written until now.
    let told = async || {
        let told = events(&world, EventKind::Health).await;
        let what = format!("{hanging} is unhealthy: the store is slow");
        told.iter().any(|told| told.contains(&what))
    };
    eventually_asking("the journal tells of it", told).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_stores_lose_nothing() {
    let stores = Stores::behind(|_, store| Arc::new(Slow::new(store, 7)));
    let world = World::over(SharedMemoryLog::new(), Arc::new(stores), settings()).await;
    let music = world.music(1).await;
    let (writer, other) = (music.clone(), music.clone());
    let writes = tokio::spawn(async move {
        for number in 0..20 {
            writer.put("cher", &format!("t{number}"), "{}").await.unwrap();
        }
    });
    let reads = tokio::spawn(async move {
        while list(&other, 150).await < 20 {
            assert!(batch_get(&other, 20).await <= 20);
        }
    });
    writes.await.unwrap();
    reads.await.unwrap();
    assert_eq!(scan(&music).await, 20);
}
