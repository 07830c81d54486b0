//! Which reads a replica may serve, and whether what a reader has seen in its store still counts.
//!
//! A reader takes a [`Sighting`] of the replica, waits for what that demands, looks at the store,
//! and answers with what it saw if the [`Proof`] still holds. Start reading at
//! [`Sighting::serves`].
//! Source: docs/protocols/replication.md, "Reads".

use crate::role::ReplicaRole;
use cortado_model::{Generation, LogOffset, Millis, Scn};
use cortado_replica::ReadNeed;

/// Which replicas may serve a read, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// The leader, under its lease.
    Strong,
    /// The leader, after a barrier.
    Strict,
    /// Any replica that has applied this.
    AtLeast(Scn),
    /// Any replica whose newest complete state is no older.
    Bounded {
        /// How old.
        max_lag_ms: u64,
    },
}

/// A replica as a reader finds it, before it looks at its store.
///
/// Where the replica goes on meanwhile, the log's end and the clock are read first, then these in
/// their order: what happens in between must not pass unnoticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// How often its store has been emptied to be filled anew.
    pub restorations: u64,
    /// What it does.
    pub role: ReplicaRole,
    /// The newest leadership that it has folded.
    pub generation: Generation,
    /// Everything up to here is in its store.
    pub applied: Scn,
    /// Everything below is in its store.
    pub folded: LogOffset,
    /// Where its log ends, as it knows it.
    pub known_end: LogOffset,
    /// When its store last held everything that was in the log; `None` while that is unknown,
    /// since others may have what it lacks.
    pub complete_at: Option<Millis>,
}

/// When a reader may look at a replica's store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Serving {
    /// Now: nothing need be waited for.
    Now(Proof),
    /// When this holds.
    When(ReadNeed, Proof),
    /// Not at this replica, as it is.
    NotHere,
}

/// What must not have changed when a reader has looked at the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proof {
    restorations: u64,
    /// The generation whose leader proves itself by a lease or a barrier.
    within: Option<Generation>,
}

impl Sighting {
    /// When a read of `level` may look at the store.
    ///
    /// * `log_end`: where the log ended when the read came, if that can be read locally.
    /// * `now`: the steady clock.
    pub fn serves(&self, level: Level, log_end: Option<LogOffset>, now: Millis) -> Serving {
        let proof = Proof { restorations: self.restorations, within: None };
        if !self.role.is_readable() {
            return Serving::NotHere;
        }
        match level {
            Level::Strong => self.shows_all(log_end, ReadNeed::Lease),
            Level::Strict => self.shows_all(log_end, ReadNeed::Barrier),
            Level::AtLeast(scn) if self.applied >= scn => Serving::Now(proof),
            Level::AtLeast(scn) => Serving::When(ReadNeed::Applied(scn), proof),
            Level::Bounded { max_lag_ms } => {
                let lag_ms = self.lag_ms(log_end, now);
                let recent = lag_ms.is_some_and(|lag_ms| lag_ms <= max_lag_ms);
                if recent { Serving::Now(proof) } else { Serving::NotHere }
            }
        }
    }

    /// When the store shows everything that was committed before the read came.
    ///
    /// * `otherwise`: what a leader proves where the log's end cannot be read.
    fn shows_all(&self, log_end: Option<LogOffset>, otherwise: ReadNeed) -> Serving {
        let proof = |within| Proof { restorations: self.restorations, within };
        match log_end {
            Some(end) if self.folded >= end => Serving::Now(proof(None)),
            Some(end) => Serving::When(ReadNeed::Folded(end), proof(None)),
            None => Serving::When(otherwise, proof(Some(self.generation))),
        }
    }

    /// How old the newest complete state may be; `None` if unknown.
    fn lag_ms(&self, log_end: Option<LogOffset>, now: Millis) -> Option<u64> {
        let complete_at = self.complete_at?;
        let is_complete = self.folded >= log_end.unwrap_or(self.known_end);
        Some(if is_complete { 0 } else { now.since(complete_at) })
    }
}

