//! JSON text, opened only where a patch touches it, so that everything else keeps its spelling.
//!
//! Numbers, strings and member order of untouched parts are never read, hence never changed.
//! Start reading at [`Tree`].

use crate::json::{string_bytes, unescape};
use std::borrow::Cow;

/// One JSON value.
///
/// Text is compact JSON that has passed a check before. Given anything else, nothing here panics;
/// what cannot be opened stays text.
#[derive(Clone, Debug)]
pub(crate) enum Tree<'a> {
    /// As it was written.
    Text(&'a str),
    /// Opened.
    Array(Vec<Tree<'a>>),
    /// Opened; members in document order.
    Object(Vec<Member<'a>>),
}

/// A member's decoded name and its value.
pub(crate) type Member<'a> = (Cow<'a, str>, Tree<'a>);

impl<'a> Tree<'a> {
    /// Splits an array or object that is still text into its elements.
    pub(crate) fn open(&mut self) {
        let Tree::Text(text) = *self else {
            return;
        };
        if let Some(members) = members(text) {
            let text_member = |(name, value)| (name, Tree::Text(value));
            *self = Tree::Object(members.into_iter().map(text_member).collect());
        } else if let Some(items) = items(text) {
            *self = Tree::Array(items.into_iter().map(Tree::Text).collect());
        }
    }

    /// Appends the value as compact JSON.
    pub(crate) fn write(&self, out: &mut String) {
        match self {
            Tree::Text(text) => out.push_str(text),
            Tree::Array(items) => {
                out.push('[');
                for (i, item) in items.iter().enumerate() {
                    out.push_str(if i == 0 { "" } else { "," });
                    item.write(out);
                }
                out.push(']');
            }
            Tree::Object(members) => {
                out.push('{');
                for (i, (name, value)) in members.iter().enumerate() {
                    out.push_str(if i == 0 { "" } else { "," });
                    write_string(name, out);
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }
}

/// The members of `text` in order, names decoded; `None` if it is no object.
pub(crate) fn members(text: &str) -> Option<Vec<(Cow<'_, str>, &str)>> {
    let mut rest = text.strip_prefix('{')?.strip_suffix('}')?;
    let mut members = Vec::new();
    while !rest.is_empty() {
        let (name, after) = rest.split_at_checked(string_bytes(rest.as_bytes()))?;
        let name = name.strip_prefix('"')?.strip_suffix('"')?;
        let name = if name.contains('\\') { unescape(name).into() } else { name.into() };
        let value;
        (value, rest) = element(after.strip_prefix(':')?)?;
        members.push((name, value));
    }
    Some(members)
}

/// The elements of `text` in order; `None` if it is no array.
pub(crate) fn items(text: &str) -> Option<Vec<&str>> {
    let mut rest = text.strip_prefix('[')?.strip_suffix(']')?;
    let mut items = Vec::new();
    while !rest.is_empty() {
        let value;
        (value, rest) = element(rest)?;
        items.push(value);
    }
    Some(items)
}

/// The first value of `text`, and what follows the comma behind it.
fn element(text: &str) -> Option<(&str, &str)> {
    let (value, rest) = text.split_at_checked(value_bytes(text.as_bytes()))?;
    if value.is_empty() {
        return None;
    }
    let rest = if rest.is_empty() { rest } else { rest.strip_prefix(',')? };
    Some((value, rest))
}

/// The length of the value that `json` starts with: up to the comma or bracket behind it.
fn value_bytes(json: &[u8]) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(byte) = json.get(at) {
        match byte {
            b'"' => {
                at += string_bytes(&json[at..]);
                continue;
            }
            b'[' | b'{' => depth += 1,
            b']' | b'}' if depth == 0 => return at,
            b']' | b'}' => depth -= 1,
            b',' if depth == 0 => return at,
            _ => {}
        }
        at += 1;
    }
    json.len()
}

fn write_string(text: &str, out: &mut String) {
    // Names mostly need no escape, and then this is a copy.
    if text.bytes().any(|b| b < 0x20 || b == b'"' || b == b'\\') {
        out.push_str(&serde_json::Value::from(text).to_string());
    } else {
        out.push('"');
        out.push_str(text);
        out.push('"');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str) {
        let mut tree = Tree::Text(text);
        let mut out = String::new();
        open_all(&mut tree);
        tree.write(&mut out);
        assert_eq!(out, text);
    }

    fn open_all(tree: &mut Tree<'_>) {
        tree.open();
        match tree {
            Tree::Text(_) => {}
            Tree::Array(items) => items.iter_mut().for_each(open_all),
            Tree::Object(members) => members.iter_mut().for_each(|(_, value)| open_all(value)),
        }
    }

    #[test]
    fn an_opened_tree_is_written_as_it_was() {
        check("{}");
        check("[]");
        check("1.50");
        check(r#"{"a":[1,"x,]}",{"b\"":{}}],"ü":-0,"":null}"#);
        check(r#"[[],[[]],{"a":{"b":[true,false]}}]"#);
    }

    #[test]
    fn what_is_no_json_stays_text() {
        for text in ["{", "{\"a\"}", "{\"a\":}", "[,]", "{\"a\":1 2,,}", "[\"", "", "{\"é", "[}"] {
            check(text);
        }
    }
}
