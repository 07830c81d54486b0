//! The connections of a listener: how many there are, and which one makes room for another.
//!
//! Start reading at [`OpenConnections`].

use crate::pulse::Pulse;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, timeout_at};
use tracing::error;

/// How long a new connection waits for the place of an idle one.
const ROOM_TIME: Duration = Duration::from_secs(1);

/// The tasks of all open connections.
#[derive(Debug, Default)]
pub(crate) struct OpenConnections {
    tasks: JoinSet<()>,
    /// Of those that were not asked to leave.
    pulses: HashMap<Id, Arc<Pulse>>,
}

impl OpenConnections {
    pub(crate) fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Adds one.
    ///
    /// * `serving`: runs until the connection has ended, which `pulse` tells of meanwhile.
    pub(crate) fn add(
        &mut self,
        pulse: Arc<Pulse>,
        serving: impl Future<Output = ()> + Send + 'static,
    ) {
        let task = self.tasks.spawn(serving);
        self.pulses.insert(task.id(), pulse);
    }

    /// Waits for the end of one. Never ends if there is none.
    pub(crate) async fn one_ends(&mut self) {
        match self.tasks.join_next_with_id().await {
            Some(ended) => self.forget(ended),
            None => std::future::pending().await,
        }
    }

    fn forget(&mut self, ended: Result<(Id, ()), JoinError>) {
        let id = match ended {
            Ok((id, ())) => id,
            Err(error) => {
                error!(%error, "connection task panicked");
                error.id()
            }
        };
        self.pulses.remove(&id);
    }

    /// Has the connection end that has been idle for longest; whether there is one.
    pub(crate) fn end_idlest(&mut self) -> bool {
        let idle = self.pulses.iter().filter_map(|(id, pulse)| Some((pulse.idle_since()?, *id)));
        let Some((_, id)) = idle.min_by_key(|(since, _)| *since) else { return false };
        if let Some(pulse) = self.pulses.remove(&id) {
            pulse.ask_to_leave();
        }
        true
    }

    /// Makes room for one more; whether there is.
    ///
    /// * `connections_max`: how many there may be.
    pub(crate) async fn make_room(&mut self, connections_max: usize) -> bool {
        let due = Instant::now() + ROOM_TIME;
        // What has ended already makes the best room.
        while let Some(ended) = self.tasks.try_join_next_with_id() {
            self.forget(ended);
        }
        while self.len() >= connections_max {
            if !self.end_idlest() || timeout_at(due, self.one_ends()).await.is_err() {
                return false;
            }
        }
        true
    }

    /// Waits until all have ended; after `due` those that are left are cut.
    ///
    /// Answers how many those were.
    pub(crate) async fn end_by(mut self, due: Instant) -> usize {
        while let Ok(Some(_)) = timeout_at(due, self.tasks.join_next()).await {}
        let left = self.len();
        self.tasks.shutdown().await;
        left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A connection that ends when it is asked to, if it does, and says which one it was.
    fn add(open: &mut OpenConnections, ends: bool) -> Arc<Pulse> {
        let pulse = Pulse::new(Instant::now(), ROOM_TIME);
        let asked = Arc::clone(&pulse);
        open.add(Arc::clone(&pulse), async move {
            asked.asked_to_leave().await;
            if !ends {
                std::future::pending::<()>().await;
            }
        });
        pulse
    }

    #[tokio::test]
    async fn the_connection_that_was_idle_for_longest_makes_room() {
        let mut open = OpenConnections::default();
        assert!(open.make_room(1).await, "there is room");
        let oldest = add(&mut open, true);
        let busy = oldest.begin();
        let (second, third) = (add(&mut open, true), add(&mut open, true));
        assert!(open.make_room(3).await);
        assert_eq!(open.len(), 2);
        assert_eq!(Arc::strong_count(&second), 1, "it has ended");
        assert!(open.make_room(2).await);
        assert_eq!(Arc::strong_count(&third), 1, "the other one is busy");
        assert!(!open.make_room(1).await, "nobody is idle");
        drop(busy);
        assert!(open.make_room(1).await);
        assert_eq!(open.len(), 0);
        add(&mut open, false);
        assert_eq!(open.end_by(Instant::now()).await, 1);
    }

    #[tokio::test]
    async fn a_connection_that_does_not_leave_is_not_waited_for() {
        let mut open = OpenConnections::default();
        add(&mut open, false);
        assert!(!open.make_room(1).await);
    }
}
