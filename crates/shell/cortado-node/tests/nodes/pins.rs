//! Leaderships stay where an operator has put them, and drained nodes lead nothing.

use crate::world::{Music, N1, N2, N3, World, deadline, eventually, eventually_asking, settings};
use cortado_gateway::{AdminError, EventKind};
use cortado_model::NodeId;

/// Waits until all replicas could lead: they tell so, and lack nothing.
async fn await_fit(music: &Music) {
    music.await_leaders(&[N1, N2, N3]).await;
    music.await_complete().await;
}

async fn hand_off(world: &World, music: &Music, number: u32, to: NodeId) {
    world.gateway.hand_off(&music.database, number, Some(to), deadline()).await.unwrap();
}

async fn await_leader(music: &Music, number: u32, node: NodeId) {
    eventually_asking("it is led by the node", async || {
        music.leaders().await[number as usize] == Some(node)
    })
    .await;
}

/// How many partitions a node leads, those of the system too.
async fn led(world: &World, node: NodeId) -> usize {
    let status = world.gateway.status().await;
    status.nodes.iter().find(|known| known.node == node).unwrap().leaderships
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handoff_by_an_operator_is_pinned_and_outlives_its_node_and_its_process() {
    let world = World::start().await;
    let music = world.music(3).await;
    await_fit(&music).await;
    let preferred = music.database.placement(0)[0];
    let to = music.database.placement(0)[2];
    hand_off(&world, &music, 0, to).await;
    await_leader(&music, 0, to).await;
    let partition = music.partitions().await.swap_remove(0);
    assert_eq!((partition.pinned, partition.preferred), (Some(to), Some(preferred)));
    // One record tells of it; a failover changes neither pins nor placements.
    let wanted = || {
        let catalog = world.gateway.catalog();
        let placements = catalog.placements().map(|(partition, nodes)| (partition, nodes.to_vec()));
        let pins = (0..3).map(|number| catalog.pin(music.database.partition_id(number)));
        (pins.collect::<Vec<_>>(), placements.collect::<Vec<_>>())
    };
    let before = wanted();
    world.nodes.kill(to).await.unwrap();
    eventually_asking("another node leads", async || {
        music.leaders().await[0].is_some_and(|leader| leader != to)
    })
    .await;
    assert_eq!(wanted(), before);
    world.nodes.start(to).await.unwrap();
    await_leader(&music, 0, to).await;

    let (log, stores) = world.shutdown().await;
    let world = World::over(log, stores, settings()).await;
    let music = Music::again(&world);
    await_leader(&music, 0, to).await;
    world.gateway.rebalance(Some(&music.database), deadline()).await.unwrap();
    await_leader(&music, 0, preferred).await;
    assert_eq!(music.partitions().await[0].pinned, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handoff_that_is_refused_pins_nothing() {
    let world = World::start().await;
    let music = world.music(1).await;
    await_fit(&music).await;
    let leader = music.leaders().await[0].unwrap();
    let other = [N1, N2, N3].into_iter().find(|node| *node != leader).unwrap();
    world.nodes.kill(other).await.unwrap();
    let refused = world.gateway.hand_off(&music.database, 0, Some(other), deadline()).await;
    assert!(matches!(refused, Err(AdminError::CannotLead)), "{refused:?}");
    assert_eq!(music.partitions().await[0].pinned, None);
    // Where it is already, it stays from now on.
    hand_off(&world, &music, 0, leader).await;
    let partition = music.partitions().await.swap_remove(0);
    assert_eq!((partition.leader, partition.pinned), (Some(leader), Some(leader)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drained_node_leads_nothing_until_it_is_resumed() {
    let world = World::start().await;
    let music = world.music(12).await;
    await_fit(&music).await;
    let pinned = (0..12).find(|number| music.database.placement(*number)[0] != N1).unwrap();
    hand_off(&world, &music, pinned, N1).await;
    world.gateway.drain_node(N1, deadline()).await.unwrap();
    eventually_asking("it leads nothing", async || led(&world, N1).await == 0).await;
    music.await_leaders(&[N2, N3]).await;
    eventually_asking("the others lead alike", async || {
        led(&world, N2).await >= 6 && led(&world, N3).await >= 6
    })
    .await;
    // Neither is anything new led by it, nor given to it.
    let films = world.gateway.create_database("films", films(), deadline()).await.unwrap();
    let cortado_gateway::Declared::Created(films) = films else { panic!("it is new") };
    assert!((0..6).any(|number| films.placement(number)[0] == N1));
    let refused = world.gateway.hand_off(&music.database, 0, Some(N1), deadline()).await;
    assert!(matches!(refused, Err(AdminError::NodeDrained)), "{refused:?}");
    eventually_asking("it leads nothing new", async || led(&world, N1).await == 0).await;
    let status = world.gateway.status().await;
    let drained = status.nodes.iter().map(|node| (node.node, node.drained));
    assert_eq!(drained.collect::<Vec<_>>(), [(N1, true), (N2, false), (N3, false)]);
    // Twice is once; and one node is left.
    world.gateway.drain_node(N1, deadline()).await.unwrap();
    world.gateway.drain_node(N2, deadline()).await.unwrap();
    let last = world.gateway.drain_node(N3, deadline()).await;
    assert!(matches!(last, Err(AdminError::LastNode)), "{last:?}");
    let nowhere = world.gateway.drain_node(NodeId(4), deadline()).await;
    assert!(matches!(nowhere, Err(AdminError::NotRegistered)), "{nowhere:?}");
    eventually_asking("one node leads all", async || led(&world, N2).await == 0).await;

    for node in [N1, N2] {
        world.gateway.resume_node(node, deadline()).await.unwrap();
    }
    await_leader(&music, pinned, N1).await;
    let is_home = async || {
        let leaders = music.leaders().await;
        (0..12).filter(|number| *number != pinned).all(|number| {
            leaders[number as usize] == music.database.placement(number).first().copied()
        })
    };
    eventually_asking("leaderships are back", is_home).await;
    eventually_asking("the journal tells of it", async || {
        let page = world.gateway.events(None, 1_000, deadline()).await.unwrap();
        let by_hand = page.iter().filter(|event| event.kind == EventKind::HandOff);
        let by_hand: Vec<_> = by_hand.map(|event| event.by_hand.as_str()).collect();
        let undo = |text: &str| page.iter().any(|event| event.undo == text);
        by_hand.contains(&"cortado node drain n1")
            && undo("cortado node resume n1")
            && undo("cortado rebalance music")
    })
    .await;
}

fn films() -> cortado_gateway::DatabaseSpec {
    cortado_gateway::DatabaseSpec { partitions: Some(6), ..Default::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pins_go_with_their_database() {
    let world = World::start().await;
    let music = world.music(2).await;
    await_fit(&music).await;
    let to = music.database.placement(1)[1];
    hand_off(&world, &music, 1, to).await;
    let pinned = music.database.partition_id(1);
    eventually("it is pinned", || world.gateway.catalog().pin(pinned) == Some(to)).await;
    world.gateway.drop_database("music", deadline()).await.unwrap();
    assert_eq!(world.gateway.catalog().pin(pinned), None);
    let again = world.music(2).await;
    assert_eq!(again.partitions().await[1].pinned, None);
    let gone = world.gateway.hand_off(&music.database, 1, Some(to), deadline()).await;
    assert!(matches!(gone, Err(AdminError::NoSuchDatabase)), "{gone:?}");
    world.gateway.rebalance(None, deadline()).await.unwrap();
}
