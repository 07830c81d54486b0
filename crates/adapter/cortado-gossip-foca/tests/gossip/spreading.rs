//! Nodes find one another, and what they tell spreads.

use crate::played::{cluster, facts, member, patient, quick, secret, settings, thinks, until};
use cortado_gossip_foca::{FocaGossip, GossipSettings};
use cortado_model::{NodeId, NodeIncarnation};
use cortado_peer::{Gossip, Liveness, MemberFacts};
use cortado_peer_security::Security;
use cortado_relay::{Direction, UdpFaults};
use std::time::Duration;

#[tokio::test]
async fn nodes_find_one_another_and_know_everything() {
    let members = cluster(4, quick()).await;
    for member in &members {
        let view = member.gossip.view();
        for node in 1..=4 {
            assert_eq!(view.members[&NodeId(node)].facts, facts(node, 1));
        }
    }
}

#[tokio::test]
async fn what_a_node_tells_later_spreads_too() {
    let members = cluster(3, quick()).await;
    let news = MemberFacts { zone: "elsewhere".to_owned(), feature_level: 2, ..facts(7, 7) };
    members[1].gossip.tell(news);
    for member in &members {
        member
            .until("news", |view| {
                let told = &view.members[&NodeId(2)];
                told.facts.zone == "elsewhere" && told.liveness == Liveness::Alive
            })
            .await;
        let told = member.gossip.view().members[&NodeId(2)].facts.clone();
        assert_eq!((told.node, told.incarnation), (NodeId(2), NodeIncarnation(1)));
    }
    let long = MemberFacts { zone: "z".repeat(600), ..facts(2, 1) };
    members[1].gossip.tell(long);
    members[1].gossip.tell(MemberFacts { zone: "short".to_owned(), ..facts(2, 1) });
    members[0].until("news", |view| view.members[&NodeId(2)].facts.zone == "short").await;
}

#[tokio::test]
async fn a_newer_life_takes_the_place_of_an_older_one() {
    let mut members = cluster(3, quick()).await;
    let former = members.remove(2);
    let seed = members[0].seed();
    let newer = member(settings(facts(3, 2), secret(7)), &[seed]).await;
    for member in members.iter().chain([&newer]) {
        member
            .until("the newer life", |view| {
                let member = view.members.get(&NodeId(3));
                member.is_some_and(|member| {
                    member.facts.incarnation == NodeIncarnation(2)
                        && member.liveness == Liveness::Alive
                })
            })
            .await;
    }
    // The older one goes on to speak for a while, and changes nothing.
    let heard = members[0].relay.udp.carried(Direction::In);
    until(|| members[0].relay.udp.carried(Direction::In) > heard + 20).await;
    let life = members[0].gossip.view().members[&NodeId(3)].facts.incarnation;
    assert_eq!(life, NodeIncarnation(2));
    drop(former);
}

#[tokio::test]
async fn doubled_and_late_messages_change_nothing() {
    let members = cluster(3, patient()).await;
    for member in &members {
        let faults = UdpFaults {
            duplication: 1.0,
            jitter: Duration::from_millis(20),
            ..UdpFaults::default()
        };
        member.relay.udp.set(Direction::In, faults);
    }
    let count = || members[0].relay.udp.carried(Direction::In);
    let before = count();
    until(|| count() > before + 200).await;
    for member in &members {
        member.until_all_live(1..=3).await;
    }
}

#[tokio::test]
async fn what_is_large_goes_over_a_stream() {
    const NODES: u32 = 12;
    let long = |node| MemberFacts { zone: "z".repeat(200), ..facts(node, 1) };
    let first = member(settings(long(1), secret(7)), &[]).await;
    let mut others = Vec::new();
    for node in 2..=NODES {
        others.push(member(settings(long(node), secret(7)), &[first.seed()]).await);
    }
    first.until_all_live(1..=NODES).await;
    let late = member(settings(long(NODES + 1), secret(7)), &[first.seed()]).await;
    late.until_all_live(1..=NODES + 1).await;
    assert!(late.relay.tcp.accepted() > 0, "all of them at once do not fit into a datagram");
}

#[tokio::test]
async fn seeds_may_come_later_and_be_wrong() {
    let one = member(settings(facts(1, 1), secret(7)), &[]).await;
    let two = member(settings(facts(2, 1), secret(7)), &[]).await;
    assert_eq!(thinks(&one.gossip.view(), 2), None);
    let seed =
        |address: &str| cortado_gossip_foca::GossipSeed { node: None, address: address.to_owned() };
    let mut seeds = vec![seed("no.such.name.invalid:1"), seed("nonsense"), seed("127.0.0.1:9")];
    seeds.extend([two.seed(), one.seed()]);
    one.gossip.seek(seeds);
    two.until_all_live(1..=2).await;
    one.until_all_live(1..=2).await;
}

#[tokio::test]
async fn what_cannot_take_part_says_why() {
    let refused = async |settings: GossipSettings| match FocaGossip::start(settings).await {
        Err(error) => error.to_string(),
        Ok(_) => panic!("it takes part"),
    };
    let good = || settings(facts(1, 1), secret(7));
    let everywhere = "0.0.0.0:0".parse().expect("an address");
    let open = GossipSettings { listen: everywhere, security: Security::Loopback, ..good() };
    assert!(refused(open).await.contains("peer_network_private = true"));
    let far = GossipSettings { advertise: Some(everywhere), ..good() };
    assert!(refused(far).await.contains("peer_network_private = true"));
    let long = MemberFacts { zone: "z".repeat(600), ..facts(1, 1) };
    assert!(refused(GossipSettings { facts: long, ..good() }).await.contains("too long"));
    assert!(refused(settings(facts(0, 1), secret(7))).await.contains("count from 1"));
    assert!(refused(settings(facts(1, 0), secret(7))).await.contains("count from 1"));
    let taken = FocaGossip::start(good()).await.expect("a free port");
    let twice = GossipSettings { listen: taken.address(), ..good() };
    assert!(refused(twice).await.contains("correct peer_listen"));
}
