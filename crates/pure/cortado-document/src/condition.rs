//! Conditions of a request on the current state of a document (RFC 9110, section 13).
//!
//! Start reading at [`Condition::judge`].

use cortado_model::Etag;

/// What a request demands of the document's current etag; nothing by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    /// `If-Match`: the document is in one of these states.
    pub if_match: Option<Match>,
    /// `If-None-Match`: the document is in none of these states.
    pub if_none_match: Option<Match>,
}

impl Condition {
    /// Judges in the order of RFC 9110, section 13.2.2: `If-Match` first.
    ///
    /// * `current`: the etag of the document, `None` if there is no document.
    ///
    /// # Errors
    /// The condition that is not met. For a read, an unmet `If-None-Match` means "not modified".
    pub fn judge(&self, current: Option<Etag>) -> Result<(), Unmet> {
        let matches = |wanted: &Match, compare| current.is_some_and(|e| wanted.has(e, compare));
        if self.if_match.as_ref().is_some_and(|wanted| !matches(wanted, Compare::Strong)) {
            return Err(Unmet::IfMatch);
        }
        if self.if_none_match.as_ref().is_some_and(|wanted| matches(wanted, Compare::Weak)) {
            return Err(Unmet::IfNoneMatch);
        }
        Ok(())
    }

    /// Whether nothing is demanded.
    pub fn is_empty(&self) -> bool {
        self.if_match.is_none() && self.if_none_match.is_none()
    }
}

/// Which condition is not met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unmet {
    /// The document is missing, or in none of the states of `If-Match`.
    IfMatch,
    /// The document is in one of the states of `If-None-Match`.
    IfNoneMatch,
}

/// The states that a condition names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Match {
    /// `*`: any state of a document that exists.
    Any,
    /// These; at least one.
    Tags(Vec<Tag>),
}

/// An entity tag as a client wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tag {
    /// One of ours.
    Strong(Etag),
    /// One of ours that something on the way has marked as weak.
    Weak(Etag),
    /// Well-formed, but nothing that Cortado has ever given out: matches nothing.
    Foreign,
}

#[derive(Clone, Copy)]
enum Compare {
    Strong,
    Weak,
}

impl Match {
    /// Reads a header's value: `*`, or entity tags separated by commas.
    ///
    /// * `value`: with several header lines, all of them joined by commas.
    ///
    /// `None` if it is malformed.
    pub fn parse_header(value: &[u8]) -> Option<Match> {
        if value.trim_ascii() == b"*" {
            return Some(Match::Any);
        }
        let mut tags = Vec::new();
        let mut rest = value.trim_ascii();
        while !rest.is_empty() {
            // RFC 9110, section 5.6.1: empty elements of a list are ignored.
            if let Some(after) = rest.strip_prefix(b",") {
                rest = after.trim_ascii();
                continue;
            }
            let (tag, after) = parse_tag(rest)?;
            tags.push(tag);
            let after = after.trim_ascii_start();
            if !after.is_empty() && !after.starts_with(b",") {
                return None;
            }
            rest = after;
        }
        (!tags.is_empty()).then_some(Match::Tags(tags))
    }

    /// Reads a member of a JSON body: `*`, or one etag without quotes.
    ///
    /// `None` if it is malformed.
    pub fn parse_bare(text: &str) -> Option<Match> {
        if text == "*" {
            return Some(Match::Any);
        }
        let well_formed = !text.is_empty() && text.bytes().all(is_etag_character);
        well_formed.then(|| Match::Tags(vec![Etag::parse(text).map_or(Tag::Foreign, Tag::Strong)]))
    }

    fn has(&self, current: Etag, compare: Compare) -> bool {
        let tags = match self {
            Match::Any => return true,
            Match::Tags(tags) => tags,
        };
        tags.iter().any(|tag| match (tag, compare) {
            (Tag::Strong(etag), Compare::Strong | Compare::Weak) => *etag == current,
            (Tag::Weak(etag), Compare::Weak) => *etag == current,
            (Tag::Weak(_), Compare::Strong) => false,
            (Tag::Foreign, Compare::Strong | Compare::Weak) => false,
        })
    }
}

