//! A follower for logs that can be read at any time and show their end.
//!
//! Start reading at [`PullFollower`].

use crate::{Follower, LogPage, LogReadError, Pending};
use cortado_model::{LogOffset, LogPosition};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::sync::watch;

/// What a read answers.
type Reading = Pending<Result<LogPage, LogReadError>>;

/// Reads up to so many bytes from a position on.
type Read = Box<dyn Fn(LogPosition, usize) -> Reading + Send>;

/// Reads whenever the end has moved; holds nothing that has not been taken.
pub struct PullFollower {
    read: Read,
    end: watch::Receiver<LogOffset>,
    /// Resolves when `end` has moved since it was last looked at.
    moved: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    position: LogPosition,
    reading: Option<Reading>,
}

impl PullFollower {
    /// Follows from `from` on by `read`, whenever `end` shows another end than the position: a log
    /// that has lost records, or was removed, says so when it is read.
    pub fn new(
        read: impl Fn(LogPosition, usize) -> Reading + Send + 'static,
        end: watch::Receiver<LogOffset>,
        from: LogPosition,
    ) -> PullFollower {
        PullFollower { read: Box::new(read), end, moved: None, position: from, reading: None }
    }
}

impl Follower for PullFollower {
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            if self.reading.is_some() || *self.end.borrow_and_update() != self.position.offset {
                return Poll::Ready(());
            }
            let moved = self.moved.get_or_insert_with(|| {
                let mut end = self.end.clone();
                Box::pin(async move {
                    if end.changed().await.is_err() {
                        // The log is closed: nothing will ever come.
                        std::future::pending::<()>().await;
                    }
                })
            });
            ready!(moved.as_mut().poll(context));
            self.moved = None;
        }
    }

    fn poll_page(
        &mut self,
        context: &mut Context<'_>,
        bytes_max: usize,
    ) -> Poll<Result<LogPage, LogReadError>> {
        ready!(self.poll_ready(context));
        let reading = self.reading.get_or_insert_with(|| (self.read)(self.position, bytes_max));
        let page = ready!(reading.as_mut().poll(context));
        self.reading = None;
        if let Ok(page) = &page {
            self.position = page.next;
        }
        Poll::Ready(page)
    }

    fn seek(&mut self, to: LogPosition) {
        if to != self.position {
            self.reading = None;
            self.position = to;
        }
    }

    fn known_end(&mut self) -> LogOffset {
        *self.end.borrow_and_update()
    }
}
