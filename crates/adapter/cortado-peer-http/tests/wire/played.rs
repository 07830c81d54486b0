//! A node as a test plays it: it remembers what reached it, and answers as it is told.

use cortado_document::{Condition, Document, DocumentAction, Operation};
use cortado_driver::WriteMode;
use cortado_model::{DatabaseId, DocumentKey, NodeId, PartitionId, Scn, TableId};
use cortado_peer::conformance::{Answer, FnPeer, Question};
use cortado_peer::{
    CallError, ChangeReplicas, ChangeReplicasAnswer, HandOff, HandOffAnswer, Holdings, Level, Look,
    Message, NodeReport, Peer, Pending, Read, ReadAnswer, SnapshotAnswer, SnapshotChunk,
    SnapshotId, VerifyAnswer, Write, WriteAnswer,
};
use std::future::{pending, ready};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::time::Instant;

const PARTITION: PartitionId = PartitionId { database: DatabaseId(7), number: 3 };

/// What has reached a node.
#[derive(Default)]
pub(crate) struct Played {
    asked: AtomicUsize,
    answering: AtomicUsize,
    messages: Mutex<Vec<Message>>,
}

type Said = Pending<'static, Result<Answer, CallError>>;

impl Played {
    /// How many questions have come.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// How many of them are being answered.
    pub(crate) fn answering(&self) -> usize {
        self.answering.load(Ordering::SeqCst)
    }

    /// Whether a message has come.
    pub(crate) fn heard(&self, message: &Message) -> bool {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner).contains(message)
    }

    /// A node that answers at once.
    pub(crate) fn prompt() -> (Arc<Played>, Arc<dyn Peer>) {
        Played::answers(|question| Box::pin(ready(Ok(answer_to(&question)))))
    }

    /// One that never does.
    pub(crate) fn silent() -> (Arc<Played>, Arc<dyn Peer>) {
        Played::answers(|_| Box::pin(pending()))
    }

    /// One that answers so.
    pub(crate) fn answers(
        answer: impl Fn(Question) -> Said + Send + Sync + 'static,
    ) -> (Arc<Played>, Arc<dyn Peer>) {
        let played = Arc::new(Played::default());
        let (asked, told) = (Arc::clone(&played), Arc::clone(&played));
        let peer = FnPeer {
            call: Box::new(move |question| {
                asked.asked.fetch_add(1, Ordering::SeqCst);
                let answering = Answering::of(&asked);
                let answer = answer(question);
                Box::pin(async move {
                    let _answering = answering;
                    answer.await
                })
            }),
            at_once: Box::new(|_| None),
            tell: Box::new(move |message| {
                told.messages.lock().unwrap_or_else(PoisonError::into_inner).push(message);
            }),
        };
        (played, Arc::new(peer))
    }
}

/// A question that is being answered, until this is dropped.
struct Answering(Arc<Played>);

impl Answering {
    fn of(played: &Arc<Played>) -> Answering {
        played.answering.fetch_add(1, Ordering::SeqCst);
        Answering(Arc::clone(played))
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.answering.fetch_sub(1, Ordering::SeqCst);
    }
}

/// An answer to any question.
pub(crate) fn answer_to(question: &Question) -> Answer {
    match question {
        Question::Write(_) => Answer::Write(WriteAnswer::Late),
        Question::Read(_) => Answer::Read(ReadAnswer::Behind),
        Question::HandOff(_) => Answer::HandOff(HandOffAnswer::Leads),
        Question::Verify(..) => Answer::Verify(VerifyAnswer::Begun),
        Question::Report(..) => Answer::Report(NodeReport {
            incarnation: cortado_model::NodeIncarnation(1),
            address: "n1:4711".to_owned(),
            sick: None,
            fit: true,
            replicas: Vec::new(),
        }),
        Question::Standing(..) => Answer::Standing(None),
        Question::ChangeReplicas(_) => Answer::ChangeReplicas(ChangeReplicasAnswer::Outdated),
        Question::Holdings(..) => Answer::Holdings(Holdings {
            cluster_scn: Scn::ZERO,
            away: Vec::new(),
            replicas: Vec::new(),
        }),
        Question::OpenSnapshot(..) => Answer::OpenSnapshot(SnapshotAnswer::Busy),
        Question::SnapshotChunk(..) => Answer::SnapshotChunk(SnapshotChunk::End),
    }
}

/// One question of each kind.
pub(crate) fn one_of_each(deadline: Instant) -> Vec<Question> {
    let partition = PARTITION;
    vec![
        Question::Write(write_of(10, deadline)),
        Question::Read(Read { partition, level: Level::Strong, look: Look::Position, deadline }),
        Question::HandOff(HandOff { partition, to: NodeId(2), deadline }),
        Question::Verify(partition, deadline),
        report(deadline),
        Question::ChangeReplicas(ChangeReplicas {
            partition,
            generation: cortado_model::Generation(1),
            from: vec![NodeId(1), NodeId(2)],
            to: vec![NodeId(1)],
            declared_at: Scn::ZERO,
            deadline,
        }),
        Question::Holdings(None, deadline),
        Question::Standing(partition, deadline),
        Question::OpenSnapshot(partition, deadline),
        Question::SnapshotChunk(SnapshotId(1), 0, deadline),
    ]
}

/// The shortest question.
pub(crate) fn report(deadline: Instant) -> Question {
    Question::Report(None, deadline)
}

/// A write of a document of about so many bytes.
pub(crate) fn write_of(bytes: usize, deadline: Instant) -> Write {
    let text = format!("{{\"a\":\"{}\"}}", "x".repeat(bytes));
    Write {
        partition: PARTITION,
        catalog: Scn::ZERO,
        operations: vec![Operation {
            table: TableId(1),
            key: DocumentKey::from_parts(&["key"]).expect("a key"),
            action: DocumentAction::Put { value: Document::from_stored(text.into()) },
            condition: Condition::default(),
        }],
        mode: WriteMode::Whole,
        keyed: Vec::new(),
        deadline,
    }
}

/// A message that is told from others by a number.
pub(crate) fn log_grew(end: u64) -> Message {
    Message::LogGrew { partition: PARTITION, end: cortado_model::LogOffset(end) }
}
