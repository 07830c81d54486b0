//! Driving a balanced service in a task of its own.

use super::discovery::Discovery;
use super::{Balance, Shell};
use crate::balancer::Balancer;
use crate::load::LoadMetric;
use futures_core::Stream;
use pin_project_lite::pin_project;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, Weak};
use std::task::{Context, Poll};
use tower::discover::Discover;

pin_project! {
    /// Looks after the endpoints of a [`Balance`] until its last handle is gone.
    #[must_use = "a future does nothing until it is polled"]
    pub struct Background<D: Discover, Req, M: LoadMetric, T> {
        #[pin]
        ticks: T,
        balancer: Balancer<D::Key, D::Service, M>,
        shell: Weak<Shell<D, Req, M>>,
    }

    impl<D: Discover, Req, M: LoadMetric, T> PinnedDrop for Background<D, Req, M, T> {
        /// Callers drive again.
        fn drop(this: Pin<&mut Self>) {
            if let Some(shell) = this.project().shell.upgrade() {
                shell.is_driven.store(false, Ordering::Relaxed);
            }
        }
    }
}

impl<D, Req, M, C> Balance<D, Req, M, C>
where
    D: Discovery<Req>,
    M: LoadMetric,
{
    /// A future that does everything but picking, to be given to a task of its own. While it
    /// exists, callers do nothing but pick.
    ///
    /// `ticks` should yield some twenty times a second: a timer of whatever runtime there is. The
    /// future ends at the first tick after the last handle is gone. With it, callers take the time
    /// from the ticks, unless the metric needs durations.
    pub fn background<T: Stream<Item = ()>>(&self, ticks: T) -> Background<D, Req, M, T> {
        self.shell.is_driven.store(true, Ordering::Relaxed);
        let (balancer, shell) = (self.balancer.clone(), Arc::downgrade(&self.shell));
        Background { ticks, balancer, shell }
    }

    /// Drives it by a task of tokio's.
    ///
    /// # Panics
    /// Outside a runtime of tokio with a timer.
    #[cfg(feature = "tokio")]
    pub fn spawn(&self) -> tokio::task::JoinHandle<()>
    where
        D: Send + 'static,
        D::Service: Send + Sync + 'static,
        Req: 'static,
    {
        let mut interval = tokio::time::interval(super::TICK);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        tokio::spawn(self.background(Ticks { interval }))
    }
}

#[cfg(feature = "tokio")]
struct Ticks {
    interval: tokio::time::Interval,
}

#[cfg(feature = "tokio")]
impl Stream for Ticks {
    type Item = ();

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<()>> {
        self.interval.poll_tick(cx).map(|_| Some(()))
    }
}

impl<D, Req, M, T> Future for Background<D, Req, M, T>
where
    D: Discovery<Req>,
    M: LoadMetric,
    T: Stream<Item = ()>,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        // Ticks that have piled up are one.
        loop {
            match this.ticks.as_mut().poll_next(cx) {
                Poll::Ready(Some(())) => {}
                Poll::Ready(None) => return Poll::Ready(()),
                Poll::Pending => break,
            }
        }
        let Some(shell) = this.shell.upgrade() else { return Poll::Ready(()) };
        shell.notifier.wait_in_background(cx.waker());
        let mut driver = shell.driver.lock().unwrap_or_else(PoisonError::into_inner);
        let now = shell.clock.now();
        shell.drive(&mut driver, this.balancer, now, cx);
        Poll::Pending
    }
}

impl<D: Discover, Req, M: LoadMetric, T> std::fmt::Debug for Background<D, Req, M, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Background").finish_non_exhaustive()
    }
}
