//! A node: a process that may live, stop and die, and the disk that outlives it.
//!
//! Start reading at [`Node`].

use crate::database::hosted::Hosted;
use crate::database::observer::Observer;
use crate::database::store::Store;
use crate::kernel::time::{Moment, NodeClock};
use cortado_cluster::{Eligibility, LifeStanding, LogClock};
use cortado_model::{LogOffset, NodeId, NodeIncarnation};
use std::collections::BTreeSet;

/// One machine.
#[derive(Debug)]
pub struct Node {
    /// Its name.
    pub id: NodeId,
    /// Its clocks, which go on whatever happens to the process.
    pub clock: NodeClock,
    /// Its stores, one for each partition.
    pub disk: Vec<Store>,
    /// Its process, if it lives.
    pub process: Option<Process>,
    /// Since when it has had none.
    pub gone_since: Option<Moment>,
    /// Whether it has ever been gone for so long that logs did not wait for it.
    pub was_away: bool,
    /// Below which offset each of its replicas has said last that it holds everything durably.
    pub verified: Vec<LogOffset>,
    /// The drained nodes, as far as its replica of `_cluster` has folded.
    pub drained: BTreeSet<NodeId>,
    /// Its stores take nothing more before.
    pub store_full_until: Moment,
    /// The newest version of `_cluster` that it has folded.
    pub known: usize,
    /// Whether each of its replicas came when its partition was led already, or is gone.
    pub added: Vec<bool>,
    /// Lives that replicas of each partition have had in this life of it, before one was removed.
    pub lives_before: Vec<u32>,
    /// What decides whether it may claim.
    pub eligibility: Eligibility,
    /// The feature level of the build that is installed, which its next process runs.
    pub level: u16,
    /// That of its newest process, and what that has declared in `_cluster`.
    pub declared: u16,
    /// Restarts so far: a planted bug needs the first incarnation.
    pub first_incarnation: Option<NodeIncarnation>,
}

/// One life of a node.
#[derive(Debug)]
pub struct Process {
    /// Never used twice, whatever name the process gives itself.
    pub number: u64,
    /// Which life.
    pub incarnation: NodeIncarnation,
    /// The replicas' drivers, by partition, where it holds one.
    pub hosted: Vec<Option<Hosted>>,
    /// Since when, and by which number, it has been stopped.
    pub paused: Option<(u64, Moment)>,
    /// How often it has been stopped.
    pub pauses: u64,
    /// What has become of its log.
    pub log: LogHealth,
    /// What it has heard of others' wall clocks.
    pub(crate) log_clock: LogClock,
    /// What it knows about others.
    pub(crate) observer: Observer,
}

/// What a process's own log does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogHealth {
    /// It works.
    Well,
    /// The next append breaks it.
    Breaking,
    /// It takes nothing more than what was handed to it before.
    Unusable {
        /// When it broke.
        since: Moment,
    },
}

/// What a node is unless told otherwise.
pub const ELIGIBLE: Eligibility =
    Eligibility { is_member: true, standing: LifeStanding::Registered, gives_way: false };

/// Where something can be on its way from or to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A node.
    Node(usize),
    /// Where the log takes appends, and where it acknowledges them.
    LogHead,
    /// Where the log shows records.
    LogPages,
    /// The streams of beats.
    Beats,
    /// A broker, by its number.
    Broker(u32),
}

impl Node {
    /// Whether its process lives and is not stopped.
    pub fn is_running(&self) -> bool {
        self.process.as_ref().is_some_and(|process| process.paused.is_none())
    }

    /// The driver of `partition` in its present process.
    pub fn hosted(&self, partition: usize) -> Option<&Hosted> {
        self.process.as_ref()?.hosted[partition].as_ref()
    }

    /// As [`hosted`](Self::hosted).
    pub fn hosted_mut(&mut self, partition: usize) -> Option<&mut Hosted> {
        self.process.as_mut()?.hosted[partition].as_mut()
    }
}

impl Process {
    /// The drivers of the replicas that it holds.
    pub fn drivers(&self) -> impl Iterator<Item = &Hosted> {
        self.hosted.iter().flatten()
    }

    /// Whether what was sent under this number is its own.
    pub fn has_sent(&self, number: u64) -> bool {
        self.number == number || self.drivers().any(|hosted| hosted.number == number)
    }
}
