//! What becomes of calls and messages under each fault.

use super::*;
use crate::conformance::{Answer, FnPeer, Question};
use crate::{Membership, MemoryPeers, Passage};
use bytes::Bytes;
use cortado_model::LogOffset;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::runtime::Builder;

const ME: NodeId = NodeId(1);
const OTHER: NodeId = NodeId(2);
const PARTITION: PartitionId = PartitionId { database: DatabaseId(7), number: 3 };

/// A node that asks another one, with faults between them.
struct Rig {
    faults: Arc<Faults>,
    memory: Arc<MemoryPeers>,
    peer: Arc<dyn Peer>,
    reached: Arc<Mutex<Reached>>,
    _membership: Membership,
}

/// What has reached the other node.
#[derive(Default)]
struct Reached {
    calls: usize,
    messages: Vec<Message>,
}

impl Rig {
    fn new() -> Rig {
        let (memory, faults) = (Arc::new(MemoryPeers::default()), Arc::new(Faults::default()));
        let reached = Arc::<Mutex<Reached>>::default();
        let (asked, told) = (Arc::clone(&reached), Arc::clone(&reached));
        let answer = |question: &Question| match question {
            Question::SnapshotChunk(_, number, _) => Answer::SnapshotChunk(chunk(*number)),
            Question::Verify(..) => Answer::Verify(VerifyAnswer::Begun),
            other => panic!("not asked in these tests: {other:?}"),
        };
        let serves = FnPeer {
            call: Box::new(move |question| {
                asked.lock().unwrap().calls += 1;
                Box::pin(std::future::ready(Ok(answer(&question))))
            }),
            at_once: Box::new(|_| None),
            tell: Box::new(move |message| told.lock().unwrap().messages.push(message)),
        };
        let membership = memory.join(OTHER, Arc::new(serves));
        let peers = FaultyPeers::new(ME, Arc::clone(&memory) as Arc<dyn Peers>, &faults);
        let peer = peers.peer(OTHER).expect("it has joined");
        Rig { faults, memory, peer, reached, _membership: membership }
    }

    fn ask(&self) -> Pending<'_, Result<VerifyAnswer, CallError>> {
        self.peer.verify(PARTITION, deadline())
    }

    /// How often the other node was asked.
    fn calls(&self) -> usize {
        self.reached.lock().unwrap().calls
    }

    /// The numbers of what the other node has heard.
    fn heard(&self) -> Vec<u64> {
        let number = |message: &Message| match message {
            Message::LogGrew { end, .. } => end.0,
            other => panic!("not told in these tests: {other:?}"),
        };
        self.reached.lock().unwrap().messages.iter().map(number).collect()
    }
}

fn deadline() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

fn chunk(number: u64) -> SnapshotChunk {
    SnapshotChunk::Chunk(Bytes::from(number.to_string()))
}

fn message(number: u64) -> Message {
    Message::LogGrew { partition: PARTITION, end: LogOffset(number) }
}

/// Asks under the fault; the answer, and how often the other node was asked by then.
#[track_caller]
fn check(
    passage: Passage,
    [from, to]: [NodeId; 2],
    want: Result<VerifyAnswer, CallError>,
    asked: usize,
) {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.expect("a runtime of one thread");
    runtime.block_on(async {
        let rig = Rig::new();
        rig.faults.set(from, to, passage);
        assert_eq!((rig.ask().await, rig.calls()), (want, asked), "{passage:?} {from} {to}");
        rig.faults.set(from, to, Passage::Open);
        assert_eq!(rig.ask().await, Ok(VerifyAnswer::Begun), "it is over");
    });
}

#[test]
fn a_way_has_a_direction() {
    let (there, back) = ([ME, OTHER], [OTHER, ME]);
    check(Passage::Open, there, Ok(VerifyAnswer::Begun), 1);
    check(Passage::Cut, there, Err(CallError::Unreachable), 0);
    check(Passage::Cut, back, Err(CallError::Lost), 1);
    check(Passage::Held, there, Err(CallError::Late), 0);
    check(Passage::Held, back, Err(CallError::Late), 1);
    // Others are not concerned.
    check(Passage::Cut, [NodeId(3), OTHER], Ok(VerifyAnswer::Begun), 1);
}

