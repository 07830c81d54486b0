//! Identities: newtypes, so that one can never stand for another.

use alloc::string::ToString;
use core::fmt;

/// A node of the cluster; text form `n1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u32);

impl NodeId {
    /// Reads the text form, `n` and a decimal number without leading zeros.
    pub fn parse(text: &str) -> Option<NodeId> {
        let digits = text.strip_prefix('n')?;
        let number = digits.parse().ok()?;
        let node = NodeId(number);
        (node.to_string() == text).then_some(node)
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "n{}", self.0)
    }
}

/// One life of a node; every start has a higher one, counted in its data directory from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeIncarnation(pub u64);

/// One life of a replica within a life of its node.
///
/// A replica that is built anew inside its process is another one than before: what that
/// one claimed and wrote, the next may not have folded. Field order is sort order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplicaIncarnation {
    /// The life of the node.
    pub node: NodeIncarnation,
    /// Counts the replica's lives from 1; 0 is the node itself, which leads nothing.
    pub life: u32,
}

impl ReplicaIncarnation {
    /// In whose name a node speaks for itself and not for one of its replicas.
    pub const fn of_node(node: NodeIncarnation) -> ReplicaIncarnation {
        ReplicaIncarnation { node, life: 0 }
    }
}

impl fmt::Display for NodeIncarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for ReplicaIncarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.node, self.life)
    }
}

/// A database, for as long as it exists; a dropped one's id is never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DatabaseId(pub u32);

impl DatabaseId {
    /// The database of cluster facts, `_cluster`.
    pub const CLUSTER: DatabaseId = DatabaseId(0);
}

/// A table within its database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableId(pub u32);

/// An index of a database; a dropped one's id is never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IndexId(pub u32);

/// A hash slice of one database: the unit of order, leadership and placement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartitionId {
    /// The database it belongs to.
    pub database: DatabaseId,
    /// Counts from 0 within the database.
    pub number: u32,
}

impl PartitionId {
    /// Both parts in one number.
    pub fn to_u64(self) -> u64 {
        u64::from(self.database.0) << 32 | u64::from(self.number)
    }

    /// The only partition of `_cluster`.
    pub const CLUSTER: PartitionId = PartitionId { database: DatabaseId::CLUSTER, number: 0 };
}

impl fmt::Display for PartitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.database.0, self.number)
    }
}

/// Tells a partition from any other that ever had its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartitionUuid(pub u128);

impl fmt::Display for PartitionUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl PartitionUuid {
    /// The eight bytes that stand for it in every record of its log.
    pub const fn tag(self) -> u64 {
        tag_of(self.0)
    }
}

/// Tells a cluster from any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterUuid(pub u128);

impl ClusterUuid {
    /// The eight bytes that stand for it in every beat of its nodes.
    pub const fn tag(self) -> u64 {
        tag_of(self.0)
    }
}

impl fmt::Display for ClusterUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// Tells a node's data directory from any other that ever had its node's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DirectoryUuid(pub u128);

impl fmt::Display for DirectoryUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// Tells a log from any other that ever had its name: one that was created anew is another one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogId(pub u128);

impl LogId {
    /// Of a log whose port names no identity.
    pub const UNKNOWN: LogId = LogId(0);
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// Where a reader stands in a log.
///
/// Only offsets are ordered, so positions are not: compare [`offset`](Self::offset)s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct LogPosition {
    /// The first offset that it has not read.
    pub offset: LogOffset,
    /// The broker's leader epoch in which it read the last one, only ever checked: a log that was
    /// cut and written again has another one there. 0 where logs have none.
    pub epoch: u32,
}

impl LogPosition {
    /// The beginning of a log.
    pub const START: LogPosition = LogPosition { offset: LogOffset::ZERO, epoch: 0 };

    /// Whether everything below `offset` lies before it.
    pub fn reaches(self, offset: LogOffset) -> bool {
        self.offset >= offset
    }
}

/// Where a log keeps a record. Opaque: never compared with an SCN.
///
/// ```compile_fail
/// use cortado_model::{LogOffset, Scn};
/// assert!(Scn::ZERO <= LogOffset::ZERO);
/// ```
///
/// Offsets of one partition ascend from 0; some may never hold a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogOffset(pub u64);

impl LogOffset {
    /// Where every log begins.
    pub const ZERO: LogOffset = LogOffset(0);

    /// The offset `count` further on.
    pub const fn plus(self, count: u64) -> LogOffset {
        LogOffset(self.0 + count)
    }
}

impl fmt::Display for LogOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Names one state of one document; text form 16 hexadecimal digits.
///
/// A document's etags are never used twice, not even after deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Etag(pub u64);

impl Etag {
    /// Reads the text form; `None` for anything else, upper case included.
    pub fn parse(text: &str) -> Option<Etag> {
        let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if text.len() != 16 || !text.bytes().all(hex) {
            return None;
        }
        u64::from_str_radix(text, 16).ok().map(Etag)
    }
}

impl fmt::Display for Etag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Half of an identity: enough to tell strangers.
const fn tag_of(uuid: u128) -> u64 {
    (uuid ^ (uuid >> 64)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_has_one_spelling() {
        assert_eq!(NodeId::parse("n12"), Some(NodeId(12)));
        for text in ["", "n", "12", "n01", "n+1", "N1", "n1 "] {
            assert_eq!(NodeId::parse(text), None, "{text}");
        }
    }

    #[test]
    fn an_etag_has_one_spelling() {
        assert_eq!(Etag::parse("00000000000000ff"), Some(Etag(255)));
        for text in ["ff", "00000000000000FF", "+0000000000000ff", ""] {
            assert_eq!(Etag::parse(text), None, "{text}");
        }
    }
}
