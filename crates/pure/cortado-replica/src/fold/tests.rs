//! What a follower that has folded everything up to 4:7 makes of the next record.

use super::*;
use crate::record::{
    Barrier, Claim, ClaimReason, Need, Origin, PartitionIdentity, Transaction, encode, encode_at,
    newer_record,
};
use cortado_model::{ClusterUuid, DatabaseId, NodeIncarnation, PartitionUuid};
use proptest::collection::vec;
use proptest::prelude::*;

const LEADER: (NodeId, ReplicaIncarnation) = (NodeId(2), life(5));
const PARTITION: PartitionUuid = PartitionUuid(7);
/// What 4:0 was accepted over, and what it is folded up to.
const OVER: HistoryPoint = HistoryPoint { scn: scn(3, 20), chain: ChainHash(50) };
const CHAIN: ChainHash = ChainHash(99);

const fn life(life: u32) -> ReplicaIncarnation {
    ReplicaIncarnation { node: NodeIncarnation(1), life }
}

fn genesis() -> Genesis {
    let identity = PartitionIdentity {
        partition: PARTITION,
        cluster: ClusterUuid(1),
        database: DatabaseId(1),
        number: 3,
    };
    Genesis::new(identity, [1, 2, 3].map(NodeId).into_iter().collect())
}

const fn scn(generation: u32, sequence: u64) -> Scn {
    Scn::new(Generation(generation), Sequence(sequence))
}

fn at_4_7() -> FoldState {
    FoldState {
        begun: true,
        last: scn(4, 7),
        chain: CHAIN,
        position: LogPosition { offset: LogOffset(30), epoch: 2 },
        time: WallMillis(1_000),
        claimant: Some(Claimant {
            node: LEADER.0,
            incarnation: LEADER.1,
            over: OVER,
            opened: OVER.scn,
        }),
        ..FoldState::before(genesis(), LogId(6))
    }
}

/// As [`at_4_7`], right behind the claim.
fn at_4_0() -> FoldState {
    FoldState { last: scn(4, 0), ..at_4_7() }
}

fn record(scn: Scn, body: Body) -> Record {
    let header = Header { scn, node: LEADER.0, incarnation: LEADER.1, time: WallMillis(900) };
    Record { header, body }
}

fn transaction(generation: u32, sequence: u64) -> Record {
    record(scn(generation, sequence), Body::Transaction(Transaction::default()))
}

fn claim(generation: u32) -> Record {
    let claim = Claim { reason: ClaimReason::LeaderDead, evidence: 3, seen: scn(4, 7) };
    record(scn(generation, 0), Body::Claim(claim))
}

fn opening(over: HistoryPoint) -> Record {
    record(scn(4, 1), Body::Barrier(Barrier { opening: Some(over) }))
}

/// What is expected of a verdict that says no more.
#[derive(Clone, Debug)]
enum Want {
    Accepted,
    Void(VoidReason),
    Stop(Stop),
}

/// Folds one record at `offset`, read by itself.
fn fold_at(state: &mut FoldState, offset: u64, bytes: &Bytes) -> Result<Option<Record>, Stop> {
    let entries = vec![(LogOffset(offset), bytes.clone())];
    let next = LogPosition { offset: LogOffset(offset + 1), ..state.position };
    let page = RecordPage { from: LogOffset(offset), entries, next };
    state.fold(page).map(|mut records| records.pop())
}

/// `bytes` as judged by `state`, and as folded.
#[track_caller]
fn check_bytes(state: &FoldState, bytes: &Bytes, want: Want) {
    let verdict = state.examine(bytes, FEATURE_LEVEL_NEXT).1;
    let mut moved = state.clone();
    let folded = fold_at(&mut moved, state.position.offset.0, bytes);
    match (want, verdict) {
        (Want::Accepted, Verdict::Accepted(record, _)) => {
            assert_eq!(folded, Ok(Some(record.clone())));
            assert_eq!(moved.last, record.header.scn);
            assert_eq!(moved.time, WallMillis(1_000), "log time never goes back");
        }
        (Want::Void(why), Verdict::Void(found)) => {
            assert_eq!((found, folded), (why, Ok(None)));
            let offset = state.position.offset.plus(1);
            let position = LogPosition { offset, ..state.position };
            let (gap, dispute) = (moved.gap, moved.dispute);
            assert_eq!(moved, FoldState { position, gap, dispute, ..state.clone() });
        }
        (Want::Stop(stop), Verdict::Stop(found)) => {
            assert_eq!((&found, folded), (&stop, Err(stop.clone())));
            assert_eq!(moved, *state, "it stays before the record");
        }
        (want, found) => panic!("{found:?}, not {want:?}"),
    }
}

