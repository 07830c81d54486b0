//! Positions in a partition's history, and the order between them.
//!
//! Start reading at [`Scn`]. Source: docs/protocols/replication.md, "Names".

use core::fmt;
use core::str::FromStr;

/// System change number: where a record stands in its partition.
///
/// Field order is sort order: generation first, then sequence. `0:0` is the beginning of every
/// partition, before its first record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scn {
    /// The leadership in which the record was written.
    pub generation: Generation,
    /// Position within that leadership; 0 is the claim that opened it.
    pub sequence: Sequence,
}

impl Scn {
    /// Before the first record of a partition.
    pub const ZERO: Scn = Scn { generation: Generation(0), sequence: Sequence(0) };

    /// Names a position.
    pub const fn new(generation: Generation, sequence: Sequence) -> Scn {
        Scn { generation, sequence }
    }

    /// The position as one number: 23 bits of generation above 40 bits of sequence.
    ///
    /// Numbers sort as positions do.
    pub const fn to_u64(self) -> u64 {
        ((self.generation.0 as u64) << Sequence::BITS) | self.sequence.0
    }

    /// The inverse of [`to_u64`](Self::to_u64); `None` when the top bit is set.
    pub const fn from_u64(number: u64) -> Option<Scn> {
        let generation = number >> Sequence::BITS;
        if generation > Generation::MAX.0 as u64 {
            return None;
        }
        let sequence = number & Sequence::MAX.0;
        Some(Scn { generation: Generation(generation as u32), sequence: Sequence(sequence) })
    }

    /// The claim that opens `generation`: its sequence is 0.
    pub const fn opening(generation: Generation) -> Scn {
        Scn { generation, sequence: Sequence(0) }
    }
}

/// Counts the leaderships of one partition; a higher one fences every lower one.
///
/// The first is 1; 0 means that no node has led yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(pub u32);

impl Generation {
    /// Bits of a generation inside [`Scn::to_u64`].
    pub const BITS: u32 = 23;
    /// The last generation a partition can have.
    pub const MAX: Generation = Generation((1 << Self::BITS) - 1);

    /// The next leadership; callers compare with [`ScnBounds`] first.
    pub const fn next(self) -> Generation {
        Generation(self.0 + 1)
    }
}

/// Position within a generation; records count from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sequence(pub u64);

impl Sequence {
    /// Bits of a sequence inside [`Scn::to_u64`].
    pub const BITS: u32 = 40;
    /// The last sequence a generation can have.
    pub const MAX: Sequence = Sequence((1 << Self::BITS) - 1);

    /// The next position; callers compare with [`ScnBounds`] first.
    pub const fn next(self) -> Sequence {
        Sequence(self.0 + 1)
    }
}

/// Where generations and sequences end.
///
/// Production uses [`ScnBounds::FULL`]; tests use small ones to reach the ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScnBounds {
    /// The last generation; at most [`Generation::MAX`].
    pub generation_max: Generation,
    /// The last sequence of each generation; at least 1, at most [`Sequence::MAX`].
    pub sequence_max: Sequence,
}

impl ScnBounds {
    /// All 23 and 40 bits.
    pub const FULL: ScnBounds =
        ScnBounds { generation_max: Generation::MAX, sequence_max: Sequence::MAX };
}

impl fmt::Display for Scn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.generation, self.sequence)
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A text that is no SCN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseScnError;

impl fmt::Display for ParseScnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an SCN is written generation:sequence, such as 5:1042")
    }
}

impl core::error::Error for ParseScnError {}

impl FromStr for Scn {
    type Err = ParseScnError;

    /// Reads `5:1042`: two decimal numbers without sign, within their bits.
    fn from_str(text: &str) -> Result<Scn, ParseScnError> {
        let (generation, sequence) = text.split_once(':').ok_or(ParseScnError)?;
        let generation = decimal(generation, u64::from(Generation::MAX.0))?;
        let sequence = decimal(sequence, Sequence::MAX.0)?;
        // `decimal` has bounded the generation by 23 bits.
        Ok(Scn::new(Generation(generation as u32), Sequence(sequence)))
    }
}

/// Parses digits only: `u64::from_str` alone would also take a leading `+`.
fn decimal(text: &str, max: u64) -> Result<u64, ParseScnError> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(ParseScnError);
    }
    text.parse().ok().filter(|number| *number <= max).ok_or(ParseScnError)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, want: Option<(u32, u64)>) {
        let got = text.parse::<Scn>().ok();
        let want = want.map(|(g, s)| Scn::new(Generation(g), Sequence(s)));
        assert_eq!(got, want, "{text}");
        if let Some(scn) = want {
            assert_eq!(scn.to_string(), text);
            assert_eq!(Scn::from_u64(scn.to_u64()), Some(scn));
        }
    }

    #[test]
    fn an_scn_is_read_and_written_alike() {
        check("0:0", Some((0, 0)));
        check("5:1042", Some((5, 1042)));
        check("8388607:1099511627775", Some((8_388_607, 1_099_511_627_775)));
        check("8388608:1", None);
        check("1:1099511627776", None);
        check("1:+2", None);
        check("1", None);
        check(":", None);
        check("1:2:3", None);
    }

    #[test]
    fn numbers_sort_as_positions() {
        let lower = Scn::new(Generation(1), Sequence::MAX);
        let higher = Scn::opening(Generation(2));
        assert!(lower < higher);
        assert!(lower.to_u64() < higher.to_u64());
        assert_eq!(Scn::from_u64(1 << 63), None);
    }
}
