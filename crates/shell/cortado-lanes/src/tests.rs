//! Stories of a store's threads: order, shared commits, who hears of an error, and the end.

mod reads;

use super::*;
use bytes::Bytes;
use cortado_model::{DatabaseId, DocumentKey, Entry, StoredDocument, TableId};
use cortado_store::{Installer, MemoryStore, Slow, StoreTraits, View};
use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
const NODE: NodeId = NodeId(1);

/// A store that counts its commits and fails as it is told to.
struct Faulty {
    memory: MemoryStore,
    traits: StoreTraits,
    /// The partitions of each commit, refused ones included.
    commits: Mutex<Vec<Vec<u32>>>,
    /// What the first of these partitions in a commit does to it.
    faults: Mutex<BTreeMap<u32, Fault>>,
}

#[derive(Clone)]
enum Fault {
    Refuses(StoreError),
    Panics,
}

impl Faulty {
    fn new(lanes: usize, reads_inline: bool) -> Arc<Faulty> {
        let traits = StoreTraits { reads_inline, lanes };
        let (memory, commits) = (MemoryStore::new(), Mutex::default());
        Arc::new(Faulty { memory, traits, commits, faults: Mutex::default() })
    }

    fn fail(&self, number: u32, fault: Fault) {
        self.faults.lock().insert(number, fault);
    }

    fn commits(&self) -> Vec<Vec<u32>> {
        std::mem::take(&mut *self.commits.lock())
    }
}

impl Store for Faulty {
    fn traits(&self) -> StoreTraits {
        self.traits
    }
    fn partitions(&self) -> Result<Vec<PartitionId>, StoreError> {
        self.memory.partitions()
    }
    fn apply(&self, batches: Vec<(PartitionId, Batch)>) -> Result<(), StoreError> {
        let numbers: Vec<u32> = batches.iter().map(|(partition, _)| partition.number).collect();
        let fault = numbers.iter().find_map(|number| self.faults.lock().get(number).cloned());
        self.commits.lock().push(numbers);
        match fault {
            None => self.memory.apply(batches),
            Some(Fault::Refuses(error)) => Err(error),
            Some(Fault::Panics) => panic!("told to"),
        }
    }
    fn view(&self, partition: PartitionId) -> Result<Box<dyn View>, StoreError> {
        self.memory.view(partition)
    }
    fn get(
        &self,
        partition: PartitionId,
        table: TableId,
        key: &DocumentKey,
    ) -> Result<Option<StoredDocument>, StoreError> {
        self.memory.get(partition, table, key)
    }
    fn remove(&self, partition: PartitionId) -> Result<(), StoreError> {
        self.memory.remove(partition)
    }
    fn install(
        &self,
        partition: PartitionId,
        entries: &mut dyn Iterator<Item = Result<Entry, StoreError>>,
        checkpoint: Bytes,
    ) -> Result<(), StoreError> {
        self.memory.install(partition, entries, checkpoint)
    }
    fn installer<'a>(
        &'a self,
        partition: PartitionId,
        name: &[u8],
    ) -> Result<Box<dyn Installer + 'a>, StoreError> {
        self.memory.installer(partition, name)
    }
    fn sync(&self) -> Result<(), StoreError> {
        self.memory.sync()
    }
}

/// What an observer heard.
#[derive(Debug, PartialEq)]
enum Heard {
    Begun,
    Ended(Result<(), StoreError>),
    Broken(String),
}

impl LaneObserver for Sender<Heard> {
    fn begun(&self) {
        // The test may be over; so below.
        let _ = self.send(Heard::Begun);
    }
    fn ended(&self, _: Duration, committed: &Result<(), StoreError>) {
        let _ = self.send(Heard::Ended(committed.clone()));
    }
    fn broken(&self, why: String) {
        let _ = self.send(Heard::Broken(why));
    }
}

/// The lanes of a store, and what they tell.
struct Fixture {
    lanes: Arc<StoreLanes>,
    heard: Receiver<Heard>,
    /// Partition and outcome of each batch, in the order in which they were told.
    told: Receiver<(u32, Result<(), StoreError>)>,
    tell: Sender<(u32, Result<(), StoreError>)>,
}

impl Fixture {
    fn of(store: Arc<dyn Store>) -> Fixture {
        let (observer, heard) = channel();
        let lanes = StoreLanes::start(NODE, store, observer).unwrap();
        let (tell, told) = channel();
        Fixture { lanes: Arc::new(lanes), heard, told, tell }
    }

