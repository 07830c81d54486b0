//! What is stored in `_cluster` reads back as the catalog, or is refused with the reason.

use super::*;
use crate::catalog::Pins;
use crate::catalog::{NodeDescription, NodeFacts};
use crate::cluster_log::{
    VERSION, VERSION_MAX, VERSION_WITH_FORMER, dropped_key, node_key, table_key, write,
};
use crate::genesis::cluster_genesis;
use crate::pins::pins_key;
use cortado_document::{Document, ValidationBudget};
use cortado_model::{
    Batch, ClusterUuid, DirectoryUuid, DocumentHead, Etag, LogId, NodeIncarnation, PartitionId,
    StoredDocument, WallMillis,
};
use cortado_store::{MemoryStore, Store};

fn stored(value: Document, schema_version: u32) -> Option<StoredDocument> {
    let (etag, scn, time) = (Etag(1), Scn::ZERO, WallMillis(0));
    let head = DocumentHead { schema_version, etag, scn, time, expires: None };
    Some(StoredDocument::new(head, value.as_bytes()))
}

fn view_of(documents: Vec<(TableId, DocumentKey, Document)>) -> Box<dyn View> {
    let documents = documents.into_iter().map(|(table, key, v)| (table, key, stored(v, 0)));
    let checkpoint = FoldState::before(cluster_genesis(ClusterUuid(1)), LogId::UNKNOWN).encode();
    let batch = Batch { documents: documents.collect(), checkpoint, ..Batch::default() };
    let store = MemoryStore::new();
    store.apply_one(PartitionId::CLUSTER, batch).unwrap();
    store.view(PartitionId::CLUSTER).unwrap()
}

