//! Any bytes as a beat: as they are, and with magic, tag and checksum put right.

#![no_main]

use cortado_model::{Beat, ClusterUuid};
use libfuzzer_sys::fuzz_target;

const CLUSTER: ClusterUuid = ClusterUuid(7);

fuzz_target!(|bytes: &[u8]| {
    let _ = Beat::decode(bytes, CLUSTER);
    let mut sealed = b"CtBt".to_vec();
    sealed.extend(CLUSTER.tag().to_le_bytes());
    let crc = crc32c::crc32c_append(crc32c::crc32c(&sealed), bytes);
    sealed.extend(crc.to_le_bytes());
    sealed.extend(bytes);
    if let Ok(beat) = Beat::decode(&sealed, CLUSTER) {
        let again = beat.encode(CLUSTER);
        assert_eq!(Beat::decode(&again, CLUSTER), Ok(beat), "it is read as it is written");
    }
});