    fn apply(&self, number: u32, sequence: u64) {
        let tell = self.tell.clone();
        let done = move |outcome| tell.send((number, outcome)).unwrap();
        self.lanes.apply(partition(number), batch(sequence), done);
    }

    fn next(&self) -> (u32, Result<(), StoreError>) {
        self.told.recv_timeout(PATIENCE).expect("each batch is told of")
    }

    fn next_many(&self, count: usize) -> BTreeMap<u32, Result<(), StoreError>> {
        (0..count).map(|_| self.next()).collect()
    }

    /// Keeps a lane busy with a partition until the answer is dropped.
    fn occupy(&self, number: u32) -> Sender<()> {
        let (open, gate) = channel();
        let (begin, begun) = channel();
        self.lanes.run(partition(number), move |_| {
            begin.send(()).unwrap();
            // Until the other end is gone.
            let _ = gate.recv();
        });
        begun.recv_timeout(PATIENCE).expect("a lane is free");
        open
    }

    /// The next break that is told, whatever is told before.
    fn next_break(&self) -> String {
        loop {
            match self.heard.recv_timeout(PATIENCE).expect("a break is told") {
                Heard::Begun | Heard::Ended(_) => {}
                Heard::Broken(why) => return why,
            }
        }
    }

    /// Whether a break was told that `next_break` has not taken.
    fn is_broken(&self) -> bool {
        self.heard.try_iter().any(|heard| matches!(heard, Heard::Broken(_)))
    }
}

fn partition(number: u32) -> PartitionId {
    PartitionId { database: DatabaseId(1), number }
}

/// A batch whose checkpoint is its number.
fn batch(sequence: u64) -> Batch {
    Batch { checkpoint: Bytes::from(sequence.to_string()), ..Batch::default() }
}

/// The number of the last batch that `store` shows; 0 before the first.
fn applied(store: &dyn Store, number: u32) -> u64 {
    let checkpoint = store.view(partition(number)).unwrap().checkpoint().unwrap();
    checkpoint.map_or(0, |bytes| std::str::from_utf8(&bytes).unwrap().parse().unwrap())
}

fn full() -> StoreError {
    StoreError::Full { why: "told to".to_owned() }
}

fn damaged() -> StoreError {
    StoreError::Damaged { why: "told to".to_owned() }
}

fn failed() -> StoreError {
    StoreError::Failed { why: "told to".to_owned() }
}

fn closed() -> StoreError {
    StoreError::Failed { why: "the store is closed".to_owned() }
}

fn panicked() -> StoreError {
    StoreError::Failed { why: "store lane panicked: told to".to_owned() }
}

/// Each batch is told of in its order, and what runs between two sees exactly the first.
#[track_caller]
fn check_order(store: Arc<dyn Store>, partitions: u32, batches: u64) {
    let fixture = Fixture::of(store);
    let (see, seen) = channel();
    for sequence in 1..=batches {
        for number in 0..partitions {
            fixture.lanes.run(partition(number), |_| {});
            let see = see.clone();
            fixture.lanes.apply(partition(number), batch(sequence), move |outcome| {
                see.send((number, sequence, "told", outcome.map(|()| sequence))).unwrap();
            });
        }
        for number in 0..partitions {
            let see = see.clone();
            fixture.lanes.run(partition(number), move |store| {
                let found = store.map(|store| applied(store, number));
                see.send((number, sequence, "seen", found)).unwrap();
            });
        }
    }
    let mut found: BTreeMap<u32, Vec<_>> = BTreeMap::new();
    for _ in 0..u64::from(partitions) * batches * 2 {
        let (number, sequence, what, found_there) = seen.recv_timeout(PATIENCE).unwrap();
        found.entry(number).or_default().push((sequence, what, found_there));
    }
    let each = |sequence| [(sequence, "told", Ok(sequence)), (sequence, "seen", Ok(sequence))];
    let want: Vec<_> = (1..=batches).flat_map(each).collect();
    assert!(found.values().all(|found| *found == want), "{found:?}");
    fixture.lanes.end();
}

#[test]
fn a_partition_keeps_its_order() {
    for lanes in [1, 4] {
        check_order(Faulty::new(lanes, true), 8, 100);
        let slow = Slow::with_pauses(Faulty::new(lanes, true), lanes as u64, 0..=300);
        check_order(Arc::new(slow), 4, 20);
    }
    check_order(Arc::new(Slow::new(Faulty::new(4, true), 1)), 4, 5);
}

