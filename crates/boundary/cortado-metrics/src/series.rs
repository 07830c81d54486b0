//! A family whose series are made one by one, each a handle from then on.
//!
//! Start reading at [`Series::with`].

use parking_lot::Mutex;
use prometheus_client::encoding::{EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use std::fmt::{self, Debug};
use std::sync::Arc;

/// Name and value of a label.
pub type Label = (&'static str, String);

/// What a series counts with: a [`Counter`](crate::Counter) or a [`Histogram`](crate::Histogram).
pub trait Metric: Clone + Debug + Default + Send + Sync + 'static {
    /// What the library calls it.
    const TYPE: MetricType;

    /// Writes the series that has these labels.
    ///
    /// # Errors
    /// Those of what is written to.
    fn encode(&self, labels: &[Label], encoder: &mut MetricEncoder<'_>) -> fmt::Result;
}

/// The series of one family, in the order in which they were made. Clones are one.
#[derive(Clone, Debug, Default)]
pub struct Series<M>(Arc<Mutex<Vec<Labelled<M>>>>);

type Labelled<M> = (Vec<Label>, M);

impl<M: Metric> Series<M> {
    /// The series with these labels, made if it is not there yet.
    ///
    /// Looks the labels up under a lock: a caller that counts often keeps the result.
    ///
    /// * `labels`: names and values; the same names, in the same order, in all of the family.
    pub fn with(&self, labels: &[(&'static str, &str)]) -> M {
        let labels: Vec<Label> = labels.iter().map(|(name, is)| (*name, (*is).into())).collect();
        let mut all = self.0.lock();
        if let Some((_, metric)) = all.iter().find(|(known, _)| *known == labels) {
            return metric.clone();
        }
        let metric = M::default();
        all.push((labels, metric.clone()));
        metric
    }
}

impl<M: Metric> EncodeMetric for Series<M> {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let all = self.0.lock();
        all.iter().try_for_each(|(labels, metric)| metric.encode(labels, &mut encoder))
    }

    fn metric_type(&self) -> MetricType {
        M::TYPE
    }

    fn is_empty(&self) -> bool {
        self.0.lock().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Counter;

    #[test]
    fn the_same_labels_are_the_same_series() {
        let series = Series::<Counter>::default();
        series.with(&[("node", "n1")]).add(1);
        series.with(&[("node", "n2")]).add(5);
        series.with(&[("node", "n1")]).add(2);
        let counts = [("node", "n1"), ("node", "n2")].map(|label| series.with(&[label]).get());
        assert_eq!(counts, [3, 5]);
    }
}
