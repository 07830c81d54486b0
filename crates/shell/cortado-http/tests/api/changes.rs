//! Change streams as lines and as Server-Sent Events.

use crate::world::{Client, PATIENCE, Reply, World};
use cortado_http::Limits;
use serde_json::Value;
use std::time::Duration;

const ALL: &str = "GET /v1/one:changes?partition=0";

/// A database of one partition.
async fn one_partition(limits: Limits) -> World {
    let world = World::with(limits).await;
    let body = r#"{"partitions":1,"tables":{"t":{"key":["id"]}}}"#;
    assert_eq!(world.put("/admin/v1/databases/one", body).await.status, 201);
    world
}

fn lines(reply: &Reply) -> Vec<Value> {
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/x-ndjson")));
    let text = reply.text();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    lines.filter(|line: &Value| line.get("heartbeat").is_none()).collect()
}

async fn write(world: &World, from: usize, to: usize) {
    let mut client = world.connect().await;
    for n in from..to {
        let head = format!("PUT /v1/one/t/k{}\nContent-Type: application/json", n % 3);
        assert!(client.ask(&head, &format!("{{\"n\":{n}}}")).await.status < 300);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_show_what_was_committed_and_resume_exactly() {
    let world = one_partition(Limits::default()).await;
    write(&world, 0, 5).await;
    world.ask("DELETE /v1/one/t/k0", "").await;
    let all = lines(&world.ask(ALL, "").await);
    assert_eq!(all.len(), 6);
    let first = &all[0];
    assert_eq!(first["partition"], 0);
    assert!(first["time"].as_str().is_some_and(|time| time.ends_with('Z')));
    let change = &first["changes"][0];
    assert_eq!((&change["op"], &change["table"]), (&"put".into(), &"t".into()));
    assert_eq!(
        (&change["key"], &change["value"]),
        (&serde_json::json!(["k0"]), &serde_json::json!({"n":0}))
    );
    assert_eq!(all[5]["changes"][0]["op"], "delete");
    assert!(all[5]["changes"][0].get("value").is_none());
    for (index, line) in all.iter().enumerate() {
        let scn = line["scn"].as_str().unwrap();
        let bare = scn.trim_start_matches("0/");
        for since in [scn, bare, &scn.replace('/', "%2F")] {
            let rest = lines(&world.ask(&format!("{ALL}&since={since}"), "").await);
            assert_eq!(rest, all[index + 1..], "since {since}");
        }
    }
    assert_eq!(lines(&world.ask(&format!("{ALL}&since=0:0"), "").await), all);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_waiting_stream_shows_what_comes_and_heartbeats() {
    let heartbeat_time = Duration::from_millis(50);
    let world = one_partition(Limits { heartbeat_time, ..Limits::default() }).await;
    let mut client = world.connect().await;
    client.send(&crate::world::request(&format!("{ALL}&wait=60000"), "")).await;
    assert_eq!(client.head().await.status, 200);
    let beat: Value = serde_json::from_slice(&client.chunk().await.unwrap()).unwrap();
    assert_eq!((&beat["heartbeat"], &beat["partition"]), (&true.into(), &0.into()));
    assert!(beat["applied"].as_str().is_some_and(|scn| scn.starts_with("0/")));
    write(&world, 0, 1).await;
    next_with(&mut client, "\"n\":0").await;
    let waited = world.ask(&format!("{ALL}&wait=120"), "").await;
    assert_eq!(lines(&waited).len(), 1, "ends by itself");
    world.end().await;
}

/// Reads on until a piece holds `text`.
async fn next_with(client: &mut Client, text: &str) -> String {
    loop {
        let piece = String::from_utf8(client.chunk().await.expect("the stream goes on")).unwrap();
        if piece.contains(text) {
            return piece;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_carry_their_place_and_resume_by_it() {
    let heartbeat_time = Duration::from_millis(50);
    let world = one_partition(Limits { heartbeat_time, ..Limits::default() }).await;
    write(&world, 0, 2).await;
    let mut client = world.connect().await;
    let head = format!("{ALL}\nAccept: text/event-stream");
    client.send(&crate::world::request(&head, "")).await;
    let answer = client.head().await;
    assert_eq!(answer.header("content-type"), Some("text/event-stream"));
    let mut text = String::new();
    while text.matches("data: ").count() < 2 {
        text.push_str(&next_with(&mut client, "data: ").await);
    }
    let events: Vec<(&str, Value)> = text
        .split("\n\n")
        .filter(|event| event.starts_with("id: "))
        .map(|event| {
            let (id, data) = event.split_once('\n').unwrap();
            let data = data.strip_prefix("data: ").unwrap();
            (id.strip_prefix("id: ").unwrap(), serde_json::from_str(data).unwrap())
        })
        .collect();
    assert_eq!(events.len(), 2);
    assert!(events.iter().all(|(id, data)| data["scn"] == *id));
    let beat = next_with(&mut client, ": ").await;
    assert!(beat.starts_with(": ") && beat.ends_with("\n\n"), "{beat}");

    let mut again = world.connect().await;
    let head =
        format!("{ALL}&since=0:0\nAccept: text/event-stream\nLast-Event-ID: {}", events[0].0);
    again.send(&crate::world::request(&head, "")).await;
    again.head().await;
    let first = next_with(&mut again, "data: ").await;
    assert!(first.starts_with(&format!("id: {}\n", events[1].0)), "{first}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_that_cannot_be_are_refused() {
    let world = one_partition(Limits::default()).await;
    let get = async |parameters: &str| world.get(&format!("/v1/one:changes?{parameters}")).await;
    get("").await.refused(400, "bad_parameter");
    get("partition=x").await.refused(400, "bad_parameter");
    get("partition=1").await.refused(404, "no_such_partition");
    get("partition=0&since=x").await.refused(400, "bad_since");
    get("partition=0&since=1/1:1").await.refused(400, "bad_since");
    get("partition=0&since=8000000:1").await.refused(400, "bad_since");
    for bad in ["", "partition=1", "partition=0&since=x", "partition=0&since=8000000:1"] {
        let head = world.ask(&format!("HEAD /v1/one:changes?{bad}"), "").await;
        assert_eq!(head.status, get(bad).await.status, "{bad}");
    }
    get("partition=0&wait=60001").await.refused(400, "bad_parameter");
    get("partition=0&feed=x").await.refused(400, "unknown_parameter");
    world.get("/v1/none:changes?partition=0").await.refused(404, "no_such_database");
    world.ask(&format!("{ALL}\nAccept: text/html"), "").await.refused(406, "not_acceptable");
    world.ask(&format!("{ALL}\nLast-Event-ID: x"), "").await.refused(400, "bad_since");
    let head = world.ask("HEAD /v1/one:changes?partition=0&wait=60000", "").await;
    assert_eq!(head.status, 200);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_ends_with_its_database() {
    let world = one_partition(Limits { heartbeat_time: SELDOM, ..Limits::default() }).await;
    let mut client = world.connect().await;
    let head = format!("{ALL}\nAccept: text/event-stream\nLast-Event-ID:");
    client.send(&crate::world::request(&head, "")).await;
    let answer = client.head().await;
    // An empty id is none, and no proxy may hold events back.
    assert_eq!((answer.status, answer.header("x-accel-buffering")), (200, Some("no")));
    assert_eq!(world.ask("DELETE /admin/v1/databases/one", "").await.status, 204);
    let ended = async { while client.chunk().await.is_some() {} };
    tokio::time::timeout(PATIENCE, ended).await.expect("the stream ends");
    world.ask(&head, "").await.refused(404, "no_such_database");
    world.end().await;
}

/// So rare a heartbeat that it tells the server nothing.
const SELDOM: Duration = Duration::from_secs(3_600);

async fn streams(world: &World) -> String {
    let metrics = world.get("/metrics").await.text();
    let line = metrics.lines().find(|line| line.starts_with("cortado_http_streams "));
    line.unwrap().to_owned()
}

/// Waits until so many streams are open.
async fn until_open(world: &World, count: usize) {
    let want = format!("cortado_http_streams {count}");
    let open = async {
        while streams(world).await != want {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, open).await.expect("the slots are free again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_goes_away_leaves_its_slot_at_once() {
    let world =
        one_partition(Limits { heartbeat_time: SELDOM, streams_max: 3, ..Limits::default() }).await;
    write(&world, 0, 3).await;
    let open = async |more: &str| {
        let mut client = world.connect().await;
        client.send(&crate::world::request(&format!("{ALL}{more}"), "")).await;
        client
    };
    let sse = "\nAccept: text/event-stream";
    let mut streams = Vec::new();
    for more in ["&wait=60000", sse, &format!("{sse}\nConnection: close")] {
        let mut client = open(more).await;
        assert_eq!(client.head().await.status, 200);
        streams.push(client);
    }
    drop(streams);
    until_open(&world, 0).await;
    // With bytes unread the system resets the connection, as it does for a process that was killed.
    let unread = open(sse).await;
    until_open(&world, 1).await;
    drop(unread);
    until_open(&world, 0).await;
    let mut half = open(sse).await;
    half.finish().await;
    until_open(&world, 0).await;
    // With bytes behind the request, of which nobody makes use while the stream goes on.
    for behind in ["\r\n", "G", "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"] {
        let mut client = open(&format!("&wait=60000{sse}")).await;
        assert_eq!(client.head().await.status, 200);
        client.send(behind.as_bytes()).await;
        drop(client);
        let mut client = open("&wait=60000").await;
        client.send(behind.as_bytes()).await;
        assert_eq!(client.head().await.status, 200);
        client.finish().await;
        until_open(&world, 0).await;
    }
    // Before the stream was there.
    for _ in 0..10 {
        drop(open(sse).await);
    }
    until_open(&world, 0).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_are_counted_and_end_with_their_reader_or_the_server() {
    let limits =
        Limits { streams_max: 2, heartbeat_time: Duration::from_millis(20), ..Limits::default() };
    let world = one_partition(limits).await;
    let open = async || {
        let mut client = world.connect().await;
        let head = format!("{ALL}\nAccept: text/event-stream");
        client.send(&crate::world::request(&head, "")).await;
        assert_eq!(client.head().await.status, 200);
        client
    };
    let (first, mut second) = (open().await, open().await);
    world.get("/v1/one:changes?partition=0").await.refused(429, "too_many_streams");
    drop(first);
    until_open(&world, 1).await;
    let ended = tokio::spawn(async move {
        while second.chunk().await.is_some() {}
        second.is_closed().await
    });
    world.end().await;
    assert!(ended.await.unwrap(), "the stream ends whole, then the connection");
}