#[tokio::test(start_paused = true)]
async fn parted_nodes_reach_one_another_in_no_direction() {
    let rig = Rig::new();
    rig.faults.part(OTHER, ME);
    rig.peer.tell(message(1));
    assert_eq!(rig.ask().await, Err(CallError::Unreachable));
    rig.faults.set(ME, OTHER, Passage::Open);
    assert_eq!(rig.ask().await, Err(CallError::Lost));
    assert!(rig.heard().is_empty());
}

/// Holds a call on the way, then lets it go on as `passage` says.
async fn release(
    from: NodeId,
    to: NodeId,
    passage: Passage,
) -> (usize, Result<VerifyAnswer, CallError>) {
    let rig = Rig::new();
    rig.faults.set_calls(from, to, Passage::Held);
    let released = async {
        rig.faults.until_held(from, to, 1).await;
        let calls = rig.calls();
        rig.faults.set_calls(from, to, passage);
        calls
    };
    let (answer, calls) = tokio::join!(rig.ask(), released);
    (calls, answer)
}

#[tokio::test(start_paused = true)]
async fn what_is_held_goes_on_when_it_is_released() {
    assert_eq!(release(ME, OTHER, Passage::Open).await, (0, Ok(VerifyAnswer::Begun)));
    assert_eq!(release(OTHER, ME, Passage::Open).await, (1, Ok(VerifyAnswer::Begun)));
    assert_eq!(release(ME, OTHER, Passage::Cut).await, (0, Err(CallError::Unreachable)));
    assert_eq!(release(OTHER, ME, Passage::Cut).await, (1, Err(CallError::Lost)));
}

#[tokio::test(start_paused = true)]
async fn a_held_call_that_is_dropped_is_held_no_longer() {
    let rig = Rig::new();
    rig.faults.set_calls(ME, OTHER, Passage::Held);
    let mut call = rig.ask();
    let polled = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_pending());
    rig.faults.until_held(ME, OTHER, 1).await;
    drop(call);
    let mut held = Box::pin(rig.faults.until_held(ME, OTHER, 1));
    let polled = held.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert_eq!(polled, Poll::Pending);
}

#[tokio::test(start_paused = true)]
async fn calls_and_messages_have_faults_of_their_own() {
    let rig = Rig::new();
    rig.faults.set_messages(ME, OTHER, Passage::Cut);
    rig.peer.tell(message(1));
    assert_eq!(rig.ask().await, Ok(VerifyAnswer::Begun));
    rig.faults.set_messages(ME, OTHER, Passage::Open);
    rig.faults.set_calls(ME, OTHER, Passage::Cut);
    rig.peer.tell(message(2));
    assert_eq!(rig.ask().await, Err(CallError::Unreachable));
    assert_eq!(rig.heard(), [2]);
}

#[tokio::test(start_paused = true)]
async fn held_messages_are_delivered_as_a_test_likes() {
    let rig = Rig::new();
    rig.faults.set_messages(ME, OTHER, Passage::Held);
    for number in 1..=3 {
        rig.peer.tell(message(number));
    }
    assert!(rig.heard().is_empty());
    rig.faults.set_messages(ME, OTHER, Passage::Open);
    rig.peer.tell(message(4));
    let underneath = rig.memory.peer(OTHER).expect("it has joined");
    for held in rig.faults.take_messages(ME, OTHER).into_iter().rev() {
        underneath.tell(held);
    }
    assert_eq!(rig.heard(), [4, 3, 2, 1]);
    assert_eq!(rig.faults.take_messages(ME, OTHER), []);
}

#[tokio::test(start_paused = true)]
async fn a_lost_chunk_can_be_asked_for_again() {
    let rig = Rig::new();
    rig.faults.lose_chunk(ME, OTHER, 1);
    let mut answers = Vec::new();
    for number in [0, 1, 1, 2, 1] {
        answers.push(rig.peer.snapshot_chunk(SnapshotId(5), number, deadline()).await);
    }
    let [zero, one, two] = [0, 1, 2].map(|number| Ok(chunk(number)));
    assert_eq!(answers, [zero, Err(CallError::Lost), one.clone(), two, one]);
    assert_eq!(rig.calls(), 5, "the node gave it, and gave it again");
}
