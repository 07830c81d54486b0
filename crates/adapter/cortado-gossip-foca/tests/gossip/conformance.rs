//! Gossip by foca keeps the port's promises, whichever way nodes prove who they are.

use crate::played::{quick, secret, settings};
use cortado_gossip_foca::{FocaGossip, GossipSeed, GossipSettings};
use cortado_peer::conformance::{GossipSubject, TakesPart, run_gossip};
use cortado_peer::{Gossip, MemberFacts, Pending};
use cortado_peer_security::Security;
use std::sync::{Mutex, PoisonError};

/// Nodes of this machine, each of which seeks those before it.
struct OnLoopback {
    security: Security,
    seeds: Mutex<Vec<GossipSeed>>,
}

impl GossipSubject for OnLoopback {
    fn join(&self, facts: MemberFacts) -> Pending<'_, Box<dyn TakesPart>> {
        Box::pin(async move {
            let seeds = self.seeds.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let (node, security) = (Some(facts.node), self.security.clone());
            let settings = GossipSettings { seeds, timing: quick(), ..settings(facts, security) };
            let gossip = FocaGossip::start(settings).await.expect("a free port");
            let address = gossip.address().to_string();
            let seed = GossipSeed { node, address };
            self.seeds.lock().unwrap_or_else(PoisonError::into_inner).push(seed);
            let member: Box<dyn TakesPart> = Box::new(OverFoca(gossip));
            member
        })
    }
}

struct OverFoca(FocaGossip);

impl TakesPart for OverFoca {
    fn gossip(&self) -> &dyn Gossip {
        &self.0
    }

    fn leave(self: Box<Self>) -> Pending<'static, ()> {
        Box::pin(async move { self.0.leave().await })
    }
}

#[tokio::test]
async fn gossip_on_one_machine_conforms() {
    let seeds = Mutex::default;
    run_gossip(&mut |_| Box::new(OnLoopback { security: Security::Loopback, seeds: seeds() }))
        .await;
}

#[tokio::test]
async fn gossip_under_a_secret_conforms() {
    let seeds = Mutex::default;
    run_gossip(&mut |_| Box::new(OnLoopback { security: secret(7), seeds: seeds() })).await;
}
