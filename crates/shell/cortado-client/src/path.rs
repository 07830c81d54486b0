//! Key parts as segments of a path, percent-encoded once.
//!
//! Start reading at [`document_path`].

use cortado_wire::{percent_decode, percent_encode};
use std::borrow::Cow;

/// `/v1/{database}/{table}` followed by a segment for each part of `key`.
pub(crate) fn document_path<T: AsRef<str>>(database: &str, table: &str, key: &[T]) -> String {
    let mut path = format!("/v1/{}/{}", encoded(database), encoded(table));
    for part in key {
        path.push('/');
        path.push_str(&encoded(part.as_ref()));
    }
    path
}

/// `text` as one segment of a path.
pub(crate) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    percent_encode(text, &mut out);
    out
}

/// One segment of a path, percent-decoded once; `None` if it is not encoded well or not UTF-8.
pub fn percent_decoded(segment: &str) -> Option<String> {
    percent_decode(segment).map(Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(part: &str, want: &str) {
        assert_eq!(encoded(part), want);
        assert_eq!(percent_decoded(want).as_deref(), Some(part));
    }

    #[test]
    fn parts_survive_the_path() {
        check("JP", "JP");
        check("a/b?c#d e", "a%2Fb%3Fc%23d%20e");
        check("%2F", "%252F");
        check("Ōita", "%C5%8Cita");
        check("+", "%2B");
        assert_eq!(document_path("geo", "place", &["JP", "a/b"]), "/v1/geo/place/JP/a%2Fb");
    }
}
