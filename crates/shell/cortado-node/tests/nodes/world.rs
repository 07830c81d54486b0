//! Three nodes in memory, and the few words in which the stories are told.
//!
//! Only this file knows the API. Start reading at [`World`].

use crate::distance::Distance;
use cortado_document::{Condition, Document, DocumentAction, Operation, TableDefinition};
use cortado_gateway::{
    Consistency, Database, DatabaseSpec, Declared, Gateway, IdempotencyKey, PartitionStatus,
    ReadError, ReadOptions, ReplicaStatus, Served, Table, WriteError, WriteReceipt, WriteRequest,
};
use cortado_log::Log;
use cortado_log::memory::{SharedMemoryBeats, SharedMemoryLog};
use cortado_metrics::Registry;
use cortado_model::limits::IDEMPOTENCY_TTL_MS_MAX;
use cortado_model::{
    Batch, DocumentKey, Entry, EntryRange, Findings, NodeId, PartitionId, RememberedKey, Scn,
    StoredDocument,
};
use cortado_node::{
    Cluster, Components, Founding, MemoryDirectories, NodeDirectories, Nodes, RawSettings,
    StartError, StoreFactory,
};
use cortado_peer::MemoryNetwork;
use cortado_store::{Installer, MemoryStore, Store, StoreError, StoreTraits, View};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::{Instant, interval};

pub(crate) const N1: NodeId = NodeId(1);
pub(crate) const N2: NodeId = NodeId(2);
pub(crate) const N3: NodeId = NodeId(3);

/// Longer than anything here takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn deadline() -> Instant {
    Instant::now() + PATIENCE
}

/// Three nodes that share a log, each with its store.
pub(crate) struct World {
    pub(crate) log: SharedMemoryLog,
    pub(crate) stores: Arc<Stores>,
    pub(crate) metrics: Arc<Registry>,
    pub(crate) cluster: Cluster,
    pub(crate) nodes: Arc<Nodes>,
    pub(crate) gateway: Gateway,
}

/// Puts something between a node and its store.
pub(crate) type Between = Box<dyn Fn(NodeId, Arc<dyn Store>) -> Arc<dyn Store> + Send + Sync>;

/// The stores and identities of all nodes; they outlive the nodes.
#[derive(Default)]
pub(crate) struct Stores {
    stores: Mutex<BTreeMap<NodeId, Arc<MemoryStore>>>,
    /// What stands between a node and its store, if anything does.
    between: Option<Between>,
    /// Why the stores of these nodes cannot be opened.
    pub(crate) broken: Mutex<BTreeMap<NodeId, StoreError>>,
    /// How often it was tried in vain.
    pub(crate) tries_in_vain: Mutex<BTreeMap<NodeId, u32>>,
    /// Whether a store loses everything that was not synced when it is opened again.
    pub(crate) forgetful: std::sync::atomic::AtomicBool,
    /// On which all nodes beat.
    pub(crate) beats: SharedMemoryBeats,
    /// Who the nodes are; what is deleted of the stores leaves it alone.
    pub(crate) directories: Arc<MemoryDirectories>,
}

impl Stores {
    /// Stores with something before each of them.
    pub(crate) fn behind(
        between: impl Fn(NodeId, Arc<dyn Store>) -> Arc<dyn Store> + Send + Sync + 'static,
    ) -> Stores {
        Stores { between: Some(Box::new(between)), ..Stores::default() }
    }

    pub(crate) fn of(&self, node: NodeId) -> Arc<MemoryStore> {
        Arc::clone(self.stores.lock().unwrap().entry(node).or_default())
    }

    /// What a process over these is built from.
    pub(crate) fn components(
        self: &Arc<Self>,
        log: Arc<dyn Log>,
        metrics: Arc<Registry>,
    ) -> Components {
        Components {
            log,
            beats: Arc::new(self.beats.clone()),
            network: Arc::new(MemoryNetwork::default()),
            stores: Arc::clone(self) as Arc<dyn StoreFactory>,
            directories: Arc::clone(&self.directories) as Arc<dyn NodeDirectories>,
            metrics,
            warnings: Vec::new(),
            founding: Founding::Create,
            belongs_to: None,
        }
    }

