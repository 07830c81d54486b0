//! Requests that are no good HTTP.

use super::{World, bare, with};
use crate::harness::http::read_answer;
use std::io::{Read, Write};
use std::thread;

/// The head of a write, with header lines that say how its body comes.
fn put(headers: &str) -> String {
    let lines = headers.replace('\n', "\r\n");
    format!(
        "PUT /v1/bad/t/x HTTP/1.1\r\nHost: localhost\r\n\
         Content-Type: application/json\r\n{lines}\r\n\r\n"
    )
}

#[test]
fn framing_that_can_be_read_in_two_ways_is_refused() {
    let world = World::start();
    let bad = |headers: &str, body: &str, status, code| {
        world.check_closed(put(headers) + body, status, code);
    };
    bad("Content-Length: 2\nTransfer-Encoding: chunked", "0\r\n\r\n", 400, "bad_request");
    bad("Transfer-Encoding: chunked\nContent-Length: 2", "0\r\n\r\n", 400, "bad_request");
    bad("Content-Length: 2\nContent-Length: 3", "{} ", 400, "bad_request");
    bad("Content-Length: 2\nContent-Length: 2", "{}", 400, "bad_request");
    for length in ["+2", "-2", "0x2", "2 2", "", "two", "2,2", "2, 2", "18446744073709551618"] {
        bad(&format!("Content-Length: {length}"), "{}", 400, "bad_request");
    }
    for coding in
        ["gzip", "identity", "chunked, gzip", "gzip, chunked", "chunked, identity", "xchunked"]
    {
        bad(&format!("Transfer-Encoding: {coding}"), "0\r\n\r\n", 501, "unknown_transfer_coding");
    }
    let long = format!("1;{}\r\n{{", "x".repeat(70_000));
    for chunks in
        ["fffffffffffffffff\r\n", "zz\r\n", "-1\r\n", "2\r\n{}0\r\n\r\n", "2\n{}\r\n", &long]
    {
        bad("Transfer-Encoding: chunked", chunks, 400, "incomplete_body");
    }
    world.check_closed("GET /healthz HTTP/1.1\nHost: localhost\n\n", 400, "bad_request");
    world.end();
}

#[test]
fn malformed_heads_are_refused() {
    let world = World::start();
    for head in [
        "PUT /v1/bad/t/x HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: a\r\n folded\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX : a\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: a\rb\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: a\0b\r\n\r\n",
        "GET /healthz HTTP/9.9\r\nHost: localhost\r\n\r\n",
        "GET /healthz\r\n\r\n",
        "GET /heal\x01thz HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /heal thz HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n",
        "\0\0\0\0\r\n\r\n",
    ] {
        world.check_closed(head, 400, "");
    }
    let lines = |count: usize| (0..count).map(|n| format!("X-{n}: y\n")).collect::<String>();
    let large = "headers_too_large";
    world.check_closed(bare("GET /healthz", &lines(100)), 431, large);
    world.check_closed(bare("GET /healthz", &format!("X: {}", "y".repeat(70 << 10))), 431, large);
    world.check(
        bare("GET /healthz", &format!("X: {}", "y".repeat(33 << 10))),
        431,
        "headers_too_large",
    );
    world.check(bare(&format!("GET /{}", "x".repeat(9_000)), ""), 414, "uri_too_long");
    world.check(bare("GET /v1/bad/t/\u{e9}", ""), 400, "bad_path");
    world.end();
}

