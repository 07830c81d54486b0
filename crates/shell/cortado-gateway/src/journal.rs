//! The journal, `_journal`: what was decided and done, in a database like any other.
//!
//! The entries of a partition are numbered in the order of their commits. So a reader remembers one
//! number for each partition and misses nothing, however late an entry came; and what is too old
//! stands in front. Entries are written in [`writer`], read in [`reader`]; the database is made in
//! [`founding`], and gets more replicas in [`growth`]. Decides nothing. Start reading at
//! [`stream_of`]. Source: docs/formats/journal.md.

mod document;
mod founding;
mod growth;
mod manual;
mod position;
mod reader;
mod writer;

pub use position::JournalPosition;
pub use reader::EventsError;

use cortado_document::partition_of;
use cortado_model::{DocumentKey, TableId};

/// Nodes over which the journal is spread.
const NODES_WANTED: usize = 3;

/// The one table of the journal, the first of its database.
const ENTRIES: TableId = TableId(1);

/// The resource of all entries of a partition, so that any of them can be written together: the
/// least number that belongs there.
///
/// * `partitions`: how many the journal has.
fn stream_of(number: u32, partitions: u32) -> String {
    let names = (0_u64..).map(|name| name.to_string());
    let mut streams = names.filter(|name| partition_of(name, partitions) == number);
    streams.next().expect("some number belongs to each partition")
}

/// The key of an entry.
///
/// * `number`: counts the entries of its partition from 1.
fn entry_key(stream: &str, number: u64) -> DocumentKey {
    // Sorts as the number does.
    let number = format!("{number:020}");
    DocumentKey::from_parts(&[stream, &number]).expect("digits are short and no control bytes")
}

/// Which entry a key names; `None` if it is no entry's.
fn number_of(key: &DocumentKey) -> Option<u64> {
    key.parts().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_partition_has_a_stream_of_its_own() {
        for partitions in [1, 2, 4, 7, 1_024] {
            for number in 0..partitions {
                let stream = stream_of(number, partitions);
                assert_eq!(partition_of(&stream, partitions), number);
                assert_eq!(number_of(&entry_key(&stream, 42)), Some(42));
            }
        }
    }

    #[test]
    fn keys_sort_as_numbers() {
        let keys = [1, 9, 10, 99, 100, u64::MAX].map(|number| entry_key("0", number));
        assert!(keys.is_sorted_by(|one, other| one.as_bytes() < other.as_bytes()));
    }
}
