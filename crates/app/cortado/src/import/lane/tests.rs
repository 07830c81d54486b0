//! How what waits before a lane is cut into bulks.

use super::*;
use std::collections::BTreeSet;

fn item(position: u64, key: &[&str], bytes: usize) -> Item {
    let key = key.iter().map(|part| (*part).to_owned()).collect();
    let document = Document::new("t".into(), key, "x".repeat(bytes));
    Item::new(position, 1, 0, document)
}

/// The positions of each bulk.
fn cut(items: Vec<Item>) -> Vec<Vec<u64>> {
    let bulks = bulks(items.into_iter());
    bulks.iter().map(|bulk| bulk.iter().map(|item| item.position).collect()).collect()
}

#[test]
fn whatever_waits_travels_together_and_in_its_order() {
    let items = vec![item(1, &["JP", "a"], 1), item(2, &["FR", "a"], 1), item(3, &["JP", "a"], 1)];
    assert_eq!(cut(items), [vec![1, 2, 3]]);
}

#[test]
fn bulks_have_a_bounded_size() {
    let half = BULK_BYTES_MAX / 2;
    let items = vec![
        item(1, &["JP", "a"], half),
        item(2, &["JP", "b"], half),
        item(3, &["JP", "c"], 1),
        item(4, &["JP", "d"], 3 * half),
        item(5, &["JP", "e"], 1),
    ];
    assert_eq!(cut(items), [vec![1, 2], vec![3], vec![4], vec![5]]);
}

#[test]
fn a_key_always_has_the_same_lane() {
    let lane = |key: &[&str]| lane_of(&item(1, key, 1).document, 16);
    assert_eq!(lane(&["JP", "a"]), lane(&["JP", "a"]));
    let parts: Vec<String> = (0..100).map(|number| number.to_string()).collect();
    let used: BTreeSet<usize> = parts.iter().map(|part| lane(&["JP", part])).collect();
    assert!(used.len() > 8, "one resource uses many lanes: {used:?}");
}
