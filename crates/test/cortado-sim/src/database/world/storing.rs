//! The stores as drivers reach them: at once or later, in line where order counts, and not always.
//!
//! Batches, hashes and everything that replaces a whole partition are done one after another; looks
//! are not, and show a state no older than the last batch that was answered.
//! Start reading at [`World::do_work`].

use super::due::Work;
use super::{Address, Due, World};
use crate::database::coverage::{BoundaryPoint, CoveragePoint, Fault};
use crate::database::invariants::{applied_in_order, equal_digests};
use crate::database::mutant::Mutant;
use crate::database::store::Image;
use crate::kernel::time::MILLI;
use cortado_driver::{CopyError, CopyRefusal, Event, Hashed, JobId, first_bookmark_at};
use cortado_model::{Batch, NodeId, Scn, StoreError, WallMillis};
use cortado_replica::Trim;

impl World {
    /// Gives the store something to do.
    pub(super) fn work(&mut self, here: Address, work: Work) {
        if self.is(Mutant::HashesLate) && matches!(work, Work::Hash { .. }) {
            return self.put(20 * MILLI, Due::Works { to: here, work });
        }
        if self.plan.store_us == 0 && !matches!(work, Work::Install { .. }) {
            return self.do_work(here, work);
        }
        let mut delay_us = self.kernel.random.around(self.plan.store_us.max(MILLI));
        if matches!(work, Work::Apply { .. }) && self.strikes(Fault::StoreSlow) {
            delay_us += self.kernel.random.between(50, 1_000) * MILLI;
        }
        let now = self.kernel.now;
        let Some(hosted) = self.hosted_at(here) else { return };
        let mut at = now.plus(delay_us);
        if work.is_in_line() {
            at = at.max(hosted.store_lane.plus(1));
            hosted.store_lane = at;
        }
        self.kernel.schedule.put(at, Due::Works { to: here, work });
    }

    /// The store does it now, and answers now or later.
    pub(super) fn do_work(&mut self, to: Address, work: Work) {
        if self.hosted_at(to).is_none() {
            return; // It was still inside the process that died.
        }
        let event = match work {
            Work::Find { job, keys, names } => Event::Found(job, self.find(to, &keys, &names)),
            Work::Apply { job, batch, last } => {
                let Some(event) = self.apply_or_fail(to, job, &batch, last) else { return };
                event
            }
            Work::FindBookmark { job, trim } => {
                let fails = self.strikes(Fault::StoreFails);
                let found = if fails { Err(failed()) } else { self.bookmark(to, trim) };
                Event::BookmarkFound(job, found)
            }
            Work::Hash { job, time, known } => {
                let hashed = self.hash(to, time, known);
                if self.plan.store_us == 0 {
                    return self.hash_is_durable(to, job, hashed);
                }
                // The answer takes as long as a power cut must not matter; the state was hashed.
                let hashed = Event::Hashed(job, hashed);
                let delay_us = self.kernel.random.around(self.plan.store_us);
                return self.tell_in(delay_us, to, hashed);
            }
            Work::Probe(job) => {
                let full = self.is_full(to.node);
                Event::Probed(job, if full { Err(no_room()) } else { Ok(()) })
            }
            Work::Clear(job) if self.strikes(Fault::StoreFails) => {
                Event::Cleared(job, Err(failed()))
            }
            Work::Clear(job) => {
                self.nodes[to.node].disk[to.partition].install(Image::default());
                Event::Cleared(job, Ok(()))
            }
            Work::Install { job, from } => Event::Installed(job, self.install(to, from)),
        };
        if self.plan.store_us == 0 {
            return self.tell(to, event);
        }
        let delay_us = self.kernel.random.around(self.plan.store_us);
        self.tell_in(delay_us, to, event);
    }

    /// What a driver hears of its store and of others; some of it changes something first.
    pub(super) fn hears(&mut self, to: Address, event: Event<crate::database::asker::Asker>) {
        match event {
            Event::Hashed(job, hashed) => self.hash_is_durable(to, job, hashed),
            Event::Applied(job, applied) => {
                let Some(hosted) = self.hosted_at(to) else { return };
                hosted.applying.take_if(|applying| *applying == job);
                self.tell(to, Event::Applied(job, applied));
            }
            event => self.tell(to, event),
        }
    }

    /// Whether a node's store takes nothing more.
    pub(super) fn is_full(&self, node: usize) -> bool {
        self.nodes[node].store_full_until > self.kernel.now
    }

