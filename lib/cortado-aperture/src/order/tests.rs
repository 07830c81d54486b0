//! Orders that peers must agree about.

use super::*;

/// `places` of a group with `seed`, in the order of `keys`.
fn sorted<K: RingKey>(order: RingOrder, keys: &[K]) -> Vec<K> {
    let mut keys = keys.to_vec();
    keys.sort_by_key(|key| (order.place(key), key.clone()));
    keys
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

#[test]
fn groups_have_orders_of_their_own() {
    let keys: Vec<u32> = (0..40).collect();
    let [checkout, again, search] = ["checkout", "checkout", "search"].map(RingOrder::of_group);
    assert_eq!(sorted(checkout, &keys), sorted(again, &keys));
    assert_ne!(sorted(checkout, &keys), sorted(search, &keys));
}

/// Pinned: another version of this crate must put endpoints where this one does.
#[test]
fn places_never_change() {
    let order = RingOrder::of_group("checkout");
    let check = |text: &str, want: u128| {
        assert_eq!(order.place(&address(text)), Place(want), "{text}: {:?}", order);
    };
    check("10.0.0.1:80", 54083071786686844585948449519713955754);
    check("[2001:db8::1]:443", 106773065125127690121418779239405530394);
    assert_eq!(order.place(&"db-7"), Place(53932603797317648901659133498526583895));
}

#[test]
fn an_ipv4_address_is_itself_in_ipv6() {
    let order = RingOrder::of_group("checkout");
    let [short, long] = ["10.0.0.1:80", "[::ffff:10.0.0.1]:80"].map(address);
    assert_eq!(order.place(&short), order.place(&long));
    assert_ne!(short, long, "so that the key decides");
}

/// The pair whose 32-bit hashes are equal, which leaves the original without an order.
#[test]
fn ipv6_addresses_never_tie() {
    let pair = [
        address("[2001:db8:136e:a068:e4db:f376:f3b1:a5a0]:443"),
        address("[2001:db8:ecaf:603a:b15f:5ba5:5104:ee93]:443"),
    ];
    let compatible = RingOrder::compatible(COMPATIBLE_SEED);
    assert_eq!(compatible.place(&pair[0]), compatible.place(&pair[1]));
    let own = RingOrder::of_group("checkout");
    assert_ne!(own.place(&pair[0]), own.place(&pair[1]));
    for order in [compatible, own] {
        let reversed = [pair[1], pair[0]];
        assert_eq!(sorted(order, &pair), sorted(order, &reversed));
    }
}

#[test]
fn names_end_with_ordinals() {
    assert_eq!("db-7".ordinal(), Some(7));
    assert_eq!("db".ordinal(), None);
    assert_eq!("db-99999999999".ordinal(), None);
    assert_eq!(String::from("shelf12").ordinal(), Some(12));
    assert_eq!(5_u64.ordinal(), Some(5));
}
