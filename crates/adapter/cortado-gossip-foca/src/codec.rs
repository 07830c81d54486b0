//! Foca's messages as bytes.
//!
//! A node is named by its key where that is enough, and with everything it tells where others learn
//! of it. Start reading at [`SwimCodec`]. Every byte is described in docs/formats/gossip.md.

use crate::awareness::Observed;
use crate::identity::{Identity, UNKNOWN};
use crate::limits::IDENTITY_BYTES_MAX;
use crate::told::{put_full, put_key, take_full, take_key};
use crate::wire_error::{GossipWireError, cut};
use bytes::{Buf, BufMut};
use cortado_model::{NodeId, NodeIncarnation};
use cortado_peer::MemberFacts;
use foca::{Codec, Header, Member, Message, State};
use parking_lot::Mutex;
use std::sync::Arc;

/// Reads and writes messages of one node, and observes what they say about it. Shared with who
/// owns foca, since foca keeps it to itself.
#[derive(Clone)]
pub(crate) struct SwimCodec(pub(crate) Arc<Mutex<CodecState>>);

pub(crate) struct CodecState {
    /// This node.
    pub(crate) own: Identity,
    /// Who has proven to have sent what is read.
    pub(crate) sender: (NodeId, NodeIncarnation),
    pub(crate) observed: Observed,
    /// Another process takes part under this node's name, and its life or its directory counts for
    /// more.
    pub(crate) is_superseded: bool,
}

impl Codec<Identity> for SwimCodec {
    type Error = GossipWireError;

    fn encode_header(
        &mut self,
        header: &Header<Identity>,
        mut out: impl BufMut,
    ) -> Result<(), GossipWireError> {
        self.0.lock().observed.sends(header);
        let mut bytes = Vec::with_capacity(IDENTITY_BYTES_MAX);
        put_full(&header.src, &mut bytes)?;
        bytes.put_u16(header.src_incarnation);
        put_key(&header.dst, &mut bytes);
        put_message(&header.message, &mut bytes);
        put_all(&bytes, &mut out)
    }

    fn decode_header(&mut self, mut from: impl Buf) -> Result<Header<Identity>, GossipWireError> {
        let mut state = self.0.lock();
        let src = take_full(&mut from)?;
        if (src.node, src.incarnation) != state.sender {
            return Err(GossipWireError::Disguised);
        }
        state.admit(&src)?;
        let src_incarnation = from.try_get_u16().map_err(cut)?;
        let dst = take_key(&mut from)?;
        let message = take_message(&mut from)?;
        // A node that is sought is whichever is found.
        let is_own = dst.is_sought() && (dst.node == state.own.node || dst.node == UNKNOWN);
        let dst = if is_own && message == Message::Announce { state.own.clone() } else { dst };
        let header = Header { src, src_incarnation, dst, message };
        state.observed.hears(&header);
        Ok(header)
    }

    fn encode_member(
        &mut self,
        member: &Member<Identity>,
        mut out: impl BufMut,
    ) -> Result<(), GossipWireError> {
        let mut bytes = Vec::with_capacity(IDENTITY_BYTES_MAX);
        put_full(member.id(), &mut bytes)?;
        bytes.put_u16(member.incarnation());
        bytes.put_u8(match member.state() {
            State::Alive => 0,
            State::Suspect => 1,
            State::Down => 2,
        });
        put_all(&bytes, &mut out)
    }

    fn decode_member(&mut self, mut from: impl Buf) -> Result<Member<Identity>, GossipWireError> {
        let identity = take_full(&mut from)?;
        self.0.lock().admit(&identity)?;
        let incarnation = from.try_get_u16().map_err(cut)?;
        let state = match from.try_get_u8().map_err(cut)? {
            0 => State::Alive,
            1 => State::Suspect,
            2 => State::Down,
            _ => return Err(GossipWireError::Invalid("state")),
        };
        Ok(Member::new(identity, incarnation, state))
    }
}

impl CodecState {
    /// Whether foca may hear of a member.
    fn admit(&mut self, member: &Identity) -> Result<(), GossipWireError> {
        let own = &self.own;
        let place = |identity: &Identity| {
            let told = identity.told.as_ref();
            (identity.incarnation, told.map(|told| told.facts.directory))
        };
        if member.node == own.node && place(member) > place(own) {
            self.is_superseded = true;
            return Err(GossipWireError::Superseded);
        }
        let has_room = self.observed.has_room_for(member.node);
        if has_room { Ok(()) } else { Err(GossipWireError::TooManyMembers) }
    }
}

