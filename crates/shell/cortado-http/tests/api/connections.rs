//! Connections end when they should, and not before.

use crate::world::{Client, PATIENCE, Reply, World, put_head, request};
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

/// A connection on which a request runs until it is dropped.
async fn busy(world: &World) -> Client {
    let mut client = world.connect().await;
    client.send(put_head("Expect: 100-continue\r\nContent-Length: 2").as_bytes()).await;
    assert_eq!(client.head().await.status, 100);
    client
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_too_many_is_told_to_come_back() {
    let world = World::with(Limits { connections_max: 4, ..Limits::default() }).await;
    let mut held = [busy(&world).await, busy(&world).await, busy(&world).await, busy(&world).await];
    let mut refused = world.connect().await;
    refused.reply(false).await.refused(503, "overloaded");
    assert!(refused.is_closed().await);
    held[0].send(b"{}").await;
    assert_eq!(held[0].reply(false).await.status, 201, "the others are served");
    let metrics = held[0].ask("GET /metrics", "").await.text();
    assert!(metrics.lines().any(|line| line == "cortado_http_connections_refused_total 1"));
    drop(held);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_connection_makes_room_for_a_new_one() {
    let world = World::with(Limits { connections_max: 4, ..Limits::default() }).await;
    let mut busy = busy(&world).await;
    let mut idle = [served(&world).await, served(&world).await, served(&world).await];
    // The second has been idle for longest by some milliseconds, once earlier ones have ended.
    let waits = "GET /v1/music:changes?partition=0&wait=20";
    assert_eq!(idle[0].ask(waits, "").await.status, 200);
    let ended = async {
        while !idle[2].ask("GET /metrics", "").await.text().contains("cortado_http_connections 4\n")
        {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, ended).await.expect("only these are open");
    let mut new = world.connect().await;
    assert_eq!(new.ask("GET /healthz", "").await.status, 200);
    assert!(idle[1].is_closed().await, "without a word");
    assert_eq!(idle[0].ask("GET /healthz", "").await.status, 200);
    busy.send(b"{}").await;
    assert_eq!(busy.reply(false).await.status, 201);
    // Silent ones are idle, too: they keep no other client out.
    for _ in 0..20 {
        let _silent = world.connect().await;
        assert_eq!(world.get("/healthz").await.status, 200);
    }
    world.end().await;
}

/// What a client hears that has sent `text` to the last byte before it reads.
async fn sends_before_it_reads(world: &World, text: &[u8]) -> (Reply, Client) {
    let mut client = world.connect().await;
    client.send(text).await;
    (client.reply(false).await, client)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_upload_hears_its_status_and_the_connection_goes_on() {
    let world = World::start().await;
    let json = "Content-Type: application/json";
    let large = format!("X: {}", "y".repeat(33 << 10));
    let long = format!("PUT /v1/music/fan/{}", "x".repeat(9_000));
    let refusals = [
        (format!("PUT /v1/music/none/x\n{json}"), 404, "no_such_table"),
        (format!("PUT /v1/none/fan/x\n{json}"), 404, "no_such_database"),
        (format!("PUT /nothing\n{json}"), 404, "no_such_route"),
        ("PUT /v1/music/fan/x\nContent-Type: text/plain".to_owned(), 415, "unsupported_media_type"),
        (format!("PUT /v1/music/fan/x\n{json}\nIf-Match: bad"), 400, "bad_etag"),
        (format!("PUT /v1/music/fan/x?a=1\n{json}"), 400, "unknown_parameter"),
        (format!("PUT /v1/music/fan\n{json}"), 405, "method_not_allowed"),
        (format!("PUT /v1/music/fan/x\n{json}\nHost: evil.example"), 421, "wrong_host"),
        (format!("PUT /v1/music/fan/x\n{json}\nAuthorization: x"), 400, "not_supported"),
        (format!("PUT /v1/music/fan/x\n{json}\n{large}"), 431, "headers_too_large"),
        (format!("{long}\n{json}"), 414, "uri_too_long"),
        (format!("BREW /v1/music/fan/x\n{json}"), 501, "unknown_method"),
        ("GET /v1/music/fan/x".to_owned(), 400, "unexpected_body"),
        ("DELETE /v1/music/fan/x".to_owned(), 400, "unexpected_body"),
    ];
    for body in ["{}".to_owned(), " ".repeat(6 << 20)] {
        for (head, status, code) in &refusals {
            let (reply, mut client) = sends_before_it_reads(&world, &request(head, &body)).await;
            reply.refused(*status, code);
            let next = client.ask("GET /healthz", "").await;
            assert_eq!((next.status, reply.header("connection")), (200, None), "{head}");
        }
    }
    world.get("/v1/music/fan/x").await.refused(404, "no_such_document");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_that_is_too_large_hears_so_though_it_does_not_listen() {
    let world = World::start().await;
    let put = "PUT /v1/music/fan/x\nContent-Type: application/json";
    let too_large = " ".repeat(20 << 20);
    let (reply, mut client) = sends_before_it_reads(&world, &request(put, &too_large)).await;
    reply.not_done(413, "body_too_large");
    assert!(reply.header("connection") == Some("close") && client.is_closed().await);
    let chunk = format!("{:x}\r\n{too_large}\r\n0\r\n\r\n", too_large.len());
    let chunked = put_head("Transfer-Encoding: chunked") + &chunk;
    let (reply, mut client) = sends_before_it_reads(&world, chunked.as_bytes()).await;
    reply.not_done(413, "body_too_large");
    assert!(reply.header("connection") == Some("close") && client.is_closed().await);
    // What breaks the rules is not read as a body, but it is read.
    let length = too_large.len();
    let twice = put_head(&format!("Content-Length: {length}\r\nContent-Length: {length}"));
    let (reply, _) = sends_before_it_reads(&world, (twice + &too_large).as_bytes()).await;
    reply.not_done(400, "bad_request");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_ends_its_side_behind_a_request_gets_the_answer() {
    let world = World::start().await;
    let put = |n: u32| {
        request("PUT /v1/music/fan/x\nContent-Type: application/json", &format!("{{\"n\":{n}}}"))
    };
    let mut client = world.connect().await;
    client.send(&[put(1), put(2), request("GET /v1/music/fan/x", "")].concat()).await;
    client.finish().await;
    assert_eq!(client.reply(false).await.status, 201);
    assert_eq!(client.reply(false).await.status, 200);
    assert_eq!(client.reply(false).await.text(), r#"{"n":2}"#);
    assert!(client.is_closed().await);
    let mut client = world.connect().await;
    client.send(&request("GET /v1/music:changes?partition=0&wait=0", "")).await;
    client.finish().await;
    assert_eq!(client.reply(false).await.status, 200);
    assert!(client.is_closed().await);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_takes_nothing_is_cut_off() {
    let world = World::with(Limits { stall_time: SHORT, ..Limits::default() }).await;
    let value = format!("{{\"x\":\"{}\"}}", "y".repeat((1 << 20) - 100));
    assert_eq!(world.put("/v1/music/fan/x", &value).await.status, 201);
    let key = r#"{"table":"fan","key":["x"]}"#;
    let body = format!("{{\"keys\":[{}]}}", vec![key; 32].join(","));
    let mut client = world.connect().await;
    let batch = "POST /v1/music:batchGet\nContent-Type: application/json";
    client.send(&request(batch, &body)).await;
    assert_eq!(client.head().await.status, 200);
    // It is 32 MiB long, and not what the sockets take.
    until_shown(&world, |metrics| answer_bytes(metrics) < 1_000_000).await;
    world.end().await;
}

/// What answers that are being sent hold.
fn answer_bytes(metrics: &str) -> usize {
    let name = "cortado_http_answer_bytes ";
    let line = metrics.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap().parse().unwrap()
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
    let reply = taken.reply(false).await;
    assert_eq!(reply.status, 201, "{reply:?}");
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
    let World { cluster, server, address, .. } = world;
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
    let has = |lines: &'static [&str]| {
        move |shown: &str| lines.iter().all(|line| shown.lines().any(|shown| shown == *line))
    };
    let held = has(&["cortado_http_connections 3", "cortado_http_body_bytes 1000"]);
    until_shown(&world, held).await;
    let limits = has(&[
        "cortado_http_connections_limit 4096",
        "cortado_http_body_limit_bytes 1048576",
        "cortado_http_answer_limit_bytes 536870912",
    ]);
    until_shown(&world, limits).await;
    drop(slow);
    let released = has(&["cortado_http_connections 2", "cortado_http_body_bytes 0"]);
    until_shown(&world, released).await;
    assert_eq!(idle.ask("GET /healthz", "").await.status, 200);
    world.end().await;
}

/// Waits until an answer of `/metrics` is as wanted.
async fn until_shown(world: &World, mut wanted: impl FnMut(&str) -> bool) {
    let shown = async {
        while !wanted(&world.get("/metrics").await.text()) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, shown).await.expect("it is shown in the end");
}
