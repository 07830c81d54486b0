//! Key parts as segments of a path, percent-encoded once.
//!
//! Start reading at [`document_path`].

use std::fmt::Write;

/// `/v1/{database}/{table}` followed by a segment for each part of `key`.
pub(crate) fn document_path<T: AsRef<str>>(database: &str, table: &str, key: &[T]) -> String {
    let mut path = format!("/v1/{}/{}", encoded(database), encoded(table));
    for part in key {
        path.push('/');
        path.push_str(&encoded(part.as_ref()));
    }
    path
}

/// `text` with all but the unreserved characters of RFC 3986 percent-encoded.
pub(crate) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            _ => write!(out, "%{byte:02X}").expect("writing to a string does not fail"),
        }
    }
    out
}

/// One segment of a path, percent-decoded once; `None` if it is not encoded well or not UTF-8.
pub fn percent_decoded(segment: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let high = char::from(rest.next()?).to_digit(16)?;
            let low = char::from(rest.next()?).to_digit(16)?;
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
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

    #[test]
    fn bad_encodings_are_refused() {
        for text in ["%", "%2", "%zz", "%ff", "a%+1"] {
            assert_eq!(percent_decoded(text), None, "{text}");
        }
    }
}
