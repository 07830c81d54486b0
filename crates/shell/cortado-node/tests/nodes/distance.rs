//! Stores that must not be read on a runtime thread, note which threads do, and keep back what
//! they are told to.
//!
//! Start reading at [`Distance`].

use bytes::Bytes;
use cortado_model::{
    Batch, DatabaseId, DocumentKey, Entry, Findings, NodeId, PartitionId, RememberedKey,
    StoredDocument, TableId,
};
use cortado_store::{Installer, Store, StoreError, StoreTraits, View};
use std::collections::BTreeSet;
use std::sync::{Arc, Condvar, Mutex};

/// What lies between nodes and their stores.
#[derive(Default)]
pub(crate) struct Distance {
    state: Mutex<State>,
    let_go: Condvar,
}

#[derive(Default)]
struct State {
    held: BTreeSet<Call>,
    /// Calls that are kept back now.
    waiting: Vec<Call>,
    /// The threads on which partitions of clients were read, once they are noted.
    read_on: Option<BTreeSet<String>>,
}

/// A call that can be kept back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Call {
    /// A batch of this node, whatever is in it.
    Apply(NodeId),
    /// A reader looks for a document of this resource.
    Get(&'static str),
    /// A leader looks up what a write of this resource rests on.
    Find(&'static str),
}

/// Keeps a call back for as long as it is kept itself.
pub(crate) struct Held {
    distance: Arc<Distance>,
    call: Call,
}

impl Distance {
    /// The store of a node, behind this.
    pub(crate) fn to(self: &Arc<Self>, node: NodeId, store: Arc<dyn Store>) -> Arc<dyn Store> {
        Arc::new(Distant { distance: Arc::clone(self), node, store })
    }

    pub(crate) fn hold(self: &Arc<Self>, call: Call) -> Held {
        self.state.lock().unwrap().held.insert(call);
        Held { distance: Arc::clone(self), call }
    }

    /// Whether such a call waits to be let go.
    pub(crate) fn keeps(&self, call: Call) -> bool {
        self.state.lock().unwrap().waiting.contains(&call)
    }

    /// Notes from now on which threads read.
    pub(crate) fn watch(&self) {
        self.state.lock().unwrap().read_on = Some(BTreeSet::new());
    }

    /// The names of the threads that have read since.
    pub(crate) fn read_on(&self) -> BTreeSet<String> {
        self.state.lock().unwrap().read_on.take().unwrap()
    }

    /// Waits while such calls are kept back.
    fn pass(&self, is: impl Fn(&Call) -> bool) {
        let mut state = self.state.lock().unwrap();
        while let Some(call) = state.held.iter().copied().find(&is) {
            state.waiting.push(call);
            state = self.let_go.wait(state).unwrap();
            let place = state.waiting.iter().position(|waiting| *waiting == call).unwrap();
            state.waiting.swap_remove(place);
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.distance.state.lock().unwrap().held.remove(&self.call);
        self.distance.let_go.notify_all();
    }
}

struct Distant {
    distance: Arc<Distance>,
    node: NodeId,
    store: Arc<dyn Store>,
}

impl Distant {
    fn read(&self, partition: PartitionId) -> &dyn Store {
        let name = std::thread::current().name().unwrap_or("without a name").to_owned();
        // Decisions are written to the journal, the first database, whenever there are some.
        if partition.database > DatabaseId(1)
            && let Some(threads) = self.distance.state.lock().unwrap().read_on.as_mut()
        {
            threads.insert(name);
        }
        self.store.as_ref()
    }
}

impl Store for Distant {
    fn traits(&self) -> StoreTraits {
        StoreTraits { reads_inline: false, ..self.store.traits() }
    }
    fn partitions(&self) -> Result<Vec<PartitionId>, StoreError> {
        self.store.partitions()
    }
    fn apply(&self, batches: Vec<(PartitionId, Batch)>) -> Result<(), StoreError> {
        self.distance.pass(|call| *call == Call::Apply(self.node));
        self.store.apply(batches)
    }
    fn view(&self, partition: PartitionId) -> Result<Box<dyn View>, StoreError> {
        self.read(partition).view(partition)
    }
    fn get(
        &self,
        partition: PartitionId,
        table: TableId,
        key: &DocumentKey,
    ) -> Result<Option<StoredDocument>, StoreError> {
        self.distance.pass(|call| matches!(call, Call::Get(held) if *held == key.resource()));
        self.read(partition).get(partition, table, key)
    }
    fn find(
        &self,
        partition: PartitionId,
        keys: &[(TableId, DocumentKey)],
        names: &[RememberedKey],
    ) -> Result<Findings, StoreError> {
        let of = |held: &str| keys.iter().any(|(_, key)| key.resource() == held);
        self.distance.pass(|call| matches!(call, Call::Find(held) if of(held)));
        self.read(partition).find(partition, keys, names)
    }
    fn remove(&self, partition: PartitionId) -> Result<(), StoreError> {
        self.store.remove(partition)
    }
    fn install(
        &self,
        partition: PartitionId,
        entries: &mut dyn Iterator<Item = Result<Entry, StoreError>>,
        checkpoint: Bytes,
    ) -> Result<(), StoreError> {
        self.store.install(partition, entries, checkpoint)
    }
    fn installer<'a>(
        &'a self,
        partition: PartitionId,
        name: &[u8],
    ) -> Result<Box<dyn Installer + 'a>, StoreError> {
        self.store.installer(partition, name)
    }
    fn check_space(&self) -> Result<(), StoreError> {
        self.store.check_space()
    }
    fn sync(&self) -> Result<(), StoreError> {
        self.store.sync()
    }
}
