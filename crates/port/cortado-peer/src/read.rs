//! A look at a replica's state, and what it shows.
//!
//! Start reading at [`Read`].

use bytes::Bytes;
use cortado_cluster::KnownLeader;
use cortado_driver::Level;
use cortado_model::{
    DocumentKey, EntryRange, PartitionId, Scn, StoreError, StoredDocument, TableId,
};
use std::fmt;
use tokio::time::Instant;

/// A read of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// Where.
    pub partition: PartitionId,
    /// What it promises.
    pub level: Level,
    /// What is wanted.
    pub look: Look,
    /// When the asking node gives up.
    pub deadline: Instant,
}

/// What a read looks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Look {
    /// One document.
    Get(TableId, DocumentKey),
    /// Some documents as of one SCN, up to the one with which they reach `bytes_max`.
    Find {
        /// Which.
        keys: Vec<(TableId, DocumentKey)>,
        /// Bytes after which none is read any more.
        bytes_max: usize,
    },
    /// Documents of a range, in its order, as of one SCN, up to the one with which they reach
    /// `bytes_max`.
    Page {
        /// Which.
        range: EntryRange,
        /// How many at most.
        limit: usize,
        /// Bytes after which none is read any more.
        bytes_max: usize,
    },
    /// Nothing but how far the replica has come.
    Position,
    /// Where a reader of the changes after an SCN begins to fold the log.
    History {
        /// The SCN.
        since: Scn,
    },
}

/// What a look has seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// The document of [`Look::Get`].
    Document(Option<StoredDocument>),
    /// The documents of [`Look::Find`], in the order asked; the last ones may be missing.
    Documents(Vec<Option<StoredDocument>>),
    /// The documents of [`Look::Page`].
    Page(DocumentPage),
    /// Of [`Look::Position`]: what the store shows.
    Position(Scn),
    /// Of [`Look::History`].
    History {
        /// The newest fold state that is kept and not beyond the SCN, encoded; `None` if none is.
        fold: Option<Bytes>,
        /// What the replica has applied.
        end: Scn,
    },
}

/// Documents in key order, all as of one SCN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentPage {
    /// At most as many as asked for; fewer when they are big.
    pub documents: Vec<(DocumentKey, StoredDocument)>,
    /// Where the next page goes on: the last key of this one. `None` on the last page.
    pub next: Option<DocumentKey>,
}

/// What was seen, and how it is to be understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sight {
    /// What.
    pub seen: Seen,
    /// A position that covers everything that was seen.
    pub applied: Scn,
    /// As what the replica served.
    pub role: ServedRole,
}

/// The role of a replica that answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServedRole {
    /// It led the partition.
    Leader,
    /// It followed.
    Follower,
}

/// What became of a read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadAnswer {
    /// It is served.
    Seen(Box<Sight>),
    /// This node does not lead, and only the leader may serve it.
    WrongNode(KnownLeader),
    /// This node has no replica that could serve it now.
    Behind,
    /// The node could not serve it before the deadline, or it is of no use to wait.
    Unserved(Unserved),
    /// The database was dropped.
    NoSuchDatabase,
    /// The stored bytes are damaged, or the store has failed.
    Store(StoreError),
}

/// What a read that was not served has waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unserved {
    /// A leader.
    NoLeader,
    /// The leader's state.
    NotCaughtUp,
    /// A replica that can be read.
    NoReplica,
    /// A replica that has applied what the session has seen.
    SessionAhead,
    /// Its turn among too many others.
    Overloaded,
    /// Room for what is committed.
    NoRoom,
    /// The store.
    StoreLate,
}

impl fmt::Display for Unserved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Unserved::NoLeader => "no replica leads the partition",
            Unserved::NotCaughtUp => "the leader did not catch up",
            Unserved::NoReplica => "no replica of the partition can be read now",
            Unserved::SessionAhead => "no replica has applied what the session has seen",
            Unserved::Overloaded => "too many requests wait",
            Unserved::NoRoom => "the stores have no room for what is committed",
            Unserved::StoreLate => "the store did not answer in time",
        })
    }
}
