//! Claims of this replica: the record that makes it the leader, if the log accepts it.
//!
//! Start reading at [`Replica::on_claim_wanted`]. Source: docs/protocols/replication.md, "Taking
//! over".

use super::identity::genesis_record;
use super::outbox::Outbox;
use super::publish::take_token;
use super::{PendingClaim, Replica, Stage};
use crate::protocol::{Effect, Now};
use crate::record::{Body, Claim, ClaimReason, Genesis, Header, Origin, Record, encode_at};
use alloc::vec;
use bytes::Bytes;
use cortado_model::{LogOffset, Scn};

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
        let disputes = matches!(reason, ClaimReason::LeaderDisputed | ClaimReason::DisputeResolved);
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
        // A log that has lost everything begins anew, and who has nothing learns whose it is.
        let begins = self.fold.position.offset == LogOffset::ZERO;
        let records = match begins {
            true => vec![self.genesis_anew(out.now), bytes],
            false => vec![bytes],
        };
        out.effect(Effect::Append { token, records });
        let give_up_at = out.now.clock.plus(self.settings.retry_ms);
        self.stage =
            Stage::Follower { claim: Some(PendingClaim { generation, token, give_up_at }) };
    }

    /// The genesis of this partition, which continues what is folded here.
    fn genesis_anew(&self, now: Now) -> Bytes {
        let fold = &self.fold;
        let origin = Origin {
            cluster: fold.genesis.identity.cluster,
            partition: fold.genesis.identity.partition,
            log: fold.log,
            history: fold.history(),
            time: fold.time,
        };
        let genesis = Genesis { origin: Some(origin), ..fold.genesis.clone() };
        genesis_record(&genesis, &self.me, now)
    }
}
