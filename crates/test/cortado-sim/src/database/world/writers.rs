//! The producers of all nodes on brokers, and their requests on their way.

use super::Address;
use super::due::Sender;
use crate::kernel::time::Moment;
use cortado_kafka_model::BrokerId;
use cortado_kafka_model::Micros;
use cortado_kafka_model::client::{KafkaProducer, PartitionView};
use cortado_kafka_model::cluster::ProduceRequest;
use std::collections::BTreeMap;

/// The producers of all nodes and their requests.
#[derive(Debug, Default)]
pub(super) struct Writers {
    /// By node and partition: the present one.
    pub(super) present: BTreeMap<(usize, usize), Writer>,
    /// Requests that have not reached their broker, by number.
    pub(super) sent: BTreeMap<u64, Sent>,
    /// Requests that a broker has, by number.
    pub(super) asked: BTreeMap<u64, Asked>,
}

#[derive(Debug)]
pub(super) struct Writer {
    /// Numbers writers: never used twice.
    pub(super) number: u64,
    pub(super) process: u64,
    pub(super) sender: Sender,
    pub(super) producer: KafkaProducer,
    pub(super) view: PartitionView,
    /// What is sent on this connection, or an older one, is lost.
    pub(super) broken: Option<u64>,
    /// When the last request on its connection arrives, and the last answer.
    pub(super) lanes: [Moment; 2],
    pub(super) wakes: Option<Micros>,
    pub(super) addresses: BTreeMap<u64, Address>,
}

#[derive(Debug)]
pub(super) struct Sent {
    pub(super) by: Asked,
    pub(super) broker: BrokerId,
    pub(super) connection: u64,
    pub(super) request: ProduceRequest,
}

/// Who has asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) node: usize,
    pub(super) partition: usize,
    pub(super) writer: u64,
    pub(super) token: u64,
    pub(super) broker: BrokerId,
}

impl Writers {
    /// Whether something may still land.
    pub(super) fn is_busy(&self) -> bool {
        !self.sent.is_empty() || !self.asked.is_empty()
    }
}
