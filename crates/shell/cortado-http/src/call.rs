//! A request that has found its route, as its handler sees it.
//!
//! Start reading at [`Call`].

use crate::api::Api;
use crate::failure::Failure;
use crate::fields::Fields;
use crate::path::Segments;
use crate::query::Query;
use crate::route::Captures;
use cortado_model::limits::is_name;
use cortado_model::{DocumentKey, KeyError, Scn};
use cortado_node::{Catalog, Consistency, Database, ReadOptions, ServedRole, Table};
use cortado_wire::{Code, Position, Session, ShortText, encode_session, headers};
use http::{HeaderMap, HeaderValue, Method};
use std::sync::Arc;
use tokio::time::Instant;

/// Everything a handler needs to know, checked.
pub(crate) struct Call<'a> {
    pub(crate) api: &'a Api,
    pub(crate) method: &'a Method,
    pub(crate) captures: Captures<'a>,
    pub(crate) query: Query<'a>,
    pub(crate) fields: Fields<'a>,
    /// The media type that the client likes best.
    pub(crate) media_type: &'static str,
    pub(crate) session: Option<Session>,
    pub(crate) deadline: Instant,
    /// Whether the client chose the deadline.
    pub(crate) patience_given: bool,
    pub(crate) target: Target<'a>,
}

/// What a path under `/v1` names, looked up.
#[derive(Debug)]
pub(crate) struct Target<'a> {
    /// The state of the cluster that everything was looked up in.
    pub(crate) catalog: &'a Catalog,
    database: Option<&'a Arc<Database>>,
    table: Option<&'a Arc<Table>>,
    key: Option<DocumentKey>,
    /// How many parts the key has.
    key_parts: usize,
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
    ) -> Result<Target<'a>, Failure> {
        let key_parts = captures.key.len();
        let mut target = Target { catalog, database: None, table: None, key: None, key_parts };
        let is_admin = segments.as_slice().first().is_some_and(|first| first == "admin");
        for name in [captures.database, captures.table] {
            if !name.is_empty() && !is_name(name) {
                return Err(bad_name());
            }
        }
        if is_admin || segments.as_slice().len() < 2 {
            return Ok(target);
        }
        let database = find_database(catalog, captures.database)?;
        if !captures.key.is_empty() || segments.as_slice().len() > 2 {
            let table = find_table(database, captures.table)?;
            if !captures.key.is_empty() {
                target.key = Some(key_of(captures, table, segments.has_more())?);
            }
            target.table = Some(table);
        }
        target.database = Some(database);
        Ok(target)
    }

    /// Whether the path has fewer parts than the table's key, but at least one.
    pub(crate) fn is_collection(&self) -> bool {
        self.key_parts > 0 && self.names_many()
    }

    /// Whether the path names a collection or a table.
    pub(crate) fn names_many(&self) -> bool {
        self.table.is_some_and(|table| self.key_parts < table.key_parts())
    }

    /// Tells the database from any other; `None` outside `/v1`.
    pub(crate) fn database_identity(&self) -> Option<u64> {
        self.database.map(|database| identity_of(database))
    }
}

fn key_of(captures: Captures<'_>, table: &Table, more: bool) -> Result<DocumentKey, Failure> {
    if captures.key.iter().any(|part| part.is_empty()) {
        return Err(bad_key(KeyError::EmptyPart));
    }
    if more || captures.key.len() > table.key_parts() {
        let names = table.definition.key().join("/");
        let detail = format!("the path has more parts than the table's key, which is {names}");
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

pub(crate) fn bad_name() -> Failure {
    let detail = "names of databases and tables match [a-z][a-z0-9_]{0,62}";
    Failure::new(Code::BadName, detail)
}

/// The database of that name.
///
/// # Errors
/// There is none.
pub(crate) fn find_database<'c>(
    catalog: &'c Catalog,
    name: &str,
) -> Result<&'c Arc<Database>, Failure> {
    if !is_name(name) {
        return Err(bad_name());
    }
    catalog.database(name).ok_or_else(|| {
        let detail = "create it with PUT /admin/v1/databases/{database}";
        Failure::new(Code::NoSuchDatabase, detail)
    })
}

