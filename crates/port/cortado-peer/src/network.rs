//! How a life of a node comes to reach others, and to be reached by them.
//!
//! A component of the process: within one process by memory, between machines by an adapter. Start
//! reading at [`PeerNetwork`].

use crate::{Gossip, Membership, MemoryPeers, Peer, Peers, Pending};
use cortado_model::{ClusterUuid, DirectoryUuid, NodeId, NodeIncarnation};
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};

/// The way of this process's nodes to all others.
pub trait PeerNetwork: Send + Sync + 'static {
    /// Gives a life its place. It may ask others at once; they reach it when it serves.
    fn enter(&self, life: PeerLife) -> Arc<dyn PeerPlace>;

    /// Which cluster the nodes are of that this process was told to ask; `None` if none answers.
    /// For a process that does not find it in the log.
    fn seek_cluster(&self) -> Pending<'_, Option<ClusterUuid>>;
}

/// One life's place in the network, until it leaves.
pub trait PeerPlace: Send + Sync + 'static {
    /// The others, as this life reaches them.
    fn peers(&self) -> Arc<dyn Peers>;

    /// Lets the others reach the life, if it is one that they ask. Once for each place.
    ///
    /// # Errors
    /// They cannot reach it: it must not go on.
    fn serve(&self, serves: Arc<dyn Peer>) -> Pending<'_, Result<(), PeerPlaceError>>;

    /// Where the others are to look for it, once it serves; empty where they need not be told.
    fn address(&self) -> String;

    /// What it hears of the others by gossip, once it serves; `None` where nodes do not gossip.
    fn gossip(&self) -> Option<Arc<dyn Gossip>> {
        None
    }

    /// How its connections are.
    fn usage(&self) -> PlaceUsage {
        PlaceUsage::default()
    }

    /// The nodes that there are, and where: replaces what was said before.
    fn know(&self, nodes: &[PeerWhereabouts]);

    /// Takes nothing new, answers what has begun as far as it can, and lets go of the rest. The
    /// next life of the node may enter when this is done.
    fn leave(&self) -> Pending<'_, ()>;
}

/// A life that takes a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerLife {
    /// Of which cluster.
    pub cluster: ClusterUuid,
    /// Of which node, or router.
    pub node: NodeId,
    /// Which one.
    pub incarnation: NodeIncarnation,
    /// In which data directory; a router has none.
    pub directory: DirectoryUuid,
    /// Whether others ask it. A router asks, and is not asked.
    pub is_asked: bool,
}

/// What a place holds, beside its limits. All 0 within one process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlaceUsage {
    /// Other nodes that are connected to, of those whose places are known.
    pub connected: usize,
    /// Other nodes whose places are known.
    pub known: usize,
    /// Connections of other nodes and routers.
    pub connections: usize,
    /// How many there may be.
    pub connections_max: usize,
    /// Bytes of what others ask that are being received or worked on.
    pub frame_bytes: usize,
    /// How many there may be.
    pub frame_bytes_max: usize,
    /// Until when the own certificate is valid, in seconds since 1970; 0 without one.
    pub certificate_expiry_s: u64,
}

/// Where a node says that its peers find it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerWhereabouts {
    /// The node.
    pub node: NodeId,
    /// Its life, as it was registered.
    pub incarnation: NodeIncarnation,
    /// What it is called; `None` as long as that is not known.
    pub name: Option<String>,
    /// As its [`PeerPlace::address`] was; several are tried in turn.
    pub addresses: Vec<String>,
}

/// Why a life cannot be reached.
#[derive(Debug, thiserror::Error)]
#[error("other nodes cannot reach this one")]
pub struct PeerPlaceError(#[source] pub Box<dyn Error + Send + Sync>);

/// The nodes of one process, which find one another without being told.
#[derive(Default)]
pub struct MemoryNetwork {
    peers: Arc<MemoryPeers>,
    cluster: Mutex<Option<ClusterUuid>>,
}

struct MemoryPlace {
    peers: Arc<MemoryPeers>,
    life: PeerLife,
    membership: Mutex<Option<Membership>>,
}

impl PeerNetwork for MemoryNetwork {
    fn enter(&self, life: PeerLife) -> Arc<dyn PeerPlace> {
        *self.cluster.lock().unwrap_or_else(PoisonError::into_inner) = Some(life.cluster);
        let (peers, membership) = (Arc::clone(&self.peers), Mutex::default());
        Arc::new(MemoryPlace { peers, life, membership })
    }

    fn seek_cluster(&self) -> Pending<'_, Option<ClusterUuid>> {
        let cluster = *self.cluster.lock().unwrap_or_else(PoisonError::into_inner);
        Box::pin(std::future::ready(cluster))
    }
}

impl PeerPlace for MemoryPlace {
    fn peers(&self) -> Arc<dyn Peers> {
        Arc::clone(&self.peers) as Arc<dyn Peers>
    }

    fn serve(&self, serves: Arc<dyn Peer>) -> Pending<'_, Result<(), PeerPlaceError>> {
        let membership = self.peers.join(self.life.node, serves);
        *self.membership.lock().unwrap_or_else(PoisonError::into_inner) = Some(membership);
        Box::pin(std::future::ready(Ok(())))
    }

    fn address(&self) -> String {
        String::new()
    }

    /// Who is there is reached.
    fn usage(&self) -> PlaceUsage {
        let nodes = self.peers.nodes().into_iter();
        let others = nodes.filter(|node| *node != self.life.node).count();
        PlaceUsage { connected: others, known: others, ..PlaceUsage::default() }
    }

    fn know(&self, _nodes: &[PeerWhereabouts]) {}

    fn leave(&self) -> Pending<'_, ()> {
        drop(self.membership.lock().unwrap_or_else(PoisonError::into_inner).take());
        Box::pin(std::future::ready(()))
    }
}
