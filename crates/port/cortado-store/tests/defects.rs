//! The suite notices each of these broken stores: a rule that cannot fail is no rule.

use bytes::Bytes;
use cortado_model::{
    Batch, DocumentKey, Entry, Findings, PartitionId, RememberedKey, StoredDocument, TableId,
};
use cortado_store::conformance::{self, Subject};
use cortado_store::{Installer, MemoryStore, Store, StoreError, StoreTraits, View};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// One promise that is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Defect {
    /// No thread may apply.
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
    /// What is not there has no place in the answer.
    FindsWithoutGaps,
    /// The answers come in key order.
    FindsInKeyOrder,
    /// Each document is read for itself.
    FindsInTwoStates,
    /// The answer under the name is read for itself.
    RemembersInTwoStates,
    /// Names without an answer are passed over.
    RemembersWithoutGaps,
    /// What is remembered is told to who did not ask.
    TellsWithoutAName,
    /// The answers under other names are passed over.
    ForgetsTheBudget,
}

/// A store with a defect, or none.
struct Broken {
    store: MemoryStore,
    defect: Option<Defect>,
}

impl Broken {
    fn has(&self, defect: Defect) -> bool {
        self.defect == Some(defect)
    }

    /// Lets a batch in, if there are still some to come.
    fn let_a_batch_in(&self, partition: PartitionId) {
        let state = || self.store.view(partition).and_then(|view| view.checkpoint());
        let before = state();
        // It might have come before.
        (0..1_000).take_while(|_| state() == before).for_each(|_| std::thread::yield_now());
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
            Some(Defect::StopsInTheMiddle | Defect::TakesAPartitionTwice) => {
                self.one_by_one(batches)
            }
            Some(Defect::HidesTheRefusal) => self.one_by_one(batches).or(Ok(())),
            Some(Defect::ForgetsTheLastBatch) if batches.len() > 1 => {
                batches.pop();
                self.store.apply(batches)
            }
            Some(Defect::MixesPartitions) => {
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

    fn find(
        &self,
        partition: PartitionId,
        keys: &[(TableId, DocumentKey)],
        names: &[RememberedKey],
    ) -> Result<Findings, StoreError> {
        let mut found = self.store.find(partition, keys, names)?;
        match self.defect {
            Some(Defect::FindsWithoutGaps) => found.documents.retain(Option::is_some),
            Some(Defect::FindsInKeyOrder) => {
                let mut sorted: Vec<_> = keys.iter().zip(found.documents).collect();
                sorted.sort_by_key(|(key, _)| *key);
                found.documents = sorted.into_iter().map(|(_, document)| document).collect();
            }
            Some(Defect::FindsInTwoStates) if keys.len() > 1 => {
                self.let_a_batch_in(partition);
                found.documents.pop();
                let last = &keys[keys.len() - 1..];
                found.documents.extend(self.store.find(partition, last, &[])?.documents);
            }
            Some(Defect::RemembersInTwoStates) => {
                self.let_a_batch_in(partition);
                found.remembered = self.store.find(partition, &[], names)?.remembered;
            }
            Some(Defect::TellsWithoutAName) => {
                found.remembered_bytes = self.store.view(partition)?.remembered_bytes()?;
            }
            Some(Defect::RemembersWithoutGaps) => found.remembered.retain(Option::is_some),
            Some(Defect::ForgetsTheBudget) if !found.remembered.iter().any(Option::is_some) => {
                (found.remembered_bytes, found.first_expiry) = (0, None);
            }
            _ => {}
        }
        Ok(found)
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

/// The case passes for a sound store, and fails for one with the defect.
#[track_caller]
fn check(defect: Defect, case: Case) {
    case(&mut Broken { store: MemoryStore::new(), defect: None });
    let mut broken = Broken { store: MemoryStore::new(), defect: Some(defect) };
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
    check(Defect::FindsWithoutGaps, conformance::a_find_answers_in_the_order_asked);
    check(Defect::FindsInKeyOrder, conformance::a_find_answers_in_the_order_asked);
    check(Defect::FindsInTwoStates, conformance::a_find_is_of_one_state);
    check(Defect::RemembersInTwoStates, conformance::a_find_is_of_one_state);
    check(Defect::RemembersWithoutGaps, conformance::a_find_with_a_name_tells_what_is_remembered);
    check(Defect::TellsWithoutAName, conformance::a_find_with_a_name_tells_what_is_remembered);
    check(Defect::ForgetsTheBudget, conformance::a_find_with_a_name_tells_what_is_remembered);
}
