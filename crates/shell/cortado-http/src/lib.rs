//! The HTTP API: connections, routes, handlers, and the one table from errors to statuses.
//!
//! Decides nothing about documents: it checks what clients send, asks the [`Services`] behind it,
//! and words the answers. Start reading at [`Server`], then `api` (one request) and `routes` (all
//! of them).

mod server;
mod open_connections;
mod connection;
mod guard;
mod pulse;
mod owed;
mod framing;
mod frames;
mod limits;
mod api;
mod principal;
mod router;
mod routes;
mod route;
mod path;
mod spelling;
mod target;
mod query;
mod fields;
mod media;
mod hosts;
mod cross_origin;
mod body;
mod budget;
mod room;
mod call;
mod dates;
mod services;
mod gateway;
mod documents;
mod creation;
mod uuid;
mod lists;
mod confirmed;
mod batch;
mod bulk;
mod transaction;
mod json_body;
mod changes;
mod admin;
mod operations;
mod answer;
mod answer_headers;
mod failure;
mod refusal;
mod status;
mod request_id;
mod metrics;
mod log_budget;
mod occupancy;

pub use limits::Limits;
pub use server::{Options, Server};
pub use services::{BoxFuture, ChangeFeed, NodeControl, OwnHealth, Services};
