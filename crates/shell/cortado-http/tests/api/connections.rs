//! Connections end when they should, and not before.

use crate::world::{Client, PATIENCE, World, put_head, request};
use cortado_http::Limits;
use std::time::{Duration, Instant};

const SHORT: Duration = Duration::from_millis(150);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_that_does_not_come_is_not_waited_for() {
    let world = World::with(Limits { head_time: SHORT, ..Limits::default() }).await;
    for start in ["", "P", "PRI * HT", "GET / HTTP/1.1\r\nHost:", "\r\n\r\n"] {
        // The server's clock may start before `connect` returns.
        let before = Instant::now();
        let mut client = world.connect().await;
        client.send(start.as_bytes()).await;
        client.reply(false).await.refused(408, "request_timeout");
        assert!(client.is_closed().await, "{start:?}");
        assert!(before.elapsed() >= SHORT);
    }
    // A whole request first, then the beginning of a second one.
    let mut client = world.connect().await;
    assert_eq!(client.ask("GET /healthz", "").await.status, 200);
    client.send(b"GET /hea").await;
    client.reply(false).await.refused(408, "request_timeout");
    dribble_until_refused(world.connect().await, &request("GET /healthz", "")).await;
    world.end().await;
}

/// Byte after byte does not help.
async fn dribble_until_refused(mut client: Client, bytes: &[u8]) {
    let mut pace = tokio::time::interval(SHORT / 10);
    for byte in bytes.iter().cycle() {
        client.send(&[*byte]).await;
        pace.tick().await;
        if client.try_reply().await.is_some_and(|status| status == 408) {
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let world = World::with(Limits { body_time: SHORT, ..Limits::default() }).await;
    let mut client = world.connect().await;
    client.send(format!("{}{{", put_head("Content-Length: 9")).as_bytes()).await;
    client.reply(false).await.not_done(408, "request_timeout");
    assert!(client.is_closed().await);
    let mut client = world.connect().await;
    client.send(put_head("Content-Length: 1000000").as_bytes()).await;
    dribble_until_refused(client, b" ").await;
    world.get("/v1/music/fan/x").await.refused(404, "no_such_document");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_connection_is_closed_and_a_busy_one_is_not() {
    let limits =
        Limits { idle_time: SHORT, heartbeat_time: Duration::from_millis(10), ..Limits::default() };
    let world = World::with(limits).await;
    let mut idle = world.connect().await;
    assert_eq!(idle.ask("GET /healthz", "").await.status, 200);
    let mut busy = world.connect().await;
    busy.send(&request("GET /v1/music:changes?partition=0&wait=1000", "")).await;
    assert_eq!(busy.head().await.status, 200);
    assert!(idle.is_closed().await, "without a word");
    let mut pieces = 0;
    while busy.chunk().await.is_some() {
        pieces += 1;
    }
    assert!(pieces > 10, "the stream outlives the idle time: {pieces}");
    assert!(busy.is_closed().await, "then it is idle too");
    world.end().await;
}

/// A connection that is served, once the server has noticed that others have ended.
async fn served(world: &World) -> Client {
    let served = async {
        loop {
            let mut client = world.connect().await;
            client.send(&request("GET /healthz", "")).await;
            if client.reply(false).await.status == 200 {
                break client;
            }
        }
    };
    tokio::time::timeout(crate::world::PATIENCE, served).await.expect("places are free again")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_too_many_is_told_to_come_back() {
    let world = World::with(Limits { connections_max: 3, ..Limits::default() }).await;
    let mut held = [served(&world).await, served(&world).await, served(&world).await];
    let mut refused = world.connect().await;
    refused.reply(false).await.refused(503, "overloaded");
    assert!(refused.is_closed().await);
    assert_eq!(held[0].ask("GET /healthz", "").await.status, 200, "the others are served");
    drop(held);
    served(&world).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_many_bodies_at_once_are_told_to_come_back() {
    let world = World::with(Limits { bodies_bytes_max: 1 << 20, ..Limits::default() }).await;
    let head = format!("{}{{", put_head("Content-Length: 600000"));
    let (mut one, mut other) = (world.connect().await, world.connect().await);
    one.send(head.as_bytes()).await;
    other.send(head.as_bytes()).await;
    // There is room for either, and the first to be read takes it.
    let first_reply = async {
        tokio::select! {
            reply = one.reply(false) => (reply, &mut other),
            reply = other.reply(false) => (reply, &mut one),
        }
    };
    let (refused, taken) = tokio::time::timeout(crate::world::PATIENCE, first_reply).await.unwrap();
    refused.not_done(503, "overloaded");
    taken.send(&vec![b' '; 599_998]).await;
    taken.send(b"}").await;
    assert_eq!(taken.reply(false).await.status, 201);
    // What is over takes no room any more, whether it was refused or not.
    for _ in 0..3 {
        let reply = world.put("/v1/music/fan/x", &format!("{{{}}}", " ".repeat(599_998))).await;
        assert_eq!(reply.status, 200, "{reply:?}");
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shutting_down_finishes_what_has_begun() {
    let world = World::start().await;
    let mut idle = world.connect().await;
    assert_eq!(idle.ask("GET /healthz", "").await.status, 200);
    let mut begun = world.connect().await;
    begun.send(put_head("Expect: 100-continue\r\nContent-Length: 2").as_bytes()).await;
    // The request is in a handler now, which waits for its body.
    assert_eq!(begun.head().await.status, 100);
    let World { cluster, server, address } = world;
    let ending = tokio::spawn(server.shutdown(crate::world::PATIENCE));
    assert!(idle.is_closed().await);
    begun.send(b"{}").await;
    let reply = begun.reply(false).await;
    assert_eq!((reply.status, reply.header("connection")), (201, Some("close")));
    assert!(begun.is_closed().await);
    ending.await.unwrap();
    assert!(tokio::net::TcpStream::connect(address).await.is_err(), "the listener is closed");
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_grace_period_ends() {
    let world = World::start().await;
    let mut begun = world.connect().await;
    begun.send(put_head("Expect: 100-continue\r\nContent-Length: 2").as_bytes()).await;
    assert_eq!(begun.head().await.status, 100);
    let World { cluster, server, .. } = world;
    server.shutdown(SHORT).await;
    assert!(begun.is_closed().await);
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_open_is_shown_beside_its_limit() {
    let limits = Limits { body_time: PATIENCE, bodies_bytes_max: 1 << 20, ..Limits::default() };
    let world = World::with(limits).await;
    let mut idle = world.connect().await;
    assert_eq!(idle.ask("GET /healthz", "").await.status, 200);
    let mut slow = world.connect().await;
    slow.send(format!("{}{{", put_head("Content-Length: 1000")).as_bytes()).await;
    // The third asks for the metrics.
    until_shown(&world, &["cortado_http_connections 3", "cortado_http_body_bytes 1000"]).await;
    let limits = ["cortado_http_connections_limit 4096", "cortado_http_body_limit_bytes 1048576"];
    until_shown(&world, &limits).await;
    drop(slow);
    until_shown(&world, &["cortado_http_connections 2", "cortado_http_body_bytes 0"]).await;
    assert_eq!(idle.ask("GET /healthz", "").await.status, 200);
    world.end().await;
}

/// Waits until one answer of `/metrics` holds all of `lines`.
async fn until_shown(world: &World, lines: &[&str]) {
    let shown = async {
        loop {
            let text = world.get("/metrics").await.text();
            if lines.iter().all(|line| text.lines().any(|shown| shown == *line)) {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, shown).await.unwrap_or_else(|_| panic!("not {lines:?}"));
}
