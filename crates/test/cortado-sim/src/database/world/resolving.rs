//! The end of worlds in which histories have parted: an operator chooses one of them for each
//! partition, and it must go on everywhere, with all that it holds.
//!
//! Does what the gateway does: tells the chosen replica first, and the others when it goes on.
//! Start reading at [`World::resolve`].

use super::{Address, Chosen, Phase, World};
use crate::database::coverage::CoveragePoint;
use crate::database::hosted::Hosted;
use crate::database::invariants::kept::Kept;
use crate::database::invariants::resolved;
use crate::database::mutant::Mutant;
use crate::database::scenario::Scenario;
use crate::kernel::time::{Moment, SECOND};
use cortado_driver::{Event, Folded, LookedThrough, ReplicaRole, Resolution, SurveyError};
use cortado_model::{Generation, LogOffset, LogPosition, WallMillis};
use cortado_replica::Frame;
use std::collections::BTreeMap;

/// A replica that has been told and is in doubt still is told again after this.
const TOLD_AGAIN_US: u64 = 5 * SECOND;

impl World {
    /// A person decides; answers whether that can be done where such a world ends.
    pub(super) fn begin_to_resolve(&mut self) {
        let can_be = match self.plan.scenario {
            Scenario::Disputed
            | Scenario::Outvoted
            | Scenario::Truncated
            | Scenario::KafkaUnclean => true,
            // What a newer build has written, and another log, are no matter of choice.
            _ => false,
        };
        if !can_be {
            self.phase = Phase::Over;
            return;
        }
        self.kernel.listen_only_to(resolved::NAME);
        self.phase = Phase::Resolving { since: self.kernel.now };
        // Whoever stands behind the end of its log hears of it.
        (0..self.plan.partitions).for_each(|partition| self.notify(partition));
    }

    /// Are all histories one yet?
    pub(super) fn resolve(&mut self, since: Moment) {
        for partition in 0..self.plan.partitions {
            self.choose(partition);
            let in_doubt = (0..self.nodes.len()).any(|node| self.is_in_doubt(node, partition));
            if let Some(chosen) = &mut self.partitions[partition].chosen
                && chosen.told.is_empty()
            {
                // There is nothing to be decided.
                chosen.done = !in_doubt;
            }
            let Some(chosen) = self.partitions[partition].chosen.clone() else { continue };
            if chosen.done {
                continue;
            }
            if self.is_one(partition) {
                self.check_goes_on(partition, &chosen);
                if let Some(chosen) = &mut self.partitions[partition].chosen {
                    chosen.done = true;
                }
            } else {
                self.tell_in_doubt(partition, &chosen);
            }
        }
        let open = self
            .partitions
            .iter()
            .position(|known| known.chosen.as_ref().is_none_or(|chosen| !chosen.done));
        let Some(open) = open else {
            self.phase = Phase::Over;
            return;
        };
        let roles: Vec<_> = self.nodes.iter().map(|node| node.hosted(open).map(role)).collect();
        let waited_us = self.kernel.now.since(since);
        self.check(resolved::check_done(open, waited_us, &roles));
    }

    /// Any replica will do that says what it has.
    fn choose(&mut self, partition: usize) {
        if self.partitions[partition].chosen.is_some() {
            return;
        }
        let tells = |node: &usize| {
            let here = &self.nodes[*node];
            let holds = self.holds(partition, here.id);
            holds && here.hosted(partition).is_some_and(|hosted| folded(hosted).is_some())
        };
        let could: Vec<usize> = (0..self.nodes.len()).filter(tells).collect();
        if could.is_empty() {
            return;
        }
        let node = self.kernel.random.one_of(&could);
        let in_doubt = self.is_in_doubt(node, partition);
        let kept = in_doubt.then(|| Kept::of(self.nodes[node].disk[partition].image()));
        let chosen = Chosen { node, kept, told: BTreeMap::new(), done: false };
        self.partitions[partition].chosen = Some(chosen);
    }

    fn is_in_doubt(&self, node: usize, partition: usize) -> bool {
        let hosted = self.nodes[node].hosted(partition);
        let role = hosted.map(role);
        matches!(role, Some(ReplicaRole::Disputed | ReplicaRole::Diverged))
    }

