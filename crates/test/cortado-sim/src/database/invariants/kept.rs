//! No replica makes worse what only an operator can repair: one whose log has lost records that it
//! holds, or goes on with what it cannot read, deletes nothing and does not lead.

use crate::database::store::{Image, Reached};
use crate::kernel::violation::Violation;
use cortado_driver::ReplicaRole;

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
