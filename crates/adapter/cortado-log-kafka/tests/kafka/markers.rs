//! Markers that end a stranger's transaction, written as a coordinator of transactions does it.
//!
//! WriteTxnMarkers in version 1: each takes an offset, and no consumer shows it.

use std::io::{Read, Write};
use std::net::TcpStream;

/// Appends `count` markers to a partition, through the broker that leads it.
pub(crate) fn append_markers(broker: &str, topic: &str, partition: i32, count: u64) {
    for _ in 0..count {
        let mut stream = TcpStream::connect(broker).unwrap();
        let request = request(topic, partition);
        stream.write_all(&(request.len() as u32).to_be_bytes()).unwrap();
        stream.write_all(&request).unwrap();
        let mut length = [0; 4];
        stream.read_exact(&mut length).unwrap();
        let mut answer = vec![0; u32::from_be_bytes(length) as usize];
        stream.read_exact(&mut answer).unwrap();
        // Header, one marker with one topic with one partition, whose code stands in front of four
        // empty lists of tags.
        let code = &answer[answer.len() - 6..answer.len() - 4];
        assert_eq!(code, [0, 0], "{answer:?}");
    }
}

fn request(topic: &str, partition: i32) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(27_i16.to_be_bytes());
    bytes.extend(1_i16.to_be_bytes());
    bytes.extend(7_i32.to_be_bytes());
    bytes.extend(4_i16.to_be_bytes());
    bytes.extend(b"test\0");
    // One marker, of a producer that nobody knows: committed.
    bytes.push(2);
    bytes.extend(4_711_i64.to_be_bytes());
    bytes.extend(0_i16.to_be_bytes());
    bytes.push(1);
    // One topic with one partition.
    bytes.extend([2, u8::try_from(topic.len() + 1).unwrap()]);
    bytes.extend(topic.as_bytes());
    bytes.push(2);
    bytes.extend(partition.to_be_bytes());
    bytes.push(0);
    // The epoch of the coordinator, and no tags.
    bytes.extend(0_i32.to_be_bytes());
    bytes.extend([0, 0]);
    bytes
}