impl Proof {
    /// Whether what was seen of the store may be told, as the replica is after the look.
    ///
    /// * `reached`: no record of a newer generation can have been in the store.
    pub fn holds(&self, role: ReplicaRole, restorations: u64, reached: Generation) -> bool {
        // Read across a restoration, it may be a part of a state.
        let intact = role.is_readable() && restorations == self.restorations;
        // What the next leader writes, this one may not show yet.
        intact && self.within.is_none_or(|within| reached <= within)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cortado_model::Sequence;

    const END: LogOffset = LogOffset(20);
    const NOW: Millis = Millis(900);

    fn scn(sequence: u64) -> Scn {
        Scn::new(Generation(4), Sequence(sequence))
    }

    /// Leads generation 4, has applied 4:7 and everything else.
    fn leader() -> Sighting {
        Sighting {
            restorations: 3,
            role: ReplicaRole::Leader,
            generation: Generation(4),
            applied: scn(7),
            folded: END,
            known_end: END,
            complete_at: Some(Millis(600)),
        }
    }

    /// A follower that has not folded the log's last record.
    fn behind() -> Sighting {
        Sighting { role: ReplicaRole::Follower, folded: LogOffset(19), ..leader() }
    }

    /// What need be waited for, where the log's end can be read locally and where it cannot.
    #[track_caller]
    fn check(sighting: Sighting, level: Level, want: [Wait; 2]) {
        let wait = |log_end| match sighting.serves(level, log_end, NOW) {
            Serving::Now(_) => Wait::Nothing,
            Serving::When(need, _) => Wait::For(need),
            Serving::NotHere => Wait::InVain,
        };
        assert_eq!([wait(Some(END)), wait(None)], want, "{level:?} of {sighting:?}");
    }

    #[derive(Debug, PartialEq, Eq)]
    enum Wait {
        Nothing,
        For(ReadNeed),
        InVain,
    }
    use Wait::{For, InVain, Nothing};

    #[test]
    fn each_level_waits_for_its_own_proof() {
        let folded = || For(ReadNeed::Folded(END));
        let bounded = |max_lag_ms| Level::Bounded { max_lag_ms };
        check(leader(), Level::Strong, [Nothing, For(ReadNeed::Lease)]);
        check(leader(), Level::Strict, [Nothing, For(ReadNeed::Barrier)]);
        check(behind(), Level::Strong, [folded(), For(ReadNeed::Lease)]);
        check(behind(), Level::Strict, [folded(), For(ReadNeed::Barrier)]);
        check(behind(), Level::AtLeast(scn(7)), [Nothing, Nothing]);
        let applied = || For(ReadNeed::Applied(scn(8)));
        check(behind(), Level::AtLeast(scn(8)), [applied(), applied()]);
        check(leader(), bounded(0), [Nothing, Nothing]);
        check(behind(), bounded(300), [Nothing, Nothing]);
        check(behind(), bounded(299), [InVain, InVain]);
        // The log may hold more than the replica knows of.
        let deceived = Sighting { known_end: LogOffset(19), ..behind() };
        check(deceived, bounded(299), [InVain, Nothing]);
        // The age of a state that may lack a record is unknown.
        let in_a_gap = Sighting { complete_at: None, ..leader() };
        check(in_a_gap, bounded(u64::MAX), [InVain, InVain]);
        check(in_a_gap, Level::AtLeast(scn(7)), [Nothing, Nothing]);
        for level in [Level::Strong, Level::Strict, Level::AtLeast(Scn::ZERO), bounded(u64::MAX)] {
            check(Sighting { role: ReplicaRole::Disputed, ..leader() }, level, [InVain, InVain]);
        }
    }

    /// Whether a look counts, as the replica is afterwards: at each level by the log's end, and by
    /// a lease or a barrier.
    #[track_caller]
    fn check_after(role: ReplicaRole, restorations: u64, reached: u32, want: [bool; 2]) {
        let holds = |level, log_end| match leader().serves(level, log_end, NOW) {
            Serving::Now(proof) | Serving::When(_, proof) => {
                proof.holds(role, restorations, Generation(reached))
            }
            Serving::NotHere => panic!("a leader serves reads of level {level:?}"),
        };
        let bounded = Level::Bounded { max_lag_ms: 0 };
        for level in [Level::Strong, Level::Strict, Level::AtLeast(scn(9)), bounded] {
            assert_eq!(holds(level, Some(END)), want[0], "{level:?}, by the log's end");
        }
        for level in [Level::Strong, Level::Strict] {
            assert_eq!(holds(level, None), want[1], "{level:?}, by the leadership");
        }
    }

    #[test]
    fn a_read_is_served_only_while_its_proof_holds() {
        check_after(ReplicaRole::Leader, 3, 4, [true, true]);
        check_after(ReplicaRole::SteppingDown, 3, 4, [true, true]);
        check_after(ReplicaRole::Follower, 3, 5, [true, false]); // another one leads by now
        check_after(ReplicaRole::Leader, 4, 4, [false, false]); // filled anew meanwhile
        check_after(ReplicaRole::Restoring, 3, 4, [false, false]); // about to be emptied
        check_after(ReplicaRole::Disputed, 3, 4, [false, false]);
    }
}
