//! Which document a piece of the file is: its table, its key, its value.
//!
//! Knows the table's declaration; sends nothing once it does. Start reading at
//! [`Keying::document`].

use crate::failure::Failure;
use crate::place::Scope;
use cortado_client::Client;
use cortado_model::DocumentKey;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// How keys are found.
#[derive(Debug)]
pub(crate) enum Keying {
    /// In members named like the key's parts.
    Members {
        table: Arc<str>,
        /// The parts' names and what stands in for one that is missing.
        parts: Vec<(String, Option<String>)>,
    },
    /// In the lines of `cortado export`.
    Exported,
}

/// A document of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Document {
    pub(crate) table: Arc<str>,
    pub(crate) key: Vec<String>,
    /// The JSON object, as it stands in the file.
    pub(crate) value: Box<str>,
}

impl Keying {
    /// Asks the server for the table's key.
    ///
    /// # Errors
    /// There is no such table, or a fill names no part of its key.
    pub(crate) async fn find(
        client: &Client,
        target: &Scope,
        fills: &[Fill],
    ) -> Result<Keying, Failure> {
        let Some(table) = &target.table else {
            client.database_declaration(&target.database).await?;
            if fills.is_empty() {
                return Ok(Keying::Exported);
            }
            return Err(Failure::usage(
                "lines of an export have complete keys: --fill does not apply",
            ));
        };
        let declared = client.table_declaration(&target.database, table).await?;
        Keying::members(table, &declared.key, fills)
    }

    fn members(table: &str, key: &[String], fills: &[Fill]) -> Result<Keying, Failure> {
        if let Some(fill) = fills.iter().find(|fill| !key.contains(&fill.part)) {
            let (part, parts) = (&fill.part, key.join(", "));
            return Err(Failure::usage(format!("--fill {part}: the key's parts are {parts}")));
        }
        let stand_in = |name: &String| {
            let fill = fills.iter().rev().find(|fill| fill.part == *name);
            (name.clone(), fill.map(|fill| fill.value.clone()))
        };
        Ok(Keying::Members { table: table.into(), parts: key.iter().map(stand_in).collect() })
    }

    /// Finds the key of one document.
    ///
    /// # Errors
    /// Why this text cannot be stored as a document.
    pub(crate) fn document(&self, text: Vec<u8>) -> Result<Document, String> {
        let text = String::from_utf8(text).map_err(|_| "not valid UTF-8".to_owned())?;
        let document = match self {
            Keying::Exported => exported(&text)?,
            Keying::Members { table, parts } => {
                let members: BTreeMap<String, &RawValue> =
                    serde_json::from_str(&text).map_err(|error| no_object(&error))?;
                let part = |(name, fill): &(String, Option<String>)| {
                    part_of(members.get(name).copied(), name, fill.as_deref())
                };
                let key = parts.iter().map(part).collect::<Result<_, _>>()?;
                Document { table: Arc::clone(table), key, value: text.into_boxed_str() }
            }
        };
        // The server says the same, but later and about a whole transaction.
        DocumentKey::from_parts(&document.key).map_err(|error| error.to_string())?;
        Ok(document)
    }
}

/// One part of a key.
fn part_of(member: Option<&RawValue>, name: &str, fill: Option<&str>) -> Result<String, String> {
    let filled = |what: &str| {
        let hint = || format!("{name} {what}; --fill {name}=VALUE gives the key another");
        fill.map(str::to_owned).ok_or_else(hint)
    };
    let Some(member) = member else { return filled("is missing") };
    let json = member.get();
    if json == "null" {
        return filled("is null");
    }
    if json.starts_with('"') {
        let text: String = serde_json::from_str(json).map_err(|error| no_object(&error))?;
        return if text.is_empty() { filled("is empty") } else { Ok(text) };
    }
    let digits = json.strip_prefix('-').unwrap_or(json);
    if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(json.to_owned());
    }
    Err(format!("{name} is neither a string nor an integer, so it cannot be part of a key"))
}

fn no_object(error: &serde_json::Error) -> String {
    // serde_json's own "at line 1 column 5" counts within the document; the position that we print
    // beside it counts within the file.
    let text = error.to_string();
    let what = text.split(" at line ").next().unwrap_or_default();
    format!("not a JSON object: {what}, at its byte {}", error.column())
}

/// One line of `cortado export`.
#[derive(Deserialize)]
struct ExportedLine<'a> {
    table: String,
    key: Vec<String>,
    #[serde(borrow)]
    value: &'a RawValue,
}

fn exported(text: &str) -> Result<Document, String> {
    let line: ExportedLine<'_> = serde_json::from_str(text).map_err(|error| {
        format!("not a line of `cortado export`: {}; name a table as DB/TABLE", no_object(&error))
    })?;
    Ok(Document { table: line.table.into(), key: line.key, value: line.value.get().into() })
}

