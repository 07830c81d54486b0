//! A cluster of one node that is a script over a store: for tests of what is declared.
//!
//! Start reading at [`ScriptedCluster`].

use crate::catalog::{NodeDescription, NodeFacts};
use crate::cluster_log::{NODES, NodeDocument, node_key, write};
use crate::decisions::Decisions;
use crate::gateway::{Gateway, GatewayParts};
use crate::genesis::cluster_genesis;
use crate::known_cluster::KnownCluster;
use crate::metrics::GatewayMetrics;
use cortado_document::{DocumentAction, Operation, Refusal};
use cortado_driver::{Refused, Written};
use cortado_log::memory::SharedMemoryLog;
use cortado_metrics::{Counter, Registry};
use cortado_model::{
    Batch, ClusterUuid, DirectoryUuid, DocumentHead, DocumentKey, Etag, Generation, LogId, NodeId,
    NodeIncarnation, PartitionId, Scn, Sequence, StoredDocument, TableId, WallMillis,
};
use cortado_peer::conformance::{Answer, FnPeer, Question};
use cortado_peer::{
    CallError, DocumentPage, Look, NodeReport, Peer, Peers, Read, ReadAnswer, Seen, ServedRole,
    Sight, WriteAnswer,
};
use cortado_replica::FoldState;
use cortado_store::{MemoryStore, Store};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

const N1: NodeId = NodeId(1);
const CLUSTER: ClusterUuid = ClusterUuid(1);

/// Looks at a question before it is answered; may answer in the node's stead.
type Between = Box<dyn FnMut(&Question) -> Option<Result<Answer, CallError>> + Send>;

/// A router to one node that leads every partition, and does what it is asked.
pub(crate) struct ScriptedCluster {
    pub(crate) gateway: Gateway,
    pub(crate) node: Arc<ScriptedNode>,
}

/// What the node keeps.
pub(crate) struct ScriptedNode {
    store: MemoryStore,
    known: Arc<KnownCluster>,
    /// Of the last write.
    sequence: AtomicU64,
    between: Mutex<Option<Between>>,
}

struct OnePeer(Arc<dyn Peer>);

impl Peers for OnePeer {
    fn peer(&self, node: NodeId) -> Option<Arc<dyn Peer>> {
        (node == N1).then(|| Arc::clone(&self.0))
    }

    fn nodes(&self) -> Vec<NodeId> {
        vec![N1]
    }
}

impl ScriptedCluster {
    /// The node is registered; nothing is declared.
    pub(crate) fn new() -> ScriptedCluster {
        let known = Arc::new(KnownCluster::new(CLUSTER, [N1].into(), None));
        let node = Arc::new(ScriptedNode {
            store: MemoryStore::new(),
            known: Arc::clone(&known),
            sequence: AtomicU64::new(0),
            between: Mutex::default(),
        });
        let answering = Arc::clone(&node);
        let peer = FnPeer {
            call: Box::new(move |question| {
                Box::pin(std::future::ready(answering.answer(&question)))
            }),
            at_once: Box::new(|_| None),
            tell: Box::new(|_| {}),
        };
        let wall_clock = || WallMillis(0);
        let gateway = Gateway::new(GatewayParts {
            cluster: known,
            own: None,
            peers: Arc::new(OnePeer(Arc::new(peer))),
            log: Arc::new(SharedMemoryLog::new()),
            wall_clock,
            decisions: Decisions::new(NodeId(0), wall_clock, Counter::default()).0,
            journal_entries_max: 10,
            refusals: Arc::default(),
            metrics: Arc::new(GatewayMetrics::register(&Registry::default())),
        });
        let facts = NodeDocument::of(&NodeFacts {
            node: N1,
            incarnation: NodeIncarnation(1),
            directory: DirectoryUuid(1),
            nonce: 1,
            replaced: false,
            removed: false,
            address: String::new(),
            description: NodeDescription::default(),
        });
        let value = Some(write(&facts).as_bytes().to_vec());
        node.apply(PartitionId::CLUSTER, vec![(NODES, node_key(N1), value)]);
        ScriptedCluster { gateway, node }
    }

    /// From now on `between` looks at every question first.
    pub(crate) fn between(
        &self,
        between: impl FnMut(&Question) -> Option<Result<Answer, CallError>> + Send + 'static,
    ) {
        *self.node.between.lock() = Some(Box::new(between));
    }
}

