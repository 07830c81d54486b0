//! What brokers answer to clients at once: metadata, records, offsets.
//!
//! Start reading at [`KafkaCluster::fetch`]. Source: the protocol guide; KIP-207 (a new leader says
//! nothing about the end before it knows it), KIP-320 (clients ask where a leader ended).

use super::KafkaCluster;
use crate::batch::Batch;
use crate::broker::{Replica, Role};
use crate::code::ErrorCode;
use crate::image::Image;
use crate::leading::Leading;
use crate::links::Party;
use crate::names::{BrokerId, TopicPartition};
use std::sync::Arc;

/// Why a broker does not answer what a client asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientRefusal {
    /// The port is closed.
    Closed,
    /// Nothing comes back: it is frozen, or the way is cut.
    Silent,
    /// It says why.
    Code(ErrorCode),
}

/// Where a partition begins and ends for clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offsets {
    /// The low watermark.
    pub first: u64,
    /// The high watermark.
    pub high: u64,
    /// The log end offset of the leader, which readers do not see.
    pub end: u64,
    /// Which leader says so.
    pub epoch: u32,
}

/// Where the records of a leader end, as another one says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndOfLeader {
    /// The newest leader up to the one asked for.
    pub epoch: u32,
    /// Where its records end.
    pub end: u64,
}

impl KafkaCluster {
    /// What a broker knows about topics: it may be old.
    ///
    /// # Errors
    /// See [`ClientRefusal`].
    pub fn metadata(&self, broker: BrokerId) -> Result<&Image, ClientRefusal> {
        self.listen(broker)?;
        Ok(&self.broker(broker).image)
    }

    /// Batches from the one that holds `offset` on, below the high watermark; none at the end.
    ///
    /// * `uncommitted`: behind the high watermark, too: what no broker gives to a client.
    ///
    /// # Errors
    /// The broker does not lead, or has no such offset.
    pub fn fetch(
        &self,
        broker: BrokerId,
        partition: TopicPartition,
        offset: u64,
        bytes_max: usize,
        uncommitted: bool,
    ) -> Result<(Vec<Arc<Batch>>, Offsets), ClientRefusal> {
        let (replica, leading) = self.led_by(broker, partition)?;
        let log = &replica.log;
        if offset < log.first() || offset > log.end() {
            return Err(ClientRefusal::Code(ErrorCode::OffsetOutOfRange));
        }
        let below = if uncommitted { log.end() } else { log.high() };
        Ok((log.read(offset, below, bytes_max), offsets(replica, leading)))
    }

    /// Where a partition begins and ends, as the broker says that leads it or believes so.
    ///
    /// # Errors
    /// It does not lead, or does not know yet.
    pub fn list_offsets(
        &self,
        broker: BrokerId,
        partition: TopicPartition,
    ) -> Result<Offsets, ClientRefusal> {
        let (replica, leading) = self.led_by(broker, partition)?;
        if replica.log.high() < leading.from {
            return Err(ClientRefusal::Code(ErrorCode::OffsetNotAvailable));
        }
        Ok(offsets(replica, leading))
    }

    /// The low watermark and the log end, which a leader knows from the beginning.
    ///
    /// # Errors
    /// It does not lead.
    pub fn bounds(
        &self,
        broker: BrokerId,
        partition: TopicPartition,
    ) -> Result<Offsets, ClientRefusal> {
        let (replica, leading) = self.led_by(broker, partition)?;
        Ok(offsets(replica, leading))
    }

    /// Where a leader's records end, as the present one says.
    ///
    /// # Errors
    /// The broker does not lead.
    pub fn end_of_leader(
        &self,
        broker: BrokerId,
        partition: TopicPartition,
        epoch: u32,
    ) -> Result<Option<EndOfLeader>, ClientRefusal> {
        let (replica, _) = self.led_by(broker, partition)?;
        Ok(replica.log.end_of(epoch).map(|(epoch, end)| EndOfLeader { epoch, end }))
    }

    fn led_by(
        &self,
        broker: BrokerId,
        partition: TopicPartition,
    ) -> Result<(&Replica, &Leading), ClientRefusal> {
        self.listen(broker)?;
        let replica = self.broker(broker).replicas.get(&partition);
        let replica = replica.ok_or(ClientRefusal::Code(ErrorCode::UnknownTopicOrPartition))?;
        match &replica.role {
            Role::Leader(leading) => Ok((replica, leading)),
            Role::Idle | Role::Follower(_) => Err(ClientRefusal::Code(ErrorCode::NotLeader)),
        }
    }

    /// Whether a client is answered at all.
    fn listen(&self, broker: BrokerId) -> Result<(), ClientRefusal> {
        let (here, known) = (Party::Broker(broker), self.broker(broker));
        let open =
            self.links.is_open(Party::Clients, here) && self.links.is_open(here, Party::Clients);
        if !open || known.frozen {
            return Err(ClientRefusal::Silent);
        }
        if known.is_open() { Ok(()) } else { Err(ClientRefusal::Closed) }
    }
}

fn offsets(replica: &Replica, leading: &Leading) -> Offsets {
    let log = &replica.log;
    Offsets { first: log.first(), high: log.high(), end: log.end(), epoch: leading.epoch }
}
