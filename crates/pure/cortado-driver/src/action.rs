//! Everything that a driver wants done.
//!
//! Decides nothing. Start reading at [`Action`].

use crate::event::{DigestReport, Hashed, JobId};
use crate::news::News;
use crate::write::{Refused, UnknownWhy, Written};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;
use cortado_model::{
    Batch, DocumentKey, LogPosition, NodeId, RememberedKey, Scn, TableId, WallMillis,
};
use cortado_replica::{NotDone, Trim};

/// What a driver wants done, in this order. Where there is a [`JobId`], an event with the same
/// number answers, once, unless the driver has ended before.
#[derive(Debug)]
pub enum Action<C> {
    /// Look whether the log is there and which it is, what the store's checkpoint is, and then
    /// where the log begins and ends.
    Survey(JobId),
    /// The same, and look through the whole log for the highest generation that it names.
    LookThrough(JobId),
    /// Make a new producer; the one before is given up, and its outcomes are wanted no more.
    OpenProducer(JobId),
    /// Hand these to the producer, next to one another.
    Append {
        /// Encoded, in order.
        records: Vec<Bytes>,
    },
    /// Ask the log where it begins and ends now.
    AskExtent(JobId),
    /// Read the log.
    ReadPage {
        /// Which read.
        job: JobId,
        /// Where to begin.
        from: LogPosition,
        /// About as much.
        bytes_max: usize,
    },
    /// Look into the store, for all of this at one state; no older than the last batch that was
    /// answered before.
    Find {
        /// Which look.
        job: JobId,
        /// Documents.
        keys: Vec<(TableId, DocumentKey)>,
        /// Answers that may be remembered.
        names: Vec<RememberedKey>,
    },
    /// Make a batch visible, all or nothing. One at a time.
    Apply {
        /// Which.
        job: JobId,
        /// What.
        batch: Box<Batch>,
        /// The last record that it covers.
        last: Scn,
        /// Transactions in it.
        transactions: u64,
    },
    /// Find the SCN below which every bookmark points below `trim.below`, with
    /// [`first_bookmark_at`](crate::first_bookmark_at).
    FindBookmark {
        /// Which look.
        job: JobId,
        /// What the log may forget.
        trim: Trim,
    },
    /// Hash the state that the store shows after all batches so far and before any later one; then
    /// make it survive a power cut.
    Hash {
        /// Which.
        job: JobId,
        /// Log time of the state: what expired before it does not count.
        time: WallMillis,
        /// What it hashes to, if that is known.
        known: Option<Hashed>,
    },
    /// Write the checkpoint that is there once more, to see whether the store takes it.
    ProbeStore(JobId),
    /// Remove everything of the partition from the store.
    ClearStore(JobId),
    /// Replace everything in the store by a snapshot of a peer.
    InstallSnapshot {
        /// Which.
        job: JobId,
        /// Whose.
        from: NodeId,
    },
    /// Tell how the other replicas are.
    LookAround(JobId),
    /// Ask the placed replicas how they stand. Answer as soon as all that are thought to live have
    /// said so, and within a tenth of a second at most, with what was heard by then.
    AskPeers(JobId),
    /// Ask this replica to claim the next generation. May be lost: it is asked again.
    AskToClaim {
        /// Whose.
        node: NodeId,
    },
    /// Take a digest to the replica that leads.
    Report(DigestReport),
    /// Tell these replicas that their state is not to be trusted.
    Condemn {
        /// Whose.
        nodes: Vec<NodeId>,
        /// Human-readable.
        why: String,
    },
    /// Let the log forget what lies below, if it is the one that is named.
    TrimLog(Trim),
    /// The store of the whole node must be opened again.
    FailStore {
        /// Human-readable.
        why: String,
    },
    /// Answer who has asked.
    Reply {
        /// Whom.
        caller: C,
        /// What.
        reply: Reply,
    },
    /// Something that people, detectors and metrics want to know. No duty.
    Tell(News),
    /// The driver has ended: nothing more is done.
    End,
}

/// The end of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The write is committed and in the store, or had nothing to change.
    Written(Box<Written>),
    /// Of a write of [`WriteMode::Each`](crate::WriteMode): what each operation would have been
    /// answered alone, from the first one on, for as many as one record takes; one at least. Of
    /// the others nothing was done.
    Each(Vec<Result<Written, Refused>>),
    /// What was asked for holds: look at the store now.
    Ready,
    /// Not done, for a reason that lies in the request.
    Refused(Refused),
    /// Definitely not done, now or later.
    NotDone(NotDone),
    /// Perhaps done.
    Unknown(UnknownWhy),
}
