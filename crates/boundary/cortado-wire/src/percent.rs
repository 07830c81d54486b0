//! Percent-encoding of what stands in a path or a query.
//!
//! Start reading at [`percent_encode`]. Source: RFC 3986, section 2.

use std::borrow::Cow;

/// Appends `text` with all but the unreserved characters encoded: one segment of a path.
pub fn percent_encode(text: &str, into: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            into.push(char::from(byte));
        } else {
            let [high, low] = [byte >> 4, byte & 15].map(|digit| DIGITS[usize::from(digit)]);
            into.extend(['%', char::from(high), char::from(low)]);
        }
    }
}

/// Decodes `%XX`, once; `None` for an invalid escape or invalid UTF-8.
pub fn percent_decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.as_bytes().contains(&b'%') {
        return Some(Cow::Borrowed(text));
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte != b'%' {
            decoded.push(*byte);
            continue;
        }
        let (digits, after) = rest.split_first_chunk::<2>()?;
        let [high, low] = digits.map(|digit| char::from(digit).to_digit(16));
        // Two hexadecimal digits make one byte.
        decoded.push((high? * 16 + low?) as u8);
        rest = after;
    }
    String::from_utf8(decoded).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_encoded_is_decoded_to_the_same() {
        let text = "a/b c?d#é%2F.~日+";
        let mut encoded = String::new();
        percent_encode(text, &mut encoded);
        assert_eq!(encoded, "a%2Fb%20c%3Fd%23%C3%A9%252F.~%E6%97%A5%2B");
        assert_eq!(percent_decode(&encoded).as_deref(), Some(text));
    }

    #[test]
    fn bad_encodings_are_refused() {
        for text in ["%", "%2", "%zz", "%ff", "a%+1", "%c0%af", "%ed%a0%80"] {
            assert_eq!(percent_decode(text), None, "{text}");
        }
    }
}