#[track_caller]
fn check_from(state: &FoldState, record: Record, previous: ChainHash, want: Want) {
    check_bytes(state, &encode(PARTITION, &record, previous).0, want);
}

#[track_caller]
fn check(record: Record, want: Want) {
    check_from(&at_4_7(), record, CHAIN, want);
}

#[test]
fn only_the_next_record_of_this_generation_is_accepted() {
    check(transaction(4, 8), Want::Accepted);
    check(transaction(4, 6), Want::Void(VoidReason::Duplicate)); // re-published from a checkpoint
    check(transaction(4, 9), Want::Void(VoidReason::Gap)); // 4:8 has not landed yet
    check(transaction(3, 9), Want::Void(VoidReason::Zombie)); // a leader that has been replaced
    check(transaction(5, 1), Want::Void(VoidReason::MissingClaim)); // its claim is not in the log
    check(record(scn(4, 8), Body::Barrier(Barrier::default())), Want::Accepted);
    check(record(scn(4, 8), Body::Config(Config::Digest)), Want::Accepted);
}

#[test]
fn the_first_claim_of_the_next_generation_is_accepted() {
    check(claim(5), Want::Accepted);
    check(claim(6), Want::Void(VoidReason::MissingClaim)); // a claimant has seen the claim before
    check(claim(4), Want::Void(VoidReason::NotNextGeneration));
    // A claimant may have read less than everything: its chain hash proves nothing.
    check_from(&at_4_7(), claim(5), ChainHash(1), Want::Accepted);
}

#[test]
fn only_a_replica_claims() {
    let of = |node| {
        let mut claim = claim(5);
        claim.header.node = NodeId(node);
        claim
    };
    check(of(3), Want::Accepted);
    check(of(4), Want::Void(VoidReason::NotAReplica)); // it was removed, or never was one
    let unrestricted = FoldState { replicas: ReplicaSet::default(), ..at_4_7() };
    check_from(&unrestricted, of(4), CHAIN, Want::Accepted);
    let mut moved = at_4_7();
    let replicas = Config::Replicas([NodeId(2), NodeId(4)].into_iter().collect());
    let bytes = encode(PARTITION, &record(scn(4, 8), Body::Config(replicas)), CHAIN).0;
    fold_at(&mut moved, 30, &bytes).expect("it is next");
    check_from(&moved, of(4), CHAIN, Want::Accepted);
    check_from(&moved, of(3), CHAIN, Want::Void(VoidReason::NotAReplica));
}

#[test]
fn only_the_claimant_writes_in_its_generation() {
    let mut stranger = transaction(4, 8);
    stranger.header.node = NodeId(3);
    check(stranger, Want::Void(VoidReason::Stranger));
    let mut earlier_life = transaction(4, 8);
    earlier_life.header.incarnation = life(4);
    check(earlier_life, Want::Void(VoidReason::Stranger));
}

#[test]
fn a_generation_ends_with_its_step_down() {
    let state = FoldState { stepped_down: Some(StepDown { to: None }), ..at_4_7() };
    check_from(&state, transaction(4, 8), CHAIN, Want::Void(VoidReason::AfterStepDown));
    check_from(&state, claim(5), CHAIN, Want::Accepted);
}

