//! Three nodes in one process, through the gateway alone: what clients were promised, kept.

mod world;
mod documents;
mod failovers;
mod restarts;
mod storage;
mod changes;
mod declarations;
