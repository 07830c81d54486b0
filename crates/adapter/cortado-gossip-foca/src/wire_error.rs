//! Why bytes are no gossip.

use crate::limits::MEMBERS_MAX;

/// Why bytes are no gossip, or cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GossipWireError {
    /// They end too early.
    #[error("the message ends in the middle of a value")]
    Truncated,
    /// A value that cannot be.
    #[error("the message holds an invalid {0}")]
    Invalid(&'static str),
    /// The message says that another node sent it than its envelope does.
    #[error("the message says that another node sent it")]
    Disguised,
    /// There is no room where it is to be written.
    #[error("no room for the message")]
    NoRoom,
    /// It tells of a newer life of this node: this one has no voice any more.
    #[error("a newer life of this node takes part")]
    Superseded,
    /// More nodes than are remembered.
    #[error("more than {MEMBERS_MAX} nodes are told of")]
    TooManyMembers,
}

/// What is read of bytes that end too early.
pub(crate) fn cut(_: bytes::TryGetError) -> GossipWireError {
    GossipWireError::Truncated
}