#[test]
fn a_log_begins_with_its_genesis() {
    let before = FoldState { time: WallMillis(1_000), ..FoldState::before(genesis(), LogId(6)) };
    let opening = |genesis| record(Scn::ZERO, Body::Genesis(genesis));
    let none = ChainHash::default();
    check_from(&before, opening(genesis()), none, Want::Accepted);
    check_from(&before, claim(1), none, Want::Void(VoidReason::BeforeGenesis));
    check(opening(genesis()), Want::Void(VoidReason::Duplicate)); // two nodes opened the log
    // The first one counts, whatever else it says.
    let other = Genesis { lease_ms: 7, replicas: ReplicaSet::default(), ..genesis() };
    let mut begun = before.clone();
    let bytes = encode(PARTITION, &opening(other.clone()), none).0;
    assert!(fold_at(&mut begun, 0, &bytes).is_ok_and(|record| record.is_some()));
    assert_eq!((begun.genesis, begun.leases.duration_ms), (other, 7));
    let identity = PartitionIdentity { number: 4, ..genesis().identity };
    let foreign = Genesis { identity, ..genesis() };
    check(opening(foreign), Want::Stop(Stop::Broken(Breakage::ForeignGenesis)));
}

#[test]
fn a_log_goes_on_where_its_origin_ended() {
    let history = HistoryPoint { scn: scn(8, 41), chain: ChainHash(17) };
    let origin = Origin {
        cluster: ClusterUuid(2),
        partition: PartitionUuid(3),
        log: LogId(4),
        history,
        time: WallMillis(5_000),
    };
    let continued = Genesis { origin: Some(origin), ..genesis() };
    let mut state = FoldState::before(genesis(), LogId(6));
    let first = record(Scn::ZERO, Body::Genesis(continued));
    fold_at(&mut state, 0, &encode(PARTITION, &first, history.chain).0).expect("the first");
    assert_eq!((state.last, state.time), (scn(8, 41), WallMillis(5_000)));
    assert_eq!(state.next_generation(), Generation(9));
    let chain = state.chain;
    assert_ne!(chain, history.chain);
    let claimed = encode(PARTITION, &claim(9), chain).0;
    assert!(fold_at(&mut state, 1, &claimed).is_ok_and(|record| record.is_some()));
    assert_eq!(state.claimant.map(|c| c.over), Some(HistoryPoint { scn: scn(8, 41), chain }));
}

#[test]
fn a_strangers_bytes_are_passed_over() {
    let state = at_4_7();
    let foreign = Want::Void(VoidReason::Foreign);
    for bytes in [&b""[..], b"CtRd", b"garbage", &[0; 300]] {
        check_bytes(&state, &Bytes::copy_from_slice(bytes), foreign.clone());
    }
    // Another partition's records, mirrored or misrouted, even a claim that would fit.
    for record in [claim(5), transaction(4, 8)] {
        let bytes = encode(PartitionUuid(8), &record, CHAIN).0;
        check_bytes(&state, &bytes, foreign.clone());
        let mut damaged = bytes.to_vec();
        damaged[70] ^= 1;
        check_bytes(&state, &damaged.into(), foreign.clone());
    }
}

#[test]
fn a_damaged_record_of_the_partition_stops_the_replica() {
    let bytes = encode(PARTITION, &transaction(4, 8), CHAIN).0;
    for at in 0..bytes.len() {
        let mut damaged = bytes.to_vec();
        damaged[at] ^= 0x10;
        let verdict = at_4_7().examine(&damaged.into(), FEATURE_LEVEL_NEXT).1;
        let broken = Verdict::Stop(Stop::Broken(Breakage::Undecodable(DecodeError::Damaged(""))));
        let same = std::mem::discriminant(&verdict) == std::mem::discriminant(&broken);
        assert!(same, "byte {at}, magic and tag among them: {verdict:?}");
    }
}

#[test]
fn what_a_newer_build_wrote_is_waited_for_if_it_counts() {
    let newer =
        |record: &Record, version, kind| newer_record(PARTITION, record, CHAIN, (version, kind));
    let needs = |need| Want::Stop(Stop::NeedsUpgrade(need));
    let state = at_4_7();
    check_bytes(&state, &newer(&transaction(4, 8), 3, 3), needs(Need::RecordVersion(3)));
    check_bytes(&state, &newer(&transaction(4, 8), 2, 13), needs(Need::Kind(13)));
    check_bytes(&state, &newer(&claim(5), 3, 2), needs(Need::RecordVersion(3)));
    // What would not count needs no reading.
    check_bytes(&state, &newer(&transaction(4, 7), 3, 3), Want::Stop(Breakage::Fork.into()));
    check_bytes(&state, &newer(&transaction(4, 6), 3, 3), Want::Void(VoidReason::Duplicate));
    check_bytes(&state, &newer(&transaction(4, 9), 3, 77), Want::Void(VoidReason::Gap));
    check_bytes(&state, &newer(&transaction(3, 9), 3, 3), Want::Void(VoidReason::Zombie));
    check_bytes(&state, &newer(&transaction(5, 1), 3, 3), Want::Void(VoidReason::MissingClaim));
    check_bytes(&state, &newer(&claim(6), 3, 2), Want::Void(VoidReason::MissingClaim));
    // A known kind that raises the level above this build's is as good as unknown.
    let level = || Body::Config(Config::Feature { level: 3 });
    check(record(scn(4, 8), level()), needs(Need::Feature { needed: 3, own: 2 }));
    check(record(scn(4, 9), level()), Want::Void(VoidReason::Gap));
}

