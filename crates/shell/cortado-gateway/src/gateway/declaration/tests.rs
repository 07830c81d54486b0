//! What is answered to a declaration, whatever fails before or behind its write.

use super::*;
use crate::catalog::Database;
use crate::database_log::spec_of;
use crate::gateway::DatabaseSpec;
use crate::genesis::genesis_of;
use crate::scripted::{ScriptedCluster, soon};
use cortado_document::TableDefinition;
use cortado_driver::Refused;
use cortado_log::{VerifyError, outcomes_of};
use cortado_model::{ClusterUuid, Generation, ReplicaIncarnation, Scn, Sequence, WallMillis};
use cortado_peer::conformance::{Answer, Question};
use cortado_peer::{CallError, Look, Read, ReadAnswer, Seen, ServedRole, Sight, WriteAnswer};
use cortado_replica::{Body, ChainHash, Claim, ClaimReason, Header, Record, encode};
use parking_lot::Mutex;
use std::collections::BTreeMap;

fn is_write(question: &Question) -> bool {
    matches!(question, Question::Write(_))
}

/// Makes every node unreachable once something has been written.
fn silent_after_a_write(cluster: &ScriptedCluster) {
    let mut written = false;
    cluster.between(move |question| {
        let silent = written;
        written |= is_write(question);
        silent.then_some(Err(CallError::Unreachable))
    });
}

/// Makes every node unreachable after so many questions.
fn silent_after(cluster: &ScriptedCluster, mut questions: u32) {
    cluster.between(move |_| match questions.checked_sub(1) {
        Some(left) => {
            questions = left;
            None
        }
        None => Some(Err(CallError::Unreachable)),
    });
}

fn definition() -> TableDefinition {
    TableDefinition::new(vec!["id".to_owned()], None).unwrap()
}

/// One partition and one table, `song`.
fn spec() -> DatabaseSpec {
    let tables = BTreeMap::from([("song".to_owned(), definition())]);
    DatabaseSpec { partitions: Some(1), tables, ..DatabaseSpec::default() }
}

/// A cluster with the database `music`, where no node answers after the next write.
async fn with_music() -> ScriptedCluster {
    let cluster = ScriptedCluster::new();
    cluster.gateway.create_database("music", spec(), soon()).await.unwrap();
    silent_after_a_write(&cluster);
    cluster
}

