//! What is let in: what is proven, meant for this life of this node, and has not come before.
//!
//! Start reading at [`Gate::open`].

use crate::envelope::{Envelope, EnvelopeError, is_sealed_by};
use crate::keys::Keys;
use crate::replays::Replays;
use cortado_model::{ClusterUuid, NodeId, NodeIncarnation};
use std::sync::Arc;

/// Opens envelopes for one life of a node.
pub(crate) struct Gate {
    pub(crate) cluster: ClusterUuid,
    pub(crate) node: NodeId,
    pub(crate) life: NodeIncarnation,
    pub(crate) keys: Arc<Keys>,
    pub(crate) replays: Replays,
}

impl Gate {
    /// Opens an envelope.
    ///
    /// * `is_proven`: a stream has proven who sent it.
    ///
    /// # Errors
    /// See [`EnvelopeError`].
    pub(crate) fn open<'b>(
        &mut self,
        bytes: &'b [u8],
        is_proven: bool,
    ) -> Result<Envelope<'b>, EnvelopeError> {
        let envelope = Envelope::read(bytes, self.cluster)?;
        envelope.check_method(self.keys.method())?;
        envelope.check_receiver(self.node, self.life)?;
        let (sender, life) = (envelope.sender, envelope.sender_life);
        let keys = if is_proven { None } else { self.keys.for_hearing(sender, life) };
        if keys.is_some_and(|keys| !keys.iter().any(|key| is_sealed_by(bytes, key))) {
            return Err(EnvelopeError::NotProven);
        }
        if !self.replays.admit(sender, life, envelope.count) {
            return Err(EnvelopeError::Replayed);
        }
        Ok(envelope)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::{Content, Proven};
    use cortado_peer_security::{MacKey, PeerSecret, Security};

    const CLUSTER: ClusterUuid = ClusterUuid(7);
    const SENDER: (NodeId, NodeIncarnation) = (NodeId(1), NodeIncarnation(3));
    const OWN: (NodeId, NodeIncarnation) = (NodeId(2), NodeIncarnation(5));

    fn keys(byte: u8) -> Keys {
        let secret = PeerSecret::new(&[byte; 32]).expect("long enough");
        Keys::new(Security::Secret { secret, file: None, private: true }, CLUSTER)
            .expect("random bytes")
    }

    fn gate() -> Gate {
        let (node, life) = OWN;
        let (keys, replays) = (Arc::new(keys(7)), Replays::default());
        Gate { cluster: CLUSTER, node, life, keys, replays }
    }

    fn key(byte: u8) -> MacKey {
        let keys = keys(byte).for_hearing(SENDER.0, SENDER.1);
        keys.expect("a secret makes a key").remove(0)
    }

    /// A message under the right secret.
    fn sealed(from: (NodeId, NodeIncarnation), to: (NodeId, NodeIncarnation)) -> Vec<u8> {
        Envelope::new(Proven::Secret, Content::Roll, from, to, 9, b"message")
            .seal(CLUSTER, Some(&key(7)))
    }

    #[test]
    fn what_is_proven_and_meant_is_let_in_once() {
        let (mut gate, bytes) = (gate(), sealed(SENDER, OWN));
        assert_eq!(gate.open(&bytes, false).map(|one| one.payload), Ok(&b"message"[..]));
        assert_eq!(gate.open(&bytes, false), Err(EnvelopeError::Replayed));
        assert_eq!(gate.open(&bytes, true), Err(EnvelopeError::Replayed), "on a stream, too");
        let newer = sealed((SENDER.0, NodeIncarnation(4)), OWN);
        assert!(gate.open(&newer, false).is_ok());
        let older = Envelope::new(Proven::Secret, Content::Message, SENDER, OWN, 99, b"")
            .seal(CLUSTER, Some(&key(7)));
        assert_eq!(gate.open(&older, false), Err(EnvelopeError::Replayed), "an older life");
    }

    #[test]
    fn what_is_changed_anywhere_is_kept_out() {
        let bytes = sealed(SENDER, OWN);
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(gate().open(&changed, false).is_err(), "byte {at}");
        }
        for length in 0..bytes.len() {
            assert!(gate().open(&bytes[..length], false).is_err(), "{length} bytes");
        }
    }

    #[test]
    fn what_is_for_others_or_proven_otherwise_is_kept_out() {
        let check = |bytes: Vec<u8>, want| assert_eq!(gate().open(&bytes, false), Err(want));
        check(sealed(SENDER, (NodeId(3), OWN.1)), EnvelopeError::NotMeant);
        check(sealed(SENDER, (OWN.0, NodeIncarnation(4))), EnvelopeError::NotMeant);
        check(sealed(OWN, OWN), EnvelopeError::NotMeant);
        let unsealed = Envelope::new(Proven::Secret, Content::Message, SENDER, OWN, 9, b"")
            .seal(CLUSTER, None);
        check(unsealed, EnvelopeError::NotProven);
        let other = Envelope::new(Proven::Secret, Content::Message, SENDER, OWN, 9, b"")
            .seal(CLUSTER, Some(&key(8)));
        check(other, EnvelopeError::NotProven);
        let open = Envelope::new(Proven::Loopback, Content::Message, SENDER, OWN, 9, b"")
            .seal(CLUSTER, None);
        check(open, EnvelopeError::Unknown { version: 1, method: 0 });
        let mut newer = sealed(SENDER, OWN);
        newer[4] = 2;
        check(newer, EnvelopeError::Unknown { version: 2, method: 1 });
        let unknown = sealed(SENDER, (NodeId(0), NodeIncarnation(0)));
        assert!(gate().open(&unknown, false).is_ok_and(|envelope| !envelope.knows_receiver()));
    }
}
