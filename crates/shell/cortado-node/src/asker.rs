//! Callers of a replica's driver, and how a write is withdrawn.
//!
//! Start reading at [`Asker`].

use cortado_driver::{Caller, Event, Reply};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use tokio::sync::oneshot;

/// What is put in line for a driver.
pub(crate) type Input = Event<Asker>;

/// The caller of a driver. Dropped without an answer, it means that the replica went away.
#[derive(Debug)]
pub(crate) struct Asker {
    reply: oneshot::Sender<Reply>,
    /// Of a write, which may be withdrawn.
    ticket: Option<Arc<Ticket>>,
}

impl Asker {
    /// A caller that waits until the answer comes, and where the answer will be.
    pub(crate) fn new() -> (Asker, oneshot::Receiver<Reply>) {
        let (reply, answer) = oneshot::channel();
        (Asker { reply, ticket: None }, answer)
    }

    /// A caller that may withdraw its write.
    pub(crate) fn with(ticket: &Arc<Ticket>) -> (Asker, oneshot::Receiver<Reply>) {
        let (asker, answer) = Asker::new();
        (Asker { ticket: Some(Arc::clone(ticket)), ..asker }, answer)
    }

    pub(crate) fn answer(self, reply: Reply) {
        // A caller that has gone away wants no answer.
        let _ = self.reply.send(reply);
    }
}

impl Caller for Asker {
    fn begin(&self) -> bool {
        self.ticket.as_ref().is_none_or(|ticket| ticket.begin())
    }
}

/// Decides which was first: the driver that begins a write, or the client that withdraws it.
#[derive(Debug, Default)]
pub(crate) struct Ticket(AtomicU8);

const WAITING: u8 = 0;
const BEGUN: u8 = 1;
const WITHDRAWN: u8 = 2;

impl Ticket {
    /// The driver takes the write up. `false`: it was withdrawn, drop it.
    pub(crate) fn begin(&self) -> bool {
        self.leave_waiting(BEGUN)
    }

    /// The client gives up. `true`: nothing was begun and nothing will be.
    pub(crate) fn withdraw(&self) -> bool {
        self.leave_waiting(WITHDRAWN)
    }

    fn leave_waiting(&self, to: u8) -> bool {
        self.0.compare_exchange(WAITING, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_is_begun_or_withdrawn_never_both() {
        let ticket = Ticket::default();
        assert!(ticket.begin());
        assert!(!ticket.withdraw());
        let ticket = Ticket::default();
        assert!(ticket.withdraw());
        assert!(!ticket.begin());
    }
}
