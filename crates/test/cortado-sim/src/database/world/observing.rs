//! Who sees everything: looks at each record that lands, each event and each answer.
//!
//! Changes nothing but what checkers remember. Start reading at [`World::observe_landing`].

use super::{Address, World};
use crate::database::asker::Asker;
use crate::database::coverage::{CoveragePoint, variant};
use crate::database::hosted::Unanswered;
use crate::database::invariants::{gate, one_effect, one_winner};
use crate::database::mutant::Mutant;
use crate::database::scenario::Scenario;
use crate::database::truth::Kind;
use crate::kernel::violation::Violation;
use bytes::Bytes;
use cortado_driver::{Action, News, Refused, Reply, Written};
use cortado_model::ReplicaIncarnation;
use cortado_replica::{Frame, NotDone, Stop};

impl World {
    /// A record has just landed.
    pub(super) fn observe_landing(&mut self, partition: usize, bytes: &Bytes) {
        let uuid = self.genesis(partition).identity.partition;
        let known = &mut self.partitions[partition];
        let transactions = known.truth.transactions.len();
        let before = known.truth.replicas.clone();
        let milestone = known.truth.land(bytes, uuid);
        let gone = before.into_iter().filter(|node| !known.truth.may_claim(*node));
        known.left.extend(gone.collect::<Vec<_>>());
        let end = known.truth.end;
        let scn = milestone.map(|milestone| milestone.scn.to_u64());
        self.kernel.note(&[97, end.0, scn.unwrap_or(0)], || {
            let what = Frame::read(bytes, uuid).map(|frame| frame.header);
            let fate = milestone.map_or("void".to_owned(), |each| format!("{:?}", each.kind));
            format!("log: p{partition} {} {fate}: {what:?}", end.0 - 1)
        });
        let Some(milestone) = milestone else { return };
        let transacts = known.truth.transactions.len() > transactions;
        let mut checks = vec![
            known.handoff.accepted(&known.truth, self.kernel.now),
            known.etags.accepted(&known.truth, transacts),
        ];
        if transacts {
            checks.push(known.denied.check_newest(&known.truth));
            checks.push(one_effect::check_newest(&known.truth));
        }
        if milestone.kind == Kind::Claim && rolls_over(known) {
            self.coverage.reach(CoveragePoint::RolledOver);
        }
        for check in checks {
            self.check(check);
        }
    }

    /// A driver has told what happened.
    pub(super) fn observe_news(&mut self, from: Address, news: &News) {
        self.coverage.meet(variant::news(news));
        self.suspect_less(from, news);
        self.take_evidence(from, news);
        if let Some(point) = CoveragePoint::of_news(news) {
            self.coverage.reach(point);
        }
        let Some(hosted) = self.hosted_at(from) else { return };
        let incarnation = hosted.driver.incarnation();
        if matches!(news, News::Resigned { .. }) {
            hosted.has_resigned = true;
        }
        if matches!(news, News::Starts { .. }) && incarnation.life > 1 {
            self.coverage.reach(CoveragePoint::Rebuilt);
        }
        if matches!(news, News::StandsStill { .. }) {
            self.come_to_stand(from);
        }
        if matches!(news, News::Resynced { .. }) {
            self.unheard.take_if(|node| *node == from.node);
        }
        if self.plan.scenario == Scenario::Rolling {
            self.check(gate::check_news(&from.to_string(), news));
        }
        let result = self.check_news(from, incarnation, news);
        self.check(result);
    }

    /// Replaces the node where reads are damaged; elsewhere only an operator could judge its state.
    fn come_to_stand(&mut self, here: Address) {
        if self.plan.scenario == Scenario::Damage || self.is(Mutant::WipesWhoStands) {
            self.plan_replacement(here.node);
        }
        match self.plan.scenario {
            Scenario::Disputed => self.keep_from_now(here),
            Scenario::Outvoted => {
                self.expect_to_keep();
                self.keep_from_now(here);
            }
            _ => {}
        }
    }

    fn check_news(
        &mut self,
        from: Address,
        incarnation: ReplicaIncarnation,
        news: &News,
    ) -> Result<(), Violation> {
        let Address { node, partition, .. } = from;
        let blind = self.is_the_blind_one(from);
        let beaten = self.unheard_has_served();
        let known = &mut self.partitions[partition];
        match news {
            News::NewGeneration { .. } if blind => Ok(()),
            News::NewGeneration { generation, leader, .. } => {
                one_winner::check_claim(&known.truth, *generation, *leader)
            }
            News::Serving { generation } => {
                let server = (self.nodes[node].id, incarnation);
                let served = known.servers.serve(&known.truth, *generation, server);
                let calm = self.plan.scenario == Scenario::Calm;
                served.and(known.handoff.serving(self.kernel.now, calm))
            }
            // It believes what it was shown, until it hears of others.
            News::Stopped { why: Stop::Behind(_), .. } if blind => Ok(()),
            News::Stopped { offset, why } => match self.plan.scenario {
                Scenario::Damage | Scenario::Disputed => Ok(()),
                Scenario::Outvoted if beaten => Ok(()),
                _ => Err(Violation::new("offline", format!("{from} at {offset}: {why}"))),
            },
            News::Differ { agreed, odd, .. } => {
                let details = format!("{odd:?} differ from {agreed:?}");
                Err(Violation::new("equal_digests", details))
            }
            News::Starts { .. }
            | News::StandsStill { .. }
            | News::NotHashed { .. }
            | News::BookmarksNotTrimmed { .. }
            | News::Heard { .. }
            | News::Claims
            | News::ReplicasChanged { .. }
            | News::ClaimLost { .. }
            | News::Resigned { .. }
            | News::SteppedDown { .. }
            | News::Void { .. }
            | News::Foreign { .. }
            | News::GapBegan(_)
            | News::GapEnded { .. }
            | News::LostRecord { .. }
            | News::Unverified { .. }
            | News::Verified { .. }
            | News::Diverged { .. }
            | News::Disputed { .. }
            | News::AppendFailed(_)
            | News::ProducerAbandoned { .. }
            | News::Republishing { .. }
            | News::Agreed { .. }
            | News::TooFewDigests { .. }
            | News::WaitsForRoom { .. }
            | News::HasRoom
            | News::Damaged { .. }
            | News::BehindLog { .. }
            | News::Contradicted { .. }
            | News::Resynced { .. }
            | News::SnapshotFailed { .. }
            | News::FoldsAnew { .. }
            | News::NotRebuilt { .. } => Ok(()),
        }
    }

