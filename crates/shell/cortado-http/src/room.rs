//! Room for answers: who gets some when there is hardly any.
//!
//! Start reading at [`reserve`]; how it is counted is in [`crate::budget`].

use crate::answer::{Answer, Content};
use crate::budget::{ByteBudget, Reserved};
use crate::failure::Failure;
use cortado_wire::Code;
use std::sync::Arc;

/// How much an answer is needed when there is hardly room for any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// It says what became of a write, and must be given.
    Outcome,
    /// It tells an operator what is wrong.
    Operation,
    /// Documents, which can be asked for again.
    Documents,
}

/// Takes room for an answer; a stream takes some whenever it has something to say.
///
/// # Errors
/// There is no room.
pub(crate) fn reserve(
    answer: &Answer,
    budget: &Arc<ByteBudget>,
    need: Need,
) -> Result<Option<Reserved>, Failure> {
    let buffers = match answer.body() {
        Content::Empty | Content::Stream(_) => return Ok(None),
        Content::Whole(bytes) => std::slice::from_ref(bytes),
        Content::Parts(parts) => parts.as_slice(),
    };
    let reserved = match need {
        Need::Outcome => Some(budget.take_buffers(buffers)),
        Need::Operation => budget.reserve_urgent(buffers),
        Need::Documents => budget.reserve_buffers(buffers),
    };
    reserved.map(Some).ok_or_else(too_many)
}

/// Refuses what may become a large answer before it is read, if there is no room for any.
///
/// # Errors
/// There is no room.
pub(crate) fn check_room(budget: &ByteBudget) -> Result<(), Failure> {
    if budget.is_full() { Err(too_many()) } else { Ok(()) }
}

fn too_many() -> Failure {
    Failure::new(Code::Overloaded, "too many answers are waiting to be read; retry later")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::json_text;
    use http::StatusCode;

    #[test]
    fn small_answers_get_through_and_what_was_done_is_always_told() {
        let budget = ByteBudget::new(1 << 20);
        let answer = |bytes: usize| json_text(StatusCode::OK, vec![b'x'; bytes]);
        let reserve = |bytes, need| reserve(&answer(bytes), &budget, need);
        let large = reserve(1 << 19, Need::Documents).expect("there is room");
        let refused = reserve(1 << 19, Need::Documents).expect_err("two are too many");
        assert_eq!(refused.code(), Code::Overloaded);
        let done = reserve(1 << 20, Need::Outcome).expect("it was done");
        assert!(check_room(&budget).is_err());
        drop(done);
        let filled = budget.reserve((1 << 19) - 1).expect("there is room");
        assert!(reserve(1_000, Need::Documents).is_ok(), "from what is kept for it");
        assert!(reserve(100_000, Need::Documents).is_err());
        assert!(reserve(100_000, Need::Operation).is_ok());
        drop((large, filled));
        assert_eq!(budget.used_bytes(), 0);
    }
}
