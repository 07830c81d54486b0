//! Who is thought to be dead, and who is not.

use crate::played::{cluster, patient, quick, thinks, until};
use cortado_peer::{Gossip, Liveness};
use cortado_relay::{Direction, UdpFaults};

#[tokio::test]
async fn a_node_that_dies_is_found_out_by_all() {
    let mut members = cluster(4, quick()).await;
    let dead = members.remove(3);
    drop(dead.gossip);
    for member in &members {
        member.until_thinks(4, Liveness::Down).await;
        member.until_all_live(1..=3).await;
    }
}

#[tokio::test]
async fn a_node_that_leaves_is_not_waited_for() {
    // Nobody is suspected for long enough to be thought down: only who says farewell is.
    let mut members = cluster(3, patient()).await;
    members.remove(2).gossip.leave().await;
    for member in &members {
        member.until_thinks(3, Liveness::Down).await;
    }
}

#[tokio::test]
async fn a_way_that_is_cut_is_not_a_death() {
    let members = cluster(3, quick()).await;
    // Nothing that n1 sends reaches n2, and nothing that n2 sends reaches n1; both reach n3.
    for (from, to) in [(0, 1), (1, 0)] {
        let sender = members[from].gossip.address();
        members[to].relay.udp.set_from(sender, Some(UdpFaults::CUT));
    }
    let probes = || members[2].relay.udp.carried(Direction::In);
    let before = probes();
    until(|| probes() > before + 200).await;
    for member in &members {
        member.until_all_live(1..=3).await;
    }
}

#[tokio::test]
async fn who_hears_nothing_doubts_itself_and_comes_back() {
    let members = cluster(3, quick()).await;
    let cut = &members[2];
    cut.relay.udp.set(Direction::In, UdpFaults::CUT);
    cut.relay.tcp.refuse(true);
    for member in &members[..2] {
        member.until_thinks(3, Liveness::Down).await;
    }
    cut.until("doubt", |view| view.awareness.score > 1 && view.awareness.unanswered > 0).await;
    cut.relay.udp.heal();
    cut.relay.tcp.heal();
    for member in &members {
        member.until_all_live(1..=3).await;
    }
    cut.until("it has contradicted", |view| view.awareness.suspected > 0).await;
    cut.until("it trusts itself again", |view| view.awareness.score == 0).await;
}

#[tokio::test]
async fn parts_that_were_cut_from_one_another_find_together_again() {
    let members = cluster(4, quick()).await;
    let parts = [[0, 1], [2, 3]];
    let between = |cut: bool| {
        for (from, to) in [(0, 1), (1, 0)] {
            for sender in parts[from] {
                for receiver in parts[to] {
                    let sender = members[sender].gossip.address();
                    let faults = cut.then_some(UdpFaults::CUT);
                    members[receiver].relay.udp.set_from(sender, faults);
                }
            }
        }
    };
    between(true);
    members[0].until_thinks(3, Liveness::Down).await;
    members[0].until_thinks(4, Liveness::Down).await;
    members[2].until_thinks(1, Liveness::Down).await;
    assert_eq!(thinks(&members[0].gossip.view(), 2), Some(Liveness::Alive));
    between(false);
    for member in &members {
        member.until_all_live(1..=4).await;
    }
}
