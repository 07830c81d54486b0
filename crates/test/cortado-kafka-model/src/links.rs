//! Which ways between the machines of a cluster are cut, each direction by itself.

use crate::names::BrokerId;
use std::collections::BTreeSet;

/// A machine, or all machines of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Party {
    /// The controller: its quorum as one.
    Controller,
    /// A broker.
    Broker(BrokerId),
    /// All clients together.
    Clients,
}

/// The ways that are cut.
#[derive(Clone, Debug, Default)]
pub(crate) struct Links(BTreeSet<(Party, Party)>);

impl Links {
    /// Whether what `from` sends reaches `to`.
    pub(crate) fn is_open(&self, from: Party, to: Party) -> bool {
        !self.0.contains(&(from, to))
    }

    pub(crate) fn cut(&mut self, from: Party, to: Party) {
        self.0.insert((from, to));
    }

    pub(crate) fn mend(&mut self, from: Party, to: Party) {
        self.0.remove(&(from, to));
    }

    pub(crate) fn mend_all(&mut self) {
        self.0.clear();
    }
}
