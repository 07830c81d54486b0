//! The keys with which datagrams are proven.
//!
//! TLS is for streams. Where nodes have certificates, a node gives each other one a key for its
//! datagrams, over a stream on which both have shown them. Start reading at [`Keys::for_sending`].

use crate::envelope::Proven;
use crate::identity::Identity;
use crate::limits::MEMBERS_MAX;
use cortado_model::{ClusterUuid, NodeId, NodeIncarnation};
use cortado_peer_security::{
    CertificateExpiry, MacKey, SecretKeys, Security, TlsIdentity, random_bytes,
};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Of the key that all nodes make of their secret.
const PURPOSE: &str = "cortado gossip 1";

/// What this node proves with.
pub(crate) enum Keys {
    Loopback,
    Secret(SecretKeys),
    Certificate {
        tls: Arc<TlsIdentity>,
        /// Of all keys that this life gives to others: they need not be kept.
        root: MacKey,
        /// Those that others gave to this one, each for one life of theirs.
        given: Mutex<BTreeMap<NodeId, GivenKey>>,
        /// Who was given one, and until when its certificate was valid.
        shown: Mutex<BTreeMap<NodeId, (NodeIncarnation, Option<CertificateExpiry>)>>,
    },
}

/// A key of another node, good as long as the own certificate that was shown for it.
pub(crate) struct GivenKey {
    life: NodeIncarnation,
    key: MacKey,
    expiry: Option<CertificateExpiry>,
}

/// How a message can be proven.
pub(crate) enum Sealing {
    /// It need not be.
    Open,
    /// By this key.
    Key(MacKey),
    /// By a stream only: the receiver has given no key yet.
    Stream,
}

impl Keys {
    /// # Errors
    /// The operating system gives no random bytes.
    pub(crate) fn new(security: Security, cluster: ClusterUuid) -> Result<Keys, ()> {
        Ok(match security {
            Security::Loopback => Keys::Loopback,
            Security::Secret { secret, .. } => Keys::Secret(secret.keys(cluster, PURPOSE)),
            Security::Certificate(tls) => {
                let root = MacKey::new(&random_bytes().map_err(|_| ())?);
                let (given, shown) = Default::default();
                Keys::Certificate { tls, root, given, shown }
            }
        })
    }

    pub(crate) fn method(&self) -> Proven {
        match self {
            Keys::Loopback => Proven::Loopback,
            Keys::Secret(_) => Proven::Secret,
            Keys::Certificate { .. } => Proven::Certificate,
        }
    }

    pub(crate) fn tls(&self) -> Option<&Arc<TlsIdentity>> {
        match self {
            Keys::Loopback | Keys::Secret(_) => None,
            Keys::Certificate { tls, .. } => Some(tls),
        }
    }

    /// How a message to `receiver` is proven.
    pub(crate) fn for_sending(&self, receiver: &Identity) -> Sealing {
        match self {
            Keys::Loopback => Sealing::Open,
            Keys::Secret(keys) => Sealing::Key(keys.proving()),
            Keys::Certificate { given, .. } => match given.lock().get(&receiver.node) {
                Some(GivenKey { life, key, expiry })
                    if *life == receiver.incarnation && is_good(*expiry) =>
                {
                    Sealing::Key(key.clone())
                }
                Some(_) | None => Sealing::Stream,
            },
        }
    }

    /// The keys of which a datagram of `sender` must be proven with one; `None` if it need not be.
    pub(crate) fn for_hearing(&self, sender: NodeId, life: NodeIncarnation) -> Option<Vec<MacKey>> {
        match self {
            Keys::Loopback => None,
            Keys::Secret(keys) => Some(keys.accepted()),
            Keys::Certificate { root, shown, .. } => {
                let shown = shown.lock().get(&sender).copied();
                let is_shown = shown.is_some_and(|(of, expiry)| of == life && is_good(expiry));
                let keys = is_shown.then(|| MacKey::new(&key_for(root, sender, life)));
                Some(keys.into_iter().collect())
            }
        }
    }

    /// The key for `sender`, which has shown its certificate; `None` if there are none.
    ///
    /// * `expiry`: of that certificate; the key is not good any longer.
    pub(crate) fn give(
        &self,
        sender: NodeId,
        life: NodeIncarnation,
        expiry: Option<CertificateExpiry>,
    ) -> Option<[u8; 32]> {
        let Keys::Certificate { root, shown, .. } = self else { return None };
        let mut shown = shown.lock();
        let older = shown.get(&sender).is_some_and(|(known, _)| *known > life);
        if !older {
            shown.insert(sender, (life, expiry));
        }
        Some(key_for(root, sender, life))
    }

    /// Keeps the key that another node has given.
    pub(crate) fn keep(&self, giver: NodeId, life: NodeIncarnation, key: &[u8; 32]) {
        if let Keys::Certificate { given, tls, .. } = self {
            let (key, expiry) = (MacKey::new(key), tls.expiry());
            given.lock().insert(giver, GivenKey { life, key, expiry });
        }
    }

    /// Forgets the keys of nodes that are not known any more.
    pub(crate) fn forget_others(&self, is_known: impl Fn(NodeId) -> bool) {
        if let Keys::Certificate { given, shown, .. } = self {
            given.lock().retain(|node, _| is_known(*node));
            let mut shown = shown.lock();
            // Who has just shown one is not known yet.
            if shown.len() > MEMBERS_MAX {
                shown.retain(|node, _| is_known(*node));
            }
        }
    }
}

fn key_for(root: &MacKey, node: NodeId, life: NodeIncarnation) -> [u8; 32] {
    root.mac(&[&node.0.to_be_bytes(), &life.0.to_be_bytes()])
}

fn is_good(expiry: Option<CertificateExpiry>) -> bool {
    expiry.is_none_or(|expiry| expiry.seconds_left() > 0)
}
