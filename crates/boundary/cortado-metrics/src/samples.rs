//! What is read when metrics are scraped, rather than counted when it happens.
//!
//! Start reading at [`Source`].

use crate::family_name::FamilyName;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder};
use prometheus_client::metrics::MetricType;
use std::fmt;
use std::time::Duration;

/// Something that knows values at the moment in which it is asked.
pub trait Source: Send + Sync + 'static {
    /// Writes the present values, each family once.
    ///
    /// May block for milliseconds, on files for example; runs on no thread of the runtime.
    fn collect(&self, samples: &mut Samples<'_>);
}

/// Takes the families of a [`Source`].
#[derive(Debug)]
pub struct Samples<'a> {
    encoder: DescriptorEncoder<'a>,
}

/// Takes the values of one family.
#[derive(Debug)]
pub struct Family<'a> {
    encoder: MetricEncoder<'a>,
    kind: MetricType,
}

/// A value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// Things, or bytes.
    Whole(u64),
    /// Seconds.
    Seconds(f64),
}

impl Samples<'_> {
    /// A family of one value that goes up and down.
    pub fn gauge(&mut self, name: &'static str, help: &str, value: impl Into<Number>) {
        self.gauges(name, help, |family| family.sample(&[], value));
    }

    /// A family of values that go up and down.
    ///
    /// # Panics
    /// The name ends in `_total`.
    pub fn gauges(&mut self, name: &'static str, help: &str, write: impl FnOnce(&mut Family<'_>)) {
        self.family(name, help, MetricType::Gauge, write);
    }

    /// A family of one value that only grows.
    ///
    /// # Panics
    /// The name does not end in `_total`.
    pub fn counter(&mut self, name: &'static str, help: &str, value: impl Into<Number>) {
        self.family(name, help, MetricType::Counter, |family| family.sample(&[], value));
    }

    fn family(
        &mut self,
        name: &'static str,
        help: &str,
        kind: MetricType,
        write: impl FnOnce(&mut Family<'_>),
    ) {
        let FamilyName { stem, unit } = FamilyName::parse(name, kind);
        // The library ends the help of what is registered with a point of its own; so do we.
        let help = format!("{help}.");
        let encoder = self.encoder.encode_descriptor(stem, &help, unit.as_ref(), kind);
        write(&mut Family { encoder: encoder.expect(INFALLIBLE), kind });
    }
}

impl Family<'_> {
    /// One value.
    ///
    /// * `labels`: names and values; the same names, in the same order, in all of the family.
    pub fn sample(&mut self, labels: &[(&'static str, &str)], value: impl Into<Number>) {
        let encoder = self.encoder.encode_family(&labels);
        let mut encoder = encoder.expect(INFALLIBLE);
        let counts = self.kind == MetricType::Counter;
        let written = match value.into() {
            Number::Whole(value) if counts => {
                encoder.encode_counter::<NoLabels, _, f64>(&value, None)
            }
            Number::Seconds(value) if counts => {
                encoder.encode_counter::<NoLabels, _, f64>(&value, None)
            }
            // The library has signed gauges.
            Number::Whole(value) => encoder.encode_gauge(&value.min(i64::MAX as u64)),
            Number::Seconds(value) => encoder.encode_gauge(&value),
        };
        written.expect(INFALLIBLE);
    }
}

type NoLabels = prometheus_client::encoding::NoLabelSet;

const INFALLIBLE: &str = "a string takes everything";

impl From<u64> for Number {
    fn from(value: u64) -> Number {
        Number::Whole(value)
    }
}

impl From<usize> for Number {
    fn from(value: usize) -> Number {
        Number::Whole(value as u64)
    }
}

impl From<bool> for Number {
    fn from(value: bool) -> Number {
        Number::Whole(u64::from(value))
    }
}

impl From<Duration> for Number {
    fn from(value: Duration) -> Number {
        Number::Seconds(value.as_secs_f64())
    }
}

/// A source as the library wants it.
pub(crate) struct Collected<S>(pub(crate) S);

impl<S> fmt::Debug for Collected<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collected").finish_non_exhaustive()
    }
}

impl<S: Source> Collector for Collected<S> {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.0.collect(&mut Samples { encoder });
        Ok(())
    }
}
