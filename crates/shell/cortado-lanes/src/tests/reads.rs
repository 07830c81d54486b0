//! Reads: on the spot or on a reader, never holding up who serves others.

use super::*;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::SendError;
use std::thread::{ThreadId, current};
use tokio::sync::oneshot;
use tokio::task::{JoinSet, yield_now};

fn on_thread(_: &dyn Store) -> Result<(ThreadId, Option<String>), StoreError> {
    Ok((current().id(), current().name().map(str::to_owned)))
}

fn told(sent: Result<(), SendError<&'static str>>) -> Result<(), StoreError> {
    sent.map_err(|_| failed())
}

#[tokio::test]
async fn a_store_that_may_be_read_inline_is() {
    let fixture = Fixture::of(Faulty::new(1, true));
    assert!(fixture.lanes.inline().is_some());
    let (thread, _) = fixture.lanes.read(on_thread).await.unwrap();
    assert_eq!(thread, current().id());
    // But not for long.
    let (thread, _) = fixture.lanes.read_long(on_thread).await.unwrap();
    assert_ne!(thread, current().id());
}

#[tokio::test]
async fn any_other_store_is_read_by_readers() {
    let fixture = Fixture::of(Arc::new(Slow::new(Faulty::new(1, true), 1)));
    assert!(fixture.lanes.inline().is_none());
    let names = [
        fixture.lanes.read(on_thread).await.unwrap().1.unwrap(),
        fixture.lanes.read_long(on_thread).await.unwrap().1.unwrap(),
    ];
    assert!(names.iter().all(|name| name.starts_with("n1-read")), "{names:?}");
    fixture.apply(1, 7);
    assert_eq!(fixture.next(), (1, Ok(())));
    let read = fixture.lanes.read(|store| Ok(applied(store, 1))).await;
    assert_eq!(read, Ok(7));
}

/// A read that waits for something that happens on the same runtime thread.
#[tokio::test]
async fn a_task_that_waits_for_a_reader_lets_others_run() {
    let fixture = Fixture::of(Faulty::new(1, false));
    let (open, gate) = channel();
    let (begin, begun) = oneshot::channel();
    let read = fixture.lanes.read(move |_| {
        begin.send(()).unwrap();
        Ok(gate.recv_timeout(PATIENCE))
    });
    let other = async {
        begun.await.unwrap();
        open.send(7).unwrap();
    };
    assert_eq!(tokio::join!(read, other).0, Ok(Ok(7)));
}

#[tokio::test]
async fn readers_read_at_once_and_no_more_than_there_are() {
    let fixture = Fixture::of(Faulty::new(1, false));
    let together = Arc::new(Barrier::new(readers::READERS));
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut reads = JoinSet::new();
    for _ in 0..20 * readers::READERS {
        let (together, now, most) = (Arc::clone(&together), Arc::clone(&now), Arc::clone(&most));
        let lanes = Arc::clone(&fixture.lanes);
        reads.spawn(async move {
            let work = move |_: &dyn Store| {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                together.wait();
                now.fetch_sub(1, Ordering::SeqCst);
                Ok(())
            };
            lanes.read(work).await
        });
    }
    assert!(reads.join_all().await.iter().all(Result::is_ok));
    assert_eq!(most.load(Ordering::SeqCst), readers::READERS);
}

/// As many reads as the readers take, which wait until the first of the answer is dropped.
async fn all_readers_busy(fixture: &Fixture) -> (Vec<Sender<()>>, JoinSet<Result<(), StoreError>>) {
    let (begin, begun) = channel();
    let (mut gates, mut reads) = (Vec::new(), JoinSet::new());
    for _ in 0..readers::READS_MAX {
        let (open, gate) = channel::<()>();
        gates.push(open);
        let (lanes, begin) = (Arc::clone(&fixture.lanes), begin.clone());
        reads.spawn(async move {
            let work = move |_: &dyn Store| {
                // The first few are counted.
                let _ = begin.send(());
                // Until the other end is gone.
                let _ = gate.recv();
                Ok(())
            };
            lanes.read(work).await
        });
    }
    while room(fixture) > 0 {
        yield_now().await;
    }
    // They do not need this thread any more.
    for _ in 0..readers::READERS {
        begun.recv_timeout(PATIENCE).expect("a reader is free");
    }
    (gates, reads)
}

