//! Tells code from comments and literals.
//!
//! Never fails: what is left open at the end of the file ends there. Start at [`take_apart`].

/// A comment.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::tidy) struct Comment {
    /// What its opening says about it.
    pub(in crate::tidy) kind: CommentKind,
    /// First byte of its opening.
    pub(in crate::tidy) start: usize,
    /// After its last byte; the newline of a line comment does not belong to it.
    pub(in crate::tidy) end: usize,
}

/// Kinds of comments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::tidy) enum CommentKind {
    /// `//`, or `/* … */`.
    Plain,
    /// `///`, `//!`, `/** … */` or `/*! … */`.
    Doc,
}

/// A file taken apart.
#[derive(Debug)]
pub(super) struct Parts {
    /// See [`super::Source::code`].
    pub(super) code: String,
    /// In order.
    pub(super) comments: Vec<Comment>,
}

/// Takes `text` apart.
pub(super) fn take_apart(text: &str) -> Parts {
    let bytes = text.as_bytes();
    let mut code = bytes.to_vec();
    let mut comments = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        match token_at(text, at) {
            Token::Code(length) => at += length,
            Token::Comment(kind, end) => {
                comments.push(Comment { kind, start: at, end });
                blank(&mut code[at..end]);
                at = end;
            }
            Token::Literal { inside, end } => {
                blank(&mut code[inside.0..inside.1]);
                at = end;
            }
        }
    }
    let code = String::from_utf8(code).expect("whole tokens were replaced by ASCII");
    Parts { code, comments }
}

/// Blanks bytes, keeping the lines.
fn blank(bytes: &mut [u8]) {
    bytes.iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
}

/// What begins at a position.
enum Token {
    /// So many bytes of code.
    Code(usize),
    /// A comment of this kind up to this end.
    Comment(CommentKind, usize),
    /// A string or character; its quotes stay.
    Literal { inside: (usize, usize), end: usize },
}

fn token_at(text: &str, at: usize) -> Token {
    let rest = &text[at..];
    if rest.starts_with("//") {
        let end = rest.find('\n').map_or(text.len(), |length| at + length);
        let is_doc =
            (rest.starts_with("///") && !rest.starts_with("////")) || rest.starts_with("//!");
        return Token::Comment(if is_doc { CommentKind::Doc } else { CommentKind::Plain }, end);
    }
    if rest.starts_with("/*") {
        let is_doc =
            rest.starts_with("/*!") || (rest.starts_with("/**") && !rest.starts_with("/**/"));
        let kind = if is_doc { CommentKind::Doc } else { CommentKind::Plain };
        return Token::Comment(kind, at + block_comment_length(rest));
    }
    let first = rest.chars().next().unwrap_or(' ');
    match first {
        '"' => string(text, at),
        '\'' => character(text, at),
        'r' if !continues_a_word(text, at) => raw_string(text, at).unwrap_or(Token::Code(1)),
        _ => Token::Code(first.len_utf8()),
    }
}

/// Length of the block comment at the start of `rest`; they nest.
fn block_comment_length(rest: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

/// The string whose opening quote is at `open`.
fn string(text: &str, open: usize) -> Token {
    let bytes = text.as_bytes();
    let mut at = open + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return Token::Literal { inside: (open + 1, at), end: at + 1 },
            _ => at += 1,
        }
    }
    Token::Literal { inside: (open + 1, bytes.len()), end: bytes.len() }
}

/// The character whose opening quote is at `open`; a lifetime is code.
fn character(text: &str, open: usize) -> Token {
    let inside = &text[open + 1..];
    let closing = if inside.starts_with('\\') {
        // The escaped character cannot be the closing quote: '\''.
        inside.char_indices().skip(2).find(|(_, c)| *c == '\'').map(|(at, _)| at)
    } else {
        inside.char_indices().nth(1).filter(|(_, c)| *c == '\'').map(|(at, _)| at)
    };
    match closing {
        Some(length) => {
            let close = open + 1 + length;
            Token::Literal { inside: (open + 1, close), end: close + 1 }
        }
        None => Token::Code(1),
    }
}

/// The raw string whose `r` is at `start`; `None` when something else begins with that letter.
fn raw_string(text: &str, start: usize) -> Option<Token> {
    let after = &text[start + 1..];
    let hashes = after.bytes().take_while(|byte| *byte == b'#').count();
    if !after[hashes..].starts_with('"') {
        return None;
    }
    let open = start + 1 + hashes + 1;
    let closing = format!("\"{}", "#".repeat(hashes));
    let close = text[open..].find(&closing).map_or(text.len(), |length| open + length);
    Some(Token::Literal { inside: (open, close), end: (close + closing.len()).min(text.len()) })
}

/// Whether the byte at `at` goes on with an identifier; `b` and `c` before an `r` are prefixes.
fn continues_a_word(text: &str, at: usize) -> bool {
    let mut before = text[..at].chars().rev();
    let is_part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    match before.next() {
        Some('b' | 'c') => is_part(before.next()),
        other => is_part(other),
    }
}
