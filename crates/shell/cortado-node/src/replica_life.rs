//! A replica that is built anew inside its process is somebody else than the one before.
//!
//! What a claim of the one before won must not be taken up by the next: it may have written records
//! of that generation which the next has not folded. So each has an incarnation of its own, made of
//! the node's and a count. Source: docs/protocols/replication.md, "Duties of the driver".

use cortado_model::Incarnation;

/// Bits of the count below those of the node's incarnation, milliseconds since 1970: 41 bits.
const LIFE_BITS: u32 = 22;

/// A replica's incarnation in its `life`-th life within a life of its node, from 1.
///
/// `None` when the lives are used up: a week of one rebuild every 150 ms.
pub(crate) fn replica_incarnation(node: Incarnation, life: u64) -> Option<Incarnation> {
    (life < 1 << LIFE_BITS).then_some(Incarnation(node.0 << LIFE_BITS | life))
}

/// The life of the node in which a replica wrote, as heartbeats name it.
pub(crate) fn node_incarnation(replica: Incarnation) -> Incarnation {
    Incarnation(replica.0 >> LIFE_BITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lives_of_one_node_differ_and_name_it() {
        let node = Incarnation(1_795_444_426_221);
        let lives = [1, 2, (1 << LIFE_BITS) - 1].map(|life| replica_incarnation(node, life));
        assert!(lives.is_sorted() && lives[0] != lives[1]);
        for life in lives {
            assert_eq!(life.map(node_incarnation), Some(node));
        }
        assert_eq!(replica_incarnation(node, 1 << LIFE_BITS), None);
        let later = replica_incarnation(Incarnation(node.0 + 1), 1);
        assert!(later > lives[2]);
    }
}
