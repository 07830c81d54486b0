//! Documents are written, read, listed and refused as promised, while nothing fails.

use crate::world::{
    N1, N2, N3, World, deadline, document, eventually, eventually_asking, idempotency, key, read,
};
use cortado_document::{
    Condition, DocumentAction, Done, Match, Refusal, Tag, TransactionError, Unmet,
};
use cortado_gateway::{
    Changes, Consistency, ListRequest, ReadOptions, ScanPosition, ScanRequest, ServedRole,
    WriteError,
};
use cortado_log::RECORD_BYTES_MAX;
use cortado_model::{DocumentKey, Scn};
use tokio::time::Instant;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_document_is_read_back_at_every_level() {
    let world = World::start().await;
    let music = world.music(4).await;
    let written = music.put("cher", "believe", r#"{"year":1998}"#).await.unwrap();
    assert_eq!((written.results.as_slice(), written.repeated), (&[Done::Created][..], false));
    for level in [Consistency::Strong, Consistency::Strict] {
        let served = music.get_with("cher", "believe", &read(level)).await.unwrap();
        let found = served.value.unwrap();
        assert_eq!(
            (found.head.etag, found.head.scn, served.role),
            (written.etag, written.scn, ServedRole::Leader)
        );
        assert!(served.applied >= written.scn);
    }
    let session = ReadOptions { at_least: Some(written.scn), ..read(Consistency::Session) };
    for _ in 0..6 {
        // Whichever replica it is: it has waited for the write.
        let served = music.get_with("cher", "believe", &session).await.unwrap();
        assert!(served.value.is_some());
    }
    let bounded = read(Consistency::Bounded { max_lag_ms: 60_000 });
    assert!(music.get_with("cher", "nothing", &bounded).await.unwrap().value.is_none());
    music.await_complete().await;
    let mut nodes = std::collections::BTreeSet::new();
    for _ in 0..6 {
        let served = music.get_with("cher", "believe", &read(Consistency::Eventual)).await.unwrap();
        assert!(served.value.is_some());
        nodes.insert(served.node);
    }
    assert_eq!(nodes.into_iter().collect::<Vec<_>>(), [N1, N2, N3], "reads are spread");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_ahead_of_every_replica_is_told_so() {
    let world = World::start().await;
    let music = world.music(1).await;
    let written = music.put("cher", "believe", "{}").await.unwrap();
    let ahead = Scn::new(written.scn.generation.next(), written.scn.sequence);
    let deadline = Instant::now() + std::time::Duration::from_millis(50);
    let session =
        ReadOptions { consistency: Consistency::Session, at_least: Some(ahead), deadline };
    assert!(music.get_with("cher", "believe", &session).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_write_does_nothing_and_says_why() {
    let world = World::start().await;
    let music = world.music(4).await;
    let first = music.put("cher", "believe", r#"{"n":1}"#).await.unwrap();
    let absent = Condition { if_match: None, if_none_match: Some(Match::Any) };
    let value = document(r#"{"n":2}"#);
    let operation =
        music.operation(key("cher", "believe"), DocumentAction::Put { value }, absent.clone());
    let other = music.putting("cher", "closer", "{}");
    let refused = music.write(vec![other, operation], None).await;
    let refusal = Refusal::ConditionFailed { unmet: Unmet::IfNoneMatch, current: Some(first.etag) };
    assert_eq!(refused, Err(WriteError::Refused { operation: 1, refusal }));
    assert_eq!(music.get("cher", "closer").await, None, "all or nothing");
    assert_eq!(music.get("cher", "believe").await.unwrap(), r#"{"n":1}"#);
    // The same etag that the write answered lets the next one through, once.
    let tags = Match::Tags(vec![Tag::Strong(first.etag)]);
    let still = Condition { if_match: Some(tags), if_none_match: None };
    let value = document(r#"{"n":3}"#);
    let operation = music.operation(key("cher", "believe"), DocumentAction::Put { value }, still);
    assert!(music.write(vec![operation.clone()], None).await.is_ok());
    assert!(matches!(
        music.write(vec![operation], None).await,
        Err(WriteError::Refused { operation: 0, .. })
    ));
    let two = vec![music.putting("cher", "a", "{}"), music.putting("adele", "b", "{}")];
    let cross = TransactionError::CrossResource { operation: 1 };
    assert_eq!(music.write(two, None).await, Err(WriteError::Malformed(cross)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deleting_nothing_is_a_write_only_under_a_key() {
    let world = World::start().await;
    let music = world.music(1).await;
    let written = music.put("cher", "believe", "{}").await.unwrap();
    let delete =
        |title| music.operation(key("cher", title), DocumentAction::Delete, Condition::default());
    let missing = music.write(vec![delete("closer")], None).await.unwrap();
    assert_eq!((missing.results.as_slice(), missing.scn), (&[Done::Missing][..], written.scn));
    // Under a key the answer is remembered, so that a repetition deletes nothing that came later.
    let keyed = || music.write(vec![delete("closer")], Some(idempotency("d", 1)));
    let missing = keyed().await.unwrap();
    assert_eq!((missing.results.as_slice(), missing.repeated), (&[Done::Missing][..], false));
    assert!(missing.scn > written.scn);
    music.put("cher", "closer", "{}").await.unwrap();
    let again = keyed().await.unwrap();
    assert_eq!((again.results, again.scn, again.repeated), (missing.results, missing.scn, true));
    assert!(music.get("cher", "closer").await.is_some());
    // Nothing was changed, so no change is told.
    let (wait, since) = (deadline(), written.scn);
    let mut changes = music.gateway.changes(&music.database, 0, since, wait).await.unwrap();
    let Ok(Changes::Transactions(found)) = changes.next(wait).await else { panic!("one put") };
    assert!(found.iter().all(|committed| committed.scn != missing.scn), "{found:?}");
    let deleted = music.write(vec![delete("believe")], Some(idempotency("e", 1))).await.unwrap();
    assert_eq!((deleted.results.as_slice(), deleted.repeated), (&[Done::Deleted][..], false));
    assert_eq!(music.get("cher", "believe").await, None);
    let etag = music.put("cher", "believe", "{}").await.unwrap().etag;
    assert_ne!(etag, written.etag, "not even after deletion");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn collections_tables_and_batches_show_every_document_once() {
    let world = World::start().await;
    let music = world.music(5).await;
    for artist in ["abba", "cher", "dylan", "elo"] {
        for number in 0..7 {
            music.put(artist, &format!("t{number}"), "{}").await.unwrap();
        }
    }
    let prefix = DocumentKey::from_parts(&["cher"]).unwrap();
    let bytes_max = 1 << 20;
    for descending in [false, true] {
        let mut seen = Vec::new();
        let mut after = None;
        loop {
            let list =
                ListRequest { prefix: prefix.clone(), after, descending, limit: 3, bytes_max };
            let served = music
                .gateway
                .list(&music.database, &music.album, &list, &read(Consistency::Strong))
                .await
                .unwrap();
            seen.extend(served.value.documents.into_iter().map(|(key, _)| key));
            after = served.value.next;
            if after.is_none() {
                break;
            }
        }
        let mut want: Vec<_> = (0..7).map(|number| key("cher", &format!("t{number}"))).collect();
        if descending {
            want.reverse();
        }
        assert_eq!(seen, want);
    }
    for limit in [1, 10, 27, 28, 1_000] {
        let mut keys = Vec::new();
        let mut position = None;
        let mut pages = 0;
        loop {
            let scan = ScanRequest { position, limit, bytes_max };
            let page = music
                .gateway
                .scan(&music.database, &music.album, &scan, &read(Consistency::Strong))
                .await
                .unwrap();
            pages += 1;
            keys.extend(page.documents.into_iter().map(|(_, key, _)| key));
            position = page.next;
            if position.is_none() {
                break;
            }
        }
        assert_eq!(keys.len(), 28, "limit {limit}");
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), 28, "limit {limit}");
        assert!(pages <= 28 / limit + 1 + 5, "{pages} pages of {limit}");
    }
    let wanted = [("cher", "t3"), ("unknown", "t1"), ("elo", "t0"), ("cher", "t9")];
    let keys: Vec<_> =
        wanted.iter().map(|(artist, title)| (music.album.id, key(artist, title))).collect();
    let strong = read(Consistency::Strong);
    let found = music.gateway.batch_get(&music.database, &keys, |_| None, bytes_max, &strong).await;
    let found = found.into_iter().map(|served| served.unwrap().unwrap().value.is_some());
    assert_eq!(found.collect::<Vec<_>>(), [true, false, true, false]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_of_many_documents_ends_where_they_reach_its_bytes() {
    let world = World::start().await;
    let music = world.music(2).await;
    for (artist, title) in [("abba", "1"), ("abba", "2"), ("abba", "3"), ("cher", "1")] {
        music.put(artist, title, &format!("{{\"x\":\"{}\"}}", "y".repeat(1_000))).await.unwrap();
    }
    let strong = read(Consistency::Strong);
    let of_bytes = async |bytes_max: usize| {
        let keys = [("abba", "1"), ("cher", "1"), ("abba", "2"), ("abba", "none"), ("abba", "3")];
        let keys = keys.map(|(artist, title)| (music.album.id, key(artist, title)));
        let batch = music.gateway.batch_get(&music.database, &keys, |_| None, bytes_max, &strong);
        let batch: Vec<_> = batch.await.into_iter().map(|found| found.is_some()).collect();
        let prefix = DocumentKey::from_parts(&["abba"]).unwrap();
        let list = ListRequest { prefix, after: None, descending: false, limit: 10, bytes_max };
        let page = music.gateway.list(&music.database, &music.album, &list, &strong).await.unwrap();
        let scan = ScanRequest { position: None, limit: 10, bytes_max };
        let scanned = music.gateway.scan(&music.database, &music.album, &scan, &strong).await;
        (batch, page.value.documents.len(), scanned.unwrap().documents.len())
    };
    assert_eq!(of_bytes(1).await, (vec![true, false, false, false, false], 1, 1));
    assert_eq!(of_bytes(1_500).await, (vec![true, false, true, false, false], 2, 2));
    // The other resource is read only with what the first one has left.
    assert_eq!(of_bytes(3_500).await, (vec![true; 5], 3, 4));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scan_does_not_end_before_what_cannot_be_read() {
    let world = World::start().await;
    let music = world.music_on(2, Some(1)).await;
    let artists = crate::failovers::one_artist_for_each_partition(&music);
    for artist in &artists {
        music.put(artist, "x", "{}").await.unwrap();
    }
    music.await_complete().await;
    world.nodes.kill(music.leaders().await[1].unwrap()).await.unwrap();
    // The page ends where the partition ends that can be read.
    let scan = ScanRequest { position: None, limit: 1, bytes_max: 1 << 20 };
    let read = ReadOptions { deadline: Instant::now(), ..read(Consistency::Eventual) };
    let page = music.gateway.scan(&music.database, &music.album, &scan, &read).await.unwrap();
    assert_eq!(page.documents.len(), 1);
    assert_eq!(page.next, Some(ScanPosition { partition: 1, after: None }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_is_one_record_at_most() {
    let world = World::start().await;
    let music = world.music(1).await;
    // Sixteen are as large as a record, without all that stands in it beside the documents.
    let value = format!("{{\"a\":\"{}\"}}", "x".repeat(RECORD_BYTES_MAX / 16 - 8));
    let puts =
        |count| (0..count).map(|n| music.putting("cher", &format!("t{n}"), &value)).collect();
    let refused = music.write(puts(16), None).await;
    let Err(WriteError::TooLarge { bytes, bytes_max }) = refused else { panic!("{refused:?}") };
    assert!(bytes > bytes_max && bytes < bytes_max + bytes_max / 16, "{bytes}");
    assert_eq!(bytes_max, RECORD_BYTES_MAX);
    assert_eq!(music.get("cher", "t0").await, None);
    music.write(puts(15), None).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idempotency_key_belongs_to_one_request_of_its_resource() {
    let world = World::start().await;
    let music = world.music(8).await;
    let put = |artist: &str| vec![music.putting(artist, "x", "{}")];
    let first = music.write(put("cher"), Some(idempotency("k", 1))).await.unwrap();
    let again = music.write(put("cher"), Some(idempotency("k", 1))).await.unwrap();
    assert!(again.repeated && !first.repeated);
    assert_eq!((again.scn, again.etag, again.time), (first.scn, first.etag, first.time));
    assert_eq!(again.results, first.results);
    let reused = music.write(put("cher"), Some(idempotency("k", 2))).await;
    assert_eq!(reused, Err(WriteError::KeyReused));
    // The key of another resource is another key, in the same partition too.
    let home = music.partition_of("cher");
    let artists: Vec<String> = (0..40).map(|number| format!("a{number}")).collect();
    for same_partition in [true, false] {
        let fits = |artist: &&String| (music.partition_of(artist) == home) == same_partition;
        let other = artists.iter().find(fits).unwrap();
        let write = music.write(put(other), Some(idempotency("k", 3))).await.unwrap();
        assert!(!write.repeated);
        assert!(music.write(put(other), Some(idempotency("k", 3))).await.unwrap().repeated);
    }
    assert_eq!(music.write(put("cher"), Some(idempotency("k", 3))).await, reused);
    // A refused write is not remembered.
    let absent = Condition { if_match: None, if_none_match: Some(Match::Any) };
    let value = document("{}");
    let create = music.operation(key("cher", "x"), DocumentAction::Put { value }, absent);
    let refused = music.write(vec![create], Some(idempotency("r", 1))).await;
    assert!(matches!(refused, Err(WriteError::Refused { .. })));
    assert!(music.write(put("cher"), Some(idempotency("r", 2))).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_key_used_by_many_at_once_is_one_write() {
    let world = World::start().await;
    let music = world.music(2).await;
    let writers = (0..20).map(|_| {
        let music = music.clone();
        tokio::spawn(async move {
            let put = vec![music.putting("cher", "x", "{}")];
            music.write(put, Some(idempotency("k", 1))).await.unwrap()
        })
    });
    let mut answers = Vec::new();
    for writer in writers.collect::<Vec<_>>() {
        answers.push(writer.await.unwrap());
    }
    assert_eq!(answers.iter().filter(|answer| !answer.repeated).count(), 1);
    assert!(answers.iter().all(|a| a.scn == answers[0].scn && a.etag == answers[0].etag));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_of_many_clients_are_all_there_on_every_replica() {
    let world = World::start().await;
    let music = world.music(4).await;
    let writers = (0..16).map(|writer| {
        let music = music.clone();
        tokio::spawn(async move {
            for number in 0..50 {
                let value = format!("{{\"n\":{number}}}");
                music
                    .put(&format!("w{writer}"), &format!("{}", number % 10), &value)
                    .await
                    .unwrap();
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    for writer in 0..16 {
        for title in 0..10 {
            let found = music.get(&format!("w{writer}"), &format!("{title}")).await;
            assert_eq!(found, Some(format!("{{\"n\":{}}}", 40 + title)));
        }
    }
    music.await_complete().await;
    for number in 0..4 {
        let partition = music.partition_of("w0");
        let partition = cortado_model::PartitionId { number, ..partition };
        let on = |node| crate::world::stored(&world.stores.of(node), &music, partition);
        eventually("replicas hold the same", || on(N1) == on(N2) && on(N2) == on(N3)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_node_is_a_cluster_too() {
    let mut raw = crate::world::settings();
    raw.nodes = 1;
    let world = World::start_with(raw).await;
    let music = world.music(3).await;
    assert_eq!(music.database.replication, 1);
    music.put("cher", "believe", "{}").await.unwrap();
    assert_eq!(music.get("cher", "believe").await, Some("{}".to_owned()));
    world.nodes.kill(N1).await.unwrap();
    world.nodes.start(N1).await.unwrap();
    assert_eq!(music.get("cher", "believe").await, Some("{}".to_owned()));
    music.put("cher", "believe", r#"{"n":2}"#).await.unwrap();
}

/// Where other machines append too, leaders prove themselves by leases and barriers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_of_many_machines_is_read_under_leases() {
    let log = cortado_log::memory::SharedMemoryLog::of_many_machines();
    let world = World::over(log, std::sync::Arc::default(), crate::world::settings()).await;
    let music = world.music(2).await;
    for number in 0..20 {
        let value = format!("{{\"n\":{number}}}");
        music.put("cher", "believe", &value).await.unwrap();
        assert_eq!(music.get("cher", "believe").await.unwrap(), value);
        let strict = music.get_with("cher", "believe", &read(Consistency::Strict)).await.unwrap();
        assert_eq!(strict.value.unwrap().json(), value.as_bytes());
    }
    let partition = music.partition_of("cher");
    let log_grows_for = async |consistency| {
        let end = || world.log.with(|log| log.end(partition));
        let before = end();
        music.get_with("cher", "believe", &read(consistency)).await.unwrap();
        end() > before
    };
    let under_a_lease = async || {
        assert!(log_grows_for(Consistency::Strict).await, "behind a barrier of its own");
        // On a slow machine the lease that comes of it may be over by now.
        !log_grows_for(Consistency::Strong).await
    };
    eventually_asking("a strong read is served under a lease", under_a_lease).await;
    let absent = Condition { if_match: None, if_none_match: Some(Match::Any) };
    let value = document("{}");
    let create = music.operation(key("cher", "believe"), DocumentAction::Put { value }, absent);
    let refused = music.write(vec![create], None).await;
    assert!(matches!(refused, Err(WriteError::Refused { .. })));
    let leader = music.leaders().await[music.partition_of("cher").number as usize].unwrap();
    world.nodes.kill(leader).await.unwrap();
    assert_eq!(music.get("cher", "believe").await.unwrap(), r#"{"n":19}"#);
    music.put("cher", "believe", "{}").await.unwrap();
}