    /// As if the operator had deleted the directory.
    pub(crate) fn delete(&self, node: NodeId) {
        self.stores.lock().unwrap().remove(&node);
    }
}

impl StoreFactory for Stores {
    fn open(&self, node: NodeId) -> Result<Arc<dyn Store>, StoreError> {
        if let Some(why) = self.broken.lock().unwrap().get(&node) {
            *self.tries_in_vain.lock().unwrap().entry(node).or_default() += 1;
            return Err(why.clone());
        }
        let store = self.of(node);
        let forgetful = self.forgetful.load(std::sync::atomic::Ordering::Relaxed);
        store.crash(|_, steps| if forgetful { steps } else { 0 });
        let opened = Arc::new(Opened(store));
        Ok(match &self.between {
            Some(between) => between(node, opened),
            None => opened,
        })
    }
}

/// A store while a node has it open.
struct Opened(Arc<MemoryStore>);

impl Store for Opened {
    fn traits(&self) -> StoreTraits {
        self.0.traits()
    }
    fn partitions(&self) -> Result<Vec<PartitionId>, StoreError> {
        self.0.partitions()
    }
    fn apply(&self, batches: Vec<(PartitionId, Batch)>) -> Result<(), StoreError> {
        self.0.apply(batches)
    }
    fn view(&self, partition: PartitionId) -> Result<Box<dyn View>, StoreError> {
        self.0.view(partition)
    }
    fn get(
        &self,
        partition: PartitionId,
        table: cortado_model::TableId,
        key: &DocumentKey,
    ) -> Result<Option<StoredDocument>, StoreError> {
        self.0.get(partition, table, key)
    }
    fn find(
        &self,
        partition: PartitionId,
        keys: &[(cortado_model::TableId, DocumentKey)],
        names: &[RememberedKey],
    ) -> Result<Findings, StoreError> {
        self.0.find(partition, keys, names)
    }
    fn remove(&self, partition: PartitionId) -> Result<(), StoreError> {
        self.0.remove(partition)
    }
    fn install(
        &self,
        partition: PartitionId,
        entries: &mut dyn Iterator<Item = Result<Entry, StoreError>>,
        checkpoint: bytes::Bytes,
    ) -> Result<(), StoreError> {
        self.0.install(partition, entries, checkpoint)
    }
    fn installer<'a>(
        &'a self,
        partition: PartitionId,
        name: &[u8],
    ) -> Result<Box<dyn Installer + 'a>, StoreError> {
        self.0.installer(partition, name)
    }
    fn has_room(&self) -> bool {
        self.0.has_room()
    }

    fn check_space(&self) -> Result<(), StoreError> {
        self.0.check_space()
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.0.sync()
    }
}

/// Quick to suspect, so that no story takes long; a wrong suspicion costs a moment only.
pub(crate) fn settings() -> RawSettings {
    let mut raw = RawSettings::default();
    raw.detection.beat_ms = Some(50);
    raw.detection.dead_after_ms = Some(300);
    raw.detection.stagger_ms = Some(150);
    raw
}

/// Shows what the nodes log, if `CORTADO_TEST_LOG` is set.
fn show_log() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        if std::env::var_os("CORTADO_TEST_LOG").is_some() {
            tracing_subscriber::fmt().with_max_level(tracing::Level::INFO).init();
        }
    });
}

impl World {
    pub(crate) async fn start() -> World {
        World::start_with(settings()).await
    }

    /// With stores that are distant, and keep back what they are told to.
    pub(crate) async fn distant(log: SharedMemoryLog, raw: RawSettings) -> (World, Arc<Distance>) {
        let distance = Arc::<Distance>::default();
        let between = Arc::clone(&distance);
        let stores = Stores::behind(move |node, store| between.to(node, store));
        let world = World::over(log, Arc::new(stores), raw).await;
        (world, distance)
    }

