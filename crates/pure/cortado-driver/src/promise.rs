//! What a write will be answered, if everything that it rests on is committed.
//!
//! Start reading at [`Promise`].

use crate::action::Reply;
use crate::write::{Refused, Written};
use alloc::boxed::Box;
use alloc::vec::Vec;
use cortado_document::Done;
use cortado_model::{Etag, Scn, WallMillis};

/// What is answered when a write has its place.
#[derive(Debug)]
pub(crate) enum Promise {
    /// Of a whole write: how each of its operations goes.
    Whole(Vec<Done>),
    /// What each operation is answered.
    Each(Vec<Ending>),
}

/// What one operation comes to.
#[derive(Debug)]
pub(crate) enum Ending {
    /// It goes so, at the place of the write.
    Done(Done),
    /// Whatever that place is: it was done before, or is refused.
    Settled(Result<Written, Refused>),
}

impl Promise {
    /// The answer, now that the write has its place.
    pub(crate) fn keep(self, scn: Scn, time: WallMillis, etag: Etag) -> Reply {
        let written = |results| Written { scn, time, etag, results, repeated: false };
        match self {
            Promise::Whole(results) => Reply::Written(Box::new(written(results))),
            Promise::Each(endings) => {
                let endings = endings.into_iter().map(|ending| match ending {
                    Ending::Done(done) => Ok(written([done].into())),
                    Ending::Settled(settled) => settled,
                });
                Reply::Each(endings.collect())
            }
        }
    }
}
