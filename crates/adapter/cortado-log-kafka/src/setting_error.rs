//! A setting that cannot work.

/// A setting that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name} is {found:?}, but {wanted}")]
pub struct KafkaSettingError {
    /// Its name.
    pub name: String,
    /// Its value.
    pub found: String,
    /// What would do.
    pub wanted: &'static str,
}
