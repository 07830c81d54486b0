//! The handshake of a connection: who speaks, with whom, and the proof of it.
//!
//! Each part is a magic, a length and its fields; a later version adds fields behind them. Start
//! reading at [`Hello`]. Source: docs/formats/peer-wire.md, "Handshake".

use super::input::{Input, WireError};
use super::wire::Wire;
use bytes::{BufMut, Bytes, BytesMut};
use cortado_model::{ClusterUuid, NodeId, NodeIncarnation};

/// Begins every part of a handshake.
pub(crate) const MAGIC: [u8; 4] = *b"CtPr";
/// Magic and length.
pub(crate) const PREFIX_BYTES: usize = 4 + 2;
/// Bytes of one part behind its length.
pub(crate) const PART_BYTES_MAX: usize = 1_024;

/// How two nodes prove who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProofMethod {
    /// Not at all: both are on this machine.
    Loopback,
    /// Both know a secret.
    Secret,
    /// Each has a certificate.
    Certificate,
}

/// Random, and never used twice: makes the proofs of each connection its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nonce(pub [u8; 32]);

/// A MAC over the handshake, under a key that only nodes of the cluster have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandshakeProof(pub [u8; 32]);

/// What the connecting node says first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The oldest and the newest version of the protocol that it speaks.
    pub versions: (u8, u8),
    /// How it wants to prove who it is.
    pub method: ProofMethod,
    /// Its cluster.
    pub cluster: ClusterUuid,
    /// Who it is.
    pub node: NodeId,
    /// In which life.
    pub incarnation: NodeIncarnation,
    /// With whom it means to speak.
    pub wanted: NodeId,
    /// With which life of it; `None` if that is not known.
    pub wanted_life: Option<NodeIncarnation>,
    /// Its share of the proofs.
    pub nonce: Nonce,
}

/// The other side of it: what the called node says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// The version that both speak.
    pub version: u8,
    /// Who it is.
    pub node: NodeId,
    /// In which life.
    pub incarnation: NodeIncarnation,
    /// Its share of the proofs.
    pub nonce: Nonce,
}

/// What the called node says to a hello.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HelloReply {
    /// It is the node that is meant; with its proof, if the method has one.
    Welcome(Welcome, Option<HandshakeProof>),
    /// It does not speak with that node.
    Refused(RefusedPeer),
}

/// What the called node says to the other's proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HandshakeVerdict {
    /// The connection is open.
    Accepted,
    /// It is not.
    Refused(RefusedPeer),
}

/// Why a node refuses a connection. Nothing was done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefusedPeer {
    /// It belongs to another cluster.
    #[error("it belongs to cluster {}", ClusterUuid(*.cluster))]
    OtherCluster {
        /// To which.
        cluster: u128,
    },
    /// The two have no version in common.
    #[error("it speaks versions {oldest} to {newest} of the peer protocol: upgrade the older node")]
    OtherVersions {
        /// The oldest that it speaks.
        oldest: u8,
        /// The newest that it speaks.
        newest: u8,
    },
    /// It wants another kind of proof.
    #[error("it expects {0}: give all nodes the same peer security settings")]
    OtherMethod(ProofMethod),
    /// It is another node.
    #[error("it is node {0}")]
    OtherNode(NodeId),
    /// It is in another life than the one that is meant.
    #[error("it is in incarnation {0}")]
    OtherLife(NodeIncarnation),
    /// The proof is wrong.
    #[error("the shared secrets differ: compare the nodes' peer_secret_file")]
    NotProven,
    /// The certificate does not name the node.
    #[error("the certificate does not name {name}: issue one with that DNS name")]
    NotNamed {
        /// The name that was looked for.
        name: String,
    },
    /// It has too many connections.
    #[error("it has too many connections")]
    TooMany,
    /// It ends.
    #[error("it is ending")]
    Ending,
    /// The handshake could not be read.
    #[error("it could not read the handshake")]
    Unreadable,
}

wire_newtype!(ClusterUuid);

wire_struct! {
    Hello { versions, method, cluster, node, incarnation, wanted, wanted_life, nonce }
    Welcome { version, node, incarnation, nonce }
}

wire_enum!(ProofMethod { 0 => Loopback, 1 => Secret, 2 => Certificate });

wire_enum!(HelloReply { 0 => Welcome(welcome, proof), 1 => Refused(why) });

wire_enum!(HandshakeVerdict { 0 => Accepted, 1 => Refused(why) });

wire_enum!(RefusedPeer {
    0 => OtherCluster { cluster }, 1 => OtherVersions { oldest, newest }, 2 => OtherMethod(method),
    3 => OtherNode(node), 4 => OtherLife(incarnation), 5 => NotProven, 6 => NotNamed { name },
    7 => TooMany, 8 => Ending, 9 => Unreadable,
});

impl Wire for Nonce {
    fn put(&self, out: &mut BytesMut) {
        out.put_slice(&self.0);
    }

    fn take(input: &mut Input) -> Result<Nonce, WireError> {
        input.array().map(Nonce)
    }
}

impl Wire for HandshakeProof {
    fn put(&self, out: &mut BytesMut) {
        out.put_slice(&self.0);
    }

    fn take(input: &mut Input) -> Result<HandshakeProof, WireError> {
        input.array().map(HandshakeProof)
    }
}

impl std::fmt::Display for ProofMethod {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            ProofMethod::Loopback => "no proof, on its own machine only",
            ProofMethod::Secret => "a shared secret (peer_secret_file)",
            ProofMethod::Certificate => "certificates (peer_certificate_file)",
        })
    }
}

/// A part of a handshake: one of the types of this file.
pub trait HandshakePart: Sized {
    /// Its fields.
    fn to_fields(&self) -> Bytes;

    /// Reads its fields; what a later version says behind them is passed over.
    ///
    /// # Errors
    /// See [`WireError`].
    fn from_fields(fields: Bytes) -> Result<Self, WireError>;
}

macro_rules! handshake_parts {
    ($($type:ty),+) => {$(
        impl HandshakePart for $type {
            fn to_fields(&self) -> Bytes {
                let mut out = BytesMut::new();
                self.put(&mut out);
                out.freeze()
            }

            fn from_fields(fields: Bytes) -> Result<$type, WireError> {
                Wire::take(&mut Input::new(fields))
            }
        }
    )+};
}

handshake_parts!(Hello, Welcome, HelloReply, Option<HandshakeProof>, HandshakeVerdict);
