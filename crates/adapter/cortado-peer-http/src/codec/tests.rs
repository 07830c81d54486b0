//! Frames that are no frames, and the bytes of version 1.

use super::*;
use bytes::Bytes;
use cortado_model::{DatabaseId, LogOffset, NodeId, PartitionId, Scn};
use cortado_peer::{CallError, HandOff, Level, Look, Message, Read};
use proptest::collection::vec;
use proptest::prelude::*;
use std::time::Duration;
use tokio::time::Instant;

const PARTITION: PartitionId = PartitionId { database: DatabaseId(7), number: 3 };

fn read(now: Instant) -> WireCall {
    let deadline = now + Duration::from_millis(500);
    let level = Level::AtLeast(Scn::ZERO);
    WireCall::Read(Read { partition: PARTITION, level, look: Look::Position, deadline })
}

/// The frame with its checksum put right.
fn sealed(version: u8, kind: u8, inside: &[u8]) -> Bytes {
    let crc = crc32c::crc32c_append(crc32c::crc32c(&[version, kind]), inside);
    [&[version, kind][..], &crc.to_le_bytes(), inside].concat().into()
}

#[test]
fn the_bytes_of_version_1_do_not_change() {
    let now = Instant::now();
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(hex(&read(now).encode(now)), "010257423b9ba0c21e070302000003");
    let message = Message::LogGrew { partition: PARTITION, end: LogOffset(300) };
    assert_eq!(hex(&encode_message(&message)), "01402f10bf78040703ac02");
    let reply = WireReply::Failed(CallError::Late);
    assert_eq!(hex(&reply.encode()), "0100889119740002");
}

#[test]
fn what_is_damaged_is_noticed() {
    let now = Instant::now();
    let frame = read(now).encode(now);
    for at in 0..frame.len() {
        let mut damaged = frame.to_vec();
        damaged[at] ^= 0x20;
        assert_eq!(WireCall::decode(damaged.into(), now), Err(WireError::Damaged), "byte {at}");
    }
    for length in 0..frame.len() {
        let error = WireCall::decode(frame.slice(..length), now).expect_err("it is cut");
        assert!(matches!(error, WireError::Damaged | WireError::Truncated), "{error}");
    }
}

#[test]
fn what_this_build_does_not_know_is_named() {
    let now = Instant::now();
    let decode = |frame| WireCall::decode(frame, now).expect_err("it is unknown");
    assert_eq!(decode(sealed(2, 1, b"")), WireError::UnknownVersion { version: 2, known: 1 });
    assert_eq!(decode(sealed(1, 11, b"\0")), WireError::UnknownKind { kind: 11 });
    let newer = WireError::UnknownVariant { what: "Level", tag: 4 };
    assert_eq!(decode(sealed(1, 2, &[0, 7, 3, 4])), newer);
    let behind = sealed(1, 4, &[0, 7, 3, 0, 0]);
    assert_eq!(decode(behind), WireError::Trailing { bytes: 2 });
    let message = sealed(1, 0x40, &[9]);
    let newer = WireError::UnknownVariant { what: "Message", tag: 9 };
    assert_eq!(decode_message(message), Err(newer));
}

#[test]
fn lengths_that_lie_allocate_nothing() {
    let now = Instant::now();
    // A write with 2^63 operations, and one with as many as a list may have but no bytes.
    let huge = [&[0, 7, 3, 0, 0][..], &[0xff; 8], &[0x7f]].concat();
    let many = [0, 7, 3, 0, 0, 0x80, 0x80, 0x08];
    let decode = |inside: &[u8]| WireCall::decode(sealed(1, 1, inside), now);
    assert!(matches!(decode(&huge), Err(WireError::TooMany { .. })));
    assert_eq!(decode(&many), Err(WireError::Truncated));
}

#[test]
fn a_number_has_one_spelling() {
    let now = Instant::now();
    let long = [0x80, 0x00, 7, 3, 0];
    let call = WireCall::decode(sealed(1, 3, &long), now);
    assert_eq!(call, Err(WireError::Invalid("number")));
}

#[test]
fn a_deadline_that_has_passed_leaves_no_time() {
    let then = Instant::now();
    let now = then + Duration::from_secs(9);
    let late = WireCall::HandOff(HandOff { partition: PARTITION, to: NodeId(2), deadline: then });
    let read = WireCall::decode(late.encode(now), now).expect("a call");
    assert_eq!(read.deadline(), now);
}

#[test]
fn later_fields_of_a_handshake_are_passed_over() {
    let hello = Hello {
        versions: (1, 3),
        method: ProofMethod::Secret,
        cluster: cortado_model::ClusterUuid(7),
        node: NodeId(1),
        incarnation: cortado_model::NodeIncarnation(4),
        wanted: NodeId(2),
        wanted_life: Some(cortado_model::NodeIncarnation(u64::MAX)),
        nonce: Nonce([7; 32]),
    };
    let later = [&hello.to_fields()[..], b"more"].concat();
    assert_eq!(Hello::from_fields(later.into()), Ok(hello));
}

proptest! {
    #[test]
    fn no_bytes_panic(kind in 0u8..0x42, inside in vec(any::<u8>(), 0..200)) {
        let now = Instant::now();
        let frame = sealed(1, kind, &inside);
        if let Ok(call) = WireCall::decode(frame.clone(), now) {
            prop_assert_eq!(WireCall::decode(call.encode(now), now), Ok(call));
        }
        if let Ok(reply) = WireReply::decode(frame.clone()) {
            prop_assert_eq!(WireReply::decode(reply.encode()), Ok(reply));
        }
        if let Ok(message) = decode_message(frame) {
            prop_assert_eq!(decode_message(encode_message(&message)), Ok(message));
        }
        let _ = HelloReply::from_fields(inside.into());
    }
}
