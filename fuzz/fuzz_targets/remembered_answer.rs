//! Any bytes as the answer that a partition remembers of a write.

#![no_main]

use cortado_driver::RememberedAnswer;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(answer) = RememberedAnswer::decode(bytes) {
        let written = answer.encode();
        assert_eq!(RememberedAnswer::decode(&written), Ok(answer), "it is read as it is written");
    }
});
