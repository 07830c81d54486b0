//! SIGINT, SIGTERM and SIGHUP: the first asks to end in order, the second ends at once. To a server
//! that reads files again, SIGHUP says to do so.
//!
//! Start reading at [`StopSignals`] and [`ReloadSignal`].

use crate::failure::Failure;
use std::{fs, future, process};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::warn;

/// The signals with which a process is asked to end.
#[derive(Debug)]
pub(crate) struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
    /// Absent where whoever started the process wants it to outlive its terminal.
    hang_up: Option<Signal>,
}

impl StopSignals {
    /// Takes the signals over; from now on they end nothing by themselves.
    ///
    /// # Errors
    /// The system refuses.
    pub(crate) fn listen() -> Result<StopSignals, Failure> {
        let listen = |kind| signal(kind).map_err(Failure::new);
        let outlives = is_hang_up_ignored();
        Ok(StopSignals {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hang_up: (!outlives).then(|| listen(SignalKind::hangup())).transpose()?,
        })
    }

    /// The same for a process that SIGHUP does not end; see [`ReloadSignal`].
    ///
    /// # Errors
    /// The system refuses.
    pub(crate) fn listen_beside_reload() -> Result<StopSignals, Failure> {
        let listen = |kind| signal(kind).map_err(Failure::new);
        let (interrupt, terminate) = (SignalKind::interrupt(), SignalKind::terminate());
        let (interrupt, terminate) = (listen(interrupt)?, listen(terminate)?);
        Ok(StopSignals { interrupt, terminate, hang_up: None })
    }

    /// Waits for the next of any.
    pub(crate) async fn next(&mut self) {
        let StopSignals { interrupt, terminate, hang_up } = self;
        let hung_up = async {
            match hang_up {
                Some(signal) => signal.recv().await,
                None => future::pending().await,
            }
        };
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hung_up => {}
        }
    }

    /// Ends the process at the next signal, whatever it is doing.
    pub(crate) fn end_at_once(mut self) {
        tokio::spawn(async move {
            self.next().await;
            warn!("ended at once: the next start reads the log from its checkpoints");
            process::exit(1);
        });
    }
}

/// SIGHUP, as the order to read files again.
#[derive(Debug)]
pub(crate) struct ReloadSignal(Signal);

impl ReloadSignal {
    /// Takes the signal over.
    ///
    /// # Errors
    /// The system refuses.
    pub(crate) fn listen() -> Result<ReloadSignal, Failure> {
        signal(SignalKind::hangup()).map(ReloadSignal).map_err(Failure::new)
    }

    /// Waits for the next order.
    pub(crate) async fn next(&mut self) {
        // It ends with the process.
        self.0.recv().await;
    }
}

/// Whether SIGHUP was ignored when the process began, as `nohup` has it. Listening would undo that.
/// Source: proc_pid_status(5), `SigIgn`; SIGHUP is signal 1, so bit 0.
fn is_hang_up_ignored() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = ignored.and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok());
    mask.is_some_and(|mask| mask & 1 == 1)
}
