//! Identities: newtypes, so that one can never stand for another.

use std::fmt;

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

/// One life of a node's process; every start has a new, higher one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation(pub u64);

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

/// Where a log keeps a record. Opaque: never compared with an SCN.
///
/// Offsets of one partition count from 0 without holes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogOffset(pub u64);

impl LogOffset {
    /// The first record of every partition, its genesis.
    pub const ZERO: LogOffset = LogOffset(0);

    /// The offset `count` records further on.
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
