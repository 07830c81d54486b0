//! Where a reader of the journal stands.
//!
//! Start reading at [`JournalPosition`].

use cortado_model::PartitionUuid;
use std::fmt;

/// In each partition of one journal: the number of the last entry that was read.
///
/// As text, the id of an event: opaque to clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalPosition {
    /// Tells the journals of two clusters apart.
    journal: u32,
    /// By partition; 0 before its first entry.
    read: Vec<u64>,
}

impl JournalPosition {
    /// Before the first entry.
    ///
    /// * `partitions`: how many the journal has.
    pub(super) fn beginning(journal: PartitionUuid, partitions: u32) -> JournalPosition {
        JournalPosition { journal: tag_of(journal), read: vec![0; partitions as usize] }
    }

    /// Reads what [`Display`](fmt::Display) writes; `None` if it is something else.
    pub fn parse(text: &str) -> Option<JournalPosition> {
        let (journal, numbers) = text.split_once('-')?;
        let is_tag = journal.len() == 8 && journal.bytes().all(|byte| byte.is_ascii_hexdigit());
        let journal = is_tag.then(|| u32::from_str_radix(journal, 16))?.ok()?;
        let read = numbers.split('.').map(|number| number.parse().ok()).collect::<Option<_>>()?;
        Some(JournalPosition { journal, read })
    }

    /// Whether it is one of the journal with this identity.
    pub(super) fn is_of(&self, journal: PartitionUuid, partitions: u32) -> bool {
        self.journal == tag_of(journal) && self.read.len() == partitions as usize
    }

    /// What was read last of each partition, by its number.
    pub(super) fn read(&self) -> impl Iterator<Item = (u32, u64)> {
        (0..).zip(self.read.iter().copied())
    }

    /// The entry `number` of `partition` was read.
    pub(super) fn pass(&mut self, partition: u32, number: u64) {
        if let Some(read) = self.read.get_mut(partition as usize) {
            *read = number;
        }
    }
}

impl fmt::Display for JournalPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.journal)?;
        for (between, number) in ["-"].into_iter().chain(std::iter::repeat(".")).zip(&self.read) {
            write!(f, "{between}{number}")?;
        }
        Ok(())
    }
}

/// All of an identity's bits are random: some of them tell a few journals apart.
fn tag_of(journal: PartitionUuid) -> u32 {
    journal.0 as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_reads_back() {
        let journal = PartitionUuid(0xfeed_0000_0abc);
        let mut position = JournalPosition::beginning(journal, 3);
        assert_eq!(position.to_string(), "00000abc-0.0.0");
        position.pass(1, 12);
        position.pass(2, u64::MAX);
        assert_eq!(position.to_string(), "00000abc-0.12.18446744073709551615");
        assert_eq!(JournalPosition::parse(&position.to_string()), Some(position.clone()));
        assert_eq!(position.read().collect::<Vec<_>>(), [(0, 0), (1, 12), (2, u64::MAX)]);
        assert!(position.is_of(journal, 3));
        assert!(!position.is_of(journal, 4) && !position.is_of(PartitionUuid(1), 3));
    }

    #[test]
    fn other_texts_are_no_positions() {
        for text in [
            "",
            "x",
            "5",
            "00000000000000000001",
            "00000abc",
            "00000abc-",
            "00000abc-1.",
            "00000abc-1.x",
            "abc-1",
            "+0000abc-1",
            "00000abc-18446744073709551616",
        ] {
            assert_eq!(JournalPosition::parse(text), None, "{text}");
        }
    }
}