    fn find(
        &mut self,
        to: Address,
        keys: &[(cortado_model::TableId, cortado_model::DocumentKey)],
        names: &[cortado_model::RememberedKey],
    ) -> Result<cortado_model::Findings, StoreError> {
        if self.strikes_damage(to) {
            return Err(damaged());
        }
        if self.strikes(Fault::StoreFails) {
            return Err(failed());
        }
        let store = &self.nodes[to.node].disk[to.partition];
        let mut found = store.image().found(keys, names);
        if self.is(Mutant::FindsLate) {
            found.documents = store.found_late(keys);
        }
        if self.is(Mutant::PurgesKeysEarly) {
            found.remembered.fill(None);
        }
        if self.is(Mutant::LooksUpOneKey) {
            found.remembered.iter_mut().skip(1).for_each(|other| *other = None);
        }
        Ok(found)
    }

    /// Applies a batch; `None` if the node dies of it.
    fn apply_or_fail(
        &mut self,
        to: Address,
        job: JobId,
        batch: &Batch,
        last: Scn,
    ) -> Option<Event<crate::database::asker::Asker>> {
        let error = if self.is_full(to.node) {
            Some(no_room())
        } else if self.strikes_damage(to) {
            Some(damaged())
        } else if self.strikes(Fault::StoreFails) {
            // Whether it is there will be seen when the store is opened again.
            if self.kernel.random.coin() {
                self.apply(to, batch, last);
            }
            Some(failed())
        } else {
            self.apply(to, batch, last);
            None
        };
        // A store that says that it is full works as it should.
        self.feel_batch(to, matches!(error, None | Some(StoreError::Full { .. })));
        let answers_before = self.is(Mutant::AnswersBeforeApply);
        if self.plan.store_us == 0
            && let Some(hosted) = self.hosted_at(to)
        {
            hosted.applying.take_if(|applying| *applying == job);
        }
        if error.is_none() && self.befalls(to.node, BoundaryPoint::AfterApply) {
            // A process that is only stopped will hear of it.
            self.hosted_at(to)?;
        }
        match error {
            Some(error) => Some(Event::Applied(job, Err(error))),
            None if answers_before => None,
            None => Some(Event::Applied(job, Ok(()))),
        }
    }

    /// A node notices how a batch of its own store went.
    fn feel_batch(&mut self, to: Address, works: bool) {
        let now = self.nodes[to.node].clock.read(self.kernel.now).clock;
        let Some(since) = self.hosted_at(to).map(|hosted| hosted.applying_since) else { return };
        if let Some(process) = &mut self.nodes[to.node].process {
            process.observer.store.end(now, now.since(since), works);
        }
    }

    fn apply(&mut self, to: Address, batch: &Batch, last: Scn) {
        let Address { node, partition, .. } = to;
        let drops = self.is(Mutant::DropsApply) && self.kernel.random.below(100) == 0;
        let truth = &self.partitions[partition].truth;
        let store = &mut self.nodes[node].disk[partition];
        let before = store.image().last_transaction;
        let in_order = applied_in_order::check(truth, before, last, batch);
        let newest = truth.between(before, last).last().map_or(before, |accepted| accepted.scn);
        let bookmarks = store.image().bookmarks() + batch.bookmarks.len();
        if drops {
            store.apply(&Batch { documents: Vec::new(), ..batch.clone() }, newest);
        } else {
            store.apply(batch, newest);
        }
        let equal = equal_digests::check(truth, store.image());
        if store.image().bookmarks() < bookmarks && batch.trim_bookmarks_below.is_some() {
            self.coverage.reach(CoveragePoint::BookmarksTrimmed);
        }
        store.flush(self.plan.undurable_max.max(1));
        if self.unheard != Some(node) {
            self.check(in_order.and(equal));
        }
        self.watch_stores(to);
    }

    fn bookmark(&self, to: Address, trim: Trim) -> Result<Option<Scn>, StoreError> {
        let image = self.nodes[to.node].disk[to.partition].image();
        first_bookmark_at(&trim, |scn| Ok(image.bookmark(scn)))
    }

