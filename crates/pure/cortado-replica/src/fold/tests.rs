//! What a follower that has folded everything up to 4:7 makes of the next record.

use super::*;
use crate::record::{Claim, Config, Record, Transaction, encode};
use cortado_model::{ClusterUuid, DatabaseId, NodeIncarnation, PartitionUuid, Sequence};

const LEADER: (NodeId, ReplicaIncarnation) = (NodeId(2), life(5));

const fn life(life: u32) -> ReplicaIncarnation {
    ReplicaIncarnation { node: NodeIncarnation(1), life }
}

fn genesis() -> Genesis {
    Genesis {
        partition: PartitionUuid(7),
        cluster: ClusterUuid(1),
        database: DatabaseId(1),
        number: 3,
    }
}

fn scn(generation: u32, sequence: u64) -> Scn {
    Scn::new(Generation(generation), Sequence(sequence))
}

fn at_4_7() -> FoldState {
    FoldState {
        begun: true,
        last: scn(4, 7),
        chain: ChainHash(99),
        next_offset: LogOffset(30),
        time: WallMillis(1_000),
        claimant: Some(Claimant { node: LEADER.0, incarnation: LEADER.1, address: "a".into() }),
        ..FoldState::before(genesis())
    }
}

fn record(scn: Scn, body: Body) -> Record {
    let header = Header { scn, node: LEADER.0, incarnation: LEADER.1, time: WallMillis(900) };
    Record { header, body }
}

fn transaction(generation: u32, sequence: u64) -> Record {
    let transaction = Transaction { changes: Vec::new(), idempotency: None };
    record(scn(generation, sequence), Body::Transaction(transaction))
}

fn claim(generation: u32) -> Record {
    let claim = Claim { address: "b".into(), seen: scn(4, 7) };
    record(scn(generation, 0), Body::Claim(claim))
}

/// `record`, chained to `previous`, as judged by `state`.
#[track_caller]
fn check_from(state: &FoldState, record: Record, previous: ChainHash, want: Verdict) {
    let (bytes, chain) = encode(&record, previous);
    let decoded = Decoded { record, chain };
    assert_eq!(state.judge(&decoded, &bytes), want);
    let mut moved = state.clone();
    let folded = moved.fold(state.next_offset, &bytes);
    match want {
        Verdict::Accepted => {
            assert_eq!(folded, Ok(Some(decoded.clone())));
            assert_eq!(moved.last, decoded.record.header.scn);
            assert_eq!(moved.time, WallMillis(1_000), "log time never goes back");
        }
        Verdict::Void(_) => {
            assert_eq!(folded, Ok(None));
            let next_offset = state.next_offset.plus(1);
            assert_eq!(moved, FoldState { next_offset, ..state.clone() });
        }
        Verdict::Broken(breakage) => {
            assert_eq!(folded, Err(breakage));
            assert_eq!(moved, *state);
        }
    }
}

#[track_caller]
fn check(record: Record, want: Verdict) {
    check_from(&at_4_7(), record, ChainHash(99), want);
}

#[test]
fn only_the_next_record_of_this_generation_is_accepted() {
    check(transaction(4, 8), Verdict::Accepted);
    check(transaction(4, 6), Verdict::Void(Why::Duplicate)); // re-published from a checkpoint
    check(transaction(4, 9), Verdict::Void(Why::Gap)); // 4:8 has not landed yet
    check(transaction(3, 9), Verdict::Void(Why::Zombie)); // a leader that has been replaced
    check(transaction(5, 1), Verdict::Void(Why::Stranger)); // its claim was never accepted
    check(record(scn(4, 8), Body::Barrier), Verdict::Accepted);
    check(record(scn(4, 8), Body::Config(Config::Digest)), Verdict::Accepted);
    check(record(scn(4, 8), Body::Heartbeat), Verdict::Void(Why::Heartbeat));
}

#[test]
fn the_first_claim_of_the_next_generation_is_accepted() {
    check(claim(5), Verdict::Accepted);
    check(claim(6), Verdict::Void(Why::NotNextGeneration));
    check(claim(4), Verdict::Void(Why::NotNextGeneration));
    // A claimant may have read less than everything: its chain hash proves nothing.
    check_from(&at_4_7(), claim(5), ChainHash(1), Verdict::Accepted);
}

#[test]
fn only_the_claimant_writes_in_its_generation() {
    let mut stranger = transaction(4, 8);
    stranger.header.node = NodeId(3);
    check(stranger, Verdict::Void(Why::Stranger));
    let mut earlier_life = transaction(4, 8);
    earlier_life.header.incarnation = life(4);
    check(earlier_life, Verdict::Void(Why::Stranger));
}

#[test]
fn a_generation_ends_with_its_step_down() {
    let state = FoldState { stepped_down: Some(StepDown { to: None }), ..at_4_7() };
    let after = Verdict::Void(Why::AfterStepDown);
    check_from(&state, transaction(4, 8), ChainHash(99), after);
    check_from(&state, claim(5), ChainHash(99), Verdict::Accepted);
}

#[test]
fn a_log_begins_with_its_genesis() {
    let before = FoldState { time: WallMillis(1_000), ..FoldState::before(genesis()) };
    let opening = |genesis| record(Scn::ZERO, Body::Genesis(genesis));
    let none = ChainHash::default();
    check_from(&before, opening(genesis()), none, Verdict::Accepted);
    check_from(&before, claim(1), none, Verdict::Void(Why::BeforeGenesis));
    check(opening(genesis()), Verdict::Void(Why::Duplicate)); // two nodes opened the log
    let foreign = Genesis { partition: PartitionUuid(8), ..genesis() };
    check(opening(foreign), Verdict::Broken(Breakage::ForeignGenesis));
}

#[test]
fn what_no_fault_explains_stops_the_replica() {
    let broken = Verdict::Broken(Breakage::ChainMismatch);
    check_from(&at_4_7(), transaction(4, 8), ChainHash(98), broken);
    check(transaction(4, 7), Verdict::Broken(Breakage::Fork));
    let mut state = at_4_7();
    let bytes = encode(&transaction(4, 8), ChainHash(99)).0;
    assert_eq!(state.fold(LogOffset(31), &bytes), Err(Breakage::Hole));
    assert_eq!(state.fold(LogOffset(29), &bytes), Ok(None));
    assert_eq!(state, at_4_7());
}

#[test]
fn a_checkpoint_is_read_as_written_or_refused() {
    let stepped_down = [None, Some(StepDown { to: None }), Some(StepDown { to: Some(NodeId(9)) })];
    for stepped_down in stepped_down {
        let state = FoldState { stepped_down, trimmed_below: LogOffset(4), ..at_4_7() };
        let bytes = state.encode();
        assert_eq!(FoldState::decode(&bytes), Ok(state));
        for at in 0..bytes.len() {
            let mut damaged = bytes.to_vec();
            damaged[at] ^= 0x10;
            assert!(FoldState::decode(&damaged).is_err(), "byte {at}");
            assert!(FoldState::decode(&bytes[..at]).is_err(), "length {at}");
        }
    }
    let before = FoldState::before(genesis());
    assert_eq!(FoldState::decode(&before.encode()), Ok(before));
}
