//! The gossip port: which nodes there are, where, and whether they are heard of.
//!
//! What nodes tell one another of themselves, and evidence about who lives: it may be wrong, and
//! decides nothing. Whether a node may hold its name says `_cluster` alone. Start reading at
//! [`Gossip`]. Source: docs/protocols/peers.md, "Gossip".

use arc_swap::ArcSwap;
use cortado_model::{DirectoryUuid, NodeId, NodeIncarnation};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;
use tokio::time::Instant;

/// The nodes of a cluster, as one of them has heard.
pub trait Gossip: Send + Sync + 'static {
    /// What is known now, this node included.
    fn view(&self) -> Arc<GossipView>;

    /// Changes whenever the view does.
    fn changes(&self) -> watch::Receiver<Arc<GossipView>>;

    /// From now on tells this of the own node. Its name and its life stay what they are.
    fn tell(&self, facts: MemberFacts);
}

/// The nodes of a cluster, as one of them has heard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GossipView {
    /// In ascending order; the newest life of each.
    pub members: BTreeMap<NodeId, GossipMember>,
    /// How far this node can trust its own suspicions.
    pub awareness: SelfAwareness,
}

/// A node, as another one has heard of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GossipMember {
    /// What it tells of itself.
    pub facts: MemberFacts,
    /// Whether it is heard of.
    pub liveness: Liveness,
    /// Since when it is that.
    pub since: Instant,
}

/// What a node tells of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberFacts {
    /// Its name.
    pub node: NodeId,
    /// Its life.
    pub incarnation: NodeIncarnation,
    /// Its data directory: two directories under one name are two nodes.
    pub directory: DirectoryUuid,
    /// What it does.
    pub role: MemberRole,
    /// Where its peers reach it: `host:port`, tried in turn.
    pub peer_addresses: Vec<String>,
    /// Where clients reach it; empty if they do not.
    pub client_address: String,
    /// What fails together with it; empty if that is not known.
    pub zone: String,
    /// The build that it runs.
    pub version: String,
    /// The highest feature level of the cluster that it supports.
    pub feature_level: u32,
}

/// What a node does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberRole {
    /// Holds replicas.
    Node,
    /// Routes requests, and holds none that counts.
    Router,
}

/// Whether a node is heard of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Liveness {
    /// It answers, itself or by way of others.
    Alive,
    /// Some node had no answer of it, by no way, and it has not contradicted yet.
    Suspect,
    /// It has not contradicted in time, or has left.
    Down,
}

/// How far a node can trust its own suspicions: who is slow itself takes others for dead
/// (Lifeguard).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SelfAwareness {
    /// 0 for a node that hears and answers in time, up to 8. Goes up when others did not answer at
    /// all, when it was suspected itself or when its timers are late; down when others answer.
    pub score: u8,
    /// How often it was suspected, and has contradicted.
    pub suspected: u64,
    /// How many of its probes were answered by no way.
    pub unanswered: u64,
    /// How many of them one after another, up to now: whoever it was that was probed.
    pub unanswered_running: u32,
    /// How late its last timer was.
    pub late_ms: u64,
}

impl SelfAwareness {
    /// The highest score.
    pub const SCORE_MAX: u8 = 8;

    /// Whether no other node answers this one: several have not, one after another, whom it asked
    /// in turn.
    pub fn hears_nobody(&self) -> bool {
        /// Of few nodes, two that are dead may be probed one after the other.
        const RUNNING_MIN: u32 = 3;
        self.unanswered_running >= RUNNING_MIN
    }
}

/// Gossip within one process: who has joined is alive until it leaves.
#[derive(Default)]
pub struct MemoryGossip {
    shared: Arc<SharedGossip>,
}

struct SharedGossip {
    view: ArcSwap<GossipView>,
    told: watch::Sender<Arc<GossipView>>,
    changing: Mutex<()>,
}

/// One node's part in it. When it is dropped, the node has left.
pub struct MemoryGossiper {
    shared: Arc<SharedGossip>,
    node: NodeId,
    incarnation: NodeIncarnation,
}

impl MemoryGossip {
    /// Lets a node take part. A newer life takes the place of an older one.
    pub fn join(&self, facts: MemberFacts) -> MemoryGossiper {
        let (node, incarnation) = (facts.node, facts.incarnation);
        self.shared.note(facts, Liveness::Alive);
        MemoryGossiper { shared: Arc::clone(&self.shared), node, incarnation }
    }
}

impl Default for SharedGossip {
    fn default() -> SharedGossip {
        SharedGossip {
            view: ArcSwap::default(),
            told: watch::Sender::default(),
            changing: Mutex::new(()),
        }
    }
}

impl SharedGossip {
    fn note(&self, facts: MemberFacts, liveness: Liveness) {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut view = GossipView::clone(&self.view.load());
        let known = view.members.get(&facts.node);
        if known.is_some_and(|known| known.facts.incarnation > facts.incarnation) {
            return;
        }
        let member = GossipMember { liveness, since: Instant::now(), facts };
        view.members.insert(member.facts.node, member);
        let view = Arc::new(view);
        self.view.store(Arc::clone(&view));
        self.told.send_replace(view);
    }
}

impl Gossip for MemoryGossiper {
    fn view(&self) -> Arc<GossipView> {
        self.shared.view.load_full()
    }

    fn changes(&self) -> watch::Receiver<Arc<GossipView>> {
        self.shared.told.subscribe()
    }

    fn tell(&self, facts: MemberFacts) {
        let (node, incarnation) = (self.node, self.incarnation);
        self.shared.note(MemberFacts { node, incarnation, ..facts }, Liveness::Alive);
    }
}

impl Drop for MemoryGossiper {
    fn drop(&mut self) {
        let known = self.shared.view.load().members.get(&self.node).cloned();
        if let Some(known) = known.filter(|known| known.facts.incarnation == self.incarnation) {
            self.shared.note(known.facts, Liveness::Down);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(node: u32, life: u64) -> MemberFacts {
        MemberFacts {
            node: NodeId(node),
            incarnation: NodeIncarnation(life),
            directory: DirectoryUuid(u128::from(node)),
            role: MemberRole::Node,
            peer_addresses: vec!["127.0.0.1:1".to_owned()],
            client_address: String::new(),
            zone: "a".to_owned(),
            version: "0.1.0".to_owned(),
            feature_level: 1,
        }
    }

    #[tokio::test]
    async fn nodes_of_a_process_see_one_another_live_and_leave() {
        let gossip = MemoryGossip::default();
        let one = gossip.join(facts(1, 1));
        let mut changes = one.changes();
        let older = gossip.join(facts(2, 4));
        let newer = gossip.join(facts(2, 5));
        let seen = |node: u32| {
            let view = one.view();
            let member = &view.members[&NodeId(node)];
            (member.facts.incarnation.0, member.liveness)
        };
        assert_eq!((seen(1), seen(2)), ((1, Liveness::Alive), (5, Liveness::Alive)));
        drop(older);
        assert_eq!(seen(2), (5, Liveness::Alive), "an older life takes nothing with it");
        newer.tell(MemberFacts { zone: "b".to_owned(), ..facts(7, 7) });
        assert_eq!(one.view().members[&NodeId(2)].facts.zone, "b");
        drop(newer);
        assert_eq!(seen(2), (5, Liveness::Down));
        let told = changes.wait_for(|view| view.members.len() == 2).await.expect("it is kept");
        assert_eq!(*told, one.view());
    }
}
