//! Bulks across partitions, deaths of their leaders and repetitions.

use crate::failovers::one_artist_for_each_partition;
use crate::world::{Music, N1, N2, N3, World, deadline};
use bytes::Bytes;
use cortado_document::Done;
use cortado_gateway::{BulkKey, BulkOperation, BulkRequest, WriteError, WriteReceipt};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What became of puts of `value` by some artists, two titles each.
async fn bulk(
    music: &Music,
    artists: &[String],
    value: u64,
    key: Option<&str>,
) -> Vec<Result<WriteReceipt, WriteError>> {
    let titles = artists.iter().flat_map(|artist| ["a", "b"].map(|title| (artist, title)));
    let operations = titles.zip(0..).map(|((artist, title), index)| {
        let operation = music.putting(artist, title, &format!("{{\"n\":{value}}}"));
        BulkOperation { operation, index, fingerprint: u128::from(value) }
    });
    let key = key.map(|key| Bytes::copy_from_slice(key.as_bytes()));
    let request = BulkRequest {
        operations: operations.collect(),
        idempotency: key.map(|key| BulkKey { key, ttl_ms: 60_000 }),
        deadline: deadline(),
    };
    music.gateway.bulk(&music.database, request).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bulk_is_one_record_of_each_partition_that_it_writes_to() {
    let world = World::start().await;
    let music = world.music(8).await;
    music.await_leaders(&[N1, N2, N3]).await;
    let artists = one_artist_for_each_partition(&music);
    let first = bulk(&music, &artists, 1, Some("k")).await;
    let places: BTreeSet<_> =
        first.iter().map(|it| it.as_ref().map(|it| (it.partition, it.scn)).unwrap()).collect();
    assert_eq!((first.len(), places.len()), (16, 8));
    assert!(first.iter().all(|it| it.as_ref().unwrap().results == [Done::Created]));
    // Its repetition is answered alike; other clients may have written meanwhile.
    bulk(&music, &artists, 2, None).await;
    let again = bulk(&music, &artists, 1, Some("k")).await;
    for (first, again) in first.into_iter().zip(again) {
        assert_eq!(again.unwrap(), WriteReceipt { repeated: true, ..first.unwrap() });
    }
    assert_eq!(music.get(&artists[3], "b").await.as_deref(), Some("{\"n\":2}"));
    world.shutdown().await;
}

/// Bulks under keys go on while leaders die: every operation is done once, in order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bulks_under_keys_survive_the_death_of_their_leaders() {
    let world = World::start().await;
    let music = world.music(6).await;
    music.await_leaders(&[N1, N2, N3]).await;
    let artists = one_artist_for_each_partition(&music);
    let (ending, done) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
    let client = tokio::spawn({
        let (music, artists) = (music.clone(), artists.clone());
        let (ending, done) = (Arc::clone(&ending), Arc::clone(&done));
        async move {
            for number in 1_u64.. {
                let ended = bulk(&music, &artists, number, Some(&format!("k{number}"))).await;
                assert!(ended.iter().all(Result::is_ok), "{ended:?}");
                done.store(number, Ordering::Relaxed);
                if ending.load(Ordering::Relaxed) {
                    return number;
                }
            }
            unreachable!("numbers do not end")
        }
    });
    let more = async |count: u64| {
        let before = done.load(Ordering::Relaxed);
        let enough = || done.load(Ordering::Relaxed) >= before + count || client.is_finished();
        crate::world::eventually("bulks go on", enough).await;
    };
    more(20).await;
    world.nodes.kill(N1).await.unwrap();
    music.await_leaders(&[N2, N3]).await;
    more(20).await;
    ending.store(true, Ordering::Relaxed);
    let last = client.await.unwrap();
    for artist in &artists {
        for title in ["a", "b"] {
            let value = music.get(artist, title).await;
            assert_eq!(value, Some(format!("{{\"n\":{last}}}")), "{artist}/{title}");
        }
    }
    world.shutdown().await;
}
