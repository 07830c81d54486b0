//! What is in flight and what is gathered stays inside its limits, and no replica is woken in vain.

use crate::kernel::violation::Violation;
use cortado_driver::WAITING_MAX;
use cortado_model::Millis;

const NAME: &str = "limits";

/// More than the longest record of the simulator's clients.
const RECORD_BYTES_MAX: usize = 1_000;

/// A replica keeps `writes` that it has not answered.
///
/// # Errors
/// More than its settings allow.
pub fn check_writes(settings: &cortado_replica::Settings, writes: usize) -> Result<(), Violation> {
    if writes <= settings.in_flight_records_max {
        return Ok(());
    }
    Err(Violation::new(NAME, format!("{writes} writes wait for their records")))
}

/// A replica has gathered `bytes` for its store, and `requests` wait for it.
///
/// # Errors
/// More than one read beyond what its settings allow, and what it may have published as leader.
pub fn check_gathered(
    settings: &cortado_driver::Settings,
    bytes: usize,
    requests: usize,
) -> Result<(), Violation> {
    // No read begins beyond the bound. No write is begun beyond that of what is in flight, be it
    // committed or not: that much may be committed in addition, and as much be in flight then.
    let read_bytes = settings.gather_bytes_max + RECORD_BYTES_MAX;
    let written_bytes = 2 * settings.replica.in_flight_bytes_max + RECORD_BYTES_MAX;
    if bytes > settings.gather_bytes_max + read_bytes + written_bytes {
        return Err(Violation::new(NAME, format!("{bytes} bytes are gathered for the store")));
    }
    if requests > WAITING_MAX {
        return Err(Violation::new(NAME, format!("{requests} requests wait")));
    }
    Ok(())
}

/// A tick at `clock` has moved the moment at which a replica wants to be woken.
///
/// # Errors
/// It has not, and that moment has come: the next tick would do no more.
pub fn check_wake(
    clock: Millis,
    before: Option<Millis>,
    after: Option<Millis>,
) -> Result<(), Violation> {
    match after {
        Some(at) if at <= clock && before == after => {
            let details = format!("woken at {clock:?}, a replica still wants to be at {at:?}");
            Err(Violation::new(NAME, details))
        }
        Some(_) | None => Ok(()),
    }
}
