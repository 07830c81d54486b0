//! The peers of one process keep the port's promises, also where faults could be.

use cortado_model::NodeId;
use cortado_peer::conformance::{GossipSubject, Leave, Subject, TakesPart, run, run_gossip};
use cortado_peer::{
    Faults, FaultyPeers, Gossip, MemberFacts, MemoryGossip, MemoryGossiper, MemoryPeers, Peer,
    Peers, Pending,
};
use std::future::ready;
use std::sync::Arc;

/// The peers of one process.
#[derive(Default)]
struct Memory(Arc<MemoryPeers>);

impl Subject for Memory {
    fn join(&self, node: NodeId, serves: Arc<dyn Peer>) -> Pending<'_, Leave> {
        let membership = self.0.join(node, serves);
        let leave: Leave = Box::new(move || {
            drop(membership);
            Box::pin(ready(()))
        });
        Box::pin(ready(leave))
    }

    fn peers(&self, _: NodeId) -> Arc<dyn Peers> {
        Arc::clone(&self.0) as Arc<dyn Peers>
    }
}

/// The same behind a wrapper that has no faults.
#[derive(Default)]
struct Faultless(Memory);

impl Subject for Faultless {
    fn join(&self, node: NodeId, serves: Arc<dyn Peer>) -> Pending<'_, Leave> {
        self.0.join(node, serves)
    }

    fn peers(&self, asking: NodeId) -> Arc<dyn Peers> {
        Arc::new(FaultyPeers::new(asking, self.0.peers(asking), &Arc::new(Faults::default())))
    }
}

#[tokio::test(start_paused = true)]
async fn the_memory_peers_conform() {
    run(&mut |_| Box::new(Memory::default())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_memory_peers_conform_on_many_threads() {
    run(&mut |_| Box::new(Memory::default())).await;
}

#[tokio::test(start_paused = true)]
async fn faulty_peers_without_faults_conform() {
    run(&mut |_| Box::new(Faultless::default())).await;
}

/// Gossip of one process.
#[derive(Default)]
struct InProcess(MemoryGossip);

impl GossipSubject for InProcess {
    fn join(&self, facts: MemberFacts) -> Pending<'_, Box<dyn TakesPart>> {
        let member: Box<dyn TakesPart> = Box::new(InMemory(self.0.join(facts)));
        Box::pin(ready(member))
    }
}

/// A node of this process.
struct InMemory(MemoryGossiper);

impl TakesPart for InMemory {
    fn gossip(&self) -> &dyn Gossip {
        &self.0
    }

    fn leave(self: Box<Self>) -> Pending<'static, ()> {
        drop(self);
        Box::pin(ready(()))
    }
}

#[tokio::test]
async fn gossip_in_memory_conforms() {
    run_gossip(&mut |_| Box::new(InProcess::default())).await;
}
