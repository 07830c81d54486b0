//! Restarts: clean ones lose nothing, crashes lose whole batches from the end.

use super::Subject;
use super::samples::*;
use crate::Store;
use cortado_model::{Batch, PartitionId};

/// A clean restart keeps every batch, synced or not, again and again.
pub fn a_reopened_store_has_everything(subject: &mut dyn Subject) {
    for sequence in 1..=20 {
        let path = format!("p{sequence:02}");
        apply(subject.store(), HOME, puts(sequence, &[&path]));
        if sequence % 7 == 0 {
            ok(subject.store().sync());
        }
        if sequence % 5 == 0 {
            subject.reopen();
        }
    }
    let store = subject.store();
    assert_eq!(ok(store.partitions()), [HOME]);
    let view = view(store, HOME);
    assert_eq!(checkpoint(&*view), Some(20));
    assert_eq!(paths(&*view, &whole(&[])).len(), 20);
}

/// What a crash leaves of each partition is exactly what some batch left, and no synced batch goes.
///
/// Source: [`Store`].
pub fn a_crash_leaves_a_prefix_of_each_partition(subject: &mut dyn Subject) {
    let partitions = [partition(1, 1), partition(1, 2), partition(2, 1)];
    let mut synced = 0;
    for sequence in 1..=60 {
        // In one call or in several: each partition is as some batch left it.
        let batches = partitions.map(|partition| (partition, step(sequence)));
        if sequence % 2 == 0 {
            ok(subject.store().apply(batches.to_vec()));
        } else {
            for (partition, batch) in batches {
                apply(subject.store(), partition, batch);
            }
        }
        if sequence == 30 {
            ok(subject.store().sync());
            synced = sequence;
        }
        if sequence % 6 == 0
            && let Some(crashed) = subject.after_crash()
        {
            for partition in partitions {
                let kept = check_prefix(&*crashed, partition);
                assert!(synced <= kept && kept <= sequence, "{synced} <= {kept} <= {sequence}");
            }
        }
    }
    for partition in partitions {
        assert_eq!(check_prefix(subject.store(), partition), 60);
    }
}

/// Batch `sequence` writes its own document and the counter, and removes an older document.
fn step(sequence: u64) -> Batch {
    let own = format!("step/{sequence:03}");
    let mut batch = puts(sequence, &[&own, "counter"]);
    if sequence > 10 {
        batch.documents.push((TABLE, key(&format!("step/{:03}", sequence - 10)), None));
    }
    batch
}

/// Checks that a partition is as batch k left it, and answers k.
#[track_caller]
fn check_prefix(store: &dyn Store, partition: PartitionId) -> u64 {
    let view = view(store, partition);
    let Some(kept) = checkpoint(&*view) else {
        assert_eq!(entries(&*view), []);
        return 0;
    };
    assert_eq!(ok(view.get(TABLE, &key("counter"))), Some(document(kept, "counter")));
    let oldest = kept.saturating_sub(9).max(1);
    let want: Vec<String> = (oldest..=kept).map(|n| format!("step/{n:03}")).collect();
    assert_eq!(paths(&*view, &whole(b"step\0")), want);
    kept
}
