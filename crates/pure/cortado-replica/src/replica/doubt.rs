//! Replicas in doubt: a claimant that lacks what others have, and a replica whose leader does.
//!
//! Start reading at [`Replica::on_diverged`].
//! Source: docs/protocols/replication.md, "The fold" and "Taking over".

use super::leader::Leader;
use super::outbox::Outbox;
use super::{Replica, Stage};
use crate::fold::Conflict;
use crate::protocol::ReplicaEvent;
use cortado_model::Generation;

impl Replica {
    /// Section 2, divergence: others have what this one lacks.
    pub(super) fn on_diverged(&mut self, generation: Generation, out: &mut Outbox<'_>) {
        let opens = |leader: &Leader| leader.awaits_comparison(generation);
        if !matches!(&self.stage, Stage::Leader(leader) if opens(leader)) {
            return;
        }
        self.resign(out);
        self.stage = Stage::Diverged { since: generation };
        self.refuse_parked(out);
    }

    /// Section 2: the leader goes on with another history. What was folded before it is stored, and
    /// nothing behind it as long as that lasts.
    pub(super) fn dispute(&mut self, conflict: Conflict, out: &mut Outbox<'_>) {
        // It counts for that leader, and it may serve under a lease.
        self.foreign_at = Some(out.now.clock);
        if self.fold.dispute().is_none() {
            self.flush(out);
            self.refuse_parked(out);
            out.event(ReplicaEvent::Disputed { offset: self.fold.position.offset, conflict });
        }
    }

    /// What a later leader has sent behind its claim was accepted: its history is this one's.
    pub(super) fn end_divergence(&mut self) {
        if let Stage::Diverged { since } = self.stage
            && self.fold.agreed().generation > since
        {
            self.stage = Stage::Follower { claim: None };
        }
    }
}
