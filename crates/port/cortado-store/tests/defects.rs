//! The suite notices each of these broken stores: a rule that cannot fail is no rule.

use bytes::Bytes;
use cortado_model::{Batch, DocumentKey, Entry, PartitionId, StoredDocument, TableId};
use cortado_store::conformance::{self, Subject};
use cortado_store::{Installer, MemoryStore, Store, StoreError, StoreTraits, View};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// One promise that is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Defect {
    /// Nobody may apply.
    HasNoLane,
    /// What was applied before the batch that cannot be stays.
    StopsInTheMiddle,
    /// The batches behind the one that cannot be applied are not tried, and that is no error.
    HidesTheRefusal,
    /// The last of several batches is forgotten.
    ForgetsTheLastBatch,
    /// Of several batches, the first partition gets all.
    MixesPartitions,
    /// A second batch of a partition in one call is taken.
    TakesAPartitionTwice,
}

/// A store with a defect.
struct Broken {
    store: MemoryStore,
    defect: Defect,
}

impl Broken {
    fn has(&self, defect: Defect) -> bool {
        self.defect == defect
    }

    fn one_by_one(&self, batches: Vec<(PartitionId, Batch)>) -> Result<(), StoreError> {
        batches
            .into_iter()
            .try_for_each(|(partition, batch)| self.store.apply_one(partition, batch))
    }
}

impl Subject for Broken {
    fn store(&self) -> &dyn Store {
        self
    }

    fn reopen(&mut self) {
        self.store.crash(|_, _| 0);
    }

    fn after_crash(&self) -> Option<Box<dyn Store>> {
        None
    }
}

impl Store for Broken {
    fn traits(&self) -> StoreTraits {
        let traits = self.store.traits();
        StoreTraits { lanes: if self.has(Defect::HasNoLane) { 0 } else { traits.lanes }, ..traits }
    }

    fn partitions(&self) -> Result<Vec<PartitionId>, StoreError> {
        self.store.partitions()
    }

    fn apply(&self, mut batches: Vec<(PartitionId, Batch)>) -> Result<(), StoreError> {
        match self.defect {
            Defect::StopsInTheMiddle | Defect::TakesAPartitionTwice => self.one_by_one(batches),
            Defect::HidesTheRefusal => self.one_by_one(batches).or(Ok(())),
            Defect::ForgetsTheLastBatch if batches.len() > 1 => {
                batches.pop();
                self.store.apply(batches)
            }
            Defect::MixesPartitions => {
                let first = batches.first().map(|(partition, _)| *partition);
                let batches = batches.into_iter().map(|(_, batch)| batch);
                batches
                    .zip(first.into_iter().cycle())
                    .try_for_each(|(batch, partition)| self.store.apply_one(partition, batch))
            }
            _ => self.store.apply(batches),
        }
    }

    fn view(&self, partition: PartitionId) -> Result<Box<dyn View>, StoreError> {
        self.store.view(partition)
    }

    fn get(
        &self,
        partition: PartitionId,
        table: TableId,
        key: &DocumentKey,
    ) -> Result<Option<StoredDocument>, StoreError> {
        self.store.get(partition, table, key)
    }

    fn remove(&self, partition: PartitionId) -> Result<(), StoreError> {
        self.store.remove(partition)
    }

    fn install(
        &self,
        partition: PartitionId,
        entries: &mut dyn Iterator<Item = Result<Entry, StoreError>>,
        checkpoint: Bytes,
    ) -> Result<(), StoreError> {
        self.store.install(partition, entries, checkpoint)
    }

    fn installer<'a>(
        &'a self,
        partition: PartitionId,
        name: &[u8],
    ) -> Result<Box<dyn Installer + 'a>, StoreError> {
        self.store.installer(partition, name)
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.store.sync()
    }
}

type Case = fn(&mut dyn Subject);

/// The case fails for a store with the defect.
#[track_caller]
fn check(defect: Defect, case: Case) {
    let mut broken = Broken { store: MemoryStore::new(), defect };
    let outcome = catch_unwind(AssertUnwindSafe(|| case(&mut broken)));
    assert!(outcome.is_err(), "the suite has not noticed that a store {defect:?}");
}

#[test]
fn the_suite_notices_every_defect() {
    check(Defect::HasNoLane, conformance::traits_hold);
    check(Defect::StopsInTheMiddle, conformance::a_refused_call_shows_none_of_its_batches);
    check(Defect::HidesTheRefusal, conformance::a_refused_call_shows_none_of_its_batches);
    check(
        Defect::ForgetsTheLastBatch,
        conformance::batches_of_many_partitions_show_with_their_call,
    );
    check(Defect::MixesPartitions, conformance::batches_of_many_partitions_show_with_their_call);
    check(Defect::TakesAPartitionTwice, conformance::a_partition_comes_once_in_a_call);
}
