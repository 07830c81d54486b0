//! Stores that must not be read on a runtime thread: who serves clients does not.

use crate::world::{Between, Music, Stores, World, deadline, eventually_asking, read, settings};
use bytes::Bytes;
use cortado_gateway::{
    Changes, Consistency, ListRequest, ReadError, ReadOptions, ScanRequest, Unserved,
};
use cortado_log::memory::SharedMemoryLog;
use cortado_model::{
    Batch, DatabaseId, DocumentKey, Entry, Found, PartitionId, RememberedKey, Scn, StoredDocument,
    TableId,
};
use cortado_store::{Installer, Slow, Store, StoreError, StoreTraits, View};
use std::collections::BTreeSet;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;
use tokio::time::Instant;

/// The threads on which partitions of clients were read, while somebody wants to know.
static READ_ON: Mutex<Option<BTreeSet<String>>> = Mutex::new(None);

/// Whether documents of the artist `held` are kept back, and the end of that.
static HELD: (Mutex<bool>, Condvar) = (Mutex::new(false), Condvar::new());

/// A store that is not to be read inline, and sees who reads it.
struct Distant(Arc<dyn Store>);

impl Distant {
    fn read(&self, partition: PartitionId) -> &dyn Store {
        let name = std::thread::current().name().unwrap_or("without a name").to_owned();
        // Decisions are written to the journal, the first database, whenever there are some.
        if partition.database > DatabaseId(1)
            && let Some(threads) = READ_ON.lock().unwrap().as_mut()
        {
            threads.insert(name);
        }
        self.0.as_ref()
    }
}

impl Store for Distant {
    fn traits(&self) -> StoreTraits {
        StoreTraits { reads_inline: false, ..self.0.traits() }
    }
    fn partitions(&self) -> Result<Vec<PartitionId>, StoreError> {
        self.0.partitions()
    }
    fn apply(&self, batches: Vec<(PartitionId, Batch)>) -> Result<(), StoreError> {
        self.0.apply(batches)
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
        if key.resource() == "held" {
            let held = HELD.1.wait_while(HELD.0.lock().unwrap(), |held| *held);
            drop(held.unwrap());
        }
        self.read(partition).get(partition, table, key)
    }
    fn find(
        &self,
        partition: PartitionId,
        keys: &[(TableId, DocumentKey)],
        name: Option<&RememberedKey>,
    ) -> Result<Found, StoreError> {
        self.read(partition).find(partition, keys, name)
    }
    fn remove(&self, partition: PartitionId) -> Result<(), StoreError> {
        self.0.remove(partition)
    }
    fn install(
        &self,
        partition: PartitionId,
        entries: &mut dyn Iterator<Item = Result<Entry, StoreError>>,
        checkpoint: Bytes,
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
    fn sync(&self) -> Result<(), StoreError> {
        self.0.sync()
    }
}

async fn world(between: Between) -> World {
    World::over(SharedMemoryLog::new(), Arc::new(Stores::behind(between)), settings()).await
}

/// How many titles a page of a collection shows.
async fn list(music: &Music, limit: usize) -> usize {
    let prefix = DocumentKey::from_parts(&["cher"]).unwrap();
    let list = ListRequest { prefix, after: None, descending: false, limit };
    let strong = read(Consistency::Strong);
    let page = music.gateway.list(&music.database, &music.album, &list, &strong).await.unwrap();
    page.value.documents.len()
}

async fn scan(music: &Music) -> usize {
    let scan = ScanRequest { position: None, limit: 50 };
    let strong = read(Consistency::Strong);
    let page = music.gateway.scan(&music.database, &music.album, &scan, &strong).await.unwrap();
    page.documents.len()
}

async fn batch_get(music: &Music, count: usize) -> usize {
    let key = |n| DocumentKey::from_parts(&["cher".to_owned(), format!("t{n}")]).unwrap();
    let keys: Vec<_> = (0..count).map(|n| (music.album.id, key(n))).collect();
    let strong = read(Consistency::Strong);
    let found = music.gateway.batch_get(&music.database, &keys, |_| None, &strong).await;
    found.into_iter().filter(|served| served.as_ref().unwrap().value.is_some()).count()
}

/// Every way to read that the gateway has.
async fn read_everything(music: &Music, at_least: Scn) {
    assert!(music.get("cher", "t7").await.is_some());
    assert!(music.get("cher", "nothing").await.is_none());
    let session = ReadOptions { at_least: Some(at_least), ..read(Consistency::Session) };
    assert!(music.get_with("cher", "t7", &session).await.unwrap().value.is_some());
    assert_eq!((list(music, 10).await, list(music, 150).await), (10, 120));
    assert_eq!(scan(music).await, 50);
    assert_eq!((batch_get(music, 3).await, batch_get(music, 120).await), (3, 120));
    let number = music.partition_of("cher").number;
    let changes = music.gateway.changes(&music.database, number, Scn::ZERO, deadline());
    let first = changes.await.unwrap().next(Instant::now()).await.unwrap();
    assert!(matches!(first, Changes::Transactions(_)), "{first:?}");
    let told = async || !music.gateway.events(None, 10, deadline()).await.unwrap().is_empty();
    eventually_asking("the journal tells something", told).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_are_served_without_reading_on_a_runtime_thread() {
    let world = world(|store| Arc::new(Distant(store))).await;
    let music = world.music(2).await;
    let mut last = Scn::ZERO;
    for number in 0..120 {
        last = music.put("cher", &format!("t{number}"), "{}").await.unwrap().scn;
    }
    music.await_complete().await;
    *READ_ON.lock().unwrap() = Some(BTreeSet::new());
    read_everything(&music, last).await;
    let threads = READ_ON.lock().unwrap().take().unwrap();
    assert!(!threads.is_empty(), "there was something to read");
    assert!(threads.iter().all(|name| name.contains("-read")), "{threads:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_does_not_answer_holds_up_only_who_waits_for_it() {
    let world = world(|store| Arc::new(Distant(store))).await;
    let music = world.music(1).await;
    music.put("held", "x", "{}").await.unwrap();
    music.put("cher", "x", "{}").await.unwrap();
    *HELD.0.lock().unwrap() = true;
    let soon = Instant::now() + Duration::from_millis(100);
    let hurried = ReadOptions { deadline: soon, ..read(Consistency::Strong) };
    let refused = music.get_with("held", "x", &hurried).await;
    let Err(ReadError::Unserved { why, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!(why, Unserved::StoreLate);
    // More of them than threads that serve clients.
    let waiting = std::iter::repeat_n(music.clone(), 4);
    let waiting = waiting.map(|music| tokio::spawn(async move { music.get("held", "x").await }));
    let waiting: Vec<_> = waiting.collect();
    for _ in 0..20 {
        assert!(music.get("cher", "x").await.is_some());
    }
    *HELD.0.lock().unwrap() = false;
    HELD.1.notify_all();
    for held in waiting {
        assert!(held.await.unwrap().is_some());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_stores_lose_nothing() {
    let world = world(|store| Arc::new(Slow::new(store, 7))).await;
    let music = world.music(1).await;
    let (writer, other) = (music.clone(), music.clone());
    let writes = tokio::spawn(async move {
        for number in 0..20 {
            writer.put("cher", &format!("t{number}"), "{}").await.unwrap();
        }
    });
    let reads = tokio::spawn(async move {
        while list(&other, 150).await < 20 {
            assert!(batch_get(&other, 20).await <= 20);
        }
    });
    writes.await.unwrap();
    reads.await.unwrap();
    assert_eq!(scan(&music).await, 20);
}