/// How many reads the readers would still take.
fn room(fixture: &Fixture) -> usize {
    fixture.lanes.readers.as_ref().unwrap().room.available_permits()
}

#[tokio::test]
async fn reads_beyond_the_bound_wait_as_tasks_and_can_give_up() {
    let fixture = Fixture::of(Faulty::new(1, false));
    let (gates, reads) = all_readers_busy(&fixture).await;
    let (see, seen) = channel();
    let see_too = see.clone();
    let mut waits = Box::pin(fixture.lanes.read(move |_| told(see_too.send("waited"))));
    let mut gives_up = Box::pin(fixture.lanes.read(move |_| told(see.send("given up"))));
    for _ in 0..10 {
        tokio::select! {
            biased;
            _ = &mut waits => panic!("there is no room"),
            _ = &mut gives_up => panic!("there is no room"),
            () = yield_now() => {}
        }
    }
    drop(gives_up);
    drop(gates);
    assert_eq!(waits.await, Ok(()));
    assert!(reads.join_all().await.iter().all(Result::is_ok));
    // Ends with the last of those that could tell.
    assert_eq!(seen.iter().collect::<Vec<_>>(), ["waited"]);
    while room(&fixture) < readers::READS_MAX {
        yield_now().await;
    }
}

/// One that has been handed to the readers already.
#[tokio::test]
async fn a_read_that_was_given_up_is_not_made() {
    let fixture = Fixture::of(Faulty::new(1, false));
    let mut busy = Vec::new();
    for _ in 0..readers::READERS {
        let (open, gate) = channel::<()>();
        let (begin, begun) = oneshot::channel();
        let lanes = Arc::clone(&fixture.lanes);
        tokio::spawn(async move {
            let work = move |_: &dyn Store| {
                begin.send(()).unwrap();
                Ok(gate.recv().is_err())
            };
            lanes.read(work).await
        });
        begun.await.unwrap();
        busy.push(open);
    }
    let (see, seen) = channel();
    let mut read = Box::pin(fixture.lanes.read(move |_| told(see.send("made"))));
    tokio::select! {
        biased;
        _ = &mut read => panic!("all readers are busy"),
        () = yield_now() => {}
    }
    drop(read);
    drop(busy);
    // Its turn comes, and passes: what it would have told with is gone.
    assert!(seen.recv_timeout(PATIENCE).is_err());
    assert_eq!(fixture.lanes.read(|_| Ok(7)).await, Ok(7));
}

#[tokio::test]
async fn a_panic_of_a_read_is_only_its_own() {
    for reads_inline in [true, false] {
        let fixture = Fixture::of(Faulty::new(1, reads_inline));
        let read = fixture.lanes.read_long(|_| -> Result<(), _> { panic!("told to") }).await;
        let Err(StoreError::Failed { why }) = read else { panic!("{read:?}") };
        assert!(why.contains("told to"), "{why}");
        assert_eq!(fixture.lanes.read(|_| Ok(7)).await, Ok(7));
        assert!(!fixture.is_broken());
    }
}

#[tokio::test]
async fn an_end_refuses_the_reads_that_wait() {
    let fixture = Fixture::of(Faulty::new(1, false));
    let (gates, reads) = all_readers_busy(&fixture).await;
    let lanes = Arc::clone(&fixture.lanes);
    let beyond = tokio::spawn(async move { lanes.read(|_| Ok(7)).await });
    yield_now().await;
    let lanes = Arc::clone(&fixture.lanes);
    let ending = std::thread::spawn(move || lanes.end());
    assert_eq!(beyond.await.unwrap(), Err(closed()));
    // Only now, so that no reader takes what waits before it is refused.
    while fixture.lanes.readers.as_ref().unwrap().waiting() > 0 {
        yield_now().await;
    }
    drop(gates);
    let (read, refused): (Vec<_>, Vec<_>) =
        reads.join_all().await.into_iter().partition(Result::is_ok);
    assert_eq!(read.len(), readers::READERS, "those at work finish");
    assert!(refused.iter().all(|read| *read == Err(closed())), "{refused:?}");
    ending.join().unwrap();
    assert_eq!(fixture.lanes.read(|_| Ok(7)).await, Err(closed()));
}