    /// A driver has answered a request.
    pub(super) fn observe_reply(&mut self, asked: &Unanswered, reply: &Reply) {
        let point = match reply {
            Reply::NotDone(NotDone::Overloaded) => CoveragePoint::Overloaded,
            Reply::NotDone(NotDone::LogRefused) => CoveragePoint::LogRefused,
            Reply::NotDone(NotDone::LogUnusable) => CoveragePoint::LogUnusable,
            Reply::NotDone(NotDone::Exhausted) => CoveragePoint::Exhausted,
            Reply::Unknown(_) => CoveragePoint::AnsweredUnknown,
            Reply::Refused(_) => CoveragePoint::RefusalSettled,
            Reply::Written(written) if written.repeated && asked.met_in_flight => {
                CoveragePoint::KeyInFlight
            }
            Reply::Written(written) if written.repeated => CoveragePoint::Repetition,
            Reply::Written(written) if written.results.iter().all(changes_nothing) => {
                CoveragePoint::NothingChanged
            }
            Reply::Each(ended) => match in_part(ended) {
                Some(point) => point,
                None => return,
            },
            Reply::NotDone(NotDone::NotLeader | NotDone::Changing | NotDone::Offline)
            | Reply::Written(_)
            | Reply::Ready => return,
        };
        self.coverage.reach(point);
    }
}

/// What only the parts of a bulk can show together.
fn in_part(ended: &[Result<Written, Refused>]) -> Option<CoveragePoint> {
    let is_repeated = |each: &Result<Written, _>| each.as_ref().is_ok_and(|each| each.repeated);
    if ended.iter().any(is_repeated) {
        return Some(CoveragePoint::BulkRepeated);
    }
    let is_mixed = ended.iter().any(Result::is_ok) && ended.iter().any(Result::is_err);
    is_mixed.then_some(CoveragePoint::BulkInPart)
}

fn changes_nothing(done: &cortado_document::Done) -> bool {
    use cortado_document::Done;
    match done {
        Done::Missing | Done::Checked => true,
        Done::Created | Done::Replaced | Done::Patched | Done::Deleted => false,
    }
}

/// Whether the last claim came from who led already.
fn rolls_over(known: &super::Partition) -> bool {
    let mut winners = known.truth.winners.values().rev();
    matches!((winners.next(), winners.next()), (Some(new), Some(old)) if new == old)
}

/// What distinguishes an action, for the trace's hash.
pub(super) fn facts(action: &Action<Asker>) -> [u64; 3] {
    let job = super::driving::job_of(action).map_or(0, |job| job.0);
    match action {
        Action::Append { records } => [50, records.len() as u64, 0],
        Action::Survey(_) => [51, job, 0],
        Action::OpenProducer(_) => [52, job, 0],
        Action::AskExtent(_) => [53, job, 0],
        Action::ReadPage { from, .. } => [54, job, from.offset.0],
        Action::Find { keys, .. } => [55, job, keys.len() as u64],
        Action::Apply { last, .. } => [56, job, last.to_u64()],
        Action::FindBookmark { trim, .. } => [57, job, trim.below.0],
        Action::Hash { time, .. } => [58, job, time.0],
        Action::ProbeStore(_) => [59, job, 0],
        Action::ClearStore(_) => [60, job, 0],
        Action::InstallSnapshot { from, .. } => [61, job, u64::from(from.0)],
        Action::LookAround(_) => [62, job, 0],
        Action::AskPeers(_) => [70, job, 0],
        Action::AskToClaim { node } => [71, u64::from(node.0), 0],
        Action::Report(report) => [63, report.at.to_u64(), report.digest as u64],
        Action::Condemn { nodes, .. } => [64, nodes.len() as u64, 0],
        Action::TrimLog(trim) => [65, trim.below.0, 0],
        Action::FailStore { .. } => [66, 0, 0],
        Action::Reply { reply, .. } => [67, u64::from(matches!(reply, Reply::NotDone(_))), 0],
        Action::Tell(_) => [68, 0, 0],
        Action::End => [69, 0, 0],
        Action::LookThrough(_) => [72, job, 0],
    }
}

/// An action as a line of the story.
pub(super) fn describe(action: &Action<Asker>) -> String {
    match action {
        Action::Append { records } => {
            let headers = records.iter().map(|bytes| match Frame::read_any(bytes) {
                Ok(frame) => frame.header.scn.to_string(),
                Err(error) => error.to_string(),
            });
            format!("append {:?}", headers.collect::<Vec<_>>())
        }
        Action::Apply { job, last, transactions, .. } => {
            format!("apply {transactions} transactions up to {last}, {job:?}")
        }
        Action::Reply { caller: Asker::Client { attempt, .. }, reply } => {
            format!("answer #{} {reply:?}", attempt.0)
        }
        action => format!("{action:?}"),
    }
}
