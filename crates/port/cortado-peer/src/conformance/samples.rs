//! Questions, answers and messages: each variant of each type, and values at the edges.
//!
//! A variant that has no sample does not compile. Start reading at
//! [`questions`](questions::questions).

/// What stands behind the arrows; the compiler says if a variant stands before none.
macro_rules! each {
    ($($variant:pat => $samples:expr,)+) => {{
        let mut all = Vec::new();
        $(all.extend($samples.into_iter().inspect(|sample| {
            assert!(matches!(sample, $variant), "{sample:?} stands in another line");
        }));)+
        match &all[0] {
            $($variant => {})+
        }
        all
    }};
}

/// All variants of an enum of words.
macro_rules! words {
    ($type:ident: $($variant:ident),+) => {
        each!($($type::$variant => [$type::$variant],)+)
    };
}

pub(super) mod answers;
pub(super) mod messages;
pub(super) mod questions;

use cortado_cluster::KnownLeader;
use cortado_model::{
    DatabaseId, DocumentHead, DocumentKey, Etag, Generation, NodeId, PartitionId, Scn, Sequence,
    StoredDocument, WallMillis,
};

/// The node that asks and tells.
pub(super) const ASKING: NodeId = NodeId(9);

const PARTITION: PartitionId = PartitionId { database: DatabaseId(7), number: 3 };
const SCN_MAX: Scn = Scn::new(Generation::MAX, Sequence::MAX);

fn scn(sequence: u64) -> Scn {
    Scn::new(Generation(5), Sequence(sequence))
}

fn key(parts: &[&str]) -> DocumentKey {
    DocumentKey::from_parts(parts).expect("the samples are valid keys")
}

fn document(expires: Option<WallMillis>) -> StoredDocument {
    let (etag, time) = (Etag(u64::MAX), WallMillis(1_700_000_000_123));
    let head = DocumentHead { schema_version: 3, etag, scn: scn(1_042), time, expires };
    StoredDocument::new(head, "{\"größe\":18446744073709551615}".as_bytes())
}

/// Leaders of every kind.
fn leaders() -> Vec<KnownLeader> {
    let (generation, node) = (Generation(5), Some(NodeId(u32::MAX)));
    vec![
        KnownLeader::default(),
        KnownLeader { generation, stepped_down: false, node },
        KnownLeader { generation, stepped_down: true, node },
        KnownLeader { generation: Generation::MAX, stepped_down: true, node: None },
    ]
}
