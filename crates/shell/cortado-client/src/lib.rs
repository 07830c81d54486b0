//! Rust client of Cortado's HTTP API: retries by outcome, sessions, paging, change streams.
//!
//! Speaks HTTP/1.1 without TLS, over kept connections to one server or several, between which it
//! balances. Never repeats a write whose
//! outcome is unknown unless an idempotency key makes that safe. Start reading at [`Client`].

mod client;
mod documents;
mod batches;
mod bulk;
mod pages;
mod changes;
mod administration;
mod failure;
mod options;
mod tries;
mod patience;
mod retry;
mod session;
mod servers;
mod hedged;
mod hedging;
mod transport;
mod address;
mod path;

pub use address::{AddressError, ServerAddress, ServerAddresses};
pub use bulk::{BulkOptions, BulkWritten};
pub use changes::{Changes, Follow};
pub use client::{Client, Database};
pub use documents::{
    Condition, Consistency, Found, PatchKind, ReadOptions, Table, WriteOptions, Written,
};
pub use failure::{AttemptError, ClientError};
pub use options::ClientOptions;
pub use pages::{Order, Pages};
pub use path::percent_decoded;
pub use patience::Timeouts;
pub use session::Session;

pub use cortado_aperture::{Coordinate, CoordinateError};
pub use cortado_wire::{Code, Outcome, Problem};
