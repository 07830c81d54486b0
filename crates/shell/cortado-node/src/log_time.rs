//! Both clocks as replicas go by them: the wall clock held back by what other nodes' clocks say.
//!
//! How far back is said by `cortado-cluster`'s `LogClock`. Start reading at [`LogTime::now`].
//! Source: docs/protocols/replication.md, "Publishing".

use crate::clock::Clock;
use cortado_cluster::LogClock;
use cortado_model::{NodeId, WallMillis};
use cortado_replica::Now;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// The clocks of one node.
pub(crate) struct LogTime {
    clock: Clock,
    heard: Mutex<LogClock>,
    /// How far the wall clock may be ahead of the steady one, which goes as fast as any other.
    ahead_max_ms: AtomicU64,
}

impl LogTime {
    pub(crate) fn new(clock: Clock) -> LogTime {
        LogTime { clock, heard: Mutex::default(), ahead_max_ms: AtomicU64::new(u64::MAX) }
    }

    /// What records and leases go by.
    pub(crate) fn now(&self) -> Now {
        let now = self.clock.now();
        let latest = now.clock.0.saturating_add(self.ahead_max_ms.load(Ordering::Acquire));
        Now { wall: now.wall.min(WallMillis(latest)), ..now }
    }

    /// `node` has told its wall clock.
    pub(crate) fn hear(&self, node: NodeId, wall: WallMillis) {
        self.heard.lock().hear(self.clock.steady(), node, wall);
    }

    /// Goes by what was heard until now; answers whether this node's clock is so far off that it
    /// should not lead.
    pub(crate) fn renew(&self) -> bool {
        let heard = self.heard.lock();
        let Now { clock, wall } = self.clock.now();
        let latest = heard.latest(clock);
        let ahead_max_ms = latest.map_or(u64::MAX, |latest| latest.0.saturating_sub(clock.0));
        self.ahead_max_ms.store(ahead_max_ms, Ordering::Release);
        heard.is_off(clock, wall)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::wall;
    use std::time::Duration;
    use tokio::time::advance;

    #[tokio::test(start_paused = true)]
    async fn records_are_held_back_while_others_say_that_it_is_earlier() {
        let time = LogTime::new(Clock::of_runtime());
        assert!(!time.renew());
        let hour_ago = WallMillis(wall().0 - 3_600_000);
        (2..4).for_each(|node| time.hear(NodeId(node), hour_ago));
        assert!(time.renew());
        assert_eq!(time.now().wall, WallMillis(hour_ago.0 + 1_000));
        // Their clocks go on, told or not.
        advance(Duration::from_millis(700)).await;
        assert_eq!(time.now().wall, WallMillis(hour_ago.0 + 1_700));
        advance(Duration::from_secs(10)).await;
        assert!(!time.renew());
        assert!(time.now().wall > WallMillis(hour_ago.0 + 3_000_000));
    }
}
