//! Who may hold a name, as a table.

use super::*;
use cortado_model::DatabaseId;

/// A life of the node, in a directory.
fn life(directory: u128, incarnation: u64, nonce: u128) -> NodeLife {
    NodeLife {
        node: NodeId(1),
        incarnation: NodeIncarnation(incarnation),
        directory: DirectoryUuid(directory),
        nonce,
    }
}

/// What the life 17 of directory 1 is told if this is registered under its name.
#[track_caller]
fn check(registered: Option<Registration>, want: LifeStanding) {
    assert_eq!(LifeStanding::of(&life(1, 17, 170), registered.as_ref()), want);
}

fn held(life: NodeLife) -> Option<Registration> {
    Some(Registration { life, replaced: false, removed: false })
}

fn replaced(life: NodeLife) -> Option<Registration> {
    Some(Registration { life, replaced: true, removed: false })
}

fn removed(life: NodeLife) -> Option<Registration> {
    Some(Registration { life, replaced: false, removed: true })
}

#[test]
fn a_name_belongs_to_the_newest_life_of_one_directory() {
    let refused = |why| LifeStanding::Refused(why);
    check(None, LifeStanding::Unregistered);
    check(held(life(1, 16, 160)), LifeStanding::Unregistered);
    check(held(life(1, 17, 170)), LifeStanding::Registered);
    check(held(life(1, 17, 171)), refused(LifeRefusal::Copy));
    let newer = LifeRefusal::NewerLife(NodeIncarnation(18));
    check(held(life(1, 18, 180)), refused(newer));
    let other = LifeRefusal::OtherDirectory(DirectoryUuid(2));
    check(held(life(2, 16, 160)), refused(other));
    check(held(life(2, 17, 170)), refused(other));
    check(held(life(2, 18, 180)), refused(other));
}

#[test]
fn a_replaced_nodes_name_goes_to_a_higher_incarnation() {
    let behind = |life| LifeStanding::Refused(LifeRefusal::Behind(NodeIncarnation(life)));
    check(replaced(life(2, 16, 160)), LifeStanding::Unregistered);
    check(replaced(life(2, 17, 170)), behind(17));
    check(replaced(life(2, 18, 180)), behind(18));
    check(replaced(life(1, 16, 160)), LifeStanding::Unregistered);
    // An older copy of the directory.
    check(replaced(life(1, 18, 180)), behind(18));
    // It holds its name until the successor registers.
    check(replaced(life(1, 17, 170)), LifeStanding::Registered);
}

#[test]
fn a_removed_node_holds_no_name() {
    for life in [life(1, 16, 160), life(1, 17, 170), life(2, 16, 160)] {
        check(removed(life), LifeStanding::Refused(LifeRefusal::Removed));
    }
}

#[test]
fn only_who_has_to_be_higher_begins_again_alone() {
    let above = NodeIncarnation(18);
    assert_eq!(LifeRefusal::Behind(above).next_life(), NextLife::Begins { above });
    for refusal in [
        LifeRefusal::NewerLife(above),
        LifeRefusal::Copy,
        LifeRefusal::OtherDirectory(DirectoryUuid(2)),
        LifeRefusal::Removed,
        LifeRefusal::TooOld { needed: 2, own: 1 },
    ] {
        assert_eq!(refusal.next_life(), NextLife::Waits);
    }
}

#[test]
fn before_it_is_registered_a_node_claims_in_cluster_alone() {
    let database = PartitionId { database: DatabaseId(1), number: 0 };
    let check = |standing: LifeStanding, cluster, other| {
        let node = Eligibility { is_member: true, standing, gives_way: false };
        assert_eq!(node.may_claim(PartitionId::CLUSTER), cluster, "{standing:?}");
        assert_eq!(node.may_claim(database), other, "{standing:?}");
        for never in [
            Eligibility { is_member: false, ..node }, // a router
            Eligibility { gives_way: true, ..node },  // a newer life has claimed
        ] {
            assert!(!never.may_claim(PartitionId::CLUSTER), "{never:?}");
            assert!(!never.may_claim(database), "{never:?}");
        }
    };
    check(LifeStanding::Unregistered, true, false);
    check(LifeStanding::Registered, true, true);
    check(LifeStanding::Refused(LifeRefusal::Removed), false, false);
    check(LifeStanding::Refused(LifeRefusal::NewerLife(NodeIncarnation(18))), false, false);
}

#[test]
fn a_life_gives_way_to_a_newer_one_for_a_while() {
    #[track_caller]
    fn check(leader: Option<(u32, u64)>, want: Option<u64>) {
        let replica = |node| ReplicaIncarnation { node: NodeIncarnation(node), life: 1 };
        let leader = leader.map(|(node, incarnation)| (NodeId(node), replica(incarnation)));
        let until = life(1, 17, 170).gives_way_until(leader, Millis(1_000));
        assert_eq!(until, want.map(Millis));
    }
    check(Some((1, 18)), Some(6_000));
    check(Some((1, 17)), None);
    check(Some((1, 16)), None);
    check(Some((2, 18)), None);
    check(None, None);
}
