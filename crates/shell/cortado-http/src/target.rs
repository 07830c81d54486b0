//! What a path names, looked up in the catalog.
//!
//! Start reading at [`Target::resolve`].

use crate::failure::Failure;
use crate::path::{Captures, Segments};
use crate::spelling::Spelling;
use cortado_gateway::{CLUSTER_NAME, Catalog, Database, Table};
use cortado_model::limits::is_name;
use cortado_model::{DocumentKey, KeyError};
use cortado_wire::Code;
use std::sync::Arc;

/// What a path names.
#[derive(Debug)]
pub(crate) enum Target<'a> {
    /// The service, or what an administrative path names: its handler looks it up.
    Service,
    /// A database.
    Database(&'a Arc<Database>),
    /// A table as a whole.
    Table(TableTarget<'a>),
    /// The documents whose keys begin with some parts.
    Collection(KeyTarget<'a>),
    /// A document, whether it exists or not.
    Document(KeyTarget<'a>),
}

/// A table of a database.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TableTarget<'a> {
    pub(crate) database: &'a Arc<Database>,
    pub(crate) table: &'a Arc<Table>,
}

/// A key, or the first parts of one, in a table of a database.
#[derive(Debug)]
pub(crate) struct KeyTarget<'a> {
    pub(crate) database: &'a Arc<Database>,
    pub(crate) table: &'a Arc<Table>,
    pub(crate) key: DocumentKey,
}

impl<'a> Target<'a> {
    /// Looks up what exists, and checks names and keys.
    ///
    /// # Errors
    /// A name that cannot be one, a database or table that does not exist, a key that breaks a
    /// rule.
    pub(crate) fn resolve(
        catalog: &'a Catalog,
        captures: Captures<'_>,
        segments: &Segments<'_>,
        spelling: Spelling,
    ) -> Result<Target<'a>, Failure> {
        let is_admin = segments.as_slice().first().is_some_and(|first| first == "admin");
        // What may be done about a database of the system is for the handler to say.
        let is_system = captures.database == CLUSTER_NAME;
        let is_known = is_admin && (is_system || catalog.database(captures.database).is_some());
        for (name, is_known) in [(captures.database, is_known), (captures.table, false)] {
            if !name.is_empty() && !is_known && !is_name(name) {
                return Err(bad_name());
            }
        }
        let count = match segments.as_slice() {
            [] | [_] => return Ok(Target::Service),
            [..] if is_admin => return Ok(Target::Service),
            segments => segments.len(),
        };
        let database = find_database(catalog, captures.database)?;
        if count == 2 {
            return Ok(Target::Database(database));
        }
        let table = find_table(database, captures.table)?;
        if let Some(parameter) = spelling.parameter() {
            let key = key_in_query(captures, table, spelling, parameter)?;
            let target = KeyTarget { database, table, key };
            return Ok(match spelling {
                Spelling::Document => Target::Document(target),
                Spelling::Path | Spelling::Collection => Target::Collection(target),
            });
        }
        if captures.key.is_empty() {
            return Ok(Target::Table(TableTarget { database, table }));
        }
        let key = key_of(captures, table, segments.has_more())?;
        let target = KeyTarget { database, table, key };
        if captures.key.len() < table.key_parts() {
            Ok(Target::Collection(target))
        } else {
            Ok(Target::Document(target))
        }
    }

    /// The database of a path under `/v1`.
    pub(crate) fn database(&self) -> Option<&'a Arc<Database>> {
        match self {
            Target::Service => None,
            Target::Database(database) => Some(database),
            Target::Table(target) => Some(target.database),
            Target::Collection(target) | Target::Document(target) => Some(target.database),
        }
    }
}

impl KeyTarget<'_> {
    /// Whether only the last part of a document's key is missing.
    pub(crate) fn lacks_one_part(&self) -> bool {
        self.key.parts().count() + 1 == self.table.key_parts()
    }
}

