//! Any bytes as a fold state: as they are, and behind a checksum that holds.

#![no_main]

use cortado_replica::FoldState;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = FoldState::decode(bytes);
    let mut sealed = crc32c::crc32c(bytes).to_le_bytes().to_vec();
    sealed.extend(bytes);
    if let Ok(state) = FoldState::decode(&sealed) {
        let written = state.encode();
        assert_eq!(FoldState::decode(&written), Ok(state), "it is read as it is written");
    }
});
