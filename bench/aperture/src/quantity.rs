//! How numbers are called and written in tables and charts.

/// One kind of number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quantity {
    /// As lines call it.
    pub(crate) name: &'static str,
    /// As people do.
    pub(crate) title: &'static str,
    unit: Unit,
}

#[derive(Clone, Copy, Debug)]
enum Unit {
    /// With one digit after the point.
    Count,
    /// Kept as a part of 1, shown in hundredths.
    Percent,
    /// With two digits after the point.
    Ratio,
    Millis,
}

/// Every number there is, in the order in which tables show them.
const QUANTITIES: &[Quantity] = &[
    count("connections", "connections per client"),
    count("connections_max", "at most"),
    percent("rsd", "load, rel. std. dev."),
    ratio("max_to_mean", "load, max/mean"),
    ratio("max_to_mean_steady", "with hysteresis"),
    ratio("max_to_mean_steady_old", "and without newcomers"),
    count("without_load", "endpoints without load"),
    count("unwanted", "of weight 0 with load"),
    percent("churn", "churn"),
    percent("churn_worst", "of the worst client"),
    Quantity { name: "p50", title: "p50", unit: Unit::Millis },
    Quantity { name: "p99", title: "p99", unit: Unit::Millis },
    Quantity { name: "p999", title: "p999", unit: Unit::Millis },
    percent("errors", "errors"),
    percent("errors_late", "errors after 10 s"),
    count("stranded", "stranded clients"),
    count("left_min", "fewest left"),
    ratio("odd_share", "share of the odd"),
];

const fn count(name: &'static str, title: &'static str) -> Quantity {
    Quantity { name, title, unit: Unit::Count }
}

const fn percent(name: &'static str, title: &'static str) -> Quantity {
    Quantity { name, title, unit: Unit::Percent }
}

const fn ratio(name: &'static str, title: &'static str) -> Quantity {
    Quantity { name, title, unit: Unit::Ratio }
}

impl Quantity {
    /// The one that lines call so.
    pub(crate) fn of_name(name: &str) -> Option<Quantity> {
        QUANTITIES.iter().copied().find(|quantity| quantity.name == name)
    }

    /// A number of this kind, with its unit.
    pub(crate) fn show(self, value: f64) -> String {
        let digits = |value: f64, digits: usize| {
            let text = format!("{value:.digits$}");
            match text.contains('.') {
                true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
                false => text,
            }
        };
        match self.unit {
            Unit::Count => digits(value, 1),
            Unit::Ratio => format!("{value:.2}"),
            Unit::Millis => format!("{value:.0} ms"),
            // What is more than nothing does not look like nothing.
            Unit::Percent if value > 0.0 && value < 0.0005 => {
                format!("{} %", digits(value * 100.0, 3))
            }
            Unit::Percent => format!("{} %", digits(value * 100.0, 1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let check = |name, value, want| {
            let quantity = Quantity::of_name(name).expect("there is one");
            assert_eq!(quantity.show(value), want);
        };
        check("connections", 12.0, "12");
        check("connections", 12.34, "12.3");
        check("rsd", 0.0, "0 %");
        check("rsd", 0.0694, "6.9 %");
        check("churn", 0.0002, "0.02 %");
        check("churn", 1.1, "110 %");
        check("max_to_mean", 1.0, "1.00");
        check("p99", 431.7, "432 ms");
    }
}
