//! Three nodes in one process, through the gateway alone: what clients were promised, kept.

#![allow(clippy::unwrap_used, reason = "a failed step of a story is a failed test")]

mod world;
mod held_log;
mod disputes;
mod distance;
mod documents;
mod failovers;
mod restarts;
mod pins;
mod membership;
mod joining;
mod moves;
mod storage;
mod distant_stores;
mod bulks;
mod changes;
mod declarations;
mod journal;
