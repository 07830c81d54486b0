//! Any bytes as what nodes send one another: as they are, and with version and checksum put right.

#![no_main]

use bytes::Bytes;
use cortado_peer_http::{
    HandshakePart, HandshakeVerdict, Hello, HelloReply, WIRE_VERSION, WireCall, WireReply,
    decode_message, encode_message,
};
use libfuzzer_sys::fuzz_target;
use tokio::time::Instant;

fuzz_target!(|bytes: &[u8]| {
    let now = Instant::now();
    let _ = WireCall::decode(Bytes::copy_from_slice(bytes), now);
    let _ = HelloReply::from_fields(Bytes::copy_from_slice(bytes));
    let _ = HandshakeVerdict::from_fields(Bytes::copy_from_slice(bytes));
    if let Ok(hello) = Hello::from_fields(Bytes::copy_from_slice(bytes)) {
        assert_eq!(Hello::from_fields(hello.to_fields()), Ok(hello));
    }
    let Some((kind, inside)) = bytes.split_first() else { return };
    let head = [WIRE_VERSION, *kind];
    let crc = crc32c::crc32c_append(crc32c::crc32c(&head), inside);
    let frame = Bytes::from([&head[..], &crc.to_le_bytes(), inside].concat());
    if let Ok(call) = WireCall::decode(frame.clone(), now) {
        assert_eq!(WireCall::decode(call.encode(now), now), Ok(call), "it is read as written");
    }
    if let Ok(reply) = WireReply::decode(frame.clone()) {
        assert_eq!(WireReply::decode(reply.encode()), Ok(reply), "it is read as written");
    }
    if let Ok(message) = decode_message(frame) {
        assert_eq!(decode_message(encode_message(&message)), Ok(message), "it is read as written");
    }
});