impl ScriptedNode {
    fn answer(&self, question: &Question) -> Result<Answer, CallError> {
        // The test may do something before the answer.
        let between = self.between.lock().take();
        if let Some(mut between) = between {
            let answer = between(question);
            self.between.lock().get_or_insert(between);
            if let Some(answer) = answer {
                return answer;
            }
        }
        match question {
            Question::Read(Read { partition, look, .. }) => {
                let seen = self.see(*partition, look);
                let (applied, role) = (self.last(), ServedRole::Leader);
                Ok(Answer::Read(ReadAnswer::Seen(Box::new(Sight { seen, applied, role }))))
            }
            Question::Write(asked) => {
                Ok(Answer::Write(self.write(asked.partition, &asked.operations)))
            }
            Question::Report(..) => Ok(Answer::Report(NodeReport {
                incarnation: NodeIncarnation(1),
                address: String::new(),
                sick: None,
                fit: true,
                replicas: Vec::new(),
            })),
            other => panic!("{other:?} is not in the script"),
        }
    }

    /// A document that is stored now.
    pub(crate) fn get(
        &self,
        partition: PartitionId,
        table: TableId,
        key: &DocumentKey,
    ) -> Option<StoredDocument> {
        self.store.get(partition, table, key).unwrap()
    }

    /// Puts and removes documents, as another client does; the catalog shows it.
    pub(crate) fn apply(
        &self,
        partition: PartitionId,
        changes: Vec<(TableId, DocumentKey, Option<Vec<u8>>)>,
    ) {
        self.sequence.fetch_add(1, Ordering::Relaxed);
        let (scn, time) = (self.last(), WallMillis(0));
        let etag = Etag(scn.sequence.0);
        let head = DocumentHead { schema_version: 0, etag, scn, time, expires: None };
        let documents = changes.into_iter().map(|(table, key, value)| {
            (table, key, value.map(|value| StoredDocument::new(head, &value)))
        });
        let mut fold = FoldState::before(cluster_genesis(CLUSTER), LogId::UNKNOWN);
        fold.last = scn;
        let documents = documents.collect();
        let batch = Batch { documents, checkpoint: fold.encode(), ..Batch::default() };
        self.store.apply_one(partition, batch).unwrap();
        let view = self.store.view(PartitionId::CLUSTER).unwrap();
        let catalog = self.known.catalog.newest().newer_in(view.as_ref()).unwrap();
        self.known.catalog.publish(catalog.map(Arc::new), scn);
    }

    fn last(&self) -> Scn {
        let sequence = self.sequence.load(Ordering::Relaxed);
        Scn { generation: Generation(1), sequence: Sequence(sequence) }
    }

    fn see(&self, partition: PartitionId, look: &Look) -> Seen {
        match look {
            Look::Get(table, key) => Seen::Document(self.get(partition, *table, key)),
            Look::Page { range, limit, .. } => {
                let view = self.store.view(partition).unwrap();
                let documents = view.documents(range).take(*limit).map(Result::unwrap).collect();
                Seen::Page(DocumentPage { documents, next: None })
            }
            Look::Position => Seen::Position(self.last()),
            other => panic!("{other:?} is not in the script"),
        }
    }

    fn write(&self, partition: PartitionId, operations: &[Operation]) -> WriteAnswer {
        for (operation, asked) in operations.iter().enumerate() {
            let current = self.get(partition, asked.table, &asked.key);
            let current = current.map(|document| document.head.etag);
            if let Err(unmet) = asked.condition.judge(current) {
                let refusal = Refusal::ConditionFailed { unmet, current };
                return WriteAnswer::Refused(Refused::Operation { operation, refusal });
            }
        }
        let changes = operations.iter().filter_map(|operation| {
            let value = match &operation.action {
                DocumentAction::Put { value } => Some(value.as_bytes().to_vec()),
                DocumentAction::Delete => None,
                DocumentAction::Check => return None,
                other => panic!("{other:?} is not in the script"),
            };
            Some((operation.table, operation.key.clone(), value))
        });
        self.apply(partition, changes.collect());
        let (scn, time) = (self.last(), WallMillis(0));
        let etag = Etag(scn.sequence.0);
        let written = Written { scn, time, etag, results: Vec::new(), repeated: false };
        WriteAnswer::Written(Box::new(written))
    }
}

/// Later than any answer; the tests' clock runs by itself.
pub(crate) fn soon() -> Instant {
    Instant::now() + Duration::from_secs(5)
}
