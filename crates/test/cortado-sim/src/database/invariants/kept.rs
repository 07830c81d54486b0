//! No replica makes worse what only an operator can repair: one whose log has lost records that it
//! holds, or goes on with what it cannot read, deletes nothing and does not lead.

use crate::database::store::{Image, Reached};
use crate::kernel::violation::Violation;
use cortado_driver::ReplicaRole;
use cortado_model::{LogOffset, Scn};

/// The name of this invariant: in worlds of this kind the only one that counts.
pub const NAME: &str = "kept";

/// What a store held when it had to be kept from then on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    reached: Reached,
    digest: u64,
    has_checkpoint: bool,
}

impl Kept {
    /// As `image` is now.
    pub fn of(image: &Image) -> Kept {
        let (reached, digest) = (image.reached, image.digest_anew());
        Kept { reached, digest, has_checkpoint: image.checkpoint.is_some() }
    }

    /// Whether both hold the same documents, wherever they stand in a log.
    pub fn has_same_documents(&self, other: &Kept) -> bool {
        self.digest == other.digest
    }

    /// What was held is there, and nothing else.
    ///
    /// # Errors
    /// It is not.
    pub fn check_same(self, who: &str, image: &Image) -> Result<(), Violation> {
        let now = Kept::of(image);
        if now == self {
            return Ok(());
        }
        Err(Violation::new(NAME, format!("{who} held {self:?}, and holds {now:?}")))
    }

    /// What was held is there, and perhaps more.
    ///
    /// # Errors
    /// Something is gone.
    pub fn check_no_less(self, who: &str, image: &Image) -> Result<(), Violation> {
        let now = Kept::of(image);
        let whole = now.has_checkpoint || !self.has_checkpoint;
        if whole && now.reached.offset >= self.reached.offset {
            return Ok(());
        }
        Err(Violation::new(NAME, format!("{who} held {self:?}, and holds {now:?}")))
    }
}

/// A replica has applied nothing behind what its log held before it lost some.
///
/// # Errors
/// It goes on with another history.
pub fn check_within(who: &str, image: &Image, end: LogOffset) -> Result<(), Violation> {
    if image.reached.offset <= end {
        return Ok(());
    }
    let details = format!("{who} goes on to {:?}, its log was lost at {end}", image.reached);
    Err(Violation::new(NAME, details))
}

/// What clients were told of, and a log has lost from `from` on, is held by a replica.
///
/// * `newest`: up to where one does.
///
/// # Errors
/// It is gone, and nobody knows.
pub fn check_held(
    from: LogOffset,
    acknowledged: &[Scn],
    newest: Option<Scn>,
) -> Result<(), Violation> {
    match acknowledged.last() {
        Some(last) if newest.is_none_or(|newest| newest < *last) => {
            let details = format!("{last} was acknowledged, lost with all from {from} on, and is");
            Err(Violation::new(NAME, format!("{details} held by no replica: {newest:?}")))
        }
        Some(_) | None => Ok(()),
    }
}

/// A replica that must rest or stand still has this role.
///
/// # Errors
/// It leads, or wants to.
pub fn check_role(who: &str, role: ReplicaRole) -> Result<(), Violation> {
    match role {
        ReplicaRole::Offline
        | ReplicaRole::Follower
        | ReplicaRole::Diverged
        | ReplicaRole::Disputed
        | ReplicaRole::NeedsUpgrade
        | ReplicaRole::Full => Ok(()),
        ReplicaRole::Restoring
        | ReplicaRole::Candidate
        | ReplicaRole::Opening
        | ReplicaRole::Leader
        | ReplicaRole::SteppingDown => {
            Err(Violation::new(NAME, format!("{who} is {}", role.name())))
        }
    }
}
