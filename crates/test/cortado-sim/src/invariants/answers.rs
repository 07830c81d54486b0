//! Every request that a replica has taken is answered exactly once, as long as its node lives.

use crate::violation::Violation;
use cortado_replica::RequestId;

const NAME: &str = "answers";

/// A replica has answered something that nobody waits for.
pub fn unexpected(request: RequestId) -> Violation {
    Violation::new(NAME, format!("{request:?} was answered, and nobody waits for that"))
}

/// After the faults, and when clients have stopped, nobody must wait any more.
///
/// # Errors
/// Somebody does.
pub fn check_none_waits<'a>(
    waiting: impl Iterator<Item = (String, &'a RequestId)>,
) -> Result<(), Violation> {
    let waiting: Vec<String> = waiting.map(|(who, id)| format!("{who} {id:?}")).collect();
    if waiting.is_empty() {
        return Ok(());
    }
    Err(Violation::new(NAME, format!("never answered: {}", waiting.join(", "))))
}
