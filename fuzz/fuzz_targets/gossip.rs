//! Any bytes as gossip: as an envelope, and as a message of SWIM.

#![no_main]

use cortado_gossip_foca::{Envelope, members_in};
use cortado_model::ClusterUuid;
use libfuzzer_sys::fuzz_target;

const CLUSTER: ClusterUuid = ClusterUuid(7);

fuzz_target!(|bytes: &[u8]| {
    let _ = members_in(bytes);
    if let Ok(envelope) = Envelope::read(bytes, CLUSTER) {
        assert!(envelope.payload.len() < bytes.len());
        let _ = members_in(envelope.payload);
    }
});
