//! The results as a table of medians, with the lowest and the highest.

use crate::kind::{ENGINES, Kind};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Every value of every fact of every engine.
#[derive(Default)]
pub struct Results {
    values: BTreeMap<(&'static str, Kind), Vec<f64>>,
    /// In the order in which they were first seen.
    names: Vec<&'static str>,
}

impl Results {
    /// Takes in one more value.
    pub fn add(&mut self, kind: Kind, name: &str, value: f64) {
        let known = self.names.iter().find(|known| **known == name).copied();
        let name = known.unwrap_or_else(|| {
            // There are some twenty names, once for each run of the program.
            let name: &'static str = String::from(name).leak();
            self.names.push(name);
            name
        });
        self.values.entry((name, kind)).or_default().push(value);
    }
}

/// A Markdown table: facts down, engines across.
pub fn median_table(results: &Results) -> String {
    let mut text = String::from("| fact |");
    for kind in ENGINES {
        let _ = write!(text, " {} |", kind.name());
    }
    text.push_str("\n|---|");
    text.push_str(&"---|".repeat(ENGINES.len()));
    text.push('\n');
    for name in &results.names {
        let _ = write!(text, "| {name} |");
        for kind in ENGINES {
            match results.values.get(&(*name, kind)) {
                Some(values) => {
                    let _ = write!(text, " {} |", summary(values));
                }
                None => text.push_str(" |"),
            }
        }
        text.push('\n');
    }
    text
}

fn summary(values: &[f64]) -> String {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let [first, last] = [values[0], values[values.len() - 1]];
    let median = values[values.len() / 2];
    format!("{} ({}–{})", short(median), short(first), short(last))
}

fn short(value: f64) -> String {
    match value {
        100.0.. => format!("{value:.0}"),
        1.0..100.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
