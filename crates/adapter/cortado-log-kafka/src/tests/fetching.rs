//! A consumer on the mock cluster.

use super::mock::{Mock, outcomes, send};
use crate::feed::ReaderId;
use crate::feed_cell::{FeedCell, Found};
use crate::fetcher::Fetcher;
use cortado_log::conformance::block_on;
use cortado_model::{LogOffset, LogPosition};
use std::future::poll_fn;
use std::sync::Arc;
use tokio::sync::mpsc::unbounded_channel;

const READER: ReaderId = ReaderId(1);

/// The texts that come from `position` on, and where to go on.
fn read(cell: &FeedCell, position: &mut LogPosition) -> Vec<String> {
    let next = poll_fn(|context| cell.poll_ready(context, READER, position.offset.0));
    block_on(next);
    let (Some(Found::Page(page)), _) = cell.take(READER, *position, 1 << 20) else {
        panic!("nothing fails here");
    };
    *position = page.next;
    page.entries.iter().map(|entry| entry.record.escape_ascii().to_string()).collect()
}

#[test]
fn a_consumer_that_is_made_anew_goes_on_where_the_former_stood() {
    let mock = Mock::new(1);
    let (sender, mut troubles) = unbounded_channel();
    let fetcher = Fetcher::start(&mock.settings, 0, sender).unwrap();
    let mut producer = mock.producer(0);
    for text in ["a", "b", "c"] {
        send(&mut producer, text);
        assert_eq!(outcomes(&mut producer), "a");
    }
    // It is told to begin at the second.
    let log = producer.log().unwrap();
    let cell = Arc::new(FeedCell::new(log, 0, (1, None), None, Arc::default()));
    let mut position = LogPosition { offset: LogOffset(1), epoch: 0 };
    assert!(cell.join(READER, 1));
    fetcher.fill(&cell);
    let mut seen = Vec::new();
    while seen.len() < 2 {
        seen.extend(read(&cell, &mut position));
    }
    fetcher.renew();
    send(&mut producer, "d");
    assert_eq!(outcomes(&mut producer), "a");
    seen.extend(read(&cell, &mut position));
    assert_eq!(seen, ["b", "c", "d"]);
    assert_eq!(position.offset, LogOffset(4));
    fetcher.leave(&cell);
    drop(fetcher);
    // The thread ends, and nothing was found wrong.
    assert!(troubles.blocking_recv().is_none());
}