    /// Whether one leads, all others follow, and all have applied the same.
    fn is_one(&self, partition: usize) -> bool {
        let placed = self.nodes.iter().filter(|node| self.holds(partition, node.id));
        let hosted: Vec<Option<&Hosted>> = placed.map(|node| node.hosted(partition)).collect();
        let Some(all) = hosted.into_iter().collect::<Option<Vec<_>>>() else { return false };
        let is_well =
            |one: &&Hosted| matches!(role(one), ReplicaRole::Leader | ReplicaRole::Follower);
        let leaders = all.iter().filter(|one| role(one) == ReplicaRole::Leader).count();
        let state = |one: &&Hosted| {
            let fold = one.driver.fold()?;
            Some((fold.history().scn, fold.history().chain, fold.position.offset))
        };
        let mut states = all.iter().map(state);
        let first = states.next().flatten();
        let ends = self.log.end(partition);
        let applied = all.iter().all(|one| one.driver.applied().1 >= ends);
        first.is_some()
            && leaders == 1
            && applied
            && all.iter().all(is_well)
            && states.all(|state| state == first)
    }

    fn check_goes_on(&mut self, partition: usize, chosen: &Chosen) {
        let held = Kept::of(self.nodes[chosen.node].disk[partition].image());
        let kept = chosen.kept.unwrap_or(held);
        for node in 0..self.nodes.len() {
            if !self.holds(partition, self.nodes[node].id) {
                continue;
            }
            let who = format!("n{}.p{partition}", node + 1);
            let image = self.nodes[node].disk[partition].image();
            let result = resolved::check_same(&who, &kept, image);
            self.check(result);
        }
        self.coverage.reach(CoveragePoint::Resolved);
    }

    fn tell_in_doubt(&mut self, partition: usize, chosen: &Chosen) {
        let keeper = self.nodes[chosen.node].hosted(partition);
        let serves =
            |one: &&Hosted| matches!(role(one), ReplicaRole::Leader | ReplicaRole::Follower);
        let goes_on = keeper.filter(serves).and_then(folded);
        let keep = self.nodes[chosen.node].id;
        for node in 0..self.nodes.len() {
            let is_next = goes_on.is_some() || node == chosen.node;
            let told = chosen.told.get(&node);
            let again = told.is_none_or(|at| self.kernel.now.since(*at) >= TOLD_AGAIN_US);
            let in_doubt = self.is_in_doubt(node, partition);
            let Some(hosted) = self.nodes[node].hosted(partition) else { continue };
            let own = folded(hosted).map(|folded| folded.accepted);
            let Some(own) = own.filter(|_| is_next && again && in_doubt) else { continue };
            let Some(to) = self.address(node, partition) else { continue };
            let beyond = goes_on.map(|folded| folded.below).unwrap_or_default();
            if let Some(chosen) = &mut self.partitions[partition].chosen {
                chosen.told.insert(node, self.kernel.now);
            }
            let delay_us = self.delay();
            self.tell_in(delay_us, to, Event::Resolve(Resolution { keep, own, beyond }));
        }
    }

    /// The whole log, as a driver's node reads it.
    pub(super) fn look_through(&mut self, to: Address) -> Result<LookedThrough, SurveyError> {
        let checkpoint = self.nodes[to.node].disk[to.partition].image().checkpoint.clone();
        let survey = self.survey_ends(to, checkpoint)?;
        let uuid = self.genesis(to.partition).identity.partition;
        let mut highest = Generation::default();
        let mut next = self.beginning(to, survey.extent.first);
        while next.offset < survey.extent.end {
            let page = self.read_records(to, next, 1 << 20);
            let page = page.map_err(|error| SurveyError::Log { why: format!("{error:?}") })?;
            let frames = page.entries.iter().filter_map(|(_, bytes)| Frame::read(bytes, uuid).ok());
            highest = frames.map(|frame| frame.header.scn.generation).fold(highest, Ord::max);
            if page.next.offset <= next.offset {
                return Err(SurveyError::Log { why: "nothing more is shown yet".to_owned() });
            }
            next = page.next;
        }
        if self.is(Mutant::LooksThroughNothing) {
            highest = Generation::default();
        }
        let (log, checkpoint) = (survey.log, survey.checkpoint);
        Ok(LookedThrough { log, checkpoint, end: next, highest })
    }

    /// Where the log begins, for who has read all that its own leader has appended.
    fn beginning(&mut self, to: Address, offset: LogOffset) -> LogPosition {
        let told = self.ask_brokers(to).and_then(Result::ok);
        LogPosition { offset, epoch: told.map(|extent| extent.epoch).unwrap_or_default() }
    }
}

fn role(hosted: &Hosted) -> ReplicaRole {
    hosted.driver.role()
}

fn folded(hosted: &Hosted) -> Option<Folded> {
    hosted.driver.standing(WallMillis(0)).folded
}
