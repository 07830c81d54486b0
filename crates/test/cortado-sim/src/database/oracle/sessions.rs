//! What every reader is promised, whatever the level: one state that was, and with a token none
//! older than what the client has met.

use crate::database::documents::{KeyNumber, ValueId};
use crate::database::truth::Truth;
use crate::kernel::violation::Violation;
use cortado_model::Scn;
use std::collections::BTreeMap;

/// A reader of `keys` saw `values`, and was told that they belong to `scn`.
///
/// # Errors
/// At that SCN the documents held something else: the read was torn, or of no state at all.
pub fn check_state(
    truth: &Truth,
    scn: Scn,
    keys: &[KeyNumber],
    values: &BTreeMap<KeyNumber, ValueId>,
) -> Result<(), Violation> {
    let none = BTreeMap::new();
    let state = match truth.values_at(scn) {
        Some(state) => state,
        None if scn == Scn::ZERO => &none,
        None => {
            let details = format!("a reader saw {scn}, where no transaction is accepted");
            return Err(Violation::new("one_state", details));
        }
    };
    match keys.iter().find(|key| state.get(key) != values.get(key)) {
        None => Ok(()),
        Some(key) => {
            let (was, seen) = (state.get(key), values.get(key));
            let details = format!("at {scn} document {} was {was:?}, not {seen:?}", key.0);
            Err(Violation::new("one_state", details))
        }
    }
}

/// A session reader whose client had met `token` saw the state at `scn`.
///
/// # Errors
/// That is older: its own writes, or what it has read before, may be missing.
pub fn check_token(token: Scn, scn: Scn) -> Result<(), Violation> {
    if scn >= token {
        return Ok(());
    }
    Err(Violation::new("sessions", format!("a client that had met {token} was shown {scn}")))
}
