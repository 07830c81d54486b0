//! The network of a served process: calls over HTTP/2, and gossip on the same port, which knows
//! where the others are now.
//!
//! Start reading at [`GossipingNetwork`]. Source: docs/protocols/peers.md, "Gossip".

use cortado_gossip_foca::{FocaGossip, GossipSeed, GossipSettings, GossipTiming};
use cortado_model::{ClusterUuid, NodeId, with_causes};
use cortado_peer::{
    Gossip, GossipView, MemberFacts, MemberRole, Peer, PeerLife, PeerNetwork, PeerPlace,
    PeerPlaceError, PeerWhereabouts, Peers, Pending, PlaceUsage,
};
use cortado_peer_http::{HttpNetwork, HttpPlace};
use cortado_peer_security::{NodeStream, Security};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use tokio::net::lookup_host;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tracing::warn;

/// Connections that wait for gossip to take them: each is one short message.
const STREAMS_MAX: usize = 32;

/// What of gossip an operator has set, and what the process tells of itself.
pub(crate) struct Gossiping {
    /// Where a router listens for it; `None`: it does not take part. A node listens where it does
    /// for its peers, and so does what seeks others before it lives.
    pub(crate) router_listen: Option<SocketAddr>,
    /// `host:port` under which others reach it, if that is another one.
    pub(crate) advertise: Option<String>,
    /// `host:port` of nodes, besides those in `_cluster`.
    pub(crate) seeds: Vec<String>,
    pub(crate) security: Security,
    pub(crate) client_address: String,
    pub(crate) zone: String,
    pub(crate) version: String,
    pub(crate) feature_level: u32,
    /// A node is to live in this process; before it does, its router gossips only to find others.
    pub(crate) is_node: bool,
}

/// The way to the nodes of other processes, wherever these say that they are.
pub(crate) struct GossipingNetwork {
    http: HttpNetwork,
    shared: Arc<Shared>,
}

/// What the lives of a process have in common.
struct Shared {
    gossiping: Gossiping,
    /// What the life that gossips has heard.
    views: watch::Sender<Arc<GossipView>>,
    /// Finds others until the node of the process lives.
    forerunner: Mutex<Option<Arc<FocaGossip>>>,
}

/// A life's place.
struct GossipingPlace {
    life: PeerLife,
    http: Arc<HttpPlace>,
    shared: Arc<Shared>,
    /// The connections of others that speak gossip, until it takes them.
    streams: Mutex<Option<mpsc::Receiver<NodeStream>>>,
    gossip: OnceLock<Arc<FocaGossip>>,
    book: Arc<AddressBook>,
    follows: JoinHandle<()>,
}

/// Where the others are, as `_cluster` says and as they say themselves.
struct AddressBook {
    http: Arc<HttpPlace>,
    registered: Mutex<Vec<PeerWhereabouts>>,
}

impl GossipingNetwork {
    pub(crate) fn new(http: HttpNetwork, gossiping: Gossiping) -> GossipingNetwork {
        if let Security::Certificate(tls) = &gossiping.security {
            // Until `_cluster` is read, no node's name is known.
            tls.call(BTreeMap::new());
        }
        let (views, forerunner) = (watch::Sender::default(), Mutex::default());
        GossipingNetwork { http, shared: Arc::new(Shared { gossiping, views, forerunner }) }
    }
}

impl PeerNetwork for GossipingNetwork {
    fn enter(&self, life: PeerLife) -> Arc<dyn PeerPlace> {
        let (door, streams) = mpsc::channel(STREAMS_MAX);
        let http = Arc::new(self.http.enter_beside(life, life.is_asked.then_some(door)));
        let book = AddressBook { http: Arc::clone(&http), registered: Mutex::default() };
        let book = Arc::new(book);
        let follows = tokio::spawn(Arc::clone(&book).follow(self.shared.views.subscribe()));
        let (shared, streams) = (Arc::clone(&self.shared), Mutex::new(Some(streams)));
        let gossip = OnceLock::new();
        Arc::new(GossipingPlace { life, http, shared, streams, gossip, book, follows })
    }

    fn seek_cluster(&self) -> Pending<'_, Option<ClusterUuid>> {
        Box::pin(self.http.cluster_at(&self.shared.gossiping.seeds))
    }
}

impl AddressBook {
    /// Keeps the network's book up to what gossip tells, as long as the place is there.
    async fn follow(self: Arc<Self>, mut views: watch::Receiver<Arc<GossipView>>) {
        while views.changed().await.is_ok() {
            let view = Arc::clone(&views.borrow_and_update());
            self.open_at(&view);
        }
    }

