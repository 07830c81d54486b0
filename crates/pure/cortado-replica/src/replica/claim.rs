//! Claims of this replica: the record that makes it the leader, if the log accepts it.
//!
//! Start reading at [`Replica::on_claim_wanted`]. Source: docs/protocols/replication.md, "Taking
//! over".

use super::outbox::Outbox;
use super::publish::take_token;
use super::{PendingClaim, Replica, Stage};
use crate::protocol::Effect;
use crate::record::{Body, Claim, ClaimReason, Header, Record, encode_at};
use alloc::vec;
use cortado_model::Scn;

impl Replica {
    /// A follower that knows no better sends its claim; whether it counts, the log says.
    pub(super) fn on_claim_wanted(
        &mut self,
        reason: ClaimReason,
        evidence: u128,
        out: &mut Outbox<'_>,
    ) {
        let Stage::Follower { claim: None } = self.stage else { return };
        let generation = self.fold.next_generation();
        let disputes = reason == ClaimReason::LeaderDisputed;
        let may_claim = self.fold.begun
            && self.fold.replicas.may_claim(self.me.node)
            && self.fold.dispute().is_some() == disputes;
        if generation > self.settings.bounds.generation_max || !may_claim {
            return;
        }
        self.claims_again = core::mem::replace(&mut self.claimed, generation) == generation;
        let claim = Claim { reason, evidence, seen: self.fold.last };
        let header = Header {
            scn: Scn::opening(generation),
            node: self.me.node,
            incarnation: self.me.incarnation,
            time: self.time.at(out.now),
        };
        let record = Record { header, body: Body::Claim(claim) };
        let partition = self.fold.genesis.identity.partition;
        let level = self.fold.feature_level;
        let (bytes, _) = encode_at(level, partition, &record, self.fold.chain);
        let token = take_token(&mut self.next_token);
        out.effect(Effect::Append { token, records: vec![bytes] });
        let give_up_at = out.now.clock.plus(self.settings.retry_ms);
        self.stage =
            Stage::Follower { claim: Some(PendingClaim { generation, token, give_up_at }) };
    }
}
