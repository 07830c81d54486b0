//! Who a node is on its connections.

use crate::codec::ProofMethod;
use cortado_model::{ClusterUuid, NodeId, NodeIncarnation};
use cortado_peer_security::{SecretKeys, Security, TlsIdentity};
use std::net::SocketAddr;
use std::sync::Arc;

/// Of the key with which both sides make their proofs.
const PURPOSE: &str = "cortado peer proof 1";

/// Who speaks: one life of a node of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerIdentity {
    /// The cluster.
    pub cluster: ClusterUuid,
    /// The node.
    pub node: NodeId,
    /// The life.
    pub incarnation: NodeIncarnation,
}

/// Who speaks, and how it proves that.
#[derive(Clone)]
pub(crate) struct Speaker {
    pub(crate) me: PeerIdentity,
    pub(crate) prover: Prover,
    security: Security,
}

/// What a node proves with.
#[derive(Clone)]
pub(crate) enum Prover {
    Loopback,
    Secret(SecretKeys),
    Certificate(Arc<TlsIdentity>),
}

impl Speaker {
    pub(crate) fn new(me: PeerIdentity, security: Security) -> Speaker {
        let prover = match &security {
            Security::Loopback => Prover::Loopback,
            Security::Secret { secret, .. } => Prover::Secret(secret.keys(me.cluster, PURPOSE)),
            Security::Certificate(tls) => Prover::Certificate(Arc::clone(tls)),
        };
        Speaker { me, prover, security }
    }

    pub(crate) fn method(&self) -> ProofMethod {
        match self.prover {
            Prover::Loopback => ProofMethod::Loopback,
            Prover::Secret(_) => ProofMethod::Secret,
            Prover::Certificate(_) => ProofMethod::Certificate,
        }
    }

    /// Whether an address may be called.
    pub(crate) fn allows(&self, address: SocketAddr) -> bool {
        self.security.allows(address)
    }
}
