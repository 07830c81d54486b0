//! Many of everything, and none of it without a bound.

use crate::played::{Played, report, write_of};
use crate::raw;
use crate::support::{
    ASKED, ASKING, ask, ask_until_answered, asking, at, far, identity, listen, listen_with, near,
    soon, until, why_down,
};
use bytes::Bytes;
use cortado_peer::conformance::Question;
use cortado_peer::{CallError, Peers};
use cortado_peer_http::{HttpPeers, PeerTiming, RefusedCall, WireReply};
use cortado_peer_security::Security;
use http::{Method, Request, StatusCode};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// More than a node listens to before they have said who they are.
const STRANGERS: usize = 200;
/// More than wait for an answer on one connection.
const CALLS: usize = 1_500;

#[tokio::test]
async fn strangers_who_say_nothing_keep_nobody_out_for_long() {
    let (_, serves) = Played::prompt();
    let timing = PeerTiming { greet: Duration::from_millis(300), ..PeerTiming::default() };
    let server = listen_with(ASKED, Security::Loopback, timing, serves).await;
    let known = asking(Security::Loopback, server.address());
    ask_until_answered(&known, report(far())).await;
    let mut strangers = Vec::new();
    for _ in 0..STRANGERS {
        strangers.push(TcpStream::connect(server.address()).await.expect("it listens"));
    }
    assert!(ask(&known, report(far())).await.is_ok(), "who is known is served");
    let late = asking(Security::Loopback, server.address());
    ask_until_answered(&late, report(far())).await;
    for stranger in &mut strangers {
        assert!(soon(stranger.read_u8()).await.is_err(), "all of them are let go of");
    }
}

#[tokio::test]
async fn calls_beyond_the_bound_wait_and_are_not_sent() {
    let (played, serves) = Played::silent();
    let server = listen(ASKED, Security::Loopback, serves).await;
    let peers = std::sync::Arc::new(asking(Security::Loopback, server.address()));
    assert!(soon(peers.connected(ASKED)).await);
    let mut calls = JoinSet::new();
    for _ in 0..CALLS {
        let peers = std::sync::Arc::clone(&peers);
        calls.spawn(async move { ask(&peers, report(far())).await });
    }
    until(|| played.asked() == 512).await;
    let late = ask(&peers, report(near())).await;
    assert_eq!(late, Err(CallError::Unreachable), "its turn has not come");
    assert_eq!((played.asked(), played.answering()), (512, 512));
    calls.shutdown().await;
    // All of them are let go of, and there is room again.
    until(|| played.answering() == 0).await;
    assert_eq!(ask(&peers, report(near())).await, Err(CallError::Late));
}

#[tokio::test]
async fn what_others_make_a_node_hold_is_shown_beside_its_limits() {
    let (played, serves) = Played::silent();
    let server = listen(ASKED, Security::Loopback, serves).await;
    let peers = asking(Security::Loopback, server.address());
    assert!(soon(peers.connected(ASKED)).await);
    until(|| server.usage().connections == 2).await;
    let bytes = 1 << 20;
    let held = async {
        until(|| played.answering() == 1).await;
        assert!(server.usage().frame_bytes > bytes, "{:?}", server.usage());
    };
    tokio::select! {
        answer = ask(&peers, Question::Write(write_of(bytes, far()))) => panic!("{answer:?}"),
        () = held => {}
    }
    until(|| server.usage().frame_bytes == 0).await;
    drop(peers);
    until(|| server.usage().connections == 0).await;
    let usage = server.usage();
    assert_eq!((usage.connections_max, usage.frame_bytes_max), (1_024, (64 + 256) << 20));
}

#[tokio::test]
async fn one_node_does_not_take_all_connections() {
    let (_, serves) = Played::prompt();
    let server = listen(ASKED, Security::Loopback, serves).await;
    let mut all = Vec::new();
    for _ in 0..4 {
        let peers = asking(Security::Loopback, server.address());
        assert!(soon(peers.connected(ASKED)).await);
        all.push(peers);
    }
    let one_more = asking(Security::Loopback, server.address());
    assert!(why_down(&one_more).await.contains("too many connections"));
    let other = identity(cortado_model::NodeId(8), 1);
    let other = HttpPeers::new(other, Security::Loopback, PeerTiming::default());
    assert!(other.set(ASKED, at(server.address())));
    assert!(soon(other.connected(ASKED)).await, "another node is let in");
    drop(all);
    assert!(soon(one_more.connected(ASKED)).await, "and this one when there is room");
}

#[tokio::test]
async fn a_newer_life_of_who_calls_ends_what_the_older_one_holds() {
    let (played, serves) = Played::silent();
    let server = listen(ASKED, Security::Loopback, serves).await;
    let of_life = |life| {
        let me = identity(ASKING, life);
        let peers = HttpPeers::new(me, Security::Loopback, PeerTiming::default());
        assert!(peers.set(ASKED, at(server.address())));
        peers
    };
    let mut older = Vec::new();
    for _ in 0..4 {
        older.push(of_life(1));
        assert!(soon(older[older.len() - 1].connected(ASKED)).await);
    }
    let newer = async {
        until(|| played.answering() == 1).await;
        let newer = of_life(2);
        assert!(soon(newer.connected(ASKED)).await, "there is room for it");
        newer
    };
    let (lost, _newer) = tokio::join!(ask(&older[0], report(far())), newer);
    assert_eq!(lost, Err(CallError::Lost));
    until(|| played.answering() == 0).await;
}

