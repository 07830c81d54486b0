//! Bytes that are no good requests: refused whole, with nothing done, and the server goes on.

use crate::world::{Reply, World, put_head, request};

/// The answer to some raw bytes, and whether the connection was closed behind it.
async fn raw(world: &World, bytes: &[u8]) -> (Reply, bool) {
    let mut client = world.connect().await;
    client.send(bytes).await;
    let reply = client.reply(false).await;
    let closed = reply.header("connection") == Some("close") && client.is_closed().await;
    (reply, closed)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_can_be_read_in_two_ways_are_refused() {
    let world = World::start().await;
    let put = |headers: &str, body: &str| format!("{}{body}", put_head(headers));
    let cases = [
        (put("Content-Length: 2\r\nTransfer-Encoding: chunked", "0\r\n\r\n"), 400),
        (put("Transfer-Encoding: chunked\r\nContent-Length: 2", "0\r\n\r\n"), 400),
        (put("Content-Length: 2\r\nContent-Length: 3", "{}x"), 400),
        (put("Content-Length: 2\r\nContent-Length: 2", "{}"), 400),
        (put("Content-Length: 2, 2", "{}"), 400),
        (put("Transfer-Encoding: chunked, identity", "2\r\n{}\r\n0\r\n\r\n"), 501),
        (put("Content-Length: +2", "{}"), 400),
        (put("Content-Length: -2", "{}"), 400),
        (put("Content-Length: 0x2", "{}"), 400),
        (put("Content-Length: 2 2", "{}"), 400),
        (put("Content-Length: 18446744073709551618", "{}"), 400),
        (put("Transfer-Encoding: gzip", "{}"), 501),
        (put("Transfer-Encoding: chunked, gzip", "{}"), 501),
        (put("Transfer-Encoding: chunked", "fffffffffffffffff\r\n"), 400),
        (put("Transfer-Encoding: chunked", "zz\r\n{}\r\n0\r\n\r\n"), 400),
        (put("Transfer-Encoding: chunked", "2\r\n{}0\r\n\r\n"), 400),
        (
            put(&format!("Transfer-Encoding: chunked\r\n\r\n2;{}\r\n{{}}", "x".repeat(5_000)), ""),
            400,
        ),
        (put("X: a\nY: b\r\nContent-Length: 2", "{}"), 400),
        ("GET / HTTP/1.1\nHost: localhost\n\n".to_owned(), 400),
    ];
    for (text, status) in cases {
        let (reply, closed) = raw(&world, text.as_bytes()).await;
        assert_eq!((reply.status, closed), (status, true), "{text:?} {reply:?}");
        assert!(!reply.code().is_empty());
    }
    let parser = [
        "PUT /v1/music/fan/x HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\nX: a\r\n folded\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : localhost\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\nX: a\rY: b\r\n\r\n",
        "PUT / HTTP/1.1\r\nHost: localhost\r\nContent-Length : 2\r\n\r\n{}",
        "GET / HTTP/1.1\r\nHost: local\0host\r\n\r\n",
        "GET / HTTP/9.9\r\nHost: localhost\r\n\r\n",
        "GET /\r\n\r\n",
        "GET /a b HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /\x01 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "nonsense\r\n\r\n",
    ];
    for text in parser {
        let (reply, closed) = raw(&world, text.as_bytes()).await;
        assert_eq!((reply.status, closed), (400, true), "{text:?} {reply:?}");
    }
    world.get("/v1/music/fan/x").await.refused(404, "no_such_document");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_for_another_host_are_refused() {
    let world = World::start().await;
    let get = async |line: &str, headers: &str| {
        raw(&world, format!("{line}\r\n{headers}\r\n").as_bytes()).await.0
    };
    get("GET / HTTP/1.1", "").await.refused(400, "bad_request");
    get("GET / HTTP/1.1", "Host: a\r\nHost: a\r\n").await.refused(400, "bad_header");
    for malformed in ["local host", "a/b", "user@localhost", "http://localhost"] {
        let host = format!("Host: {malformed}\r\n");
        get("GET / HTTP/1.1", &host).await.refused(400, "bad_request");
    }
    get("GET / HTTP/1.1", "Host: evil.example\r\n").await.refused(421, "wrong_host");
    get("GET http://evil.example/ HTTP/1.1", "Host: localhost\r\n")
        .await
        .refused(421, "wrong_host");
    get("GET http://evil.example/ HTTP/1.1", "Host: evil.example\r\n")
        .await
        .refused(421, "wrong_host");
    get("GET http://localhost/nothing HTTP/1.1", "Host: localhost\r\n")
        .await
        .refused(404, "no_such_route");
    for host in ["localhost", "LOCALHOST:99", "127.0.0.1:7171", "[::1]:7171", "127.9.9.9"] {
        assert_eq!(
            get("GET /healthz HTTP/1.1", &format!("Host: {host}\r\n")).await.status,
            200,
            "{host}"
        );
    }
    assert_eq!(get("GET /healthz HTTP/1.0", "").await.status, 200);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn methods_and_targets_that_mean_nothing_are_refused() {
    let world = World::start().await;
    let ask = async |line: &str| {
        raw(&world, format!("{line}\r\nHost: localhost\r\n\r\n").as_bytes()).await.0
    };
    ask("BREW /v1/music/fan/x HTTP/1.1").await.refused(501, "unknown_method");
    ask("get / HTTP/1.1").await.refused(501, "unknown_method");
    ask("TRACE / HTTP/1.1").await.refused(405, "method_not_allowed");
    let connect = ask("CONNECT localhost:80 HTTP/1.1").await;
    connect.refused(405, "method_not_allowed");
    assert!(connect.header("allow").is_some());
    let post = ask("POST /v1/music/fan/x HTTP/1.1").await;
    post.not_done(405, "method_not_allowed");
    assert_eq!(post.header("allow"), Some("GET, HEAD, PUT, PATCH, DELETE, OPTIONS"));
    // Where only the last part of the key is missing, POST makes it.
    for (many, allow, methods) in [
        ("/v1/music/fan", "GET, HEAD", ["PUT", "PATCH", "DELETE", "POST"].as_slice()),
        ("/v1/music/song/Cher", "GET, HEAD", &["PUT", "PATCH", "DELETE", "POST"]),
        ("/v1/music/album/Cher", "GET, HEAD, POST", &["PUT", "PATCH", "DELETE"]),
        ("/v1/music/song/Cher/Believe", "GET, HEAD, POST", &["PUT", "PATCH", "DELETE"]),
    ] {
        for method in methods {
            let refused = ask(&format!("{method} {many} HTTP/1.1")).await;
            refused.not_done(405, "method_not_allowed");
            assert_eq!(refused.header("allow"), Some(allow), "{method} {many}");
            let detail = refused.json()["detail"].as_str().unwrap().to_owned();
            assert!(detail.contains("PUT a document"), "{detail}");
        }
        let options = ask(&format!("OPTIONS {many} HTTP/1.1")).await;
        let want = format!("{allow}, OPTIONS");
        assert_eq!((options.status, options.header("allow")), (204, Some(want.as_str())));
    }
    assert_eq!(ask("OPTIONS * HTTP/1.1").await.status, 204);
    ask("GET /v1/music/fan/x#y HTTP/1.1").await.refused(400, "bad_request");
    ask(&format!("GET /{} HTTP/1.1", "x".repeat(9_000))).await.refused(414, "uri_too_long");
    ask(&format!("GET /?{} HTTP/1.1", "x".repeat(8_191))).await.refused(414, "uri_too_long");
    let utf8 =
        raw(&world, "GET /v1/music/fan/é HTTP/1.1\r\nHost: localhost\r\n\r\n".as_bytes()).await.0;
    assert_eq!(utf8.status, 400, "{utf8:?}");
    let upgrade =
        ask("GET /healthz HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\
         HTTP2-Settings: AAA")
        .await;
    assert_eq!(upgrade.status, 200);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heads_that_are_too_large_are_refused() {
    let world = World::start().await;
    let with = async |headers: String| {
        raw(&world, format!("GET /healthz HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n").as_bytes())
            .await
    };
    let lines = |count: usize| (0..count).map(|n| format!("X-{n}: y\r\n")).collect::<String>();
    assert_eq!(with(lines(99)).await.0.status, 200);
    with(lines(100)).await.0.refused(431, "headers_too_large");
    with(format!("X: {}\r\n", "y".repeat(32 << 10))).await.0.refused(431, "headers_too_large");
    let (reply, closed) = with(format!("X: {}\r\n", "y".repeat(70 << 10))).await;
    reply.refused(431, "headers_too_large");
    assert!(closed);
    for bytes in [40 << 10, 70 << 10, 1 << 20] {
        let uri = format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "x".repeat(bytes));
        raw(&world, uri.as_bytes()).await.0.refused(414, "uri_too_long");
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_are_refused_before_they_are_read() {
    let world = World::start().await;
    let put = "PUT /v1/music/fan/x HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json";
    let too_long = format!("{put}\r\nExpect: 100-continue\r\nContent-Length: 8388609\r\n\r\n");
    let (reply, closed) = raw(&world, too_long.as_bytes()).await;
    reply.not_done(413, "body_too_large");
    assert!(closed, "the server does not wait for the body");
    let other = format!("{put}\r\nExpect: miracles\r\nContent-Length: 2\r\n\r\n");
    raw(&world, other.as_bytes()).await.0.not_done(417, "expectation_failed");

    let mut client = world.connect().await;
    client
        .send(format!("{put}\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n").as_bytes())
        .await;
    assert_eq!(client.head().await.status, 100);
    client.send(b"{}").await;
    assert_eq!(client.reply(false).await.status, 201);

    let typed = |kind: &str| format!("PUT /v1/music/fan/y\n{kind}");
    for kind in
        ["X: y", "Content-Type: text/plain", "Content-Type: application/json; charset=latin1"]
    {
        world.ask(&typed(kind), "{}").await.not_done(415, "unsupported_media_type");
    }
    let coded = "Content-Type: application/json\nContent-Encoding: gzip";
    world.ask(&typed(coded), "{}").await.not_done(415, "unsupported_coding");
    world.ask(&typed("Content-Type: application/json"), "").await.not_done(400, "missing_body");
    world.ask("GET /healthz", "{}").await.refused(400, "unexpected_body");
    world.ask("HEAD /healthz", "{}").await;
    world.ask("DELETE /v1/music/fan/y", "{}").await.not_done(400, "unexpected_body");
    world.get("/v1/music/fan/y").await.refused(404, "no_such_document");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chunked_bodies_are_read_up_to_the_limit() {
    let world = World::start().await;
    let head = put_head("Transfer-Encoding: chunked");
    let whole = format!("{head}1\r\n{{\r\n6;x=y\r\n\"n\":12\r\n1\r\n}}\r\n0\r\nTrailer: x\r\n\r\n");
    let (reply, _) = raw(&world, whole.as_bytes()).await;
    assert_eq!(reply.status, 201, "{reply:?}");
    assert_eq!(world.get("/v1/music/fan/x").await.text(), r#"{"n":12}"#);

    let mut client = world.connect().await;
    client.send(head.as_bytes()).await;
    let chunk = format!("100000\r\n{}\r\n", " ".repeat(1 << 20));
    for _ in 0..8 {
        client.send(chunk.as_bytes()).await;
    }
    client.send(b"1\r\n \r\n").await;
    client.reply(false).await.not_done(413, "body_too_large");

    let (reply, _) = raw(&world, format!("{head}0\r\n\r\n").as_bytes()).await;
    reply.not_done(400, "missing_body");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_of_exactly_the_limit_is_taken() {
    const BODY_BYTES_MAX: usize = 8 << 20;
    let world = World::start().await;
    let put = r#"{"operations":[{"op":"put","table":"fan","key":["x"],"value":{}}]}"#;
    let body = format!("{put}{}", " ".repeat(BODY_BYTES_MAX - put.len()));
    assert_eq!(world.post("/v1/music:transact", &body).await.status, 200);
    let declared = put_head(&format!("Content-Length: {}", BODY_BYTES_MAX + 1));
    raw(&world, declared.as_bytes()).await.0.not_done(413, "body_too_large");

    let head = "POST /v1/music:transact HTTP/1.1\r\nHost: localhost\r\n\
                Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut client = world.connect().await;
    client.send(format!("{head}{BODY_BYTES_MAX:x}\r\n{body}\r\n0\r\n\r\n").as_bytes()).await;
    assert_eq!(client.reply(false).await.status, 200);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_are_bounded_and_strict() {
    let world = World::start().await;
    let put = async |body: &str| world.put("/v1/music/fan/x", body).await;
    let value = |bytes: usize| format!("{{\"x\":\"{}\"}}", "y".repeat(bytes - 8));
    assert_eq!(put(&value(1 << 20)).await.status, 201);
    put(&value((1 << 20) + 1)).await.not_done(413, "document_too_large");
    for text in [
        "{",
        "{}{}",
        "{'a':1}",
        "{\"a\":NaN}",
        "{\"a\":1,}",
        "// x\n{}",
        "{\"a\":1,\"\\u0061\":2}",
        "\u{feff}{}",
        "{\"a\":\"\\ud800\"}",
        " ",
    ] {
        let refused = put(text).await;
        refused.not_done(400, "malformed_json");
        assert!(refused.json()["offset"].is_u64(), "{text}");
    }
    for text in ["[]", "\"x\"", "null", "1"] {
        put(text).await.not_done(422, "not_an_object");
    }
    for text in ["{\"a\":1e400}", "{\"a\":1e-400}", "{\"a\\u0000\":1}"] {
        put(text).await.not_done(422, "unacceptable_json");
    }
    let deep = |depth: usize| format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
    assert_eq!(put(&deep(64)).await.status, 200);
    put(&deep(65)).await.not_done(400, "malformed_json");
    put(&"[".repeat(1_000_000)).await.not_done(400, "malformed_json");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_ends_early_changes_nothing() {
    let world = World::start().await;
    let mut client = world.connect().await;
    client.send(format!("{}{{}}", put_head("Content-Length: 20")).as_bytes()).await;
    client.finish().await;
    client.reply(false).await.not_done(400, "incomplete_body");
    assert!(client.is_closed().await);
    for chunks in ["2\r\n{}\r\n", "2\r\n{}\r\n0\r\n", "2\r\n{}", "2\r\n{"] {
        let mut client = world.connect().await;
        client.send((put_head("Transfer-Encoding: chunked") + chunks).as_bytes()).await;
        client.finish().await;
        client.reply(false).await.not_done(400, "incomplete_body");
    }
    world.get("/v1/music/fan/x").await.refused(404, "no_such_document");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pipelined_requests_are_answered_in_order() {
    let world = World::start().await;
    let mut client = world.connect().await;
    let mut text = Vec::new();
    for n in 0..500 {
        text.extend(request(
            "PUT /v1/music/fan/x\nContent-Type: application/json",
            &format!("{{\"n\":{n}}}"),
        ));
        text.extend(request("GET /v1/music/fan/x", ""));
    }
    let sent = async { client.send(&text).await };
    sent.await;
    for n in 0..500 {
        assert!(client.reply(false).await.status < 300);
        assert_eq!(client.reply(false).await.text(), format!("{{\"n\":{n}}}"));
    }
    client.send(b"garbage garbage garbage\r\n\r\n").await;
    assert_eq!(client.reply(false).await.status, 400);
    assert!(client.is_closed().await);
    world.end().await;
}

/// What breaks the rules behind a request that runs neither takes its answer away nor stands for
/// it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_is_answered_whatever_comes_behind_it() {
    let world = World::start().await;
    let mut client = world.connect().await;
    let smuggled = "GET / HTTP/1.1\nHost: localhost\n\n";
    let text = put_head("Content-Length: 2") + "{}" + smuggled;
    client.send(text.as_bytes()).await;
    assert_eq!(client.reply(false).await.status, 201);
    client.reply(false).await.refused(400, "bad_request");
    assert!(client.is_closed().await);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn extra_bytes_are_the_next_request() {
    let world = World::start().await;
    let mut client = world.connect().await;
    let head = put_head("Content-Length: 2");
    client.send(format!("{head}{{}}{{}}\r\n\r\n").as_bytes()).await;
    assert_eq!(client.reply(false).await.status, 201);
    assert_eq!(client.reply(false).await.status, 400);
    assert!(client.is_closed().await);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_input_is_repeated_to_the_client() {
    let world = World::start().await;
    for head in [
        "GET /SECRET",
        "GET /v1/SECRET/t/a",
        "GET /v1/music/fan/SECRET%zz",
        "GET /v1/music/fan/a?SECRET=1",
        "GET /v1/music/fan?cursor=SECRET",
        "GET /v1/music/fan/a\nIf-Match: SECRET",
        "GET /v1/music/fan/a\nCortado-Session: SECRET",
        "GET /v1/music/fan/a\nCortado-SECRET: 1",
        "GET /v1/music/fan/a\nHost: SECRET",
        "SECRET /",
    ] {
        let reply = world.ask(head, "").await;
        assert!(reply.status >= 400, "{head}");
        let all = format!("{:?} {}", reply.headers, reply.text());
        assert!(!all.contains("SECRET") && !all.contains("secret"), "{head} {all}");
    }
    for body in [r#"{"SECRET":}"#, r#"{"a":1e400,"b":"SECRET"}"#, "SECRET"] {
        let reply = world.put("/v1/music/fan/a", body).await;
        assert!(reply.status >= 400 && !reply.text().contains("SECRET"), "{body}");
        let reply = world.post("/v1/music:transact", body).await;
        assert!(reply.status >= 400 && !reply.text().contains("SECRET"), "{body}");
    }
    world.end().await;
}
