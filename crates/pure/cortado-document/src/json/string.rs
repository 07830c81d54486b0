//! Strings as they are written: where they end, and what they mean.

/// The length of the string that `json` starts with, both quotes included.
pub(crate) fn string_bytes(json: &[u8]) -> usize {
    let mut at = 1;
    while let Some(byte) = json.get(at) {
        at += match byte {
            b'"' => return at + 1,
            b'\\' => 2,
            _ => 1,
        };
    }
    json.len()
}

/// Decodes the escapes of a string, given without its quotes.
pub(crate) fn unescape(raw: &str) -> String {
    serde_json::from_str(&format!("\"{raw}\"")).unwrap_or_else(|_| raw.to_owned())
}
