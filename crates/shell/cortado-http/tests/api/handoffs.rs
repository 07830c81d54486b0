//! Handoffs whose clients go away in the middle.

use crate::http2_frames::{
    CANCEL, DATA, END_HEADERS, END_STREAM, HEADERS, RST_STREAM, frame, frames_of, head, start,
};
use crate::world::{Client, PATIENCE, World, request};
use cortado_log::memory::Fault;
use cortado_model::PartitionId;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{Instant, interval};

const PARTITIONS: &str = "/admin/v1/databases/music/partitions";

/// How a client goes away.
#[derive(Clone, Copy, Debug)]
enum Leaves {
    /// Its connection of HTTP/1.1 ends.
    Http1,
    /// Its connection of HTTP/2 ends.
    Http2,
    /// Its connection goes on, its request is cancelled.
    Cancels,
}

/// Waits until `holds`, which asks the server.
async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let give_up_at = Instant::now() + PATIENCE;
    let mut look_again = interval(Duration::from_millis(5));
    while !holds().await {
        assert!(Instant::now() < give_up_at, "not so: {what}");
        look_again.tick().await;
    }
}

/// The first partition of `music`.
async fn partition(world: &World) -> Value {
    world.get(PARTITIONS).await.json()["partitions"][0].clone()
}

fn id_of(world: &World) -> PartitionId {
    world.cluster.gateway().catalog().database("music").unwrap().partition_id(0)
}

/// Its leader, and a node that could lead it.
async fn leader_and_successor(world: &World) -> (String, String) {
    eventually("all replicas have caught up", async || {
        let told = partition(world).await;
        let replicas = told["replicas"].as_array().unwrap().iter();
        let follow = replicas.filter(|one| one["role"] == "follower" && one["lag_records"] == 0);
        told["leader"].is_string() && follow.count() == 2
    })
    .await;
    let leader = partition(world).await["leader"].as_str().unwrap().to_owned();
    let to = ["n1", "n2", "n3"].into_iter().find(|node| *node != leader).unwrap();
    (leader, to.to_owned())
}

/// Asks for a handoff; goes away when the log keeps a record of it back.
async fn ask_and_leave(world: &World, to: &str, leaves: Leaves) {
    let (path, body) = (format!("{PARTITIONS}/0:handoff"), json!({ "to": to }).to_string());
    let mut client = world.connect().await;
    match leaves {
        Leaves::Http1 => {
            let head = format!("POST {path}\nContent-Type: application/json");
            client.send(&request(&head, &body)).await;
        }
        Leaves::Http2 | Leaves::Cancels => {
            let head = frame(HEADERS, END_HEADERS, 1, &head("POST", &path));
            let body = frame(DATA, END_STREAM, 1, body.as_bytes());
            client.send(&[start(), head, body].concat()).await;
        }
    }
    let held = async || world.log.with(|log| log.holds().count()) == 1;
    eventually("its record is on its way", held).await;
    leave(client, leaves).await;
    // Until the server has noticed: this connection is the only one.
    let gone = async || match leaves {
        Leaves::Http1 | Leaves::Cancels => true,
        Leaves::Http2 => {
            world.get("/metrics").await.text().contains("cortado_http_connections 1\n")
        }
    };
    eventually("it is gone", gone).await;
}

async fn leave(mut client: Client, leaves: Leaves) {
    match leaves {
        Leaves::Http1 | Leaves::Http2 => drop(client),
        Leaves::Cancels => {
            client.send(&frame(RST_STREAM, 0, 1, &CANCEL.to_be_bytes())).await;
            for _ in 0..3 {
                frames_of(&mut client, 1).await;
            }
        }
    }
}

/// Waits until the journal tells of so many handoffs that they came to this.
async fn told(world: &World, count: usize, text: &str) {
    eventually("the journal tells of it", async || {
        let events = world.get("/admin/v1/events?limit=1000").await.json();
        let told = |event: &&Value| {
            event["kind"] == "hand_off" && event["what"].as_str().unwrap().contains(text)
        };
        events["events"].as_array().unwrap().iter().filter(told).count() == count
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handoff_whose_client_goes_away_comes_to_its_end() {
    let world = World::start().await;
    for (leaves, count) in [Leaves::Http1, Leaves::Http2, Leaves::Cancels].into_iter().zip(1..) {
        let (_, to) = leader_and_successor(&world).await;
        // The leader steps down when this is let go.
        world.log.inject(id_of(&world), Fault::HoldRecords);
        ask_and_leave(&world, &to, leaves).await;
        assert_eq!(partition(&world).await["pinned"], to);
        world.log.release_all();
        eventually("the successor leads", async || partition(&world).await["leader"] == to).await;
        assert_eq!(partition(&world).await["pinned"], to, "{leaves:?}");
        told(&world, count, "by an operator").await;
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handoff_that_is_refused_when_its_client_is_gone_takes_its_pin_back() {
    let world = World::start().await;
    for leaves in [Leaves::Http1, Leaves::Http2, Leaves::Cancels] {
        let (leader, to) = leader_and_successor(&world).await;
        let gateway = world.cluster.gateway();
        let before = gateway.catalog().scn();
        // The pin is written when this is let go; then the leader cannot step down.
        world.log.inject(PartitionId::CLUSTER, Fault::HoldRecords);
        world.log.inject(id_of(&world), Fault::Refuse);
        ask_and_leave(&world, &to, leaves).await;
        world.log.release_all();
        // One record pins it, the next one takes that back.
        eventually("the pin is taken back", async || {
            let catalog = gateway.catalog();
            let records = catalog.scn().sequence.0 - before.sequence.0;
            records >= 2 && catalog.pin(id_of(&world)).is_none()
        })
        .await;
        let now = partition(&world).await;
        assert_eq!((&now["leader"], &now["pinned"]), (&leader.into(), &Value::Null), "{leaves:?}");
    }
    world.end().await;
}
