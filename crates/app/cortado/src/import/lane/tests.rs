//! How what waits before a lane is cut into transactions.

use super::*;

fn item(position: u64, key: &[&str], bytes: usize) -> Item {
    let key = key.iter().map(|part| (*part).to_owned()).collect();
    let document = Document::new("t".into(), key, "x".repeat(bytes));
    Item::new(position, 1, 0, document)
}

/// The positions of each group.
fn cut(items: Vec<Item>) -> Vec<Vec<u64>> {
    let groups = groups(items.into_iter());
    groups.iter().map(|group| group.iter().map(|item| item.position).collect()).collect()
}

#[test]
fn neighbours_of_one_resource_travel_together() {
    let items = vec![
        item(1, &["JP", "a"], 1),
        item(2, &["FR", "a"], 1),
        item(3, &["JP", "b"], 1),
        item(4, &["FR", "b"], 1),
    ];
    assert_eq!(cut(items), [vec![1, 3], vec![2, 4]]);
}

#[test]
fn a_repeated_key_waits_for_the_next_transaction() {
    let items = vec![
        item(1, &["JP", "a"], 1),
        item(2, &["JP", "a"], 1),
        item(3, &["JP", "b"], 1),
        item(4, &["JP", "a"], 1),
    ];
    assert_eq!(cut(items), [vec![1], vec![2, 3], vec![4]]);
}

#[test]
fn transactions_have_a_bounded_size() {
    let half = GROUP_BYTES_MAX / 2;
    let items = vec![
        item(1, &["JP", "a"], half),
        item(2, &["JP", "b"], half),
        item(3, &["JP", "c"], 1),
        item(4, &["JP", "d"], 3 * half),
        item(5, &["JP", "e"], 1),
    ];
    assert_eq!(cut(items), [vec![1, 2], vec![3], vec![4], vec![5]]);
    let parts: Vec<String> = (0..=GROUP_DOCUMENTS_MAX).map(|number| number.to_string()).collect();
    let items = parts.iter().map(|part| item(1, &["JP", part], 1)).collect();
    let counts: Vec<usize> = cut(items).iter().map(Vec::len).collect();
    assert_eq!(counts, [GROUP_DOCUMENTS_MAX, 1]);
}

#[test]
fn a_key_always_has_the_same_lane() {
    let lane = |key: &[&str]| lane_of(&item(1, key, 1).document, 16);
    assert_eq!(lane(&["JP", "a"]), lane(&["JP", "a"]));
    let parts: Vec<String> = (0..100).map(|number| number.to_string()).collect();
    let used: BTreeSet<usize> = parts.iter().map(|part| lane(&["JP", part])).collect();
    assert!(used.len() > 8, "one resource uses many lanes: {used:?}");
}
