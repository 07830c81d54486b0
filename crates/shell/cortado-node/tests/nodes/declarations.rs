//! Databases and tables come, change and go; what is declared can be used at once.

use crate::world::{Music, N1, N2, N3, World, deadline, document, eventually, key, read, stored};
use cortado_document::{
    Condition, DocumentAction, MergePatch, Operation, Refusal, SchemaText, TableDefinition,
};
use cortado_gateway::{
    AdminError, ChangesError, Consistency, DatabaseSpec, Declared, ScanRequest, WriteError,
};
use cortado_model::{EntryRange, Generation, PartitionId, Scn, Sequence, TableId};
use cortado_store::Store;
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn table(key: &[&str], schema: Option<Value>) -> TableDefinition {
    let key = key.iter().map(|part| (*part).to_owned()).collect();
    let schema = schema.map(|schema| SchemaText::parse(schema.to_string().as_bytes()).unwrap());
    TableDefinition::new(key, schema).unwrap()
}

fn spec(partitions: Option<u32>) -> DatabaseSpec {
    DatabaseSpec { partitions, ..DatabaseSpec::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_is_created_once_and_can_be_used_at_once() {
    let world = World::start().await;
    let gateway = &world.gateway;
    let create = |name, spec| gateway.create_database(name, spec, deadline());
    let created = create("music", spec(None)).await.unwrap();
    let Declared::Created(database) = created else { panic!("{created:?}") };
    assert_eq!((database.partitions, database.replication), (16, 3));
    assert!(gateway.ready().await.is_ok());
    assert!(matches!(create("music", spec(Some(16))).await, Ok(Declared::Existing(_))));
    let other = create("music", spec(Some(4))).await;
    assert!(matches!(other, Err(AdminError::Conflict { .. })), "{other:?}");
    assert!(matches!(create("Music", spec(None)).await, Err(AdminError::BadName)));
    for partitions in [0, 1_025] {
        let invalid = create("many", spec(Some(partitions))).await;
        assert!(matches!(invalid, Err(AdminError::Invalid { .. })));
    }
    let crowded = DatabaseSpec { replication: Some(4), ..DatabaseSpec::default() };
    assert!(matches!(create("many", crowded).await, Err(AdminError::Invalid { .. })));
    // Leaders and replicas are even over the nodes.
    let leads = |node| (0..16).filter(|n| database.placement(*n)[0] == node).count();
    assert!((5..=6).contains(&leads(N1)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_who_create_the_same_create_one() {
    let world = World::start().await;
    let create = || {
        let gateway = world.gateway.clone();
        tokio::spawn(async move {
            gateway.create_database("music", spec(Some(2)), deadline()).await.unwrap()
        })
    };
    let creating: Vec<_> = (0..8).map(|_| create()).collect();
    let mut created = 0;
    for declared in creating {
        created += usize::from(matches!(declared.await.unwrap(), Declared::Created(_)));
    }
    assert_eq!(created, 1);
    let other = world.gateway.create_database("books", spec(Some(1)), deadline()).await.unwrap();
    let Declared::Created(other) = other else { panic!("{other:?}") };
    let music = world.gateway.catalog().database("music").unwrap().id;
    assert_ne!(other.id, music);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schema_is_enforced_and_may_only_widen() {
    let world = World::start().await;
    let music = world.music(1).await;
    let gateway = &world.gateway;
    let put = |definition| gateway.put_table("music", "song", definition, deadline());
    let year = json!({"type": "object", "properties": {"year": {"type": "integer"}}});
    let created = put(table(&["artist", "title"], Some(year.clone()))).await.unwrap();
    let Declared::Created(song) = created else { panic!("{created:?}") };
    assert_eq!(song.schema_version, 1);
    let writing = |value: &str| {
        let action = cortado_document::DocumentAction::Put { value: document(value) };
        let condition = cortado_document::Condition::default();
        let key = key("cher", "x");
        vec![cortado_document::Operation { table: song.id, key, action, condition }]
    };
    let database = std::sync::Arc::clone(gateway.catalog().database("music").unwrap());
    let music = Music { database, ..music };
    assert!(music.write(writing(r#"{"year":1998}"#), None).await.is_ok());
    let refused = music.write(writing(r#"{"year":"1998"}"#), None).await;
    assert!(matches!(
        refused,
        Err(WriteError::Refused { operation: 0, refusal: Refusal::SchemaViolated(_) })
    ));
    assert!(matches!(
        put(table(&["artist", "title"], Some(year))).await,
        Ok(Declared::Existing(_))
    ));
    let wider = json!({"type": "object", "properties": {"year": {"type": ["integer", "string"]}}});
    let changed = put(table(&["artist", "title"], Some(wider))).await.unwrap();
    let Declared::Changed(song) = changed else { panic!("{changed:?}") };
    assert_eq!(song.schema_version, 2);
    let narrower = json!({"type": "object", "required": ["year"]});
    for conflict in [table(&["artist", "title"], Some(narrower)), table(&["artist"], None)] {
        assert!(matches!(put(conflict).await, Err(AdminError::Conflict { .. })));
    }
    let remote = json!({"$ref": "https://example.org/schema"});
    let invalid = gateway.put_table("music", "other", table(&["a"], Some(remote)), deadline());
    assert!(matches!(invalid.await, Err(AdminError::Invalid { .. })));
    let nowhere = gateway.put_table("books", "other", table(&["a"], None), deadline());
    assert!(matches!(nowhere.await, Err(AdminError::NoSuchDatabase)));
}

/// Values of two thousand patterns for each of ten thousand members are not looked at.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_takes_too_many_steps_is_refused_however_it_comes_about() {
    let world = World::start().await;
    let music = world.music(1).await;
    let patterns = (0..2_000).map(|n| (format!("x{n}$"), json!({"type": "string"})));
    let schema = json!({"patternProperties": Value::Object(patterns.collect())});
    let definition = table(&["artist", "title"], Some(schema));
    let declared = world.gateway.put_table("music", "song", definition, deadline()).await;
    let Ok(Declared::Created(song)) = declared else { panic!("{declared:?}") };
    let database = std::sync::Arc::clone(world.gateway.catalog().database("music").unwrap());
    let music = Music { database, ..music };
    let write = |action| {
        let condition = Condition::default();
        vec![Operation { table: song.id, key: key("cher", "x"), action, condition }]
    };
    let members: Vec<String> = (0..10_000).map(|n| format!("\"member{n}\":1")).collect();
    let wide = format!("{{{}}}", members.join(","));
    let too_expensive = |refused: Result<_, WriteError>| {
        let refusal = Refusal::SchemaTooExpensive;
        matches!(refused, Err(WriteError::Refused { refusal: why, .. }) if why == refusal)
    };
    let put = || write(DocumentAction::Put { value: document(&wide) });
    let merge = || {
        let patch = MergePatch::parse(wide.as_bytes()).unwrap();
        write(DocumentAction::Merge { patch })
    };
    let (refused, other) = tokio::join!(music.write(put(), None), music.put("cher", "y", "{}"));
    assert!(too_expensive(refused) && other.is_ok());
    assert!(matches!(
        music.write(merge(), None).await,
        Err(WriteError::Refused { refusal: Refusal::Missing, .. })
    ));
    let small = write(DocumentAction::Put { value: document("{}") });
    assert!(music.write(small, None).await.is_ok());
    assert!(too_expensive(music.write(merge(), None).await));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_table_is_emptied_and_its_name_free_again() {
    let world = World::start().await;
    let music = world.music(2).await;
    for number in 0..30 {
        music.put(&format!("a{number}"), "x", "{}").await.unwrap();
    }
    let gateway = &world.gateway;
    gateway.drop_table("music", "album", deadline()).await.unwrap();
    let again = gateway.drop_table("music", "album", deadline()).await;
    assert!(matches!(again, Err(AdminError::NoSuchTable)));
    let old = music.album.clone();
    let partitions = [0, 1].map(|number| PartitionId { database: music.database.id, number });
    eventually("the old table's documents are gone from every store", || {
        partitions.iter().all(|partition| {
            [1, 2, 3].iter().all(|node| {
                let store = world.stores.of(cortado_model::NodeId(*node));
                crate::world::stored(&store, &music, *partition).is_empty()
            })
        })
    })
    .await;
    let created = gateway.put_table("music", "album", table(&["artist"], None), deadline()).await;
    let Ok(Declared::Created(new)) = created else { panic!("{created:?}") };
    assert_ne!(new.id, old.id);
    let database = gateway.catalog().database("music").unwrap().clone();
    assert_eq!(database.table_by_id(old.id).unwrap().name, "album", "for change streams");
    let scan = ScanRequest { position: None, limit: 10, bytes_max: 8 << 20 };
    let page = gateway.scan(&database, &new, &scan, &read(Consistency::Strong)).await.unwrap();
    assert!(page.documents.is_empty() && page.next.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_database_leaves_nothing_behind() {
    let world = World::start().await;
    let music = world.music(2).await;
    music.put("cher", "x", "{}").await.unwrap();
    // One node sleeps through it.
    world.nodes.kill(N1).await.unwrap();
    world.gateway.drop_database("music", deadline()).await.unwrap();
    let again = world.gateway.drop_database("music", deadline()).await;
    assert!(matches!(again, Err(AdminError::NoSuchDatabase)));
    // A client that still uses it is told so.
    assert_eq!(music.put("cher", "y", "{}").await, Err(WriteError::NoSuchDatabase));
    let eventual = read(Consistency::Eventual);
    assert!(music.get_with("cher", "x", &eventual).await.is_err());
    world.nodes.start(N1).await.unwrap();
    let partition = music.partition_of("cher");
    eventually("logs and stores are empty", || {
        let stored = [1, 2, 3].iter().any(|node| {
            let store = world.stores.of(cortado_model::NodeId(*node));
            cortado_store::Store::partitions(store.as_ref()).unwrap().contains(&partition)
        });
        !stored && world.log.with(|log| log.end(partition)).0 == 0
    })
    .await;
    let reborn = world.music(2).await;
    assert_ne!(
        (reborn.database.id, reborn.database.uuid),
        (music.database.id, music.database.uuid)
    );
    assert_eq!(reborn.get("cher", "x").await, None);
    reborn.put("cher", "x", "{}").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_re_created_database_goes_on_with_the_generations_of_the_dropped_one() {
    let world = World::start().await;
    let mut music = world.music(2).await;
    let mut generation = Generation(0);
    let mut tokens = Vec::new();
    for life in 0..3 {
        let partition = music.partition_of("cher").number;
        music.await_leaders(&[N1, N2, N3]).await;
        music.await_complete().await;
        if life == 1 {
            world.gateway.hand_off(&music.database, partition, None, deadline()).await.unwrap();
        }
        let put = vec![music.putting("cher", "x", "{}")];
        let key = Some(crate::world::idempotency("k", 7));
        let written = music.write(put, key).await.unwrap();
        assert!(!written.repeated, "an answer of a former life");
        assert!(written.scn.generation > generation, "{} follows {generation}", written.scn);
        let changes = async |since| {
            world.gateway.changes(&music.database, partition, since, deadline()).await
        };
        for former in &tokens {
            let read = changes(*former).await.map(drop);
            assert!(matches!(read, Err(ChangesError::FormerLife { .. })), "{read:?}");
        }
        for since in [Scn::ZERO, Scn::new(written.scn.generation, Sequence(0)), written.scn] {
            assert!(changes(since).await.is_ok(), "{since}");
        }
        tokens.push(written.scn);
        tokens.push(Scn::new(written.scn.generation, Sequence(1_000)));
        let status = music.partitions().await;
        generation = status.iter().map(|partition| partition.generation).max().unwrap();
        world.gateway.drop_database("music", deadline()).await.unwrap();
        music = world.music(2).await;
        music.await_leaders(&[N1, N2, N3]).await;
        let reborn = music.partitions().await;
        let first = reborn.iter().map(|partition| partition.generation).min().unwrap();
        assert!(first > generation, "{first} follows {generation}");
    }
    // All of that is known after a restart.
    let (log, stores) = world.shutdown().await;
    let world = World::over(log, stores, crate::world::settings()).await;
    let music = Music::again(&world);
    let partition = music.partition_of("cher").number;
    music.put("cher", "x", "{}").await.unwrap();
    let read = world.gateway.changes(&music.database, partition, tokens[4], deadline()).await;
    assert!(matches!(read.map(drop), Err(ChangesError::FormerLife { .. })));
}

/// As if a node had not heard that the database was dropped when its log was removed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_outlives_its_log_acknowledges_nothing_and_begins_no_other() {
    let world = World::start().await;
    let music = world.music(1).await;
    music.put("cher", "x", "{}").await.unwrap();
    music.await_complete().await;
    let partition = music.partition_of("cher");
    world.log.with(|log| log.remove_now(partition.database));
    let held = || [N1, N2, N3].map(|node| stored(&world.stores.of(node), &music, partition).len());
    let dropping = async {
        // It has met that the log is gone; and has thrown nothing away for that.
        let missed = || crate::failovers::metric(&world, "cortado_appends_failed_total") > 0;
        eventually("an append has failed", missed).await;
        assert_eq!(held(), [1, 1, 1]);
        world.gateway.drop_database("music", deadline()).await.unwrap();
        eventually("the stores are empty", || held() == [0, 0, 0]).await;
    };
    let (written, ()) = tokio::join!(music.put("cher", "y", "{}"), dropping);
    assert!(written.is_err(), "{written:?}");
    assert_eq!(world.log.with(|log| log.end(partition)).0, 0);
}

/// Databases and tables that are declared side by side, through a door of every node.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_declared_side_by_side_shares_no_identity() {
    let world = World::start().await;
    world.gateway.create_database("shared", spec(Some(1)), deadline()).await.unwrap();
    let doors: Vec<_> =
        [N1, N2, N3].into_iter().filter_map(|node| world.nodes.gateway(node)).collect();
    let mut declaring = tokio::task::JoinSet::new();
    for number in 0..9 {
        let (door, other) = (doors[number % 3].clone(), doors[(number + 1) % 3].clone());
        declaring.spawn(async move {
            let name = format!("d{number}");
            door.create_database(&name, spec(Some(1)), deadline()).await.unwrap();
        });
        declaring.spawn(async move {
            let name = format!("t{number}");
            other.put_table("shared", &name, table(&["key"], None), deadline()).await.unwrap();
        });
    }
    while let Some(declared) = declaring.join_next().await {
        declared.unwrap();
    }
    // Whatever the router has heard by itself, a declaration through it shows them all.
    world.gateway.create_database("last", spec(Some(1)), deadline()).await.unwrap();
    let catalog = world.gateway.catalog();
    let databases = || catalog.databases().filter(|database| !database.is_system());
    let ids: BTreeSet<_> = databases().map(|database| database.id).collect();
    assert_eq!((databases().count(), ids.len()), (11, 11));
    let shared = catalog.database("shared").unwrap();
    let ids: BTreeSet<_> = shared.tables().map(|table| table.id).collect();
    assert_eq!((shared.tables().count(), ids.len()), (9, 9));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_with_more_tables_than_a_transaction_takes_is_dropped_with_all_of_them() {
    let world = World::start().await;
    let gateway = &world.gateway;
    let tables = (0..998).map(|number| (format!("t{number}"), table(&["id"], None)));
    let many = DatabaseSpec { tables: tables.collect(), ..spec(Some(1)) };
    let created = gateway.create_database("many", many.clone(), deadline()).await.unwrap();
    let Declared::Created(database) = created else { panic!("{created:?}") };
    let id = database.id.0.to_string();
    for number in 998..1_003 {
        let name = format!("t{number}");
        gateway.put_table("many", &name, table(&["id"], None), deadline()).await.unwrap();
    }
    // The documents of `_cluster` that declare its tables, as the stores hold them.
    let declared = || {
        let tables = EntryRange::documents(TableId(3), &[]);
        let count = |node| {
            let view = world.stores.of(node).view(PartitionId::CLUSTER).unwrap();
            let keys = view.documents(&tables).map(|found| found.unwrap().0);
            keys.filter(|key| key.parts().next() == Some(id.as_str())).count()
        };
        [N1, N2, N3].map(count)
    };
    eventually("all tables are declared", || declared() == [1_003; 3]).await;
    gateway.drop_database("many", deadline()).await.unwrap();
    assert!(gateway.catalog().database("many").is_none());
    eventually("no table is left", || declared() == [0; 3]).await;
    // Its name can be used again, and its tables with it.
    let again = gateway.create_database("many", many, deadline()).await.unwrap();
    assert!(matches!(again, Declared::Created(_)), "{again:?}");
}
