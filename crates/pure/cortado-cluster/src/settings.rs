//! How fast failures are noticed.

/// What the operator wrote; `None` is the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RawSettings {
    /// See [`Settings::beat_ms`]; 250 by default.
    pub beat_ms: Option<u64>,
    /// See [`Settings::dead_after_ms`]; 1,000 by default.
    pub dead_after_ms: Option<u64>,
    /// See [`Settings::stagger_ms`]; 150 by default.
    pub stagger_ms: Option<u64>,
}

/// Settings of detection and of claims, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How often a node shows on every stream of beats that it lives. At least 10.
    pub beat_ms: u64,
    /// Silence after which a node counts as dead.
    ///
    /// Invariant: `3 * beat_ms <= dead_after_ms`, so two lost beats never cost a
    /// leadership.
    pub dead_after_ms: u64,
    /// How much longer each next candidate waits before it claims.
    ///
    /// Invariant: at most `dead_after_ms`, or candidates would be slower than the detector. It
    /// should be longer than an append takes, or candidates claim against each other.
    pub stagger_ms: u64,
}

impl RawSettings {
    /// Fills in defaults and checks the relations between settings.
    ///
    /// # Errors
    /// The first relation that does not hold.
    pub fn validate(self) -> Result<Settings, SettingsError> {
        let beat_ms = self.beat_ms.unwrap_or(250);
        let dead_after_ms = self.dead_after_ms.unwrap_or(1_000);
        let stagger_ms = self.stagger_ms.unwrap_or(150);
        if beat_ms < BEAT_MS_MIN {
            return Err(SettingsError::BeatTooFast { beat_ms });
        }
        if dead_after_ms > DEAD_AFTER_MS_MAX {
            return Err(SettingsError::DeadTooLate { dead_after_ms });
        }
        if beat_ms.saturating_mul(3) > dead_after_ms {
            return Err(SettingsError::DeadTooSoon { beat_ms, dead_after_ms });
        }
        if stagger_ms == 0 || stagger_ms > dead_after_ms {
            return Err(SettingsError::BadStagger { stagger_ms, dead_after_ms });
        }
        Ok(Settings { beat_ms, dead_after_ms, stagger_ms })
    }
}

/// Faster beats would measure the scheduler, not the nodes.
const BEAT_MS_MIN: u64 = 10;
/// An hour without a leader is an outage, not a setting.
const DEAD_AFTER_MS_MAX: u64 = 60 * 60 * 1_000;

/// Why some settings do not work together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettingsError {
    /// More than 100 beats a second.
    BeatTooFast {
        /// As set.
        beat_ms: u64,
    },
    /// Two lost beats would cost a leadership.
    DeadTooSoon {
        /// As set.
        beat_ms: u64,
        /// As set.
        dead_after_ms: u64,
    },
    /// More than an hour.
    DeadTooLate {
        /// As set.
        dead_after_ms: u64,
    },
    /// Zero, or slower than detection itself.
    BadStagger {
        /// As set.
        stagger_ms: u64,
        /// As set.
        dead_after_ms: u64,
    },
}

impl core::fmt::Display for SettingsError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            SettingsError::BeatTooFast { beat_ms } => {
                write!(f, "beat_ms is {beat_ms}, at least {BEAT_MS_MIN} is needed")
            }
            SettingsError::DeadTooSoon { beat_ms, dead_after_ms } => write!(
                f,
                "dead_after_ms is {dead_after_ms}, at least 3 beats of {beat_ms} ms are \
                 needed"
            ),
            SettingsError::DeadTooLate { dead_after_ms } => {
                write!(
                    f,
                    "dead_after_ms is {dead_after_ms}, at most {DEAD_AFTER_MS_MAX} is allowed"
                )
            }
            SettingsError::BadStagger { stagger_ms, dead_after_ms } => write!(
                f,
                "stagger_ms is {stagger_ms}, it must be from 1 to dead_after_ms, {dead_after_ms}"
            ),
        }
    }
}

impl core::error::Error for SettingsError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(settings: [u64; 3], want: Result<(), SettingsError>) {
        let [beat_ms, dead_after_ms, stagger_ms] = settings.map(Some);
        let raw = RawSettings { beat_ms, dead_after_ms, stagger_ms };
        assert_eq!(raw.validate().map(|_| ()), want);
    }

    #[test]
    fn settings_are_checked_together() {
        let default = Settings { beat_ms: 250, dead_after_ms: 1_000, stagger_ms: 150 };
        assert_eq!(RawSettings::default().validate(), Ok(default));
        check([100, 300, 300], Ok(()));
        let too_soon = SettingsError::DeadTooSoon { beat_ms: 100, dead_after_ms: 299 };
        check([100, 299, 100], Err(too_soon));
        check([9, 1_000, 100], Err(SettingsError::BeatTooFast { beat_ms: 9 }));
        for stagger_ms in [0, 1_001] {
            let bad = SettingsError::BadStagger { stagger_ms, dead_after_ms: 1_000 };
            check([100, 1_000, stagger_ms], Err(bad));
        }
        let late = SettingsError::DeadTooLate { dead_after_ms: u64::MAX };
        check([u64::MAX, u64::MAX, 1], Err(late));
    }
}
