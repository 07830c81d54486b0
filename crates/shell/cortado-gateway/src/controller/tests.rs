//! What the controller makes of what it cannot read.

use super::*;
use crate::cluster_log::DATABASES;
use crate::gateway::DatabaseSpec;
use crate::scripted::{ScriptedCluster, soon};
use cortado_document::TableDefinition;
use cortado_peer::conformance::{Answer, Question};
use cortado_peer::{CallError, Look, Read, ReadAnswer};
use cortado_store::StoreError;
use std::collections::BTreeMap;

/// A cluster with a dropped table that has one document.
async fn with_dropped_table() -> (ScriptedCluster, Arc<Database>, DocumentKey) {
    let cluster = ScriptedCluster::new();
    let definition = TableDefinition::new(vec!["id".to_owned()], None).unwrap();
    let tables = BTreeMap::from([("song".to_owned(), definition)]);
    let spec = DatabaseSpec { partitions: Some(1), tables, ..DatabaseSpec::default() };
    cluster.gateway.create_database("music", spec, soon()).await.unwrap();
    cluster.gateway.drop_table("music", "song", soon()).await.unwrap();
    let music = Arc::clone(cluster.gateway.catalog().database("music").unwrap());
    let key = DocumentKey::from_parts(&["a"]).unwrap();
    let document = (TableId(1), key.clone(), Some(b"{}".to_vec()));
    cluster.node.apply(music.partition_id(0), vec![document]);
    (cluster, music, key)
}

impl ScriptedCluster {
    async fn sweep(&self) {
        sweep(&self.gateway, &self.gateway.catalog(), &mut BTreeSet::new()).await;
    }

    fn is_emptied(&self) -> bool {
        let catalog = self.gateway.catalog();
        let music = catalog.database("music").unwrap();
        music.table_by_id(TableId(1)).unwrap().emptied
    }
}

#[tokio::test(start_paused = true)]
async fn a_table_is_emptied_only_when_all_of_it_was_read() {
    let (cluster, music, key) = with_dropped_table().await;
    cluster.between(|question| {
        let Question::Read(Read { look: Look::Page { .. }, .. }) = question else { return None };
        let error = StoreError::Damaged { why: "torn".to_owned() };
        Some(Ok(Answer::Read(ReadAnswer::Store(error))))
    });
    cluster.sweep().await;
    assert!(!cluster.is_emptied(), "its document was not read");
    cluster.between(|_| None);
    cluster.sweep().await;
    assert!(cluster.is_emptied());
    assert_eq!(cluster.node.get(music.partition_id(0), TableId(1), &key), None);
}

#[tokio::test(start_paused = true)]
async fn a_table_whose_database_is_dropped_meanwhile_leaves_no_document() {
    // Before its document is read, and before it is written.
    for writes in [false, true] {
        let (cluster, music, _) = with_dropped_table().await;
        let (node, place) = (Arc::clone(&cluster.node), table_key(music.id, TableId(1)));
        let gone = vec![
            (DATABASES, crate::cluster_log::key(&["music"]), None),
            (TABLES, place.clone(), None),
        ];
        cluster.between(move |question| {
            let meant = match question {
                Question::Read(read) => !writes && matches!(read.look, Look::Get(TABLES, _)),
                Question::Write(write) => writes && write.partition == PartitionId::CLUSTER,
                _ => false,
            };
            if meant {
                node.apply(PartitionId::CLUSTER, gone.clone());
            }
            None
        });
        cluster.sweep().await;
        assert_eq!(cluster.node.get(PartitionId::CLUSTER, TABLES, &place), None);
    }
}

/// Declares `count` more tables of `music`, as clients do one by one.
fn with_tables(cluster: &ScriptedCluster, music: &Database, count: u32) {
    let definition = TableDefinition::new(vec!["id".to_owned()], None).unwrap();
    let tables = (2..count + 2).map(|number| {
        let table = TableDocument::new(TableId(number), &format!("t{number}"), &definition, 0);
        let value = Some(write(&table).as_bytes().to_vec());
        (TABLES, table_key(music.id, TableId(number)), value)
    });
    cluster.node.apply(PartitionId::CLUSTER, tables.collect());
}

#[tokio::test(start_paused = true)]
async fn a_database_of_many_tables_is_dropped_and_leaves_none_of_them() {
    let (cluster, music, _) = with_dropped_table().await;
    with_tables(&cluster, &music, 2_100);
    let left = |id| {
        let tables = (1..=2_101).map(|number| table_key(id, TableId(number)));
        tables.filter(|key| cluster.node.get(PartitionId::CLUSTER, TABLES, key).is_some()).count()
    };
    // Another database, whose id begins with the same digit.
    let other = (TABLES, table_key(DatabaseId(10 * music.id.0), TableId(1)));
    let table = cluster.node.get(PartitionId::CLUSTER, TABLES, &table_key(music.id, TableId(2)));
    let value = table.map(|table| table.json().to_vec());
    cluster.node.apply(PartitionId::CLUSTER, vec![(other.0, other.1.clone(), value)]);
    cluster.gateway.drop_database("music", soon()).await.unwrap();
    assert!(cluster.gateway.catalog().database("music").is_none());
    assert!((1..2_101).contains(&left(music.id)), "one transaction does not hold them all");
    // Interrupted by whatever, the next look goes on.
    let mut writes = 0;
    cluster.between(move |question| {
        writes += u32::from(matches!(question, Question::Write(_)));
        (writes > 2).then_some(Err(CallError::Unreachable))
    });
    cluster.sweep().await;
    assert!(left(music.id) > 0);
    assert!(!cluster.gateway.catalog().dropped.is_empty(), "what tells of them stays");
    cluster.between(|_| None);
    cluster.sweep().await;
    assert_eq!(left(music.id), 0);
    assert!(cluster.gateway.catalog().dropped.is_empty());
    assert!(cluster.node.get(PartitionId::CLUSTER, other.0, &other.1).is_some());
}
