//! What a panic has said, for who must tell of it.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `work`; an error is the message of its panic.
///
/// Whatever it left half done must not be used again.
pub(crate) fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| message(panic.as_ref()))
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "it has not said why".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_told_by_its_message() {
        assert_eq!(caught(|| 7), Ok(7));
        assert_eq!(caught(|| panic!("a word")), Err::<(), _>("a word".to_owned()));
        let told = caught(|| panic!("number {}", 7));
        assert_eq!(told, Err::<(), _>("number 7".to_owned()));
        let silent = caught(|| std::panic::panic_any(7));
        assert_eq!(silent, Err::<(), _>("it has not said why".to_owned()));
    }
}
