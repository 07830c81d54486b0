//! What stands around every message: from whom, for whom, how many so far, and the proof of it.
//!
//! Start reading at [`Envelope`]. Every byte is described in docs/formats/gossip.md.

use bytes::{Buf, BufMut};
use cortado_model::{ClusterUuid, NodeId, NodeIncarnation};
use cortado_peer_security::MacKey;

const MAGIC: [u8; 4] = *b"CtGs";
const VERSION: u8 = 1;
/// Magic, version, method, content, cluster, sender, receiver, count.
const HEAD_BYTES: usize = 4 + 1 + 1 + 1 + 8 + 12 + 12 + 8;
/// Bytes of a MAC.
pub(crate) const MAC_BYTES: usize = 32;

/// How an envelope is proven; a byte of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Proven {
    /// Not at all: both are on one machine.
    Loopback = 0,
    /// By a key that all nodes have.
    Secret = 1,
    /// By a key that the receiver gave to the sender, or by the stream that it came on.
    Certificate = 2,
}

/// What an envelope holds; a byte of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Content {
    /// A message of SWIM.
    Message = 0,
    /// All nodes that the sender knows.
    Roll = 1,
}

/// A message on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// How it is proven.
    method: u8,
    /// What it holds.
    content: u8,
    /// Who sends it.
    pub sender: NodeId,
    /// In which life.
    pub sender_life: NodeIncarnation,
    /// For whom it is; 0 if that is not known.
    pub receiver: NodeId,
    /// For which life; 0 if that is not known.
    pub receiver_life: NodeIncarnation,
    /// Counts what the sender's life has sent, from 1.
    pub count: u64,
    /// The message.
    pub payload: &'a [u8],
}

/// Why an envelope is not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// No node of the cluster sent it.
    #[error("not gossip of this cluster")]
    Foreign,
    /// Written by a newer Cortado, or one that proves in another way.
    #[error("gossip of version {version}, proven by method {method}")]
    Unknown {
        /// The version it names.
        version: u8,
        /// The method it names.
        method: u8,
    },
    /// The proof is wrong.
    #[error("the proof is wrong: compare the nodes' peer_secret_file or certificates")]
    NotProven,
    /// It is for another node, or another life of this one.
    #[error("for another node or another life")]
    NotMeant,
    /// It came before, or so much later than others that it might have.
    #[error("it came before")]
    Replayed,
}

impl<'a> Envelope<'a> {
    pub(crate) fn new(
        method: Proven,
        content: Content,
        from: (NodeId, NodeIncarnation),
        to: (NodeId, NodeIncarnation),
        count: u64,
        payload: &'a [u8],
    ) -> Envelope<'a> {
        let ((sender, sender_life), (receiver, receiver_life)) = (from, to);
        let (method, content) = (method as u8, content as u8);
        Envelope { method, content, sender, sender_life, receiver, receiver_life, count, payload }
    }

    /// The envelope as bytes, with a MAC if there is a key.
    pub(crate) fn seal(&self, cluster: ClusterUuid, key: Option<&MacKey>) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEAD_BYTES + self.payload.len() + MAC_BYTES);
        out.put_slice(&MAGIC);
        out.put_u8(VERSION);
        out.put_u8(self.method);
        out.put_u8(self.content);
        out.put_u64(cluster.tag());
        out.put_u32(self.sender.0);
        out.put_u64(self.sender_life.0);
        out.put_u32(self.receiver.0);
        out.put_u64(self.receiver_life.0);
        out.put_u64(self.count);
        out.put_slice(self.payload);
        let mac = key.map_or([0; MAC_BYTES], |key| key.mac(&[&out]));
        out.put_slice(&mac);
        out
    }

    /// Reads an envelope of `cluster`, whose proof is still to be looked at.
    ///
    /// # Errors
    /// `Foreign`, `Unknown`.
    pub fn read(bytes: &'a [u8], cluster: ClusterUuid) -> Result<Envelope<'a>, EnvelopeError> {
        if bytes.len() < HEAD_BYTES + MAC_BYTES || bytes[..4] != MAGIC {
            return Err(EnvelopeError::Foreign);
        }
        let [version, method, content] = [bytes[4], bytes[5], bytes[6]];
        let mut head = &bytes[7..HEAD_BYTES];
        if head.get_u64() != cluster.tag() {
            return Err(EnvelopeError::Foreign);
        }
        if version != VERSION {
            return Err(EnvelopeError::Unknown { version, method });
        }
        Ok(Envelope {
            method,
            content,
            sender: NodeId(head.get_u32()),
            sender_life: NodeIncarnation(head.get_u64()),
            receiver: NodeId(head.get_u32()),
            receiver_life: NodeIncarnation(head.get_u64()),
            count: head.get_u64(),
            payload: &bytes[HEAD_BYTES..bytes.len() - MAC_BYTES],
        })
    }

    /// # Errors
    /// `Unknown` if it is proven in another way than `method`.
    pub(crate) fn check_method(&self, method: Proven) -> Result<(), EnvelopeError> {
        let unknown = EnvelopeError::Unknown { version: VERSION, method: self.method };
        if self.method == method as u8 { Ok(()) } else { Err(unknown) }
    }

    /// # Errors
    /// `NotMeant` unless it is for that life of that node, as far as its sender knew.
    pub(crate) fn check_receiver(
        &self,
        node: NodeId,
        life: NodeIncarnation,
    ) -> Result<(), EnvelopeError> {
        let is_node = self.receiver == node || self.receiver == NodeId(0);
        let is_life = self.receiver_life == life || self.receiver_life == NodeIncarnation(0);
        let is_own = self.sender == node || self.sender == NodeId(0);
        if is_node && is_life && !is_own { Ok(()) } else { Err(EnvelopeError::NotMeant) }
    }

    /// What it holds; `None` for what a later version sends.
    pub(crate) fn content(&self) -> Option<Content> {
        match self.content {
            0 => Some(Content::Message),
            1 => Some(Content::Roll),
            _ => None,
        }
    }

    /// Whether the sender knew for which life it is.
    pub(crate) fn knows_receiver(&self) -> bool {
        self.receiver_life != NodeIncarnation(0)
    }
}

/// Whether the MAC at the end of an envelope's bytes is the one of `key`.
pub(crate) fn is_sealed_by(bytes: &[u8], key: &MacKey) -> bool {
    let Some((sealed, mac)) = bytes.split_last_chunk::<MAC_BYTES>() else { return false };
    key.is_mac(&[sealed], mac)
}
