//! All families of a process, and their text.
//!
//! Start reading at [`Registry`].

use crate::family_name::FamilyName;
use crate::samples::{Collected, Source};
use crate::series::{Metric, Series};
use crate::{Counter, Histogram};
use parking_lot::RwLock;
use prometheus_client::encoding::prometheus_text;
use prometheus_client::registry::Registry as Library;
use std::collections::BTreeSet;

/// The media type of [`Registry::encode`].
pub const CONTENT_TYPE: &str = prometheus_text::CONTENT_TYPE;

/// All metric families of a process, each registered once, at its start.
///
/// The lock is for registering and for the text; no handle needs it.
#[derive(Debug, Default)]
pub struct Registry {
    families: RwLock<Families>,
}

#[derive(Debug, Default)]
struct Families {
    library: Library,
    names: BTreeSet<&'static str>,
}

impl Registry {
    /// A family of one counter.
    ///
    /// * `name`: in full, with unit and `_total`; `help`: without a point at its end.
    ///
    /// # Panics
    /// The name is registered already, or does not end in `_total`.
    pub fn counter(&self, name: &'static str, help: &str) -> Counter {
        self.counters(name, help).with(&[])
    }

    /// A family of counters, told apart by labels; see [`counter`](Self::counter).
    ///
    /// # Panics
    /// The name is registered already, or does not end in `_total`.
    pub fn counters(&self, name: &'static str, help: &str) -> Series<Counter> {
        self.register(name, help)
    }

    /// A family of one histogram; see [`counter`](Self::counter).
    ///
    /// # Panics
    /// The name is registered already, or ends in `_total`.
    pub fn histogram(&self, name: &'static str, help: &str) -> Histogram {
        self.histograms(name, help).with(&[])
    }

    /// A family of histograms, told apart by labels; see [`counter`](Self::counter).
    ///
    /// # Panics
    /// The name is registered already, or ends in `_total`.
    pub fn histograms(&self, name: &'static str, help: &str) -> Series<Histogram> {
        self.register(name, help)
    }

    /// Has `source` asked for its values at every scrape.
    pub fn collect(&self, source: impl Source) {
        self.families.write().library.register_collector(Box::new(Collected(source)));
    }

    /// All families as text, of the type [`CONTENT_TYPE`].
    ///
    /// Asks every [`Source`], which may block.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        let families = self.families.read();
        let written = prometheus_text::encode(&mut text, &families.library);
        written.expect("a string takes everything");
        text
    }

    fn register<M: Metric>(&self, name: &'static str, help: &str) -> Series<M> {
        let FamilyName { stem, unit } = FamilyName::parse(name, M::TYPE);
        let series = Series::default();
        let mut families = self.families.write();
        assert!(families.names.insert(name), "{name} is registered already");
        match unit {
            Some(unit) => families.library.register_with_unit(stem, help, unit, series.clone()),
            None => families.library.register(stem, help, series.clone()),
        }
        series
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Samples;
    use std::time::Duration;

    struct Level;

    impl Source for Level {
        fn collect(&self, samples: &mut Samples<'_>) {
            samples.gauge("cortado_cache_bytes", "Bytes of the cache", 7_usize);
            samples.counter("cortado_busy_seconds_total", "Time busy", Duration::from_millis(1500));
            samples.gauges("cortado_up", "Whether the node runs", |family| {
                family.sample(&[("node", "n1")], true);
                family.sample(&[("node", "n\"2")], false);
            });
        }
    }

    #[test]
    fn families_are_written_as_prometheus_reads_them() {
        let registry = Registry::default();
        let writes = registry.counters("cortado_writes_total", "Writes by outcome");
        registry.counters("cortado_unused_total", "A family without series is left out");
        writes.with(&[("outcome", "done")]).add(2);
        writes.with(&[("outcome", "none")]);
        registry.collect(Level);
        let want = "\
# HELP cortado_writes_total Writes by outcome.
# TYPE cortado_writes_total counter
cortado_writes_total{outcome=\"done\"} 2
cortado_writes_total{outcome=\"none\"} 0
# HELP cortado_cache_bytes Bytes of the cache.
# TYPE cortado_cache_bytes gauge
cortado_cache_bytes 7
# HELP cortado_busy_seconds_total Time busy.
# TYPE cortado_busy_seconds_total counter
cortado_busy_seconds_total 1.5
# HELP cortado_up Whether the node runs.
# TYPE cortado_up gauge
cortado_up{node=\"n1\"} 1
cortado_up{node=\"n\\\"2\"} 0
";
        assert_eq!(registry.encode(), want);
    }

    #[test]
    #[should_panic(expected = "cortado_reads_total is registered already")]
    fn a_family_is_registered_once() {
        let registry = Registry::default();
        registry.counter("cortado_reads_total", "Reads answered");
        registry.counter("cortado_reads_total", "Reads answered");
    }
}
