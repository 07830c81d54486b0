//! What librdkafka knows of a record that it reports on.

use rdkafka::bindings as sys;
use rdkafka::message::BorrowedMessage;

/// Whether a record may have been written, as far as librdkafka can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryStatus {
    /// It was never sent, or every try was refused.
    NotPersisted,
    /// It was sent, and what became of it was not told.
    PossiblyPersisted,
    /// A broker has acknowledged it.
    Persisted,
}

/// What librdkafka knows of `message`, which came with a delivery report.
pub fn delivery_status(message: &BorrowedMessage<'_>) -> DeliveryStatus {
    // SAFETY: the pointer is that of the message, which lives as long as the borrow; the function
    // reads one field of it.
    let status = unsafe { sys::rd_kafka_message_status(message.ptr()) };
    match status {
        sys::rd_kafka_msg_status_t::RD_KAFKA_MSG_STATUS_NOT_PERSISTED => {
            DeliveryStatus::NotPersisted
        }
        sys::rd_kafka_msg_status_t::RD_KAFKA_MSG_STATUS_POSSIBLY_PERSISTED => {
            DeliveryStatus::PossiblyPersisted
        }
        sys::rd_kafka_msg_status_t::RD_KAFKA_MSG_STATUS_PERSISTED => DeliveryStatus::Persisted,
    }
}
