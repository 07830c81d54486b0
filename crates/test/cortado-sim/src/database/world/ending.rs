//! After the faults: everything must work again, then come to rest, then be found to be right.
//!
//! Start reading at [`World::inspect`].

use super::{Due, Phase, Report, World};
use crate::database::invariants::{answers, equal_digests, liveness, one_effect};
use crate::database::oracle;
use crate::kernel::time::MILLI;
use crate::kernel::violation::Violation;

/// Clients go on for at least so long after the faults.
const HEALED_US_MIN: u64 = 400 * MILLI;

impl World {
    /// The faults stop.
    pub(super) fn heal(&mut self) {
        if self.phase == Phase::Filling {
            self.check_led();
        }
        self.put(50 * MILLI, Due::Inspect);
        if self.begin_to_keep() || self.begin_to_fill() || self.begin_to_outvote() {
            return;
        }
        self.phase = Phase::Healed { at: self.kernel.now };
        self.stop_faults();
    }

    /// Are we there yet?
    pub(super) fn inspect(&mut self) {
        self.put(50 * MILLI, Due::Inspect);
        match self.phase {
            Phase::Faults | Phase::Filling | Phase::Outvoting { .. } | Phase::Over => {}
            Phase::Keeping { since } => self.inspect_kept(since),
            Phase::Resolving { since } => self.resolve(since),
            Phase::Healed { at } => {
                let demanded = (0..self.plan.partitions).filter(|p| !self.is_exhausted(*p));
                let served: Vec<_> = demanded.map(|p| self.partitions[p].served).collect();
                self.check(liveness::check_served(&served, at, self.kernel.now));
                let (in_place, moved) = (self.are_in_place(), self.moves_are_over(at));
                let upgraded = self.is_upgraded(at);
                let all = served.iter().all(|each| each.is_complete());
                let all = all && in_place && moved && upgraded;
                if all && self.kernel.now.since(at) > HEALED_US_MIN {
                    self.phase = Phase::Quiet { since: self.kernel.now };
                }
            }
            Phase::Quiet { since } => {
                let unfinished = self.unfinished();
                if unfinished.is_empty() {
                    self.phase = Phase::Over;
                    self.compare_all();
                } else {
                    self.check_all_answered(since);
                    self.check(liveness::check_quiet(&unfinished, since, self.kernel.now));
                }
            }
        }
    }

    /// What the run has shown; asks the oracle first if nothing was found yet.
    pub(super) fn finish(mut self) -> Report {
        let mut undecided = 0;
        if self.kernel.finding.is_none() && !self.keeps() {
            let strong = self.plan.clocks_are_sound();
            let once = self.plan.ttl_ms.is_none();
            let verdict = oracle::check(&self.history, self.plan.partitions, strong, once);
            undecided = verdict.undecided;
            self.check(verdict.result);
        }
        let is_done = |operation: &&crate::database::history::Operation| {
            let ended = operation.last().ended.as_ref();
            ended.is_some_and(|(_, reply)| {
                use crate::database::history::Reply;
                matches!(reply, Reply::Committed { .. } | Reply::Values { .. } | Reply::Refused)
            })
        };
        // The generator's next number depends on every decision that was ever drawn.
        let last_draw = self.kernel.random.draw();
        self.kernel.trace.mix(last_draw);
        let won = self.partitions.iter().map(|known| known.truth.winners.len() as u64);
        Report {
            seed: self.seed,
            scenario: self.plan.scenario,
            trace: self.kernel.trace.hash(),
            simulated_us: self.kernel.now.0,
            happenings: self.kernel.happenings,
            operations: self.history.len() as u64,
            done: self.history.iter().filter(is_done).count() as u64,
            generations: won.sum(),
            undecided,
            coverage: self.coverage,
            finding: self.kernel.finding,
            lines: self.kernel.trace.into_lines(),
        }
    }

    /// Whether a partition is read-only for good: no replica can lead it any more.
    fn is_exhausted(&self, partition: usize) -> bool {
        let last = self.partitions[partition].truth.last;
        self.plan.may_exhaust()
            && last.generation >= self.plan.settings.replica.bounds.generation_max
    }

    /// Names what is still under way.
    fn unfinished(&self) -> Vec<String> {
        let mut unfinished = Vec::new();
        if self.log.is_busy() {
            unfinished.push("appends are under way".to_owned());
        }
        for (client, known) in self.clients.iter().enumerate() {
            if let Some(attempt) = known.waiting {
                unfinished.push(format!("c{client} waits for #{}", attempt.0));
            }
        }
        for (n, node) in self.nodes.iter().enumerate() {
            for partition in 0..self.plan.partitions {
                let name = format!("n{}.p{partition}", n + 1);
                if !self.holds(partition, node.id) {
                    if node.hosted(partition).is_some() {
                        unfinished.push(format!("{name} should be gone"));
                    }
                    continue;
                }
                let Some(hosted) = node.hosted(partition) else {
                    unfinished.push(format!("{name} is down"));
                    continue;
                };
                let owed = hosted.unanswered.len() as u64 + hosted.operators;
                if owed > 0 {
                    unfinished.push(format!("{name} owes {owed} answers"));
                }
                let end = self.log.end(partition);
                let (next, (_, applied)) = (hosted.next_offset(), hosted.driver.applied());
                if next != Some(end) || applied < end {
                    let role = hosted.driver.role();
                    unfinished.push(format!("{name} {role:?} stands at {next:?}/{applied}"));
                }
            }
        }
        unfinished
    }

    /// A bound of its own, so that a forgotten answer is called by its name.
    fn check_all_answered(&mut self, since: crate::kernel::time::Moment) {
        if self.kernel.now.since(since) <= liveness::QUIET_US_MAX {
            return;
        }
        let hosted = self.nodes.iter().flat_map(|node| {
            let process = node.process.iter();
            process.flat_map(|process| process.drivers()).map(move |hosted| (node.id, hosted))
        });
        let waiting =
            hosted.flat_map(|(node, hosted)| hosted.owed().map(move |who| format!("{node} {who}")));
        let result = answers::check_none_waits(waiting);
        self.check(result);
    }

    /// Everything is at rest: all replicas must be equal, and equal to what the log means.
    fn compare_all(&mut self) {
        for partition in 0..self.plan.partitions {
            let truth = &self.partitions[partition].truth;
            let mut result = Ok(());
            let mut folds = Vec::new();
            for node in self.nodes.iter().filter(|node| self.holds(partition, node.id)) {
                let image = node.disk[partition].image();
                let newest = truth.transactions.last().map(|each| each.scn).unwrap_or_default();
                if image.last_transaction != newest {
                    let details = format!("{} has {}", node.id, image.last_transaction);
                    let details = format!("{details}, the log {newest}");
                    result = result.and(Err(Violation::new("all_applied", details)));
                }
                result = result.and(equal_digests::check_anew(truth, image));
                folds.extend(node.hosted(partition).and_then(|hosted| hosted.driver.fold()));
            }
            if let Some(pair) = folds.windows(2).find(|pair| pair[0] != pair[1]) {
                let details = format!("{:?} and {:?}", pair[0], pair[1]);
                result = result.and(Err(Violation::new("equal_folds", details)));
            }
            self.check(result);
        }
        self.check_moved();
        for partition in 0..self.plan.partitions {
            self.check(one_effect::check_all(&self.partitions[partition].truth));
        }
    }
}
