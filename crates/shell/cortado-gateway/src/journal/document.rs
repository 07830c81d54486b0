//! An entry of the journal as it is stored.
//!
//! Every member is described in docs/formats/journal.md. Decides nothing. Start reading at
//! [`EntryDocument`].

use crate::events::{DecisionEvent, EventKind};
use cortado_document::Document;
use cortado_model::{NodeId, WallMillis};
use cortado_store::StoreError;
use serde::{Deserialize, Serialize};

/// Of every entry. A newer one is refused by older software rather than misread.
pub(super) const VERSION: u32 = 1;

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct EntryDocument {
    pub(super) version: u32,
    pub(super) time_ms: u64,
    pub(super) node: u32,
    pub(super) kind: EventKind,
    pub(super) database: Option<String>,
    pub(super) partition: Option<u32>,
    pub(super) what: String,
    pub(super) evidence: Vec<String>,
    pub(super) by_hand: String,
    pub(super) undo: String,
}

impl EntryDocument {
    /// The stored form.
    pub(super) fn write(&self) -> Document {
        let bytes = serde_json::to_vec(self).expect("its members are texts, numbers and lists");
        Document::from_stored(bytes.into())
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// Not what [`write`](Self::write) wrote, or of another version.
    pub(super) fn read(value: &[u8]) -> Result<EntryDocument, StoreError> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let damaged = |why: String| StoreError::Damaged { why: format!("a journal entry: {why}") };
        let unreadable = |error: serde_json::Error| damaged(error.to_string());
        match serde_json::from_slice(value).map_err(unreadable)? {
            Versioned { version: VERSION } => serde_json::from_slice(value).map_err(unreadable),
            Versioned { version } => Err(damaged(format!("its version is {version}"))),
        }
    }

    /// What it tells.
    ///
    /// * `id`: where a reader goes on behind it.
    pub(super) fn event(self, id: String) -> DecisionEvent {
        DecisionEvent {
            id,
            time: WallMillis(self.time_ms),
            node: NodeId(self.node),
            kind: self.kind,
            database: self.database,
            partition: self.partition,
            what: self.what,
            evidence: self.evidence,
            by_hand: self.by_hand,
            undo: self.undo,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> EntryDocument {
        EntryDocument {
            version: VERSION,
            time_ms: 1_764_000_000_123,
            node: 2,
            kind: EventKind::Claim,
            database: Some("geo".to_owned()),
            partition: Some(3),
            what: "claim: n1 is dead".to_owned(),
            evidence: vec!["silent for 400 ms".to_owned()],
            by_hand: "cortado handoff geo/3 --to n2".to_owned(),
            undo: "cortado handoff geo/3 --to n1".to_owned(),
        }
    }

    #[test]
    fn an_entry_keeps_its_form() {
        let text = r#"{"version":1,"time_ms":1764000000123,"node":2,"kind":"claim","#.to_owned()
            + r#""database":"geo","partition":3,"what":"claim: n1 is dead","#
            + r#""evidence":["silent for 400 ms"],"by_hand":"cortado handoff geo/3 --to n2","#
            + r#""undo":"cortado handoff geo/3 --to n1"}"#;
        assert_eq!(entry().write().as_bytes(), text.as_bytes());
        assert_eq!(EntryDocument::read(text.as_bytes()), Ok(entry()));
    }

    #[test]
    fn entries_of_another_version_are_refused() {
        let newer = EntryDocument { version: VERSION + 1, ..entry() }.write();
        for value in [&newer.as_bytes()[..], br#"{"version":1}"#, b"{}", b"x"] {
            let read = EntryDocument::read(value);
            assert!(matches!(read, Err(StoreError::Damaged { .. })), "{read:?}");
        }
    }
}
