//! The entries of a partition's log, as values.
//!
//! Says nothing about when a record counts: that is [`crate::FoldState::judge`].
//! Start reading at [`Record`]; the bytes are in [`codec`].

mod codec;

pub use codec::{DecodeError, Decoded, decode, encode};
pub(crate) use codec::{chain_after, packed, unpacked};

use bytes::Bytes;
use cortado_model::{
    ClusterUuid, DatabaseId, DocumentKey, Etag, LogOffset, NodeId, PartitionUuid,
    ReplicaIncarnation, Scn, TableId, WallMillis,
};

/// One entry of a partition's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Who wrote it, and where it wants to stand.
    pub header: Header,
    /// What it says.
    pub body: Body,
}

/// What every record carries.
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
    /// Nothing; proves leadership, renews a lease, ends a generation's silence.
    Barrier,
    /// The leader gives its leadership up.
    StepDown(StepDown),
    /// A fact about the partition rather than its documents.
    Config(Config),
    /// The producer is alive. Not part of any generation, never accepted, only noticed.
    Heartbeat,
}

/// Identity of a partition's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Genesis {
    /// Tells this partition from any other that ever had its name.
    pub partition: PartitionUuid,
    /// The cluster it belongs to.
    pub cluster: ClusterUuid,
    /// The database it belongs to.
    pub database: DatabaseId,
    /// Its number in that database.
    pub number: u32,
}

/// A node takes a generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Where clients reach the claimant.
    pub address: String,
    /// The last SCN that the claimant had seen: for the audit only.
    pub seen: Scn,
}

/// One atomic write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// At most 1,000; no key twice.
    pub changes: Vec<Change>,
    /// The key under which a repetition finds this answer again.
    pub idempotency: Option<Idempotency>,
}

/// One document's mutation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The table.
    pub table: TableId,
    /// The document.
    pub key: DocumentKey,
    /// Names the new state; meaningless for a removal.
    pub etag: Etag,
    /// The new value, `None` for a removal.
    pub written: Option<Written>,
}

/// A document's new value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The table's schema that it was checked against; 0 for none.
    pub schema_version: u32,
    /// A JSON object.
    pub value: Bytes,
}

/// How a repeated request is recognised and answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idempotency {
    /// The client's key; 1 to 255 bytes.
    pub key: Bytes,
    /// Hash of method, path, conditions and body: the same key with another one is refused.
    pub fingerprint: u128,
    /// What was answered, one for each operation, in the words of the API's boundary.
    pub statuses: Vec<u16>,
}

/// End of a leadership.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepDown {
    /// Who should claim at once; `None` leaves it to the candidates' order.
    pub to: Option<NodeId>,
}

/// Facts about the partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Config {
    /// The log may forget what lies below.
    Trim(Trim),
    /// Every replica hashes its state at this record's SCN, to be compared.
    Digest,
}

/// Permission to forget a prefix of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trim {
    /// Log offsets below this one.
    pub below: LogOffset,
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
    let salt = (partition.0 ^ (partition.0 >> 64)) as u64;
    let mut mixed = scn.to_u64() ^ salt;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    Etag(mixed ^ (mixed >> 31))
}
