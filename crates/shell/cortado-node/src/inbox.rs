//! Everything that can be asked of a replica's driver.
//!
//! Decides nothing. Start reading at [`DriverInput`].

use crate::catalog::Database;
use crate::gateway::{WriteError, Written};
use crate::idempotency::KeyedWrite;
use cortado_document::Operation;
use cortado_model::{LogOffset, NodeId, Scn};
use cortado_replica::{ClaimReason, NotDone, ReadNeed};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use tokio::sync::oneshot;

/// Requests that may wait for one driver. A driver takes them in batches of this size, so that
/// more would only wait longer; beyond it clients are told to come again.
pub(crate) const INBOX_MAX: usize = 1_024;

/// What a driver is asked. A dropped reply means that the replica went away before it answered.
#[derive(Debug)]
pub(crate) enum DriverInput {
    /// Evaluate and publish.
    Write(Box<WriteCommand>),
    /// Say when the store shows what `need` demands.
    Read {
        /// The demand.
        need: ReadNeed,
        /// Look at the store now, or look elsewhere.
        reply: oneshot::Sender<Result<(), NotDone>>,
    },
    /// Give the leadership up.
    HandOff {
        /// Who should claim.
        to: Option<NodeId>,
        /// Whether the step-down is committed.
        reply: oneshot::Sender<Result<(), NotDone>>,
    },
    /// Take the leadership.
    Claim {
        /// Why.
        reason: ClaimReason,
        /// Hash of what the decision rests on, as the decision log tells it.
        evidence: u128,
    },
    /// As leader: begin a round of digests now.
    Verify,
    /// What some replica's state hashes to, for the leader that compares.
    Digest(DigestReport),
    /// The replica's state is not to be trusted: throw it away.
    Condemned {
        /// What was found, for people.
        why: String,
    },
    /// Finish what was begun, begin nothing, end.
    Stop,
}

/// A write on its way to the leader.
#[derive(Debug)]
pub(crate) struct WriteCommand {
    /// Whose tables and schemas count; `None` for `_cluster`, which has none.
    pub(crate) database: Option<Arc<Database>>,
    pub(crate) operations: Vec<Operation>,
    /// How it is recognised when it comes again.
    pub(crate) keyed: Option<KeyedWrite>,
    pub(crate) ticket: Arc<Ticket>,
    pub(crate) reply: oneshot::Sender<Result<Written, WriteEnd>>,
}

/// The end of a write that was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum WriteEnd {
    /// For the client.
    Final(WriteError),
    /// Definitely not done here.
    NotDone(NotDone),
    /// Nobody can tell.
    Unknown,
}

/// Settles who was first: the driver that begins a write, or the client that withdraws it.
#[derive(Debug, Default)]
pub(crate) struct Ticket(AtomicU8);

const WAITING: u8 = 0;
const BEGUN: u8 = 1;
const WITHDRAWN: u8 = 2;

impl Ticket {
    /// The driver takes the write up. `false`: it was withdrawn, drop it.
    pub(crate) fn begin(&self) -> bool {
        self.leave_waiting(BEGUN)
    }

    /// The client gives up. `true`: nothing was begun and nothing will be.
    pub(crate) fn withdraw(&self) -> bool {
        self.leave_waiting(WITHDRAWN)
    }

    fn leave_waiting(&self, to: u8) -> bool {
        self.0.compare_exchange(WAITING, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

/// The state of one replica at one SCN, as one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DigestReport {
    /// Whose.
    pub(crate) node: NodeId,
    /// At which record.
    pub(crate) at: Scn,
    /// The first offset that the state does not cover.
    pub(crate) below: LogOffset,
    /// The number; its state survives a power cut.
    pub(crate) digest: u128,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_is_begun_or_withdrawn_never_both() {
        let ticket = Ticket::default();
        assert!(ticket.begin());
        assert!(!ticket.withdraw());
        let ticket = Ticket::default();
        assert!(ticket.withdraw());
        assert!(!ticket.begin());
    }
}
