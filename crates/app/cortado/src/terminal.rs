//! Standard output and standard error for text that others wrote: on a terminal, a character that
//! would act on it is shown as an escape instead.
//!
//! What goes into a file or a pipe is never changed. Nothing else writes to standard output
//! (clippy.toml). Start reading at [`stdout`].

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Stdout, Write};

/// Standard output, escaped if it is a terminal.
///
/// Each write must end where a character does, as those of `write!` and of whole values do.
pub(crate) fn stdout() -> Shown<Stdout> {
    let out = raw_stdout();
    Shown { is_terminal: out.is_terminal(), out }
}

/// Standard output as it is, for what steers a terminal on purpose: colours, a cursor that is
/// moved. What others wrote goes there [`escaped`] only.
#[expect(clippy::disallowed_methods, reason = "the one place")]
pub(crate) fn raw_stdout() -> Stdout {
    io::stdout()
}

/// A stream that a person may be looking at.
#[derive(Debug)]
pub(crate) struct Shown<W> {
    out: W,
    is_terminal: bool,
}

impl<W> Shown<W> {
    /// Whether a person is looking at it.
    pub(crate) fn is_terminal(&self) -> bool {
        self.is_terminal
    }
}

impl<W: Write> Write for Shown<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.is_terminal {
            return self.out.write(bytes);
        }
        let text = String::from_utf8_lossy(bytes);
        self.out.write_all(escaped(&text).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// `text` for standard error: escaped if that is a terminal.
pub(crate) fn for_stderr(text: &str) -> Cow<'_, str> {
    if io::stderr().is_terminal() { escaped(text) } else { Cow::Borrowed(text) }
}

/// `text` with `\u009b` and the like for what a terminal would not show but obey: the spelling of
/// JSON, so that a document stays the same document. Line ends and tabs remain.
pub(crate) fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(acts_on_a_terminal) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if acts_on_a_terminal(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(shown, "\\u{unit:04x}");
            }
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// C0 and C1 controls, DEL, and what changes the order of characters or has no width: Unicode's
/// general categories Cc, Cf, Zl and Zp, but not the line end and the tab.
/// Source: UnicodeData.txt 17.0.
fn acts_on_a_terminal(c: char) -> bool {
    if matches!(c, '\n' | '\t') {
        return false;
    }
    c.is_control()
        || matches!(u32::from(c), 0xad | 0x600..=0x605 | 0x61c | 0x6dd | 0x70f | 0x890..=0x891
            | 0x8e2 | 0x180e | 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x2064
            | 0x2066..=0x206f | 0xfeff | 0xfff9..=0xfffb | 0x110bd | 0x110cd
            | 0x13430..=0x1343f | 0x1bca0..=0x1bca3 | 0x1d173..=0x1d17a | 0xe0001
            | 0xe0020..=0xe007f)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, want: &str) {
        assert_eq!(escaped(text), want);
        let shown = |is_terminal| {
            let mut shown = Shown { out: Vec::new(), is_terminal };
            write!(shown, "{text}").expect("a vector takes everything");
            String::from_utf8(shown.out).expect("UTF-8")
        };
        assert_eq!(shown(true), want);
        assert_eq!(shown(false), text, "a pipe gets it as it is");
    }

    #[test]
    fn what_acts_on_a_terminal_is_escaped_there_alone() {
        check("{\"a\":\"東京 ñ\"}\n\t", "{\"a\":\"東京 ñ\"}\n\t");
        check("\u{1b}[2J\r\u{7f}", "\\u001b[2J\\u000d\\u007f");
        check("\u{9b}31m\u{85}", "\\u009b31m\\u0085");
        check("\u{202e}gpj\u{2066}\u{2069}", "\\u202egpj\\u2066\\u2069");
        check("a\u{200b}b\u{feff}\u{2028}", "a\\u200bb\\ufeff\\u2028");
        check("\u{e0041}", "\\udb40\\udc41");
    }

    #[test]
    fn an_escaped_document_is_the_same_document() {
        let text = "\"\u{9b}\u{202e}\u{e0041}\u{7f}\"";
        let parsed = |text: &str| serde_json::from_str::<String>(text).expect("JSON");
        assert_eq!(parsed(&escaped(text)), parsed(text));
    }
}
