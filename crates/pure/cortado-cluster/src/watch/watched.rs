//! What is remembered of one partition between two looks at it.
//!
//! Start reading at [`Watched::see`].

use super::protocol::PartitionView;
use crate::decision::{Leadership, PartitionFacts, Takeover};
use crate::placement::Placement;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use cortado_model::{Generation, Millis, NodeId, PartitionId, back_off_ms};

/// A claim that has led to nothing is made again after this, if it is still called for; the next
/// ones after ever more.
const CLAIM_AGAIN_MS: u64 = 400;
/// Claims that came to nothing so long ago make the next one no slower: the leader has lived since.
const CLAIMS_FORGOTTEN_MS: u64 = 60_000;
/// Own claims that the back-off remembers for each partition.
const OWN_CLAIMS_MAX: usize = 32;

/// One partition of which this node should hold a replica.
#[derive(Clone, Debug)]
pub(super) struct Watched {
    pub(super) placement: Placement,
    /// When this node saw that its log has begun.
    since: Option<Millis>,
    /// The generation last seen.
    generation: Generation,
    /// When own claims were accepted, oldest first.
    own_claims: Vec<Millis>,
    /// Those of them that took the leadership over from another node, unasked.
    takeovers: Vec<Takeover>,
    /// From which node a claim after the leadership last seen takes over.
    taken_from: Option<NodeId>,
    /// When this node last claimed what follows that generation.
    claimed_at: Option<Millis>,
    /// How often it has.
    claims: u32,
    /// The decision to do so has been told.
    told: bool,
    /// The leader has been asked to step down, and was not sound since.
    asked: bool,
}

/// What a decision depends on and no single partition knows.
#[derive(Clone, Copy, Debug)]
pub(super) struct NodeFacts {
    pub(super) me: NodeId,
    pub(super) store_full: bool,
    pub(super) hand_off_running: bool,
    pub(super) last_hand_back_at: Option<Millis>,
}

impl Watched {
    pub(super) fn new(placement: Placement) -> Watched {
        Watched {
            placement,
            since: None,
            generation: Generation::default(),
            own_claims: Vec::new(),
            takeovers: Vec::new(),
            taken_from: None,
            claimed_at: None,
            claims: 0,
            told: false,
            asked: false,
        }
    }

    /// Takes note of what the replica shows; answers who leads.
    pub(super) fn see(&mut self, now: Millis, view: &PartitionView, me: NodeId) -> Leadership {
        let taken_from = view.leadership.and_then(|known| known.taken_from(me));
        let from = core::mem::replace(&mut self.taken_from, taken_from);
        if view.generation != self.generation {
            self.generation = view.generation;
            (self.claimed_at, self.claims, self.told) = (None, 0, false);
            self.asked = false;
            if let Some((leader, at)) = view.leadership.and_then(|known| known.leader())
                && leader == me
            {
                remember(&mut self.own_claims, at);
                if let Some(from) = from {
                    remember(&mut self.takeovers, Takeover { at, from });
                }
            }
        }
        let since = *self.since.get_or_insert(now);
        view.leadership.unwrap_or(Leadership::Never { since })
    }

    /// What there is to decide from.
    pub(super) fn facts<'a>(
        &'a self,
        partition: PartitionId,
        (view, leadership): (&'a PartitionView, Leadership),
        follower_lags: &'a BTreeMap<NodeId, u64>,
        node: NodeFacts,
    ) -> PartitionFacts<'a> {
        PartitionFacts {
            partition,
            me: node.me,
            incarnation: view.incarnation,
            placement: &self.placement,
            leadership,
            claimants: &view.claimants,
            restoring: view.restoring,
            store_full: node.store_full,
            lag_records: view.lag_records,
            own_claims: &self.own_claims,
            takeovers: &self.takeovers,
            follower_lags,
            hand_off_running: node.hand_off_running,
            last_hand_back_at: node.last_hand_back_at,
        }
    }

    /// When a claim may be made, as far as the last one has had its time.
    pub(super) fn claim_again_at(&self, partition: PartitionId) -> Option<Millis> {
        let wait_ms = back_off_ms(CLAIM_AGAIN_MS, self.claims, partition.to_u64());
        self.claimed_at.map(|at| at.plus(wait_ms))
    }

    /// A claim is made now; answers whether that is a decision of its own.
    pub(super) fn claim(&mut self, now: Millis) -> bool {
        if self.claimed_at.is_some_and(|at| now.since(at) > CLAIMS_FORGOTTEN_MS) {
            (self.claims, self.told) = (0, false);
        }
        self.claimed_at = Some(now);
        self.claims += 1;
        !core::mem::replace(&mut self.told, true)
    }

    /// The leader is asked to step down; answers whether that is new.
    pub(super) fn ask(&mut self) -> bool {
        !core::mem::replace(&mut self.asked, true)
    }

    /// The leader is sound.
    pub(super) fn forget_asking(&mut self) {
        self.asked = false;
    }

    /// The claim was not made.
    pub(super) fn claim_not_taken(&mut self) {
        self.claimed_at = None;
        // By now, the generation may be another one.
        self.claims = self.claims.saturating_sub(1);
    }
}

fn remember<T>(claims: &mut Vec<T>, claim: T) {
    claims.push(claim);
    let surplus = claims.len().saturating_sub(OWN_CLAIMS_MAX);
    claims.drain(..surplus);
}
