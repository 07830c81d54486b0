//! The known word that is most like one that is not known.

/// The nearest of `known`, if any is near enough to be meant.
pub(crate) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let near = known.iter().map(|other| (distance(word, other), *other));
    let (distance, nearest) = near.min()?;
    (distance <= 1 + word.len() / 3).then_some(nearest)
}

/// How many letters are to be added, taken away or changed.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut costs: Vec<usize> = (0..=other.len()).collect();
    for (i, left) in one.chars().enumerate() {
        let mut diagonal = costs[0];
        costs[0] = i + 1;
        for (j, right) in other.iter().enumerate() {
            let changed = diagonal + usize::from(left != *right);
            diagonal = costs[j + 1];
            costs[j + 1] = changed.min(costs[j] + 1).min(diagonal + 1);
        }
    }
    costs[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_meant_is_found_and_nothing_far_away() {
        let known = ["peer_listen", "listen", "data", "kafka", "prefix"];
        let check = |word: &str, want| assert_eq!(nearest(word, &known), want, "{word}");
        check("peer_listn", Some("peer_listen"));
        check("peer-listen", Some("peer_listen"));
        check("kafk", Some("kafka"));
        check("nodes", None);
        check("", None);
    }
}