#[test]
fn what_waits_is_one_commit() {
    let store = Faulty::new(1, true);
    let fixture = Fixture::of(Arc::clone(&store) as Arc<dyn Store>);
    let busy = fixture.occupy(99);
    for number in 0..64 {
        fixture.apply(number, 1);
    }
    // A partition has one batch in a commit.
    fixture.apply(7, 2);
    drop(busy);
    assert!(fixture.next_many(64).values().all(Result::is_ok));
    assert_eq!(fixture.next(), (7, Ok(())));
    assert_eq!(store.commits(), [(0..64).collect(), vec![7]]);
    assert!((0..64).all(|number| applied(store.as_ref(), number) == 1 + u64::from(number == 7)));
}

/// Applies to five partitions in one commit; who is told what, and how often the store was asked.
#[track_caller]
fn check_faults(faults: &[(u32, StoreError)], want: [Result<(), StoreError>; 5], commits: usize) {
    let store = Faulty::new(1, true);
    let fixture = Fixture::of(Arc::clone(&store) as Arc<dyn Store>);
    for (number, error) in faults {
        store.fail(*number, Fault::Refuses(error.clone()));
    }
    let busy = fixture.occupy(99);
    (0..5).for_each(|number| fixture.apply(number, 1));
    drop(busy);
    let told = fixture.next_many(5);
    assert_eq!(told, (0..).zip(want.clone()).collect());
    assert_eq!(store.commits().len(), commits);
    for (number, outcome) in (0..).zip(want) {
        let want = u64::from(outcome.is_ok());
        assert_eq!(applied(store.as_ref(), number), want, "{number} is as it was told");
    }
    // And it goes on.
    store.faults.lock().clear();
    (0..5).for_each(|number| fixture.apply(number, 2));
    assert!(fixture.next_many(5).values().all(Result::is_ok));
    assert!(!fixture.is_broken());
}

#[test]
fn only_who_cannot_be_applied_hears_of_it() {
    let ok = || Ok(());
    check_faults(&[(2, damaged())], [ok(), ok(), Err(damaged()), ok(), ok()], 6);
    check_faults(&[(0, full())], [Err(full()), ok(), ok(), ok(), ok()], 6);
    let all = || (0..5).map(|number| (number, full())).collect::<Vec<_>>();
    check_faults(&all(), [full(), full(), full(), full(), full()].map(Err), 6);
    check_faults(&[], [ok(), ok(), ok(), ok(), ok()], 1);
}

#[test]
fn all_hear_of_a_store_that_has_failed() {
    let all = || [failed(), failed(), failed(), failed(), failed()].map(Err);
    check_faults(&[(2, failed())], all(), 1);
    // It fails while a commit is taken apart: those behind need not ask.
    let want = [Ok(()), Err(damaged()), Ok(()), Err(failed()), Err(failed())];
    check_faults(&[(1, damaged()), (3, failed())], want, 5);
}

#[test]
fn a_single_batch_is_tried_once() {
    let store = Faulty::new(1, true);
    let fixture = Fixture::of(Arc::clone(&store) as Arc<dyn Store>);
    store.fail(3, Fault::Refuses(full()));
    fixture.apply(3, 1);
    assert_eq!(fixture.next(), (3, Err(full())));
    assert_eq!(store.commits(), [[3]]);
}

#[test]
fn a_slow_partition_holds_up_only_itself_where_there_are_more_lanes() {
    let fixture = Fixture::of(Faulty::new(2, true));
    let busy = fixture.occupy(0);
    fixture.apply(0, 1);
    for sequence in 1..=10 {
        fixture.apply(1, sequence);
        assert_eq!(fixture.next(), (1, Ok(())));
    }
    drop(busy);
    assert_eq!(fixture.next(), (0, Ok(())));
}

#[test]
fn a_view_that_was_taken_in_order_does_not_change() {
    let fixture = Fixture::of(Faulty::new(1, true));
    let (see, seen) = channel();
    fixture.apply(3, 1);
    fixture.lanes.run(partition(3), move |store| {
        see.send(store.and_then(|store| store.view(partition(3)))).unwrap();
    });
    fixture.apply(3, 2);
    assert_eq!([fixture.next(), fixture.next()], [(3, Ok(())), (3, Ok(()))]);
    let view = seen.recv_timeout(PATIENCE).unwrap().unwrap();
    assert_eq!(view.checkpoint().unwrap().unwrap(), "1");
}

