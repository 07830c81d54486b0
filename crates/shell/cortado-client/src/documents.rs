//! One document: put, get, patch, delete.
//!
//! Start reading at [`Table`].

use crate::client::{Call, Database};
use crate::failure::ClientError;
use crate::path::document_path;
use crate::retry::Repeat;
use crate::session::Session;
use crate::transport::Answer;
use bytes::Bytes;
use cortado_wire::{Code, Position, headers, media};
use http::{HeaderName, Method, header};

/// A table of a database.
#[derive(Clone, Debug)]
pub struct Table {
    pub(crate) database: Database,
    pub(crate) name: String,
}

impl Database {
    /// The table `name`, which need not exist yet.
    pub fn table(&self, name: &str) -> Table {
        Table { database: self.clone(), name: name.to_owned() }
    }
}

impl Table {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Creates or replaces the document `key` with the JSON object `value`.
    ///
    /// # Errors
    /// See [`ClientError::outcome`]. Without an idempotency key or `may_repeat` in `write`, a
    /// broken connection leaves the outcome unknown; with one of them the client repeats the
    /// request until it knows.
    pub async fn put<T: AsRef<str>>(
        &self,
        key: &[T],
        value: impl Into<Bytes>,
        write: &WriteOptions<'_>,
    ) -> Result<Written, ClientError> {
        let call = self.write_call(Method::PUT, key, write)?.body(media::JSON, value.into());
        let answer = self.database.client.send(&call).await?;
        Written::from_answer(&answer, write.session)
    }

    /// Changes a part of the document `key`.
    ///
    /// # Errors
    /// As [`put`](Self::put); a missing document is refused with the status 404.
    pub async fn patch<T: AsRef<str>>(
        &self,
        key: &[T],
        kind: PatchKind,
        patch: impl Into<Bytes>,
        write: &WriteOptions<'_>,
    ) -> Result<Written, ClientError> {
        let call =
            self.write_call(Method::PATCH, key, write)?.body(kind.media_type(), patch.into());
        let answer = self.database.client.send(&call).await?;
        Written::from_answer(&answer, write.session)
    }

    /// Removes the document `key`; answers whether there was one.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub async fn delete<T: AsRef<str>>(
        &self,
        key: &[T],
        write: &WriteOptions<'_>,
    ) -> Result<bool, ClientError> {
        let call = self.write_call(Method::DELETE, key, write)?;
        match self.database.client.send(&call).await {
            Ok(answer) => {
                note_session(&answer, write.session);
                Ok(true)
            }
            Err(error) if error.code() == Some(Code::NoSuchDocument) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Reads the document `key`; `None` if there is none.
    ///
    /// # Errors
    /// The read was refused, or not served in time.
    pub async fn get<T: AsRef<str>>(
        &self,
        key: &[T],
        read: &ReadOptions<'_>,
    ) -> Result<Option<Found>, ClientError> {
        let path = document_path(&self.database.name, &self.name, key);
        let call = read.apply(Call::get(path))?;
        match self.database.client.send(&call).await {
            Ok(answer) => Found::from_answer(answer, read.session).map(Some),
            Err(error) if error.code() == Some(Code::NoSuchDocument) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn write_call<T: AsRef<str>>(
        &self,
        method: Method,
        key: &[T],
        write: &WriteOptions<'_>,
    ) -> Result<Call, ClientError> {
        let path = document_path(&self.database.name, &self.name, key);
        write.apply(Call::new(method, path, write.repeat()))
    }
}

/// Which patch language a body is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatchKind {
    /// RFC 7396: members to set, `null` to remove.
    Merge,
    /// RFC 6902: a list of steps.
    Json,
}

impl PatchKind {
    fn media_type(self) -> &'static str {
        match self {
            PatchKind::Merge => media::MERGE_PATCH,
            PatchKind::Json => media::JSON_PATCH,
        }
    }
}

/// How to write. The default writes unconditionally, and does not repeat an open outcome.
#[derive(Clone, Copy, Debug, Default)]
pub struct WriteOptions<'a> {
    /// Names this write, so that a repetition repeats the answer and not the effect.
    pub idempotency_key: Option<&'a str>,
    /// Whether a write of unknown outcome is repeated without a key, too: doing it twice does no
    /// harm. The answer is that of the last time; if that is a refusal, the outcome stays unknown.
    pub may_repeat: bool,
    /// The state that the document must be in.
    pub condition: Option<Condition<'a>>,
    /// Learns what was written.
    pub session: Option<&'a Session>,
}

