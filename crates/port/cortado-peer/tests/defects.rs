//! The suite notices each of these broken peers: a rule that cannot fail is no rule.

use cortado_driver::UnknownWhy;
use cortado_model::NodeId;
use cortado_peer::conformance::{Answer, FnPeer, Leave, Question, Subject, run};
use cortado_peer::{
    CallError, Membership, MemoryPeers, Message, Peer, Peers, Pending, Read, ReadAnswer,
    SnapshotId, WriteAnswer,
};
use cortado_replica::NotDone;
use std::collections::BTreeMap;
use std::future::{pending, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// One promise that is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Defect {
    /// The idempotency key of a write stays behind.
    ForgetsTheKey,
    /// An unknown outcome passes for what was not done.
    TakesUnknownForNotDone,
    /// Messages that condemn are kept to oneself.
    KeepsCondemnations,
    /// The other node may take as long as it likes.
    ForgetsTheDeadline,
    /// The first node is asked, whichever is meant.
    MixesNodes,
    /// A chunk that was carried once is not asked for again.
    RemembersChunks,
    /// A node that says it is late is taken for lost.
    KnowsBetterThanTheNode,
    /// A read is answered at once, as one was before.
    RemembersReads,
    /// A node that has left answers at once.
    AnswersForLeftNodes,
    /// One call at a time.
    AsksInTurn,
    /// A call that is late never ends.
    WaitsForEver,
    /// After a dropped call nothing is answered.
    WedgesWhenDropped,
    /// What is not awaited is asked all the same.
    AsksTooEarly,
    /// Tells when calls have ended.
    TellsAfterCalls,
    /// A node that is not there passes for lost.
    ReachesStrangers,
    /// A node that leaves is still there.
    KeepsLeftNodes,
    /// The answer of a node that has left is awaited.
    AwaitsLeftNodes,
    /// The first life of a node is the only one.
    KeepsTheFirstLife,
    /// When one life leaves, all do.
    LeavesWithAllLives,
}

/// Peers with a defect.
#[derive(Clone)]
struct Broken {
    defect: Defect,
    memory: Arc<MemoryPeers>,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    memberships: Mutex<Vec<Option<Membership>>>,
    first_lives: Mutex<BTreeMap<NodeId, Arc<dyn Peer>>>,
    chunks: Mutex<BTreeMap<u64, Answer>>,
    /// The last one to a read.
    answer: Mutex<Option<ReadAnswer>>,
    serves: Mutex<Option<Arc<dyn Peer>>>,
    turn: tokio::sync::Mutex<()>,
    calls: AtomicUsize,
    wedged: AtomicBool,
}

impl Broken {
    fn new(defect: Defect) -> Broken {
        Broken { defect, memory: Arc::default(), state: Arc::default() }
    }

    fn has(&self, defect: Defect) -> bool {
        self.defect == defect
    }

    fn question(&self, question: Question) -> Question {
        match question {
            Question::Write(mut write) if self.has(Defect::ForgetsTheKey) => {
                write.keyed.clear();
                Question::Write(write)
            }
            question if self.has(Defect::ForgetsTheDeadline) => {
                question.until(Instant::now() + Duration::from_secs(86_400))
            }
            question => question,
        }
    }

    fn answer(&self, answer: Answer) -> Answer {
        if let Answer::Read(answer) = &answer {
            *locked(&self.state.answer) = Some(answer.clone());
        }
        match answer {
            Answer::Write(WriteAnswer::Unknown(UnknownWhy::LogFailed))
                if self.has(Defect::TakesUnknownForNotDone) =>
            {
                Answer::Write(WriteAnswer::NotDone(NotDone::LogRefused))
            }
            answer => answer,
        }
    }

