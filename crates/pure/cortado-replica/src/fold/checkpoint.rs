//! Fold states as bytes: tagged sections, so that a newer build can add to them.
//!
//! Every byte is described in docs/formats/checkpoint.md. Start reading at [`FoldState::encode`].

use super::{Claimant, FoldState, Gap, Leases};
use crate::record::{
    ChainHash, DecodeError, Genesis, Need, ReplicaSet, StepDown, Trim, get, get_bytes,
    get_feature_level, get_genesis, get_history_point, get_node, get_option, get_replicas, get_scn,
    get_trim, put_bytes, put_genesis, put_history_point, put_option, put_replicas, put_sized,
    put_trim,
};
use alloc::vec::Vec;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use cortado_model::{
    LogId, LogOffset, LogPosition, NodeIncarnation, ReplicaIncarnation, Scn, WallMillis,
};

const VERSION: u8 = 2;

/// The bit of a section's tag that says: who does not know this section must not fold on.
const CRITICAL: u16 = 0x8000;

const GENESIS: u16 = CRITICAL | 1;
const HISTORY: u16 = CRITICAL | 2;
const POSITION: u16 = CRITICAL | 3;
const CLAIMANT: u16 = CRITICAL | 4;
const STEP_DOWN: u16 = CRITICAL | 5;
const REPLICAS: u16 = CRITICAL | 6;
const LEASES: u16 = CRITICAL | 7;
const FEATURE_LEVEL: u16 = CRITICAL | 8;
const GAP: u16 = CRITICAL | 9;
const TRIM: u16 = 10;
const INDEXES: u16 = 11;

impl FoldState {
    /// Writes the state as stored in checkpoints, bookmarks and snapshots.
    pub fn encode(&self) -> Bytes {
        assert!(self.dispute.is_none(), "apply: what is in dispute is not stored");
        let mut writer = SectionWriter::new(&self.unknown);
        writer.put(GENESIS, |out| {
            out.put_u8(self.begun.into());
            put_genesis(out, &self.genesis);
        });
        writer.put(HISTORY, |out| {
            put_history_point(out, &self.history());
            out.put_u64_le(self.time.0);
        });
        writer.put(POSITION, |out| {
            out.put_u128_le(self.log.0);
            out.put_u64_le(self.position.offset.0);
            out.put_u32_le(self.position.epoch);
        });
        writer.put_some(CLAIMANT, self.claimant.as_ref(), put_claimant);
        writer.put_some(STEP_DOWN, self.stepped_down.as_ref(), |out, step_down| {
            put_option(out, step_down.to.as_ref(), |out, node| out.put_u32_le(node.0));
        });
        writer.put(REPLICAS, |out| put_replicas(out, &self.replicas));
        writer.put(LEASES, |out| {
            out.put_u32_le(self.leases.duration_ms);
            out.put_u32_le(self.leases.longest_ms);
            out.put_u8(self.leases.served.into());
        });
        writer.put(FEATURE_LEVEL, |out| out.put_u16_le(self.feature_level));
        writer.put_some(GAP, self.gap.as_ref(), |out, gap| {
            out.put_u64_le(gap.since.to_u64());
            out.put_u64_le(gap.noticed.0);
        });
        writer.put_some(TRIM, self.trim.as_ref(), put_trim);
        let indexes = Some(&self.indexes).filter(|indexes| !indexes.is_empty());
        writer.put_some(INDEXES, indexes, |out, indexes| out.put_slice(indexes));
        writer.finish()
    }

    /// Reads what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// The bytes are damaged, or a newer build's that this one must not fold on from.
    pub fn decode(bytes: &[u8]) -> Result<FoldState, DecodeError> {
        let mut input = Bytes::copy_from_slice(bytes);
        let crc = get(&mut input, Bytes::try_get_u32_le)?;
        if crc != crc32c::crc32c(&input) {
            return Err(DecodeError::Damaged("checksum of a fold state differs"));
        }
        let version = get(&mut input, Bytes::try_get_u8)?;
        if version != VERSION {
            return Err(Need::CheckpointVersion(version).into());
        }
        let reserved = get(&mut input, |input| input.try_get_uint_le(3))?;
        if reserved != 0 {
            return Err(DecodeError::Damaged("a fold state uses reserved bytes"));
        }
        let mut sections = Sections::default();
        let mut previous = None;
        while input.has_remaining() {
            let tag = get(&mut input, Bytes::try_get_u16_le)?;
            if previous.replace(order(tag)).is_some_and(|previous| previous >= order(tag)) {
                return Err(DecodeError::Damaged("sections of a fold state are out of order"));
            }
            let mut section = get_bytes(&mut input)?;
            sections.read(tag, &mut section)?;
            if section.has_remaining() {
                return Err(DecodeError::Damaged("bytes behind a section of a fold state"));
            }
        }
        sections.whole().ok_or(DecodeError::Damaged("a fold state lacks a section"))
    }
}

/// Writes sections in the order of their numbers, those of a newer build among them.
struct SectionWriter<'a> {
    out: BytesMut,
    unknown: &'a [(u16, Bytes)],
}

