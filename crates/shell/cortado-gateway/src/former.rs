//! What is remembered of databases that were dropped, so that a position never means two things.
//!
//! A database that gets the name of a dropped one begins with the generation after that one's last:
//! who still has a position of the former one can be told so. The memory is bounded: of the names
//! beyond [`FORMER_MAX`] only the highest generation is kept, for all of them.
//! Start reading at [`remember`]. Every member is described in docs/formats/cluster.md.

use crate::catalog::Catalog;
use crate::cluster_log::{COUNTERS, CounterDocument, VERSION, key, write};
use crate::conditions::{if_absent, if_still};
use cortado_document::{Condition, DocumentAction, Operation};
use cortado_model::{DocumentKey, Etag, Generation, TableId};
use serde::{Deserialize, Serialize};

/// Databases that were dropped, by name.
pub(crate) const FORMER: TableId = TableId(9);

/// Names of dropped databases that are remembered one by one.
const FORMER_MAX: usize = 1_000;

/// The last database of a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FormerDocument {
    pub(crate) version: u32,
    /// The highest that any of its partitions had.
    pub(crate) generation: u32,
}

/// The key of the counter of generations.
pub(crate) fn generation_counter_key() -> DocumentKey {
    key(&["generation"])
}

/// The writes that remember that the database `name` ended in `generation`.
///
/// * `counter`: the document of the counter, as it was before `catalog` was looked at: two drops
///   never cross.
pub(crate) fn remember(
    name: &str,
    generation: Generation,
    catalog: &Catalog,
    counter: Option<Etag>,
) -> Vec<Operation> {
    let put = |table, key, value, condition| Operation {
        table,
        key,
        action: DocumentAction::Put { value },
        condition,
    };
    let document = FormerDocument { version: VERSION, generation: generation.0 };
    let mut operations = vec![put(FORMER, key(&[name]), write(&document), Condition::default())];
    let mut floor = catalog.former_floor;
    let is_new = !catalog.former.contains_key(name);
    if is_new && catalog.former.len() >= FORMER_MAX {
        // The one that raises the floor least.
        let least = catalog.former.iter().min_by_key(|(_, generation)| **generation);
        if let Some((name, generation)) = least {
            floor = floor.max(*generation);
            operations.push(Operation {
                table: FORMER,
                key: key(&[name]),
                action: DocumentAction::Delete,
                condition: Condition::default(),
            });
        }
    }
    let counted = CounterDocument::new(floor.next().0);
    let condition = counter.map_or_else(if_absent, if_still);
    operations.push(put(COUNTERS, generation_counter_key(), write(&counted), condition));
    operations
}

#[cfg(test)]
mod tests {
    use super::*;
    use cortado_model::ClusterUuid;

    #[test]
    fn the_memory_of_dropped_names_is_bounded_and_forgets_no_generation() {
        let mut catalog = Catalog::empty(ClusterUuid(1));
        assert_eq!(catalog.generation_before("music"), Generation(0));
        for number in 0..FORMER_MAX as u32 {
            catalog.former.insert(format!("t{number}"), Generation(9 + number));
        }
        let put = |operations: &[Operation], at: usize| match &operations[at].action {
            DocumentAction::Put { value } => String::from_utf8(value.as_bytes().to_vec()).unwrap(),
            _ => "nothing".to_owned(),
        };
        // A name that is known already takes no more room.
        let again = remember("t7", Generation(50), &catalog, None);
        assert_eq!(again.len(), 2);
        assert_eq!(put(&again, 0), r#"{"version":2,"generation":50}"#);
        assert_eq!(put(&again, 1), r#"{"version":2,"next":1}"#);
        let one_more = remember("music", Generation(4), &catalog, None);
        assert_eq!(one_more[1].key, key(&["t0"]));
        assert_eq!(one_more[1].action, DocumentAction::Delete);
        assert_eq!(put(&one_more, 2), r#"{"version":2,"next":10}"#);
        // What was forgotten by name begins above all that were.
        catalog.former.remove("t0");
        catalog.former_floor = Generation(9);
        assert_eq!(catalog.generation_before("t0"), Generation(9));
        assert_eq!(catalog.generation_before("t1"), Generation(10));
        catalog.former.insert("music".to_owned(), Generation(4));
        assert_eq!(catalog.generation_before("music"), Generation(9));
    }
}
