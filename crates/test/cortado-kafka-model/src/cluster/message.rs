//! What is on its way within a cluster.

use crate::batch::Batch;
use crate::links::Party;
use crate::names::{BrokerId, TopicPartition};
use crate::produce::ProduceRequest;
use std::sync::Arc;

/// Something that becomes due.
#[derive(Clone, Debug)]
pub(super) enum Message {
    /// The controller looks who is silent.
    CheckSessions,
    /// The controller's quorum is there again.
    ControllerBack,
    ToController {
        from: BrokerId,
        call: ControllerCall,
    },
    ToBroker {
        from: Party,
        to: BrokerId,
        call: BrokerCall,
    },
    /// Of one life of a broker.
    Timer {
        broker: BrokerId,
        life: u32,
        timer: BrokerTimer,
    },
}

#[derive(Clone, Debug)]
pub(super) enum ControllerCall {
    /// * `waits`: to be welcomed.
    Heartbeat {
        life: u32,
        heard: usize,
        waits: bool,
    },
    AlterInSync {
        partition: TopicPartition,
        epoch: u32,
        version: u32,
        in_sync: Vec<BrokerId>,
    },
}

#[derive(Clone, Debug)]
pub(super) enum BrokerCall {
    /// So many decisions have been made.
    Publish {
        upto: usize,
    },
    /// It is registered and not fenced.
    Welcome {
        life: u32,
    },
    /// The ISR stays as it is.
    Refused {
        partition: TopicPartition,
    },
    Fetch(FollowerFetch),
    Fetched {
        partition: TopicPartition,
        number: u64,
        answer: FetchAnswer,
    },
    Produce {
        token: u64,
        request: Box<ProduceRequest>,
    },
}

/// A follower asks for what stands behind what it has.
#[derive(Clone, Copy, Debug)]
pub(super) struct FollowerFetch {
    pub(super) from: BrokerId,
    pub(super) partition: TopicPartition,
    pub(super) number: u64,
    pub(super) offset: u64,
    /// The leader of its last batch.
    pub(super) last: Option<u32>,
    /// Whom it asks.
    pub(super) epoch: u32,
    /// The high watermark that it knows.
    pub(super) high: u64,
}

#[derive(Clone, Debug)]
pub(super) enum FetchAnswer {
    Batches {
        batches: Vec<Arc<Batch>>,
        high: u64,
        first: u64,
    },
    /// The newest leader that both know, and where that one ended.
    Diverged {
        epoch: u32,
        end: u64,
    },
    /// It asks for what is forgotten.
    Behind {
        first: u64,
    },
    /// Ask again later, or somebody else.
    Failed,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum BrokerTimer {
    Heartbeat,
    Lag,
    Refetch { partition: TopicPartition, number: u64 },
    ProduceDue { partition: TopicPartition, token: u64 },
}