/// The key that the query spells, one value a part.
fn key_in_query(
    captures: Captures<'_>,
    table: &Table,
    spelling: Spelling,
    parameter: &str,
) -> Result<DocumentKey, Failure> {
    let (given, all) = (captures.key.len(), table.key_parts());
    let names = table.definition.key().join(", ");
    if given == 0 {
        let detail = format!(
            "the query parameter {parameter} is required, once for each part of the key ({names})"
        );
        return Err(Failure::new(Code::BadParameter, detail));
    }
    if captures.key.iter().any(|part| part.is_empty()) {
        return Err(bad_key(KeyError::EmptyPart));
    }
    let (fits, want) = match spelling {
        Spelling::Path | Spelling::Document => (given == all, "all parts"),
        Spelling::Collection => (given < all, "some, but not all, of the first parts"),
    };
    if !fits {
        let detail = format!("{parameter} must be given for {want} of the table's key ({names})");
        return Err(Failure::new(Code::WrongKeyArity, detail));
    }
    DocumentKey::from_parts(captures.key).map_err(bad_key)
}

fn key_of(captures: Captures<'_>, table: &Table, more: bool) -> Result<DocumentKey, Failure> {
    if captures.key.iter().any(|part| part.is_empty()) {
        return Err(bad_key(KeyError::EmptyPart));
    }
    if more || captures.key.len() > table.key_parts() {
        let names = table.definition.key().join("/");
        let detail = format!("the path has more parts than the table's key ({names})");
        return Err(Failure::new(Code::NoSuchDocumentPath, detail));
    }
    DocumentKey::from_parts(captures.key).map_err(bad_key)
}

/// A key that breaks a rule, wherever it stands.
pub(crate) fn bad_key(error: KeyError) -> Failure {
    let code = match error {
        KeyError::EmptyPart => Code::EmptyKeyPart,
        KeyError::WrongPartCount => Code::WrongKeyArity,
        KeyError::DotPart
        | KeyError::ControlCharacter
        | KeyError::PartTooLong
        | KeyError::TooLong => Code::BadKey,
    };
    Failure::new(code, error.to_string())
}

fn bad_name() -> Failure {
    let detail = "names of databases and tables must match [a-z][a-z0-9_]{0,62}; those that begin \
                  with _ are reserved";
    Failure::new(Code::BadName, detail)
}

/// Whether a path names a database or a table that `catalog` does not know, and that may exist.
pub(crate) fn is_unknown(catalog: &Catalog, captures: Captures<'_>) -> bool {
    if !is_name(captures.database) {
        return false;
    }
    match catalog.database(captures.database) {
        None => true,
        Some(database) => is_name(captures.table) && database.table(captures.table).is_none(),
    }
}

/// The database of that name, unless it is one of the system.
///
/// # Errors
/// The name is invalid, or there is no such database.
pub(crate) fn find_database<'c>(
    catalog: &'c Catalog,
    name: &str,
) -> Result<&'c Arc<Database>, Failure> {
    if !is_name(name) {
        return Err(bad_name());
    }
    find_any_database(catalog, name)
}

/// The database of that name, be it one of the system.
///
/// # Errors
/// There is no such database.
pub(crate) fn find_any_database<'c>(
    catalog: &'c Catalog,
    name: &str,
) -> Result<&'c Arc<Database>, Failure> {
    catalog.database(name).ok_or_else(|| {
        let detail = "create it with PUT /admin/v1/databases/{database}";
        Failure::new(Code::NoSuchDatabase, detail)
    })
}

/// The table of that name.
///
/// # Errors
/// The name is invalid, or there is no such table.
pub(crate) fn find_table<'d>(
    database: &'d Database,
    name: &str,
) -> Result<&'d Arc<Table>, Failure> {
    if !is_name(name) {
        return Err(bad_name());
    }
    database.table(name).ok_or_else(|| {
        let detail = "create it with PUT /admin/v1/databases/{database}/tables/{table}";
        Failure::new(Code::NoSuchTable, detail)
    })
}

/// What identifies a database in tokens and cursors, in this cluster and any other.
pub(crate) fn identity_of(database: &Database) -> u64 {
    // Both halves are random.
    (database.uuid.0 ^ (database.uuid.0 >> 64)) as u64
}
