//! The functions of librdkafka that the `rdkafka` crate does not offer, and nothing else.
//!
//! The one crate with unsafe code. Decides nothing: each function asks librdkafka one question.
//! Start reading at [`PartitionPoll`] and [`describe_topics`].

mod admin_call;
mod delivery;
mod offsets;
mod poll;
mod topics;

pub use admin_call::AdminCallError;
pub use delivery::{DeliveryStatus, delivery_status};
pub use offsets::{ListedOffset, OffsetEdge, OffsetError, list_offsets};
pub use poll::{FetchPlace, PartitionPoll, PollUnavailable, Polled};
pub use topics::{BrokerNode, DescribedPartition, DescribedTopic, describe_topics};
