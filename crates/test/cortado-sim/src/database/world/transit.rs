//! An append between a driver and its log.

use super::Address;
use super::due::Sender;
use crate::kernel::time::Moment;
use bytes::Bytes;

/// An append on its way.
#[derive(Debug)]
pub(super) struct Transit {
    pub(super) sent_at: Moment,
    pub(super) from: Address,
    pub(super) sender: Sender,
    pub(super) records: Vec<Bytes>,
}