#[test]
fn what_waits_at_the_end_is_refused() {
    let store = Faulty::new(2, true);
    let fixture = Fixture::of(Arc::clone(&store) as Arc<dyn Store>);
    let busy = [fixture.occupy(0), fixture.occupy(1)];
    fixture.apply(0, 1);
    fixture.apply(2, 1);
    let (see, seen) = channel();
    let see_too = see.clone();
    fixture.lanes.run(partition(3), move |store| see.send(store.map(|_| ())).unwrap());
    let lanes = Arc::clone(&fixture.lanes);
    let ending = std::thread::spawn(move || lanes.end());
    // While the lanes are still at what they had begun.
    assert_eq!(fixture.next_many(2), [(0, Err(closed())), (2, Err(closed()))].into());
    assert_eq!(seen.recv_timeout(PATIENCE), Ok(Err(closed())));
    drop(busy);
    ending.join().unwrap();
    // No lane is left: what is asked of one is refused at once.
    fixture.apply(2, 1);
    assert_eq!(fixture.told.try_recv(), Ok((2, Err(closed()))));
    fixture.lanes.run(partition(3), move |store| see_too.send(store.map(|_| ())).unwrap());
    assert_eq!(seen.try_recv(), Ok(Err(closed())));
    assert_eq!(store.commits(), [[0_u32; 0]; 0]);
    fixture.lanes.end();
    assert!(!fixture.is_broken(), "an end is no failure");
}

#[test]
fn an_end_leaves_no_thread() {
    for reads_inline in [true, false] {
        let store = Faulty::new(3, reads_inline);
        let fixture = Fixture::of(Arc::clone(&store) as Arc<dyn Store>);
        assert_eq!(fixture.lanes.threads.lock().len(), if reads_inline { 3 } else { 19 });
        (0..9).for_each(|number| fixture.apply(number, 1));
        fixture.lanes.end();
        assert_eq!(fixture.lanes.threads.lock().len(), 0);
        // A thread that has been waited for has let go of all that it held.
        drop(fixture);
        assert_eq!(Arc::strong_count(&store), 1);
    }
}

#[test]
fn lanes_that_are_dropped_end_by_themselves() {
    let store = Faulty::new(2, false);
    let fixture = Fixture::of(Arc::clone(&store) as Arc<dyn Store>);
    fixture.apply(1, 1);
    assert_eq!(fixture.next(), (1, Ok(())));
    drop(fixture);
    while Arc::strong_count(&store) > 1 {
        std::thread::yield_now();
    }
}

#[test]
fn a_panic_of_the_store_is_its_failure() {
    let store = Faulty::new(1, true);
    let fixture = Fixture::of(Arc::clone(&store) as Arc<dyn Store>);
    store.fail(2, Fault::Panics);
    let busy = fixture.occupy(99);
    (1..=3).for_each(|number| fixture.apply(number, 1));
    // Behind it.
    fixture.apply(1, 2);
    drop(busy);
    let told: Vec<_> = (0..4).map(|_| fixture.next()).collect();
    assert!(told.iter().all(|(_, outcome)| *outcome == Err(panicked())), "{told:?}");
    assert_eq!(store.commits(), [[1, 2, 3]], "what has panicked is not asked again");
    assert_eq!(fixture.next_break(), "store lane panicked: told to");
    fixture.apply(5, 1);
    assert_eq!(fixture.next(), (5, Err(panicked())));
    fixture.lanes.end();
    assert!(!fixture.is_broken(), "it is told once");
}

#[test]
fn a_panic_of_a_callback_is_told_too() {
    let fixture = Fixture::of(Faulty::new(2, true));
    fixture.lanes.run(partition(1), |_| panic!("told to"));
    assert_eq!(fixture.next_break(), "store lane panicked: told to");
    fixture.apply(1, 1);
    assert_eq!(fixture.next(), (1, Err(panicked())));

    let fixture = Fixture::of(Faulty::new(2, true));
    fixture.lanes.apply(partition(1), batch(1), |_| panic!("told to"));
    assert_eq!(fixture.next_break(), "store lane panicked: told to");
}

#[test]
fn every_commit_is_heard_of_with_its_outcome() {
    let store = Faulty::new(1, true);
    let fixture = Fixture::of(Arc::clone(&store) as Arc<dyn Store>);
    for outcome in [Ok(()), Err(full()), Err(damaged()), Err(failed())] {
        if let Err(error) = &outcome {
            store.fail(1, Fault::Refuses(error.clone()));
        }
        fixture.apply(1, 1);
        assert_eq!(fixture.next(), (1, outcome.clone()));
        let heard: Vec<_> = fixture.heard.try_iter().collect();
        assert_eq!(heard, [Heard::Begun, Heard::Ended(outcome)]);
    }
}
