//! What has come before does not come again.
//!
//! Start reading at [`Replays::admit`].

use crate::limits::MEMBERS_MAX;
use cortado_model::{NodeId, NodeIncarnation};
use std::collections::BTreeMap;

/// How far a message may come behind later ones of its sender: streams take longer than datagrams.
const WINDOW: u64 = 1_024;
const WORDS: usize = (WINDOW / 64) as usize;

/// What has come, of the newest life of each sender.
#[derive(Default)]
pub(crate) struct Replays {
    senders: BTreeMap<NodeId, Seen>,
}

struct Seen {
    life: NodeIncarnation,
    /// The highest count that has come.
    highest: u64,
    /// Which of the last ones have come: a bit for each count, at its remainder.
    window: [u64; WORDS],
}

impl Replays {
    /// Whether a message has not come before. From then on it has.
    ///
    /// What an older life sent, and what is too old to be told, has come before. Called for what is
    /// proven only.
    pub(crate) fn admit(&mut self, sender: NodeId, life: NodeIncarnation, count: u64) -> bool {
        if self.senders.len() >= MEMBERS_MAX && !self.senders.contains_key(&sender) {
            return false;
        }
        let fresh = || Seen { life, highest: 0, window: [0; WORDS] };
        let seen = self.senders.entry(sender).or_insert_with(fresh);
        if seen.life > life {
            return false;
        }
        if seen.life < life {
            *seen = fresh();
        }
        seen.admit(count)
    }
}

impl Seen {
    fn admit(&mut self, count: u64) -> bool {
        if count == 0 || count.saturating_add(WINDOW) <= self.highest {
            return false;
        }
        if count > self.highest {
            let skipped = (count - self.highest).min(WINDOW);
            for number in 0..skipped {
                self.set(count - number, false);
            }
            self.highest = count;
        }
        let (word, bit) = place(count);
        let is_new = self.window[word] & bit == 0;
        self.set(count, true);
        is_new
    }

    fn set(&mut self, count: u64, has_come: bool) {
        let (word, bit) = place(count);
        if has_come {
            self.window[word] |= bit;
        } else {
            self.window[word] &= !bit;
        }
    }
}

fn place(count: u64) -> (usize, u64) {
    let at = count % WINDOW;
    ((at / 64) as usize, 1 << (at % 64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    const NODE: NodeId = NodeId(1);
    const LIFE: NodeIncarnation = NodeIncarnation(3);

    #[test]
    fn each_message_comes_once_in_any_order() {
        let mut replays = Replays::default();
        let mut admit = |count| replays.admit(NODE, LIFE, count);
        assert_eq!(
            [1, 2, 2, 5, 3, 3, 4, 1].map(&mut admit),
            [true, true, false, true, true, false, true, false]
        );
        assert!(admit(5_000) && !admit(5_000) && !admit(5));
        assert!(admit(5_000 - WINDOW + 1), "as late as may be");
        assert!(!admit(5_000 - WINDOW), "later");
        assert!(!admit(0), "counts begin at 1");
        assert!(admit(u64::MAX) && !admit(u64::MAX));
    }

    #[test]
    fn lives_and_nodes_count_for_themselves() {
        let mut replays = Replays::default();
        assert!(replays.admit(NODE, LIFE, 7));
        assert!(replays.admit(NodeId(2), LIFE, 7));
        assert!(replays.admit(NODE, NodeIncarnation(4), 7), "a newer life begins anew");
        assert!(!replays.admit(NODE, LIFE, 8), "an older one says nothing any more");
        assert!(!replays.admit(NODE, NodeIncarnation(4), 7));
    }

    #[test]
    fn no_count_is_admitted_twice_and_all_in_order_are() {
        let mut random = fastrand::Rng::with_seed(7);
        let (mut replays, mut admitted) = (Replays::default(), BTreeSet::new());
        for step in 0..20_000_u64 {
            let count = (1 + step / 2).saturating_sub(random.u64(0..50)).max(1);
            if replays.admit(NODE, LIFE, count) {
                assert!(admitted.insert(count), "{count}");
            }
        }
        let mut replays = Replays::default();
        assert!((1..5_000).all(|count| replays.admit(NODE, LIFE, count)));
    }
}