#[tokio::test]
async fn each_of_many_routers_speaks_in_a_name_of_its_own() {
    let (_, serves) = Played::prompt();
    let server = listen(ASKED, Security::Loopback, serves).await;
    let mut routers = Vec::new();
    for router in 0..6 {
        let me = identity(cortado_model::NodeId(1 << 31 | router), 1);
        let peers = HttpPeers::new(me, Security::Loopback, PeerTiming::default());
        assert!(peers.set(ASKED, at(server.address())));
        assert!(soon(peers.connected(ASKED)).await);
        routers.push(peers);
    }
    for router in &routers {
        assert!(ask(router, report(far())).await.is_ok(), "none of them ends another");
    }
    assert_eq!(server.usage().connections, 2 * routers.len());
}

#[tokio::test]
async fn messages_that_nobody_takes_are_lost_and_hold_up_nothing() {
    let (_, serves) = Played::prompt();
    let server = listen(ASKED, Security::Loopback, serves).await;
    let relay = cortado_relay::TcpRelay::start(server.address()).await.expect("a free port");
    let peers = asking(Security::Loopback, relay.address());
    assert!(soon(peers.connected(ASKED)).await);
    let stall = cortado_relay::TcpFaults { stall: true, ..Default::default() };
    relay.set(cortado_relay::Direction::In, stall);
    let peer = peers.peer(ASKED).expect("it is in the book");
    let long = "x".repeat(100_000);
    until(|| {
        for _ in 0..100 {
            let partition = cortado_model::PartitionId::CLUSTER;
            peer.tell(cortado_peer::Message::Condemned { partition, why: long.clone() });
        }
        peers.links()[0].lost_messages > 0
    })
    .await;
    relay.heal();
    ask_until_answered(&peers, report(far())).await;
}

/// Posts a whole body by hand, and reads what is said.
async fn post(
    requests: &h2::client::SendRequest<Bytes>,
    path: &str,
    headers: &[(&str, String)],
    body: Bytes,
) -> Result<(StatusCode, Bytes), h2::Error> {
    post_more(requests, path, headers, body, true).await
}

/// Posts a body, perhaps only the beginning of one.
async fn post_more(
    requests: &h2::client::SendRequest<Bytes>,
    path: &str,
    headers: &[(&str, String)],
    body: Bytes,
    ends: bool,
) -> Result<(StatusCode, Bytes), h2::Error> {
    let mut request = Request::builder().method(Method::POST).uri(format!("http://node{path}"));
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    let request = request.body(()).expect("a request");
    let (response, mut sending) = requests.clone().ready().await?.send_request(request, false)?;
    sending.send_data(body, ends)?;
    let response = soon(response).await?;
    let status = response.status();
    let mut body = response.into_body();
    let mut bytes = Vec::new();
    while let Some(piece) = soon(body.data()).await {
        bytes.extend(piece?);
    }
    Ok((status, bytes.into()))
}

#[tokio::test]
async fn requests_that_no_node_makes_are_refused_and_end_nothing() {
    let (played, serves) = Played::prompt();
    let server = listen(ASKED, Security::Loopback, serves).await;
    let requests = raw::http(server.address()).await;
    let length = |bytes: usize| vec![("content-length", bytes.to_string())];
    let call = async |headers: &[(&str, String)], body: &'static [u8]| {
        let answer = post(&requests, "/v1/call", headers, Bytes::from_static(body)).await;
        let (_, frame) = answer.expect("it is answered");
        WireReply::decode(frame).expect("it can be read")
    };
    let unreadable = |reply| match reply {
        WireReply::Refused(RefusedCall::Unreadable { why }) => why,
        other => panic!("{other:?}"),
    };
    assert!(unreadable(call(&[], b"x").await).contains("how long"));
    assert!(unreadable(call(&length(3), b"abc").await).contains("ends in the middle"));
    assert!(unreadable(call(&length(8), b"abcdefgh").await).contains("checksum"));
    // A report, as a newer version and as a newer kind of call.
    let sealed = |version: u8, kind: u8| {
        let crc = crc32c::crc32c_append(crc32c::crc32c(&[version, kind]), b"\x09\0");
        Bytes::from([&[version, kind][..], &crc.to_le_bytes(), b"\x09\0"].concat())
    };
    for (frame, want) in [(sealed(2, 5), "version 2"), (sealed(1, 99), "kind 0x63")] {
        let answer = post(&requests, "/v1/call", &length(frame.len()), frame).await;
        let (_, frame) = answer.expect("it is answered");
        let why = unreadable(WireReply::decode(frame).expect("it can be read"));
        assert!(why.contains(want), "{why}");
    }
    let large = post_more(&requests, "/v1/call", &length(1 << 30), Bytes::new(), false).await;
    let large = WireReply::decode(large.expect("it is answered").1).expect("it can be read");
    let too_large = RefusedCall::TooLarge { bytes: 1 << 30, bytes_max: 16 << 20 };
    assert_eq!(large, WireReply::Refused(too_large), "before it has come");
    let short = post(&requests, "/v1/call", &length(9), Bytes::from_static(b"abc")).await;
    assert!(short.is_err(), "a body that is not as long as it says");
    let (status, _) = post(&requests, "/v2/call", &[], Bytes::new()).await.expect("it is answered");
    assert_eq!(status, StatusCode::NOT_FOUND);
    let heads = [("x", "y".repeat(100_000))];
    let other = raw::http(server.address()).await;
    assert!(post(&other, "/v1/call", &heads, Bytes::new()).await.is_err(), "long headers");
    // A message that is longer than any ends its stream, and nothing else.
    let long = post(&requests, "/v1/tell", &[], Bytes::from_static(b"\xff\xff\xff\x7f")).await;
    assert!(long.is_err());
    assert_eq!(played.asked(), 0);
    let answer = post(&requests, "/v1/call", &length(8), sealed(1, 5)).await;
    assert!(answer.is_ok(), "the connection goes on: {answer:?}");
    assert_eq!(played.asked(), 1);
}