/// Takes `"tag"` or `W/"tag"` off the front.
fn parse_tag(text: &[u8]) -> Option<(Tag, &[u8])> {
    let (weak, text) = match text.strip_prefix(b"W/") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let text = text.strip_prefix(b"\"")?;
    let end = text.iter().position(|b| *b == b'"')?;
    let (tag, rest) = text.split_at(end);
    if !tag.iter().all(|b| is_etag_character(*b)) {
        return None;
    }
    let etag = std::str::from_utf8(tag).ok().and_then(Etag::parse);
    let tag = match etag {
        Some(etag) if weak => Tag::Weak(etag),
        Some(etag) => Tag::Strong(etag),
        None => Tag::Foreign,
    };
    Some((tag, &rest[1..]))
}

/// `etagc` of RFC 9110, section 8.8.3: visible characters but the quote, and non-ASCII bytes.
fn is_etag_character(byte: u8) -> bool {
    byte == 0x21 || (0x23..=0x7E).contains(&byte) || byte >= 0x80
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Etag = Etag(0xa1b2);

    fn header(value: &str) -> Option<Match> {
        (!value.is_empty()).then(|| Match::parse_header(value.as_bytes()).expect(value))
    }

    /// What both headers make of a document whose etag is `00…a1b2`, and of a missing one.
    #[track_caller]
    fn check(
        if_match: &str,
        if_none_match: &str,
        existing: Result<(), Unmet>,
        missing: Result<(), Unmet>,
    ) {
        let condition =
            Condition { if_match: header(if_match), if_none_match: header(if_none_match) };
        assert_eq!(condition.judge(Some(NOW)), existing, "existing");
        assert_eq!(condition.judge(None), missing, "missing");
    }

    #[test]
    fn conditions_are_judged_in_the_order_of_the_standard() {
        let (same, weak, other) =
            ("\"000000000000a1b2\"", "W/\"000000000000a1b2\"", "\"000000000000ffff\"");
        let two = "\"x\" ,, \"000000000000a1b2\"";
        let no_match = Err(Unmet::IfMatch);
        let none_match = Err(Unmet::IfNoneMatch);
        check("", "", Ok(()), Ok(()));
        check("*", "", Ok(()), no_match);
        check(same, "", Ok(()), no_match);
        check(two, "", Ok(()), no_match);
        check(other, "", no_match, no_match);
        check("\"\"", "", no_match, no_match);
        // Strong comparison for If-Match, weak for If-None-Match.
        check(weak, "", no_match, no_match);
        check("", weak, none_match, Ok(()));
        check("", same, none_match, Ok(()));
        check("", other, Ok(()), Ok(()));
        check("", "*", none_match, Ok(()));
        check(same, "*", none_match, no_match);
        check(other, "*", no_match, no_match);
    }

    #[test]
    fn a_header_is_read_or_refused() {
        let ours = Tag::Strong(NOW);
        let read = |text: &str| Match::parse_header(text.as_bytes());
        assert_eq!(read(" * "), Some(Match::Any));
        assert_eq!(read("\"000000000000a1b2\""), Some(Match::Tags(vec![ours])));
        assert_eq!(
            read("\"a,b\", W/\"000000000000a1b2\","),
            Some(Match::Tags(vec![Tag::Foreign, Tag::Weak(NOW)]))
        );
        for text in [
            "",
            ",",
            "a1b2",
            "\"a",
            "\"a b\"",
            "w/\"a\"",
            "W/ \"a\"",
            "\"a\" \"b\"",
            "*, \"a\"",
            "\"a\"b",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn a_bare_tag_is_read_or_refused() {
        assert_eq!(Match::parse_bare("*"), Some(Match::Any));
        assert_eq!(
            Match::parse_bare("000000000000a1b2"),
            Some(Match::Tags(vec![Tag::Strong(NOW)]))
        );
        assert_eq!(Match::parse_bare("other"), Some(Match::Tags(vec![Tag::Foreign])));
        for text in ["", "\"000000000000a1b2\"", "a b"] {
            assert_eq!(Match::parse_bare(text), None, "{text}");
        }
    }
}
