//! The API over real connections: three nodes in memory behind a listener on a free port.
//!
//! Requests are bytes on a socket, so that what is tested is what a client sends and sees.
//! Start reading at `world`.

#![allow(clippy::unwrap_used, reason = "every function here is part of a test")]

mod admin;
mod bulks;
mod changes;
mod conditions;
mod connections;
mod creation;
mod documents;
mod handoffs;
mod http2;
mod http2_frames;
mod limits;
mod lists;
mod moves;
mod pages;
mod spellings;
mod transactions;
mod wire;
mod world;
