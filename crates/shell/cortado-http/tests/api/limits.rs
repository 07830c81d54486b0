//! What clients can make the server hold has a bound.

use crate::world::{Client, PATIENCE, World, request};
use cortado_http::Limits;
use std::time::Duration;

const MIB: usize = 1 << 20;
/// Of a request that waits for as long as a test does.
const PATIENT: &str = "Cortado-Deadline-Ms: 60000";

/// A world with large documents `/v1/music/album/a/{n:02}`.
async fn with_documents(answers_bytes_max: usize, count: usize) -> World {
    let world = World::with(Limits { answers_bytes_max, ..Limits::default() }).await;
    let body = format!("{{\"x\":\"{}\"}}", "y".repeat(MIB - 100));
    for n in 0..count {
        assert_eq!(world.put(&format!("/v1/music/album/a/{n:02}"), &body).await.status, 201);
    }
    world
}

fn batch(keys: impl Iterator<Item = usize>) -> Vec<u8> {
    let keys = keys.map(|n| format!(r#"{{"table":"album","key":["a","{n:02}"]}}"#));
    let body = format!("{{\"keys\":[{}]}}", keys.collect::<Vec<_>>().join(","));
    request("POST /v1/music:batchGet\nContent-Type: application/json", &body)
}

/// Waits until answers hold what `wanted` says.
async fn until_held(world: &World, wanted: impl Fn(usize) -> bool) {
    until_shown(world, "cortado_http_answer_bytes ", wanted).await;
}

/// Waits until the metric `name` has a value that is `wanted`.
async fn until_shown(world: &World, name: &str, wanted: impl Fn(usize) -> bool) {
    let shown = async {
        loop {
            let metrics = world.get("/metrics").await.text();
            let value = metrics.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            if wanted(value.trim().parse().unwrap()) {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, shown).await.expect("shown in the end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unread_answers_have_a_budget_and_small_ones_get_through() {
    let world = with_documents(10 * MIB, 16).await;
    assert_eq!(world.put("/v1/music/fan/small", "{}").await.status, 201);
    let mut unread = world.connect_narrow().await;
    unread.send(&batch(0..8)).await;
    until_held(&world, |bytes| bytes >= 7 * MIB).await;
    let mut other = world.connect().await;
    other.send(&batch(8..12)).await;
    let refused = other.reply(false).await;
    refused.refused(503, "overloaded");
    assert_eq!(refused.header("retry-after"), Some("1"));
    let page = world.get("/v1/music/album/a?limit=4&order=desc").await;
    page.refused(503, "overloaded");
    assert_eq!(world.get("/v1/music/fan/small").await.status, 200);
    assert_eq!(world.put("/v1/music/fan/small", r#"{"n":1}"#).await.status, 200);
    // Read at last, it makes room for others.
    assert_eq!(unread.reply(false).await.status, 200);
    assert_eq!(other.ask("GET /v1/music/album/a?limit=4", "").await.status, 200);
    until_held(&world, |bytes| bytes < MIB).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_document_is_held_once_however_often_answers_name_it() {
    let world = with_documents(3 * MIB, 1).await;
    let mut unread: Vec<Client> = Vec::new();
    for _ in 0..8 {
        let mut client = world.connect_narrow().await;
        client.send(&batch(std::iter::repeat_n(0, 32))).await;
        assert_eq!(client.head().await.status, 200);
        unread.push(client);
    }
    until_held(&world, |bytes| (MIB - 200..2 * MIB).contains(&bytes)).await;
    drop(unread);
    until_held(&world, |bytes| bytes < MIB / 2).await;
    let mut client = world.connect().await;
    client.send(&batch(std::iter::repeat_n(0, 32))).await;
    let answer = client.reply(false).await.json();
    let results = answer["results"].as_array().unwrap();
    assert_eq!(results.len(), 32);
    assert!(results.iter().all(|result| result["value"]["x"].is_string()));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_has_a_bound_and_names_what_is_beyond() {
    let world = with_documents(256 * MIB, 2).await;
    let mut client = world.connect().await;
    client.send(&batch((0..36).map(|n| n % 2))).await;
    let answer = client.reply(false).await.json();
    let results = answer["results"].as_array().unwrap();
    let statuses: Vec<_> = results.iter().map(|result| result["status"].as_u64()).collect();
    assert_eq!(statuses[..32], [Some(200); 32]);
    assert_eq!(statuses[35], Some(413));
    world.end().await;
}

/// Opens a stream of `partition` that is not read.
async fn stream(world: &World, partition: &str, since: &str) -> Client {
    let path = format!("GET /v1/music:changes?partition={partition}&since={since}&wait=60000");
    let mut client = world.connect_narrow().await;
    client.send(&request(&path, "")).await;
    assert_eq!(client.head().await.status, 200);
    client
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_that_are_not_read_hold_a_page_each_and_share_it() {
    let world = with_documents(6 * MIB, 16).await;
    let mut positions = Vec::new();
    for n in 0..16 {
        let read = world.get(&format!("/v1/music/album/a/{n:02}")).await;
        positions.push(read.header("cortado-scn").unwrap().to_owned());
    }
    let partition = positions[0].split('/').next().unwrap();
    let mut alike = Vec::new();
    for _ in 0..12 {
        alike.push(stream(&world, partition, "0:0").await);
    }
    // A document of a mebibyte is a page of its own; what the sockets take is held by nobody here.
    until_held(&world, |bytes| (MIB - 200..4 * MIB).contains(&bytes)).await;
    let metrics = world.get("/metrics").await.text();
    assert!(metrics.contains("cortado_http_streams 12\n"), "none was ended: {metrics}");
    drop(alike);
    until_held(&world, |bytes| bytes < MIB / 2).await;
    // Each at another place: those for which there is no room end, and are told when they return.
    let mut apart = Vec::new();
    for position in &positions[..15] {
        apart.push(stream(&world, partition, position).await);
    }
    until_held(&world, |bytes| bytes > 4 * MIB).await;
    until_held(&world, |bytes| bytes <= 6 * MIB).await;
    drop(apart);
    until_held(&world, |bytes| bytes < MIB / 2).await;
    world.end().await;
}

/// A world whose answers have no room for one more document, as long as a client takes none; the
/// request of a stream that has one to tell.
pub(crate) async fn without_room(heartbeat_time: Duration) -> (World, Client, String) {
    let answers_bytes_max = 4 * MIB + MIB / 4;
    let world =
        World::with(Limits { answers_bytes_max, heartbeat_time, ..Limits::default() }).await;
    let body = format!("{{\"x\":\"{}\"}}", "y".repeat(MIB - 100));
    for n in 0..5 {
        assert_eq!(world.put(&format!("/v1/music/album/a/{n:02}"), &body).await.status, 201);
    }
    let fourth = world.get("/v1/music/album/a/03").await;
    let since = fourth.header("cortado-scn").unwrap();
    let partition = since.split('/').next().unwrap();
    let get = format!("GET /v1/music:changes?partition={partition}&since={since}");
    let mut unread = world.connect_narrow().await;
    unread.send(&batch(0..4)).await;
    until_held(&world, |bytes| bytes > 4 * MIB - MIB / 4).await;
    (world, unread, get)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_without_room_ends_with_an_error() {
    let (world, unread, get) = without_room(Duration::from_millis(1)).await;
    let mut client = world.connect().await;
    client.send(&request(&get, "")).await;
    // The head may not be on its way yet when the body breaks off.
    let line = client.try_take(15).await;
    assert!(line.is_none_or(|line| line == b"HTTP/1.1 200 OK"));
    assert!(!client.ends_whole().await, "not everything was told");
    drop(unread);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_waits_for_room_that_comes_before_the_next_heartbeat() {
    let (world, mut unread, get) = without_room(PATIENCE).await;
    let mut client = world.connect().await;
    client.send(&request(&format!("{get}\nConnection: close"), "")).await;
    assert_eq!(unread.reply(false).await.status, 200);
    assert_eq!(client.head().await.status, 200);
    assert!(client.ends_whole().await);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_a_leader_has_its_room() {
    let world = World::start().await;
    const NODES: [&str; 3] = ["n1", "n2", "n3"];
    for node in NODES {
        let killed = world.ask(&format!("POST /admin/v1/nodes/{node}:kill"), "").await;
        assert_eq!(killed.status, 204, "{killed:?}");
    }
    let mut waiting = Vec::new();
    for (number, path) in ["/v1/music/fan?limit=10", "/v1/music/album/a"].iter().enumerate() {
        let mut client = world.connect().await;
        client.send(&request(&format!("GET {path}\n{PATIENT}"), "")).await;
        until_held(&world, |bytes| bytes > (number + 1) * MIB).await;
        waiting.push(client);
    }
    let mut client = world.connect().await;
    let keys = r#"{"keys":[{"table":"album","key":["a","0"]},{"table":"album","key":["a","1"]}]}"#;
    let head = format!("POST /v1/music:batchGet\nContent-Type: application/json\n{PATIENT}");
    client.send(&request(&head, keys)).await;
    until_held(&world, |bytes| bytes > 3 * MIB).await;
    waiting.push(client);
    let mut client = world.connect().await;
    let body = format!("{{\"x\":\"{}\"}}", "y".repeat(300_000));
    let head = format!("PUT /v1/music/fan/x\nContent-Type: application/json\n{PATIENT}");
    client.send(&request(&head, &body)).await;
    until_shown(&world, "cortado_http_body_bytes ", |bytes| bytes >= 300_000).await;
    waiting.push(client);
    for node in NODES {
        let started = world.ask(&format!("POST /admin/v1/nodes/{node}:start"), "").await;
        assert_eq!(started.status, 204, "{started:?}");
    }
    for mut client in waiting {
        assert!([200, 201].contains(&client.reply(false).await.status));
    }
    until_held(&world, |bytes| bytes < MIB / 2).await;
    until_shown(&world, "cortado_http_body_bytes ", |bytes| bytes == 0).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_a_table_has_a_bound_over_all_partitions() {
    const COUNT: usize = 24;
    let world = World::start().await;
    let body = format!("{{\"x\":\"{}\"}}", "y".repeat(MIB - 100));
    for n in 0..COUNT {
        assert_eq!(world.put(&format!("/v1/music/fan/{n}"), &body).await.status, 201);
    }
    let (mut found, mut cursor) = (0, String::new());
    loop {
        let page = world.get(&format!("/v1/music/fan?limit=1000{cursor}")).await.json();
        let documents = page["documents"].as_array().unwrap().len();
        // A partition adds up to eight and a bit to what may be nearly as much.
        assert!(documents <= 17, "{documents}");
        found += documents;
        let Some(next) = page["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(found, COUNT);
    world.end().await;
}
