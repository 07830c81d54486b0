//! Which leaderships a node does not claim although it might, by cause, so that each cause is told
//! once and not for each partition.
//!
//! Start reading at [`Abstaining::tell`].

use crate::abstention::{AbstainCause, Abstention};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;
use cortado_model::{Millis, NodeId, PartitionId};

/// What a node leaves alone.
#[derive(Clone, Debug, Default)]
pub(super) struct Abstaining {
    causes: BTreeMap<PartitionId, AbstainCause>,
    groups: BTreeMap<AbstainCause, Group>,
}

#[derive(Clone, Debug)]
struct Group {
    partitions: BTreeSet<PartitionId>,
    since: Millis,
    evidence: String,
    told: bool,
}

impl Abstaining {
    /// The decision about `partition`: `cause` keeps this node from claiming it, or nothing does.
    pub(super) fn note(
        &mut self,
        now: Millis,
        partition: PartitionId,
        cause: Option<(AbstainCause, String)>,
    ) {
        let key = cause.as_ref().map(|(cause, _)| *cause);
        let before = match key {
            Some(key) => self.causes.insert(partition, key),
            None => self.causes.remove(&partition),
        };
        if before == key {
            return;
        }
        if let Some(before) = before
            && let Some(group) = self.groups.get_mut(&before)
        {
            group.partitions.remove(&partition);
            if group.partitions.is_empty() {
                self.groups.remove(&before);
            }
        }
        if let Some((cause, evidence)) = cause {
            let partitions = BTreeSet::new();
            let new = || Group { partitions, since: now, evidence, told: false };
            self.groups.entry(cause).or_insert_with(new).partitions.insert(partition);
        }
    }

    /// What is to be told: a grace at once, since it is a decision; anything else that has lasted
    /// for `lasting_ms`, since most of it is over in a moment.
    pub(super) fn tell(&mut self, now: Millis, node: NodeId, lasting_ms: u64) -> Vec<Abstention> {
        let due = self.groups.iter_mut().filter(|(cause, group)| {
            let at_once = matches!(cause, AbstainCause::Grace { .. });
            !group.told && (at_once || now.since(group.since) >= lasting_ms)
        });
        let tell = |(cause, group): (&AbstainCause, &mut Group)| {
            group.told = true;
            Abstention {
                node,
                cause: *cause,
                evidence: group.evidence.clone(),
                partitions: group.partitions.iter().copied().collect(),
            }
        };
        due.map(tell).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cortado_model::DatabaseId;

    fn p(number: u32) -> PartitionId {
        PartitionId { database: DatabaseId(1), number }
    }

    #[test]
    fn a_cause_is_told_once_for_all_partitions_and_again_when_it_comes_back() {
        let mut abstaining = Abstaining::default();
        let restoring = || Some((AbstainCause::Restoring, String::new()));
        let told = |abstaining: &mut Abstaining, now| {
            let told = abstaining.tell(Millis(now), NodeId(2), 1_000);
            told.iter()
                .map(|told| (told.cause, told.partitions[0], told.partitions.len()))
                .collect::<Vec<_>>()
        };
        for number in [5, 3, 4] {
            abstaining.note(Millis(0), p(number), restoring());
        }
        assert_eq!(told(&mut abstaining, 999), []);
        assert_eq!(told(&mut abstaining, 1_000), [(AbstainCause::Restoring, p(3), 3)]);
        abstaining.note(Millis(1_000), p(6), restoring());
        assert_eq!(told(&mut abstaining, 2_000), []);
        (3..=6).for_each(|number| abstaining.note(Millis(2_000), p(number), None));
        abstaining.note(Millis(3_000), p(3), restoring());
        assert_eq!(told(&mut abstaining, 3_000), []);
        assert_eq!(told(&mut abstaining, 4_000), [(AbstainCause::Restoring, p(3), 1)]);
    }

    #[test]
    fn a_grace_is_told_at_once() {
        let mut abstaining = Abstaining::default();
        let cause = AbstainCause::Grace { leader: NodeId(1) };
        abstaining.note(Millis(0), p(1), Some((cause, "beats".into())));
        let told = abstaining.tell(Millis(0), NodeId(2), 1_000);
        assert_eq!(told[0].by_database(), [(DatabaseId(1), vec![1])].into());
        assert_eq!(told[0].evidence(&[1]), ["beats"]);
        assert_eq!(told[0].evidence(&[1, 4]), ["beats", "partitions 1, 4"]);
    }
}
