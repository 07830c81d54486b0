//! What an answer says about the endpoint that gave it.

use crate::outcome::Outcome;

/// Judges the endpoint by what it answered. Closures of the same shape do.
///
/// ```
/// use cortado_aperture::Outcome;
/// use cortado_aperture::service::Classify;
///
/// let by_status = |result: &Result<http::Response<()>, hyper::Error>| match result {
///     Ok(answer) if answer.status().is_server_error() => Outcome::Failure,
///     Ok(answer) if answer.status() == http::StatusCode::TOO_MANY_REQUESTS => Outcome::Failure,
///     Ok(_) => Outcome::Success,
///     Err(_) => Outcome::Failure,
/// };
/// assert_eq!(by_status.classify(&Ok(http::Response::new(()))), Outcome::Success);
/// ```
pub trait Classify<Res, E>: Clone {
    /// How the request ended, as far as the endpoint is concerned.
    fn classify(&self, result: &Result<Res, E>) -> Outcome;
}

/// Errors are failures, answers are successes, whatever they say.
#[derive(Clone, Copy, Debug, Default)]
pub struct ErrorsFail;

impl<Res, E> Classify<Res, E> for ErrorsFail {
    #[inline]
    fn classify(&self, result: &Result<Res, E>) -> Outcome {
        if result.is_ok() { Outcome::Success } else { Outcome::Failure }
    }
}

impl<Res, E, F: Fn(&Result<Res, E>) -> Outcome + Clone> Classify<Res, E> for F {
    #[inline]
    fn classify(&self, result: &Result<Res, E>) -> Outcome {
        self(result)
    }
}
