//! JSON text, appended piece by piece: what serde would write, without building anything first.
//!
//! Stored documents are JSON already and stand in it as they are: short ones are copied, long ones
//! shared. Start reading at [`JsonText`].

use crate::Position;
use crate::short_text::ShortText;
use bytes::Bytes;
use cortado_model::{DocumentKey, Etag, WallMillis};

/// From this length on a document is shared: below, a copy costs less than one more piece to send.
const SHARED_BYTES_MIN: usize = 4 << 10;

/// A growing JSON text. The caller minds commas and brackets.
#[derive(Debug, Default)]
pub struct JsonText {
    /// What comes first, whole.
    pieces: Vec<Bytes>,
    pieces_bytes: usize,
    /// What comes behind it.
    text: Vec<u8>,
}

impl JsonText {
    /// An empty text with room for `bytes`.
    pub fn with_capacity(bytes: usize) -> JsonText {
        JsonText { text: Vec::with_capacity(bytes), ..JsonText::default() }
    }

    /// Appends JSON as it is.
    pub fn raw(&mut self, json: &[u8]) -> &mut JsonText {
        self.text.extend_from_slice(json);
        self
    }

    /// Appends a stored document as it is; shares its buffer if it is long.
    pub fn document(&mut self, json: &Bytes) -> &mut JsonText {
        if json.len() < SHARED_BYTES_MIN {
            return self.raw(json);
        }
        self.cut();
        self.pieces_bytes += json.len();
        self.pieces.push(json.clone());
        self
    }

    /// Makes a piece of what was appended last.
    fn cut(&mut self) {
        if !self.text.is_empty() {
            self.pieces_bytes += self.text.len();
            self.pieces.push(Bytes::from(std::mem::take(&mut self.text)));
        }
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
        self.pieces_bytes + self.text.len()
    }

    /// Whether nothing was appended yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The text, UTF-8, in one piece.
    pub fn into_bytes(self) -> Vec<u8> {
        if self.pieces.is_empty() {
            return self.text;
        }
        let mut whole = self.pieces.concat();
        whole.extend_from_slice(&self.text);
        whole
    }

    /// The text, UTF-8, in pieces of at least one byte each: long documents share their buffers.
    pub fn into_pieces(mut self) -> Vec<Bytes> {
        self.cut();
        self.pieces
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

    #[test]
    fn long_documents_are_shared_and_short_ones_copied() {
        let long = Bytes::from(vec![b'x'; SHARED_BYTES_MIN]);
        let short = long.slice(1..);
        let write = || {
            let mut json = JsonText::default();
            json.raw(b"[").document(&short).raw(b",").document(&long).document(&long).raw(b"]");
            json
        };
        assert_eq!(write().len(), 3 * SHARED_BYTES_MIN + 2);
        let pieces = write().into_pieces();
        let shared: Vec<bool> =
            pieces.iter().map(|piece| piece.as_ptr() == long.as_ptr()).collect();
        assert_eq!(shared, [false, true, true, false]);
        assert_eq!(write().into_bytes(), pieces.concat());
        assert_eq!(JsonText::default().into_pieces(), Vec::<Bytes>::new());
    }

    proptest! {
        #[test]
        fn any_string_comes_back(text: String) {
            let json = written(|json| { json.string(&text); });
            prop_assert_eq!(serde_json::from_str::<String>(&json).expect("JSON"), text);
        }
    }
}
