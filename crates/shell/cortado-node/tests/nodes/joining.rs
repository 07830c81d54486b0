//! Nodes that join one after the other, as processes of their own would: named, and seated by what
//! `_cluster` says.

use crate::world::{Music, Stores, deadline, eventually, eventually_asking, settings};
use cortado_document::TableDefinition;
use cortado_gateway::{DatabaseSpec, Declared, NodeDescription, NodeFacts};
use cortado_log::Log;
use cortado_log::memory::SharedMemoryBeats;
use cortado_log::memory::SharedMemoryLog;
use cortado_metrics::Registry;
use cortado_model::{ClusterUuid, NodeId, PartitionId};
use cortado_node::{
    Cluster, Components, DirectoryError, Founding, IdentityError, NodeSeats, RawSettings,
    SeatError, StartError, begin_cluster,
};
use cortado_peer::{
    MemoryNetwork, Peer, PeerLife, PeerNetwork, PeerPlace, PeerPlaceError, PeerWhereabouts, Peers,
    Pending,
};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// What processes share: the log, the beats, the network.
pub(crate) struct Site {
    pub(crate) log: SharedMemoryLog,
    beats: SharedMemoryBeats,
    network: Arc<MemoryNetwork>,
    /// What every process is told, but for its name.
    pub(crate) raw: RawSettings,
}

/// What one data directory holds.
#[derive(Clone, Default)]
pub(crate) struct Directory {
    stores: Arc<Stores>,
    seat: Arc<Mutex<Option<NodeId>>>,
}

impl NodeSeats for Directory {
    fn taken(&self, _: &str) -> Result<Option<NodeId>, DirectoryError> {
        Ok(*self.seat.lock().unwrap())
    }

    fn take(&self, _: &str, node: NodeId) -> Result<(), DirectoryError> {
        *self.seat.lock().unwrap() = Some(node);
        Ok(())
    }
}

impl Directory {
    pub(crate) fn node(&self) -> NodeId {
        self.seat.lock().unwrap().unwrap()
    }
}

impl Site {
    pub(crate) async fn begun() -> Site {
        let log = SharedMemoryLog::new();
        let (_, is_new) = begin_cluster(&log).await.unwrap();
        assert!(is_new);
        Site::over(log)
    }

    fn over(log: SharedMemoryLog) -> Site {
        let (beats, network) = (SharedMemoryBeats::default(), Arc::default());
        Site { log, beats, network, raw: settings() }
    }

    /// A process with a node, or without one.
    pub(crate) async fn join(
        &self,
        name: &str,
        directory: Option<&Directory>,
    ) -> Result<Cluster, StartError> {
        self.join_by(Arc::clone(&self.network) as Arc<_>, name, directory).await
    }

    /// The same by a network of its own.
    async fn join_by(
        &self,
        network: Arc<dyn PeerNetwork>,
        name: &str,
        directory: Option<&Directory>,
    ) -> Result<Cluster, StartError> {
        let mut raw = self.raw.clone();
        raw.description = NodeDescription { name: name.to_owned(), ..NodeDescription::default() };
        let stores = directory.map(|directory| Arc::clone(&directory.stores)).unwrap_or_default();
        let components = Components {
            beats: Arc::new(self.beats.clone()),
            network,
            founding: Founding::Join,
            belongs_to: None,
            ..stores.components(Arc::new(self.log.clone()), Arc::new(Registry::default()))
        };
        let seats = directory.map(|directory| Arc::new(directory.clone()) as Arc<dyn NodeSeats>);
        Cluster::join(raw.validate().unwrap(), components, seats).await
    }

    /// Nodes of these names, and a router.
    pub(crate) async fn nodes<const N: usize>(&self, names: [&str; N]) -> (Vec<Cluster>, Cluster) {
        let mut joined = Vec::new();
        for name in names {
            joined.push(self.join(name, Some(&Directory::default())).await.unwrap());
        }
        let router = self.join("", None).await.unwrap();
        eventually("the nodes are there", || members(&router).len() == N).await;
        (joined, router)
    }
}

/// The names of the members, as `cluster` knows them.
fn members(cluster: &Cluster) -> Vec<String> {
    let catalog = cluster.gateway().catalog();
    catalog.nodes().filter(|facts| !facts.removed).map(NodeFacts::name).collect()
}

fn facts(cluster: &Cluster, name: &str) -> Option<NodeFacts> {
    cluster.gateway().catalog().node_named(name).cloned()
}

