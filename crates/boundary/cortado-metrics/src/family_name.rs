//! What a family's full name says: its kind and its unit.
//!
//! The code spells names in full, so that a name read on a dashboard can be searched for; the
//! library wants the parts. Start reading at [`FamilyName::parse`].

use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

/// A family's name in the parts that the library puts together again.
#[derive(Clone, Debug)]
pub(crate) struct FamilyName {
    /// Without unit and `_total`.
    pub(crate) stem: &'static str,
    pub(crate) unit: Option<Unit>,
}

impl FamilyName {
    /// Takes `name` apart.
    ///
    /// # Panics
    /// A counter's name does not end in `_total`, or another kind's does.
    pub(crate) fn parse(name: &'static str, kind: MetricType) -> FamilyName {
        let counts = kind == MetricType::Counter;
        let total = name.strip_suffix("_total");
        assert_eq!(total.is_some(), counts, "{name}: counters end in _total, nothing else does");
        let rest = total.unwrap_or(name);
        let units = [("_seconds", Unit::Seconds), ("_bytes", Unit::Bytes)];
        let found = units.into_iter().find_map(|(suffix, unit)| {
            rest.strip_suffix(suffix).map(|stem| FamilyName { stem, unit: Some(unit) })
        });
        found.unwrap_or(FamilyName { stem: rest, unit: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &'static str, kind: MetricType, stem: &str, unit: Option<Unit>) {
        let parsed = FamilyName::parse(name, kind);
        assert_eq!((parsed.stem, parsed.unit), (stem, unit), "{name}");
    }

    #[test]
    fn a_name_says_its_kind_and_its_unit() {
        use MetricType::{Counter, Gauge, Histogram};
        check("reads_total", Counter, "reads", None);
        check("busy_seconds_total", Counter, "busy", Some(Unit::Seconds));
        check("write_seconds", Histogram, "write", Some(Unit::Seconds));
        check("cache_bytes", Gauge, "cache", Some(Unit::Bytes));
        check("streams", Gauge, "streams", None);
    }

    #[test]
    #[should_panic(expected = "reads: counters end in _total")]
    fn a_counter_without_total_is_refused() {
        FamilyName::parse("reads", MetricType::Counter);
    }

    #[test]
    #[should_panic(expected = "streams_total: counters end in _total")]
    fn a_gauge_with_total_is_refused() {
        FamilyName::parse("streams_total", MetricType::Gauge);
    }
}
