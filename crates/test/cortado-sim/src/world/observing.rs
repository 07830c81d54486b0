//! Who sees everything: looks at each record that lands, each event and each answer.
//!
//! Changes nothing but what checkers remember. Start reading at [`World::observe_landing`].

use super::{Address, World};
use crate::coverage::Sight;
use crate::driver::Purpose;
use crate::history::Reply;
use crate::invariants::{one_effect, one_winner};
use crate::scenario::Scenario;
use crate::truth::Kind;
use crate::violation::Violation;
use bytes::Bytes;
use cortado_replica::{Answer, Effect, Event, Frame, NotDone};

impl World {
    /// A record has just landed.
    pub(super) fn observe_landing(&mut self, partition: usize, bytes: &Bytes) {
        let uuid = self.genesis(partition).identity.partition;
        let known = &mut self.partitions[partition];
        let transactions = known.truth.transactions.len();
        let milestone = known.truth.land(bytes, uuid);
        let end = known.truth.end;
        let scn = milestone.map(|milestone| milestone.scn.to_u64());
        self.trace.note(self.now, &[97, end.0, scn.unwrap_or(0)], || {
            let what = Frame::read(bytes, uuid).map(|frame| frame.header);
            let fate = milestone.map_or("void".to_owned(), |each| format!("{:?}", each.kind));
            format!("log: p{partition} {} {fate}: {what:?}", end.0 - 1)
        });
        let Some(milestone) = milestone else { return };
        let transacts = known.truth.transactions.len() > transactions;
        let mut checks = vec![
            known.handoff.accepted(&known.truth, self.now),
            known.etags.accepted(&known.truth, transacts),
        ];
        if transacts {
            checks.push(known.denied.check_newest(&known.truth));
            checks.push(one_effect::check_newest(&known.truth));
        }
        if milestone.kind == Kind::Claim && rolls_over(known) {
            self.coverage.sight(Sight::RolledOver);
        }
        for check in checks {
            self.check(check);
        }
    }

    /// A replica has told what happened.
    pub(super) fn observe_event(&mut self, from: Address, event: Event) {
        let Address { node, partition, incarnation } = from;
        self.suspect_less(from, &event);
        self.take_evidence(from, &event);
        let known = &mut self.partitions[partition];
        let result = match event {
            Event::NewGeneration { generation, leader, .. } => {
                one_winner::check_claim(&known.truth, generation, leader)
            }
            Event::Serving { generation } => {
                let server = (self.nodes[node].id, incarnation);
                let served = known.servers.serve(&known.truth, generation, server);
                let calm = self.plan.scenario == Scenario::Calm;
                served.and(known.handoff.serving(self.now, calm))
            }
            Event::Void { why, .. } => {
                if let Some(sight) = Sight::of_void(why) {
                    self.coverage.sight(sight);
                }
                Ok(())
            }
            Event::Republishing { .. } => {
                self.coverage.sight(Sight::Republished);
                Ok(())
            }
            Event::Stopped { offset, why } => {
                self.plan_replacement(node);
                match self.plan.scenario {
                    Scenario::Damage => Ok(()),
                    _ => Err(Violation::new("offline", format!("{from} at {offset}: {why}"))),
                }
            }
            Event::Heard { .. }
            | Event::Resigned { .. }
            | Event::SteppedDown { .. }
            | Event::ClaimLost { .. }
            | Event::GapBegan(_)
            | Event::GapEnded { .. } => Ok(()),
        };
        self.check(result);
    }

    /// A replica has answered a request.
    pub(super) fn observe_answer(&mut self, what: &Purpose, answer: Answer) {
        let sight = match (what, answer) {
            (_, Answer::NotDone(NotDone::Overloaded)) => Sight::Overloaded,
            (_, Answer::NotDone(NotDone::LogRefused)) => Sight::LogRefused,
            (_, Answer::NotDone(NotDone::LogUnusable)) => Sight::LogUnusable,
            (_, Answer::NotDone(NotDone::Exhausted)) => Sight::Exhausted,
            (_, Answer::Unknown) => Sight::AnsweredUnknown,
            (Purpose::HandOff, Answer::Committed { .. }) => Sight::HandedOff,
            (Purpose::Settled(Reply::Refused), Answer::Ready) => Sight::RefusalSettled,
            (
                Purpose::Write
                | Purpose::Read(_)
                | Purpose::Settled(_)
                | Purpose::Again(_)
                | Purpose::HandOff,
                Answer::Committed { .. }
                | Answer::Ready
                | Answer::NotDone(NotDone::NotLeader | NotDone::Changing | NotDone::Offline),
            ) => return,
        };
        self.coverage.sight(sight);
    }
}

/// Whether the last claim came from who led already.
fn rolls_over(known: &super::Partition) -> bool {
    let mut winners = known.truth.winners.values().rev();
    matches!((winners.next(), winners.next()), (Some(new), Some(old)) if new == old)
}

/// What distinguishes an effect, for the trace's hash.
pub(super) fn facts(effect: &Effect) -> [u64; 3] {
    match effect {
        Effect::Append { token, records } => [50, token.0, records.len() as u64],
        Effect::Recover => [51, 0, 0],
        Effect::Apply(apply) => [52, apply.state.last.to_u64(), apply.transactions.len() as u64],
        Effect::Answer { request, answer } => {
            [53, request.0, u64::from(matches!(answer, Answer::NotDone(_)))]
        }
        Effect::Digest { at } => [54, at.to_u64(), 0],
        Effect::TrimLog(trim) => [55, trim.below.0, 0],
        Effect::TrimBookmarks(trim) => [57, trim.below.0, 0],
        Effect::Event(_) => [56, 0, 0],
    }
}

/// An effect as a line of the story.
pub(super) fn describe(effect: &Effect) -> String {
    match effect {
        Effect::Append { token, records } => {
            let headers = records.iter().map(|bytes| match Frame::read_any(bytes) {
                Ok(frame) => frame.header.scn.to_string(),
                Err(error) => error.to_string(),
            });
            format!("append {} of {:?}", token.0, headers.collect::<Vec<_>>())
        }
        Effect::Apply(apply) => {
            let scns = apply.transactions.iter().map(|committed| committed.scn.to_string());
            format!("apply {:?} up to {}", scns.collect::<Vec<_>>(), apply.state.last)
        }
        Effect::Answer { request, answer } => format!("answer {} {answer:?}", request.0),
        Effect::Recover
        | Effect::Digest { .. }
        | Effect::TrimBookmarks(_)
        | Effect::TrimLog(_)
        | Effect::Event(_) => format!("{effect:?}"),
    }
}
