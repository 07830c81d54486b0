//! SIGINT and SIGTERM: the first asks to end in order, the second ends at once.
//!
//! Start reading at [`StopSignals`].

use crate::failure::Failure;
use crate::output::tell;
use std::process;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The two signals with which a server is asked to end.
#[derive(Debug)]
pub(crate) struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
}

impl StopSignals {
    /// Takes the signals over; from now on they end nothing by themselves.
    ///
    /// # Errors
    /// The system refuses.
    pub(crate) fn listen() -> Result<StopSignals, Failure> {
        let listen = |kind| signal(kind).map_err(Failure::new);
        Ok(StopSignals {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
        })
    }

    /// Waits for the next of either.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }

    /// Ends the process at the next signal, whatever it is doing.
    pub(crate) fn end_at_once(mut self) {
        tokio::spawn(async move {
            self.next().await;
            tell("ended at once: the next start reads the log from its checkpoints");
            process::exit(1);
        });
    }
}
