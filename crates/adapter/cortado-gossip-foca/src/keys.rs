//! The keys with which datagrams are proven.
//!
//! TLS is for streams. Where nodes have certificates, a node gives each other one a key for its
//! datagrams, over a stream on which both have shown them. Start reading at [`Keys::for_sending`].

use crate::envelope::Proven;
use crate::identity::Identity;
use cortado_model::{ClusterUuid, NodeId, NodeIncarnation};
use cortado_peer_security::{MacKey, Security, TlsIdentity, random_bytes};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Of the key that all nodes make of their secret.
const PURPOSE: &str = "cortado gossip 1";

/// What this node proves with.
pub(crate) enum Keys {
    Loopback,
    Secret(MacKey),
    Certificate {
        tls: Arc<TlsIdentity>,
        /// Of all keys that this life gives to others: nothing need be kept of them.
        root: MacKey,
        /// Those that others gave to this one, each for one life of theirs.
        given: Mutex<BTreeMap<NodeId, (NodeIncarnation, MacKey)>>,
    },
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
            Security::Secret { secret, .. } => Keys::Secret(secret.key(cluster, PURPOSE)),
            Security::Certificate(tls) => {
                let root = MacKey::new(&random_bytes().map_err(|_| ())?);
                Keys::Certificate { tls, root, given: Mutex::default() }
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
            Keys::Secret(key) => Sealing::Key(key.clone()),
            Keys::Certificate { given, .. } => match given.lock().get(&receiver.node) {
                Some((life, key)) if *life == receiver.incarnation => Sealing::Key(key.clone()),
                Some(_) | None => Sealing::Stream,
            },
        }
    }

    /// The key that a datagram of `sender` must be proven with; `None` if it need not be.
    pub(crate) fn for_hearing(&self, sender: NodeId, life: NodeIncarnation) -> Option<MacKey> {
        match self {
            Keys::Loopback => None,
            Keys::Secret(key) => Some(key.clone()),
            Keys::Certificate { .. } => self.for_giving(sender, life).map(|key| MacKey::new(&key)),
        }
    }

    /// The key for `sender`, which has shown its certificate; `None` if there are none.
    pub(crate) fn for_giving(&self, sender: NodeId, life: NodeIncarnation) -> Option<[u8; 32]> {
        let Keys::Certificate { root, .. } = self else { return None };
        Some(root.mac(&[&sender.0.to_be_bytes(), &life.0.to_be_bytes()]))
    }

    /// Keeps the key that another node has given.
    pub(crate) fn keep(&self, giver: NodeId, life: NodeIncarnation, key: &[u8; 32]) {
        if let Keys::Certificate { given, .. } = self {
            given.lock().insert(giver, (life, MacKey::new(key)));
        }
    }

    /// Forgets the keys of nodes that are not known any more.
    pub(crate) fn forget_others(&self, is_known: impl Fn(NodeId) -> bool) {
        if let Keys::Certificate { given, .. } = self {
            given.lock().retain(|node, _| is_known(*node));
        }
    }
}
