//! What a broker does as the leader of a partition: how far its followers are, who is in sync, and
//! who waits for that.
//!
//! Source: KIP-497 (a replica that joins counts from the request on), KIP-966 (the high watermark
//! stands still below min ISR). Start reading at [`Leading::high`].

use crate::names::{BrokerId, Micros};
use std::collections::BTreeMap;

/// A leadership of a partition on its broker.
#[derive(Clone, Debug)]
pub(crate) struct Leading {
    pub(crate) epoch: u32,
    /// Of the assignment that it rests on.
    pub(crate) version: u32,
    /// Where it began.
    pub(crate) from: u64,
    pub(crate) in_sync: Vec<BrokerId>,
    /// The ISR that the controller was asked for and has not answered.
    pub(crate) asked: Option<Vec<BrokerId>>,
    pub(crate) followers: BTreeMap<BrokerId, FollowerState>,
    /// Producers that wait for the followers, oldest first.
    pub(crate) waiting: Vec<WaitingProduce>,
}

/// A follower as its leader knows it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FollowerState {
    /// It has everything below.
    pub(crate) end: u64,
    /// When it last had all that the leader had.
    pub(crate) caught_up: Micros,
    /// Its fetch before this one: when, and what the leader had then.
    pub(crate) fetched: (Micros, u64),
    /// Its fetch that waits for something new.
    pub(crate) waits: Option<WaitingFetch>,
}

/// A fetch that waits at the leader.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WaitingFetch {
    pub(crate) number: u64,
    pub(crate) offset: u64,
    /// The high watermark that the follower knows.
    pub(crate) high: u64,
}

/// A producer that waits for the followers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WaitingProduce {
    pub(crate) token: u64,
    /// Where its records stand, and which leader has appended them.
    pub(crate) base: u64,
    pub(crate) epoch: u32,
    /// The high watermark must come to here.
    pub(crate) needs: u64,
    pub(crate) due: Micros,
}

impl Leading {
    /// Everybody in sync, those included who are about to be.
    fn widest(&self) -> impl Iterator<Item = BrokerId> + '_ {
        let asked = self.asked.iter().flatten();
        let more = asked.filter(|broker| !self.in_sync.contains(broker));
        self.in_sync.iter().chain(more).copied()
    }

    /// The high watermark that its followers allow.
    pub(crate) fn high(&self, me: BrokerId, end: u64, min_in_sync: Option<u32>) -> Option<u64> {
        if min_in_sync.is_some_and(|min| (self.in_sync.len() as u32) < min) {
            return None;
        }
        let others = self.widest().filter(|broker| *broker != me);
        let ends = others.map(|broker| self.followers.get(&broker).map_or(0, |each| each.end));
        Some(ends.min().unwrap_or(end).min(end))
    }

    /// A follower that fetches from `offset` has everything below.
    pub(crate) fn note_fetch(&mut self, from: BrokerId, offset: u64, end: u64, now: Micros) {
        let state = self.followers.entry(from).or_insert(FollowerState {
            end: 0,
            caught_up: Micros(0),
            fetched: (Micros(0), u64::MAX),
            waits: None,
        });
        state.end = offset;
        if offset >= end {
            state.caught_up = now;
        } else if offset >= state.fetched.1 {
            state.caught_up = state.caught_up.max(state.fetched.0);
        }
        state.fetched = (now, end);
    }

    /// The ISR with `follower`, if that has what is committed and is not in it.
    pub(crate) fn grown_by(&self, follower: BrokerId, high: u64) -> Option<Vec<BrokerId>> {
        let state = self.followers.get(&follower)?;
        let able = state.end >= high.max(self.from) && self.asked.is_none();
        (able && !self.in_sync.contains(&follower))
            .then(|| self.in_sync.iter().copied().chain([follower]).collect())
    }

    /// The ISR without those that have not been caught up for `lag_us`, if that is another one.
    pub(crate) fn shrunk(
        &self,
        me: BrokerId,
        end: u64,
        now: Micros,
        lag_us: u64,
    ) -> Option<Vec<BrokerId>> {
        let keeps = |broker: &BrokerId| {
            let state = self.followers.get(broker);
            *broker == me
                || state
                    .is_some_and(|state| state.end == end || now.since(state.caught_up) <= lag_us)
        };
        let kept: Vec<BrokerId> = self.in_sync.iter().copied().filter(keeps).collect();
        (kept.len() < self.in_sync.len() && self.asked.is_none()).then_some(kept)
    }
}
