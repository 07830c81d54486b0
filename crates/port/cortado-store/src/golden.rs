//! Entries of format version 2 as they were when it was released: testdata/entries-v2.txt.
//!
//! The file never changes: a release that cannot read it cannot read what users have stored.

use crate::{MemoryStore, Store};
use bytes::Bytes;
use cortado_model::{
    Batch, DatabaseId, DocumentHead, DocumentKey, Entry, EntryChange, EntryName, EntryRange, Etag,
    Generation, IndexId, PartitionId, Remembered, RememberedKey, Scn, Sequence, StoredDocument,
    TableId, WallMillis, Within,
};

const ENTRIES: &str = include_str!("../testdata/entries-v2.txt");
const HOME: PartitionId = PartitionId { database: DatabaseId(1), number: 0 };
const TABLE: TableId = TableId(258);
const INDEX: IndexId = IndexId(7);

fn scn() -> Scn {
    Scn::new(Generation(5), Sequence(1042))
}

fn key() -> DocumentKey {
    DocumentKey::from_parts(&["Ces\u{e1}ria", "Miss"]).unwrap()
}

fn name() -> RememberedKey {
    RememberedKey::new("Ces\u{e1}ria", b"order-7", 3)
}

fn document() -> StoredDocument {
    let head = DocumentHead {
        schema_version: 3,
        etag: Etag(0xfeed),
        scn: scn(),
        time: WallMillis(1_700_000_000_000),
        expires: Some(WallMillis(1_800_000_000_000)),
    };
    StoredDocument::new(head, br#"{"year":1991}"#)
}

fn remembered() -> Remembered {
    Remembered {
        time: WallMillis(1_700_000_000_000),
        expires: WallMillis(1_700_000_060_000),
        answer: Bytes::from_static(b"answer"),
    }
}

/// A batch with an entry of each space.
fn batch() -> Batch {
    let place = Bytes::from_static(b"1991");
    let expiry = WallMillis(1_800_000_000_000);
    let index = EntryChange {
        name: EntryName::Index { index: INDEX, place },
        value: Some(Bytes::copy_from_slice(key().as_bytes())),
    };
    let expiry = EntryChange {
        name: EntryName::Expiry { time: expiry, table: TABLE, key: key() },
        value: Some(Bytes::new()),
    };
    Batch {
        documents: vec![(TABLE, key(), Some(document()))],
        entries: vec![index, expiry],
        remember: vec![(name(), remembered())],
        bookmarks: vec![(scn(), Bytes::from_static(b"state"))],
        checkpoint: Bytes::from_static(b"state"),
        ..Batch::default()
    }
}

/// The lines of the file: key and value in hexadecimal digits, a dash for no digits.
fn golden() -> Vec<Entry> {
    let bytes = |text: &str| {
        let digit = |at| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
        (0..text.len()).step_by(2).map(digit).collect::<Vec<u8>>().into()
    };
    let lines = ENTRIES.lines().filter(|line| !line.starts_with('#'));
    let entry = |line: &str| {
        let (key, value) = line.split_once(' ').unwrap();
        Entry { key: bytes(key), value: bytes(value.trim_start_matches('-')) }
    };
    lines.map(entry).collect()
}

#[test]
fn entries_are_written_as_they_were() {
    let store = MemoryStore::new();
    store.apply_one(HOME, batch()).unwrap();
    let written: Vec<Entry> = store.view(HOME).unwrap().entries(None).map(Result::unwrap).collect();
    assert_eq!(written, golden(), "{}", lines(&written));
}

#[test]
fn entries_are_read_as_they_were() {
    let store = MemoryStore::new();
    let mut entries = golden().into_iter().map(Ok);
    store.install(HOME, &mut entries, Bytes::from_static(b"state")).unwrap();
    let view = store.view(HOME).unwrap();
    assert_eq!(view.get(TABLE, &key()), Ok(Some(document())));
    assert_eq!(view.remembered(&name()), Ok(Some(remembered())));
    assert_eq!(view.first_expiry(), Ok(Some(remembered().expires)));
    assert_eq!(view.bookmark(scn()), Ok(Some((scn(), Bytes::from_static(b"state")))));
    let only = |within| {
        let found: Vec<Entry> = view.scan(&EntryRange::all(within)).map(Result::unwrap).collect();
        assert_eq!(found.len(), 1);
        found[0].value.clone()
    };
    assert_eq!(only(Within::Index(INDEX)), key().as_bytes());
    assert_eq!(only(Within::Expiry), "");
}

fn lines(entries: &[Entry]) -> String {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let line = |entry: &Entry| format!("{} {}\n", hex(&entry.key), hex(&entry.value));
    entries.iter().map(line).collect()
}
