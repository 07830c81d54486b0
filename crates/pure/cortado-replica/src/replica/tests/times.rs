//! Which times records carry, where a wall clock was ahead and is behind now.

use crate::*;
use bytes::Bytes;
use cortado_model::{
    ClusterUuid, DatabaseId, LogId, LogOffset, LogPosition, Millis, NodeId, NodeIncarnation,
    PartitionUuid, ReplicaIncarnation, WallMillis,
};

const ME: Identity = Identity {
    node: NodeId(1),
    incarnation: ReplicaIncarnation { node: NodeIncarnation(1), life: 1 },
};
/// A day ahead of the wall clock that counts now.
const AHEAD: Now = Now { clock: Millis(1), wall: WallMillis(86_401_000) };

/// A replica that leads, and its log.
struct Leader {
    replica: Replica,
    log: Vec<Bytes>,
}

impl Leader {
    /// It has opened its generation while the wall clock was ahead.
    fn new() -> Leader {
        let identity = PartitionIdentity {
            partition: PartitionUuid(7),
            cluster: ClusterUuid(1),
            database: DatabaseId(1),
            number: 0,
        };
        let genesis = Genesis::new(identity, [ME.node].into_iter().collect());
        let log = vec![genesis_record(&genesis, &ME, AHEAD)];
        let fold = FoldState::before(genesis, LogId(1));
        let replica = Replica::new(ME, Settings::local(), fold, AHEAD);
        let mut leader = Leader { replica, log };
        leader.feed(AHEAD);
        let claim = Input::Claim { reason: ClaimReason::Ordered, evidence: 0 };
        leader.do_all(AHEAD, claim);
        let generation = leader.replica.fold().generation();
        leader.do_all(AHEAD, Input::Open { generation });
        assert_eq!(leader.replica.role(), Role::Leader);
        leader
    }

    /// Steps, and lets the log take what is appended.
    fn do_all(&mut self, now: Now, input: Input) {
        for (token, records) in self.step(now, input) {
            let first = LogPosition { offset: LogOffset(self.log.len() as u64), epoch: 0 };
            self.log.extend(records);
            self.do_all(now, Input::Appended { token, first });
            self.feed(now);
        }
    }

    /// Answers what is to be appended.
    fn step(&mut self, now: Now, input: Input) -> Vec<(AppendToken, Vec<Bytes>)> {
        let mut effects = Vec::new();
        self.replica.step(now, input, &mut effects);
        let appends = effects.into_iter().filter_map(|effect| match effect {
            Effect::Append { token, records } => Some((token, records)),
            _ => None,
        });
        appends.collect()
    }

    /// Everything that the log holds is read.
    fn feed(&mut self, now: Now) {
        let entries = (0..).map(LogOffset).zip(self.log.iter().cloned()).collect();
        let next = LogPosition { offset: LogOffset(self.log.len() as u64), epoch: 0 };
        let page = RecordPage { from: LogOffset(0), entries, next };
        self.do_all(now, Input::Page(page));
    }

    /// A write; answers the append and the time of its record.
    fn write(&mut self, now: Now) -> (AppendToken, WallMillis) {
        let write = DecidedWrite { request: RequestId(1), draft: Draft::default() };
        let (token, records) = self.step(now, Input::Write(write)).remove(0);
        let record = decode(&records[0], PartitionUuid(7)).expect("it was encoded");
        (token, record.header.time)
    }
}

/// By this time a leader judges which answers it still remembers.
#[test]
fn records_behind_refused_ones_are_no_earlier_than_what_was_said_to_be_now() {
    let mut leader = Leader::new();
    let behind = |clock| Now { clock: Millis(clock), wall: WallMillis(1_000) };
    let (token, refused) = leader.write(behind(600_001));
    assert_eq!(refused, WallMillis(AHEAD.wall.0 + 300_000));
    let failure = AppendFailure::NotAppended;
    leader.step(behind(600_002), Input::AppendFailed { token, failure });
    let end = LogOffset(leader.log.len() as u64);
    leader.step(behind(600_002), Input::CaughtUp { end });
    let said = leader.replica.log_time(behind(600_003));
    let (_, next) = leader.write(behind(600_003));
    assert_eq!((next, next >= refused), (said, true));
}
