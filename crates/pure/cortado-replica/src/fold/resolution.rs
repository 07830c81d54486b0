//! A history that an operator has chosen goes on in a log that does not hold all of it.
//!
//! Start reading at [`FoldState::chosen`]. Source: docs/protocols/replication.md, "Resolving a
//! dispute".

use super::{Claimant, Conflict, FoldState};
use crate::record::{HistoryPoint, Trim};
use cortado_model::{Generation, LogId, LogPosition, NodeId, ReplicaIncarnation, Scn};

impl FoldState {
    /// This history as the one that goes on behind `end` of `log`, once a claim that resolves the
    /// dispute is accepted there: until then it is in dispute, serves nothing and is not stored.
    ///
    /// * `highest`: the highest generation that any record below `end` names. The next one is above
    ///   that: whoever follows the log must meet the claim as a later one.
    ///
    /// Another claim that comes first stops the replica: its generation would have been taken.
    /// What stands below `end` counts for nothing any more, so it is as if it had been trimmed.
    pub fn chosen(self, log: LogId, end: LogPosition, highest: Generation) -> FoldState {
        let own = self.history();
        let skips = highest > self.last.generation;
        let last = if skips { Scn::opening(highest) } else { self.last };
        // No record of the former claimant is accepted any more. But a lease of its may be in use.
        let incarnation = ReplicaIncarnation::default();
        let claimant = self.claimant.map(|claimant| Claimant {
            incarnation,
            over: own,
            opened: self.agreed(),
            ..claimant
        });
        let mut leases = self.leases;
        leases.served = true;
        let holder = claimant.map_or(NodeId(0), |claimant| claimant.node);
        let other = HistoryPoint { scn: last, ..HistoryPoint::default() };
        FoldState {
            log,
            position: end,
            claimant,
            last,
            stepped_down: None,
            trim: Some(Trim { below: end.offset, log, snapshot: own.scn }),
            leases,
            gap: None,
            dispute: Some(Conflict { own, other, holder }),
            chosen: true,
            ..self
        }
    }
}
