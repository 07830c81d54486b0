//! Logs and stores that fail, fill up or lie; what was acknowledged stays, what was not is told.

use crate::failovers::metric;
use crate::restarts::events;
use crate::world::{
    Music, N1, N2, N3, World, deadline, eventually, eventually_asking, key, read, settings, stored,
};
use cortado_document::{Condition, DocumentAction};
use cortado_gateway::{Consistency, EventKind, NotDoneWhy, ReplicaRole, UnknownReason, WriteError};
use cortado_log::memory::Fault as LogFault;
use cortado_log::{Drift, Log, outcomes_of};
use cortado_model::{Batch, LogOffset, LogPosition, NodeId, PartitionId, Scn, StoredDocument};
use cortado_node::RawSettings;
use cortado_replica::{Body, FoldState, Frame, StepDown};
use cortado_store::{Fault, Store};

async fn role(world: &World, node: NodeId) -> ReplicaRole {
    let status = world.gateway.status().await;
    let music = status.databases.iter().find(|database| database.name == "music").unwrap();
    let replicas = &music.partitions[0].replicas;
    replicas.iter().find(|replica| replica.node == node).unwrap().role
}

/// Whether a node says that this is wrong with it.
pub(crate) async fn says(world: &World, node: NodeId, what: &str) -> bool {
    let status = world.gateway.status().await;
    status.nodes[node.0 as usize - 1].sick.as_ref().is_some_and(|sick| sick.contains(what))
}

