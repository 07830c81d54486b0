//! Where this client stands among its peers.
//!
//! Ids of peers must be unique and count from 0 without holes: an ordinal of a stateful set, or a
//! position in a list of peers on which all agree. Start reading at [`Coordinate`].

use crate::order::ordinal_of;

/// This client is number `id` of `peers`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Coordinate {
    id: u32,
    peers: u32,
}

impl Coordinate {
    /// The client that knows of no other.
    pub const ALONE: Coordinate = Coordinate { id: 0, peers: 1 };

    /// Peer number `id`, counted from 0, of `peers`.
    ///
    /// # Errors
    /// An id that no peer of so many can have. Taking it modulo the number of peers would put two
    /// of them on one place, so that some endpoints get twice their share without anyone noticing.
    pub fn new(id: u32, peers: u32) -> Result<Coordinate, CoordinateError> {
        match peers {
            0 => Err(CoordinateError::NoPeers),
            _ if id >= peers => Err(CoordinateError::IdTooLarge { id, peers }),
            _ => Ok(Coordinate { id, peers }),
        }
    }

    /// The coordinate whose id is the number that ends `name`, such as `checkout-7`.
    ///
    /// That is how stateful sets name their members, and their host names with them.
    ///
    /// # Errors
    /// The name ends with no number, or with one that no peer of so many has.
    pub fn from_ordinal(name: &str, peers: u32) -> Result<Coordinate, CoordinateError> {
        let id = ordinal_of(name).ok_or(CoordinateError::NoOrdinal)?;
        Coordinate::new(id, peers)
    }

    /// The place of `own` in the sorted list of all peers, such as discovery answers for the
    /// client's own group. Order and repetitions in `peers` do not matter.
    ///
    /// # Errors
    /// `own` is not in the list, or the list is longer than ids are.
    pub fn among<P: Ord>(own: &P, peers: &[P]) -> Result<Coordinate, CoordinateError> {
        let mut sorted: Vec<&P> = peers.iter().collect();
        sorted.sort_unstable();
        sorted.dedup();
        let id = sorted.binary_search(&own).map_err(|_| CoordinateError::NotAmongPeers)?;
        let count = |number: usize| u32::try_from(number).map_err(|_| CoordinateError::TooMany);
        Coordinate::new(count(id)?, count(sorted.len())?)
    }

    /// This client's number, from 0; less than [`peers`](Self::peers).
    pub fn id(&self) -> u32 {
        self.id
    }

    /// How many clients there are, this one included; at least 1.
    pub fn peers(&self) -> u32 {
        self.peers
    }
}

/// Why there is no coordinate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CoordinateError {
    /// There is at least one peer: this client.
    NoPeers,
    /// The count of peers or the id is wrong. Wait for an id below the count.
    IdTooLarge {
        /// As given.
        id: u32,
        /// As given.
        peers: u32,
    },
    /// The name ends with no number that is an id.
    NoOrdinal,
    /// The list of peers does not name this client, yet or any more.
    NotAmongPeers,
    /// More peers than ids.
    TooMany,
}

impl std::fmt::Display for CoordinateError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            CoordinateError::NoPeers => f.write_str("there is at least one peer, this client"),
            CoordinateError::IdTooLarge { id, peers } => {
                write!(f, "id {id} is none of {peers} peers, who count from 0")
            }
            CoordinateError::NoOrdinal => f.write_str("the name does not end with an id"),
            CoordinateError::NotAmongPeers => f.write_str("the peers' list lacks this client"),
            CoordinateError::TooMany => f.write_str("there are more peers than ids"),
        }
    }
}

impl std::error::Error for CoordinateError {}
