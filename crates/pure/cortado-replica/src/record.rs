//! The entries of a partition's log, as values.
//!
//! Says nothing about when a record counts: that is [`crate::FoldState::judge`].
//! Start reading at [`Record`]; the bytes are in [`frame`] and [`codec`].

mod codec;
mod decode_error;
mod draft;
mod field;
mod frame;
mod transaction;
mod version;

pub use codec::{decode, encode};
pub(crate) use codec::{
    encode_at, get_feature_level, get_genesis, get_history_point, get_replicas, get_trim,
    put_genesis, put_history_point, put_replicas, put_trim,
};
pub use decode_error::{DecodeError, Need};
pub(crate) use draft::encode_draft;
pub use draft::{Draft, DraftChange, DraftValue};
pub(crate) use field::{
    get, get_bytes, get_node, get_option, get_scn, put_bytes, put_option, put_sized,
};
pub use frame::{Frame, FrameError};
#[cfg(test)]
pub(crate) use frame::{FrameWriter, newer_record};
pub(crate) use frame::{Kind, chain_after};
pub use version::{FEATURE_LEVEL_MAX, FEATURE_LEVEL_NEXT};

use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;
use cortado_model::{
    ClusterUuid, DatabaseId, DocumentKey, Etag, LogId, LogOffset, NodeId, PartitionUuid,
    RememberedKey, ReplicaIncarnation, Scn, StoredDocument, TableId, WallMillis,
};

/// One entry of a partition's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Who wrote it, and where it wants to stand.
    pub header: Header,
    /// What it says.
    pub body: Body,
}

/// What every record carries, in every version of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Where it stands if the fold accepts it; a claim opens its generation with sequence 0.
    pub scn: Scn,
    /// The node that produced it.
    pub node: NodeId,
    /// The life of its replica.
    pub incarnation: ReplicaIncarnation,
    /// The producer's wall clock; the fold never lets it go back.
    pub time: WallMillis,
}

/// The closed set of things a record can say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// What partition this is; the first record of every log.
    Genesis(Genesis),
    /// The producer leads from this record's generation on.
    Claim(Claim),
    /// The changes of one atomic write.
    Transaction(Transaction),
    /// No change; proves leadership, renews a lease, ends a generation's silence.
    Barrier(Barrier),
    /// The leader gives its leadership up.
    StepDown(StepDown),
    /// A fact about the partition rather than its documents.
    Config(Config),
}

/// What tells a partition from all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionIdentity {
    /// Tells this partition from any other that ever had its name.
    pub partition: PartitionUuid,
    /// The cluster it belongs to.
    pub cluster: ClusterUuid,
    /// The database it belongs to.
    pub database: DatabaseId,
    /// Its number in that database.
    pub number: u32,
}

/// Which partition a log belongs to, and what holds until a [`Config`] says otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Genesis {
    /// The partition.
    pub identity: PartitionIdentity,
    /// What every replica must understand.
    pub feature_level: u16,
    /// D, the lease length.
    pub lease_ms: u32,
    /// Who may claim.
    pub replicas: ReplicaSet,
    /// The history that this log continues, if it begins none.
    pub origin: Option<Origin>,
}

impl Genesis {
    /// D of partitions whose genesis is written by this build.
    ///
    /// A failover cannot take less: a new leader waits this long for the old one's reads.
    pub const LEASE_MS: u32 = 500;

    /// Of a partition without a past, at this build's feature level.
    pub fn new(identity: PartitionIdentity, replicas: ReplicaSet) -> Genesis {
        Genesis {
            identity,
            feature_level: FEATURE_LEVEL_MAX,
            lease_ms: Self::LEASE_MS,
            replicas,
            origin: None,
        }
    }
}

/// The history in another log that a log continues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The cluster it was written in.
    pub cluster: ClusterUuid,
    /// The partition, as that cluster knew it.
    pub partition: PartitionUuid,
    /// The log.
    pub log: LogId,
    /// Where it was left.
    pub history: HistoryPoint,
    /// Log time there.
    pub time: WallMillis,
}

/// Nodes that may claim a partition, in ascending order; shared, for every fold state has one.
///
/// The empty set is every node, as for `_cluster`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplicaSet(Arc<[NodeId]>);

impl ReplicaSet {
    /// Whether `node` may claim.
    pub fn may_claim(&self, node: NodeId) -> bool {
        self.0.is_empty() || self.0.binary_search(&node).is_ok()
    }

    /// The nodes, in ascending order.
    pub fn nodes(&self) -> &[NodeId] {
        &self.0
    }

    /// Whether `other` has exactly one node more or one less. Any majority of the one has a node
    /// in common with any majority of the other then.
    pub fn is_next_to(&self, other: &ReplicaSet) -> bool {
        let lacks = |of: &ReplicaSet, from: &ReplicaSet| {
            of.0.iter().filter(|node| from.0.binary_search(node).is_err()).count()
        };
        !self.0.is_empty() && !other.0.is_empty() && lacks(self, other) + lacks(other, self) == 1
    }
}

