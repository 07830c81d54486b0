//! An SCN together with its partition, as bodies and headers spell it: `3/5:1042`.
//!
//! Start reading at [`Position`].

use cortado_model::Scn;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// A place in the history of one partition of a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Counts from 0.
    pub partition: u32,
    /// The place.
    pub scn: Scn,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.partition, self.scn)
    }
}

/// A text that is no position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid position: expected partition/generation:sequence, such as 3/5:1042")]
pub struct ParsePositionError;

impl FromStr for Position {
    type Err = ParsePositionError;

    fn from_str(text: &str) -> Result<Position, ParsePositionError> {
        let (partition, scn) = text.split_once('/').ok_or(ParsePositionError)?;
        let scn = scn.parse().map_err(|_| ParsePositionError)?;
        Ok(Position { partition: decimal(partition).ok_or(ParsePositionError)?, scn })
    }
}

/// Where a change stream starts: an SCN with or without its partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Since {
    /// The partition, if it was named.
    pub partition: Option<u32>,
    /// Exclusive.
    pub scn: Scn,
}

impl FromStr for Since {
    type Err = ParsePositionError;

    fn from_str(text: &str) -> Result<Since, ParsePositionError> {
        if text.contains('/') {
            let Position { partition, scn } = text.parse()?;
            return Ok(Since { partition: Some(partition), scn });
        }
        let scn = text.parse().map_err(|_| ParsePositionError)?;
        Ok(Since { partition: None, scn })
    }
}

/// Digits only: `u32::from_str` alone would also take a leading `+`.
fn decimal(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

impl Serialize for Position {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Position {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Position, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cortado_model::{Generation, Sequence};

    #[track_caller]
    fn check(text: &str, want: Option<(Option<u32>, u32, u64)>) {
        let got = text.parse::<Since>().ok();
        let want = want.map(|(partition, generation, sequence)| Since {
            partition,
            scn: Scn::new(Generation(generation), Sequence(sequence)),
        });
        assert_eq!(got, want, "{text}");
        let whole = want.and_then(|since| since.partition.map(|p| (p, since.scn)));
        let position = whole.map(|(partition, scn)| Position { partition, scn });
        assert_eq!(text.parse::<Position>().ok(), position, "{text}");
        if let Some(position) = position {
            assert_eq!(position.to_string(), text);
            let json = serde_json::to_string(&position).unwrap();
            assert_eq!(serde_json::from_str::<Position>(&json).unwrap(), position);
        }
    }

    #[test]
    fn a_position_is_read_with_and_without_its_partition() {
        check("3/5:1042", Some((Some(3), 5, 1042)));
        check("0:0", Some((None, 0, 0)));
        check("5:1042", Some((None, 5, 1042)));
        for text in ["", "/", "3/", "/5:1", "+3/5:1", "3/5", "3/3/5:1", "4294967296/1:1", "a/1:1"] {
            check(text, None);
        }
    }
}
