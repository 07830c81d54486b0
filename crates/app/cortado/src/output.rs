//! Text in aligned columns, and lines on standard error.
//!
//! Start reading at [`Columns`].

use crate::terminal::{escaped, for_stderr, stdout};
use std::borrow::Cow;
use std::io::{self, Write};

/// Lines of cells under a line of titles, all columns as wide as their widest cell.
#[derive(Clone, Debug)]
pub(crate) struct Columns {
    lines: Vec<Vec<String>>,
}

impl Columns {
    /// Begins with the titles.
    pub(crate) fn new(titles: &[&str]) -> Columns {
        Columns { lines: vec![titles.iter().map(|title| title.to_uppercase()).collect()] }
    }

    /// Adds one line; as many cells as there are titles.
    pub(crate) fn add(&mut self, cells: Vec<String>) {
        let is_shown = stdout().is_terminal();
        let shown = |cell: String| if is_shown { escaped(&cell).into_owned() } else { cell };
        self.lines.push(cells.into_iter().map(shown).collect());
    }

    /// The whole, each line ended.
    pub(crate) fn render(&self) -> String {
        let columns = self.lines[0].len();
        let width = |column: usize| {
            self.lines.iter().map(|line| columns_of(&line[column])).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut text = String::new();
        for line in &self.lines {
            let mut rendered = String::new();
            for (cell, width) in line.iter().zip(&widths) {
                rendered.push_str(cell);
                rendered.extend(std::iter::repeat_n(' ', width - columns_of(cell) + 2));
            }
            text.push_str(rendered.trim_end());
            text.push('\n');
        }
        text
    }

    /// Writes the whole to standard output.
    pub(crate) fn print(&self) -> io::Result<()> {
        stdout().write_all(self.render().as_bytes())
    }
}

/// One line's worth of a document.
pub(crate) fn shortened(value: &str) -> String {
    const CHARACTERS_MAX: usize = 100;
    let one_line = value.replace(['\n', '\r', '\t'], " ");
    match one_line.char_indices().nth(CHARACTERS_MAX) {
        Some((at, _)) => format!("{}…", &one_line[..at]),
        None => one_line,
    }
}

/// How many columns of a terminal `text` takes: characters of East Asian scripts take two.
pub(crate) fn columns_of(text: &str) -> usize {
    text.chars().map(width_of).sum()
}

/// The same of one character.
pub(crate) fn width_of(c: char) -> usize {
    if is_wide(c) { 2 } else { 1 }
}

fn is_wide(c: char) -> bool {
    matches!(u32::from(c), 0x1100..=0x115f | 0x2e80..=0xa4cf | 0xac00..=0xd7a3 | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f | 0xff00..=0xff60 | 0xffe0..=0xffe6 | 0x1f300..=0x1faff)
}

/// Writes a line to standard error. Ignores a failure: there is nowhere left to report it.
pub(crate) fn tell(text: &str) {
    let _ = writeln!(io::stderr(), "{}", for_stderr(text));
}

/// `word` as a shell takes it for one word: `'Zhong Guo.json'`.
pub(crate) fn for_shell(word: &str) -> Cow<'_, str> {
    let is_plain = |c: char| c.is_alphanumeric() || "-_./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return Cow::Borrowed(word);
    }
    Cow::Owned(format!("'{}'", word.replace('\'', "'\\''")))
}

/// A number with its thousands set apart: `171,075`.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 document`, `2 documents`.
pub(crate) fn counted(number: u64, one: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {one}{plural}", thousands(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut columns = Columns::new(&["key", "etag"]);
        columns.add(vec!["東京".to_owned(), "a1".to_owned()]);
        columns.add(vec!["x".to_owned(), String::new()]);
        assert_eq!(columns.render(), "KEY   ETAG\n東京  a1\nx\n");
    }

    #[test]
    fn a_shell_takes_a_quoted_word_as_one() {
        assert_eq!(for_shell("geo/place"), "geo/place");
        assert_eq!(for_shell("id=_id"), "id=_id");
        assert_eq!(for_shell(""), "''");
        for word in ["a b", "it's", "$HOME", "`id`", "a;b", "*", "~", "a\nb", "\\"] {
            let script = format!("printf %s {}", for_shell(word));
            let ran = std::process::Command::new("sh").args(["-c", &script]).output();
            assert_eq!(ran.expect("a shell").stdout, word.as_bytes(), "{script}");
        }
    }

    #[test]
    fn numbers_are_readable() {
        assert_eq!(thousands(0), "0");
        assert_eq!(thousands(999), "999");
        assert_eq!(thousands(1_000), "1,000");
        assert_eq!(thousands(171_075), "171,075");
        assert_eq!(counted(1, "document"), "1 document");
        assert_eq!(counted(1_200, "document"), "1,200 documents");
    }
}