impl FromIterator<NodeId> for ReplicaSet {
    fn from_iter<I: IntoIterator<Item = NodeId>>(nodes: I) -> ReplicaSet {
        let mut nodes: Vec<NodeId> = nodes.into_iter().collect();
        nodes.sort_unstable();
        nodes.dedup();
        ReplicaSet(nodes.into())
    }
}

/// A place in a history, and everything before it in one number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HistoryPoint {
    /// The last accepted record.
    pub scn: Scn,
    /// Hash of the history up to there.
    pub chain: ChainHash,
}

impl fmt::Display for HistoryPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:032x})", self.scn, self.chain.0)
    }
}

/// A node takes a generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Why: for the audit, but for one that disputes the leader or resolves a dispute.
    pub reason: ClaimReason,
    /// Hash of what the decision rested on, as the journal tells it; 0 for nothing.
    pub evidence: u128,
    /// The last SCN that the claimant had seen: for the audit only.
    pub seen: Scn,
}

/// Why a node claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimReason {
    /// No replica has led before.
    NeverLed,
    /// The leader counts as dead.
    LeaderDead,
    /// The leader's process is another one now.
    LeaderRestarted,
    /// The leader has stepped down.
    SteppedDown,
    /// The leader itself goes on: its generation has no sequence left.
    SequencesUsedUp,
    /// A person wants it so.
    Ordered,
    /// The last claimant lacks what this replica has, or has another history, and asks it to lead.
    ClaimantDiverged,
    /// The leader goes on with another history than most replicas have. Counts only if that leader
    /// has not served before.
    LeaderDisputed,
    /// An operator has chosen which of several histories goes on: the claimant's, as the chain hash
    /// says. Whoever has another one copies it.
    DisputeResolved,
    /// A reason that this build has no word for.
    Other(u8),
}

/// One atomic write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transaction {
    /// At most 1,000; no document twice.
    pub changes: Vec<Change>,
    /// How repetitions of its requests are recognised; no name twice.
    pub idempotency: Vec<Idempotency>,
}

/// One document's mutation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The table.
    pub table: TableId,
    /// The document.
    pub key: DocumentKey,
    /// The new state, a slice of the record; `None` for a removal.
    pub document: Option<StoredDocument>,
    /// The state before, where the table keeps it.
    pub before: Option<StoredDocument>,
    /// What becomes of entries of the table's indexes, as the leader has computed it.
    pub index: Vec<IndexChange>,
}

/// One entry of an index comes or goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexChange {
    /// The index, as the partition's index definitions number it.
    pub index: u32,
    /// Whether it goes.
    pub action: IndexAction,
    /// The entry, opaque here.
    pub entry: Bytes,
}

/// What becomes of an entry of an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexAction {
    /// It is there from now on.
    Add,
    /// It is there no longer.
    Remove,
}

/// How a repeated request is recognised and answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idempotency {
    /// What the client calls it.
    pub name: RememberedKey,
    /// Hash of method, path, conditions and body: the same key with another one is refused.
    pub fingerprint: u128,
    /// What was answered, one for each operation, in the words of the API's boundary.
    pub statuses: Vec<u16>,
    /// For how long it is remembered, in log time; `None` for as long as any.
    pub ttl_ms: Option<u32>,
}

/// Nothing changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Barrier {
    /// The first record behind a claim tells which history its leader goes on with.
    pub opening: Option<HistoryPoint>,
}

/// End of a leadership.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepDown {
    /// Who should claim at once; `None` leaves it to the candidates' order.
    pub to: Option<NodeId>,
}

/// Facts about the partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Config {
    /// The log may forget what lies below.
    Trim(Trim),
    /// Every replica hashes its state at this record's SCN, to be compared.
    Digest,
    /// D from here on.
    Lease {
        /// Milliseconds; 1 or more.
        duration_ms: u32,
    },
    /// What every replica must understand from here on.
    Feature {
        /// Levels only grow.
        level: u16,
    },
    /// Who may claim from here on.
    Replicas(ReplicaSet),
    /// Which indexes the changes from here on keep, in words that the fold does not know.
    Indexes(Bytes),
}

/// Permission to forget a prefix of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trim {
    /// Log offsets below this one.
    pub below: LogOffset,
    /// Of this log: in any other the offset means something else.
    pub log: LogId,
    /// The verified snapshot that makes them unnecessary.
    pub snapshot: Scn,
}

/// Hash of the history up to a record: the previous accepted record's hash and the record itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ChainHash(pub u128);

/// The etag of what the transaction at `scn` of `partition` writes.
///
/// A bijection of the SCN, so that no two transactions of a partition share one, salted so that a
/// dropped and re-created database does not repeat them.
pub fn etag_of(partition: PartitionUuid, scn: Scn) -> Etag {
    // The finaliser of SplitMix64: invertible, and neighbours look unrelated.
    let mut mixed = scn.to_u64() ^ partition.tag();
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    Etag(mixed ^ (mixed >> 31))
}
