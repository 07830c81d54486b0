//! What every implementation of the gossip port must do, as one suite that its tests run.
//!
//! It waits for what must be known some time, and never for a time. Start reading at
//! [`run_gossip`].

use crate::{Gossip, GossipView, Liveness, MemberFacts, MemberRole, Pending};
use cortado_model::{DirectoryUuid, NodeId, NodeIncarnation};
use std::time::Duration;
use tokio::time::timeout;

/// What takes longer than this will never come.
const PATIENCE: Duration = Duration::from_secs(120);

/// The implementation under test, before a node takes part.
pub trait GossipSubject {
    /// Lets a node take part, so that it finds those that already do.
    fn join(&self, facts: MemberFacts) -> Pending<'_, Box<dyn TakesPart>>;
}

/// A node that takes part. When it is dropped, it dies without a word.
pub trait TakesPart: Send {
    /// What it knows.
    fn gossip(&self) -> &dyn Gossip;

    /// Says farewell; it has left when this has ended.
    fn leave(self: Box<Self>) -> Pending<'static, ()>;
}

/// Runs every rule on gossip of its own.
///
/// * `fresh`: makes it; called once for every rule, with its name.
///
/// # Panics
/// When a rule is broken; the message names it.
pub async fn run_gossip(fresh: &mut dyn FnMut(&'static str) -> Box<dyn GossipSubject>) {
    all_know_all(&*fresh("all know all, with everything they tell")).await;
    news_is_told(&*fresh("what is told later is known later")).await;
    a_newer_life_counts(&*fresh("a newer life takes the place of an older one")).await;
    who_leaves_is_down(&*fresh("who leaves is down")).await;
    who_dies_is_down(&*fresh("who dies is down some time, and comes back in another life")).await;
}

async fn all_know_all(subject: &dyn GossipSubject) {
    let members = three(subject).await;
    for member in &members {
        let view = member.gossip().view();
        for node in 1..=3 {
            assert_eq!(view.members[&NodeId(node)].facts, facts(node, 1), "all of it");
        }
        let told = member.gossip().changes().borrow().clone();
        assert_eq!(told, member.gossip().view(), "both ways to look show the same");
    }
}

async fn news_is_told(subject: &dyn GossipSubject) {
    let members = three(subject).await;
    // Its name and its life are not for it to tell.
    let news = MemberFacts { zone: "elsewhere".to_owned(), ..facts(9, 9) };
    members[1].gossip().tell(news);
    for member in &members {
        until(member.as_ref(), "what is told later is known later", |view| {
            let known = &view.members[&NodeId(2)];
            known.facts.zone == "elsewhere" && known.liveness == Liveness::Alive
        })
        .await;
        let view = member.gossip().view();
        assert_eq!(view.members[&NodeId(2)].facts.incarnation, NodeIncarnation(1));
        assert_eq!(view.members.len(), 3, "nobody else was made up");
    }
}

async fn a_newer_life_counts(subject: &dyn GossipSubject) {
    let mut members = three(subject).await;
    let older = members.pop().expect("there are three");
    let newer = subject.join(facts(3, 2)).await;
    members.push(newer);
    let is_newer = |view: &GossipView| {
        let known = view.members.get(&NodeId(3));
        known.is_some_and(|known| {
            known.facts.incarnation == NodeIncarnation(2) && known.liveness == Liveness::Alive
        })
    };
    for member in &members {
        until(member.as_ref(), "a newer life takes the place of an older one", is_newer).await;
    }
    older.leave().await;
    for member in &members {
        until(member.as_ref(), "an older life takes nothing with it", is_newer).await;
    }
}

async fn who_leaves_is_down(subject: &dyn GossipSubject) {
    let mut members = three(subject).await;
    members.pop().expect("there are three").leave().await;
    for member in &members {
        until(member.as_ref(), "who leaves is down", |view| thinks(view, 3, Liveness::Down)).await;
        assert!(thinks(&member.gossip().view(), 1, Liveness::Alive), "and nobody else");
    }
}

async fn who_dies_is_down(subject: &dyn GossipSubject) {
    let mut members = three(subject).await;
    drop(members.pop());
    for member in &members {
        until(member.as_ref(), "who dies is down", |view| thinks(view, 3, Liveness::Down)).await;
    }
    members.push(subject.join(facts(3, 2)).await);
    for member in &members {
        until(member.as_ref(), "who comes back lives", |view| {
            (1..=3).all(|node| thinks(view, node, Liveness::Alive))
        })
        .await;
    }
}

/// Three nodes that know one another.
async fn three(subject: &dyn GossipSubject) -> Vec<Box<dyn TakesPart>> {
    let mut members = Vec::new();
    for node in 1..=3 {
        members.push(subject.join(facts(node, 1)).await);
    }
    for member in &members {
        until(member.as_ref(), "all know all", |view| {
            (1..=3).all(|node| thinks(view, node, Liveness::Alive))
        })
        .await;
    }
    members
}

fn thinks(view: &GossipView, of: u32, liveness: Liveness) -> bool {
    view.members.get(&NodeId(of)).is_some_and(|member| member.liveness == liveness)
}

/// Waits until what a node knows is so.
async fn until(member: &dyn TakesPart, rule: &str, condition: impl Fn(&GossipView) -> bool) {
    let mut changes = member.gossip().changes();
    let met = timeout(PATIENCE, changes.wait_for(|view| condition(view))).await;
    assert!(met.is_ok(), "gossip breaks this rule: {rule}: {:?}", member.gossip().view());
}

/// What a node tells at first.
fn facts(node: u32, life: u64) -> MemberFacts {
    MemberFacts {
        node: NodeId(node),
        incarnation: NodeIncarnation(life),
        directory: DirectoryUuid(u128::from(node)),
        role: if node == 3 { MemberRole::Router } else { MemberRole::Node },
        peer_addresses: vec![format!("db{node}:7000"), format!("[::1]:700{node}")],
        client_address: format!("db{node}:8080"),
        zone: "größe".to_owned(),
        version: "0.1.0".to_owned(),
        feature_level: u32::MAX,
    }
}
