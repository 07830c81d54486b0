//! Rust client of Cortado's HTTP API: retries by outcome, sessions, paging, change streams.
//!
//! Speaks HTTP/1.1 without TLS, over a pool of kept connections. Never repeats a write whose
//! outcome is unknown unless an idempotency key makes that safe. Start reading at [`Client`].

mod client;
mod documents;
mod batches;
mod bulk;
mod pages;
mod changes;
mod administration;
mod failure;
mod retry;
mod session;
mod transport;
mod address;
mod path;

pub use address::{AddressError, ServerAddress};
pub use bulk::{BulkOptions, BulkWritten};
pub use changes::{Changes, Follow};
pub use client::{Client, Database, Timeouts};
pub use documents::{
    Condition, Consistency, Found, PatchKind, ReadOptions, Table, WriteOptions, Written,
};
pub use failure::{AttemptError, ClientError};
pub use pages::{Order, Pages};
pub use path::percent_decoded;
pub use session::Session;

pub use cortado_wire::{Code, Outcome, Problem};
