//! What a write makes of its documents, found out before it stands in its partition's line: others
//! that wait there do not wait for it.
//!
//! What is cheap is done on the spot, and what is not on a thread that may block, for a few writes
//! at a time. Start reading at [`Foresight::of`].

use cortado_document::{Current, DocumentAction, Foreseen, Operation, ValidationBudget};
use cortado_driver::Tables;
use cortado_lanes::StoreLanes;
use cortado_model::{DocumentKey, PartitionId, StoredDocument, TableId};
use cortado_store::Store;
use std::sync::Arc;
use std::thread::available_parallelism;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout_at};
use tracing::error;

/// So many documents are read on the spot, where the store has it so; more of them on threads that
/// may block.
pub(super) const DOCUMENTS_SHORT: usize = 100;
/// Bytes of documents that one write has in memory before it is its turn: as much as a record of
/// the log may hold of what it makes of them.
const FOUND_BYTES_MAX: usize = 16 << 20;

/// Finds out what writes make of their documents.
pub(super) struct Foresight {
    /// Each takes a processor for up to a tenth of a second a document, and some dozen megabytes.
    room: Arc<Semaphore>,
}

/// A write whose documents are known as they were read.
struct Prospect {
    tables: Arc<dyn Tables>,
    operations: Vec<Operation>,
    /// For each operation, the document as it was read; `None` if it was not, or is not there.
    found: Vec<Option<StoredDocument>>,
    foreseen: Vec<Option<Foreseen>>,
}

/// The deadline has passed. Nothing was done.
pub(super) struct Late;

impl Foresight {
    pub(super) fn new() -> Foresight {
        let processors = available_parallelism().map_or(1, usize::from);
        Foresight { room: Arc::new(Semaphore::new(processors)) }
    }

    /// The operations, and of each what it makes of its document; nothing where the leader's task
    /// finds it out as well: without a schema, or if the document is not there.
    pub(super) async fn of(
        &self,
        tables: Arc<dyn Tables>,
        operations: Vec<Operation>,
        partition: PartitionId,
        lanes: &StoreLanes,
        deadline: Instant,
    ) -> Result<(Vec<Operation>, Vec<Option<Foreseen>>), Late> {
        if !operations.iter().any(|operation| is_worth_it(tables.as_ref(), operation)) {
            return Ok((operations, Vec::new()));
        }
        let looking = look(tables.as_ref(), &operations, partition, lanes);
        let found = timeout_at(deadline, looking).await.map_err(|_| Late)?;
        let foreseen = vec![None; operations.len()];
        let mut prospect = Prospect { tables, operations, found, foreseen };
        let is_done = prospect.foresee_briefly();
        if !is_done {
            prospect = self.foresee_at_length(prospect, deadline).await?;
        }
        Ok((prospect.operations, prospect.foreseen))
    }

    async fn foresee_at_length(
        &self,
        mut prospect: Prospect,
        deadline: Instant,
    ) -> Result<Prospect, Late> {
        let room = Arc::clone(&self.room).acquire_owned();
        let permit = timeout_at(deadline, room).await.map_err(|_| Late)?;
        let work = spawn_blocking(move || {
            let in_time = prospect.foresee_fully(deadline);
            // Held until here: the client may have gone, and the work goes on.
            drop(permit);
            in_time.then_some(prospect)
        });
        match work.await {
            // If it is not done in time, nothing is in line yet.
            Ok(prospect) => prospect.ok_or(Late),
            Err(error) => {
                error!(%error, "validation panicked: a defect, please report it");
                Err(Late)
            }
        }
    }
}

impl Prospect {
    /// Foresees what may be found out on the spot. False if there is more.
    fn foresee_briefly(&mut self) -> bool {
        let mut budget = ValidationBudget::brief();
        (0..self.operations.len()).all(|index| {
            self.foresee(index, &mut budget);
            self.foreseen[index].is_some() || !self.is_open(index)
        })
    }

    /// Foresees the rest. False if the deadline passes before.
    fn foresee_fully(&mut self, deadline: Instant) -> bool {
        for index in 0..self.operations.len() {
            if self.foreseen[index].is_none() && self.is_open(index) {
                if Instant::now() >= deadline {
                    return false;
                }
                self.foresee(index, &mut ValidationBudget::full());
            }
        }
        true
    }

    /// Whether there is something to find out.
    fn is_open(&self, index: usize) -> bool {
        let operation = &self.operations[index];
        let is_put = matches!(operation.action, DocumentAction::Put { .. });
        is_worth_it(self.tables.as_ref(), operation) && (is_put || self.found[index].is_some())
    }

    fn foresee(&mut self, index: usize, budget: &mut ValidationBudget) {
        let operation = &self.operations[index];
        if !self.is_open(index) {
            return;
        }
        let schema = self.tables.rules(operation.table).and_then(|rules| rules.schema);
        let found = self.found[index].as_ref();
        let json = found.map(StoredDocument::json);
        let current = found.zip(json.as_ref());
        let current = current.map(|(found, value)| Current { etag: found.head.etag, value });
        self.foreseen[index] = operation.foresee(current, schema, budget);
    }
}

/// Whether an operation may take long: to validate, or to apply up to a thousand steps.
fn is_worth_it(tables: &dyn Tables, operation: &Operation) -> bool {
    let has_schema = || tables.rules(operation.table).is_some_and(|rules| rules.schema.is_some());
    match operation.action {
        DocumentAction::Put { .. } | DocumentAction::Merge { .. } => has_schema(),
        DocumentAction::JsonPatch { .. } => true,
        DocumentAction::Delete | DocumentAction::Check => false,
    }
}

/// For each operation the document as it is stored, if that is what it depends on.
async fn look(
    tables: &dyn Tables,
    operations: &[Operation],
    partition: PartitionId,
    lanes: &StoreLanes,
) -> Vec<Option<StoredDocument>> {
    let mut found = vec![None; operations.len()];
    let is_patch = |operation: &Operation| {
        !matches!(operation.action, DocumentAction::Put { .. }) && is_worth_it(tables, operation)
    };
    let patches = operations.iter().enumerate().filter(|(_, operation)| is_patch(operation));
    let (asked, keys): (Vec<usize>, Vec<(TableId, DocumentKey)>) =
        patches.map(|(index, operation)| (index, (operation.table, operation.key.clone()))).unzip();
    if keys.is_empty() {
        return found;
    }
    let find = move |store: &dyn Store| store.view(partition)?.documents_of(&keys, FOUND_BYTES_MAX);
    let is_short = asked.len() <= DOCUMENTS_SHORT;
    let findings = if is_short { lanes.read(find).await } else { lanes.read_long(find).await };
    // What was not read now is read by the leader's task, which says why if it cannot.
    for (index, document) in asked.into_iter().zip(findings.into_iter().flatten()) {
        found[index] = document;
    }
    found
}
