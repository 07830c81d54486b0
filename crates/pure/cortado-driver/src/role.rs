//! What a replica does, as others see it.

use cortado_replica::Role;

/// What a replica does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ReplicaRole {
    /// Out of service.
    Offline = 0,
    /// Copies a snapshot or folds its log again.
    Restoring = 1,
    /// Applies what the leader commits.
    Follower = 2,
    /// A follower whose claim is on its way.
    Candidate = 3,
    /// Has won its generation but may not serve yet.
    Opening = 4,
    /// Serves writes and strong reads.
    Leader = 5,
    /// Hands over.
    SteppingDown = 6,
    /// Has won its generation and does not open it, since another replica has what it lacks.
    Diverged = 7,
    /// Waits for its store to have room; what it has applied can be read.
    Full = 8,
    /// Its leader goes on with another history; it serves nothing and keeps what it has.
    Disputed = 9,
    /// Stands still before what only a newer build can read, and keeps what it has.
    NeedsUpgrade = 10,
}

impl ReplicaRole {
    /// The name in status and metrics.
    pub fn name(self) -> &'static str {
        match self {
            ReplicaRole::Offline => "offline",
            ReplicaRole::Restoring => "restoring",
            ReplicaRole::Follower => "follower",
            ReplicaRole::Candidate => "candidate",
            ReplicaRole::Opening => "opening",
            ReplicaRole::Leader => "leader",
            ReplicaRole::SteppingDown => "stepping_down",
            ReplicaRole::Diverged => "diverged",
            ReplicaRole::Full => "full",
            ReplicaRole::Disputed => "disputed",
            ReplicaRole::NeedsUpgrade => "needs_upgrade",
        }
    }

    /// Whether its store shows a prefix of the history and grows with it.
    pub fn is_readable(self) -> bool {
        match self {
            ReplicaRole::Offline
            | ReplicaRole::Restoring
            | ReplicaRole::Diverged
            | ReplicaRole::Disputed
            | ReplicaRole::NeedsUpgrade => false,
            ReplicaRole::Follower
            | ReplicaRole::Candidate
            | ReplicaRole::Opening
            | ReplicaRole::Leader
            | ReplicaRole::SteppingDown
            | ReplicaRole::Full => true,
        }
    }

    /// Whether it goes on in its log.
    pub(crate) fn folds(self) -> bool {
        match self {
            ReplicaRole::Offline
            | ReplicaRole::Restoring
            | ReplicaRole::Full
            | ReplicaRole::NeedsUpgrade => false,
            ReplicaRole::Follower
            | ReplicaRole::Candidate
            | ReplicaRole::Opening
            | ReplicaRole::Leader
            | ReplicaRole::SteppingDown
            | ReplicaRole::Diverged
            | ReplicaRole::Disputed => true,
        }
    }

    /// The role of that number; out of service for an unknown number.
    pub fn from_number(number: u8) -> ReplicaRole {
        match number {
            1 => ReplicaRole::Restoring,
            2 => ReplicaRole::Follower,
            3 => ReplicaRole::Candidate,
            4 => ReplicaRole::Opening,
            5 => ReplicaRole::Leader,
            6 => ReplicaRole::SteppingDown,
            7 => ReplicaRole::Diverged,
            8 => ReplicaRole::Full,
            9 => ReplicaRole::Disputed,
            10 => ReplicaRole::NeedsUpgrade,
            _ => ReplicaRole::Offline,
        }
    }
}

impl From<Role> for ReplicaRole {
    fn from(role: Role) -> ReplicaRole {
        match role {
            Role::Offline => ReplicaRole::Offline,
            Role::Follower => ReplicaRole::Follower,
            Role::Candidate => ReplicaRole::Candidate,
            Role::Opening => ReplicaRole::Opening,
            Role::Leader => ReplicaRole::Leader,
            Role::SteppingDown => ReplicaRole::SteppingDown,
            Role::Diverged => ReplicaRole::Diverged,
            Role::Disputed => ReplicaRole::Disputed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_found_by_its_number() {
        let names: Vec<_> = (0..12).map(|number| ReplicaRole::from_number(number).name()).collect();
        let mut want = vec!["offline", "restoring", "follower", "candidate", "opening", "leader"];
        want.extend(["stepping_down", "diverged", "full", "disputed", "needs_upgrade", "offline"]);
        assert_eq!(names, want);
        assert!((0..11).all(|number| ReplicaRole::from_number(number) as u8 == number));
    }
}
