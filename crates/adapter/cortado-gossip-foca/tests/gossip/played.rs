//! Nodes behind relays, and what tests wait for.

use cortado_gossip_foca::{FocaGossip, GossipSeed, GossipSettings, GossipTiming};
use cortado_model::{ClusterUuid, DirectoryUuid, NodeId, NodeIncarnation};
use cortado_peer::{Gossip, GossipView, Liveness, MemberFacts, MemberRole};
use cortado_peer_security::{PeerSecret, Security};
use cortado_relay::Relay;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::timeout;

pub(crate) const CLUSTER: ClusterUuid = ClusterUuid(0xc0f_fee);
/// What takes longer than this will never come.
const PATIENCE: Duration = Duration::from_secs(120);

/// A node behind a relay: everything that others send to it goes through there.
pub(crate) struct Member {
    pub(crate) gossip: FocaGossip,
    pub(crate) relay: Relay,
}

/// A quick pace, for what must happen.
pub(crate) fn quick() -> GossipTiming {
    GossipTiming {
        probe_every: Duration::from_millis(200),
        probe_answer: Duration::from_millis(80),
        suspect_for: Duration::from_millis(800),
        gossip_every: Duration::from_millis(50),
        seek_every: Duration::from_millis(50),
        mend_every: Duration::from_millis(300),
        stream: Duration::from_secs(5),
    }
}

/// A pace at which no node of this machine is ever too slow, for what must not happen.
pub(crate) fn patient() -> GossipTiming {
    GossipTiming {
        probe_answer: Duration::from_millis(80),
        suspect_for: Duration::from_secs(3_600),
        ..quick()
    }
}

pub(crate) fn facts(node: u32, life: u64) -> MemberFacts {
    MemberFacts {
        node: NodeId(node),
        incarnation: NodeIncarnation(life),
        directory: DirectoryUuid(u128::from(node)),
        role: MemberRole::Node,
        peer_addresses: vec![format!("127.0.0.{node}:7000")],
        client_address: format!("127.0.0.{node}:8080"),
        zone: format!("zone-{}", node % 2),
        version: "0.1.0".to_owned(),
        feature_level: 1,
    }
}

pub(crate) fn secret(byte: u8) -> Security {
    let secret = PeerSecret::new(&[byte; 32]).expect("long enough");
    Security::Secret { secret, file: None, private: false }
}

/// Settings of a node without seeds.
pub(crate) fn settings(facts: MemberFacts, security: Security) -> GossipSettings {
    GossipSettings {
        cluster: CLUSTER,
        facts,
        listen: ([127, 0, 0, 1], 0).into(),
        streams: None,
        advertise: None,
        security,
        timing: quick(),
        seeds: Vec::new(),
    }
}

/// Starts a node that is reached through a relay.
pub(crate) async fn member(settings: GossipSettings, seeds: &[GossipSeed]) -> Member {
    // Where the node listens is known when it does: until then the relay leads nowhere.
    let nowhere: SocketAddr = ([127, 0, 0, 1], 9).into();
    let relay = Relay::start(nowhere).await.expect("a free port");
    let advertise = Some(relay.address());
    let settings = GossipSettings { advertise, seeds: seeds.to_vec(), ..settings };
    let gossip = FocaGossip::start(settings).await.expect("a free port");
    relay.retarget(gossip.address());
    Member { gossip, relay }
}

impl Member {
    /// Where others find it.
    pub(crate) fn seed(&self) -> GossipSeed {
        GossipSeed { node: None, address: self.relay.address().to_string() }
    }

    /// Waits until what it knows is so.
    pub(crate) async fn until(&self, what: &str, condition: impl Fn(&GossipView) -> bool) {
        let mut changes = self.gossip.changes();
        let met = timeout(PATIENCE, changes.wait_for(|view| condition(view))).await;
        assert!(met.is_ok(), "{what}: {:?}", self.gossip.view());
    }

    /// Waits until it thinks so of a node.
    pub(crate) async fn until_thinks(&self, of: u32, liveness: Liveness) {
        self.until("a node's liveness", |view| thinks(view, of) == Some(liveness)).await;
    }

    /// Waits until it thinks that all of these live.
    pub(crate) async fn until_all_live(&self, nodes: std::ops::RangeInclusive<u32>) {
        let all = |view: &GossipView| {
            nodes.clone().all(|node| thinks(view, node) == Some(Liveness::Alive))
        };
        self.until("all live", all).await;
    }
}

/// What is thought of a node.
pub(crate) fn thinks(view: &GossipView, of: u32) -> Option<Liveness> {
    view.members.get(&NodeId(of)).map(|member| member.liveness)
}

/// So many nodes that have found one another, the first of them n1.
pub(crate) async fn cluster(count: u32, timing: GossipTiming) -> Vec<Member> {
    let mut members: Vec<Member> = Vec::new();
    for node in 1..=count {
        let settings = GossipSettings { timing, ..settings(facts(node, 1), secret(7)) };
        let seeds: Vec<_> = members.first().map(Member::seed).into_iter().collect();
        members.push(member(settings, &seeds).await);
    }
    for member in &members {
        member.until_all_live(1..=count).await;
    }
    members
}

/// Waits until a condition holds that nobody tells of.
pub(crate) async fn until(condition: impl Fn() -> bool) {
    let met = async {
        while !condition() {
            let _ = timeout(Duration::from_millis(5), std::future::pending::<()>()).await;
        }
    };
    timeout(PATIENCE, met).await.expect("it comes");
}
