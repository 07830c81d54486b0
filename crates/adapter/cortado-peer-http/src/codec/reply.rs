//! Replies: what became of a call.
//!
//! Start reading at [`WireReply`].

use super::call::WireCall;
use super::frame::{begin, open, seal};
use super::input::{Input, WireError};
use super::wire::Wire;
use bytes::{BufMut, Bytes, BytesMut};
use cortado_driver::PeerStanding;
use cortado_peer::{
    CallError, ChangeReplicasAnswer, DocumentPage, HandOffAnswer, Holding, Holdings, NodeReport,
    ReadAnswer, ReplicaReport, Seen, ServedRole, Sight, SnapshotAnswer, SnapshotChunk, Unserved,
    VerifyAnswer, WriteAnswer,
};

/// Room for a small reply without growing.
const CAPACITY: usize = 512;

/// What the asked node says to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WireReply {
    /// The answer.
    Answer(WireAnswer),
    /// What the node itself says of the call.
    Failed(CallError),
    /// The call was not put to the node: certainly nothing was done.
    Refused(RefusedCall),
}

/// An answer to each kind of call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WireAnswer {
    /// To a write.
    Write(WriteAnswer),
    /// To a read.
    Read(ReadAnswer),
    /// To an order to hand over.
    HandOff(HandOffAnswer),
    /// To an order to verify.
    Verify(VerifyAnswer),
    /// How the node is.
    Report(NodeReport),
    /// How its replica stands.
    Standing(Option<PeerStanding>),
    /// Whether a snapshot has begun.
    OpenSnapshot(SnapshotAnswer),
    /// A chunk.
    SnapshotChunk(SnapshotChunk),
    /// To an order to change the replica set.
    ChangeReplicas(ChangeReplicasAnswer),
    /// What the node holds.
    Holdings(Holdings),
}

/// Why a call was not put to the node that was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefusedCall {
    /// Its frame could not be read: most likely a newer Cortado wrote it.
    #[error("the asked node could not read the call: {why}")]
    Unreadable {
        /// What the asked node found.
        why: String,
    },
    /// It is larger than any call.
    #[error("the call has {bytes} bytes, at most {bytes_max} are read")]
    TooLarge {
        /// How many it has.
        bytes: u64,
        /// The limit.
        bytes_max: u64,
    },
    /// Its deadline had passed when it came.
    #[error("the call came after its deadline")]
    Late,
    /// The node ends.
    #[error("the asked node is ending")]
    Ending,
}

wire_enum!(RefusedCall {
    0 => Unreadable { why }, 1 => TooLarge { bytes, bytes_max }, 2 => Late, 3 => Ending,
});

wire_enum!(CallError { 0 => Unreachable, 1 => Lost, 2 => Late });

wire_enum!(WriteAnswer {
    0 => Written(written), 1 => Each(outcomes), 2 => Refused(refused), 3 => NotDone(why),
    4 => WrongNode(leader), 5 => NoSuchDatabase, 6 => NoRoom, 7 => Late, 8 => Unknown(why),
    9 => UnknownLate, 10 => LogDrift,
});

wire_enum!(ReadAnswer {
    0 => Seen(sight), 1 => WrongNode(leader), 2 => Behind, 3 => Unserved(why), 4 => NoSuchDatabase,
    5 => Store(error),
});

wire_enum!(Seen {
    0 => Document(document), 1 => Documents(documents), 2 => Page(page), 3 => Position(scn),
    4 => History { fold, end },
});

wire_enum!(ServedRole { 0 => Leader, 1 => Follower });

wire_enum!(Unserved {
    0 => NoLeader, 1 => NotCaughtUp, 2 => NoReplica, 3 => SessionAhead, 4 => Overloaded,
    5 => NoRoom, 6 => StoreLate,
});

wire_enum!(HandOffAnswer {
    0 => SteppedDown(node), 1 => Leads, 2 => WrongNode(leader), 3 => NoSuccessor,
    4 => NotDone(why), 5 => Unknown,
});

wire_enum!(VerifyAnswer { 0 => Begun, 1 => WrongNode(leader) });

wire_enum!(SnapshotAnswer { 0 => Opened(snapshot), 1 => NotReadable, 2 => Busy });

wire_enum!(SnapshotChunk { 0 => Chunk(bytes), 1 => End, 2 => Gone });

