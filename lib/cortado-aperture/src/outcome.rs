//! What a request says about the endpoint that it was sent to.

/// How a request ended, as far as its endpoint is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The endpoint did its work. "Not found" is work well done.
    Success,
    /// The endpoint could not: no connection, an error of its own, too many requests.
    Failure,
    /// Says nothing: the caller gave up, or the request itself was wrong.
    Ignored,
}
