//! Tells which rule was broken.

use std::thread;

/// Names the rule during which something panics.
pub(super) struct Naming<'a>(pub(super) &'a str);

impl Drop for Naming<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("this rule is broken: {}", self.0);
        }
    }
}