/// All members as bytes, as far as there is room for them.
pub(crate) fn put_roll<'m>(
    codec: &mut SwimCodec,
    members: impl Iterator<Item = &'m Member<Identity>>,
    bytes_max: usize,
) -> Vec<u8> {
    let (mut out, mut count) = (vec![0; 2], 0_u16);
    for member in members {
        let before = out.len();
        let fits = codec.encode_member(member, &mut out).is_ok() && out.len() <= bytes_max;
        if !fits || count == u16::MAX {
            out.truncate(before);
            break;
        }
        count += 1;
    }
    out[..2].copy_from_slice(&count.to_be_bytes());
    out
}

/// Reads what [`put_roll`] has written.
///
/// # Errors
/// See [`GossipWireError`].
pub(crate) fn take_roll(
    codec: &mut SwimCodec,
    mut roll: &[u8],
) -> Result<Vec<Member<Identity>>, GossipWireError> {
    let count = (&mut roll).try_get_u16().map_err(cut)?;
    let members: Vec<_> =
        (0..count).map(|_| codec.decode_member(&mut roll)).collect::<Result<_, _>>()?;
    if roll.is_empty() { Ok(members) } else { Err(GossipWireError::Invalid("length")) }
}

/// The nodes of which a message tells, its sender first: for tools that listen.
///
/// # Errors
/// See [`GossipWireError`].
pub fn members_in(mut message: &[u8]) -> Result<Vec<MemberFacts>, GossipWireError> {
    let from = &mut message;
    let mut members = vec![take_full(from)?];
    from.try_get_u16().map_err(cut)?;
    take_key(from)?;
    take_message(from)?;
    if from.has_remaining() {
        for _ in 0..from.try_get_u16().map_err(cut)? {
            members.push(take_full(from)?);
            from.try_get_u16().map_err(cut)?;
            from.try_get_u8().map_err(cut)?;
        }
    }
    let told = members.into_iter().filter_map(|member| member.told);
    Ok(told.map(|told| told.facts.clone()).collect())
}

/// Writes all of it or nothing.
fn put_all(bytes: &[u8], out: &mut impl BufMut) -> Result<(), GossipWireError> {
    if out.remaining_mut() < bytes.len() {
        return Err(GossipWireError::NoRoom);
    }
    out.put_slice(bytes);
    Ok(())
}

fn put_message(message: &Message<Identity>, out: &mut Vec<u8>) {
    let mut with = |kind: u8, number: u8, of: Option<&Identity>| {
        out.put_u8(kind);
        out.put_u8(number);
        if let Some(identity) = of {
            put_key(identity, out);
        }
    };
    match message {
        Message::Ping(number) => with(0, *number, None),
        Message::Ack(number) => with(1, *number, None),
        Message::PingReq { target, probe_number } => with(2, *probe_number, Some(target)),
        Message::IndirectPing { origin, probe_number } => with(3, *probe_number, Some(origin)),
        Message::IndirectAck { target, probe_number } => with(4, *probe_number, Some(target)),
        Message::ForwardedAck { origin, probe_number } => with(5, *probe_number, Some(origin)),
        Message::Announce => with(6, 0, None),
        Message::Feed => with(7, 0, None),
        Message::Gossip => with(8, 0, None),
        Message::Broadcast => with(9, 0, None),
        Message::TurnUndead => with(10, 0, None),
    }
}

fn take_message(from: &mut impl Buf) -> Result<Message<Identity>, GossipWireError> {
    let kind = from.try_get_u8().map_err(cut)?;
    let probe_number = from.try_get_u8().map_err(cut)?;
    Ok(match kind {
        0 => Message::Ping(probe_number),
        1 => Message::Ack(probe_number),
        2 => Message::PingReq { target: take_key(from)?, probe_number },
        3 => Message::IndirectPing { origin: take_key(from)?, probe_number },
        4 => Message::IndirectAck { target: take_key(from)?, probe_number },
        5 => Message::ForwardedAck { origin: take_key(from)?, probe_number },
        6 => Message::Announce,
        7 => Message::Feed,
        8 => Message::Gossip,
        9 => Message::Broadcast,
        10 => Message::TurnUndead,
        _ => return Err(GossipWireError::Invalid("kind of message")),
    })
}

/// Whether a message asks for everything that is known: its answer may be large.
pub(crate) fn is_announce(mut payload: &[u8]) -> bool {
    let from = &mut payload;
    let message = take_full(from)
        .and_then(|_| from.try_get_u16().map_err(cut))
        .and_then(|_| take_key(from))
        .and_then(|_| take_message(from));
    message == Ok(Message::Announce)
}

#[cfg(test)]
mod tests;
