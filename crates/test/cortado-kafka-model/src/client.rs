//! Clients of a cluster: a producer that numbers its records, and readers that compare leaders.
//!
//! Pure: who owns them carries requests to brokers and answers back. Start reading at
//! [`KafkaProducer::on`] and [`PartitionView::read`].

mod outcome;
mod producer;
mod reading;
mod view;

pub use outcome::{Verdict, verdict};
pub use producer::{KafkaProducer, ProducerInput, ProducerOutput, ProducerSettings};
pub use view::{Knows, PartitionView, Reach};
