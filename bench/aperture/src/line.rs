//! One result: numbers with names, as they are kept in a file of tab-separated text.

use crate::size::Size;
use std::fmt;
use std::str::FromStr;

/// What one contender has made of one case of one scenario at one size.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// The scenario's name.
    pub scenario: String,
    /// Which case of it; empty if it has one only.
    pub case: String,
    /// Clients and endpoints.
    pub size: Size,
    /// The contender's name.
    pub contender: String,
    /// The numbers, rounded as they are written.
    pub values: Vec<(String, f64)>,
}

impl Line {
    /// The number of that name.
    pub fn value(&self, name: &str) -> Option<f64> {
        self.values.iter().find(|(each, _)| each == name).map(|(_, value)| *value)
    }

    /// Whether it answers the same question as `other`.
    pub fn is_about_the_same(&self, other: &Line) -> bool {
        let question = |line: &Line| {
            (line.scenario.clone(), line.case.clone(), line.size, line.contender.clone())
        };
        question(self) == question(other)
    }
}

/// Five digits after the point, which is more than anything here is exact to; exact zeros and ones
/// stay what they are.
pub(crate) fn rounded(value: f64) -> f64 {
    (value * 1e5).round() / 1e5
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\t{}\t{}\t{}", self.scenario, self.case, self.size, self.contender)?;
        self.values.iter().try_for_each(|(name, value)| write!(f, "\t{name}={value}"))
    }
}

impl FromStr for Line {
    type Err = String;

    fn from_str(text: &str) -> Result<Line, String> {
        let columns: Vec<&str> = text.split('\t').collect();
        let [scenario, case, size, contender, values @ ..] = &columns[..] else {
            return Err(format!("fewer than four columns: `{text}`"));
        };
        let value = |column: &&str| {
            let (name, value) = column.split_once('=')?;
            Some((name.to_owned(), value.parse().ok()?))
        };
        let values: Option<Vec<_>> = values.iter().map(value).collect();
        Ok(Line {
            scenario: (*scenario).to_owned(),
            case: (*case).to_owned(),
            size: size.parse()?,
            contender: (*contender).to_owned(),
            values: values.ok_or_else(|| format!("a column is no name=number: `{text}`"))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_they_are_written() {
        let line = Line {
            scenario: "resize-clients".to_owned(),
            case: "+10".to_owned(),
            size: Size::new(10, 1_000),
            contender: "load band".to_owned(),
            values: vec![("rsd".to_owned(), rounded(1.0 / 3.0)), ("worst".to_owned(), 1.0)],
        };
        let text = line.to_string();
        assert_eq!(text, "resize-clients\t+10\t10x1000\tload band\trsd=0.33333\tworst=1");
        assert_eq!(text.parse(), Ok(line));
        assert!("a\tb\t1x1\tc\td".parse::<Line>().is_err());
        assert!("a\tb\t1x1".parse::<Line>().is_err());
    }
}
