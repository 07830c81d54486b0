//! Where in a JSON value something stands, as a chain on the stack that becomes text only if it
//! must be told; and how the parts of a JSON pointer are read.

/// Bytes of a path or a name that an answer repeats at most; member names can be long.
const TEXT_BYTES_MAX: usize = 256;

/// A place below the root of a value.
#[derive(Clone, Copy)]
pub(crate) enum Path<'p> {
    Root,
    Member(&'p Path<'p>, &'p str),
    Item(&'p Path<'p>, usize),
}

impl<'p> Path<'p> {
    pub(crate) fn member(&'p self, name: &'p str) -> Path<'p> {
        Path::Member(self, name)
    }

    pub(crate) fn item(&'p self, index: usize) -> Path<'p> {
        Path::Item(self, index)
    }

    /// A JSON pointer, cut after 256 bytes.
    pub(crate) fn to_text(self) -> String {
        let mut text = String::new();
        self.write(&mut text);
        text.truncate(cut(&text).len());
        text
    }

    fn write(self, out: &mut String) {
        match self {
            Path::Root => {}
            Path::Member(parent, name) => {
                parent.write(out);
                if out.len() <= TEXT_BYTES_MAX {
                    out.push('/');
                    out.push_str(&name.replace('~', "~0").replace('/', "~1"));
                }
            }
            Path::Item(parent, index) => {
                parent.write(out);
                if out.len() <= TEXT_BYTES_MAX {
                    out.push_str(&format!("/{index}"));
                }
            }
        }
    }
}

/// The first 256 bytes of a text, less a character that goes beyond.
pub(crate) fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(TEXT_BYTES_MAX)]
}

/// An array index in a JSON pointer (RFC 6901): digits without a leading zero.
pub(crate) fn index(part: &str) -> Option<usize> {
    let digits = part.bytes().all(|b| b.is_ascii_digit());
    let canonical = part == "0" || !part.starts_with('0');
    (digits && canonical).then(|| part.parse().ok())?
}

/// A part of a JSON pointer without escapes: replaces `~1` by `/` and `~0` by `~`; `None` for any
/// other `~`.
pub(crate) fn decode(part: &str) -> Option<String> {
    let mut pieces = part.split('~');
    let mut decoded = pieces.next()?.to_owned();
    for piece in pieces {
        let (escaped, rest) = match piece.as_bytes().first()? {
            b'0' => ('~', &piece[1..]),
            b'1' => ('/', &piece[1..]),
            _ => return None,
        };
        decoded.push(escaped);
        decoded.push_str(rest);
    }
    Some(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_long_is_cut_between_characters() {
        assert_eq!(cut("name"), "name");
        assert_eq!(cut(&"n".repeat(257)), "n".repeat(256));
        assert_eq!(cut(&format!("n{}", "é".repeat(200))), format!("n{}", "é".repeat(127)));
    }

    #[test]
    fn the_parts_of_a_pointer_have_one_spelling() {
        for (part, want) in [("0", Some(0)), ("12", Some(12))] {
            assert_eq!(index(part), want);
        }
        for part in ["", "00", "01", "+0", "-0", "-", "1.0", "٣", "99999999999999999999"] {
            assert_eq!(index(part), None, "{part}");
        }
        assert_eq!(decode("a~1b~0c~01").as_deref(), Some("a/b~c~1"));
        for part in ["~", "~2", "a~", "~é"] {
            assert_eq!(decode(part), None, "{part}");
        }
    }
}