#[test]
fn what_needs_more_than_a_node_has_declared_is_waited_for_if_it_counts() {
    let state = at_4_7();
    let judged = |bytes: &Bytes, own| state.examine(bytes, own).1;
    let stops = Verdict::Stop(Stop::NeedsUpgrade(Need::Feature { needed: 2, own: 1 }));
    // What raises the level names none above the old one itself.
    let raises = record(scn(4, 8), Body::Config(Config::Feature { level: 2 }));
    let raises = encode(PARTITION, &raises, CHAIN).0;
    // What comes behind it does.
    let needs = |record: &Record| encode_at(2, PARTITION, record, CHAIN).0;
    for bytes in [raises, needs(&transaction(4, 8)), needs(&claim(5))] {
        assert_eq!(judged(&bytes, 1), stops);
        assert!(matches!(judged(&bytes, 2), Verdict::Accepted(..)));
    }
    assert!(matches!(judged(&needs(&transaction(3, 9)), 1), Verdict::Void(VoidReason::Zombie)));
    // In the words of the node, too, where no node of this build could read it.
    let far = encode_at(9, PARTITION, &transaction(4, 8), CHAIN).0;
    let stops = Verdict::Stop(Stop::NeedsUpgrade(Need::Feature { needed: 9, own: 1 }));
    assert_eq!(judged(&far, 1), stops);
}

#[test]
fn what_no_fault_explains_stops_the_replica() {
    check(transaction(4, 7), Want::Stop(Breakage::Fork.into()));
    let mut state = at_4_7();
    let bytes = encode(PARTITION, &transaction(4, 8), CHAIN).0;
    assert_eq!(fold_at(&mut state, 31, &bytes), Err(Breakage::Hole.into()));
    assert_eq!(fold_at(&mut state, 29, &bytes), Ok(None));
    assert_eq!(state, at_4_7());
}

#[test]
fn a_leader_that_goes_on_with_another_history_is_not_followed() {
    let point = |generation, sequence, chain| HistoryPoint {
        scn: scn(generation, sequence),
        chain: ChainHash(chain),
    };
    let conflict = |own, other| Conflict { own, other, holder: LEADER.0 };
    let check_over = |other, want: fn(Conflict) -> Want| {
        check_from(&at_4_0(), opening(other), CHAIN, want(conflict(OVER, other)));
    };
    check_from(&at_4_0(), opening(OVER), CHAIN, Want::Accepted);
    check_over(point(3, 21, 50), |lost| Want::Stop(Stop::Behind(lost))); // this replica lost 3:21
    // The leader lost 3:20.
    check_over(point(3, 19, 50), |longer| Want::Void(VoidReason::Disputed(longer)));
    // Two of one length.
    check_over(point(3, 20, 51), |fork| Want::Void(VoidReason::Disputed(fork)));
    // Only what leaders have sent that never served tells them apart: nothing is lost by resyncing.
    let (_, chain) = encode(PARTITION, &opening(OVER), ChainHash(98));
    let other = HistoryPoint { scn: scn(4, 1), chain };
    let own = HistoryPoint { scn: scn(4, 0), chain: CHAIN };
    let behind = Want::Stop(Stop::Behind(conflict(own, other)));
    check_from(&at_4_0(), opening(OVER), ChainHash(98), behind);
    // Without an opening, the chain tells; how long the other one is, is unknown.
    let (_, chain) = encode(PARTITION, &transaction(4, 8), ChainHash(98));
    let other = HistoryPoint { scn: scn(4, 8), chain };
    let own = HistoryPoint { scn: scn(4, 7), chain: CHAIN };
    let disputed = Want::Stop(Stop::Disputed(conflict(own, other)));
    check_from(&at_4_7(), transaction(4, 8), ChainHash(98), disputed);
}

