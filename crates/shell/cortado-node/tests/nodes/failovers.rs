//! Nodes die and leaderships move while clients write; no acknowledged write is lost.

use crate::world::{Music, N1, N2, N3, World, eventually, eventually_asking, idempotency};
use cortado_gateway::{EventKind, UnknownReason, WriteError, WriteRequest};
use cortado_log::memory::StreamFault;
use cortado_metrics::Registry;
use cortado_model::BeatStream;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Clients that write without pause, each to documents of its own.
pub(crate) struct Load {
    ending: Arc<AtomicBool>,
    acknowledged: Arc<AtomicU64>,
    clients: Vec<JoinHandle<BTreeMap<(String, String), String>>>,
}

impl Load {
    pub(crate) fn start(music: &Music, clients: usize) -> Load {
        let (ending, acknowledged) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let clients = (0..clients).map(|client| {
            let (music, ending) = (music.clone(), Arc::clone(&ending));
            let acknowledged = Arc::clone(&acknowledged);
            tokio::spawn(async move {
                let mut written = BTreeMap::new();
                for number in 0_u64.. {
                    if ending.load(Ordering::Relaxed) {
                        break;
                    }
                    let artist = format!("c{client}-{}", number % 5);
                    let value = format!("{{\"n\":{number}}}");
                    let put = vec![music.putting(&artist, "x", &value)];
                    let name = format!("{client}-{number}");
                    // Keyed, so that the death of a leader is no unknown outcome.
                    let done = music.write(put, Some(idempotency(&name, number.into()))).await;
                    assert!(done.is_ok(), "{done:?}");
                    acknowledged.fetch_add(1, Ordering::Relaxed);
                    written.insert((artist, "x".to_owned()), value);
                }
                written
            })
        });
        let clients = clients.collect();
        Load { ending, acknowledged, clients }
    }

    /// Waits until `count` more writes have been acknowledged.
    pub(crate) async fn more(&self, count: u64) {
        let before = self.acknowledged.load(Ordering::Relaxed);
        let enough = || self.acknowledged.load(Ordering::Relaxed) >= before + count;
        eventually("writes go on", enough).await;
    }

    /// Ends the clients; every one of their last writes is found.
    pub(crate) async fn audit(self, music: &Music) {
        self.ending.store(true, Ordering::Relaxed);
        for client in self.clients {
            for ((artist, title), value) in client.await.unwrap() {
                assert_eq!(music.get(&artist, &title).await, Some(value), "{artist}/{title}");
            }
        }
    }
}

/// Names of artists whose documents live in partitions 0, 1, 2, …
pub(crate) fn one_artist_for_each_partition(music: &Music) -> Vec<String> {
    let of = |number: u32| {
        let mut names = (0..).map(|name| format!("a{name}"));
        names.find(|name| music.partition_of(name).number == number).unwrap()
    };
    (0..music.database.partitions).map(of).collect()
}

pub(crate) fn metric(world: &World, name: &str) -> u64 {
    count_of(&world.metrics, name)
}

