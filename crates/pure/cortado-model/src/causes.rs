//! An error as one line of text.

use alloc::string::{String, ToString};
use core::error::Error;

/// An error and what caused it, on one line: many texts leave their causes out.
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let more = inner.to_string();
        // Wrappers often repeat what they wrap.
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Layer {
        text: &'static str,
        #[source]
        source: Option<Box<Layer>>,
    }

    fn layers(texts: &[&'static str]) -> Option<Box<Layer>> {
        let (text, rest) = texts.split_first()?;
        Some(Box::new(Layer { text, source: layers(rest) }))
    }

    #[test]
    fn every_cause_is_told_once() {
        let told = |texts| with_causes(layers(texts).unwrap().as_ref());
        assert_eq!(told(&["cannot be read"]), "cannot be read");
        assert_eq!(told(&["cannot be read", "disk", "gone"]), "cannot be read: disk: gone");
        assert_eq!(told(&["cannot be read: gone", "gone"]), "cannot be read: gone");
    }
}
