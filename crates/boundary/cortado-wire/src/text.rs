//! JSON text, appended piece by piece: what serde would write, without building anything first.
//!
//! Stored documents are JSON already and are copied as they are. Start reading at [`JsonText`].

use crate::Position;
use crate::short_text::ShortText;
use cortado_model::{DocumentKey, Etag, WallMillis};

/// A growing JSON text. The caller minds commas and brackets.
#[derive(Debug, Default)]
pub struct JsonText {
    text: Vec<u8>,
}

impl JsonText {
    /// An empty text with room for `bytes`.
    pub fn with_capacity(bytes: usize) -> JsonText {
        JsonText { text: Vec::with_capacity(bytes) }
    }

    /// Appends JSON as it is.
    pub fn raw(&mut self, json: &[u8]) -> &mut JsonText {
        self.text.extend_from_slice(json);
        self
    }

    /// Appends a string, quoted and escaped.
    pub fn string(&mut self, text: &str) -> &mut JsonText {
        self.text.push(b'"');
        let mut rest = text.as_bytes();
        while let Some(at) = rest.iter().position(|b| *b < 0x20 || *b == b'"' || *b == b'\\') {
            let (plain, special) = rest.split_at(at);
            self.text.extend_from_slice(plain);
            self.escape(special[0]);
            rest = &special[1..];
        }
        self.text.extend_from_slice(rest);
        self.text.push(b'"');
        self
    }

    fn escape(&mut self, byte: u8) {
        if byte >= 0x20 {
            self.text.extend_from_slice(&[b'\\', byte]);
            return;
        }
        let mut code = ShortText::default();
        code.hex(u64::from(byte), 2);
        self.text.extend_from_slice(b"\\u00");
        self.text.extend_from_slice(code.as_bytes());
    }

    /// Appends a key: an array of its parts.
    pub fn key(&mut self, key: &DocumentKey) -> &mut JsonText {
        let mut before = b'[';
        for part in key.parts() {
            self.text.push(before);
            self.string(part);
            before = b',';
        }
        self.text.push(b']');
        self
    }

    /// Appends an etag, quoted.
    pub fn etag(&mut self, etag: Etag) -> &mut JsonText {
        self.raw(ShortText::of_etag_quoted(etag).as_bytes())
    }

    /// Appends a position, quoted.
    pub fn position(&mut self, position: Position) -> &mut JsonText {
        self.raw(b"\"").raw(ShortText::of_position(position).as_bytes()).raw(b"\"")
    }

    /// Appends a moment, quoted.
    pub fn time(&mut self, time: WallMillis) -> &mut JsonText {
        self.raw(b"\"").raw(ShortText::of_rfc3339(time).as_bytes()).raw(b"\"")
    }

    /// Appends a number.
    pub fn number(&mut self, number: u64) -> &mut JsonText {
        let mut text = ShortText::default();
        text.number(number);
        self.raw(text.as_bytes())
    }

    /// The length so far.
    pub fn len(&self) -> usize {
        self.text.len()
    }

    /// Whether nothing was appended yet.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// The text, UTF-8.
    pub fn into_bytes(self) -> Vec<u8> {
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cortado_model::{Generation, Scn, Sequence};
    use proptest::prelude::*;

    fn written(write: impl FnOnce(&mut JsonText)) -> String {
        let mut json = JsonText::default();
        write(&mut json);
        String::from_utf8(json.into_bytes()).expect("UTF-8")
    }

    #[test]
    fn pieces_are_written_as_serde_writes_them() {
        let key = DocumentKey::from_parts(&["JP", "a\"b\\c/d", "日本"]).expect("a key");
        assert_eq!(
            written(|json| {
                json.key(&key);
            }),
            r#"["JP","a\"b\\c/d","日本"]"#
        );
        assert_eq!(
            written(|json| {
                json.etag(Etag(0xa1));
            }),
            "\"00000000000000a1\""
        );
        let scn = Scn::new(Generation(5), Sequence(1_042));
        let position = Position { partition: 3, scn };
        assert_eq!(
            written(|json| {
                json.position(position);
            }),
            "\"3/5:1042\""
        );
        assert_eq!(
            written(|json| {
                json.number(u64::MAX);
            }),
            u64::MAX.to_string()
        );
        assert_eq!(
            written(|json| {
                json.number(0);
            }),
            "0"
        );
    }

    proptest! {
        #[test]
        fn any_string_comes_back(text: String) {
            let json = written(|json| { json.string(&text); });
            prop_assert_eq!(serde_json::from_str::<String>(&json).expect("JSON"), text);
        }
    }
}
