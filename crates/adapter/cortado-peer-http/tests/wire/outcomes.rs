//! What a call comes to when the wire or the node fails, at each point of it.

use crate::played::{Played, answer_to, log_grew, one_of_each, report, write_of};
use crate::support::{
    ASKED, ask, ask_until_answered, asking, asking_with, far, listen, near, soon, until,
};
use bytes::Bytes;
use cortado_peer::conformance::{Answer, Question};
use cortado_peer::{CallError, Peers, SnapshotChunk, SnapshotId, TraceContext};
use cortado_peer_http::{HttpPeers, PeerServer, PeerTiming};
use cortado_peer_security::Security;
use cortado_relay::{Cut, Direction, TcpFaults, TcpRelay};
use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

/// More than all windows and buffers of a connection hold.
const MORE_THAN_WINDOWS_BYTES: usize = 12 << 20;

/// A node that is asked through a relay.
struct Wired {
    relay: TcpRelay,
    peers: HttpPeers,
    _server: PeerServer,
}

async fn wired(serves: Arc<dyn cortado_peer::Peer>) -> Wired {
    let (retry_min, retry_max) = (Duration::from_millis(5), Duration::from_millis(50));
    wired_with(PeerTiming { retry_min, retry_max, ..PeerTiming::default() }, serves).await
}

async fn wired_with(timing: PeerTiming, serves: Arc<dyn cortado_peer::Peer>) -> Wired {
    let server = listen(ASKED, Security::Loopback, serves).await;
    let relay = TcpRelay::start(server.address()).await.expect("a free port");
    let peers = asking_with(Security::Loopback, timing, relay.address());
    assert!(soon(peers.connected(ASKED)).await);
    Wired { relay, peers, _server: server }
}

/// Begins a call, lets `meanwhile` end, and answers what the call came to.
async fn during(
    peers: &HttpPeers,
    question: Question,
    meanwhile: impl Future<Output = ()>,
) -> Result<Answer, CallError> {
    let (answer, ()) = tokio::join!(ask(peers, question), meanwhile);
    answer
}

#[tokio::test]
async fn a_call_that_was_begun_is_lost_with_its_connection() {
    for how in [Cut::Reset, Cut::Close, Cut::HalfClose(Direction::Out)] {
        let (played, serves) = Played::silent();
        let wire = wired(serves).await;
        let (relay, peers) = (&wire.relay, &wire.peers);
        for (place, question) in one_of_each(far()).into_iter().enumerate() {
            assert!(soon(peers.connected(ASKED)).await);
            let cut = async {
                until(|| played.asked() > place).await;
                relay.cut(how);
            };
            let answer = during(peers, question.clone(), cut).await;
            assert_eq!(answer, Err(CallError::Lost), "{how:?} under {question:?}");
            // What nobody waits for any more is let go of.
            until(|| played.answering() == 0).await;
            until(|| relay.open() == 2).await;
        }
        assert_eq!(played.asked(), one_of_each(far()).len(), "each is asked once");
    }
}

#[tokio::test]
async fn a_call_that_is_cut_before_its_end_is_not_done() {
    for question in one_of_each(far()) {
        let (played, serves) = Played::prompt();
        let wire = wired(serves).await;
        let (relay, peers) = (&wire.relay, &wire.peers);
        let now = relay.carried(Direction::In);
        // Some bytes of it go, and never all of them: a frame has a head of nine.
        let reset_at = Some(now + 5);
        relay.set(Direction::In, TcpFaults { reset_at, ..TcpFaults::default() });
        let answer = ask(peers, question.clone()).await;
        // Small ones were handed to the connection as a whole: it cannot tell how far they came.
        let in_doubt = matches!(answer, Err(CallError::Lost | CallError::Unreachable));
        assert!(in_doubt, "{answer:?} to {question:?}");
        assert_eq!(played.asked(), 0, "{question:?}");
        relay.heal();
        ask_until_answered(peers, question).await;
    }
}

#[tokio::test]
async fn a_long_write_that_is_cut_in_its_middle_is_certainly_not_done() {
    let (played, serves) = Played::prompt();
    let wire = wired(serves).await;
    let (relay, peers) = (&wire.relay, &wire.peers);
    relay.set(Direction::In, TcpFaults { stall: true, ..TcpFaults::default() });
    let write = |deadline| Question::Write(write_of(MORE_THAN_WINDOWS_BYTES, deadline));
    let deadline = near() + Duration::from_secs(1);
    assert_eq!(ask(peers, write(deadline)).await, Err(CallError::Unreachable), "by its deadline");
    let calls = || peers.links()[0].calls;
    let cut = async {
        until(|| calls() == 1).await;
        relay.cut(Cut::Reset);
    };
    let answer = during(peers, write(far()), cut).await;
    assert_eq!(answer, Err(CallError::Unreachable), "by a cut");
    assert_eq!(played.asked(), 0);
    relay.heal();
    ask_until_answered(peers, write(far())).await;
    assert_eq!(played.asked(), 1);
}

