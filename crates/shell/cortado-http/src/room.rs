//! Room for answers: who gets some when there is hardly any.
//!
//! Start reading at [`Room`]; how it is counted is in [`crate::budget`].

use crate::answer::{Answer, Content};
use crate::budget::{ByteBudget, Reserved};
use crate::failure::Failure;
use cortado_wire::Code;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

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

/// So many bytes of documents are read at first; what has more is read again, with room for all of
/// it. Most answers are small, and requests that wait for a leader are not to fill the budget.
pub(crate) const FIRST_READ_BYTES: usize = 256 << 10;

/// How long a read waits for room.
const ROOM_TIME: Duration = Duration::from_secs(1);
/// How often it looks whether there is some.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The room of one request's answer, from before the first document is read.
#[derive(Default)]
pub(crate) struct Room(Mutex<Option<Reserved>>);

impl Room {
    /// Takes room for `bytes`, in place of what was taken before; waits a moment for it.
    ///
    /// # Errors
    /// There is none, and will be none before `deadline`.
    pub(crate) async fn take(
        &self,
        budget: &Arc<ByteBudget>,
        bytes: usize,
        deadline: Instant,
    ) -> Result<(), Failure> {
        *self.0.lock() = None;
        let due = deadline.min(Instant::now() + ROOM_TIME);
        loop {
            if let Some(reserved) = budget.reserve(bytes) {
                *self.0.lock() = Some(reserved);
                return Ok(());
            }
            if Instant::now() >= due {
                return Err(too_many());
            }
            sleep(LOOK_AGAIN).await;
        }
    }

    /// Takes the room that `answer` needs, in place of what was taken to read for it; a stream
    /// takes some whenever it has something to say.
    ///
    /// # Errors
    /// There is none, and none was taken before.
    pub(crate) fn hand_over(
        &self,
        answer: &Answer,
        budget: &Arc<ByteBudget>,
        need: Need,
    ) -> Result<Option<Reserved>, Failure> {
        // Dropped only when its place is taken.
        let before = self.0.lock().take();
        let buffers = match answer.body() {
            Content::Empty | Content::Stream(_) => return Ok(None),
            Content::Whole(bytes) => std::slice::from_ref(bytes),
            Content::Parts(parts) => parts.as_slice(),
        };
        let need = if before.is_some() { Need::Outcome } else { need };
        let reserved = match need {
            Need::Outcome => Some(budget.take_buffers(buffers)),
            Need::Operation => budget.reserve_urgent(buffers),
            Need::Documents => budget.reserve_buffers(buffers),
        };
        reserved.map(Some).ok_or_else(too_many)
    }
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
        // All at once, since the budget knows a buffer by its place.
        let [first, second, whole, small, medium] = [1 << 19, 1 << 19, 1 << 20, 1_000, 100_000]
            .map(|bytes| json_text(StatusCode::OK, vec![b'x'; bytes]));
        let reserve = |answer: &Answer, need| Room::default().hand_over(answer, &budget, need);
        let large = reserve(&first, Need::Documents).expect("there is room");
        let refused = reserve(&second, Need::Documents).expect_err("two are too many");
        assert_eq!(refused.code(), Code::Overloaded);
        let done = reserve(&whole, Need::Outcome).expect("it was done");
        assert!(check_room(&budget).is_err());
        drop(done);
        let filled = budget.reserve((1 << 19) - 1).expect("there is room");
        assert!(reserve(&small, Need::Documents).is_ok(), "from what is kept for it");
        assert!(reserve(&medium, Need::Documents).is_err());
        assert!(reserve(&medium, Need::Operation).is_ok());
        drop((large, filled));
        assert_eq!(budget.used_bytes(), 0);
    }

    #[tokio::test]
    async fn what_is_read_has_its_room_before_and_the_answer_afterwards() {
        let (budget, room) = (ByteBudget::new(1_000), Room::default());
        let now = Instant::now();
        room.take(&budget, 900, now).await.expect("there is room");
        let refused = Room::default().take(&budget, 200, now).await.expect_err("nobody reads");
        assert_eq!(refused.code(), Code::Overloaded);
        room.take(&budget, 1_000, now).await.expect("in place of the room before");
        // Somewhat more than was expected: it is there already.
        let answer = json_text(StatusCode::OK, vec![b'x'; 1_100]);
        let reserved = room.hand_over(&answer, &budget, Need::Documents).expect("it was read");
        assert_eq!(budget.used_bytes(), 1_101);
        drop(reserved);
        assert_eq!(budget.used_bytes(), 0);
    }
}