/// The state that a document must be in for a write to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition<'a> {
    /// It exists with this etag (bare, as in bodies).
    Etag(&'a str),
    /// It exists.
    Exists,
    /// It does not exist.
    Absent,
}

impl WriteOptions<'_> {
    pub(crate) fn repeat(&self) -> Repeat {
        match self.idempotency_key {
            Some(_) => Repeat::Remembered,
            None if self.may_repeat => Repeat::Harmless,
            None => Repeat::Risky,
        }
    }

    pub(crate) fn apply(&self, mut call: Call) -> Result<Call, ClientError> {
        if let Some(key) = self.idempotency_key {
            call = call.header(headers::IDEMPOTENCY_KEY, key)?;
        }
        if let Some(token) = self.session.and_then(Session::token) {
            call = call.header(headers::SESSION, &token)?;
        }
        match self.condition {
            None => Ok(call),
            Some(Condition::Etag(etag)) => call.header(header::IF_MATCH, &format!("\"{etag}\"")),
            Some(Condition::Exists) => call.header(header::IF_MATCH, "*"),
            Some(Condition::Absent) => call.header(header::IF_NONE_MATCH, "*"),
        }
    }
}

/// How to read. The default is a strong read.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReadOptions<'a> {
    /// What is promised about the answer.
    pub consistency: Consistency,
    /// What was seen before, and learns what is seen now.
    pub session: Option<&'a Session>,
}

/// What a read promises. Source: docs/protocols/replication.md, "Reads".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Consistency {
    /// Linearizable, if the clocks' rates are sane.
    #[default]
    Strong,
    /// Linearizable, without any assumption about clocks.
    Strict,
    /// Sees what the session has seen.
    Session,
    /// No older than so many milliseconds.
    Bounded {
        /// The bound.
        max_lag_ms: u64,
    },
    /// Some state of the past.
    Eventual,
}

impl ReadOptions<'_> {
    pub(crate) fn apply(&self, mut call: Call) -> Result<Call, ClientError> {
        if let Some(token) = self.session.and_then(Session::token) {
            call = call.header(headers::SESSION, &token)?;
        }
        let level = match self.consistency {
            Consistency::Strong => return Ok(call),
            Consistency::Strict => "strict",
            Consistency::Session => "session",
            Consistency::Bounded { max_lag_ms } => {
                call = call.hedged().header(headers::MAX_LAG_MS, &max_lag_ms.to_string())?;
                "bounded"
            }
            Consistency::Eventual => {
                call = call.hedged();
                "eventual"
            }
        };
        call.header(headers::CONSISTENCY, level)
    }
}

/// A write that is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Whether there was no such document before.
    pub is_new: bool,
    /// The new state's name, bare.
    pub etag: String,
    /// Where the transaction stands.
    pub scn: Position,
}

impl Written {
    fn from_answer(answer: &Answer, session: Option<&Session>) -> Result<Written, ClientError> {
        note_session(answer, session);
        Ok(Written {
            is_new: answer.status.as_u16() == 201,
            etag: etag_of(answer)?,
            scn: position_of(answer)?,
        })
    }
}

/// A document that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The JSON object, as stored.
    pub value: Bytes,
    /// Its state's name, bare.
    pub etag: String,
    /// Its last write.
    pub scn: Position,
    /// The node that answered, where the server says so.
    pub served_by: Option<String>,
}

impl Found {
    fn from_answer(answer: Answer, session: Option<&Session>) -> Result<Found, ClientError> {
        note_session(&answer, session);
        Ok(Found {
            etag: etag_of(&answer)?,
            scn: position_of(&answer)?,
            served_by: header_of(&answer, &headers::SERVED_BY).ok(),
            value: answer.body,
        })
    }
}

pub(crate) fn note_session(answer: &Answer, session: Option<&Session>) {
    if let (Some(session), Ok(token)) = (session, header_of(answer, &headers::SESSION)) {
        session.note(&token);
    }
}

fn etag_of(answer: &Answer) -> Result<String, ClientError> {
    let quoted = header_of(answer, &header::ETAG)?;
    Ok(quoted.trim_matches('"').to_owned())
}

fn position_of(answer: &Answer) -> Result<Position, ClientError> {
    let text = header_of(answer, &headers::SCN)?;
    text.parse().map_err(|error| ClientError::BadAnswer { what: format!("{text:?}: {error}") })
}

fn header_of(answer: &Answer, name: &HeaderName) -> Result<String, ClientError> {
    let value = answer.headers.get(name).and_then(|value| value.to_str().ok());
    let what = || format!("{} without the header {name}", answer.status);
    value.map(str::to_owned).ok_or_else(|| ClientError::BadAnswer { what: what() })
}
