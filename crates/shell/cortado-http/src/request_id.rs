//! Names of requests: cheap to make, formatted only where they are written out.
//!
//! Start reading at [`RequestId`].

use http::HeaderValue;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// One request: process, connection, number within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RequestId {
    process: u64,
    connection: u64,
    request: u64,
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{:x}-{:x}", self.process, self.connection, self.request)
    }
}

impl RequestId {
    /// `Cortado-Request-Id`.
    pub(crate) fn to_header(self) -> HeaderValue {
        HeaderValue::try_from(self.to_string()).expect("hexadecimal digits are visible ASCII")
    }
}

/// The requests of one connection.
#[derive(Debug)]
pub(crate) struct RequestIds {
    process: u64,
    connection: u64,
    next: AtomicU64,
}

impl RequestIds {
    pub(crate) fn new(process: u64, connection: u64) -> Arc<RequestIds> {
        Arc::new(RequestIds { process, connection, next: AtomicU64::new(1) })
    }

    pub(crate) fn next(&self) -> RequestId {
        let request = self.next.fetch_add(1, Ordering::Relaxed);
        RequestId { process: self.process, connection: self.connection, request }
    }
}
