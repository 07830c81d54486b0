//! Who may hold a name, as a table.

use super::*;
use cortado_model::{DatabaseId, NodeId};

/// What the life 17 of directory 1 is told if this is registered under its name.
#[track_caller]
fn check(registered: Option<NodeFacts>, want: Standing) {
    let me = NodeLife {
        node: NodeId(1),
        incarnation: NodeIncarnation(17),
        directory: DirectoryUuid(1),
        nonce: 170,
    };
    assert_eq!(standing(registered.as_ref(), &me), want);
}

fn facts(directory: u128, incarnation: u64, nonce: u128) -> NodeFacts {
    NodeFacts {
        node: NodeId(1),
        incarnation: NodeIncarnation(incarnation),
        directory: DirectoryUuid(directory),
        nonce,
        replaced: false,
        removed: false,
        address: "here:1".to_owned(),
    }
}

fn replaced(facts: NodeFacts) -> Option<NodeFacts> {
    Some(NodeFacts { replaced: true, ..facts })
}

#[test]
fn a_name_belongs_to_the_newest_life_of_one_directory() {
    let refused = |why| Standing::Refused(why);
    check(None, Standing::Unregistered);
    check(Some(facts(1, 16, 160)), Standing::Unregistered);
    check(Some(facts(1, 17, 170)), Standing::Registered);
    check(Some(facts(1, 17, 171)), refused(Refusal::Copy));
    let newer = Refusal::NewerLife(NodeIncarnation(18));
    check(Some(facts(1, 18, 180)), refused(newer));
    let other = Refusal::OtherDirectory(DirectoryUuid(2));
    check(Some(facts(2, 16, 160)), refused(other));
    check(Some(facts(2, 17, 170)), refused(other));
    check(Some(facts(2, 18, 180)), refused(other));
}

#[test]
fn a_replaced_nodes_name_goes_to_whoever_is_above_it() {
    let behind = |life| Standing::Refused(Refusal::Behind(NodeIncarnation(life)));
    check(replaced(facts(2, 16, 160)), Standing::Unregistered);
    check(replaced(facts(2, 17, 170)), behind(17));
    check(replaced(facts(2, 18, 180)), behind(18));
    check(replaced(facts(1, 16, 160)), Standing::Unregistered);
    // An older copy of the directory.
    check(replaced(facts(1, 18, 180)), behind(18));
    // It holds its name until the successor registers.
    check(replaced(facts(1, 17, 170)), Standing::Registered);
}

#[test]
fn a_removed_node_holds_no_name() {
    let removed = |facts| Some(NodeFacts { removed: true, ..facts });
    for facts in [facts(1, 16, 160), facts(1, 17, 170), facts(2, 16, 160)] {
        check(removed(facts), Standing::Refused(Refusal::Removed));
    }
}

#[test]
fn only_who_has_to_be_higher_begins_again_alone() {
    let above = NodeIncarnation(18);
    assert_eq!(Refusal::Behind(above).next_life(), NextLife::Begins { above });
    for refusal in [
        Refusal::NewerLife(above),
        Refusal::Copy,
        Refusal::OtherDirectory(DirectoryUuid(2)),
        Refusal::Removed,
    ] {
        assert_eq!(refusal.next_life(), NextLife::Waits);
    }
}

#[test]
fn before_it_is_registered_a_node_claims_in_cluster_alone() {
    let database = PartitionId { database: DatabaseId(1), number: 0 };
    let check = |standing: Standing, cluster, other| {
        assert_eq!(standing.may_claim(PartitionId::CLUSTER), cluster, "{standing:?}");
        assert_eq!(standing.may_claim(database), other, "{standing:?}");
    };
    check(Standing::Unregistered, true, false);
    check(Standing::Registered, true, true);
    check(Standing::Refused(Refusal::Removed), false, false);
    check(Standing::Refused(Refusal::NewerLife(NodeIncarnation(18))), false, false);
}

#[test]
fn a_life_gives_way_to_a_newer_one_for_a_while() {
    #[track_caller]
    fn check(leader: (u32, u64), want: Option<u64>) {
        let (directory, nonce) = (DirectoryUuid(1), 170);
        let (node, incarnation) = (NodeId(1), NodeIncarnation(17));
        let me = NodeLife { node, incarnation, directory, nonce };
        let life = ReplicaIncarnation { node: NodeIncarnation(leader.1), life: 1 };
        let leader = Some((NodeId(leader.0), life));
        let leadership = Leadership { leader, since: Millis(1_000), ..Leadership::default() };
        assert_eq!(gives_way_until(&me, &leadership), want.map(Millis));
    }
    check((1, 18), Some(6_000));
    check((1, 17), None);
    check((1, 16), None);
    check((2, 18), None);
}