    fn open_at(&self, view: &GossipView) {
        let registered = self.registered.lock();
        self.http.know(&whereabouts(&registered, view));
    }
}

/// Where the nodes are: where they say themselves, in the life that is registered or a later one;
/// else where they registered. Those that have not registered yet are known by gossip alone.
fn whereabouts(registered: &[PeerWhereabouts], view: &GossipView) -> Vec<PeerWhereabouts> {
    let known = registered.iter().map(|known| (known.node, known.clone()));
    let mut known: BTreeMap<NodeId, PeerWhereabouts> = known.collect();
    for (node, member) in &view.members {
        let MemberFacts { role, incarnation, peer_addresses, .. } = &member.facts;
        if *role != MemberRole::Node || peer_addresses.is_empty() {
            continue;
        }
        let (incarnation, addresses) = (*incarnation, peer_addresses.clone());
        let fresh = PeerWhereabouts { node: *node, incarnation, name: None, addresses };
        let known = known.entry(*node).or_insert_with(|| fresh.clone());
        if fresh.incarnation >= known.incarnation {
            known.addresses = fresh.addresses;
        }
    }
    known.into_values().collect()
}

impl GossipingPlace {
    /// Begins to gossip, if this life does.
    async fn gossip_on(&self) -> Result<(), PeerPlaceError> {
        let Gossiping { router_listen, is_node, seeds, .. } = &self.shared.gossiping;
        let bound = self.http.bound();
        let listen = match (self.life.is_asked, bound, router_listen) {
            (true, Some(bound), _) => bound,
            (false, _, Some(listen)) if !is_node || !seeds.is_empty() => *listen,
            _ => return Ok(()),
        };
        let streams = self.streams.lock().take().filter(|_| self.life.is_asked);
        let settings = match self.settings(listen, streams).await {
            Ok(settings) => settings,
            Err(error) => return self.without_gossip(PeerPlaceError(Box::new(error))),
        };
        let gossip = match FocaGossip::start(settings).await {
            Ok(gossip) => Arc::new(gossip),
            Err(error) => return self.without_gossip(PeerPlaceError(Box::new(error))),
        };
        // Its last view stays: it is passed on until the next life has one of its own.
        let (mut changes, views) = (gossip.changes(), self.shared.views.clone());
        tokio::spawn(async move {
            while changes.changed().await.is_ok() {
                let view = Arc::clone(&changes.borrow_and_update());
                views.send_replace(view);
            }
        });
        if *is_node && !self.life.is_asked {
            *self.shared.forerunner.lock() = Some(gossip);
            return Ok(());
        }
        // It is served once.
        let _ = self.gossip.set(gossip);
        Ok(())
    }

    /// The node lives now: what sought others in its place lets go of it.
    async fn take_over(&self) {
        let forerunner = self.shared.forerunner.lock().take();
        if let Some(forerunner) = forerunner {
            forerunner.leave().await;
        }
    }

    /// A router goes on without: it asks, and nobody asks it.
    fn without_gossip(&self, error: PeerPlaceError) -> Result<(), PeerPlaceError> {
        if self.life.is_asked {
            return Err(error);
        }
        let error = with_causes(&error);
        warn!(error, "this router does not gossip: set peer_listen and peer_advertise");
        Ok(())
    }

    async fn settings(
        &self,
        listen: SocketAddr,
        streams: Option<mpsc::Receiver<NodeStream>>,
    ) -> Result<GossipSettings, AdvertiseError> {
        let gossiping = &self.shared.gossiping;
        let PeerLife { cluster, node, incarnation, directory, is_asked } = self.life;
        let advertise = match gossiping.advertise.as_deref() {
            Some(place) => Some(resolve(place).await?),
            None => None,
        };
        let (role, peer_addresses) = match is_asked {
            true => (MemberRole::Node, vec![self.http.address()]),
            false => (MemberRole::Router, Vec::new()),
        };
        let facts = MemberFacts {
            node,
            incarnation,
            directory,
            role,
            peer_addresses,
            client_address: gossiping.client_address.clone(),
            zone: gossiping.zone.clone(),
            version: gossiping.version.clone(),
            feature_level: gossiping.feature_level,
        };
        Ok(GossipSettings {
            cluster,
            facts,
            listen,
            streams,
            advertise,
            security: gossiping.security.clone(),
            timing: GossipTiming::default(),
            seeds: self.seeds(),
        })
    }