#[test]
fn a_dispute_lasts_until_the_leader_serves_or_the_next_claim() {
    let other = HistoryPoint { scn: scn(3, 19), chain: ChainHash(50) };
    let conflict = Conflict { own: OVER, other, holder: LEADER.0 };
    let mut state = at_4_0();
    assert_eq!(state.skip(VoidReason::Disputed(conflict)), None);
    assert_eq!(state.dispute(), Some(conflict));
    // What it sends is chained to what this replica has not accepted.
    let barrier = record(scn(4, 2), Body::Barrier(Barrier::default()));
    let check_next = |record, want| check_from(&state, record, ChainHash(98), want);
    check_next(barrier, Want::Void(VoidReason::Disputed(conflict)));
    check_next(transaction(4, 2), Want::Stop(Stop::Disputed(conflict)));
    check_next(transaction(3, 9), Want::Void(VoidReason::Zombie));
    check_next(claim(5), Want::Accepted);
    let bytes = encode(PARTITION, &claim(5), state.chain).0;
    let next = state.position.offset.0;
    fold_at(&mut state, next, &bytes).expect("a claim is accepted").expect("it is told");
    assert_eq!((state.dispute(), state.claimant.map(|won| won.over)), (None, Some(OVER)));
}

#[test]
fn a_leader_that_has_served_is_disputed_too_late() {
    let dispute = Claim { reason: ClaimReason::LeaderDisputed, evidence: 0, seen: scn(4, 0) };
    let dispute = || record(scn(5, 0), Body::Claim(dispute));
    check_from(&at_4_0(), dispute(), CHAIN, Want::Accepted);
    let mut served = at_4_0();
    served.leases.served = true;
    check_from(&served, dispute(), CHAIN, Want::Void(VoidReason::LeaderHasServed));
    check_from(&served, claim(5), CHAIN, Want::Accepted);
}

fn resolving(generation: u32) -> Record {
    let claim = Claim { reason: ClaimReason::DisputeResolved, evidence: 0, seen: scn(4, 7) };
    record(scn(generation, 0), Body::Claim(claim))
}

#[test]
fn a_claim_that_resolves_a_dispute_counts_for_who_has_its_history() {
    let mut served = at_4_7();
    served.leases.served = true;
    check_from(&served, resolving(5), CHAIN, Want::Accepted);
    // Generations between may have been claimed in another history.
    check_from(&served, resolving(8), CHAIN, Want::Accepted);
    check_from(&served, resolving(4), CHAIN, Want::Void(VoidReason::NotNextGeneration));
    check_from(&served, resolving(3), CHAIN, Want::Void(VoidReason::NotNextGeneration));
    // Who has another one lacks it, however much it has.
    for generation in [5, 8] {
        let (bytes, chain) = encode(PARTITION, &resolving(generation), ChainHash(98));
        let (own, other) = (served.history(), HistoryPoint { scn: scn(4, 7), chain });
        let conflict = Conflict { own, other, holder: LEADER.0 };
        check_bytes(&served, &bytes, Want::Stop(Stop::Behind(conflict)));
    }
}

