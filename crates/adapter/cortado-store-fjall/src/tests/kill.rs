//! A process is killed while it applies batches: what it left is a prefix of each partition.

use super::{PartitionId, TABLE, open};
use crate::FjallStore;
use bytes::Bytes;
use cortado_model::{
    Batch, DatabaseId, DocumentHead, DocumentKey, EntryRange, Etag, Generation, Scn, Sequence,
    StoredDocument, WallMillis,
};
use cortado_store::Store;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

/// Set for the process that is to be killed: the directory of its store.
const CHILD: &str = "CORTADO_STORE_KILL_TEST_DIRECTORY";
const TEST: &str = "tests::kill::a_killed_process_leaves_a_prefix_of_each_partition";
const PARTITIONS: u32 = 4;
/// How many batches the child applies before it is killed. Some kills come early, some during the
/// flush of a memtable, some after several: a batch is 16 KB, a memtable 32 MB.
const KILLS: [u64; 6] = [1, 40, 500, 2_300, 900, 2_100];

#[test]
fn a_killed_process_leaves_a_prefix_of_each_partition() {
    if let Ok(directory) = std::env::var(CHILD) {
        apply_until_killed(Path::new(&directory));
    }
    let directory = tempfile::tempdir().unwrap();
    let mut before = vec![0; PARTITIONS as usize];
    for (life, batches) in KILLS.into_iter().enumerate() {
        kill_after(directory.path(), batches);
        let store = open(directory.path());
        for number in 0..PARTITIONS {
            let kept = check_prefix(&store, partition(number));
            assert!(kept >= before[number as usize], "what survived once was lost in life {life}");
            before[number as usize] = kept;
        }
        // What is on the disk now survives the next kill.
        store.sync().unwrap();
    }
    assert!(before.iter().sum::<u64>() > 3_000, "{before:?}: most batches survive");
}

/// Runs this test again in a process of its own, which applies batches, and kills that.
fn kill_after(directory: &Path, batches: u64) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", TEST, "--nocapture"])
        .env(CHILD, directory)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let applied = output.lines().filter(|line| line.as_ref().unwrap().ends_with("applied"));
    assert_eq!(applied.take(batches as usize).count() as u64, batches, "the child died by itself");
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Two threads apply to two partitions each, from where these are.
fn apply_until_killed(directory: &Path) -> ! {
    let store = open(directory);
    std::thread::scope(|scope| {
        for thread in 0..2 {
            let store = &store;
            scope.spawn(move || {
                let mine = [partition(thread), partition(thread + 2)];
                let mut next = mine.map(|partition| kept(store, partition) + 1);
                for together in [true, false].into_iter().cycle() {
                    let both = mine.into_iter().zip(next);
                    let both = both.map(|(partition, n)| (partition, batch(partition, n)));
                    if together {
                        store.apply(both.collect()).unwrap();
                    } else {
                        both.for_each(|(p, batch)| store.apply_one(p, batch).unwrap());
                    }
                    for (partition, sequence) in mine.into_iter().zip(&mut next) {
                        *sequence += 1;
                        println!("{partition} applied");
                    }
                }
            });
        }
    });
    unreachable!("the threads apply for ever");
}

fn partition(number: u32) -> PartitionId {
    PartitionId { database: DatabaseId(1), number }
}

/// Documents that batch `sequence` writes, `None` for those that it removes.
fn changes(partition: PartitionId, sequence: u64) -> [(DocumentKey, Option<StoredDocument>); 3] {
    let head = DocumentHead {
        schema_version: 1,
        etag: Etag(sequence << 8 | u64::from(partition.number)),
        scn: Scn::new(Generation(1), Sequence(sequence)),
        time: WallMillis(sequence),
        expires: None,
    };
    let document = StoredDocument::new(head, &[b'a' + (sequence % 26) as u8; 8_000]);
    let key = |kind: &str, number: u64| {
        DocumentKey::from_parts(&[String::from(kind), number.to_string()]).unwrap()
    };
    [
        (key("newest", 0), Some(document.clone())),
        (key("spread", sequence * 7_919 % 400), Some(document)),
        (key("spread", sequence * 104_729 % 400), None),
    ]
}

fn batch(partition: PartitionId, sequence: u64) -> Batch {
    let documents = changes(partition, sequence).map(|(key, document)| (TABLE, key, document));
    let checkpoint = Bytes::from(sequence.to_string());
    Batch { documents: documents.to_vec(), checkpoint, ..Batch::default() }
}

/// The batch that the partition's checkpoint names; 0 without one.
fn kept(store: &FjallStore, partition: PartitionId) -> u64 {
    let checkpoint = store.view(partition).unwrap().checkpoint().unwrap();
    checkpoint.map_or(0, |checkpoint| std::str::from_utf8(&checkpoint).unwrap().parse().unwrap())
}

/// Checks that the partition holds what its batches up to its checkpoint leave, and answers that.
#[track_caller]
fn check_prefix(store: &FjallStore, partition: PartitionId) -> u64 {
    let kept = kept(store, partition);
    let mut want = BTreeMap::new();
    for sequence in 1..=kept {
        for (key, document) in changes(partition, sequence) {
            match document {
                Some(document) => want.insert(key, document),
                None => want.remove(&key),
            };
        }
    }
    let view = store.view(partition).unwrap();
    let range = EntryRange::documents(TABLE, &[]);
    let found: BTreeMap<_, _> = view.documents(&range).map(Result::unwrap).collect();
    assert!(found == want, "{partition} is not as batch {kept} left it");
    kept
}