    pub(crate) async fn start_with(raw: RawSettings) -> World {
        World::over(SharedMemoryLog::new(), Arc::default(), raw).await
    }

    /// A new process over what an earlier one has left.
    pub(crate) async fn over(log: SharedMemoryLog, stores: Arc<Stores>, raw: RawSettings) -> World {
        World::try_over(log, stores, raw, Founding::Create).await.unwrap()
    }

    /// The same, which may be refused.
    pub(crate) async fn try_over(
        log: SharedMemoryLog,
        stores: Arc<Stores>,
        raw: RawSettings,
        founding: Founding,
    ) -> Result<World, StartError> {
        show_log();
        let settings = raw.validate().unwrap();
        let metrics = Arc::new(Registry::default());
        let (shared, of_process) = (Arc::new(log.clone()), Arc::clone(&metrics));
        let components = Components { founding, ..stores.components(shared, of_process) };
        let cluster = Cluster::start(settings, components).await?;
        let (nodes, gateway) = (cluster.nodes(), cluster.gateway());
        Ok(World { log, stores, metrics, cluster, nodes, gateway })
    }

    /// Ends the process in good order; what it leaves.
    pub(crate) async fn shutdown(self) -> (SharedMemoryLog, Arc<Stores>) {
        self.cluster.shutdown().await;
        (self.log, self.stores)
    }

    /// A database with one table, `album`, of the key `artist, title`.
    pub(crate) async fn music(&self, partitions: u32) -> Music {
        self.music_on(partitions, None).await
    }

    /// The same, with each partition on `replication` nodes.
    pub(crate) async fn music_on(&self, partitions: u32, replication: Option<u32>) -> Music {
        let key = vec!["artist".to_owned(), "title".to_owned()];
        let album = TableDefinition::new(key, None).unwrap();
        let spec = DatabaseSpec {
            partitions: Some(partitions),
            replication,
            tables: BTreeMap::from([("album".to_owned(), album)]),
            ..DatabaseSpec::default()
        };
        let created = self.gateway.create_database("music", spec, deadline()).await.unwrap();
        let (Declared::Created(database)
        | Declared::Existing(database)
        | Declared::Changed(database)) = created;
        Music::of(&self.gateway, database)
    }
}

/// A database under test.
#[derive(Clone)]
pub(crate) struct Music {
    pub(crate) gateway: Gateway,
    pub(crate) database: Arc<Database>,
    pub(crate) album: Arc<Table>,
}

pub(crate) fn key(artist: &str, title: &str) -> DocumentKey {
    DocumentKey::from_parts(&[artist, title]).unwrap()
}

pub(crate) fn document(text: &str) -> Document {
    Document::parse(bytes::Bytes::copy_from_slice(text.as_bytes())).unwrap()
}

pub(crate) fn idempotency(name: &str, fingerprint: u128) -> IdempotencyKey {
    IdempotencyKey {
        key: bytes::Bytes::copy_from_slice(name.as_bytes()),
        fingerprint,
        ttl_ms: IDEMPOTENCY_TTL_MS_MAX,
    }
}

pub(crate) fn read(consistency: Consistency) -> ReadOptions {
    ReadOptions { consistency, at_least: None, deadline: deadline() }
}

impl Music {
    pub(crate) fn of(gateway: &Gateway, database: Arc<Database>) -> Music {
        let album = Arc::clone(database.table("album").unwrap());
        Music { gateway: gateway.clone(), database, album }
    }

    /// The same database as another process shows it.
    pub(crate) fn again(world: &World) -> Music {
        let catalog = world.gateway.catalog();
        Music::of(&world.gateway, Arc::clone(catalog.database("music").unwrap()))
    }

    pub(crate) fn operation(
        &self,
        key: DocumentKey,
        action: DocumentAction,
        condition: Condition,
    ) -> Operation {
        Operation { table: self.album.id, key, action, condition }
    }