fn definition() -> TableDefinition {
    let schema = SchemaText::parse(br#"{"type":"object"}"#).unwrap();
    TableDefinition::new(vec!["artist".to_owned(), "album".to_owned()], Some(schema)).unwrap()
}

fn music() -> DatabaseDocument {
    DatabaseDocument {
        version: VERSION,
        id: 7,
        uuid: "000000000000000000000000000000ff".to_owned(),
        partitions: 2,
        log: Some("0000000000000000000000000000beef".to_owned()),
        replication: 2,
        owner: Some("team".to_owned()),
        next_table: 3,
        placements: vec![vec![1, 2], vec![2, 3]],
        after: 0,
    }
}

fn dropped() -> DroppedDocument {
    let (name, uuid) = ("films".to_owned(), "00000000000000000000000000000003".to_owned());
    DroppedDocument { version: VERSION, name, uuid, partitions: 16 }
}

fn facts() -> NodeFacts {
    NodeFacts {
        node: NodeId(1),
        incarnation: NodeIncarnation(9),
        directory: DirectoryUuid(0xaa),
        nonce: 0xbb,
        replaced: false,
        removed: false,
        address: "here:1".to_owned(),
        description: NodeDescription::default(),
    }
}

fn node() -> NodeDocument {
    NodeDocument::of(&facts())
}

fn documents() -> Vec<(TableId, DocumentKey, Document)> {
    let id = DatabaseId(7);
    let mut old = TableDocument::new(TableId(1), "album", &definition(), 1);
    old.dropped = true;
    let new = TableDocument::new(TableId(2), "album", &definition(), 1);
    vec![
        (NODES, node_key(NodeId(1)), write(&node())),
        (DATABASES, key(&["music"]), write(&music())),
        (TABLES, table_key(id, TableId(1)), write(&old)),
        (TABLES, table_key(id, TableId(2)), write(&new)),
        (DROPPED, dropped_key(DatabaseId(3)), write(&dropped())),
        (COUNTERS, database_counter_key(), write(&CounterDocument::new(8))),
        (COUNTERS, generation_counter_key(), write(&CounterDocument::new(5))),
        (FORMER, key(&["films"]), write(&FormerDocument { version: VERSION, generation: 9 })),
        (PINS, pins_key(id), write(&PinsDocument::of(&Pins::from([(1, NodeId(3))])))),
        (DRAINS, node_key(NodeId(2)), write(&DrainDocument::new())),
    ]
}

#[test]
fn what_is_stored_reads_back_as_the_catalog() {
    let view = view_of(documents());
    let catalog = read_catalog(view.as_ref(), Scn::ZERO, &Catalog::empty(ClusterUuid(1))).unwrap();
    assert_eq!(catalog.nodes[&NodeId(1)], facts());
    assert_eq!(catalog.next_database, DatabaseId(8));
    let films = Dropped { name: "films".to_owned(), uuid: PartitionUuid(3), partitions: 16 };
    assert_eq!(catalog.dropped[&DatabaseId(3)], films);
    assert_eq!(catalog.generation_before("films"), Generation(9));
    assert_eq!(catalog.generation_before("books"), Generation(4));
    let music = catalog.database("music").unwrap();
    assert_eq!((music.id, music.uuid), (DatabaseId(7), PartitionUuid(255)));
    assert_eq!(music.log, Some(LogId(0xbeef)));
    assert_eq!(music.placement(1), [NodeId(2), NodeId(3)]);
    // A dropped table keeps its name for change streams, and leaves it to another one.
    assert_eq!(music.table("album").unwrap().id, TableId(2));
    assert_eq!(music.table_by_id(TableId(1)).unwrap().name, "album");
    assert_eq!(music.tables().count(), 1);
    assert_eq!(DatabaseDocument::of(music, 3), self::music());
    let partition = music.partition_id(1);
    assert_eq!(catalog.pin(partition), Some(NodeId(3)));
    let succession = catalog.succession(partition, music.placement(1)).unwrap();
    assert_eq!(succession.nodes(), [NodeId(3), NodeId(2)]);
    assert!(succession.is_drained(NodeId(2)));
    // What has not changed is not compiled again.
    let again = read_catalog(view.as_ref(), Scn::ZERO, &catalog).unwrap();
    let table = again.database("music").unwrap().table("album").unwrap();
    assert!(Arc::ptr_eq(table, music.table("album").unwrap()));
}

#[test]
fn a_database_with_a_former_life_needs_a_build_that_knows_of_it() {
    let again = DatabaseDocument { version: VERSION_WITH_FORMER, after: 9, ..music() };
    let view = view_of(vec![(DATABASES, key(&["music"]), write(&again))]);
    let catalog = read_catalog(view.as_ref(), Scn::ZERO, &Catalog::empty(ClusterUuid(1))).unwrap();
    let music = catalog.database("music").unwrap();
    assert_eq!(music.after, Generation(9));
    assert_eq!(DatabaseDocument::of(music, 3), again);
    let genesis = crate::genesis::genesis_of(music, 0, (ClusterUuid(1), 1));
    let fold = genesis.origin.map(|origin| origin.history.scn);
    assert_eq!(fold, Some(Scn::opening(Generation(9))));
}

#[test]
fn a_pin_to_a_node_that_was_removed_counts_for_nothing() {
    let removed = NodeDocument { removed: true, ..node() };
    let view = view_of(vec![
        (NODES, node_key(NodeId(3)), write(&removed)),
        (DATABASES, key(&["music"]), write(&music())),
        (PINS, pins_key(DatabaseId(7)), write(&PinsDocument::of(&Pins::from([(1, NodeId(3))])))),
    ]);
    let catalog = read_catalog(view.as_ref(), Scn::ZERO, &Catalog::empty(ClusterUuid(1))).unwrap();
    let music = catalog.database("music").unwrap();
    let succession = catalog.succession(music.partition_id(1), music.placement(1)).unwrap();
    assert_eq!((succession.preferred(), succession.is_pinned()), (NodeId(2), false));
}

#[test]
fn a_stored_schema_that_this_build_refuses_closes_its_table_alone() {
    let schema = SchemaText::parse(br#"{"type":"nonsense"}"#).unwrap();
    let key = vec!["artist".to_owned()];
    let definition = TableDefinition::new(key, Some(schema)).unwrap();
    let odd = TableDocument::new(TableId(3), "odd", &definition, 1);
    let mut documents = documents();
    documents.push((TABLES, table_key(DatabaseId(7), TableId(3)), write(&odd)));
    let view = view_of(documents);
    let catalog = read_catalog(view.as_ref(), Scn::ZERO, &Catalog::empty(ClusterUuid(1))).unwrap();
    let music = catalog.database("music").unwrap();
    let document = Document::from_stored(bytes::Bytes::from_static(b"{}"));
    let accepts = |table: &str| {
        let schema = music.table(table).unwrap().schema.as_ref().unwrap();
        schema.validate(&document, &mut ValidationBudget::full()).is_ok()
    };
    assert!(accepts("album") && !accepts("odd"));
}

#[test]
fn a_removed_node_is_no_member() {
    let removed = NodeDocument { removed: true, ..node() };
    let nodes = [(NodeId(1), node()), (NodeId(2), removed), (NodeId(3), node())];
    let documents = nodes.map(|(node, document)| (NODES, node_key(node), write(&document)));
    let view = view_of(documents.to_vec());
    let catalog = read_catalog(view.as_ref(), Scn::ZERO, &Catalog::empty(ClusterUuid(1))).unwrap();
    assert_eq!(catalog.members().collect::<Vec<_>>(), [NodeId(1), NodeId(3)]);
    assert_eq!(catalog.nodes().count(), 3);
}

#[track_caller]
fn check_refused(document: serde_json::Value, want: &str) {
    let document = Document::from_stored(document.to_string().into());
    let view = view_of(vec![(DATABASES, key(&["music"]), document)]);
    let read = read_catalog(view.as_ref(), Scn::ZERO, &Catalog::empty(ClusterUuid(1)));
    let error = read.expect_err("it is not understood").to_string();
    assert!(error.contains(want), "{error}");
}

#[test]
fn what_cannot_be_understood_is_refused() {
    let mut newer = serde_json::to_value(music()).unwrap();
    newer["version"] = (VERSION_MAX + 1).into();
    // It may have members that this build does not know.
    newer["paused"] = true.into();
    check_refused(newer, "has documents of version 5, this build reads 4: upgrade this node");
    let mut older = serde_json::to_value(music()).unwrap();
    older["version"] = (VERSION - 1).into();
    check_refused(older, "damaged: version 1");
    // It would be lost when the database is written again.
    let mut unknown = serde_json::to_value(music()).unwrap();
    unknown["paused"] = true.into();
    check_refused(unknown, "damaged: unknown field `paused`");
    let mut alien = serde_json::to_value(music()).unwrap();
    alien["uuid"] = "x".into();
    check_refused(alien, "damaged: not an identity: x");
    let mut alien = serde_json::to_value(music()).unwrap();
    alien["log"] = "x".into();
    check_refused(alien, "damaged: not an identity: x");
    check_refused(serde_json::json!({"version": VERSION}), "damaged: missing field");
    check_refused(serde_json::json!([]), "damaged: ");
}

#[test]
fn planned_changes_and_moves_read_back_and_change_who_holds_what() {
    let change = br#"{"version":2,"kind":{"add_node":{"node":3}},"state":"running",
        "copies_per_node":3,"copies_per_cluster":10,"bytes_per_second":0,"replicas":1,"bytes":9}"#;
    let targets = br#"{"version":2,"targets":{"0":[3,2]}}"#;
    let document = |text: &[u8]| Document::from_stored(text.to_vec().into());
    let catalog = |stage: &str| {
        let moving = format!(r#"{{"version":2,"change":5,"add":3,"remove":1,"stage":"{stage}"}}"#);
        let view = view_of(vec![
            (DATABASES, key(&["music"]), write(&music())),
            (CHANGES, key(&["5"]), document(change)),
            (TARGETS, key(&["5", "7"]), document(targets)),
            (MOVES, key(&["7", "0"]), document(moving.as_bytes())),
        ]);
        read_catalog(view.as_ref(), Scn::ZERO, &Catalog::empty(ClusterUuid(1))).unwrap()
    };
    let partition = PartitionId { database: DatabaseId(7), number: 0 };
    let copying = catalog("copying");
    assert_eq!(copying.changes().map(|change| change.id).collect::<Vec<_>>(), [ChangeId(5)]);
    assert_eq!(copying.target(partition), Some((ChangeId(5), &[NodeId(3), NodeId(2)][..])));
    let held = |catalog: &Catalog| {
        let placed = catalog.placements().find(|(placed, _)| *placed == partition);
        placed.expect("it is placed").1.into_owned()
    };
    let everywhere = [1, 2, 3].map(NodeId);
    assert_eq!(held(&copying), everywhere);
    let order =
        |catalog: &Catalog| catalog.succession(partition, &held(catalog)).unwrap().nodes().to_vec();
    assert_eq!(order(&copying), everywhere);
    // Who leaves leads last.
    assert_eq!(order(&catalog("leaving")), [2, 3, 1].map(NodeId));
    assert_eq!(copying.database("music").unwrap().placement(0), [1, 2].map(NodeId));
}
