//! What a command is about, as the command line spells it: `geo`, `geo/place`, `geo/place/JP/40`.
//!
//! Start reading at [`Place`].

use cortado_client::{Client, Table, percent_decoded};
use std::fmt;
use std::str::FromStr;

/// A database and a table, and the parts of a key, possibly none or not all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) database: String,
    pub(crate) table: String,
    pub(crate) key: Vec<String>,
}

impl Place {
    /// The table, through `client`.
    pub(crate) fn table(&self, client: &Client) -> Table {
        client.database(&self.database).table(&self.table)
    }
}

impl FromStr for Place {
    type Err = PlaceError;

    /// Splits at slashes, then percent-decodes each part, so that `%2F` is a slash in a part.
    fn from_str(text: &str) -> Result<Place, PlaceError> {
        let mut parts = text.split('/').map(|part| decoded(part, text));
        let mut next = |what| parts.next().unwrap_or_else(|| Err(refuse(text, what)));
        let database = next("a table is missing: DB/TABLE")?;
        let table = next("a table is missing: DB/TABLE")?;
        let key = parts.collect::<Result<_, _>>()?;
        Ok(Place { database, table, key })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.database, self.table)?;
        match self.key.as_slice() {
            [] => Ok(()),
            key => write!(f, "/{}", spelled(key)),
        }
    }
}

/// A key as the command line takes it: slashes between the parts, and `%2F` for one inside.
pub(crate) fn spelled(key: &[String]) -> String {
    let parts: Vec<String> =
        key.iter().map(|part| part.replace('%', "%25").replace('/', "%2F")).collect();
    parts.join("/")
}

fn decoded(part: &str, whole: &str) -> Result<String, PlaceError> {
    if part.is_empty() {
        return Err(refuse(whole, "a part between slashes is empty"));
    }
    percent_decoded(part).ok_or_else(|| refuse(whole, "a % must begin two hexadecimal digits"))
}

fn refuse(text: &str, why: &'static str) -> PlaceError {
    PlaceError { text: text.to_owned(), why }
}

/// A table alone: `geo/place`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TablePlace {
    pub(crate) database: String,
    pub(crate) table: String,
}

impl FromStr for TablePlace {
    type Err = PlaceError;

    fn from_str(text: &str) -> Result<TablePlace, PlaceError> {
        let Place { database, table, key } = text.parse()?;
        if key.is_empty() {
            Ok(TablePlace { database, table })
        } else {
            Err(refuse(text, "a table is DB/TABLE, without a key"))
        }
    }
}

impl fmt::Display for TablePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.database, self.table)
    }
}

/// A document: `geo/place/JP/40/Kitakyushu`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DocumentPlace(pub(crate) Place);

impl FromStr for DocumentPlace {
    type Err = PlaceError;

    fn from_str(text: &str) -> Result<DocumentPlace, PlaceError> {
        let place: Place = text.parse()?;
        if place.key.is_empty() {
            return Err(refuse(text, "a document is DB/TABLE/KEY…, with every part of its key"));
        }
        Ok(DocumentPlace(place))
    }
}

/// A database, or one table of it: `geo`, `geo/place`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scope {
    pub(crate) database: String,
    pub(crate) table: Option<String>,
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.database)?;
        self.table.as_ref().map_or(Ok(()), |table| write!(f, "/{table}"))
    }
}

impl FromStr for Scope {
    type Err = PlaceError;

    fn from_str(text: &str) -> Result<Scope, PlaceError> {
        if !text.contains('/') {
            return Ok(Scope { database: decoded(text, text)?, table: None });
        }
        let TablePlace { database, table } = text.parse()?;
        Ok(Scope { database, table: Some(table) })
    }
}

/// A partition of a database: `geo/3`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PartitionPlace {
    pub(crate) database: String,
    pub(crate) partition: u32,
}

impl FromStr for PartitionPlace {
    type Err = PlaceError;

    fn from_str(text: &str) -> Result<PartitionPlace, PlaceError> {
        let split = text.split_once('/').and_then(|(database, partition)| {
            Some(PartitionPlace {
                database: decoded(database, text).ok()?,
                partition: partition.parse().ok()?,
            })
        });
        split.ok_or_else(|| refuse(text, "a partition is DB/NUMBER, such as geo/3"))
    }
}

/// A text that names nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?}: {why}")]
pub(crate) struct PlaceError {
    text: String,
    why: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, want: Option<(&str, &str, &[&str])>) {
        let got = text.parse::<Place>().ok();
        let want = want.map(|(database, table, key)| Place {
            database: database.to_owned(),
            table: table.to_owned(),
            key: key.iter().map(|part| (*part).to_owned()).collect(),
        });
        assert_eq!(got, want, "{text}");
        if let Some(place) = got {
            assert_eq!(place.to_string(), text, "it is spelled as it was written");
        }
    }

    #[test]
    fn slashes_separate_and_percent_signs_decode() {
        check("geo/place", Some(("geo", "place", &[])));
        check("geo/place/JP/40", Some(("geo", "place", &["JP", "40"])));
        check("geo/place/a%2Fb/%25", Some(("geo", "place", &["a/b", "%"])));
        check("geo/place/東京 都", Some(("geo", "place", &["東京 都"])));
        check("geo", None);
        check("geo//x", None);
        check("geo/place/", None);
        check("geo/place/%2", None);
    }

    #[test]
    fn each_command_takes_its_own_depth() {
        assert!("geo/place/JP".parse::<TablePlace>().is_err());
        assert!("geo/place".parse::<DocumentPlace>().is_err());
        assert_eq!("geo".parse::<Scope>().map(|scope| scope.table), Ok(None));
        assert!("geo/place/JP".parse::<Scope>().is_err());
        let third = PartitionPlace { database: "geo".to_owned(), partition: 3 };
        assert_eq!("geo/3".parse(), Ok(third));
        assert!("geo/x".parse::<PartitionPlace>().is_err());
        assert!("geo".parse::<PartitionPlace>().is_err());
    }
}