/// What stands in for a part of the key: `admin1=00`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fill {
    part: String,
    value: String,
}

impl FromStr for Fill {
    type Err = FillError;

    fn from_str(text: &str) -> Result<Fill, FillError> {
        match text.split_once('=') {
            Some((part, value)) if !part.is_empty() && !value.is_empty() => {
                Ok(Fill { part: part.to_owned(), value: value.to_owned() })
            }
            Some(_) | None => Err(FillError),
        }
    }
}

impl fmt::Display for Fill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.part, self.value)
    }
}

/// A text that fills nothing in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write PART=VALUE, such as admin1=00")]
pub(crate) struct FillError;

#[cfg(test)]
mod tests {
    use super::*;

    fn keying(fills: &[&str]) -> Keying {
        let key = ["country", "admin1"].map(str::to_owned);
        let fills: Vec<Fill> = fills.iter().map(|fill| fill.parse().expect("a fill")).collect();
        Keying::members("place", &key, &fills).expect("parts of the key")
    }

    #[track_caller]
    fn check(keying: &Keying, text: &str, want: Result<&[&str], &str>) {
        match (keying.document(text.as_bytes().to_vec()), want) {
            (Ok(document), Ok(key)) => {
                assert_eq!(document.key, key);
                assert_eq!(&*document.table, "place");
            }
            (Err(reason), Err(part)) => assert!(reason.contains(part), "{reason}"),
            (got, want) => panic!("{text}: {got:?} instead of {want:?}"),
        }
    }

    #[test]
    fn keys_come_from_members() {
        let keying = keying(&[]);
        check(&keying, r#"{"x":{},"admin1":"40","country":"JP"}"#, Ok(&["JP", "40"]));
        check(&keying, r#"{"admin1":40,"country":"a\/b"}"#, Ok(&["a/b", "40"]));
        check(&keying, r#"{"admin1":-7,"country":"JP"}"#, Ok(&["JP", "-7"]));
        check(&keying, r#"{"admin1":"40"}"#, Err("country is missing"));
        check(&keying, r#"{"admin1":"","country":"JP"}"#, Err("--fill admin1=VALUE"));
        check(&keying, r#"{"admin1":null,"country":"JP"}"#, Err("admin1 is null"));
        check(&keying, r#"{"admin1":1.5,"country":"JP"}"#, Err("neither"));
        check(&keying, r#"{"admin1":true,"country":"JP"}"#, Err("neither"));
        check(&keying, r#"{"admin1":"a\u0000b","country":"JP"}"#, Err("control character"));
        check(&keying, r#"{"admin1":"..","country":"JP"}"#, Err(".."));
    }

    #[test]
    fn documents_must_be_objects() {
        let keying = keying(&[]);
        for text in ["", "7", "[]", "{", "{\"admin1\":}", "{} {}"] {
            check(&keying, text, Err("not a JSON object"));
        }
        assert_eq!(keying.document(vec![b'{', 0xff, b'}']), Err("not valid UTF-8".to_owned()));
    }

    #[test]
    fn a_fill_changes_the_key_and_not_the_document() {
        let keying = keying(&["admin1=00"]);
        let text = r#"{"country":"JP","admin1":""}"#;
        check(&keying, text, Ok(&["JP", "00"]));
        let document = keying.document(text.as_bytes().to_vec()).expect("a document");
        assert_eq!(&*document.value, text);
        check(&keying, r#"{"country":"JP"}"#, Ok(&["JP", "00"]));
        check(&keying, r#"{"country":"JP","admin1":"40"}"#, Ok(&["JP", "40"]));
    }

    #[test]
    fn the_last_fill_of_a_part_counts() {
        let keying = keying(&["admin1=00", "country=JP", "admin1=01"]);
        check(&keying, "{}", Ok(&["JP", "01"]));
    }

    #[test]
    fn a_fill_names_a_part() {
        assert!("admin1".parse::<Fill>().is_err());
        assert!("=x".parse::<Fill>().is_err());
        assert!("x=".parse::<Fill>().is_err());
        let fill: Fill = "other=1".parse().expect("a fill");
        assert!(Keying::members("place", &["country".to_owned()], &[fill]).is_err());
    }

    #[test]
    fn an_export_is_read_back() {
        let line = r#"{"table":"place","key":["JP","40"],"value":{"n": 1.50}}"#;
        check(&Keying::Exported, line, Ok(&["JP", "40"]));
        let document = Keying::Exported.document(line.as_bytes().to_vec()).expect("a line");
        assert_eq!(&*document.value, r#"{"n": 1.50}"#);
        check(&Keying::Exported, "{}", Err("not a line of `cortado export`"));
    }
}
