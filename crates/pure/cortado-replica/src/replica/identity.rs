//! Who a replica is, and the record that opens a log.
//!
//! Start reading at [`Identity`].

use crate::protocol::Now;
use crate::record::{Body, Genesis, Header, Record, encode_at};
use bytes::Bytes;
use cortado_model::{NodeId, ReplicaIncarnation, Scn};

/// Who this replica is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Its node.
    pub node: NodeId,
    /// This life of it.
    pub incarnation: ReplicaIncarnation,
}

/// The record that opens the log of the partition that `genesis` names.
///
/// Any replica may append it when it finds the log empty: all write the same, and the first counts.
pub fn genesis_record(genesis: &Genesis, me: &Identity, now: Now) -> Bytes {
    let header =
        Header { scn: Scn::ZERO, node: me.node, incarnation: me.incarnation, time: now.wall };
    let record = Record { header, body: Body::Genesis(genesis.clone()) };
    let before = genesis.origin.map(|origin| origin.history.chain).unwrap_or_default();
    encode_at(genesis.feature_level, genesis.identity.partition, &record, before).0
}