#[tokio::test(start_paused = true)]
async fn what_is_declared_is_never_called_not_done() {
    let gateway = with_music().await.gateway;
    let put = gateway.put_table("music", "album", definition(), soon()).await;
    assert!(matches!(put, Ok(Declared::Created(_))), "{put:?}");
    let gateway = with_music().await.gateway;
    gateway.drop_table("music", "song", soon()).await.unwrap();
    let gateway = with_music().await.gateway;
    gateway.drop_database("music", soon()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_creation_that_others_may_finish_is_never_called_not_done() {
    let cluster = with_music().await;
    let create = || cluster.gateway.create_database("films", spec(), soon());
    let check = |created: Result<Declared<_>, AdminError>| {
        let is_open = matches!(created, Err(AdminError::Unknown(Uncertainty::Unfinished(_))));
        assert!(is_open, "{created:?}");
    };
    check(create().await);
    // Nor when it is repeated: of the counter, and of how far `_cluster` is, it still hears.
    silent_after(&cluster, 2);
    check(create().await);
    cluster.between(|_| None);
    let finished = create().await;
    assert!(matches!(finished, Ok(Declared::Existing(_))), "{finished:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_written_is_not_done() {
    let cluster = with_music().await;
    cluster.between(|question| {
        // Further than this node has folded.
        let Question::Read(Read { look: Look::Position, .. }) = question else { return None };
        let applied = Scn { generation: Generation(9), sequence: Sequence(1) };
        let (seen, role) = (Seen::Position(applied), ServedRole::Leader);
        Some(Ok(Answer::Read(ReadAnswer::Seen(Box::new(Sight { seen, applied, role })))))
    });
    let dropped = cluster.gateway.drop_database("music", soon()).await;
    let behind = matches!(dropped, Err(AdminError::NotDone { why: Obstacle::Behind, .. }));
    assert!(behind, "{dropped:?}");
}

#[tokio::test(start_paused = true)]
async fn a_log_that_is_made_after_the_drop_is_removed() {
    let cluster = ScriptedCluster::new();
    let (node, spec_of_log) = (Arc::clone(&cluster.node), Arc::new(Mutex::new(None)));
    let (mut writes, made) = (0, Arc::clone(&spec_of_log));
    let gateway = cluster.gateway.clone();
    cluster.between(move |question| {
        writes += u32::from(is_write(question));
        if is_write(question) && writes == 2 {
            // Its log is begun; before its identity is written down, the database is dropped.
            *made.lock() = gateway.catalog().database("music").map(|music| spec_of(music));
            node.apply(PartitionId::CLUSTER, vec![(DATABASES, key(&["music"]), None)]);
        }
        None
    });
    let created = cluster.gateway.create_database("music", spec(), soon()).await;
    assert!(matches!(created, Err(AdminError::NoSuchDatabase)), "{created:?}");
    let made = spec_of_log.lock().take().expect("its log was begun");
    let left = cluster.gateway.parts().log.verify(&made).await;
    assert!(matches!(left, Err(VerifyError::Missing)), "{left:?}");
}

/// A node that tells of nothing any more has claimed `generation` of partition 0.
async fn claimed(gateway: &Gateway, database: &Database, generation: u32) {
    let header = Header {
        scn: Scn::opening(Generation(generation)),
        node: NodeId(2),
        incarnation: ReplicaIncarnation::default(),
        time: WallMillis(1),
    };
    let claim = Claim { reason: ClaimReason::LeaderDead, evidence: 0, seen: Scn::ZERO };
    let record = Record { header, body: Body::Claim(claim) };
    let partition = genesis_of(database, 0, (ClusterUuid(1), 1)).identity.partition;
    let (bytes, _) = encode(partition, &record, ChainHash::default());
    let mut producer = gateway.parts().log.producer(database.partition_id(0));
    producer.send(vec![bytes]);
    outcomes_of(producer.as_mut(), &mut Vec::new()).await;
}

#[tokio::test(start_paused = true)]
async fn a_re_created_database_begins_above_what_dead_nodes_and_late_claims_came_to() {
    let cluster = ScriptedCluster::new();
    let gateway = cluster.gateway.clone();
    let create = async || match gateway.create_database("music", spec(), soon()).await {
        Ok(Declared::Created(database)) => database,
        other => panic!("{other:?}"),
    };
    let music = create().await;
    // No node tells of it any more, its log does.
    claimed(&gateway, &music, 41).await;
    gateway.drop_database("music", soon()).await.unwrap();
    let music = create().await;
    // A claim that is made when the generations have been asked for is below the next life, too.
    assert!(music.after > Generation(41 + 50), "{:?}", music.after);
    let before = music.after;
    gateway.drop_database("music", soon()).await.unwrap();
    assert!(create().await.after > before);
}

#[tokio::test(start_paused = true)]
async fn a_creation_takes_as_many_tables_as_a_transaction_and_says_so() {
    let cluster = ScriptedCluster::new();
    let create = async |count: u32| {
        let tables = (0..count).map(|number| (format!("t{number}"), definition())).collect();
        let spec = DatabaseSpec { tables, ..spec() };
        cluster.gateway.create_database("music", spec, soon()).await
    };
    let refused = create(999).await.map(|_| ()).expect_err("too many").to_string();
    assert!(refused.contains("at most 998 tables") && refused.contains("one by one"), "{refused}");
    let created = create(998).await;
    assert!(matches!(created, Ok(Declared::Created(_))), "{created:?}");
}

#[tokio::test(start_paused = true)]
async fn what_no_record_holds_is_refused_for_good() {
    let cluster = ScriptedCluster::new();
    cluster.between(|question| {
        let too_large = || Refused::TooLarge { bytes: 20, bytes_max: 16 };
        is_write(question).then(|| Ok(Answer::Write(WriteAnswer::Refused(too_large()))))
    });
    let created = cluster.gateway.create_database("music", spec(), soon()).await;
    let Err(AdminError::Invalid(why)) = created else { panic!("{created:?}") };
    assert!(why.to_string().contains("declare some of the tables later"), "{why}");
}
