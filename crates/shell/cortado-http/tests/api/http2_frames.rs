//! HTTP/2 frame by frame: what clients may do that a library does not let them do.

use crate::limits::without_room;
use crate::world::{Client, PATIENCE, World};
use cortado_http::Limits;
use std::time::Duration;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;
const NO_ERROR: u32 = 0;
const INTERNAL_ERROR: u32 = 2;
pub(crate) const CANCEL: u32 = 8;

/// Kind, flags and payload.
pub(crate) type Frame = (u8, u8, Vec<u8>);

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let [_, high, middle, low] = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&[high, middle, low, kind, flags], &stream.to_be_bytes()[..], payload].concat()
}

/// Header fields in HPACK: literals without an index, nothing compressed.
fn fields(fields: &[(&str, &str)]) -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    let field = |(name, value): &(&str, &str)| [vec![0], text(name), text(value)].concat();
    fields.iter().flat_map(field).collect()
}

/// The head of a request for `path` with a JSON body.
pub(crate) fn head(method: &str, path: &str) -> Vec<u8> {
    fields(&[
        (":method", method),
        (":scheme", "http"),
        (":authority", "localhost"),
        (":path", path),
        ("content-type", "application/json"),
    ])
}

pub(crate) fn start() -> Vec<u8> {
    [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(SETTINGS, 0, 0, b"")].concat()
}

/// Reads up to the answer to a ping; the frames of `stream` before it: kind, flags and payload.
pub(crate) async fn frames_of(client: &mut Client, stream: u32) -> Vec<Frame> {
    let all = all_frames(client).await.into_iter();
    all.filter(|(number, _)| *number == stream).map(|(_, frame)| frame).collect()
}

/// The same of all streams, each frame with the number of its stream.
async fn all_frames(client: &mut Client) -> Vec<(u32, Frame)> {
    client.send(&frame(PING, 0, 0, b"12345678")).await;
    let mut found = Vec::new();
    loop {
        let head = client.take(9).await;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let payload = client.take(length).await;
        let number = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        match (head[3], head[4]) {
            // The server pings, too.
            (PING, 1) if payload == b"12345678" => return found,
            (kind, flags) => found.push((number, (kind, flags, payload))),
        }
    }
}

/// Whether a frame is the last one of an answer.
fn is_end((kind, flags, _): &Frame) -> bool {
    [DATA, HEADERS].contains(kind) && flags & END_STREAM != 0
}