#[tokio::test]
async fn an_answer_that_is_cut_is_lost_although_it_was_given() {
    for question in one_of_each(far()) {
        let (played, serves) = Played::prompt();
        let wire = wired(serves).await;
        let (relay, peers) = (&wire.relay, &wire.peers);
        relay.set(Direction::Out, TcpFaults { stall: true, ..TcpFaults::default() });
        let cut = async {
            until(|| played.asked() == 1 && played.answering() == 0).await;
            relay.cut(Cut::Reset);
        };
        let answer = during(peers, question.clone(), cut).await;
        assert_eq!(answer, Err(CallError::Lost), "{question:?}");
    }
}

#[tokio::test]
async fn a_long_answer_that_is_cut_in_its_middle_is_lost() {
    let chunk = SnapshotChunk::Chunk(Bytes::from(vec![7; MORE_THAN_WINDOWS_BYTES]));
    let (played, serves) =
        Played::answers(move |_| Box::pin(ready(Ok(Answer::SnapshotChunk(chunk.clone())))));
    let wire = wired(serves).await;
    let (relay, peers) = (&wire.relay, &wire.peers);
    let reset_at = Some(relay.carried(Direction::Out) + (1 << 20));
    relay.set(Direction::Out, TcpFaults { reset_at, ..TcpFaults::default() });
    let question = Question::SnapshotChunk(SnapshotId(1), 0, far());
    assert_eq!(ask(peers, question.clone()).await, Err(CallError::Lost));
    assert_eq!(played.asked(), 1);
    relay.heal();
    ask_until_answered(peers, question).await;
}

#[tokio::test]
async fn a_wire_that_stands_still_makes_calls_late() {
    for direction in [Direction::In, Direction::Out] {
        let (_, serves) = Played::prompt();
        let wire = wired(serves).await;
        let (relay, peers) = (&wire.relay, &wire.peers);
        relay.set(direction, TcpFaults { stall: true, ..TcpFaults::default() });
        for question in one_of_each(far()) {
            let answer = ask(peers, question.until(near())).await;
            assert_eq!(answer, Err(CallError::Late), "{direction:?}");
        }
        relay.heal();
        ask_until_answered(peers, report(far())).await;
    }
}

#[tokio::test]
async fn a_wire_that_stands_still_for_long_is_given_up() {
    let timing = PeerTiming {
        ping_every: Duration::from_millis(50),
        ping_answer: Duration::from_millis(300),
        greet: Duration::from_millis(500),
        ..PeerTiming::default()
    };
    let (played, serves) = Played::silent();
    let wire = wired_with(timing, serves).await;
    let (relay, peers) = (&wire.relay, &wire.peers);
    let stall = async {
        until(|| played.asked() == 1).await;
        relay.set(Direction::Out, TcpFaults { stall: true, ..TcpFaults::default() });
    };
    let answer = during(peers, report(far()), stall).await;
    assert_eq!(answer, Err(CallError::Lost));
    until(|| peers.links()[0].error.is_some()).await;
    assert_eq!(ask(peers, report(far())).await, Err(CallError::Unreachable), "at once");
    relay.heal();
    assert!(soon(peers.connected(ASKED)).await);
}

#[tokio::test]
async fn a_node_that_hangs_holds_up_no_other() {
    let (_, silent) = Played::silent();
    let hangs = listen(ASKED, Security::Loopback, silent).await;
    let (_, prompt) = Played::prompt();
    let other = cortado_model::NodeId(2);
    let lives = listen(other, Security::Loopback, prompt).await;
    let peers = asking(Security::Loopback, hangs.address());
    assert!(peers.set(other, crate::support::at(lives.address())));
    assert!(soon(peers.connected(ASKED)).await && soon(peers.connected(other)).await);
    let calls: Vec<_> = (0..50).map(|_| ask(&peers, report(far()))).collect();
    let mut calls: Vec<_> = calls.into_iter().map(Box::pin).collect();
    for call in &mut calls {
        assert!(polled(call.as_mut()).await.is_none(), "it hangs");
    }
    let peer = peers.peer(other).expect("it is in the book");
    let answer = soon(report(far()).put_to(peer.as_ref())).await;
    assert_eq!(answer, Ok(answer_to(&report(far()))));
}

/// What a future says when it is polled once.
async fn polled<F: Future + ?Sized>(mut future: std::pin::Pin<&mut F>) -> Option<F::Output> {
    std::future::poll_fn(|cx| {
        std::task::Poll::Ready(match future.as_mut().poll(cx) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        })
    })
    .await
}

#[tokio::test]
async fn a_call_that_is_given_up_is_let_go_of_over_there() {
    let (played, serves) = Played::silent();
    let wire = wired(serves).await;
    let peers = &wire.peers;
    for (place, question) in one_of_each(far()).into_iter().enumerate() {
        tokio::select! {
            answer = ask(peers, question) => panic!("{answer:?}"),
            () = until(|| played.asked() > place) => {}
        }
        until(|| played.answering() == 0).await;
    }
    // The deadline is kept over there as well.
    assert_eq!(ask(peers, report(near())).await, Err(CallError::Late));
    until(|| played.answering() == 0).await;
}