#[test]
fn requests_for_others_and_methods_that_mean_nothing_are_refused() {
    let world = World::start();
    let host = |hosts: &str| format!("GET /healthz HTTP/1.1\r\n{hosts}\r\n");
    world.check(host(""), 400, "bad_request");
    world.check(host("Host: localhost\r\nHost: localhost\r\n"), 400, "bad_header");
    world.check(host("Host: rebound.example:7171\r\n"), 421, "wrong_host");
    world.check(host("Host: localhost.example\r\n"), 421, "wrong_host");
    world.check(bare("GET http://other.example/healthz", ""), 421, "wrong_host");
    world.check(bare("BREW /v1/bad/t/x", ""), 501, "unknown_method");
    world.check(bare("put /v1/bad/t/x", ""), 501, "unknown_method");
    for line in [
        "TRACE /healthz",
        "POST /v1/bad/t/x",
        "PUT /healthz",
        "GET /v1/bad:transact",
        "CONNECT localhost:80",
    ] {
        let answer = world.check(bare(line, ""), 405, "method_not_allowed");
        assert!(answer.header("allow").is_some(), "{line}");
    }
    let collection = world.check(with("PUT /v1/bad/pair/a", "{}"), 405, "method_not_allowed");
    assert_eq!(collection.header("allow"), Some("GET, HEAD, POST"));
    for line in ["GET /", "GET /healthz", "OPTIONS *", "OPTIONS /v1/bad/t/x"] {
        let headers = "X-Forwarded-For: 10.0.0.1\nX-Forwarded-User: root\nUpgrade: h2c\n\
            Connection: Upgrade\nOrigin: http://other.example\nRange: bytes=0-1";
        let status = if line.starts_with("GET") { 200 } else { 204 };
        let answer = world.check(bare(line, headers), status, "");
        let mut names = answer.headers.iter().map(|(name, _)| name.as_str());
        assert!(!names.any(|name| name.starts_with("access-control")), "{answer:?}");
    }
    world.end();
}

#[test]
fn bodies_that_do_not_belong_are_refused() {
    let world = World::start();
    let too_long = put("Content-Length: 8388609");
    world.check_closed(&too_long, 413, "body_too_large");
    let expecting = put("Expect: 100-continue\nContent-Length: 8388609");
    world.check_closed(&expecting, 413, "body_too_large");
    world.check_closed(put("Expect: miracles\nContent-Length: 2"), 417, "expectation_failed");
    world.check(put("Content-Encoding: gzip\nContent-Length: 2") + "{}", 415, "unsupported_coding");
    for media_type in
        ["text/plain", "application/json; charset=utf-16", "application/xml", "json", ""]
    {
        let request = super::with_type("PUT /v1/bad/t/x", media_type, "{}");
        world.check(request, 415, "unsupported_media_type");
    }
    let untyped = "PUT /v1/bad/t/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}";
    world.check(untyped, 415, "unsupported_media_type");
    world.check(put("Content-Length: 0"), 400, "missing_body");
    world.check(with("POST /v1/bad:transact", ""), 400, "missing_body");
    world.check(with("GET /v1/bad/t/kept", "{}"), 400, "unexpected_body");
    world.check(with("HEAD /v1/bad/t/kept", "{}"), 400, "");
    world.check(with("DELETE /v1/bad/t/kept", "{}"), 400, "unexpected_body");
    let mut chunks = put("Transfer-Encoding: chunked").into_bytes();
    for _ in 0..8 {
        chunks.extend(format!("100000\r\n{}\r\n", " ".repeat(1 << 20)).into_bytes());
    }
    chunks.extend(b"1\r\n \r\n0\r\n\r\n");
    world.check(chunks, 413, "body_too_large");
    world.check(bare("GET /v1/bad/t/kept", "Accept: image/png"), 406, "not_acceptable");
    world.end();
}

#[test]
fn a_body_that_ends_early_is_not_a_document() {
    let world = World::start();
    let before = world.state();
    let mut connection = world.connect();
    let request = put("Content-Length: 20") + "{\"n\":2}";
    connection.get_mut().write_all(request.as_bytes()).unwrap();
    connection.get_mut().shutdown(std::net::Shutdown::Write).unwrap();
    let answer = read_answer(&mut connection, false).unwrap();
    assert_eq!((answer.status, &answer.json()["code"]), (400, &"incomplete_body".into()));
    assert_eq!(world.state(), before);
    world.end();
}

