//! Replicas are moved by request: planned, refused, begun, altered and looked at.

use crate::world::{PATIENCE, World};
use std::time::Duration;
use tokio::time::{Instant, interval};

const MOVES: &str = "/admin/v1/moves";

/// Waits until no change is under way.
async fn await_over(world: &World) {
    let give_up_at = Instant::now() + PATIENCE;
    let mut look_again = interval(Duration::from_millis(10));
    while world.get(MOVES).await.json()["changes"] != serde_json::json!([]) {
        assert!(Instant::now() < give_up_at, "{}", world.get(MOVES).await.text());
        look_again.tick().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_moved_is_refused_and_nothing_is_begun() {
    let world = World::start().await;
    let order = async |body: &str| world.post(MOVES, body).await;
    order("{}").await.not_done(422, "bad_body");
    order(r#"{"kind":"shuffle"}"#).await.not_done(422, "bad_body");
    order(r#"{"kind":"remove_node"}"#).await.not_done(422, "bad_body");
    order(r#"{"kind":"remove_node","node":"n9"}"#).await.not_done(404, "no_such_node");
    order(r#"{"kind":"rebalance","copies_per_node":0}"#).await.not_done(422, "bad_body");
    order(r#"{"kind":"rebalance","speed":1}"#).await.not_done(422, "bad_body");
    let refused = order(r#"{"kind":"remove_node","node":"n1"}"#).await;
    refused.not_done(409, "conflict");
    assert!(refused.text().contains("has 3 replicas, and 2 nodes would be left"), "{refused:?}");
    let replica = "/admin/v1/databases/music/partitions/0:move";
    let refused = world.post(replica, r#"{"from":"n1","to":"n2"}"#).await;
    refused.not_done(409, "conflict");
    assert!(refused.text().contains("music/0 has a replica on n2 already"), "{refused:?}");
    world.post(replica, r#"{"from":"n1"}"#).await.not_done(422, "bad_body");
    let none = "/admin/v1/databases/music/partitions/99:move";
    world.post(none, r#"{"from":"n1","to":"n2"}"#).await.not_done(404, "no_such_partition");
    for command in ["pause", "resume", "cancel"] {
        let path = format!("POST {MOVES}/1:{command}");
        world.ask(&path, "").await.not_done(404, "no_such_change");
    }
    world.post(&format!("{MOVES}/1:throttle"), "{}").await.not_done(404, "no_such_change");
    world.ask(&format!("POST {MOVES}/x:pause"), "").await.not_done(404, "no_such_change");
    // All is even already.
    let planned = order(r#"{"kind":"rebalance","dry_run":true}"#).await;
    assert_eq!((planned.status, &planned.json()["replicas"]), (200, &0.into()), "{planned:?}");
    assert_eq!(world.get(MOVES).await.json()["changes"], serde_json::json!([]));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_goes_from_one_node_to_another() {
    let world = World::start().await;
    let path = "/admin/v1/databases/geo";
    let body = r#"{"partitions":1,"replication":2,"tables":{"place":{"key":["country"]}}}"#;
    assert_eq!(world.put(path, body).await.status, 201);
    assert_eq!(world.put("/v1/geo/place/JP", "{}").await.status, 201);
    let on = async || {
        let told = world.get(&format!("{path}/partitions")).await.json();
        let replicas = told["partitions"][0]["replicas"].as_array().unwrap().iter();
        let names = replicas.map(|one| one["node"].as_str().unwrap().to_owned());
        names.collect::<Vec<String>>()
    };
    let before = on().await;
    let to = ["n1", "n2", "n3"].into_iter().find(|node| !before.contains(&(*node).to_owned()));
    let (from, to) = (&before[0], to.unwrap());
    let order = serde_json::json!({"from": from, "to": to, "bytes_per_second": 0});
    let replica = format!("{path}/partitions/0:move");
    let begun = world.post(&replica, &order.to_string()).await;
    assert_eq!(begun.status, 201, "{begun:?}");
    let plan = begun.json();
    let planned = serde_json::json!([{"database": "geo", "partition": 0, "from": from, "to": to}]);
    assert_eq!((&plan["change"], &plan["moves"]), (&1.into(), &planned), "{plan}");
    assert_eq!(plan["limits"]["bytes_per_second"], 0);
    await_over(&world).await;
    let after = on().await;
    assert_eq!(after, [to.to_owned(), before[1].clone()]);
    assert_eq!(world.get("/v1/geo/place/JP").await.status, 200);
    let nodes = world.get("/admin/v1/nodes").await.json();
    assert_eq!(nodes["nodes"][0]["capacity"], 100, "{nodes}");
    let moved = world.events_with("move").await;
    assert!(moved.to_string().contains("a replica moves from"), "{moved}");
    world.end().await;
}
