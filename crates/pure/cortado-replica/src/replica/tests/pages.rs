//! Pages of a log with gaps: what is folded depends on the records, not on where they stand.

use crate::*;
use bytes::Bytes;
use cortado_model::{
    ClusterUuid, DatabaseId, LogId, LogOffset, LogPosition, Millis, NodeId, NodeIncarnation,
    PartitionUuid, ReplicaIncarnation, Scn, Sequence, WallMillis,
};
use proptest::collection::vec;
use proptest::prelude::*;

const LIFE: ReplicaIncarnation = ReplicaIncarnation { node: NodeIncarnation(1), life: 1 };
const NOW: Now = Now { clock: Millis(1), wall: WallMillis(1_000) };
const BOOKMARK_RECORDS: u64 = 4;

fn genesis() -> Genesis {
    let identity = PartitionIdentity {
        partition: PartitionUuid(7),
        cluster: ClusterUuid(1),
        database: DatabaseId(1),
        number: 0,
    };
    Genesis::new(identity, ReplicaSet::default())
}

/// What comes next in a log.
#[derive(Clone, Copy, Debug)]
enum Next {
    /// A claim by one of three nodes.
    Claim(u32),
    Transaction,
    /// A transaction so many places ahead of its turn.
    Ahead(u64),
    /// What came before, once more.
    Copy,
    Stranger,
    /// Has the state stored where it stands.
    Digest,
}

fn any_next() -> impl Strategy<Value = Next> {
    prop_oneof![
        1 => (1..4_u32).prop_map(Next::Claim),
        6 => Just(Next::Transaction),
        1 => (1..3_u64).prop_map(Next::Ahead),
        1 => Just(Next::Copy),
        1 => Just(Next::Stranger),
        1 => Just(Next::Digest),
    ]
}

/// The records of a log that begins with its genesis, each chained to what counts before it.
fn records(script: &[Next]) -> Vec<Bytes> {
    let me = Identity { node: NodeId(1), incarnation: LIFE };
    let mut records = vec![genesis_record(&genesis(), &me, NOW)];
    let mut fold = FoldState::before(genesis(), LogId(1));
    fold.fold(dense(0, &records)).expect("it begins");
    for (number, next) in (1..).zip(script) {
        let node = fold.claimant.map_or(NodeId(1), |claimant| claimant.node);
        let at = |scn, node, body| {
            let time = WallMillis(1_000 + number);
            Record { header: Header { scn, node, incarnation: LIFE, time }, body }
        };
        let ahead = |places| {
            let Scn { generation, sequence } = fold.last;
            let scn = Scn::new(generation, Sequence(sequence.0 + places));
            at(scn, node, Body::Transaction(Transaction::default()))
        };
        let encoded = |record| encode(PartitionUuid(7), &record, fold.chain).0;
        let bytes = match next {
            Next::Claim(node) => {
                let claim = Claim { reason: ClaimReason::Ordered, evidence: 0, seen: fold.last };
                let scn = Scn::opening(fold.next_generation());
                encoded(at(scn, NodeId(*node), Body::Claim(claim)))
            }
            Next::Transaction => encoded(ahead(1)),
            Next::Ahead(places) => encoded(ahead(1 + places)),
            Next::Copy => records[records.len() - 1].clone(),
            Next::Stranger => Bytes::from_static(b"stranger"),
            Next::Digest => {
                let Record { header, .. } = ahead(1);
                encoded(Record { header, body: Body::Config(Config::Digest) })
            }
        };
        fold.fold(dense(number, std::slice::from_ref(&bytes))).expect("nothing here stops it");
        records.push(bytes);
    }
    records
}

/// A page of records without gaps.
fn dense(from: u64, records: &[Bytes]) -> RecordPage {
    let entries = (from..).map(LogOffset).zip(records.iter().cloned()).collect();
    let offset = LogOffset(from + records.len() as u64);
    RecordPage { from: LogOffset(from), entries, next: LogPosition { offset, epoch: 0 } }
}

/// `records`, each behind a gap of its own, then a last gap; those that are left out are 0.
fn spread(records: &[Bytes], gaps: &[u64]) -> (Vec<(LogOffset, Bytes)>, LogOffset) {
    let mut end = 0;
    let mut entries = Vec::new();
    let mut gaps = gaps.iter().copied().chain(std::iter::repeat(0));
    for (record, gap) in records.iter().zip(&mut gaps) {
        entries.push((LogOffset(end + gap), record.clone()));
        end += gap + 1;
    }
    (entries, LogOffset(end + gaps.next().unwrap_or_default()))
}

/// What a follower makes of pages, offsets left out.
#[derive(Debug, PartialEq)]
struct Folded {
    history: HistoryPoint,
    time: WallMillis,
    claimant: Option<Claimant>,
    missing: Option<Scn>,
    applied: Vec<Scn>,
    bookmarks: Vec<Scn>,
    voids: Vec<VoidReason>,
}

struct Follower {
    replica: Replica,
    effects: Vec<Effect>,
}

