//! Change streams show every committed transaction once, in order, from wherever one resumes.

use crate::world::{Music, World, deadline, settings};
use cortado_gateway::{ChangeReader, Changes, ChangesError};
use cortado_model::{Generation, LogOffset, Scn, Sequence};
use tokio::time::Instant;

async fn open(music: &Music, since: Scn) -> Result<ChangeReader, ChangesError> {
    music.gateway.changes(&music.database, 0, since, deadline()).await
}

/// Everything committed after `since`: places, and the first value of each.
async fn read_all(music: &Music, since: Scn) -> (Vec<(Scn, String)>, Scn) {
    let mut reader = open(music, since).await.unwrap();
    let mut seen = Vec::new();
    loop {
        match reader.next(Instant::now()).await.unwrap() {
            Changes::Transactions(transactions) => {
                for committed in transactions {
                    let document = committed.transaction.changes[0].document.as_ref();
                    let value = document.map(|d| d.json().to_vec()).unwrap_or_default();
                    seen.push((committed.scn, String::from_utf8(value).unwrap()));
                }
            }
            Changes::CaughtUp { applied } => return (seen, applied),
        }
    }
}

async fn fill(music: &Music, from: usize, count: usize) -> Vec<(Scn, String)> {
    let mut written = Vec::new();
    for number in from..from + count {
        let value = format!("{{\"n\":{number}}}");
        let done = music.put("cher", &format!("t{}", number % 10), &value).await.unwrap();
        written.push((done.scn, value));
    }
    written
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_resumes_exactly_where_it_was() {
    let world = World::start().await;
    let music = world.music(1).await;
    let mut written = fill(&music, 0, 30).await;
    world.nodes.kill(music.leaders().await[0].unwrap()).await.unwrap();
    // Another generation, and enough records for bookmarks to be used.
    written.extend(fill(&music, 30, 1_200).await);
    let (seen, end) = read_all(&music, Scn::ZERO).await;
    assert_eq!(seen, written);
    assert!(end >= written.last().unwrap().0);
    for cut in [0, 1, 29, 30, 31, 700, 1_228, 1_229] {
        let (seen, _) = read_all(&music, written[cut].0).await;
        assert_eq!(seen, written[cut + 1..], "after {}", written[cut].0);
    }
    // A place that holds no transaction will do as well.
    let between = Scn::opening(written[30].0.generation);
    assert_eq!(read_all(&music, between).await.0, written[30..]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_waiting_reader_hears_of_the_next_transaction() {
    let world = World::start().await;
    let music = world.music(1).await;
    let written = fill(&music, 0, 3).await;
    let mut reader = open(&music, written[2].0).await.unwrap();
    let caught_up = reader.next(Instant::now()).await.unwrap();
    assert!(matches!(caught_up, Changes::CaughtUp { applied } if applied >= written[2].0));
    let waiting = tokio::spawn(async move { reader.next(deadline()).await });
    let more = fill(&music, 3, 1).await;
    match waiting.await.unwrap().unwrap() {
        Changes::Transactions(transactions) => assert_eq!(transactions[0].scn, more[0].0),
        other @ Changes::CaughtUp { .. } => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_followed_is_refused() {
    let mut raw = settings();
    raw.trim_after_records = 1_000;
    let world = World::start_with(raw).await;
    let music = world.music(1).await;
    let written = fill(&music, 0, 2_200).await;
    let beyond = Scn::new(Generation(9), Sequence(1));
    assert!(matches!(open(&music, beyond).await, Err(ChangesError::BeyondEnd { .. })));
    let elsewhere = music.gateway.changes(&music.database, 1, Scn::ZERO, deadline()).await;
    assert!(matches!(elsewhere, Err(ChangesError::NoSuchPartition)));
    // The log has grown past its limit by itself: rounds of digests have let it forget.
    let partition = music.partition_of("cher");
    let first = || world.log.with(|log| log.first(partition));
    crate::world::eventually("the log is trimmed", || first() > LogOffset(900)).await;
    assert!(matches!(open(&music, Scn::ZERO).await, Err(ChangesError::Trimmed { .. })));
    let last = written.len() - 1;
    assert_eq!(read_all(&music, written[last - 1].0).await.0, written[last..]);
}
