//! Any bytes as what a client sends back of what it was given: a session, the cursor of a list.
//!
//! As they are, and with a check that holds.

#![no_main]

use cortado_wire::{Cursor, CursorBinding, SessionToken};
use data_encoding::BASE64URL_NOPAD;
use libfuzzer_sys::fuzz_target;
use xxhash_rust::xxh3::{Xxh3, xxh3_64, xxh3_64_with_seed};

const LIST: CursorBinding<'_> =
    CursorBinding { database: 1, table: 2, prefix: b"JP\0", descending: false };
/// Version of cursors, and that the list is ascending.
const LIST_MARKS: [u8; 2] = [1, 0];

fuzz_target!(|bytes: &[u8]| {
    look_at_session(bytes);
    let check = (xxh3_64(bytes) as u32).to_be_bytes();
    look_at_session(BASE64URL_NOPAD.encode(&[bytes, &check].concat()).as_bytes());

    if let Ok(text) = std::str::from_utf8(bytes) {
        look_at_cursor(text);
    }
    let mut list = Xxh3::new();
    list.update(&LIST.database.to_be_bytes());
    list.update(&LIST.table.to_be_bytes());
    list.update(&LIST_MARKS);
    list.update(LIST.prefix);
    let check = xxh3_64_with_seed(bytes, list.digest()).to_be_bytes();
    look_at_cursor(&BASE64URL_NOPAD.encode(&[bytes, &check].concat()));
});

fn look_at_session(text: &[u8]) {
    if let Ok(session) = SessionToken::parse(text) {
        let written = session.encode();
        let read = SessionToken::parse(written.as_bytes());
        assert_eq!(read, Ok(session), "it is read as it is written");
    }
}

fn look_at_cursor(text: &str) {
    if let Ok(cursor) = Cursor::parse(text, &LIST) {
        let written = cursor.encode(&LIST);
        assert_eq!(Cursor::parse(&written, &LIST), Ok(cursor), "it is read as it is written");
    }
}
