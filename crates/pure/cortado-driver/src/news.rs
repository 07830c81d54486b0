//! What a driver has to tell: for the log, the journal, metrics and detectors.
//!
//! The text of a message is made where it is told. Start reading at [`News`].

use alloc::string::String;
use alloc::vec::Vec;
use cortado_model::{Generation, LogOffset, NodeId, ReplicaIncarnation, Scn};
use cortado_replica::{AppendFailure, Conflict, Gap, ReplicaSet, Stop, VoidReason};

/// Something that happened to a replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// A life begins at a checkpoint.
    Starts {
        /// The last record in the store.
        scn: Scn,
        /// Where it goes on reading.
        offset: LogOffset,
        /// Where the log ends.
        end: LogOffset,
    },
    /// Records were folded that their producer's being alive can be seen from.
    Heard {
        /// The producer.
        node: NodeId,
        /// The life of its replica; 0 if the node spoke for itself.
        incarnation: ReplicaIncarnation,
    },
    /// A claim is sent.
    Claims,
    /// The fold accepted a claim.
    NewGeneration {
        /// The generation.
        generation: Generation,
        /// Who leads it.
        leader: NodeId,
        /// Where the one before ended.
        previous_end: Scn,
        /// Whether it is this replica's.
        own: bool,
    },
    /// Other nodes than before may claim.
    ReplicasChanged {
        /// Those that may.
        replicas: ReplicaSet,
    },
    /// This replica's claim lost.
    ClaimLost {
        /// What it claimed.
        generation: Generation,
    },
    /// This replica serves as leader from now on.
    Serving {
        /// Its generation.
        generation: Generation,
    },
    /// This replica leads no longer.
    Resigned {
        /// The generation it led.
        generation: Generation,
        /// Writes that can never take effect any more and were answered so.
        not_done: usize,
    },
    /// The leader of this generation has given up.
    SteppedDown {
        /// The generation it led.
        generation: Generation,
        /// Who should claim.
        to: Option<NodeId>,
        /// Whether it was this node.
        own: bool,
    },
    /// A record was passed over.
    Void {
        /// Where it stands.
        offset: LogOffset,
        /// Why.
        why: VoidReason,
    },
    /// A foreign writer appends to the log.
    Foreign {
        /// The last such record.
        offset: LogOffset,
        /// How many since this was last told.
        records: u64,
    },
    /// Records are missing.
    GapBegan(Gap),
    /// Nothing is missing any more.
    GapEnded {
        /// What was.
        since: Scn,
    },
    /// This replica alone is in the gap: the other one has accepted what is missing.
    LostRecord {
        /// The first of what is missing.
        since: Scn,
        /// Who has it.
        holder: NodeId,
    },
    /// The leader has opened its generation, and no replica could compare histories with it.
    Unverified {
        /// Its generation.
        generation: Generation,
    },
    /// A replica could, later, and has the same.
    Verified {
        /// Its generation.
        generation: Generation,
    },
    /// Another has what this replica lacks, or most have another history. If it has not opened
    /// its generation, it does not; else a person decides.
    Diverged {
        /// Its generation.
        generation: Generation,
        /// Both histories.
        conflict: Conflict,
        /// Whether it had opened it.
        opened: bool,
    },
    /// The leader goes on with another history than this replica has. If most replicas have this
    /// one, and the leader has not served yet, one of them claims the next generation.
    Disputed {
        /// Where it says so.
        offset: LogOffset,
        /// Both histories.
        conflict: Conflict,
    },
    /// An append was not acknowledged.
    AppendFailed(AppendFailure),
    /// The log has not answered for too long: its producer is given up.
    ProducerAbandoned {
        /// Appends whose outcome is unknown.
        appends: usize,
    },
    /// Publishing starts again from a checkpoint.
    Republishing {
        /// Records in flight that the fold has not accepted.
        records: usize,
    },
    /// The replica goes no further.
    Stopped {
        /// At which record.
        offset: LogOffset,
        /// What is wrong.
        why: Stop,
    },
    /// All replicas that were asked have the same state.
    Agreed {
        /// At which record.
        at: Scn,
        /// How many.
        replicas: usize,
        /// Their stores hold everything below.
        below: LogOffset,
        /// In the round before, digests were missing.
        again: bool,
    },
    /// Not all replicas have answered, or others than in the round before: the log forgets nothing.
    TooFewDigests {
        /// At which record.
        at: Scn,
        /// Those that have not.
        missing: Vec<NodeId>,
    },
    /// Replicas differ, and the odd ones are built anew.
    Differ {
        /// At which record.
        at: Scn,
        /// Those that are believed.
        agreed: Vec<NodeId>,
        /// Those that are not.
        odd: Vec<NodeId>,
    },
    /// A state was not hashed.
    NotHashed {
        /// Human-readable.
        why: String,
    },
    /// Bookmarks were not trimmed.
    BookmarksNotTrimmed {
        /// Human-readable.
        why: String,
    },
    /// The store is full: the replica waits for room.
    WaitsForRoom {
        /// Human-readable.
        why: String,
    },
    /// The store has room again.
    HasRoom,
    /// The replica's state is wrong, or cannot be read.
    Damaged {
        /// Human-readable.
        why: String,
    },
    /// The log has forgotten what this replica has not folded.
    BehindLog {
        /// Where the log begins.
        first: LogOffset,
    },
    /// What stands in the log contradicts this replica, or cannot be read.
    Contradicted {
        /// At which record, if it is one.
        at: Option<LogOffset>,
        /// Human-readable.
        why: String,
    },
    /// The replica keeps what it has and waits for another build, or for a person.
    StandsStill {
        /// Human-readable.
        why: String,
        /// Another build could go on.
        needs_upgrade: bool,
    },
    /// A snapshot was installed.
    Resynced {
        /// Whose.
        from: NodeId,
        /// Its last record.
        scn: Scn,
        /// Where the replica goes on reading.
        offset: LogOffset,
        /// Why it was needed, human-readable.
        why: String,
    },
    /// A snapshot was not installed.
    SnapshotFailed {
        /// Whose.
        from: NodeId,
        /// Human-readable.
        why: String,
    },
    /// The replica folds its log from the beginning.
    FoldsAnew {
        /// Human-readable.
        why: String,
    },
    /// The replica was not built anew; this is tried again.
    NotRebuilt {
        /// Human-readable.
        why: String,
    },
}