#[test]
fn thousands_of_pipelined_requests_are_answered_in_order() {
    const COUNT: usize = 10_000;
    let world = World::start();
    let mut connection = world.connect();
    let mut writing = connection.get_ref().try_clone().unwrap();
    let writer = thread::spawn(move || {
        for n in 0..COUNT {
            let path = if n % 2 == 0 { "/v1/bad/t/kept" } else { "/v1/bad/t/none" };
            writing.write_all(bare(&format!("GET {path}"), "").as_bytes()).unwrap();
        }
        writing.write_all(b"x\r\n\r\n").unwrap();
    });
    for n in 0..COUNT {
        let answer = read_answer(&mut connection, false).unwrap();
        assert_eq!(answer.status, if n % 2 == 0 { 200 } else { 404 }, "request {n}");
    }
    assert_eq!(read_answer(&mut connection, false).unwrap().status, 400);
    writer.join().unwrap();
    world.end();
}

#[test]
fn refused_requests_do_not_fill_the_log() {
    /// As many bodies of the largest size as there is room for.
    const HELD: usize = 64;
    const REFUSED: usize = 300;
    let world = World::start();
    let head = put("Content-Length: 8388608") + "{";
    let begin = || {
        let mut connection = world.connect();
        connection.get_mut().write_all(head.as_bytes()).unwrap();
        connection
    };
    let held: Vec<_> = (0..HELD).map(|_| begin()).collect();
    let full = "cortado_http_body_bytes 536870912";
    let shown = |line: &str| {
        let metrics = world.server.http().get("/metrics").body;
        String::from_utf8_lossy(&metrics).lines().any(|shown| shown == line)
    };
    world.server.wait_until("full", |_| shown(full));
    for _ in 0..REFUSED {
        assert_eq!(read_answer(&mut begin(), false).unwrap().status, 503);
    }
    drop(held);
    assert!(shown(&format!(
        "cortado_http_requests_total{{route=\"put_document\",class=\"5xx\"}} {REFUSED}"
    )));
    let lines = world.server.said().matches("request failed").count();
    // One a second, if it takes that long.
    assert!((1..REFUSED / 2).contains(&lines), "{lines} lines");
    world.end();
}

/// A frame of HTTP/2.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

#[test]
fn floods_of_frames_end_their_own_connection_only() {
    const HEADERS: u8 = 1;
    const RST_STREAM: u8 = 3;
    const SETTINGS: u8 = 4;
    const GOAWAY: u8 = 7;
    const CONTINUATION: u8 = 9;
    const END_STREAM: u8 = 1;
    const END_HEADERS: u8 = 4;
    let world = World::start();
    // GET http://localhost/ in HPACK: three entries of the static table and a literal authority.
    let head = [b"\x82\x86\x84\x41\x09".as_slice(), b"localhost"].concat();
    let start = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(SETTINGS, 0, 0, b"")].concat();
    let rapid_reset = (0..20_000_u32).flat_map(|n| {
        let stream = 2 * n + 1;
        let open = frame(HEADERS, END_STREAM | END_HEADERS, stream, &head);
        [open, frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())].concat()
    });
    let continuations = std::iter::once(frame(HEADERS, END_STREAM, 1, &head))
        .chain((0..20_000).map(|_| frame(CONTINUATION, 0, 1, b"\x00\x01x\x01y")))
        .flatten();
    let garbage = std::iter::repeat_n(0xff_u8, 100_000);
    let floods: [Vec<u8>; 3] = [rapid_reset.collect(), continuations.collect(), garbage.collect()];
    for flood in floods {
        let mut connection = world.connect();
        let mut writing = connection.get_ref().try_clone().unwrap();
        let bytes = [start.clone(), flood].concat();
        let writer = thread::spawn(move || {
            // Ends with an error when the server has had enough.
            let _ = writing.write_all(&bytes);
        });
        let mut answered = Vec::new();
        let _ = connection.read_to_end(&mut answered);
        writer.join().unwrap();
        assert!(frames(&answered).contains(&GOAWAY), "{:?}", frames(&answered));
        assert_eq!(world.server.http().get("/healthz").status, 200);
    }
    world.end();
}

/// The kinds of the frames in `bytes`.
fn frames(mut bytes: &[u8]) -> Vec<u8> {
    let mut kinds = Vec::new();
    while let [a, b, c, kind, _, _, _, _, _, rest @ ..] = bytes {
        kinds.push(*kind);
        let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        bytes = rest.get(length..).unwrap_or_default();
    }
    kinds
}
