//! Change streams: one line, or one Server-Sent Event, for each committed transaction.
//!
//! Start reading at [`ChangeLine`], which reads what the functions here write.

use crate::Position;
use crate::text::JsonText;
use bytes::Bytes;
use cortado_model::{DocumentKey, Etag, WallMillis};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// One line of a stream: a transaction, or a heartbeat.
#[derive(Debug, Serialize, Deserialize)]
pub struct ChangeLine {
    /// Counts from 0.
    pub partition: u32,
    /// The transaction's place; absent in a heartbeat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scn: Option<Position>,
    /// Its log time, RFC 3339; absent in a heartbeat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// What it changed; empty in a heartbeat.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<ChangeBody>,
    /// Nothing has happened up to `applied`.
    #[serde(default, skip_serializing_if = "is_false")]
    pub heartbeat: bool,
    /// Of a heartbeat: the stream has shown everything up to here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<Position>,
}

fn is_false(value: &bool) -> bool {
    !value
}

/// One document of a transaction.
#[derive(Debug, Serialize, Deserialize)]
pub struct ChangeBody {
    /// What happened to it.
    pub op: ChangeKind,
    /// Its table.
    pub table: String,
    /// Its key.
    pub key: Vec<String>,
    /// Names its new state; absent if it was removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// Its whole new value; absent if it was removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Box<RawValue>>,
}

/// What happened to a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// Created or replaced, with its whole value.
    Put,
    /// Removed.
    Delete,
}

/// Writes one transaction, change by change, without a line end.
#[derive(Debug)]
pub struct TransactionWriter<'a> {
    json: &'a mut JsonText,
    is_first: bool,
}

impl<'a> TransactionWriter<'a> {
    /// Begins the transaction at `position`.
    pub fn begin(json: &'a mut JsonText, position: Position, time: WallMillis) -> Self {
        json.raw(br#"{"partition":"#).number(u64::from(position.partition));
        json.raw(br#","scn":"#).position(position);
        json.raw(br#","time":"#).time(time);
        json.raw(br#","changes":["#);
        TransactionWriter { json, is_first: true }
    }

    /// Appends a document that was created or replaced.
    pub fn put(&mut self, table: &str, key: &DocumentKey, etag: Etag, value: &Bytes) {
        self.change(ChangeKind::Put, table, key);
        self.json.raw(br#","etag":"#).etag(etag);
        self.json.raw(br#","value":"#).document(value).raw(b"}");
    }

    /// Appends a document that was removed.
    pub fn delete(&mut self, table: &str, key: &DocumentKey) {
        self.change(ChangeKind::Delete, table, key);
        self.json.raw(b"}");
    }

    fn change(&mut self, kind: ChangeKind, table: &str, key: &DocumentKey) {
        if !self.is_first {
            self.json.raw(b",");
        }
        self.is_first = false;
        self.json.raw(match kind {
            ChangeKind::Put => br#"{"op":"put","table":"#,
            ChangeKind::Delete => br#"{"op":"delete","table":"#,
        });
        self.json.string(table).raw(br#","key":"#).key(key);
    }

    /// Ends the transaction.
    pub fn finish(self) {
        self.json.raw(b"]}");
    }
}

/// Writes a heartbeat, without a line end.
pub fn write_heartbeat(json: &mut JsonText, applied: Position) {
    json.raw(br#"{"partition":"#).number(u64::from(applied.partition));
    json.raw(br#","heartbeat":true,"applied":"#).position(applied).raw(b"}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use cortado_model::{Generation, Scn, Sequence};

    const AT: Position = Position {
        partition: 3,
        scn: Scn { generation: Generation(5), sequence: Sequence(1_042) },
    };

    #[test]
    fn a_transaction_is_read_as_written() {
        let key = DocumentKey::from_parts(&["a", "b"]).expect("a key");
        let mut json = JsonText::default();
        let mut transaction = TransactionWriter::begin(&mut json, AT, WallMillis(1));
        transaction.put("t", &key, Etag(1), &Bytes::from_static(br#"{"n":1}"#));
        transaction.delete("u", &key);
        transaction.finish();
        let line: ChangeLine = serde_json::from_slice(&json.into_bytes()).unwrap();
        assert_eq!((line.partition, line.scn, line.heartbeat), (3, Some(AT), false));
        assert_eq!(line.time.as_deref(), Some("1970-01-01T00:00:00.001Z"));
        let [put, delete] = line.changes.as_slice() else { panic!("two changes") };
        assert_eq!((put.op, put.table.as_str()), (ChangeKind::Put, "t"));
        assert_eq!(put.value.as_ref().map(|value| value.get()), Some(r#"{"n":1}"#));
        assert_eq!(put.etag.as_deref(), Some("0000000000000001"));
        assert_eq!((delete.op, delete.table.as_str()), (ChangeKind::Delete, "u"));
        assert!(delete.value.is_none() && delete.etag.is_none());
    }

    #[test]
    fn a_heartbeat_is_read_as_written() {
        let mut json = JsonText::default();
        write_heartbeat(&mut json, AT);
        let line: ChangeLine = serde_json::from_slice(&json.into_bytes()).unwrap();
        assert_eq!((line.partition, line.applied, line.heartbeat), (3, Some(AT), true));
        assert!(line.scn.is_none() && line.changes.is_empty());
    }
}
