//! Bodies of the document routes: single documents, pages, batches, transactions.
//!
//! Requests refuse members that they do not know, so that a typo never passes. Answers are written
//! by the functions here and read by the types beside them; a test holds both together.
//! Start reading at [`TransactionBody`].

#[cfg(test)]
mod tests;

use crate::Position;
use crate::shape::objects;
use crate::text::JsonText;
use bytes::Bytes;
use cortado_model::{DocumentKey, Etag};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Body of `POST /v1/{database}:transact`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransactionBody<'a> {
    /// 1 to 1,000, all of one resource.
    #[serde(borrow, deserialize_with = "objects")]
    pub operations: Vec<OperationBody<'a>>,
}

/// One operation of a transaction.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperationBody<'a> {
    /// What to do.
    pub op: OperationKind,
    /// The table.
    #[serde(borrow)]
    pub table: Cow<'a, str>,
    /// All parts of the document's key.
    #[serde(borrow)]
    pub key: Vec<Cow<'a, str>>,
    /// For `put` and `merge`.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub value: Option<&'a RawValue>,
    /// An etag without quotes, or `*`.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub if_match: Option<Cow<'a, str>>,
    /// An etag without quotes, or `*`.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub if_none_match: Option<Cow<'a, str>>,
}

/// What an operation of a transaction does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperationKind {
    /// Creates or replaces.
    Put,
    /// Applies a merge patch; never creates.
    Merge,
    /// Removes; nothing to remove fails nothing.
    Delete,
    /// Judges its condition only.
    Check,
}

/// Body of `POST /v1/{database}:batchGet`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchBody<'a> {
    /// 1 to 1,000.
    #[serde(borrow, deserialize_with = "objects")]
    pub keys: Vec<BatchKey<'a>>,
}

/// One document of a batch.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchKey<'a> {
    /// The table.
    #[serde(borrow)]
    pub table: Cow<'a, str>,
    /// All parts of the document's key.
    #[serde(borrow)]
    pub key: Vec<Cow<'a, str>>,
}

/// Answer to a write of one document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriteAnswer {
    /// The document's key.
    pub key: Vec<String>,
    /// Names its new state.
    pub etag: String,
    /// The transaction.
    pub scn: Position,
}

/// Writes a [`WriteAnswer`].
pub fn write_answer(key: &DocumentKey, etag: Etag, scn: Position) -> Vec<u8> {
    let mut json = JsonText::with_capacity(80 + 2 * key.as_bytes().len());
    json.raw(br#"{"key":"#).key(key);
    json.raw(br#","etag":"#).etag(etag);
    json.raw(br#","scn":"#).position(scn).raw(b"}");
    json.into_bytes()
}

/// One page of a collection or a table.
#[derive(Debug, Serialize, Deserialize)]
pub struct PageAnswer {
    /// In the order asked for.
    pub documents: Vec<ListedDocument>,
    /// For the parameter `cursor` of the next request; absent on the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// One document of a page.
#[derive(Debug, Serialize, Deserialize)]
pub struct ListedDocument {
    /// Its key.
    pub key: Vec<String>,
    /// Names its state.
    pub etag: String,
    /// The transaction that wrote it.
    pub scn: Position,
    /// The document.
    pub value: Box<RawValue>,
}

/// Writes a [`PageAnswer`], document by document.
#[derive(Debug)]
pub struct PageWriter {
    json: JsonText,
    is_first: bool,
}

impl PageWriter {
    /// A page of which about `bytes` are expected.
    pub fn with_capacity(bytes: usize) -> PageWriter {
        let mut json = JsonText::with_capacity(bytes + 64);
        json.raw(br#"{"documents":["#);
        PageWriter { json, is_first: true }
    }

    /// Appends a document.
    ///
    /// * `value`: JSON, as stored.
    pub fn push(&mut self, key: &DocumentKey, etag: Etag, scn: Position, value: &Bytes) {
        self.json.raw(if self.is_first { br#"{"key":"# } else { br#",{"key":"# }).key(key);
        self.json.raw(br#","etag":"#).etag(etag);
        self.json.raw(br#","scn":"#).position(scn);
        self.json.raw(br#","value":"#).document(value).raw(b"}");
        self.is_first = false;
    }

    /// Ends the page.
    pub fn finish(mut self, next: Option<&str>) -> JsonText {
        self.json.raw(b"]");
        if let Some(next) = next {
            self.json.raw(br#","next":"#).string(next);
        }
        self.json.raw(b"}");
        self.json
    }
}

/// Answer to a batch.
#[derive(Debug, Serialize, Deserialize)]
pub struct BatchAnswer {
    /// One for each key, in the order asked for.
    pub results: Vec<BatchResult>,
}

/// What became of one key of a batch.
#[derive(Debug, Serialize, Deserialize)]
pub struct BatchResult {
    /// As a single read would have answered.
    pub status: u16,
    /// The table.
    pub table: String,
    /// The key.
    pub key: Vec<String>,
    /// Names the document's state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// The transaction that wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scn: Option<Position>,
    /// The document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Box<RawValue>>,
    /// Why there is no document; see [`Code::parse`](crate::Code::parse).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

/// Answer to a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransactionAnswer {
    /// Its place.
    pub scn: Position,
    /// One for each operation, in the order asked for.
    pub results: Vec<OperationResult>,
}

/// What an operation of a transaction did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationResult {
    /// 201 created, 200 replaced, patched or checked, 204 removed, 404 nothing to remove.
    pub status: u16,
    /// The key.
    pub key: Vec<String>,
    /// Names the document's new state, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
}