#[test]
fn a_chosen_history_goes_on_with_its_own_claim_alone() {
    let end = LogPosition { offset: LogOffset(40), epoch: 3 };
    let chosen = at_4_7().chosen(LogId(6), end, Generation(6));
    assert_eq!((chosen.last, chosen.chain, chosen.position), (scn(6, 0), CHAIN, end));
    assert_eq!((chosen.trimmed_below(), chosen.agreed()), (end.offset, scn(4, 7)));
    let conflict = chosen.dispute().expect("the log does not say so yet");
    assert_eq!((chosen.is_chosen(), conflict.own.scn), (true, scn(4, 7)));
    // What comes late counts for nothing, the former leader's included.
    let check_next = |record, previous, want| check_from(&chosen, record, previous, want);
    check_next(transaction(4, 8), CHAIN, Want::Void(VoidReason::Zombie));
    check_next(transaction(6, 1), CHAIN, Want::Void(VoidReason::Stranger));
    check_next(resolving(7), CHAIN, Want::Accepted);
    // Another claim that comes first has taken the generation.
    let (bytes, chain) = encode(PARTITION, &claim(7), ChainHash(98));
    let other = HistoryPoint { scn: scn(7, 0), chain };
    let conflict = Conflict { own: chosen.history(), other, holder: LEADER.0 };
    check_bytes(&chosen, &bytes, Want::Stop(Stop::Disputed(conflict)));
    // Where the log has no later generation, the sequence stays.
    let chosen = at_4_7().chosen(LogId(6), end, Generation(3));
    assert_eq!((chosen.last, chosen.generation()), (scn(4, 7), Generation(4)));
    check_from(&chosen, transaction(4, 8), CHAIN, Want::Void(VoidReason::Stranger));
}

/// Folds `records`, each chained to the one that was accepted before it, behind 4:7.
fn folded(records: &[Record]) -> FoldState {
    let mut state = at_4_7();
    for record in records {
        let bytes = encode(PARTITION, record, state.chain).0;
        let next = state.position.offset.0;
        fold_at(&mut state, next, &bytes).expect("nothing here stops a replica");
    }
    state
}

#[test]
fn a_gap_is_remembered_until_what_is_missing_appears_or_a_claim_ends_it() {
    let gap = |records: &[Record]| folded(records).gap().map(|gap| (gap.since, gap.noticed.0));
    assert_eq!(gap(&[]), None);
    assert_eq!(gap(&[transaction(4, 9)]), Some((scn(4, 8), 30)));
    assert_eq!(gap(&[transaction(4, 9), transaction(4, 11)]), Some((scn(4, 8), 30)));
    assert_eq!(gap(&[transaction(4, 9), transaction(4, 8)]), None);
    assert_eq!(gap(&[transaction(4, 9), claim(5)]), None);
    // A leader whose claim this replica has not seen.
    assert_eq!(gap(&[transaction(4, 8), transaction(5, 1)]), Some((scn(5, 0), 31)));
    assert_eq!(gap(&[transaction(5, 1), transaction(4, 8)]), Some((scn(5, 0), 30)));
    assert_eq!(gap(&[transaction(5, 1), claim(5)]), None);
    assert_eq!(gap(&[claim(6)]), Some((scn(5, 0), 30)));
    // Nothing is missing before these.
    assert_eq!(gap(&[transaction(4, 6), transaction(3, 9), claim(4)]), None);
}

#[test]
fn a_new_leader_waits_for_the_longest_lease_that_may_still_be_held() {
    let lease = |sequence, duration_ms| {
        record(scn(4, sequence), Body::Config(Config::Lease { duration_ms }))
    };
    let check = |records: &[Record], duration_ms, longest_ms| {
        let leases = folded(records).leases;
        assert_eq!((leases.duration_ms, leases.longest_ms), (duration_ms, longest_ms));
    };
    check(&[], 500, 500);
    check(&[lease(8, 900)], 900, 900);
    check(&[lease(8, 200)], 200, 500);
    check(&[lease(8, 900), lease(9, 200)], 200, 900);
    // The next leader has not waited yet: another one must still wait for the leases before.
    check(&[lease(8, 200), claim(5)], 200, 500);
    let barrier = record(scn(5, 1), Body::Barrier(Barrier::default()));
    check(&[lease(8, 200), claim(5), barrier.clone(), claim(6)], 200, 500);
    check(&[lease(8, 200), claim(5), barrier, transaction(5, 2)], 200, 200);
}

#[test]
fn a_checkpoint_is_read_as_written_or_refused() {
    let trim = Trim { below: LogOffset(4), log: LogId(6), snapshot: scn(2, 1) };
    let gap = Gap { since: scn(4, 8), noticed: LogOffset(29) };
    for to in [None, Some(StepDown { to: None }), Some(StepDown { to: Some(NodeId(9)) })] {
        let indexes = Bytes::from_static(b"definitions");
        let (stepped_down, trim, gap) = (to, Some(trim), Some(gap));
        let state = FoldState { stepped_down, trim, gap, indexes, ..at_4_7() };
        let bytes = state.encode();
        assert_eq!(FoldState::decode(&bytes), Ok(state));
        for at in 0..bytes.len() {
            let mut damaged = bytes.to_vec();
            damaged[at] ^= 0x10;
            assert!(FoldState::decode(&damaged).is_err(), "byte {at}");
            assert!(FoldState::decode(&bytes[..at]).is_err(), "length {at}");
        }
    }
    let before = FoldState::before(genesis(), LogId(6));
    assert_eq!(FoldState::decode(&before.encode()), Ok(before));
}