    async fn call(
        self,
        peer: Option<Arc<dyn Peer>>,
        question: Question,
    ) -> Result<Answer, CallError> {
        let Some(peer) = peer else { return Err(CallError::Lost) };
        if self.state.wedged.load(Ordering::Relaxed) {
            return pending().await;
        }
        let _turn =
            if self.has(Defect::AsksInTurn) { Some(self.state.turn.lock().await) } else { None };
        let counted = Counted::on(&self);
        let deadline = question.deadline();
        let answered = self.ask(peer.as_ref(), self.question(question)).await;
        counted.end();
        let late = Instant::now() >= deadline;
        match answered {
            Err(CallError::Late) if late && self.has(Defect::WaitsForEver) => pending().await,
            Err(CallError::Late) if !late && self.has(Defect::KnowsBetterThanTheNode) => {
                Err(CallError::Lost)
            }
            Err(CallError::Lost) if self.has(Defect::AwaitsLeftNodes) && self.all_have_left() => {
                pending().await
            }
            answered => answered.map(|answer| self.answer(answer)),
        }
    }

    /// Asks, unless it is a chunk that came before. The samples name other snapshots.
    async fn ask(&self, peer: &dyn Peer, question: Question) -> Result<Answer, CallError> {
        let Question::SnapshotChunk(SnapshotId(1), number, _) = question else {
            return question.put_to(peer).await;
        };
        let known = locked(&self.state.chunks).get(&number).cloned();
        if let Some(known) = known.filter(|_| self.has(Defect::RemembersChunks)) {
            return Ok(known);
        }
        let answer = question.put_to(peer).await?;
        locked(&self.state.chunks).insert(number, answer.clone());
        Ok(answer)
    }

    fn at_once(&self, peer: Option<&Arc<dyn Peer>>, read: &Read) -> Option<ReadAnswer> {
        match self.defect {
            Defect::RemembersReads => locked(&self.state.answer).clone(),
            Defect::AnswersForLeftNodes => locked(&self.state.serves).as_ref()?.read_at_once(read),
            _ => peer?.read_at_once(read),
        }
    }

    fn tell(&self, peer: Option<&Arc<dyn Peer>>, message: Message) {
        if self.has(Defect::KeepsCondemnations) && matches!(message, Message::Condemned { .. }) {
            return;
        }
        if self.has(Defect::TellsAfterCalls) && self.state.calls.load(Ordering::Relaxed) > 0 {
            // A runtime refuses to wait like this, and so it is noticed.
            let (_sender, ended) = oneshot::channel::<()>();
            let _ = ended.blocking_recv();
        }
        if let Some(peer) = peer {
            peer.tell(message);
        }
    }

    fn leave(&self, place: usize) {
        let mut memberships = locked(&self.state.memberships);
        if self.has(Defect::LeavesWithAllLives) {
            memberships.iter_mut().for_each(|membership| *membership = None);
        } else if !self.has(Defect::KeepsLeftNodes) {
            memberships[place] = None;
        }
    }

    fn all_have_left(&self) -> bool {
        locked(&self.state.memberships).iter().all(Option::is_none)
    }

    fn found(&self, node: NodeId) -> Option<Arc<dyn Peer>> {
        let node = if self.has(Defect::MixesNodes) { NodeId(1) } else { node };
        let found = self.memory.peer(node)?;
        if !self.has(Defect::KeepsTheFirstLife) {
            return Some(found);
        }
        Some(Arc::clone(locked(&self.state.first_lives).entry(node).or_insert(found)))
    }
}

impl Peers for Broken {
    fn nodes(&self) -> Vec<NodeId> {
        self.memory.nodes()
    }