pub(crate) fn count_of(metrics: &Registry, name: &str) -> u64 {
    let text = metrics.encode();
    let samples = text.lines().filter(|line| line.starts_with(name));
    samples.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_leaders_partitions_go_to_both_survivors() {
    let world = World::start().await;
    let music = world.music(12).await;
    music.await_leaders(&[N1, N2, N3]).await;
    eventually_asking("leaderships are spread", async || {
        let leaders = music.leaders().await;
        let led = |node| leaders.iter().filter(|leader| **leader == Some(node)).count();
        [N1, N2, N3].into_iter().all(|node| led(node) == 4)
    })
    .await;
    let put = vec![music.putting("cher", "believe", "{}")];
    let first = music.write(put.clone(), Some(idempotency("k", 7))).await.unwrap();
    let load = Load::start(&music, 6);
    load.more(200).await;

    let dying = music.leaders().await[first.partition as usize].unwrap();
    world.nodes.kill(dying).await.unwrap();
    let survivors: Vec<_> = [N1, N2, N3].into_iter().filter(|node| *node != dying).collect();
    music.await_leaders(&survivors).await;
    load.more(200).await;
    // Who is late by its turn, as on a busy machine, finds it taken: so this is who comes first.
    let first_heir = |number: u32| {
        let (leader, heirs) = music.database.placement(number).split_first().unwrap();
        (*leader == dying).then(|| heirs[0])
    };
    let heirs: Vec<_> = (0..music.database.partitions).filter_map(first_heir).collect();
    for survivor in &survivors {
        assert_eq!(heirs.iter().filter(|heir| *heir == survivor).count(), 2, "{heirs:?}");
    }
    // The answer of the dead leader, from the one that has never seen the request.
    let again = music.write(put, Some(idempotency("k", 7))).await.unwrap();
    assert!(again.repeated);
    assert_eq!((again.scn, again.etag, again.time), (first.scn, first.etag, first.time));
    load.audit(&music).await;
    assert!(metric(&world, "cortado_write_gap_seconds_count") >= 4);
    eventually_asking("the claims are explained", async || {
        let events = world.gateway.events(None, 1_000, crate::world::deadline()).await.unwrap();
        let claims = events.iter().filter(|event| {
            event.kind == EventKind::Claim && event.database.as_deref() == Some("music")
        });
        claims.filter(|event| event.evidence[0].contains(&dying.to_string())).count() >= 4
    })
    .await;
}

/// Until then a partition of a dead leader stays without one: what looks like the death of one
/// node could be that of all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_beats_are_silent_no_node_is_declared_dead() {
    let world = World::start().await;
    let music = world.music(3).await;
    music.await_leaders(&[N1, N2, N3]).await;
    world.stores.beats.strike(BeatStream(0), Some(StreamFault::Hides));
    let all_say_so = async || {
        let said = world.gateway.events(None, 1_000, crate::world::deadline()).await.unwrap();
        let says = |node| format!("{node} declares no node dead");
        [N1, N2, N3].iter().all(|node| said.iter().any(|said| said.what.contains(&says(node))))
    };
    eventually_asking("every node says that it declares no node dead", all_say_so).await;
    let claims = metric(&world, "cortado_claims_total");
    let dying = music.leaders().await[0].unwrap();
    let survivors: Vec<_> = [N1, N2, N3].into_iter().filter(|node| *node != dying).collect();
    world.nodes.kill(dying).await.unwrap();
    let beats = metric(&world, "cortado_beats_total");
    let time = || metric(&world, "cortado_beats_total") > beats + 60;
    eventually("a death would have been noticed", time).await;
    assert_eq!(metric(&world, "cortado_claims_total"), claims);
    world.stores.beats.strike(BeatStream(0), None);
    music.await_leaders(&survivors).await;
    music.put("cher", "x", "{}").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_node_dies_once_and_nothing_is_lost() {
    let world = World::start().await;
    let music = world.music(6).await;
    let load = Load::start(&music, 4);
    for node in [N1, N2, N3] {
        load.more(100).await;
        world.nodes.kill(node).await.unwrap();
        load.more(100).await;
        world.nodes.start(node).await.unwrap();
        music.await_complete().await;
    }
    load.audit(&music).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_without_a_key_is_unknown_when_its_leader_dies() {
    let world = World::start().await;
    let music = world.music(1).await;
    music.put("cher", "x", "{}").await.unwrap();
    let leader = music.leaders().await[0].unwrap();
    world.log.inject(music.partition_of("cher"), cortado_log::memory::Fault::HoldAcknowledgement);
    let writer = {
        let music = music.clone();
        tokio::spawn(async move { music.put("cher", "y", "{}").await })
    };
    let log = world.log.clone();
    let partition = music.partition_of("cher");
    let held = || log.with(|log| log.holds().count() == 1 && log.end(partition).0 > 0);
    eventually("the write is in the log", held).await;
    world.nodes.kill(leader).await.unwrap();
    let unknown = writer.await.unwrap();
    assert!(matches!(unknown, Err(WriteError::Unknown { .. })), "{unknown:?}");
    // It was in the log, so it was committed, and the next leader knows it.
    assert_eq!(music.get("cher", "y").await, Some("{}".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_is_unknown_when_its_deadline_passes_on_its_way_to_the_log() {
    let world = World::start().await;
    let music = world.music(1).await;
    music.put("cher", "x", "{}").await.unwrap();
    world.log.inject(music.partition_of("cher"), cortado_log::memory::Fault::HoldRecords);
    let operations = vec![music.putting("cher", "y", "{}")];
    // Begun long before, on any machine.
    let deadline = Instant::now() + Duration::from_secs(2);
    let request = WriteRequest { operations, idempotency: None, deadline };
    let late = music.gateway.write(&music.database, request).await;
    assert_eq!(late, Err(WriteError::Unknown { why: UnknownReason::Deadline }));
    assert_eq!(music.get("cher", "y").await, None);
    assert_eq!(world.log.release_all(), 1, "the log was given it");
    assert_eq!(music.get("cher", "y").await, Some("{}".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_planned_handoff_fails_no_request() {
    let world = World::start().await;
    let music = world.music(2).await;
    let load = Load::start(&music, 4);
    for number in 0..2 {
        for node in [N2, N3, N1] {
            load.more(50).await;
            let deadline = crate::world::deadline();
            let done = world.gateway.hand_off(&music.database, number, Some(node), deadline).await;
            assert!(done.is_ok(), "{done:?}");
            assert_eq!(music.leaders().await[number as usize], Some(node));
        }
    }
    load.audit(&music).await;
    assert_eq!(metric(&world, "cortado_writes_total{outcome=\"not_done\"}"), 0);
    assert_eq!(metric(&world, "cortado_writes_total{outcome=\"unknown\"}"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_dead_and_the_unknown_are_refused_by_name() {
    use cortado_gateway::AdminError;
    use cortado_model::NodeId;
    use cortado_node::NodeError;
    let world = World::start().await;
    let music = world.music(1).await;
    assert!(matches!(world.nodes.kill(NodeId(4)).await, Err(NodeError::NoSuchNode)));
    assert!(matches!(world.nodes.start(N1).await, Err(NodeError::AlreadyRunning)));
    let to_unknown_node =
        world.gateway.hand_off(&music.database, 0, Some(NodeId(4)), crate::world::deadline());
    assert!(matches!(to_unknown_node.await, Err(AdminError::CannotLead)));
    let nowhere = world.gateway.hand_off(&music.database, 1, None, crate::world::deadline());
    assert!(matches!(nowhere.await, Err(AdminError::NoSuchPartition)));
    world.nodes.kill(N2).await.unwrap();
    assert!(matches!(world.nodes.kill(N2).await, Err(NodeError::NotRunning)));
    let alive = world.gateway.status().await.nodes.into_iter().map(|node| node.alive);
    assert_eq!(alive.collect::<Vec<_>>(), [true, false, true]);
    let up =
        [N1, N2, N3].map(|node| metric(&world, &format!("cortado_node_up{{node=\"{node}\"}}")));
    assert_eq!(up, [1, 0, 1]);
}