async fn music(cluster: &Cluster) -> Music {
    let key = vec!["artist".to_owned(), "title".to_owned()];
    let album = TableDefinition::new(key, None).unwrap();
    let tables = BTreeMap::from([("album".to_owned(), album)]);
    let spec = DatabaseSpec { partitions: Some(6), tables, ..DatabaseSpec::default() };
    let created = cluster.gateway().create_database("music", spec, deadline()).await.unwrap();
    let Declared::Created(database) = created else { panic!("it is there already") };
    Music::of(&cluster.gateway(), database)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_join_by_the_log_and_a_router_finds_them() {
    let site = Site::begun().await;
    let (nodes, router) = site.nodes(["tokyo-1", "tokyo-2", "osaka-1"]).await;
    eventually("the router is ready", || router.nodes().ready().is_ok()).await;
    eventually("the journal is there", || router.gateway().catalog().journal().is_some()).await;
    let music = music(&router).await;
    music.put("a", "t", "{}").await.unwrap();
    for node in &nodes {
        eventually("the node is ready", || node.nodes().ready().is_ok()).await;
    }
    let ids: Vec<NodeId> = router.gateway().catalog().members().collect();
    assert!(ids.iter().all(|id| id.0 != 0 && id.0 < 1 << 31), "{ids:?}");
    // What operators read calls nodes by their names.
    let catalog = router.gateway().catalog();
    let id = catalog.node_named("osaka-1").unwrap().node;
    let text = catalog.with_node_names(&format!("handed over to {id}; {id}9 is none"));
    assert_eq!(text, format!("handed over to osaka-1; {id}9 is none"));
    // Nodes leave one after the other, and hand over first: no write fails.
    for node in nodes.into_iter().take(2) {
        node.hand_over(deadline()).await;
        music.put("a", "t", "{}").await.unwrap();
        node.shutdown().await;
        music.put("a", "t", "{}").await.unwrap();
    }
}

/// The first node waits for others, and goes on without them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_journal_of_a_node_that_began_alone_spreads_over_those_that_join() {
    let site = Site::begun().await;
    let first = site.join("a", Some(&Directory::default())).await.unwrap();
    let gateway = first.gateway();
    let replicas = || {
        let journal = gateway.catalog().journal().cloned();
        journal.map_or(Vec::new(), |journal| {
            (0..journal.partitions).map(|number| journal.placement(number).len()).collect()
        })
    };
    eventually("the journal is there", || replicas() == [1; 4]).await;
    let mut joined = Vec::new();
    for (name, wanted) in [("b", 2), ("c", 3)] {
        joined.push(site.join(name, Some(&Directory::default())).await.unwrap());
        eventually("it is to hold the journal, too", || replicas() == [wanted; 4]).await;
    }
    // Each of them can lead it: who is drained leads nothing that another one can.
    let journal_is_led_by = async |name: &str| {
        let node = gateway.catalog().node_named(name).map(|facts| facts.node);
        let status = gateway.status().await;
        let journal = status.databases.iter().find(|database| database.name == "_journal");
        journal.is_some_and(|journal| journal.partitions.iter().all(|one| one.leader == node))
    };
    for (drained, leads) in [(["a", "b"], "c"), (["a", "c"], "b")] {
        for name in ["a", "b", "c"] {
            let node = gateway.catalog().node_named(name).unwrap().node;
            if drained.contains(&name) {
                gateway.drain_node(node, deadline()).await.unwrap();
            } else {
                gateway.resume_node(node, deadline()).await.unwrap();
            }
        }
        eventually_asking("it leads the journal", async || journal_is_led_by(leads).await).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_joins_a_cluster_that_was_not_begun() {
    let site = Site::over(SharedMemoryLog::new());
    let refused = site.join("a", Some(&Directory::default())).await.map(|_| ());
    assert!(matches!(refused, Err(StartError::Identity(IdentityError::LogEmpty))), "{refused:?}");
    let (cluster, is_new) = begin_cluster(&site.log).await.unwrap();
    assert!(is_new);
    assert_eq!(begin_cluster(&site.log).await.unwrap(), (cluster, false));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_directory_takes_a_name_over_when_its_node_was_replaced() {
    let site = Site::begun().await;
    let (mut nodes, router) = site.nodes(["a", "b"]).await;
    let before = facts(&router, "b").unwrap();
    let refused = site.join("b", Some(&Directory::default())).await.map(|_| ());
    let Err(StartError::Name(SeatError::NameTaken { name, holder })) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!((name.as_str(), holder), ("b", before.directory));

    nodes.pop().unwrap().shutdown().await;
    let gateway = router.gateway();
    gateway.replace_node(before.node, deadline()).await.unwrap();
    let successor = Directory::default();
    let node = site.join("b", Some(&successor)).await.unwrap();
    assert_eq!(successor.node(), before.node);
    eventually("the successor holds the name", || {
        let facts = facts(&router, "b").unwrap();
        facts.directory != before.directory && facts.incarnation > before.incarnation
    })
    .await;
    assert!(!facts(&router, "b").unwrap().replaced);
    eventually("it is ready", || node.nodes().ready().is_ok()).await;
    // The same directory comes back as the same node.
    node.shutdown().await;
    let node = site.join("b", Some(&successor)).await.unwrap();
    eventually("it is ready again", || node.nodes().ready().is_ok()).await;
    assert_eq!(successor.node(), before.node);
    assert_eq!(members(&router).len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_directories_that_start_under_one_name_one_holds_it() {
    let site = Site::begun().await;
    let (_others, router) = site.nodes(["a", "b"]).await;
    let directories = [Directory::default(), Directory::default()];
    let [first, second] = &directories;
    let joined = tokio::join!(site.join("twin", Some(first)), site.join("twin", Some(second)));
    // Who has seen the other one's registration is refused at once, and the other one later.
    let (mut living, mut refused) = (Vec::new(), 0);
    for cluster in [joined.0, joined.1] {
        match cluster {
            Ok(cluster) => living.push(cluster),
            Err(StartError::Name(_)) => refused += 1,
            Err(error) => panic!("{error:?}"),
        }
    }
    eventually("one holds the name", || facts(&router, "twin").is_some()).await;
    let holder = facts(&router, "twin").unwrap().node;
    let mut ready = 0;
    for cluster in &living {
        tokio::select! {
            why = cluster.refused() => {
                assert!(why.contains("cortado node replace"), "{why}");
                refused += 1;
            }
            () = eventually("it is ready", || cluster.nodes().ready().is_ok()) => ready += 1,
        }
    }
    assert_eq!((ready, refused), (1, 1));
    assert!(directories.iter().any(|directory| directory.node() == holder));
    assert_eq!(members(&router).iter().filter(|name| *name == "twin").count(), 1);
}

/// As between processes: nobody reaches a router.
struct RoutersAreNotAsked(Arc<MemoryNetwork>);

struct NotAsked(Arc<dyn PeerPlace>);

impl PeerNetwork for RoutersAreNotAsked {
    fn enter(&self, life: PeerLife) -> Arc<dyn PeerPlace> {
        let place = self.0.enter(life);
        if life.is_asked { place } else { Arc::new(NotAsked(place)) }
    }

    fn seek_cluster(&self) -> Pending<'_, Option<ClusterUuid>> {
        self.0.seek_cluster()
    }
}

impl PeerPlace for NotAsked {
    fn peers(&self) -> Arc<dyn Peers> {
        self.0.peers()
    }

    fn serve(&self, _: Arc<dyn Peer>) -> Pending<'_, Result<(), PeerPlaceError>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn address(&self) -> String {
        String::new()
    }

    fn know(&self, _: &[PeerWhereabouts]) {}

    fn leave(&self) -> Pending<'_, ()> {
        self.0.leave()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_after_the_log_was_trimmed_copies_it_from_a_node() {
    let site = Site::begun().await;
    let (nodes, router) = site.nodes(["a", "b"]).await;
    let music = music(&router).await;
    music.put("a", "t", "{}").await.unwrap();
    let extent = site.log.extents(&[PartitionId::CLUSTER]).await.unwrap().remove(0);
    site.log.trim(PartitionId::CLUSTER, extent.log, extent.end).await.unwrap();
    // Neither the beginning of the log nor a store says which cluster it is.
    let network = RoutersAreNotAsked(Arc::clone(&site.network));
    let late = site.join_by(Arc::new(network), "", None).await.unwrap();
    assert_eq!(members(&late).len(), 2);
    assert_eq!(late.gateway().catalog().cluster(), router.gateway().catalog().cluster());
    let directory = Directory::default();
    let node = site.join("c", Some(&directory)).await.unwrap();
    eventually("it is ready", || node.nodes().ready().is_ok()).await;
    eventually("it is a member", || members(&late).len() == 3).await;
    for node in nodes {
        node.shutdown().await;
    }
    // Where there is none to ask, it says so.
    let alone = site.join_by(Arc::new(MemoryNetwork::default()), "", None).await.map(|_| ());
    let lost = matches!(alone, Err(StartError::Identity(IdentityError::IdentityLost)));
    assert!(lost, "{alone:?}");
}
