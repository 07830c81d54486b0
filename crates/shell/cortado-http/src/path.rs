//! A request's path, cut into segments and decoded once.
//!
//! `%2F` stays inside its segment, because cutting comes first. Start reading at
//! [`Segments::parse`].

use crate::failure::Failure;
use cortado_wire::{Code, percent_decode};
use std::borrow::Cow;

/// The longest path that names anything: `v1`, database, table and a key of 8 parts.
const SEGMENTS_MAX: usize = 11;

/// The segments of a path, decoded.
#[derive(Debug)]
pub(crate) struct Segments<'a> {
    list: [Cow<'a, str>; SEGMENTS_MAX],
    count: usize,
    more: bool,
}

/// What a path names; empty where the path has no such part.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Captures<'s> {
    pub(crate) database: &'s str,
    pub(crate) table: &'s str,
    /// The parts of a key.
    pub(crate) key: &'s [Cow<'s, str>],
    /// A partition or a node.
    pub(crate) item: &'s str,
}

impl<'a> Segments<'a> {
    /// Cuts `path` at its slashes, then decodes each piece.
    ///
    /// # Errors
    /// The path does not begin with a slash, contains a character that must be encoded,
    /// or has an invalid escape.
    pub(crate) fn parse(path: &'a str) -> Result<Segments<'a>, Failure> {
        let Some(rest) = path.strip_prefix('/') else {
            return Err(Failure::new(Code::BadPath, "the path must start with /"));
        };
        // Anything else is to be percent-encoded, and what is not may be read in two ways.
        // Without an early exit, so that many bytes are compared at a time.
        if !rest.bytes().fold(true, |so_far, byte| so_far & byte.is_ascii_graphic()) {
            let detail = "the path contains a character that must be percent-encoded";
            return Err(Failure::new(Code::BadPath, detail));
        }
        let is_plain = memchr::memchr(b'%', rest.as_bytes()).is_none();
        let mut segments =
            Segments { list: [const { Cow::Borrowed("") }; SEGMENTS_MAX], count: 0, more: false };
        for piece in rest.split('/') {
            if segments.count == SEGMENTS_MAX {
                segments.more = true;
                break;
            }
            segments.list[segments.count] =
                if is_plain { Cow::Borrowed(piece) } else { decode(piece)? };
            segments.count += 1;
        }
        Ok(segments)
    }

    /// The segments; when there are [`more`](Self::has_more), the first ones.
    pub(crate) fn as_slice(&self) -> &[Cow<'a, str>] {
        &self.list[..self.count]
    }

    /// Whether the path has more segments than any that names something.
    pub(crate) fn has_more(&self) -> bool {
        self.more
    }
}

fn decode(piece: &str) -> Result<Cow<'_, str>, Failure> {
    percent_decode(piece).ok_or_else(|| {
        let detail = "invalid percent-encoding in the path";
        Failure::new(Code::BadPath, detail)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, want: Option<&[&str]>) {
        let got = Segments::parse(path).ok();
        let got = got.as_ref().map(Segments::as_slice);
        assert_eq!(
            got.map(|list| list.iter().map(|s| s.as_ref()).collect::<Vec<_>>()),
            want.map(<[_]>::to_vec),
            "{path}"
        );
    }

    #[test]
    fn a_path_is_cut_and_then_decoded_once() {
        check("/", Some(&[""]));
        check("/v1/db/t/a", Some(&["v1", "db", "t", "a"]));
        check("/v1/db/t/a/", Some(&["v1", "db", "t", "a", ""]));
        check("//a", Some(&["", "a"]));
        check("/a%2fb/c%2Fd", Some(&["a/b", "c/d"]));
        check("/%252e%252e", Some(&["%2e%2e"]));
        check("/%E6%97%A5+x", Some(&["日+x"]));
        check("/a;b=c:d@e!$&'()*,", Some(&["a;b=c:d@e!$&'()*,"]));
    }

    #[test]
    fn what_cannot_be_decoded_is_refused() {
        for path in
            ["", "a", "*", "/%zz", "/%", "/%4", "/%c0%af", "/%ff", "/%ed%a0%80", "/日", "/a b"]
        {
            check(path, None);
        }
    }

    #[test]
    fn a_path_that_is_too_long_to_name_anything_is_known_as_such() {
        let path = "/x".repeat(SEGMENTS_MAX);
        assert!(!Segments::parse(&path).is_ok_and(|segments| segments.has_more()));
        let path = "/x".repeat(SEGMENTS_MAX + 1);
        assert!(Segments::parse(&path).is_ok_and(|segments| segments.has_more()));
    }
}
