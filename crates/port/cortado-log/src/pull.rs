//! A follower for logs that can be read at any time and show their end.
//!
//! Start reading at [`PullFollower`].

use crate::{Follower, Page, Pending, ReadError};
use cortado_model::{LogOffset, Position};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::sync::watch;

/// Reads up to so many bytes from a position on.
type Read = Box<dyn Fn(Position, usize) -> Pending<Result<Page, ReadError>> + Send>;

/// Reads whenever the end has moved; holds nothing that has not been taken.
pub struct PullFollower {
    read: Read,
    end: watch::Receiver<LogOffset>,
    /// Resolves when `end` has moved since it was last looked at.
    moved: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    position: Position,
    reading: Option<Pending<Result<Page, ReadError>>>,
}

impl PullFollower {
    /// Follows from `from` on by `read`, whenever `end` shows another end than the position: a log
    /// that has lost records, or was removed, says so when it is read.
    pub fn new(
        read: impl Fn(Position, usize) -> Pending<Result<Page, ReadError>> + Send + 'static,
        end: watch::Receiver<LogOffset>,
        from: Position,
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
    ) -> Poll<Result<Page, ReadError>> {
        ready!(self.poll_ready(context));
        let reading = self.reading.get_or_insert_with(|| (self.read)(self.position, bytes_max));
        let page = ready!(reading.as_mut().poll(context));
        self.reading = None;
        if let Ok(page) = &page {
            self.position = page.next;
        }
        Poll::Ready(page)
    }

    fn seek(&mut self, to: Position) {
        if to != self.position {
            self.reading = None;
            self.position = to;
        }
    }

    fn known_end(&mut self) -> LogOffset {
        *self.end.borrow_and_update()
    }
}
