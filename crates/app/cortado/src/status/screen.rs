//! A text that is drawn again and again in one place of the terminal.
//!
//! Start reading at [`redrawn`].

use crate::output::{columns_of, width_of};
use terminal_size::{Height, Width, terminal_size};

/// Lines and columns of a terminal.
pub(crate) type Size = (usize, usize);

/// Puts the cursor at the top left.
const HOME: &str = "\x1b[H";
/// Clears what is left of a line.
const END_LINE: &str = "\x1b[K";
/// Clears everything below.
const CLEAR_BELOW: &str = "\x1b[J";

/// Of the terminal that is written to; `None` if it is none.
pub(crate) fn size() -> Option<Size> {
    let (Width(columns), Height(lines)) = terminal_size()?;
    Some((lines.into(), columns.into()))
}

/// `text` over what was there, without a flicker; cut to what fits, so that nothing scrolls away.
pub(crate) fn redrawn(text: &str, size: Option<Size>) -> String {
    let (height, columns) = size.unwrap_or((usize::MAX, usize::MAX));
    let lines: Vec<&str> = text.lines().collect();
    // The cursor stands below the last line.
    let room = height.saturating_sub(1).max(1);
    let shown = if lines.len() > room { room - 1 } else { lines.len() };
    let mut drawn = String::from(HOME);
    for line in &lines[..shown] {
        drawn.push_str(cut(line, columns));
        drawn.push_str(END_LINE);
        drawn.push('\n');
    }
    if shown < lines.len() {
        let more = format!(
            "… {} more lines: enlarge the terminal, or name a database",
            lines.len() - shown
        );
        drawn.push_str(cut(&more, columns));
        drawn.push_str(END_LINE);
        drawn.push('\n');
    }
    drawn.push_str(CLEAR_BELOW);
    drawn
}

/// As much of a line as `columns` hold.
fn cut(line: &str, columns: usize) -> &str {
    if columns_of(line) <= columns {
        return line;
    }
    let mut used = 0;
    let end = line.char_indices().find(|(_, c)| {
        used += width_of(*c);
        used > columns
    });
    end.map_or(line, |(at, _)| &line[..at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, size: Option<Size>, want: &[&str]) {
        let drawn = redrawn(text, size);
        let inner = drawn.strip_prefix(HOME).and_then(|rest| rest.strip_suffix(CLEAR_BELOW));
        let lines: Vec<&str> = inner.expect("drawn in place").lines().collect();
        let want: Vec<String> = want.iter().map(|line| format!("{line}{END_LINE}")).collect();
        assert_eq!(lines, want);
    }

    #[test]
    fn what_is_watched_fits_the_terminal() {
        check("a\nb\nc\n", None, &["a", "b", "c"]);
        check("a\nb\nc\n", Some((4, 80)), &["a", "b", "c"]);
        let more = "… 2 more lines: enlarge the terminal, or name a database";
        check("a\nb\nc\n", Some((3, 80)), &["a", more]);
        check("abcdef\n東京東\n", Some((9, 5)), &["abcde", "東京"]);
        // Too small for anything is no panic.
        check("a\nb\n", Some((1, 1)), &["…"]);
        check("a\n", Some((0, 0)), &[""]);
    }
}
