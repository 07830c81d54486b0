//! What must always hold, one small file each.
//!
//! | file | invariant | source |
//! |---|---|---|
//! | [`one_winner`] | one winner per generation | replication.md, "The fold", claims |
//! | [`applied_in_order`] | nothing applied twice, never back, no zombie | "The fold", the table |
//! | [`equal_digests`] | equal state digests at equal SCNs | "The fold"; "Snapshots" |
//! | [`checkpoint_order`] | checkpoint ≤ applied ≤ committed | "Publishing" |
//! | [`no_lost_write`] | no acknowledged write is lost | "Publishing" |
//! | [`definite_errors`] | a definite error never takes effect later | "Publishing" |
//! | [`one_effect`] | one effect for each idempotency key | "Publishing" |
//! | [`real_time`] | reads and writes respect real time | "Reads" |
//! | [`handoff`] | a handoff leaves no gap | "Taking over" |
//! | [`log_time`] | log time never goes back, no etag twice | "Names" |
//! | [`trims`] | no trim above what all replicas have held | "Snapshots, trimming, moving" |
//! | [`answers`] | every request is answered, once | "Taking over" |
//! | [`limits`] | memory and queues stay inside their limits | "What must always hold" |
//! | [`disputes`] | a disputed leader is replaced before it serves, or not at all | "The fold" |
//! | [`eligible`] | who may not claim sends no claim | failover.md, "Registration" |
//! | [`hearing`] | who does not hear itself claims for no silence | failover.md, "Beats" |
//! | [`layers`] | one layer alone is no death | failover.md, "Three layers" |
//! | [`cut_off`] | who does not reach the log is replaced soon | "Cut off from the log" |
//! | [`dead_leader`] | what a dead node led is served soon | failover.md, "Three layers" |
//! | [`led`] | what can be read is led, though all stores be full | failover.md, "Handing back" |
//! | [`kept`] | what only a person can mend is kept | "Duties of the driver", 12 |
//! | [`resolved`] | a history that an operator has chosen goes on | "Resolving a dispute" |
//! | [`pinned`] | an operator's handoff stays | failover.md, "Pins and drains" |
//! | [`drained`] | a drained node leads nothing that another one could | "Pins and drains" |
//! | [`moves`] | no move costs a replica that is needed | moves.md, "One partition" |
//! | [`gate`] | nothing is written that a node cannot read | replication.md, "Feature levels" |
//! | [`liveness`] | after the faults every partition is served again | "What must always hold" |
//!
//! Linearizability and sessions are the client oracle's: [`crate::database::oracle`].

pub mod answers;
pub mod applied_in_order;
pub mod checkpoint_order;
pub mod cut_off;
pub mod dead_leader;
pub mod definite_errors;
pub mod disputes;
pub mod drained;
pub mod eligible;
pub mod equal_digests;
pub mod gate;
pub mod handoff;
pub mod hearing;
pub mod kept;
pub mod layers;
pub mod led;
pub mod limits;
pub mod liveness;
pub mod log_time;
pub mod moves;
pub mod no_lost_write;
pub mod one_effect;
pub mod one_winner;
pub mod pinned;
pub mod real_time;
pub mod resolved;
pub mod trims;
