//! A number that only grows.
//!
//! Start reading at [`Counter`].

use crate::series::{Label, Metric};
use prometheus_client::encoding::{EncodeMetric, MetricEncoder};
use prometheus_client::metrics::{MetricType, counter};
use std::fmt;

/// A number that only grows. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct Counter(counter::Counter);

impl Counter {
    /// Counts `count` more.
    pub fn add(&self, count: u64) {
        self.0.inc_by(count);
    }

    /// What has been counted.
    pub fn get(&self) -> u64 {
        self.0.get()
    }
}

impl Metric for Counter {
    const TYPE: MetricType = MetricType::Counter;

    fn encode(&self, labels: &[Label], encoder: &mut MetricEncoder<'_>) -> fmt::Result {
        self.0.encode(encoder.encode_family(&labels)?)
    }
}