/// `bytes` of a fold state with the right checksum in front.
fn sealed(bytes: &[u8]) -> Vec<u8> {
    let mut sealed = crc32c::crc32c(&bytes[4..]).to_le_bytes().to_vec();
    sealed.extend_from_slice(&bytes[4..]);
    sealed
}

#[test]
fn sections_of_a_newer_build_are_kept_or_waited_for() {
    let section = |tag: u16| [&tag.to_le_bytes()[..], &4_u32.to_le_bytes(), b"more"].concat();
    let with = |tag| sealed(&[&at_4_7().encode()[..], &section(tag)].concat());
    let kept = with(0x0123);
    let state = FoldState::decode(&kept).expect("it may be passed over");
    assert_eq!(state.encode(), kept, "and is written again, byte for byte");
    let need = |bytes: &[u8]| match FoldState::decode(bytes) {
        Err(DecodeError::NeedsUpgrade(need)) => Some(need),
        Ok(_) | Err(_) => None,
    };
    assert_eq!(need(&with(0x8123)), Some(Need::Section(0x123)));
    let mut newer = at_4_7().encode().to_vec();
    newer[4] = 3;
    assert_eq!(need(&sealed(&newer)), Some(Need::CheckpointVersion(3)));
}

proptest! {
    /// Behind a correct checksum, too, nothing panics.
    #[test]
    fn no_bytes_of_a_fold_state_panic(
        sections in vec((0..14_u16, any::<bool>(), vec(any::<u8>(), 0..120)), 0..6),
        cut in any::<usize>(),
    ) {
        let mut bytes = vec![0, 0, 0, 0, 2, 0, 0, 0];
        for (number, critical, section) in sections {
            bytes.extend((number | u16::from(critical) << 15).to_le_bytes());
            bytes.extend((section.len() as u32).to_le_bytes());
            bytes.extend(section);
        }
        bytes.truncate(8 + cut % (bytes.len() - 7));
        let _ = FoldState::decode(&sealed(&bytes));
    }

    /// Nor does the fold, whatever stands in the log.
    #[test]
    fn no_record_panics_the_fold(
        kind in 0..16_u8,
        sequence in 0..10_u64,
        generation in 3..6_u32,
        body in vec(any::<u8>(), 0..80),
    ) {
        let mut writer = crate::record::FrameWriter::new(
            (PARTITION, 1),
            &transaction(generation, sequence).header,
            Kind(kind),
            0,
        );
        writer.out.extend_from_slice(&body);
        let (bytes, _) = writer.finish(CHAIN);
        let _ = fold_at(&mut at_4_7(), 30, &bytes);
    }
}

/// What version 2 wrote must be readable for ever.
#[test]
fn the_bytes_of_a_fold_state_of_version_2_do_not_change() {
    let state = FoldState {
        trim: Some(Trim { below: LogOffset(4), log: LogId(6), snapshot: scn(2, 1) }),
        stepped_down: Some(StepDown { to: Some(NodeId(3)) }),
        gap: Some(Gap { since: scn(4, 8), noticed: LogOffset(29) }),
        indexes: Bytes::from_static(b"definitions"),
        unknown: vec![(0x123, Bytes::from_static(b"kept"))],
        ..at_4_7()
    };
    let text: String = state.encode().iter().map(|b| format!("{b:02x}")).collect();
    let golden = include_str!("../../testdata/formats/fold-state-v2.hex");
    assert_eq!(text, golden.trim());
    let bytes: Vec<u8> = (0..golden.trim().len() / 2)
        .map(|at| u8::from_str_radix(&golden[2 * at..2 * at + 2], 16).expect("hexadecimal"))
        .collect();
    assert_eq!(FoldState::decode(&bytes), Ok(state));
}
