//! Reads the lines of the golden vectors.

use std::collections::{BTreeMap, BTreeSet};

const TEXT: &str = include_str!("../../testdata/aperture-vectors.tsv");

/// One line, cut into its columns.
#[derive(Clone)]
pub(crate) struct Vector {
    line: usize,
    columns: Vec<&'static str>,
}

/// All lines but comments.
pub(crate) fn all() -> impl Iterator<Item = Vector> {
    let lines = TEXT.lines().enumerate().filter(|(_, line)| !line.starts_with('#'));
    lines.map(|(at, line)| Vector { line: at + 1, columns: line.split('\t').collect() })
}

/// All lines of one kind.
pub(crate) fn of_kind(kind: &str) -> impl Iterator<Item = Vector> {
    all().filter(move |vector| vector.kind() == kind)
}

impl Vector {
    pub(crate) fn kind(&self) -> &'static str {
        self.columns[0]
    }

    pub(crate) fn is_flagged(&self) -> bool {
        self.columns[1] != "-"
    }

    pub(crate) fn has_flag(&self, flag: &str) -> bool {
        self.columns[1].split(',').any(|each| each == flag)
    }

    /// A column, counted from 0 after kind and flag.
    pub(crate) fn text(&self, column: usize) -> &'static str {
        self.columns[column + 2]
    }

    pub(crate) fn is_error(&self, column: usize) -> bool {
        self.text(column).starts_with("error:")
    }

    #[track_caller]
    pub(crate) fn number<T: std::str::FromStr>(&self, column: usize) -> T {
        let text = self.text(column);
        text.parse().unwrap_or_else(|_| panic!("{self}: column {column} is {text}"))
    }

    /// A set of indices such as `0-3,17-19`.
    pub(crate) fn set(&self, column: usize) -> BTreeSet<usize> {
        runs(self.text(column)).flat_map(|(first, last)| first..=last).collect()
    }

    /// The exact set, which may be written as `=`: the same as that of the original.
    pub(crate) fn exact_set(&self, exact: usize, original: usize) -> BTreeSet<usize> {
        self.set(if self.text(exact) == "=" { original } else { exact })
    }

    /// Values by index such as `0=0.5,1-3=1`.
    pub(crate) fn by_index(&self, column: usize) -> BTreeMap<usize, &'static str> {
        let text = self.text(column);
        let parts = text.split(',').filter(|part| *part != "-");
        let pairs = parts.map(|part| part.split_once('=').expect("index=value"));
        pairs
            .flat_map(|(indices, value)| {
                runs(indices).flat_map(|(first, last)| first..=last).map(move |at| (at, value))
            })
            .collect()
    }

    /// Values in order such as `1*2,0.5`.
    pub(crate) fn list(&self, column: usize) -> Vec<&'static str> {
        let mut values = Vec::new();
        for part in self.text(column).split(',').filter(|part| !part.is_empty()) {
            let (value, times) = part.split_once('*').unwrap_or((part, "1"));
            values.extend(std::iter::repeat_n(value, times.parse().expect("a count")));
        }
        values
    }
}

impl std::fmt::Display for Vector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}, {}", self.line, self.columns.join(" "))
    }
}

fn runs(text: &str) -> impl Iterator<Item = (usize, usize)> {
    text.split(',').filter(|part| *part != "-").map(|part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        (first.parse().expect("an index"), last.parse().expect("an index"))
    })
}

/// A number that is written in decimal or as a fraction, exactly: `0.25`, `1.0E-6`, `3/4`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exact {
    pub(crate) numerator: u128,
    pub(crate) denominator: u128,
}

impl Exact {
    #[track_caller]
    pub(crate) fn parse(text: &str) -> Exact {
        if let Some((numerator, denominator)) = text.split_once('/') {
            let [numerator, denominator] =
                [numerator, denominator].map(|part| part.parse().expect("an integer"));
            return Exact { numerator, denominator }.reduced();
        }
        let (digits, exponent) = text.split_once('E').unwrap_or((text, "0"));
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let numerator: u128 = format!("{whole}{fraction}").parse().expect("digits");
        let exponent: i32 = exponent.parse::<i32>().expect("an exponent") - fraction.len() as i32;
        let power = 10_u128.pow(exponent.unsigned_abs());
        if exponent < 0 {
            Exact { numerator, denominator: power }.reduced()
        } else {
            Exact { numerator: numerator * power, denominator: 1 }
        }
    }

    fn reduced(self) -> Exact {
        let divisor = gcd(self.numerator, self.denominator).max(1);
        Exact { numerator: self.numerator / divisor, denominator: self.denominator / divisor }
    }

    /// `self == numerator / denominator`.
    pub(crate) fn equals(&self, numerator: u128, denominator: u128) -> bool {
        *self == Exact { numerator, denominator }.reduced()
    }
}

/// Numerators of one common denominator, which is the second answer.
pub(crate) fn common(numbers: &[Exact]) -> (Vec<u128>, u128) {
    let denominator = numbers
        .iter()
        .fold(1, |common, number| common / gcd(common, number.denominator) * number.denominator);
    let scaled = |number: &Exact| number.numerator * (denominator / number.denominator);
    (numbers.iter().map(scaled).collect(), denominator)
}

fn gcd(a: u128, b: u128) -> u128 {
    if b == 0 { a } else { gcd(b, a % b) }
}
