//! Who should lead, who is gone, where replicas live, and where requests go: the decisions, and the
//! reasons for them.
//!
//! Pure: no clock, no I/O, no randomness. Nothing here changes a leadership; only the log does, so
//! a wrong decision costs availability for a moment and never consistency.
//! Start reading at [`Watch`]. Source: docs/protocols/failover.md.

// So that no clock, file or thread has a name here; tests may use what they like.
#![cfg_attr(not(test), no_std)]

extern crate alloc;

mod abstention;
mod decision;
mod detector;
mod explanation;
mod log_clock;
mod node_life;
mod placement;
mod known_route;
mod leader_search;
mod moves;
mod own_calls;
mod registration;
mod route_attempt;
mod settings;
mod upgrade;
mod watch;

pub use abstention::{AbstainCause, Abstention};
pub use decision::{Decision, Leadership, PartitionFacts, StayReason, Takeover, decide};
pub use detector::{
    Death, Detector, Evidence, GrayFailure, GrayKind, NodeVerdict, OwnSilence, PeerLoss,
    PeerOpinion, PeerWitness, Sickness, Standing,
};
pub use explanation::{Alternative, Cause, Command, Explanation, NotChosen};
pub use known_route::{KnownLeader, KnownRoute};
pub use leader_search::LeaderSearch;
pub use log_clock::LogClock;
pub use moves::{
    ChangeId, ChangeState, Located, MoveDecision, MoveLimits, MoveProgress, MoveStage, MoveStep,
    MoveTarget, MoveWait, MovingPartition, PlanError, PlannedChange, PlannedKind, RateMeter,
    ReplicaMove, ReplicaState, ServingLeader, next_step, next_steps, plan_moves, progress_of,
    repair, waiting,
};
pub use node_life::{NextLife, NodeLife};
pub use own_calls::{AppendWait, OwnCalls};
pub use placement::{
    Capacity, Load, Placed, Placement, PlacementNode, Zone, completed, plan, plan_on, replaced,
    replan, replan_on,
};
pub use registration::{Eligibility, LifeRefusal, LifeStanding, Registration};
pub use route_attempt::{Doubt, Repetition, RouteAttempt, RouteStep, TryOutcome};
pub use settings::{RawSettings, Settings, SettingsError};
pub use upgrade::Gate;
pub use watch::{Duty, PartitionView, ReplicaViews, Watch, WatchEvent, WatchOrder};

/// Keeps the example of the README compiling.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
