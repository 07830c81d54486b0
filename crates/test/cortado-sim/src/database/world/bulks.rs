//! What a driver's answer to a bulk tells its client, part by part.
//!
//! Start reading at [`World::reply_to_each`].

use super::World;
use crate::database::coverage::CoveragePoint;
use crate::database::documents::AttemptId;
use crate::database::history::Reply;
use crate::database::mutant::Mutant;
use crate::kernel::violation::Violation;
use cortado_driver::{Refused, Written};
use cortado_replica::NotDone;

impl World {
    /// What the driver has answered of each part of a bulk.
    pub(super) fn reply_to_each(
        &mut self,
        partition: usize,
        attempt: AttemptId,
        mut ended: Vec<Result<Written, Refused>>,
    ) -> Reply {
        if self.is(Mutant::MixesParts) {
            ended.rotate_left(1);
        }
        let operation = self.operation_of(attempt);
        let asked = self.history[operation].action.writes().len();
        if ended.is_empty() || ended.len() > asked {
            let details = format!("{} of {asked} parts of {attempt:?} are answered", ended.len());
            self.check(Err(Violation::new("answers", details)));
        }
        if ended.len() < asked {
            self.coverage.reach(CoveragePoint::BulkCut);
        }
        let mut replies = Vec::with_capacity(asked);
        for (part, ended) in ended.into_iter().enumerate() {
            replies.push(match ended {
                Ok(written) => {
                    self.learn_etag(attempt, part, written.etag);
                    self.committed(partition, &written)
                }
                Err(Refused::NoRoom) => Reply::NotDone(NotDone::LogRefused),
                Err(_) => Reply::Refused,
            });
        }
        let rest = match (self.is(Mutant::TakesRestForDone), replies.last()) {
            (true, Some(last)) => last.clone(),
            (true, None) | (false, _) => Reply::NotDone(NotDone::Changing),
        };
        replies.resize(asked, rest);
        Reply::Each(replies)
    }
}
