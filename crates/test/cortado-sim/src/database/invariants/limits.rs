//! What is in flight stays inside its limits, and nobody is woken for nothing.

use crate::kernel::violation::Violation;
use cortado_model::Millis;
use cortado_replica::Settings;

const NAME: &str = "limits";

/// A replica keeps `writes` that it has not answered.
///
/// # Errors
/// More than its settings allow.
pub fn check_writes(settings: &Settings, writes: usize) -> Result<(), Violation> {
    if writes <= settings.in_flight_records_max {
        return Ok(());
    }
    Err(Violation::new(NAME, format!("{writes} writes wait for their records")))
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