/// As [`frames_of`], until the stream has been answered.
async fn answer_of(client: &mut Client, stream: u32) -> Vec<Frame> {
    let mut found = Vec::new();
    while !found.iter().any(is_end) {
        found.extend(frames_of(client, stream).await);
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_is_reset_before_its_end_does_nothing() {
    let world = World::start().await;
    for code in [NO_ERROR, CANCEL] {
        for round in 0..20_u32 {
            let mut client = world.connect().await;
            let head = frame(HEADERS, END_HEADERS, 1, &head("PUT", "/v1/music/fan/x"));
            let body = frame(DATA, 0, 1, b"{}");
            let reset = frame(RST_STREAM, 0, 1, &code.to_be_bytes());
            client.send(&[start(), head, body].concat()).await;
            // At once, and when the server waits for more.
            for _ in 0..round % 3 {
                frames_of(&mut client, 1).await;
            }
            client.send(&reset).await;
            frames_of(&mut client, 1).await;
        }
    }
    world.get("/v1/music/fan/x").await.refused(404, "no_such_document");
    // An order without a body, which may be one.
    let mut client = world.connect().await;
    let head = frame(HEADERS, END_HEADERS, 1, &head("PUT", "/admin/v1/databases/other"));
    let reset = frame(RST_STREAM, 0, 1, &NO_ERROR.to_be_bytes());
    client.send(&[start(), head, reset].concat()).await;
    frames_of(&mut client, 1).await;
    world.get("/admin/v1/databases/other").await.refused(404, "no_such_database");
    world.end().await;
}

/// What a client may still send: of the connection, and of stream 1.
struct Windows {
    connection: u32,
    stream: u32,
}

impl Windows {
    /// Those of the protocol: the server's settings hold once they are acknowledged, which is never
    /// done here. Source: RFC 9113, sections 6.5.3 and 6.9.2.
    const fn initial() -> Windows {
        Windows { connection: 65_535, stream: 65_535 }
    }

    fn learn(&mut self, frames: &[(u32, Frame)]) {
        for (stream, (kind, _, payload)) in frames {
            let opened = || u32::from_be_bytes(payload[..].try_into().unwrap());
            match (*kind, *stream) {
                (WINDOW_UPDATE, 0) => self.connection += opened(),
                (WINDOW_UPDATE, 1) => self.stream += opened(),
                (_, _) => {}
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_upload_is_answered_whole_and_its_rest_is_read() {
    let world = World::start().await;
    let mut client = world.connect().await;
    let mut windows = Windows::initial();
    let refused = frame(HEADERS, END_HEADERS, 1, &head("PUT", "/v1/music/none/x"));
    client.send(&[start(), refused].concat()).await;
    let mut answer = Vec::new();
    while !answer.iter().any(is_end) {
        let frames = all_frames(&mut client).await;
        windows.learn(&frames);
        let of_stream = frames.into_iter().filter(|(stream, _)| *stream == 1);
        answer.extend(of_stream.map(|(_, frame)| frame));
    }
    let text: Vec<u8> = answer.iter().flat_map(|(_, _, payload)| payload.clone()).collect();
    assert!(String::from_utf8_lossy(&text).contains("no_such_table"), "{answer:?}");
    assert!(answer.iter().all(|(kind, ..)| *kind != RST_STREAM), "{answer:?}");
    // More than the window of a stream or of the connection.
    const PIECE_BYTES: u32 = 16 << 10;
    let piece = frame(DATA, 0, 1, &[b' '; PIECE_BYTES as usize]);
    let sent = async {
        for _ in 0..256 {
            while windows.connection.min(windows.stream) < PIECE_BYTES {
                let more = all_frames(&mut client).await;
                assert!(more.iter().all(|(_, (kind, ..))| *kind != RST_STREAM), "{more:?}");
                windows.learn(&more);
            }
            windows.connection -= PIECE_BYTES;
            windows.stream -= PIECE_BYTES;
            client.send(&piece).await;
        }
    };
    tokio::time::timeout(PATIENCE, sent).await.expect("the windows are opened again");
    client.send(&frame(DATA, END_STREAM, 1, b"")).await;
    let more = frames_of(&mut client, 1).await;
    assert!(more.iter().all(|(kind, ..)| *kind != RST_STREAM), "{more:?}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_body_is_no_body() {
    let world = World::start().await;
    let mut client = world.connect().await;
    let read = frame(HEADERS, END_HEADERS, 1, &head("DELETE", "/v1/music/fan/x"));
    client.send(&[start(), read].concat()).await;
    frames_of(&mut client, 1).await;
    client.send(&frame(DATA, END_STREAM, 1, b"")).await;
    let text: Vec<u8> = answer_of(&mut client, 1).await.into_iter().flat_map(|f| f.2).collect();
    assert!(String::from_utf8_lossy(&text).contains("no_such_document"));
    let length = [&head("DELETE", "/v1/music/fan/x")[..], &fields(&[("content-length", "0")])];
    client.send(&frame(HEADERS, END_HEADERS, 3, &length.concat())).await;
    frames_of(&mut client, 3).await;
    client.send(&frame(DATA, END_STREAM, 3, b"")).await;
    let text: Vec<u8> = answer_of(&mut client, 3).await.into_iter().flat_map(|f| f.2).collect();
    assert!(String::from_utf8_lossy(&text).contains("no_such_document"));
    let chunked = world.ask("DELETE /v1/music/fan/x\nTransfer-Encoding: chunked\n\n0\n", "").await;
    chunked.not_done(404, "no_such_document");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_stream_that_is_reset_leaves_its_slot_at_once() {
    let heartbeat_time = Duration::from_secs(3_600);
    let world = World::with(Limits { heartbeat_time, ..Limits::default() }).await;
    let open = |stream: u32| {
        let head = head("GET", "/v1/music:changes?partition=0&wait=60000");
        frame(HEADERS, END_HEADERS | END_STREAM, stream, &head)
    };
    let until = async |count: usize| {
        let want = format!("cortado_http_streams {count}");
        let shown = async {
            while !world.get("/metrics").await.text().lines().any(|line| line == want) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, shown).await.unwrap_or_else(|_| panic!("not {want}"));
    };
    let mut client = world.connect().await;
    client.send(&[start(), open(1), open(3)].concat()).await;
    until(2).await;
    client.send(&frame(RST_STREAM, 0, 1, &CANCEL.to_be_bytes())).await;
    until(1).await;
    drop(client);
    until(0).await;
    world.end().await;
}

/// No client takes what it has for everything; the other streams of its connection go on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_stream_that_breaks_off_is_reset_and_never_ended() {
    let (world, unread, get) = without_room(Duration::from_millis(1)).await;
    let path = get.strip_prefix("GET ").unwrap();
    let ask = |stream, path| frame(HEADERS, END_HEADERS | END_STREAM, stream, &head("GET", path));
    let mut client = world.connect().await;
    client.send(&[start(), ask(1, path)].concat()).await;
    let is_last = |(kind, flags, _): &(u8, u8, Vec<u8>)| {
        *kind == RST_STREAM || ([DATA, HEADERS].contains(kind) && flags & END_STREAM != 0)
    };
    let mut found = Vec::new();
    while !found.iter().any(is_last) {
        found.extend(frames_of(&mut client, 1).await);
    }
    let (kind, _, payload) = found.last().unwrap();
    assert_eq!((*kind, &payload[..]), (RST_STREAM, &INTERNAL_ERROR.to_be_bytes()[..]), "{found:?}");
    client.send(&ask(3, "/healthz")).await;
    assert!(answer_of(&mut client, 3).await.iter().all(|(kind, ..)| *kind != RST_STREAM));
    drop(unread);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_a_head_and_silence_are_cut_off_in_time() {
    let head_time = Duration::from_secs(1);
    let world = World::with(Limits { head_time, ..Limits::default() }).await;
    let whole = frame(HEADERS, END_HEADERS | END_STREAM, 1, &head("GET", "/healthz"));
    let open = frame(HEADERS, END_STREAM, 1, &head("GET", "/healthz"));
    let half = &whole[..whole.len() / 2];
    for behind in [b"".as_slice(), half, &open, &whole[..4]] {
        let mut client = world.connect().await;
        client.send(&[&start(), behind].concat()).await;
        client.ends().await;
    }
    // The same behind a request that was answered; one that is only idle has longer.
    let (mut client, mut idle) = (world.connect().await, world.connect().await);
    idle.send(&[start(), whole.clone()].concat()).await;
    answer_of(&mut idle, 1).await;
    client.send(&[start(), whole.clone()].concat()).await;
    answer_of(&mut client, 1).await;
    let next = frame(HEADERS, END_STREAM, 3, &head("GET", "/healthz"));
    client.send(&next).await;
    client.ends().await;
    assert!(frames_of(&mut idle, 0).await.iter().all(|(kind, ..)| *kind != GOAWAY));
    world.end().await;
}

/// Says that it lives, whenever it is asked, until the server ends the connection.
async fn lives_until_cut(client: &mut Client) {
    while let Some(head) = client.try_take(9).await {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let Some(payload) = client.try_take(length).await else { return };
        if (head[3], head[4]) == (PING, 0) {
            client.send(&frame(PING, 1, 0, &payload)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_opens_no_window_for_its_answers_is_cut_off() {
    const NO_WINDOW: [u8; 6] = [0, 4, 0, 0, 0, 0];
    let stall_time = Duration::from_millis(400);
    let heartbeat_time = Duration::from_millis(50);
    let world = World::with(Limits { stall_time, heartbeat_time, ..Limits::default() }).await;
    assert_eq!(world.put("/v1/music/fan/x", "{}").await.status, 201);
    for path in ["/v1/music/fan/x", "/v1/music/fan", "/v1/music:changes?partition=0&wait=60000"] {
        let mut client = world.connect().await;
        let settings = frame(SETTINGS, 0, 0, &NO_WINDOW);
        let get = frame(HEADERS, END_HEADERS | END_STREAM, 1, &head("GET", path));
        client.send(&[start(), settings, get].concat()).await;
        let cut = lives_until_cut(&mut client);
        tokio::time::timeout(PATIENCE, cut).await.unwrap_or_else(|_| panic!("not cut: {path}"));
    }
    world.end().await;
}