impl<'a> SectionWriter<'a> {
    fn new(unknown: &'a [(u16, Bytes)]) -> SectionWriter<'a> {
        let mut out = BytesMut::with_capacity(384);
        out.put_u32_le(0);
        out.put_u8(VERSION);
        out.put_bytes(0, 3);
        SectionWriter { out, unknown }
    }

    fn put(&mut self, tag: u16, section: impl FnOnce(&mut BytesMut)) {
        self.put_unknown_below(order(tag));
        self.out.put_u16_le(tag);
        put_sized(&mut self.out, section);
    }

    fn put_some<T>(
        &mut self,
        tag: u16,
        value: Option<&T>,
        section: impl FnOnce(&mut BytesMut, &T),
    ) {
        if let Some(value) = value {
            self.put(tag, |out| section(out, value));
        }
    }

    fn put_unknown_below(&mut self, number: u16) {
        while let [(tag, section), rest @ ..] = self.unknown
            && order(*tag) < number
        {
            self.out.put_u16_le(*tag);
            put_bytes(&mut self.out, section);
            self.unknown = rest;
        }
    }

    fn finish(mut self) -> Bytes {
        self.put_unknown_below(u16::MAX);
        let crc = crc32c::crc32c(&self.out[4..]);
        self.out[..4].copy_from_slice(&crc.to_le_bytes());
        self.out.freeze()
    }
}

/// Sections sort by their number, critical or not.
fn order(tag: u16) -> u16 {
    tag & !CRITICAL
}

/// What has been read of a fold state so far.
#[derive(Default)]
struct Sections {
    genesis: Option<(bool, Genesis)>,
    history: Option<(Scn, ChainHash, WallMillis)>,
    position: Option<(LogId, LogPosition)>,
    claimant: Option<Claimant>,
    stepped_down: Option<StepDown>,
    replicas: Option<ReplicaSet>,
    leases: Option<Leases>,
    feature_level: Option<u16>,
    gap: Option<Gap>,
    trim: Option<Trim>,
    indexes: Bytes,
    unknown: Vec<(u16, Bytes)>,
}

impl Sections {
    fn read(&mut self, tag: u16, input: &mut Bytes) -> Result<(), DecodeError> {
        match tag {
            GENESIS => self.genesis = Some((get_flag(input)?, get_genesis(input)?)),
            HISTORY => {
                let point = get_history_point(input)?;
                let time = WallMillis(get(input, Bytes::try_get_u64_le)?);
                self.history = Some((point.scn, point.chain, time));
            }
            POSITION => {
                let log = LogId(get(input, Bytes::try_get_u128_le)?);
                let offset = LogOffset(get(input, Bytes::try_get_u64_le)?);
                let epoch = get(input, Bytes::try_get_u32_le)?;
                self.position = Some((log, LogPosition { offset, epoch }));
            }
            CLAIMANT => self.claimant = Some(get_claimant(input)?),
            STEP_DOWN => {
                self.stepped_down = Some(StepDown { to: get_option(input, get_node)? });
            }
            REPLICAS => self.replicas = Some(get_replicas(input)?),
            LEASES => {
                self.leases = Some(Leases {
                    duration_ms: get(input, Bytes::try_get_u32_le)?,
                    longest_ms: get(input, Bytes::try_get_u32_le)?,
                    served: get_flag(input)?,
                });
            }
            FEATURE_LEVEL => self.feature_level = Some(get_feature_level(input)?),
            GAP => {
                let since = get_scn(input)?;
                let noticed = LogOffset(get(input, Bytes::try_get_u64_le)?);
                self.gap = Some(Gap { since, noticed });
            }
            TRIM => self.trim = Some(get_trim(input)?),
            INDEXES => self.indexes = input.split_to(input.len()),
            critical if critical & CRITICAL != 0 => {
                return Err(Need::Section(order(critical)).into());
            }
            unknown => self.unknown.push((unknown, input.split_to(input.len()))),
        }
        Ok(())
    }

    /// The state, if everything that always stands there has been read.
    fn whole(self) -> Option<FoldState> {
        let (begun, genesis) = self.genesis?;
        let (last, chain, time) = self.history?;
        let (log, position) = self.position?;
        Some(FoldState {
            genesis,
            begun,
            log,
            position,
            claimant: self.claimant,
            last,
            chain,
            time,
            stepped_down: self.stepped_down,
            trim: self.trim,
            replicas: self.replicas?,
            leases: self.leases?,
            feature_level: self.feature_level?,
            indexes: self.indexes,
            gap: self.gap,
            dispute: None,
            chosen: false,
            unknown: self.unknown,
        })
    }
}

fn put_claimant(out: &mut BytesMut, claimant: &Claimant) {
    out.put_u32_le(claimant.node.0);
    out.put_u64_le(claimant.incarnation.node.0);
    out.put_u32_le(claimant.incarnation.life);
    put_history_point(out, &claimant.over);
    out.put_u64_le(claimant.opened.to_u64());
}

fn get_claimant(input: &mut Bytes) -> Result<Claimant, DecodeError> {
    let node = get_node(input)?;
    let incarnation = ReplicaIncarnation {
        node: NodeIncarnation(get(input, Bytes::try_get_u64_le)?),
        life: get(input, Bytes::try_get_u32_le)?,
    };
    Ok(Claimant { node, incarnation, over: get_history_point(input)?, opened: get_scn(input)? })
}

fn get_flag(input: &mut Bytes) -> Result<bool, DecodeError> {
    Ok(get_option(input, |_| Ok(()))?.is_some())
}