    fn hash(
        &mut self,
        to: Address,
        time: WallMillis,
        known: Option<Hashed>,
    ) -> Result<Hashed, StoreError> {
        if self.strikes_damage(to) {
            return Err(damaged());
        }
        self.coverage.reach(CoveragePoint::Digested);
        let truth = &self.partitions[to.partition].truth;
        let image = self.nodes[to.node].disk[to.partition].image();
        let (remembered, first_expiry) = image.remembered_at(time);
        let digest = u128::from(image.digest_anew()) << 64 | u128::from(remembered);
        let equal = equal_digests::check_anew(truth, image);
        let answers = equal_digests::check_answers(truth, image, time);
        let known = equal_digests::check_known(known.map(|known| known.digest), digest);
        self.check(equal.and(answers).and(known));
        Ok(Hashed { digest, first_expiry })
    }

    /// The hashed state survives any crash from now on, and the driver may say so.
    fn hash_is_durable(&mut self, to: Address, job: JobId, hashed: Result<Hashed, StoreError>) {
        if self.hosted_at(to).is_none() {
            return;
        }
        if hashed.is_ok() {
            let store = &mut self.nodes[to.node].disk[to.partition];
            store.flush(0);
            let below = store.durable().offset;
            let verified = &mut self.nodes[to.node].verified[to.partition];
            *verified = below.max(*verified);
            let known = &mut self.partitions[to.partition];
            known.trim_decided = known.trim_decided.max(below);
        }
        self.tell(to, Event::Hashed(job, hashed));
    }

    /// A snapshot arrives, unless its sender has died on the way.
    fn install(
        &mut self,
        to: Address,
        from: NodeId,
    ) -> Result<(Scn, cortado_model::LogOffset), CopyError> {
        let sender = from.0 as usize - 1;
        let store = &self.nodes[sender].disk[to.partition];
        let readable = self.nodes[sender].is_running()
            && self.nodes[sender]
                .hosted(to.partition)
                .is_some_and(|hosted| hosted.driver.role().is_readable());
        let image = store.image().clone();
        let reached = image.reached;
        let whole = readable && image.checkpoint.is_some() && self.can_talk(sender, to.node);
        if !whole || self.strikes(Fault::SnapshotBroken) {
            // What was there before stays: a snapshot is installed when it has arrived. If that
            // is what fails, nothing is left, and another replica has it.
            if self.kernel.random.coin() && whole && self.others_hold(to.node, to.partition) {
                self.nodes[to.node].disk[to.partition].install(Image::default());
                let why = "told to fail while it installs".to_owned();
                return Err(CopyError::Store(StoreError::Failed { why }));
            }
            return Err(self.why_not_copied(readable));
        }
        self.nodes[to.node].disk[to.partition].install(image);
        self.coverage.reach(CoveragePoint::Resynced);
        Ok((reached.last, reached.offset))
    }

    /// Of all that can befall a copy, whatever fits.
    fn why_not_copied(&mut self, readable: bool) -> CopyError {
        let why = || "told to".into();
        match self.kernel.random.below(6) {
            _ if !readable => CopyError::Refused(CopyRefusal::NotReadable),
            0 => CopyError::PeerLost(why()),
            1 => CopyError::Refused(CopyRefusal::Busy),
            2 => CopyError::Damaged(damaged()),
            3 => CopyError::Spool(why()),
            _ => CopyError::Refused(CopyRefusal::Gone),
        }
    }

    /// A store whose bytes are not what was written, if others have what it loses.
    fn strikes_damage(&mut self, to: Address) -> bool {
        self.others_hold(to.node, to.partition) && self.strikes(Fault::StoreDamaged)
    }

    /// Whether another replica holds durably what the log may have been told to forget.
    pub(super) fn others_hold(&self, node: usize, partition: usize) -> bool {
        let needed = self.partitions[partition].trim_decided.max(self.log.first(partition));
        let mut others = self.nodes.iter().enumerate().filter(|(other, _)| *other != node);
        others.any(|(_, other)| {
            let spoiled = other.hosted(partition).is_some_and(|hosted| {
                hosted.driver.role() == cortado_driver::ReplicaRole::Restoring
            });
            let held = self.holds(partition, other.id);
            held && !spoiled && other.disk[partition].durable().offset >= needed
        })
    }
}

fn no_room() -> StoreError {
    StoreError::Full { why: "told to be full".to_owned() }
}

fn damaged() -> StoreError {
    StoreError::Damaged { why: "told to be damaged".to_owned() }
}

fn failed() -> StoreError {
    StoreError::Failed { why: "told to fail".to_owned() }
}