#[tokio::test]
async fn a_connection_is_made_anew_when_the_node_is_back() {
    let (_, serves) = Played::prompt();
    let server = listen(ASKED, Security::Loopback, Arc::clone(&serves)).await;
    let relay = TcpRelay::start(server.address()).await.expect("a free port");
    let peers = asking(Security::Loopback, relay.address());
    ask_until_answered(&peers, report(far())).await;
    soon(server.shutdown(Duration::ZERO)).await;
    until(|| peers.links()[0].error.is_some()).await;
    assert_eq!(ask(&peers, report(far())).await, Err(CallError::Unreachable));
    let (played, serves) = Played::prompt();
    let server = listen(ASKED, Security::Loopback, serves).await;
    relay.retarget(server.address());
    ask_until_answered(&peers, report(far())).await;
    soon(async {
        let peer = peers.peer(ASKED).expect("it is in the book");
        while !played.heard(&log_grew(1)) {
            peer.tell(log_grew(1));
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_sign_of_life_is_followed_at_once() {
    let never = Duration::from_secs(3_600);
    let timing = PeerTiming { retry_min: never, retry_max: never, ..PeerTiming::default() };
    let (_, serves) = Played::prompt();
    let server = listen(ASKED, Security::Loopback, serves).await;
    let relay = TcpRelay::start(server.address()).await.expect("a free port");
    relay.refuse(true);
    let peers = asking_with(Security::Loopback, timing, relay.address());
    until(|| peers.links()[0].error.is_some()).await;
    relay.heal();
    soon(async {
        while !matches!(ask(&peers, report(far())).await, Ok(Answer::Report(_))) {
            peers.nudge(ASKED);
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_node_that_ends_answers_what_it_has_begun() {
    let begun = Arc::new(tokio::sync::Semaphore::new(0));
    let release = Arc::clone(&begun);
    let (played, serves) = Played::answers(move |question| {
        let begun = Arc::clone(&begun);
        Box::pin(async move {
            begun.acquire().await.expect("it is open").forget();
            Ok(answer_to(&question))
        })
    });
    let server = listen(ASKED, Security::Loopback, serves).await;
    let peers = asking(Security::Loopback, server.address());
    assert!(soon(peers.connected(ASKED)).await);
    let ends = async {
        until(|| played.asked() == 1).await;
        let ended = tokio::spawn(server.shutdown(Duration::from_secs(3_600)));
        // New ones are turned away as long as that one is answered.
        soon(async {
            while ask(&peers, Question::Standing(cortado_model::PartitionId::CLUSTER, near())).await
                != Err(CallError::Unreachable)
            {}
        })
        .await;
        release.add_permits(1_000);
        soon(ended).await.expect("it ends");
    };
    let answer = during(&peers, report(far()), ends).await;
    assert_eq!(answer, Ok(answer_to(&report(far()))));
}

#[tokio::test]
async fn what_is_too_large_is_refused_on_its_side_of_the_wire() {
    let large = Bytes::from(vec![7; 17 << 20]);
    let (played, serves) = Played::answers(move |question| {
        let chunk = SnapshotChunk::Chunk(large.clone());
        Box::pin(ready(Ok(match question {
            Question::SnapshotChunk(..) => Answer::SnapshotChunk(chunk),
            other => answer_to(&other),
        })))
    });
    let wire = wired(serves).await;
    let (relay, peers) = (&wire.relay, &wire.peers);
    let before = relay.carried(Direction::In);
    let write = Question::Write(write_of(17 << 20, far()));
    assert_eq!(ask(peers, write).await, Err(CallError::Unreachable), "nothing was sent");
    assert_eq!(played.asked(), 0);
    assert!(relay.carried(Direction::In) < before + 1_000, "nothing was sent");
    let chunk = Question::SnapshotChunk(SnapshotId(1), 0, far());
    assert_eq!(ask(peers, chunk).await, Err(CallError::Lost), "it was done");
    ask_until_answered(peers, report(far())).await;
}

#[tokio::test]
async fn a_call_is_part_of_its_callers_trace() {
    let (see, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let (_, serves) = Played::answers(move |question| {
        let see = see.clone();
        Box::pin(async move {
            see.send(TraceContext::current()).expect("the test waits");
            Ok(answer_to(&question))
        })
    });
    let wire = wired(serves).await;
    let question = one_of_each(far()).swap_remove(0);
    ask(&wire.peers, question.clone()).await.expect("answered");
    assert_eq!(seen.recv().await, Some(None), "a call of no request");
    let trace = TraceContext::begin(7, 8);
    trace.scope(ask(&wire.peers, question)).await.expect("answered");
    let theirs = seen.recv().await.flatten().expect("a call of a request");
    assert_eq!(theirs.trace_id(), trace.trace_id());
    assert_eq!(theirs.parent_id(), Some(trace.span_id()));
    assert_ne!(theirs.span_id(), trace.span_id());
}
