//! Who may hold a name, as a table.

use super::*;
use cortado_model::NodeId;

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