    pub(crate) fn putting(&self, artist: &str, title: &str, value: &str) -> Operation {
        let value = document(value);
        self.operation(key(artist, title), DocumentAction::Put { value }, Condition::default())
    }

    pub(crate) async fn write(
        &self,
        operations: Vec<Operation>,
        idempotency: Option<IdempotencyKey>,
    ) -> Result<WriteReceipt, WriteError> {
        let request = WriteRequest { operations, idempotency, deadline: deadline() };
        self.gateway.write(&self.database, request).await
    }

    pub(crate) async fn put(
        &self,
        artist: &str,
        title: &str,
        value: &str,
    ) -> Result<WriteReceipt, WriteError> {
        self.write(vec![self.putting(artist, title, value)], None).await
    }

    pub(crate) async fn get_with(
        &self,
        artist: &str,
        title: &str,
        read: &ReadOptions,
    ) -> Result<Served<Option<StoredDocument>>, ReadError> {
        self.gateway.get(&self.database, &self.album, &key(artist, title), read).await
    }

    /// The value of a document, read at the strongest level.
    pub(crate) async fn get(&self, artist: &str, title: &str) -> Option<String> {
        let served = self.get_with(artist, title, &read(Consistency::Strong)).await.unwrap();
        served.value.map(|document| String::from_utf8(document.json().to_vec()).unwrap())
    }

    pub(crate) fn partition_of(&self, artist: &str) -> PartitionId {
        let number = self.database.partition_of(&key(artist, "x"));
        PartitionId { database: self.database.id, number }
    }

    /// The leader of each partition, in order of numbers.
    pub(crate) async fn leaders(&self) -> Vec<Option<NodeId>> {
        self.partitions().await.into_iter().map(|partition| partition.leader).collect()
    }

    /// Waits until every partition is served by one of `nodes`.
    pub(crate) async fn await_leaders(&self, nodes: &[NodeId]) {
        eventually_asking("every partition is served", async || {
            self.leaders().await.iter().all(|l| l.is_some_and(|l| nodes.contains(&l)))
        })
        .await;
    }

    /// Waits until every replica on every node has applied what the logs hold; writes may go on.
    pub(crate) async fn await_complete(&self) {
        let ends: Vec<_> =
            self.partitions().await.into_iter().map(|partition| partition.end).collect();
        eventually_asking("every replica is complete", async || {
            self.partitions().await.iter().zip(&ends).all(|(partition, end)| {
                let complete = |replica: &ReplicaStatus| {
                    let folded = partition.end.0 - replica.lag_records;
                    // A node that does not run has applied nothing.
                    replica.applied > Scn::ZERO && folded >= end.0
                };
                partition.replicas.iter().all(complete)
            })
        })
        .await;
    }

    pub(crate) async fn partitions(&self) -> Vec<PartitionStatus> {
        let status = self.gateway.status().await;
        status.databases.into_iter().find(|d| d.name == "music").unwrap().partitions
    }
}

/// Waits until `holds`, looking again and again.
pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    eventually_asking(what, async || holds()).await;
}

/// Waits until `holds`, which asks a node for it, again and again.
pub(crate) async fn eventually_asking(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let give_up_at = deadline();
    let mut look_again = interval(Duration::from_millis(5));
    while !holds().await {
        assert!(Instant::now() < give_up_at, "not so after {PATIENCE:?}: {what}");
        look_again.tick().await;
    }
}

/// What a node's store holds of a partition's documents: key and value.
pub(crate) fn stored(
    store: &MemoryStore,
    music: &Music,
    partition: PartitionId,
) -> Vec<(String, String)> {
    let view = store.view(partition).unwrap();
    let range = EntryRange::documents(music.album.id, &[]);
    let text = |found: Result<(DocumentKey, StoredDocument), StoreError>| {
        let (key, document) = found.unwrap();
        (format!("{key:?}"), String::from_utf8(document.json().to_vec()).unwrap())
    };
    view.documents(&range).map(text).collect()
}
