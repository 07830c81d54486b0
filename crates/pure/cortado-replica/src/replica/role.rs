//! What a replica may do, as others see it.

/// What a replica may do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Nothing: it has stopped before a record.
    Offline,
    /// Applies what the leader commits.
    Follower,
    /// A follower whose claim is on its way.
    Candidate,
    /// Has won its generation but may not serve yet.
    Opening,
    /// Serves writes and reads.
    Leader,
    /// Hands over: finishes what it has begun, begins nothing.
    SteppingDown,
    /// Has won its generation and does not open it: others have what it lacks. Folds, serves
    /// nothing, claims nothing.
    Diverged,
    /// Follows no leader: the current one goes on with another history. Folds, serves nothing, and
    /// claims only if most replicas have the same history as this one.
    Disputed,
}