wire_enum!(ChangeReplicasAnswer {
    0 => Taken, 1 => WrongNode(leader), 2 => Outdated, 3 => Overloaded,
});

wire_struct! {
    Holdings { cluster_scn, away, replicas }
    Holding { progress, end, replica_set, bytes, copied_bytes }
    Sight { seen, applied, role }
    DocumentPage { documents, next }
    NodeReport { incarnation, address, sick, fit, replicas }
    ReplicaReport { progress, end, behind_ms, unverified, feature_level }
}

impl WireAnswer {
    /// Whether it is an answer to a call of that kind.
    pub(crate) fn answers(&self, call: &WireCall) -> bool {
        self.kind() == call.kind()
    }

    /// The kind of the call that it answers.
    fn kind(&self) -> u8 {
        match self {
            WireAnswer::Write(_) => 1,
            WireAnswer::Read(_) => 2,
            WireAnswer::HandOff(_) => 3,
            WireAnswer::Verify(_) => 4,
            WireAnswer::Report(_) => 5,
            WireAnswer::Standing(_) => 6,
            WireAnswer::OpenSnapshot(_) => 7,
            WireAnswer::SnapshotChunk(_) => 8,
            WireAnswer::ChangeReplicas(_) => 9,
            WireAnswer::Holdings(_) => 10,
        }
    }

    fn put(&self, out: &mut BytesMut) {
        match self {
            WireAnswer::Write(answer) => answer.put(out),
            WireAnswer::Read(answer) => answer.put(out),
            WireAnswer::HandOff(answer) => answer.put(out),
            WireAnswer::Verify(answer) => answer.put(out),
            WireAnswer::Report(report) => report.put(out),
            WireAnswer::Standing(standing) => standing.put(out),
            WireAnswer::OpenSnapshot(answer) => answer.put(out),
            WireAnswer::SnapshotChunk(chunk) => chunk.put(out),
            WireAnswer::ChangeReplicas(answer) => answer.put(out),
            WireAnswer::Holdings(holdings) => holdings.put(out),
        }
    }

    fn take(kind: u8, input: &mut Input) -> Result<WireAnswer, WireError> {
        Ok(match kind {
            1 => WireAnswer::Write(Wire::take(input)?),
            2 => WireAnswer::Read(Wire::take(input)?),
            3 => WireAnswer::HandOff(Wire::take(input)?),
            4 => WireAnswer::Verify(Wire::take(input)?),
            5 => WireAnswer::Report(Wire::take(input)?),
            6 => WireAnswer::Standing(Wire::take(input)?),
            7 => WireAnswer::OpenSnapshot(Wire::take(input)?),
            8 => WireAnswer::SnapshotChunk(Wire::take(input)?),
            9 => WireAnswer::ChangeReplicas(Wire::take(input)?),
            10 => WireAnswer::Holdings(Wire::take(input)?),
            kind => return Err(WireError::UnknownKind { kind }),
        })
    }
}

/// The kind of a reply that holds no answer: it stands for a call of any kind.
const NO_ANSWER: u8 = 0;

impl WireReply {
    /// The reply as a frame.
    pub fn encode(&self) -> Bytes {
        match self {
            WireReply::Answer(answer) => {
                let mut out = begin(answer.kind(), CAPACITY);
                answer.put(&mut out);
                seal(out)
            }
            WireReply::Failed(error) => {
                let mut out = begin(NO_ANSWER, CAPACITY);
                out.put_u8(0);
                error.put(&mut out);
                seal(out)
            }
            WireReply::Refused(why) => {
                let mut out = begin(NO_ANSWER, CAPACITY);
                out.put_u8(1);
                why.put(&mut out);
                seal(out)
            }
        }
    }

    /// Reads a frame.
    ///
    /// # Errors
    /// See [`WireError`].
    pub fn decode(frame: Bytes) -> Result<WireReply, WireError> {
        let (kind, mut input) = open(frame)?;
        let reply = if kind == NO_ANSWER {
            match input.byte()? {
                0 => WireReply::Failed(Wire::take(&mut input)?),
                1 => WireReply::Refused(Wire::take(&mut input)?),
                tag => return Err(WireError::UnknownVariant { what: "reply", tag }),
            }
        } else {
            WireReply::Answer(WireAnswer::take(kind, &mut input)?)
        };
        input.finish()?;
        Ok(reply)
    }
}