/// The table of that name.
///
/// # Errors
/// There is none.
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

impl Call<'_> {
    /// The database of a path under `/v1`.
    pub(crate) fn database(&self) -> &Arc<Database> {
        self.target.database.expect("every path under /v1 names a database")
    }

    /// The table of a path with one.
    pub(crate) fn table(&self) -> &Arc<Table> {
        self.target.table.expect("every route of documents names a table")
    }

    /// The key, or its first parts, of a path with one.
    pub(crate) fn key(&self) -> &DocumentKey {
        self.target.key.as_ref().expect("every route of documents names a key")
    }

    /// Whether the deadline that the client itself has set has passed.
    pub(crate) fn is_late(&self) -> bool {
        self.patience_given && Instant::now() >= self.deadline
    }

    /// Checks that the token is of this database.
    ///
    /// # Errors
    /// It is of another one.
    pub(crate) fn check_session(&self) -> Result<(), Failure> {
        match (&self.session, self.target.database) {
            (Some(session), Some(database)) if session.database() != identity_of(database) => {
                let detail = "the session token belongs to another database; leave it out";
                Err(Failure::new(Code::BadSession, detail))
            }
            (_, _) => Ok(()),
        }
    }

    /// How a read of `partition` is to be served.
    ///
    /// # Errors
    /// The headers cannot be understood.
    pub(crate) fn read_options(&self, partition: Option<u32>) -> Result<ReadOptions, Failure> {
        let consistency = self.fields.consistency()?;
        let at_least = match consistency {
            Consistency::Session => partition.and_then(|partition| self.seen(partition)),
            Consistency::Strong
            | Consistency::Strict
            | Consistency::Bounded { .. }
            | Consistency::Eventual => None,
        };
        Ok(ReadOptions { consistency, at_least, deadline: self.deadline })
    }

    /// What the client has seen of `partition`.
    pub(crate) fn seen(&self, partition: u32) -> Option<Scn> {
        self.session.as_ref().and_then(|session| session.seen(partition))
    }

    /// The token of a client that has seen `observed` too.
    pub(crate) fn session_header(&self, observed: &[(u32, Scn)]) -> HeaderValue {
        let token = match (&self.session, observed) {
            (None, [one]) => encode_session(identity_of(self.database()), &[*one]),
            (session, observed) => {
                let fresh = || Session::new(identity_of(self.database()));
                let mut session = session.clone().unwrap_or_else(fresh);
                observed.iter().for_each(|(partition, scn)| session.observe(*partition, *scn));
                session.encode()
            }
        };
        HeaderValue::try_from(token).expect("base64 is visible ASCII")
    }
}

/// Names who served a read.
pub(crate) fn served_headers(
    fields: &mut HeaderMap,
    node: cortado_model::NodeId,
    role: ServedRole,
) {
    fields.insert(headers::SERVED_BY, node_header(node));
    let role = match role {
        ServedRole::Leader => HeaderValue::from_static("leader"),
        ServedRole::Follower => HeaderValue::from_static("follower"),
    };
    fields.insert(headers::ROLE, role);
}

/// The first nodes of a cluster have their names ready.
fn node_header(node: cortado_model::NodeId) -> HeaderValue {
    const NAMES: [&str; 9] = ["n1", "n2", "n3", "n4", "n5", "n6", "n7", "n8", "n9"];
    match NAMES.get((node.0 as usize).wrapping_sub(1)) {
        Some(name) => HeaderValue::from_static(name),
        None => HeaderValue::try_from(node.to_string()).expect("a node's name is visible ASCII"),
    }
}

/// `Cortado-Scn`.
pub(crate) fn position_header(position: Position) -> HeaderValue {
    short_header(ShortText::of_position(position))
}

/// A header of digits, letters and punctuation.
pub(crate) fn short_header(text: ShortText) -> HeaderValue {
    HeaderValue::from_bytes(text.as_bytes()).expect("short texts are visible ASCII and spaces")
}
