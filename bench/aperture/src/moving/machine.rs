//! The model of an endpoint: a few requests at a time, the others in a queue.

use std::collections::VecDeque;

/// A request as endpoints know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ticket {
    /// Its place among all requests.
    pub(super) request: usize,
    /// Tells it from another one that has taken its place since.
    pub(super) serial: u64,
}

/// One endpoint.
#[derive(Debug)]
pub(super) struct Machine {
    /// How often it has been restarted; what was sent to an earlier life is lost.
    pub(super) life: u32,
    pub(super) is_up: bool,
    /// How many requests it works on at a time.
    pub(super) slots: usize,
    /// How much longer than usual it takes.
    pub(super) slowness: f64,
    /// When it was started cold.
    pub(super) cold_since: Option<u64>,
    /// It answers at once, with an error.
    pub(super) is_failing: bool,
    working: Vec<Ticket>,
    waiting: VecDeque<Ticket>,
}

/// A cold endpoint takes so much longer at first ...
const COLD_SLOWNESS: f64 = 5.0;
/// ... and comes down to its usual pace within that.
const COLD_NANOS: u64 = 10_000_000_000;

impl Machine {
    pub(super) fn new(slots: usize) -> Machine {
        Machine {
            life: 0,
            is_up: true,
            slots,
            slowness: 1.0,
            cold_since: None,
            is_failing: false,
            working: Vec::new(),
            waiting: VecDeque::new(),
        }
    }

    /// How much longer than usual a request takes that begins now.
    pub(super) fn slowness(&self, now: u64) -> f64 {
        let cold = self.cold_since.map_or(0, |since| (since + COLD_NANOS).saturating_sub(now));
        let left = cold as f64 / COLD_NANOS as f64;
        self.slowness * (1.0 + left * (COLD_SLOWNESS - 1.0))
    }

    /// Takes a request in; answers whether it begins at once.
    pub(super) fn take(&mut self, ticket: Ticket) -> bool {
        if self.working.len() < self.slots {
            self.working.push(ticket);
            return true;
        }
        self.waiting.push_back(ticket);
        false
    }

    /// A request is done; answers the one that begins now. `is_wanted` says whether anyone still
    /// waits for it.
    pub(super) fn finish(
        &mut self,
        ticket: Ticket,
        is_wanted: impl Fn(Ticket) -> bool,
    ) -> Option<Ticket> {
        self.working.retain(|each| *each != ticket);
        while let Some(next) = self.waiting.pop_front() {
            if is_wanted(next) {
                self.working.push(next);
                return Some(next);
            }
        }
        None
    }

    /// Stops it; answers what it had.
    pub(super) fn crash(&mut self) -> Vec<Ticket> {
        self.is_up = false;
        let mut lost = std::mem::take(&mut self.working);
        lost.extend(self.waiting.drain(..));
        lost
    }

    /// Starts it again.
    pub(super) fn start(&mut self, now: u64, is_cold: bool) {
        self.is_up = true;
        self.life += 1;
        self.cold_since = is_cold.then_some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket(serial: u64) -> Ticket {
        Ticket { request: 0, serial }
    }

    #[test]
    fn what_does_not_fit_waits_and_what_was_given_up_is_left_out() {
        let mut machine = Machine::new(2);
        let begins: Vec<bool> = (1..=5).map(|serial| machine.take(ticket(serial))).collect();
        assert_eq!(begins, [true, true, false, false, false]);
        let is_wanted = |ticket: Ticket| ticket.serial != 3;
        assert_eq!(machine.finish(ticket(1), is_wanted), Some(ticket(4)));
        assert_eq!(machine.finish(ticket(2), is_wanted), Some(ticket(5)));
        assert_eq!(machine.finish(ticket(4), is_wanted), None);
        assert_eq!(machine.crash(), [ticket(5)]);
    }

    #[test]
    fn a_cold_endpoint_warms_up() {
        let mut machine = Machine::new(2);
        machine.start(1_000, true);
        assert_eq!(machine.slowness(1_000), 5.0);
        assert_eq!(machine.slowness(1_000 + COLD_NANOS / 2), 3.0);
        assert_eq!(machine.slowness(1_000 + 2 * COLD_NANOS), 1.0);
    }
}