impl Follower {
    fn new() -> Follower {
        let me = Identity { node: NodeId(9), incarnation: LIFE };
        let settings = Settings { bookmark_records: BOOKMARK_RECORDS, ..Settings::local() };
        let fold = FoldState::before(genesis(), LogId(1));
        Follower { replica: Replica::new(me, settings, fold, NOW), effects: Vec::new() }
    }

    fn feed(&mut self, page: RecordPage) {
        self.replica.step(NOW, Input::Page(page), &mut self.effects);
    }

    fn position(&self) -> LogPosition {
        self.replica.fold().position
    }

    fn applies(&self) -> impl Iterator<Item = &Apply> {
        self.effects.iter().filter_map(|effect| match effect {
            Effect::Apply(apply) => Some(&**apply),
            _ => None,
        })
    }

    fn folded(&self) -> Folded {
        let fold = self.replica.fold();
        let transactions = self.applies().flat_map(|apply| &apply.transactions);
        let bookmarks = self.applies().flat_map(|apply| &apply.bookmarks);
        let voids = self.effects.iter().filter_map(|effect| match effect {
            Effect::Event(ReplicaEvent::Void { why, .. }) => Some(*why),
            _ => None,
        });
        Folded {
            history: fold.history(),
            time: fold.time,
            claimant: fold.claimant,
            missing: fold.gap().map(|gap| gap.since),
            applied: transactions.map(|committed| committed.scn).collect(),
            bookmarks: bookmarks.map(|state| state.last).collect(),
            voids: voids.collect(),
        }
    }
}

proptest! {
    #[test]
    fn gaps_and_overlaps_change_nothing_but_the_position(
        script in vec(any_next(), 0..40),
        gaps in vec(0..4_u64, 0..42),
        reads in vec((0..6_u64, 0..12_u64), 0..20),
    ) {
        let records = records(&script);
        let mut without = Follower::new();
        without.feed(dense(0, &records));
        let (entries, end) = spread(&records, &gaps);
        let mut with = Follower::new();
        // Some begin before what was read already, and some end there; the last one ends the log.
        for (epoch, (back, length)) in (1..).zip(reads.into_iter().chain([(0, u64::MAX)])) {
            let before = with.position();
            let from = LogOffset(before.offset.0.saturating_sub(back));
            let offset = LogOffset(from.0.saturating_add(length)).min(end);
            let part = entries.iter().filter(|(at, _)| (from..offset).contains(at));
            let next = LogPosition { offset, epoch };
            with.feed(RecordPage { from, entries: part.cloned().collect(), next });
            let want = if next.reaches(before.offset) { next } else { before };
            prop_assert_eq!(with.position(), want);
        }
        prop_assert_eq!(with.position().offset, end);
        prop_assert!(!with.replica.needs_records(end));
        prop_assert_eq!(with.folded(), without.folded());
    }

    /// As with a replica, so without one.
    #[test]
    fn a_fold_without_a_replica_passes_over_gaps_too(
        script in vec(any_next(), 0..20),
        gaps in vec(0..4_u64, 0..22),
    ) {
        let records = records(&script);
        let mut without = FoldState::before(genesis(), LogId(1));
        let accepted = without.fold(dense(0, &records));
        let (entries, offset) = spread(&records, &gaps);
        let mut with = FoldState::before(genesis(), LogId(1));
        let next = LogPosition { offset, epoch: 5 };
        prop_assert_eq!(with.fold(RecordPage { from: LogOffset::ZERO, entries, next }), accepted);
        prop_assert_eq!(with.position, next);
        prop_assert_eq!(with.history(), without.history());
    }
}

#[test]
fn a_state_is_stored_for_the_sake_of_records_not_of_gaps() {
    let gap = |from: LogPosition| {
        let next = LogPosition { offset: from.offset.plus(1 << 20), epoch: 0 };
        RecordPage { from: from.offset, entries: Vec::new(), next }
    };
    let stranger = [Bytes::from_static(b"stranger")];
    let mut follower = Follower::new();
    for _ in 0..super::super::STORE_RECORDS_MAX {
        assert_eq!(follower.applies().count(), 0, "at {}", follower.position().offset);
        follower.feed(gap(follower.position()));
        follower.feed(dense(follower.position().offset.0, &stranger));
    }
    let stored: Vec<LogPosition> = follower.applies().map(|apply| apply.state.position).collect();
    assert_eq!(stored, [follower.position()]);
}

/// A log that changes its own leader tells by the epoch whether it was cut in between.
#[test]
fn a_state_that_is_stored_within_a_page_names_the_leader_of_that_page() {
    let mut records = records(&[Next::Claim(2), Next::Digest]);
    records.extend([Bytes::from_static(b"stranger"), Bytes::from_static(b"stranger")]);
    let offset = LogOffset(records.len() as u64);
    let next = LogPosition { offset, epoch: 7 };
    let mut follower = Follower::new();
    follower.feed(RecordPage { next, ..dense(0, &records) });
    let stored: Vec<LogPosition> = follower.applies().map(|apply| apply.state.position).collect();
    assert!(stored.iter().any(|place| place.offset < offset), "{stored:?}: not within the page");
    assert!(stored.iter().all(|place| place.epoch == 7), "{stored:?}");
}
