//! The parts of a key, taken from members of a document.
//!
//! Start reading at [`Keys::of`].

use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// Where each part of a key comes from, in the order of the parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Keys {
    parts: Vec<KeyPart>,
}

/// Where one part comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyPart {
    /// Its name.
    pub(crate) part: String,
    /// The member that holds it.
    pub(crate) member: String,
    /// What stands in for one that is missing.
    pub(crate) fill: Option<String>,
}

impl Keys {
    /// Takes each part from the member of its name, unless `froms` names another.
    ///
    /// * `key`: the names of the parts.
    ///
    /// # Errors
    /// An option names no part of the key; as a sentence.
    pub(crate) fn new(key: &[String], froms: &[KeyFrom], fills: &[Fill]) -> Result<Keys, String> {
        let named = froms.iter().map(|from| ("--key-from", &from.0.part));
        let named = named.chain(fills.iter().map(|fill| ("--fill", &fill.0.part)));
        for (option, part) in named {
            if !key.contains(part) {
                return Err(format!("{option} {part}: the key's parts are {}", key.join(", ")));
            }
        }
        let last = |of: &[&Pair], part: &String| {
            of.iter().rev().find(|pair| pair.part == *part).map(|pair| pair.value.clone())
        };
        let froms: Vec<_> = froms.iter().map(|from| &from.0).collect();
        let fills: Vec<_> = fills.iter().map(|fill| &fill.0).collect();
        let part = |part: &String| KeyPart {
            part: part.clone(),
            member: last(&froms, part).unwrap_or_else(|| part.clone()),
            fill: last(&fills, part),
        };
        Ok(Keys { parts: key.iter().map(part).collect() })
    }

    /// The parts, in order.
    pub(crate) fn parts(&self) -> &[KeyPart] {
        &self.parts
    }

    /// The key of one document.
    ///
    /// # Errors
    /// Why it has none.
    pub(crate) fn of(&self, text: &str) -> Result<Vec<String>, String> {
        let members: BTreeMap<String, &RawValue> =
            serde_json::from_str(text).map_err(|error| no_object(&error))?;
        self.parts.iter().map(|part| part.of(members.get(&part.member).copied())).collect()
    }
}

impl KeyPart {
    fn of(&self, member: Option<&RawValue>) -> Result<String, String> {
        let Some(member) = member else { return self.filled("is missing") };
        let json = member.get();
        if json == "null" {
            return self.filled("is null");
        }
        if json.starts_with('"') {
            let text: String = serde_json::from_str(json).map_err(|error| no_object(&error))?;
            return if text.is_empty() { self.filled("is empty") } else { Ok(text) };
        }
        let digits = json.strip_prefix('-').unwrap_or(json);
        if digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(json.to_owned());
        }
        let member = &self.member;
        Err(format!("{member} is neither a string nor an integer, so it cannot be part of a key"))
    }

    fn filled(&self, what: &str) -> Result<String, String> {
        let KeyPart { part, member, fill } = self;
        fill.clone().ok_or_else(|| {
            let other = if part == member {
                format!("--key-from {part}=MEMBER takes another member")
            } else {
                format!("it was to be the part {part}")
            };
            format!("{member} {what}; {other}, --fill {part}=VALUE gives the key a value")
        })
    }
}

pub(super) fn no_object(error: &serde_json::Error) -> String {
    // serde_json's own "at line 1 column 5" counts within the document; the position that we print
    // beside it counts within the file.
    let text = error.to_string();
    let what = text.split(" at line ").next().unwrap_or_default();
    format!("not a JSON object: {what}, at its byte {}", error.column())
}

/// `PART=VALUE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pair {
    part: String,
    value: String,
}

impl Pair {
    fn parse(text: &str) -> Option<Pair> {
        let (part, value) = text.split_once('=')?;
        let is_whole = !part.is_empty() && !value.is_empty();
        is_whole.then(|| Pair { part: part.to_owned(), value: value.to_owned() })
    }
}

impl fmt::Display for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.part, self.value)
    }
}

/// What stands in for a part that is missing: `admin1=00`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fill(Pair);

/// The member that holds a part: `id=_id`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyFrom(Pair);

impl FromStr for Fill {
    type Err = PairError;

    fn from_str(text: &str) -> Result<Fill, PairError> {
        Pair::parse(text).map(Fill).ok_or(PairError("write PART=VALUE, such as admin1=00"))
    }
}

impl FromStr for KeyFrom {
    type Err = PairError;

    fn from_str(text: &str) -> Result<KeyFrom, PairError> {
        Pair::parse(text).map(KeyFrom).ok_or(PairError("write PART=MEMBER, such as id=_id"))
    }
}

impl fmt::Display for Fill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for KeyFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A text that names no part, or gives it nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct PairError(&'static str);
