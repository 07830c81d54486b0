//! Fold states as bytes. Every byte is described in docs/formats/checkpoint.md.

use super::{Claimant, FoldState};
use crate::record::{ChainHash, DecodeError, Genesis, StepDown, packed, unpacked};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use cortado_model::{ClusterUuid, DatabaseId, LogOffset, NodeId, PartitionUuid, Scn, WallMillis};

const VERSION: u8 = 1;

const BEGUN: u8 = 1;
const HAS_CLAIMANT: u8 = 2;
const STEPPED_DOWN: u8 = 4;
const HAS_SUCCESSOR: u8 = 8;

impl FoldState {
    /// Writes the state as stored in checkpoints, bookmarks and snapshots.
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(160);
        out.put_u32_le(0);
        out.put_u8(VERSION);
        out.put_u8(self.flags());
        out.put_u16_le(0);
        out.put_u128_le(self.genesis.partition.0);
        out.put_u128_le(self.genesis.cluster.0);
        out.put_u32_le(self.genesis.database.0);
        out.put_u32_le(self.genesis.number);
        out.put_u64_le(self.last.to_u64());
        out.put_u128_le(self.chain.0);
        out.put_u64_le(self.next_offset.0);
        out.put_u64_le(self.time.0);
        out.put_u64_le(self.trimmed_below.0);
        if let Some(claimant) = &self.claimant {
            out.put_u32_le(claimant.node.0);
            out.put_u64_le(packed(claimant.incarnation));
            out.put_u32_le(claimant.address.len() as u32);
            out.put_slice(claimant.address.as_bytes());
        }
        if let Some(StepDown { to: Some(node) }) = self.stepped_down {
            out.put_u32_le(node.0);
        }
        let crc = crc32c::crc32c(&out[4..]);
        out[..4].copy_from_slice(&crc.to_le_bytes());
        out.freeze()
    }

    /// Reads what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// The bytes are damaged, or of a newer version.
    pub fn decode(bytes: &[u8]) -> Result<FoldState, DecodeError> {
        let mut input = bytes;
        let crc = input.try_get_u32_le().map_err(|_| ENDS_EARLY)?;
        if crc != crc32c::crc32c(input) {
            return Err(DecodeError::Damaged("checksum of a fold state differs"));
        }
        let state = read(&mut input)?;
        if input.has_remaining() {
            return Err(DecodeError::Damaged("bytes behind a fold state"));
        }
        Ok(state)
    }

    fn flags(&self) -> u8 {
        let flag = |set: bool, flag: u8| if set { flag } else { 0 };
        flag(self.begun, BEGUN)
            | flag(self.claimant.is_some(), HAS_CLAIMANT)
            | flag(self.stepped_down.is_some(), STEPPED_DOWN)
            | flag(matches!(self.stepped_down, Some(StepDown { to: Some(_) })), HAS_SUCCESSOR)
    }
}

const ENDS_EARLY: DecodeError = DecodeError::Damaged("a fold state ends early");

fn read(input: &mut &[u8]) -> Result<FoldState, DecodeError> {
    let version = input.try_get_u8().map_err(|_| ENDS_EARLY)?;
    if version != VERSION {
        return Err(DecodeError::UnknownVersion { version });
    }
    // The fixed part: flags, reserved, genesis, last, chain, offsets and time.
    if input.remaining() < 3 + 40 + 8 + 16 + 24 {
        return Err(ENDS_EARLY);
    }
    let flags = input.get_u8();
    if input.get_u16_le() != 0 || flags > 15 {
        return Err(DecodeError::Damaged("a fold state uses reserved bits"));
    }
    let genesis = Genesis {
        partition: PartitionUuid(input.get_u128_le()),
        cluster: ClusterUuid(input.get_u128_le()),
        database: DatabaseId(input.get_u32_le()),
        number: input.get_u32_le(),
    };
    let last = Scn::from_u64(input.get_u64_le())
        .ok_or(DecodeError::Damaged("an SCN has its top bit set"))?;
    let mut state = FoldState {
        begun: flags & BEGUN != 0,
        last,
        chain: ChainHash(input.get_u128_le()),
        next_offset: LogOffset(input.get_u64_le()),
        time: WallMillis(input.get_u64_le()),
        trimmed_below: LogOffset(input.get_u64_le()),
        ..FoldState::before(genesis)
    };
    if flags & HAS_CLAIMANT != 0 {
        state.claimant = Some(read_claimant(input)?);
    }
    if flags & STEPPED_DOWN != 0 {
        let to = match flags & HAS_SUCCESSOR != 0 {
            true => Some(NodeId(input.try_get_u32_le().map_err(|_| ENDS_EARLY)?)),
            false => None,
        };
        state.stepped_down = Some(StepDown { to });
    }
    Ok(state)
}

fn read_claimant(input: &mut &[u8]) -> Result<Claimant, DecodeError> {
    let node = NodeId(input.try_get_u32_le().map_err(|_| ENDS_EARLY)?);
    let incarnation = unpacked(input.try_get_u64_le().map_err(|_| ENDS_EARLY)?);
    let len = input.try_get_u32_le().map_err(|_| ENDS_EARLY)? as usize;
    let (address, rest) = input.split_at_checked(len).ok_or(ENDS_EARLY)?;
    *input = rest;
    let address = std::str::from_utf8(address)
        .map_err(|_| DecodeError::Damaged("an address is not UTF-8"))?;
    Ok(Claimant { node, incarnation, address: address.to_owned() })
}