    fn peer(&self, node: NodeId) -> Option<Arc<dyn Peer>> {
        let peer = self.found(node);
        if peer.is_none() && !self.has(Defect::ReachesStrangers) {
            return None;
        }
        let (calls, tells, told) = (self.clone(), self.clone(), peer.clone());
        let (looks, looked_at) = (self.clone(), peer.clone());
        let call = move |question| -> Pending<'static, Result<Answer, CallError>> {
            let mut call = Box::pin(calls.clone().call(peer.clone(), question));
            if calls.has(Defect::AsksTooEarly)
                && let Poll::Ready(answer) =
                    call.as_mut().poll(&mut Context::from_waker(Waker::noop()))
            {
                return Box::pin(ready(answer));
            }
            call
        };
        let tell = move |message| tells.tell(told.as_ref(), message);
        let at_once = move |read: &Read| looks.at_once(looked_at.as_ref(), read);
        let (call, at_once) = (Box::new(call), Box::new(at_once));
        Some(Arc::new(FnPeer { call, at_once, tell: Box::new(tell) }))
    }
}

impl Subject for Broken {
    fn join(&self, node: NodeId, serves: Arc<dyn Peer>) -> Pending<'_, Leave> {
        let mut memberships = locked(&self.state.memberships);
        let place = memberships.len();
        *locked(&self.state.serves) = Some(Arc::clone(&serves));
        memberships.push(Some(self.memory.join(node, serves)));
        let broken = self.clone();
        let leave: Leave = Box::new(move || {
            broken.leave(place);
            Box::pin(ready(()))
        });
        Box::pin(ready(leave))
    }

    fn peers(&self, _: NodeId) -> Arc<dyn Peers> {
        Arc::new(self.clone())
    }
}

/// A call that goes on.
struct Counted<'a> {
    broken: &'a Broken,
    ended: bool,
}

impl<'a> Counted<'a> {
    fn on(broken: &'a Broken) -> Counted<'a> {
        broken.state.calls.fetch_add(1, Ordering::Relaxed);
        Counted { broken, ended: false }
    }

    fn end(mut self) {
        self.ended = true;
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.broken.state.calls.fetch_sub(1, Ordering::Relaxed);
        if !self.ended && self.broken.has(Defect::WedgesWhenDropped) {
            self.broken.state.wedged.store(true, Ordering::Relaxed);
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The suite fails, in the rule of that name.
#[track_caller]
fn check(defect: Defect, rule: &str) {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.expect("a runtime of one thread");
    let mut running = "none";
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(run(&mut |name| {
            running = name;
            Box::new(Broken::new(defect))
        }));
    }));
    assert!(outcome.is_err(), "the suite has not noticed: {defect:?}");
    assert_eq!(running, rule, "{defect:?} was noticed elsewhere");
}

#[test]
fn the_suite_notices_every_defect() {
    check(Defect::ForgetsTheKey, "every question arrives unchanged");
    check(Defect::TakesUnknownForNotDone, "every answer arrives unchanged");
    check(Defect::KeepsCondemnations, "every message arrives unchanged");
    check(Defect::ForgetsTheDeadline, "a deadline is carried");
    check(Defect::MixesNodes, "nodes do not mix");
    check(Defect::RemembersChunks, "a chunk is carried as often as it is asked for");
    check(Defect::KnowsBetterThanTheNode, "what a node says of a call is carried");
    check(Defect::RemembersReads, "an answer at once is what a read would answer");
    check(Defect::AsksInTurn, "calls are answered side by side");
    check(Defect::WaitsForEver, "a call ends by its deadline");
    check(Defect::WedgesWhenDropped, "a call that is dropped does no harm");
    check(Defect::AsksTooEarly, "a call that is not awaited asks nothing");
    check(Defect::TellsAfterCalls, "a message waits for no call");
    check(Defect::ReachesStrangers, "a node that never joined is unreachable");
    check(Defect::KeepsLeftNodes, "a node that has left is unreachable");
    check(Defect::AnswersForLeftNodes, "a node that has left answers nothing at once");
    check(Defect::KeepsTheFirstLife, "a newer life is reached");
    check(Defect::AwaitsLeftNodes, "a call to a node that leaves is lost");
    check(Defect::LeavesWithAllLives, "an older life takes nothing with it");
}
