//! A long random history against a model that is too simple to be wrong.

use super::Subject;
use super::samples::*;
use crate::Store;
use crate::random::Random;
use bytes::Bytes;
use cortado_model::{Batch, DocumentKey, EntryRange, PartitionId, StoredDocument, TableId, Within};
use std::collections::BTreeMap;
use std::ops::{Bound, RangeBounds};

type Documents = BTreeMap<(TableId, DocumentKey), StoredDocument>;

/// Batches, removes, installs and restarts in random order; reads answer as the model does.
pub fn a_random_history_matches_a_model(subject: &mut dyn Subject) {
    for seed in [1, 2, 3] {
        let mut random = Random(seed);
        let mut model: BTreeMap<PartitionId, Documents> = BTreeMap::new();
        for sequence in 1..=150 {
            let partition = partition(seed as u32, random.below(3) as u32);
            match random.below(40) {
                0 => {
                    ok(subject.store().remove(partition));
                    model.remove(&partition);
                }
                1 => subject.reopen(),
                2 => copy_partition(subject.store(), &mut model, partition),
                3..10 => {
                    let others = (0..3).map(|n| PartitionId { number: n, ..partition });
                    let batches = others.map(|p| (p, random_batch(&mut random, sequence)));
                    apply_all(subject.store(), &mut model, batches.collect());
                }
                10.. => {
                    let batches = vec![(partition, random_batch(&mut random, sequence))];
                    apply_all(subject.store(), &mut model, batches);
                }
            }
            check_random_read(subject.store(), &model, &mut random, partition);
        }
        check_everything(subject.store(), &model);
        for partition in model.keys() {
            ok(subject.store().remove(*partition));
        }
    }
}

/// Applies in one call, and does the same to the model.
fn apply_all(
    store: &dyn Store,
    model: &mut BTreeMap<PartitionId, Documents>,
    batches: Vec<(PartitionId, Batch)>,
) {
    for (partition, batch) in &batches {
        let documents = model.entry(*partition).or_default();
        for (table, key, document) in batch.documents.clone() {
            match document {
                Some(document) => documents.insert((table, key), document),
                None => documents.remove(&(table, key)),
            };
        }
    }
    ok(store.apply(batches));
}

/// Installs the next partition as a copy of `partition`, if that is there.
fn copy_partition(
    store: &dyn Store,
    model: &mut BTreeMap<PartitionId, Documents>,
    from: PartitionId,
) {
    let Some(documents) = model.get(&from).cloned() else { return };
    let to = partition(from.database.0, (from.number + 1) % 3);
    let source = view(store, from);
    let checkpoint = ok(source.checkpoint()).expect("the model has this partition");
    ok(store.install(to, &mut source.entries(None), checkpoint));
    model.insert(to, documents);
}

fn random_key(random: &mut Random) -> DocumentKey {
    let depth = 1 + random.below(3);
    let parts: Vec<String> = (0..depth).map(|_| format!("k{}", random.below(6))).collect();
    DocumentKey::from_parts(&parts).expect("short parts")
}

fn random_batch(random: &mut Random, sequence: u64) -> Batch {
    let mut batch = batch(sequence);
    for _ in 0..random.below(12) {
        let table = TableId(random.below(2) as u32);
        let value = "v".repeat(random.below(300) as usize);
        let document = (random.below(4) > 0).then(|| document(sequence, &value));
        batch.documents.push((table, random_key(random), document));
    }
    if random.below(3) == 0 {
        batch.bookmarks.push((scn(sequence), Bytes::from_static(b"state")));
    }
    batch
}

#[track_caller]
fn check_random_read(
    store: &dyn Store,
    model: &BTreeMap<PartitionId, Documents>,
    random: &mut Random,
    partition: PartitionId,
) {
    let empty = Documents::new();
    let documents = model.get(&partition).unwrap_or(&empty);
    let (table, key) = (TableId(random.below(2) as u32), random_key(random));
    let want = documents.get(&(table, key.clone())).cloned();
    assert_eq!(ok(store.get(partition, table, &key)), want);
    let keys = [(table, random_key(random)), (table, key)];
    let other = documents.get(&keys[0]).cloned();
    assert_eq!(ok(store.find(partition, &keys, &[])).documents, [other, want]);

    let prefix = match random.below(2) {
        0 => Vec::new(),
        1.. => random_key(random).as_bytes().to_vec(),
    };
    let mut bound = || match random.below(3) {
        0 => Bound::Unbounded,
        1 => Bound::Included(random_key(random).as_bytes().to_vec()),
        2.. => Bound::Excluded(random_key(random).as_bytes().to_vec()),
    };
    let (low, high) = (bound(), bound());
    let descending = random.below(2) == 0;
    let range = EntryRange { low, high, descending, ..EntryRange::documents(table, &prefix) };
    let want = model_scan(documents, &range);
    let got: Vec<_> = view(store, partition).documents(&range).map(|found| ok(found)).collect();
    assert_eq!(got, want, "{range:?}");
}

fn model_scan(documents: &Documents, range: &EntryRange) -> Vec<(DocumentKey, StoredDocument)> {
    let bounds = (range.low.clone(), range.high.clone());
    let fits = |(table, key): &(TableId, DocumentKey)| {
        range.within == Within::Documents(*table)
            && key.as_bytes().starts_with(&range.prefix)
            && RangeBounds::<Vec<u8>>::contains(&bounds, &key.as_bytes().to_vec())
    };
    let found = documents.iter().filter(|(place, _)| fits(place));
    let mut found: Vec<_> = found.map(|((_, key), doc)| (key.clone(), doc.clone())).collect();
    if range.descending {
        found.reverse();
    }
    found
}

#[track_caller]
fn check_everything(store: &dyn Store, model: &BTreeMap<PartitionId, Documents>) {
    assert_eq!(ok(store.partitions()), model.keys().copied().collect::<Vec<_>>());
    for (partition, documents) in model {
        let view = view(store, *partition);
        for table in [TableId(0), TableId(1)] {
            let range = EntryRange::documents(table, &[]);
            let got: Vec<_> = view.documents(&range).map(|found| ok(found)).collect();
            assert_eq!(got, model_scan(documents, &range));
        }
    }
}
