//! Beats as bytes: what is written can be read, and nothing else can.

use super::*;
use proptest::prelude::*;

const CLUSTER: ClusterUuid = ClusterUuid(0xc0ff_ee00_0000_0000_0000_0000_0000_0001);

fn a_beat() -> Beat {
    let time = WallMillis(1_795_392_000_000);
    Beat { node: NodeId(3), incarnation: NodeIncarnation(17), count: 4_711, time }
}

/// `bytes` with a checksum that holds.
fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let crc = checksum(&bytes);
    bytes[CRC_AT..VERSION_AT].copy_from_slice(&crc.to_le_bytes());
    bytes
}

#[track_caller]
fn check(bytes: &[u8], want: Result<Beat, BeatError>) {
    assert_eq!(Beat::decode(bytes, CLUSTER), want);
}

/// What version 1 wrote must be readable for ever.
#[test]
fn the_bytes_of_version_1_do_not_change() {
    let text: String = a_beat().encode(CLUSTER).iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(
        text,
        "437442740100000000eeffc0aeb7fad501030000001100000000000000671200000000000000d0b305a2010000"
    );
    check(&a_beat().encode(CLUSTER), Ok(a_beat()));
}

#[test]
fn a_newer_version_says_more_behind() {
    let mut newer = a_beat().encode(CLUSTER).to_vec();
    newer[VERSION_AT] = 200;
    newer.extend(b"and it is raining");
    check(&sealed(newer), Ok(a_beat()));
}

#[test]
fn what_is_not_of_the_cluster_is_foreign() {
    check(b"", Err(BeatError::Foreign));
    check(b"{\"not\": \"a beat\"}", Err(BeatError::Foreign));
    check(&a_beat().encode(ClusterUuid(2)), Err(BeatError::Foreign));
}

#[test]
fn what_is_not_as_it_was_written_is_damaged() {
    let bytes = a_beat().encode(CLUSTER);
    check(&bytes[..BEAT_BYTES - 1], Err(BeatError::Damaged("shorter than a beat")));
    for at in CRC_AT..BEAT_BYTES {
        let mut bytes = bytes.to_vec();
        bytes[at] ^= 0x10;
        check(&bytes, Err(BeatError::Damaged("checksum differs")));
    }
}

proptest! {
    #[test]
    fn beats_are_read_as_they_are_written(node: u32, incarnation: u64, count: u64, time: u64) {
        let incarnation = NodeIncarnation(incarnation);
        let beat = Beat { node: NodeId(node), incarnation, count, time: WallMillis(time) };
        prop_assert_eq!(Beat::decode(&beat.encode(CLUSTER), CLUSTER), Ok(beat));
    }

    #[test]
    fn no_bytes_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        let _ = Beat::decode(&bytes, CLUSTER);
        let prefix = prefix_of(CLUSTER);
        let len = bytes.len().min(CRC_AT);
        bytes[..len].copy_from_slice(&prefix[..len]);
        let _ = Beat::decode(&bytes, CLUSTER);
        if bytes.len() >= VERSION_AT {
            let read = Beat::decode(&sealed(bytes.clone()), CLUSTER);
            prop_assert_eq!(read.is_ok(), bytes.len() >= BEAT_BYTES);
        }
    }
}