/// A node that does not lead partition 0.
async fn a_follower(music: &Music) -> NodeId {
    let leader = music.leaders().await[0];
    [N1, N2, N3].into_iter().find(|node| Some(*node) != leader).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_log_refuses_definitely_and_recovers() {
    let world = World::start().await;
    let music = world.music(1).await;
    music.put("cher", "x", r#"{"n":1}"#).await.unwrap();
    world.log.inject(music.partition_of("cher"), LogFault::Refuse);
    let refused = music.put("cher", "x", r#"{"n":2}"#).await;
    assert!(
        matches!(refused, Err(WriteError::NotDone { why: NotDoneWhy::LogFull, .. })),
        "{refused:?}"
    );
    assert_eq!(music.get("cher", "x").await.unwrap(), r#"{"n":1}"#);
    music.put("cher", "x", r#"{"n":3}"#).await.unwrap();
    assert_eq!(music.get("cher", "x").await.unwrap(), r#"{"n":3}"#);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_whose_settings_differ_is_read_only_until_they_are_mended() {
    let world = World::start_with(RawSettings { log_look_ms: 20, ..settings() }).await;
    let music = world.music(1).await;
    music.put("cher", "x", r#"{"n":1}"#).await.unwrap();
    let database = music.partition_of("cher").database;
    let text = str::to_owned;
    let (setting, found, wanted) = (text("min.insync.replicas"), text("1"), text("at least 2"));
    let drift = Drift { setting, found, wanted };
    world.log.with(|log| log.drift(database, vec![drift]));
    eventually_asking("writes are refused", async || {
        let refused = music.put("cher", "x", r#"{"n":1}"#).await;
        matches!(refused, Err(WriteError::NotDone { why: NotDoneWhy::LogDrift, .. }))
    })
    .await;
    assert_eq!(music.get("cher", "x").await.unwrap(), r#"{"n":1}"#);
    let (leader, what) = (music.leaders().await[0].unwrap(), "min.insync.replicas is 1");
    assert!(says(&world, leader, what).await);
    let shown = world.metrics.encode();
    let drifts = shown.lines().filter(|line| line.starts_with("cortado_log_drift{"));
    let of_music: Vec<_> = drifts.filter(|line| line.contains(r#"database="music""#)).collect();
    assert!(of_music.iter().any(|line| line.ends_with("} 1")), "{of_music:?}");
    // Another database is none the worse for it.
    assert!(world.gateway.ready().await.is_ok());
    world.log.with(|log| log.drift(database, Vec::new()));
    eventually_asking("writes go on", async || music.put("cher", "x", "{}").await.is_ok()).await;
    eventually_asking("nobody is sick", async || !says(&world, leader, what).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appends_without_a_clear_answer_lose_and_double_nothing() {
    let world = World::start().await;
    let music = world.music(1).await;
    let partition = music.partition_of("cher");
    for round in 0..10 {
        for fault in [
            LogFault::UnknownLanded,
            LogFault::UnknownLost,
            LogFault::Prefix { records: 1 },
            LogFault::Duplicate,
        ] {
            world.log.inject(partition, fault);
        }
        let writers = (0..8).map(|writer| {
            let music = music.clone();
            tokio::spawn(async move {
                for number in 0..4 {
                    let (artist, title) = (format!("w{writer}"), format!("{round}-{number}"));
                    let value = format!("{{\"n\":{number}}}");
                    let written = music.put(&artist, &title, &value).await.unwrap();
                    assert_eq!(written.results, [cortado_document::Done::Created], "done once");
                }
            })
        });
        for writer in writers.collect::<Vec<_>>() {
            writer.await.unwrap();
        }
    }
    world.log.with(|log| log.clear_faults());
    music.await_complete().await;
    for node in [N1, N2, N3] {
        assert_eq!(stored(&world.stores.of(node), &music, partition).len(), 8 * 4 * 10);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unusable_log_takes_nothing_and_reads_go_on() {
    let world = World::start().await;
    let music = world.music(1).await;
    music.put("cher", "x", r#"{"n":1}"#).await.unwrap();
    world.log.inject(music.partition_of("cher"), LogFault::Unusable { landed: false });
    let first = music.put("cher", "x", r#"{"n":2}"#).await;
    let log_failed = WriteError::Unknown { why: UnknownReason::LogFailed };
    assert_eq!(first, Err(log_failed));
    let second = music.put("cher", "x", r#"{"n":3}"#).await;
    assert!(
        matches!(second, Err(WriteError::NotDone { why: NotDoneWhy::Unusable, .. })),
        "{second:?}"
    );
    assert_eq!(music.get("cher", "x").await.unwrap(), r#"{"n":1}"#);
    // A new process finds a usable log.
    let (log, stores) = (world.log.clone(), world.stores.clone());
    drop((world, music));
    log.restart();
    let world = World::over(log, stores, settings()).await;
    let music = Music::again(&world);
    music.put("cher", "x", r#"{"n":4}"#).await.unwrap();
    assert_eq!(music.get("cher", "x").await.unwrap(), r#"{"n":4}"#);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_whose_store_is_full_is_replaced_and_comes_back() {
    let world = World::start().await;
    let music = world.music(1).await;
    music.put("cher", "x", "{}").await.unwrap();
    music.await_complete().await;
    let leader = music.leaders().await[0].unwrap();
    world.stores.of(leader).set_fault(Some(Fault::Full));
    let others: Vec<_> = [N1, N2, N3].into_iter().filter(|node| *node != leader).collect();
    // Committed, but not applied here: the old leader cannot say so, the next one can.
    let first = music.put("cher", "y", "{}").await;
    assert!(matches!(first, Ok(_) | Err(WriteError::Unknown { .. })), "{first:?}");
    music.await_leaders(&others).await;
    music.put("cher", "z", "{}").await.unwrap();
    assert_eq!(music.get("cher", "y").await, Some("{}".to_owned()));
    assert_eq!(music.get("cher", "z").await, Some("{}".to_owned()));
    world.stores.of(leader).set_fault(None);
    music.await_complete().await;
    let partition = music.partition_of("cher");
    assert_eq!(stored(&world.stores.of(leader), &music, partition).len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_on_a_node_without_room_gives_way_before_it_takes_a_write() {
    let world = World::start().await;
    let music = world.music(2).await;
    let artists = crate::failovers::one_artist_for_each_partition(&music);
    for artist in &artists {
        music.put(artist, "x", "{}").await.unwrap();
    }
    music.await_complete().await;
    let leader = music.leaders().await[0].unwrap();
    let others: Vec<_> = [N1, N2, N3].into_iter().filter(|node| *node != leader).collect();
    world.stores.of(leader).set_fault(Some(Fault::Full));
    // The node's replica of the other partition is the first to know. Where it leads, it cannot
    // say what became of the write.
    let other = music.put(&artists[1], "y", "{}").await;
    assert!(matches!(other, Ok(_) | Err(WriteError::Unknown { .. })), "{other:?}");
    let knows = async || world.gateway.status().await.nodes[leader.0 as usize - 1].sick.is_some();
    eventually_asking("the node knows that its store is full", knows).await;
    // A machine that is slow makes nodes sick for a moment, and none of them is named.
    let written = async || music.put(&artists[0], "y", "{}").await.is_ok();
    eventually_asking("a node that is well takes the write", written).await;
    assert!(music.leaders().await[0].is_none_or(|leader| others.contains(&leader)));
    world.stores.of(leader).set_fault(None);
    music.await_complete().await;
    let partition = music.partition_of(&artists[0]);
    assert_eq!(stored(&world.stores.of(leader), &music, partition).len(), 2);
}

/// By rank it would be the first, but a node with room must not have to wait for it to give way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_without_room_lets_others_claim_first() {
    let mut raw = settings();
    // Far between, so that the others have time on a slow machine.
    (raw.detection.dead_after_ms, raw.detection.stagger_ms) = (Some(1_500), Some(1_500));
    let world = World::start_with(raw).await;
    let music = world.music(2).await;
    let artists = crate::failovers::one_artist_for_each_partition(&music);
    for artist in &artists {
        music.put(artist, "x", "{}").await.unwrap();
    }
    music.await_complete().await;
    let partition = music.partitions().await.remove(0);
    let leader = partition.leader.unwrap();
    let others = partition.replicas.iter().map(|replica| replica.node);
    let others: Vec<_> = others.filter(|node| *node != leader).collect();
    let [full, next] = others[..] else { panic!("of three nodes: {others:?}") };
    world.stores.of(full).set_fault(Some(Fault::Full));
    // Its replica of the other partition finds out.
    let other = music.put(&artists[1], "y", "{}").await;
    assert!(matches!(other, Ok(_) | Err(WriteError::Unknown { .. })), "{other:?}");
    eventually_asking("it has no room", async || says(&world, full, "no room").await).await;
    let claims = || metric(&world, &format!("cortado_claims_total{{node=\"{full}\"}}"));
    let claims_before = claims();
    world.nodes.kill(leader).await.unwrap();
    let led = async || music.leaders().await[0] == Some(next);
    eventually_asking("the other one leads", led).await;
    assert_eq!(claims(), claims_before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_log_hangs_says_so_until_it_answers() {
    let world = World::start().await;
    let music = world.music(1).await;
    music.put("cher", "x", "{}").await.unwrap();
    let leader = music.leaders().await[0].unwrap();
    world.log.inject(music.partition_of("cher"), LogFault::HoldRecords);
    let writer = {
        let music = music.clone();
        tokio::spawn(async move { music.put("cher", "y", "{}").await })
    };
    let slow = async || says(&world, leader, "appends to the log are slow").await;
    eventually_asking("the leader says that its log is slow", slow).await;
    world.log.release_all();
    writer.await.unwrap().unwrap();
    let well = async || {
        // Only another append can show it.
        music.put("cher", "z", "{}").await.unwrap();
        !says(&world, leader, "appends to the log are slow").await
    };
    eventually_asking("it is well again", well).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_all_stores_are_full_writes_are_refused_and_reads_go_on() {
    let world = World::start().await;
    let music = world.music(4).await;
    let artists = crate::failovers::one_artist_for_each_partition(&music);
    for artist in &artists {
        music.put(artist, "x", "{}").await.unwrap();
    }
    music.await_complete().await;
    let fill = |fault| [N1, N2, N3].iter().for_each(|n| world.stores.of(*n).set_fault(fault));
    fill(Some(Fault::Full));
    let refused = |written: &Result<_, _>| {
        matches!(written, Err(WriteError::NotDone { why: NotDoneWhy::LogFull, .. }))
    };
    // The log takes one more, and no replica can apply it; unless the nodes know already.
    let first = music.put(&artists[0], "y", "{}").await;
    let committed = matches!(first, Err(WriteError::Unknown { .. }));
    assert!(committed || refused(&first), "{first:?}");
    let mut written = music.put(&artists[0], "z", "{}").await;
    while !refused(&written) {
        // The replicas meet the full store one after another.
        assert!(matches!(written, Err(WriteError::Unknown { .. })), "{written:?}");
        written = music.put(&artists[0], "z", "{}").await;
    }
    let all_know =
        async || world.gateway.status().await.nodes.iter().all(|node| node.sick.is_some());
    eventually_asking("every node knows that its store is full", all_know).await;
    for artist in &artists[1..] {
        let written = music.put(artist, "z", "{}").await;
        assert!(refused(&written), "{written:?}");
        assert_eq!(music.get(artist, "x").await, Some("{}".to_owned()));
        assert_eq!(music.get(artist, "z").await, None);
    }
    let eventual = read(Consistency::Eventual);
    assert!(music.get_with(&artists[0], "x", &eventual).await.unwrap().value.is_some());

    fill(None);
    for artist in &artists {
        let written = async || music.put(artist, "again", "{}").await.is_ok();
        eventually_asking("writes come back", written).await;
    }
    let expected = committed.then(|| "{}".to_owned());
    assert_eq!(music.get(&artists[0], "y").await, expected);
    music.await_complete().await;
}

/// Before anything fails, only what leads, frees or is needed by the cluster itself goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_room_is_short_writes_are_refused_and_everything_else_goes_on() {
    let world = World::start().await;
    let music = world.music(2).await;
    let artists = crate::failovers::one_artist_for_each_partition(&music);
    for artist in &artists {
        music.put(artist, "x", "{}").await.unwrap();
        music.put(artist, "y", "{}").await.unwrap();
    }
    music.await_complete().await;
    let fill = |fault| [N1, N2, N3].iter().for_each(|n| world.stores.of(*n).set_fault(fault));
    fill(Some(Fault::Low));
    let refused = async |artist: &str| {
        let written = music.put(artist, "z", "{}").await;
        matches!(written, Err(WriteError::NotDone { why: NotDoneWhy::LogFull, .. }))
    };
    for artist in &artists {
        eventually_asking("writes are refused", async || refused(artist).await).await;
    }
    for node in [N1, N2, N3] {
        let says = async || says(&world, node, "disk is nearly full").await;
        eventually_asking("the node says so", says).await;
    }
    // Deletions, a handoff, a failover, a start and a drop.
    let delete =
        music.operation(key(&artists[0], "x"), DocumentAction::Delete, Condition::default());
    music.write(vec![delete], None).await.unwrap();
    let partition = music.partition_of(&artists[1]);
    let leader = music.leaders().await[partition.number as usize].unwrap();
    world.gateway.hand_off(&music.database, partition.number, None, deadline()).await.unwrap();
    let leader_now = || async { music.leaders().await[partition.number as usize] };
    let moved = async || leader_now().await.is_some_and(|now| now != leader);
    eventually_asking("another one leads", moved).await;
    world.gateway.drain_node(N1, deadline()).await.unwrap();
    let is_drained = async || !music.leaders().await.contains(&Some(N1));
    eventually_asking("the drained node leads nothing", is_drained).await;
    world.gateway.resume_node(N1, deadline()).await.unwrap();
    let dies = leader_now().await.unwrap();
    world.nodes.kill(dies).await.unwrap();
    for artist in &artists {
        assert_eq!(music.get(artist, "y").await, Some("{}".to_owned()));
    }
    assert_eq!(music.get(&artists[0], "x").await, None);
    world.nodes.start(dies).await.unwrap();
    // The node that has come back has not looked yet.
    eventually_asking("it is still refused", async || refused(&artists[0]).await).await;
    fill(None);
    for artist in &artists {
        let written = async || music.put(artist, "again", "{}").await.is_ok();
        eventually_asking("writes come back", written).await;
    }
    fill(Some(Fault::Low));
    world.gateway.drop_database("music", deadline()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_store_is_opened_again_with_its_node() {
    let world = World::start().await;
    let music = world.music(1).await;
    music.put("cher", "x", "{}").await.unwrap();
    let leader = music.leaders().await[0].unwrap();
    let before = world.gateway.status().await.nodes[leader.0 as usize - 1].incarnation;
    world.stores.of(leader).set_fault(Some(Fault::Failed));
    let _ = music.put("cher", "y", "{}").await;
    music.put("cher", "z", "{}").await.unwrap();
    eventually_asking("the node has started again", async || {
        let node =
            world.gateway.status().await.nodes.into_iter().nth(leader.0 as usize - 1).unwrap();
        node.alive && node.incarnation > before
    })
    .await;
    music.await_complete().await;
    assert_eq!(music.get("cher", "y").await, Some("{}".to_owned()));
}

/// Nobody writes: what is read tells that the store has failed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_whose_store_cannot_be_read_is_replaced() {
    let world = World::start().await;
    let music = world.music(1).await;
    music.put("cher", "x", "{}").await.unwrap();
    music.await_complete().await;
    let failing = music.leaders().await[0].unwrap();
    world.stores.of(failing).set_fault(Some(Fault::Failed));
    assert_eq!(music.get("cher", "x").await, Some("{}".to_owned()));
    assert_ne!(music.leaders().await[0], Some(failing));
}

/// The bodies of all records of a partition.
async fn bodies(world: &World, partition: PartitionId) -> Vec<Body> {
    let read = world.log.read(partition, LogPosition::START, usize::MAX).await.unwrap();
    let records = read.entries.iter().map(|entry| Frame::read_any(&entry.record).unwrap().record());
    records.map(|record| record.unwrap().body).collect()
}

/// Others need not find out first that it is gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_store_fails_gives_up_in_the_log_all_that_it_leads() {
    let world = World::start().await;
    let music = world.music(6).await;
    music.await_complete().await;
    let leaders = music.leaders().await;
    let failing = leaders[0].unwrap();
    let numbers = (0..).zip(&leaders).filter(|(_, leader)| **leader == Some(failing));
    let database = music.database.id;
    let led: Vec<_> = numbers.map(|(number, _)| PartitionId { database, number }).collect();
    assert!(led.len() > 1, "one of them meets it, and the others hear of it: {leaders:?}");
    world.stores.of(failing).set_fault(Some(Fault::Failed));
    let mut artists = (0..).map(|number| format!("a{number}"));
    let artist = artists.find(|artist| music.partition_of(artist) == led[0]).unwrap();
    let _ = music.put(&artist, "y", "{}").await;
    for partition in led {
        let is_given_up = |body: &Body| matches!(body, Body::StepDown(StepDown { to: None }));
        eventually_asking("it is given up", async || {
            bodies(&world, partition).await.iter().any(is_given_up)
        })
        .await;
    }
    let told = async || {
        let events = events(&world, EventKind::Health).await;
        events.iter().any(|event| event.contains("gives up what it leads and starts again: "))
    };
    eventually_asking("the reason is told", told).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_store_is_built_anew_from_a_peer() {
    let world = World::start().await;
    let music = world.music(1).await;
    for number in 0..20 {
        music.put("cher", &format!("t{number}"), "{}").await.unwrap();
    }
    music.await_complete().await;
    let follower = a_follower(&music).await;
    world.stores.of(follower).set_fault_after(0, Fault::Damaged);
    music.put("cher", "more", "{}").await.unwrap();
    eventually_asking("the replica is out of service", async || {
        matches!(role(&world, follower).await, ReplicaRole::Offline | ReplicaRole::Restoring)
    })
    .await;
    world.stores.of(follower).set_fault(None);
    music.await_complete().await;
    let partition = music.partition_of("cher");
    assert_eq!(stored(&world.stores.of(follower), &music, partition).len(), 21);
}

/// Changes a document behind the back of a node's replica.
pub(crate) fn falsify(world: &World, music: &Music, node: NodeId, partition: PartitionId) {
    let store = world.stores.of(node);
    let view = store.view(partition).unwrap();
    let checkpoint = view.checkpoint().unwrap().unwrap();
    let key = crate::world::key("cher", "t3");
    let found = view.get(music.album.id, &key).unwrap().unwrap();
    drop(view);
    let document = Some(StoredDocument::new(found.head, br#"{"false":true}"#));
    let documents = vec![(music.album.id, key, document)];
    let batch = Batch { documents, checkpoint, ..Batch::default() };
    store.apply_one(partition, batch).unwrap();
}

async fn check_the_odd_one_is_rebuilt(falsify_leader: bool) {
    let world = World::start().await;
    let music = world.music(1).await;
    let partition = music.partition_of("cher");
    for number in 0..10 {
        music.put("cher", &format!("t{number}"), "{}").await.unwrap();
    }
    music.await_complete().await;
    let leader = music.leaders().await[0].unwrap();
    let follower = [N1, N2, N3].into_iter().find(|node| *node != leader).unwrap();
    let odd = if falsify_leader { leader } else { follower };
    falsify(&world, &music, odd, partition);
    world.gateway.verify(&music.database, 0, deadline()).await.unwrap();
    let truth = || !stored(&world.stores.of(odd), &music, partition).iter().any(|(_, v)| v != "{}");
    let whole = || stored(&world.stores.of(odd), &music, partition).len() == 10;
    eventually("the odd one holds what the others hold", || truth() && whole()).await;
    music.await_complete().await;
    let told = async || !events(&world, EventKind::DigestMismatch).await.is_empty();
    eventually_asking("the journal tells of it", told).await;
    assert_eq!(music.get("cher", "t3").await.unwrap(), "{}");
    music.put("cher", "more", "{}").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_with_another_state_is_rebuilt() {
    check_the_odd_one_is_rebuilt(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_with_another_state_is_outvoted_and_rebuilt() {
    check_the_odd_one_is_rebuilt(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_replica_that_holds_a_log_back_is_named() {
    let world = World::start().await;
    let music = world.music(1).await;
    music.put("cher", "x", "{}").await.unwrap();
    music.await_complete().await;
    let follower = a_follower(&music).await;
    let held_back_after_a_round = async || {
        let begun = world.gateway.verify(&music.database, 0, deadline()).await;
        begun.is_ok() && metric(&world, "cortado_partitions_not_trimmed{") == 1
    };
    world.nodes.kill(follower).await.unwrap();
    eventually_asking("the leader shows that it keeps everything", held_back_after_a_round).await;
    let named = async || {
        let told = events(&world, EventKind::Trim).await;
        let why = format!("from {follower} [\"the replica of {follower} is not heard of\"]");
        told.iter().any(|told| told.ends_with(&why))
    };
    eventually_asking("the journal names the replica", named).await;
    world.nodes.start(follower).await.unwrap();
    music.await_complete().await;
    let trims = async || !held_back_after_a_round().await;
    eventually_asking("it is trimmed again", trims).await;
    let told = async || {
        let told = events(&world, EventKind::Trim).await;
        told.iter().any(|told| told.contains("the log is trimmed again"))
    };
    eventually_asking("the journal says so", told).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_ahead_of_its_log_serves_nothing() {
    let world = World::start().await;
    let music = world.music(1).await;
    music.put("cher", "x", "{}").await.unwrap();
    music.await_complete().await;
    let partition = music.partition_of("cher");
    let follower = a_follower(&music).await;
    world.nodes.kill(follower).await.unwrap();
    let store = world.stores.of(follower);
    let checkpoint = store.view(partition).unwrap().checkpoint().unwrap().unwrap();
    let mut fold = FoldState::decode(&checkpoint).unwrap();
    fold.position.offset = LogOffset(1 << 40);
    fold.last = Scn::new(fold.last.generation.next(), fold.last.sequence);
    store.apply_one(partition, Batch { checkpoint: fold.encode(), ..Batch::default() }).unwrap();
    world.nodes.start(follower).await.unwrap();
    let told = async || !events(&world, EventKind::Offline).await.is_empty();
    eventually_asking("the journal tells of it", told).await;
    assert_eq!(role(&world, follower).await, ReplicaRole::Disputed);
    // The others serve on.
    music.put("cher", "y", "{}").await.unwrap();
}

/// A checkpoint as a newer build might write it: another version, and the checksum that fits.
fn newer(checkpoint: &[u8]) -> Vec<u8> {
    let mut newer = checkpoint.to_vec();
    newer[4] += 1;
    let crc = crc32c::crc32c(&newer[4..]);
    newer[..4].copy_from_slice(&crc.to_le_bytes());
    newer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_only_a_newer_build_can_read_is_kept() {
    let world = World::start().await;
    let music = world.music(1).await;
    music.put("cher", "x", "{}").await.unwrap();
    music.await_complete().await;
    let partition = music.partition_of("cher");
    let follower = a_follower(&music).await;
    world.nodes.kill(follower).await.unwrap();
    let store = world.stores.of(follower);
    let checkpoint = store.view(partition).unwrap().checkpoint().unwrap().unwrap();
    let checkpoint = bytes::Bytes::from(newer(&checkpoint));
    let batch = Batch { checkpoint: checkpoint.clone(), ..Batch::default() };
    store.apply_one(partition, batch).unwrap();
    let documents = stored(&store, &music, partition);
    world.nodes.start(follower).await.unwrap();
    let give_up_at = deadline();
    let why = loop {
        let told = events(&world, EventKind::Offline).await;
        if let Some(why) = told.into_iter().next() {
            break why;
        }
        assert!(tokio::time::Instant::now() < give_up_at, "no event tells of it");
    };
    assert!(why.contains("needs a build that reads fold state version 3"), "{why}");
    // The others serve on, and nothing is thrown away meanwhile.
    music.put("cher", "y", "{}").await.unwrap();
    assert_eq!(role(&world, follower).await, ReplicaRole::NeedsUpgrade);
    let kept = world.stores.of(follower).view(partition).unwrap().checkpoint().unwrap();
    assert_eq!(kept, Some(checkpoint));
    assert_eq!(stored(&world.stores.of(follower), &music, partition), documents);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_strangers_records_are_passed_over_and_counted() {
    let world = World::start().await;
    let music = world.music(1).await;
    music.put("cher", "x", r#"{"n":1}"#).await.unwrap();
    let partition = music.partition_of("cher");
    let stranger = bytes::Bytes::from_static(b"written by hand");
    let mut producer = world.log.producer(partition);
    producer.send(vec![stranger.clone(), stranger]);
    outcomes_of(producer.as_mut(), &mut Vec::new()).await;
    music.put("cher", "x", r#"{"n":2}"#).await.unwrap();
    music.await_complete().await;
    assert_eq!(music.get("cher", "x").await.unwrap(), r#"{"n":2}"#);
    let text = world.metrics.encode();
    let foreign = text.lines().filter(|line| {
        line.starts_with("cortado_void_records_total") && line.contains("reason=\"foreign\"")
    });
    let counts: Vec<_> = foreign.filter_map(|line| line.rsplit(' ').next()).collect();
    assert_eq!(counts, ["2"; 3], "on each of three nodes");
}
