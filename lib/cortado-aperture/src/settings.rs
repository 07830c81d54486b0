//! What a balancer can be told, checked once.

use crate::health::Accrual;
use std::num::NonZeroUsize;
use std::time::Duration;

/// How a balancer behaves; see each field. The default suits servers in one data centre.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// When an endpoint is left alone because it fails. `None`: never, whatever happens.
    pub accrual: Option<Accrual>,
    /// How many connections are opened ahead of their first request at a time. `None`: none are;
    /// the first request waits for its connection.
    ///
    /// 2 by default: a resize must not look like a storm to those who have to accept it.
    pub openings_max: Option<NonZeroUsize>,
    /// For how long an endpoint outside the aperture may stay connected without a request.
    /// `None`: for ever. 150 seconds by default.
    pub idle_max: Option<Duration>,
    /// Whether discovery's removals are advice: an endpoint that works stays until it fails. For
    /// sources that lose endpoints by mistake. Off by default.
    pub probation: bool,
    /// Whether the aperture widens while most of it is down. On by default.
    pub escape: bool,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            accrual: Some(Accrual::default()),
            openings_max: NonZeroUsize::new(2),
            idle_max: Some(Duration::from_secs(150)),
            probation: false,
            escape: true,
        }
    }
}

impl Settings {
    /// Checks the relations between settings.
    ///
    /// # Errors
    /// The first that does not hold.
    pub fn check(&self) -> Result<(), SettingsError> {
        if let Some(accrual) = self.accrual {
            if accrual.failure_streak == 0 {
                return Err(SettingsError::NoFailures);
            }
            if !(0.0..=1.0).contains(&accrual.success_rate_min) {
                return Err(SettingsError::BadSuccessRate);
            }
            if accrual.pause_min > accrual.pause_max {
                return Err(SettingsError::PausesCrossed);
            }
        }
        Ok(())
    }
}

/// Why some settings do not work together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettingsError {
    /// An endpoint that has not failed would be left alone.
    NoFailures,
    /// `success_rate_min` is a part of 1.
    BadSuccessRate,
    /// The shortest pause is longer than the longest.
    PausesCrossed,
}

impl std::fmt::Display for SettingsError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            SettingsError::NoFailures => "failure_streak must be at least 1",
            SettingsError::BadSuccessRate => "success_rate_min must be from 0 to 1",
            SettingsError::PausesCrossed => "pause_min must not be longer than pause_max",
        })
    }
}

impl std::error::Error for SettingsError {}