    /// Where to look for others: as set, and as registered.
    fn seeds(&self) -> Vec<GossipSeed> {
        let set = self.shared.gossiping.seeds.iter();
        let set = set.map(|address| GossipSeed { node: None, address: address.clone() });
        let registered = self.book.registered.lock();
        let others = registered.iter().filter(|other| other.node != self.life.node);
        let registered = others.flat_map(|PeerWhereabouts { node, addresses, .. }| {
            let seed =
                |address: &String| GossipSeed { node: Some(*node), address: address.clone() };
            addresses.iter().map(seed)
        });
        set.chain(registered).collect()
    }
}

impl PeerPlace for GossipingPlace {
    fn peers(&self) -> Arc<dyn Peers> {
        self.http.peers()
    }

    fn serve(&self, serves: Arc<dyn Peer>) -> Pending<'_, Result<(), PeerPlaceError>> {
        Box::pin(async move {
            if self.life.is_asked {
                self.take_over().await;
            }
            self.http.serve(serves).await?;
            let gossips = self.gossip_on().await;
            if gossips.is_err() {
                self.http.leave().await;
            }
            gossips
        })
    }

    fn address(&self) -> String {
        self.http.address()
    }

    fn gossip(&self) -> Option<Arc<dyn Gossip>> {
        self.gossip.get().map(|gossip| Arc::clone(gossip) as Arc<dyn Gossip>)
    }

    fn usage(&self) -> PlaceUsage {
        self.http.usage()
    }

    fn know(&self, nodes: &[PeerWhereabouts]) {
        *self.book.registered.lock() = nodes.to_vec();
        let view = Arc::clone(&self.shared.views.borrow());
        self.book.open_at(&view);
        if let Some(gossip) = self.gossip.get() {
            gossip.seek(self.seeds());
        }
    }

    fn leave(&self) -> Pending<'_, ()> {
        Box::pin(async {
            if let Some(gossip) = self.gossip.get() {
                gossip.leave().await;
            }
            self.follows.abort();
            self.http.leave().await;
        })
    }
}

impl Drop for GossipingPlace {
    fn drop(&mut self) {
        self.follows.abort();
    }
}

/// What is advertised is found nowhere.
#[derive(Debug, thiserror::Error)]
#[error("cannot find the address of {place}: correct peer_advertise")]
struct AdvertiseError {
    place: String,
    #[source]
    source: io::Error,
}

async fn resolve(place: &str) -> Result<SocketAddr, AdvertiseError> {
    let failed = |source| AdvertiseError { place: place.to_owned(), source };
    let mut found = lookup_host(place).await.map_err(failed)?;
    found.next().ok_or_else(|| failed(io::ErrorKind::NotFound.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use cortado_model::{DirectoryUuid, NodeIncarnation};
    use cortado_peer::{GossipMember, Liveness};
    use tokio::time::Instant;

    fn member(node: u32, life: u64, role: MemberRole, address: &str) -> GossipMember {
        let facts = MemberFacts {
            node: NodeId(node),
            incarnation: NodeIncarnation(life),
            directory: DirectoryUuid(1),
            role,
            peer_addresses: vec![address.to_owned()],
            client_address: String::new(),
            zone: String::new(),
            version: String::new(),
            feature_level: 1,
        };
        GossipMember { facts, liveness: Liveness::Down, since: Instant::now() }
    }

    #[test]
    fn a_node_is_where_its_newest_life_says() {
        let registered = |node, life, address: &str| PeerWhereabouts {
            node: NodeId(node),
            incarnation: NodeIncarnation(life),
            name: Some(format!("name{node}")),
            addresses: vec![address.to_owned()],
        };
        let registered =
            [registered(1, 4, "a:1"), registered(2, 4, "b:1"), registered(3, 4, "c:1")];
        let members = [
            // It has started again elsewhere.
            member(1, 5, MemberRole::Node, "a:2"),
            // Nobody has heard yet of the life that is registered.
            member(2, 3, MemberRole::Node, "b:0"),
            // Not registered yet.
            member(4, 1, MemberRole::Node, "d:1"),
            member(1 << 31, 1, MemberRole::Router, "r:1"),
        ];
        let members = members.map(|member| (member.facts.node, member)).into();
        let view = GossipView { members, ..GossipView::default() };
        let found: Vec<_> = whereabouts(&registered, &view)
            .into_iter()
            .map(|found| (found.node.0, found.addresses.concat(), found.name.is_some()))
            .collect();
        let want = [(1, "a:2", true), (2, "b:1", true), (3, "c:1", true), (4, "d:1", false)];
        assert_eq!(found, want.map(|(node, at, named)| (node, at.to_owned(), named)));
    }
}
