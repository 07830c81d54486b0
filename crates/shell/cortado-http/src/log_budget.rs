//! Lines of the log that clients can cause: one a second for each kind of event.
//!
//! A line says how many were left out since the last one; counters count all of them. Start reading
//! at [`LogBudget::admit`].

use crate::failure::Failure;
use crate::request_id::RequestId;
use cortado_wire::Code;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;
use tracing::{error, warn};

/// From one line of a kind to the next.
const PAUSE: Duration = Duration::from_secs(1);

/// What was written lately.
#[derive(Debug, Default)]
pub(crate) struct LogBudget {
    kinds: Mutex<BTreeMap<&'static str, Kind>>,
}

#[derive(Debug)]
struct Kind {
    written: Instant,
    left_out: u64,
}

impl LogBudget {
    /// How many lines of this kind were left out before this one; `None` to leave it out, too.
    ///
    /// * `kind`: from a fixed list, never from a request.
    pub(crate) fn admit(&self, kind: &'static str, now: Instant) -> Option<u64> {
        let mut kinds = self.kinds.lock();
        let Some(known) = kinds.get_mut(kind) else {
            kinds.insert(kind, Kind { written: now, left_out: 0 });
            return Some(0);
        };
        if now < known.written + PAUSE {
            known.left_out += 1;
            return None;
        }
        known.written = now;
        Some(std::mem::take(&mut known.left_out))
    }

    /// Tells of a failure of a request, or of an operation of a bulk, if it is the server's fault.
    pub(crate) fn tell(&self, failure: &Failure, request_id: RequestId, route: &str) {
        let (code, error) = (failure.code(), failure.detail());
        if code == Code::Internal {
            error!(%request_id, route, error, "internal error");
        } else if failure.status().is_server_error()
            && code != Code::UnknownMethod
            && let Some(left_out) = self.admit(code.name(), Instant::now())
        {
            warn!(%request_id, route, %code, error, left_out, "request failed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_written_once_a_second_and_the_rest_is_counted() {
        let (budget, start) = (LogBudget::default(), Instant::now());
        assert_eq!(budget.admit("overloaded", start), Some(0));
        for _ in 0..1_000 {
            assert_eq!(budget.admit("overloaded", start + PAUSE / 2), None);
        }
        assert_eq!(budget.admit("unavailable", start + PAUSE / 2), Some(0), "another kind");
        assert_eq!(budget.admit("overloaded", start + PAUSE), Some(1_000));
        assert_eq!(budget.admit("overloaded", start + PAUSE * 2), Some(0));
    }
}
