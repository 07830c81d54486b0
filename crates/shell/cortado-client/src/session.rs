//! A chain of requests that see each other's effects whichever replica serves them.
//!
//! Start reading at [`Session`].

use std::sync::{Mutex, PoisonError};

/// Remembers what a caller has seen of one database, as the server's opaque token.
///
/// Meant for requests one after the other: of answers that arrive at once, the last one counts.
#[derive(Debug, Default)]
pub struct Session {
    token: Mutex<Option<String>>,
}

impl Session {
    /// Has seen nothing yet.
    pub fn new() -> Session {
        Session::default()
    }

    /// Goes on where another process's [`token`](Self::token) left off.
    pub fn resume(token: String) -> Session {
        Session { token: Mutex::new(Some(token)) }
    }

    /// What the newest answer said; `None` before the first.
    pub fn token(&self) -> Option<String> {
        self.token.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes the token of an answer.
    pub(crate) fn note(&self, token: &str) {
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = Some(token.to_owned());
    }
}
