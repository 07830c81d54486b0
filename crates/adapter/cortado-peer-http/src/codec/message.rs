//! Messages, which have no reply.
//!
//! Start reading at [`encode_message`].

use super::frame::{begin, open, seal};
use super::input::{Input, WireError};
use super::wire::Wire;
use bytes::{BufMut, Bytes, BytesMut};
use cortado_peer::{Message, Progress, Reach};

/// The kind of every message's frame.
const MESSAGE: u8 = 0x40;
/// Room for a small message without growing.
const CAPACITY: usize = 128;

wire_enum!(Message {
    0 => Progress(progress), 1 => Digest { partition, report }, 2 => Condemned { partition, why },
    3 => Claim { partition }, 4 => LogGrew { partition, end },
    5 => Reach(reach), 6 => Resolve { partition, resolution },
});

wire_struct!(Reach { by, failed, served });

wire_struct!(Progress {
    node,
    incarnation,
    wall,
    fit,
    reaches_log,
    unreached,
    number,
    heard,
    complete,
    replicas
});

/// The message as a frame.
pub fn encode_message(message: &Message) -> Bytes {
    let mut out = begin(MESSAGE, CAPACITY);
    message.put(&mut out);
    seal(out)
}

/// Reads a frame.
///
/// # Errors
/// See [`WireError`].
pub fn decode_message(frame: Bytes) -> Result<Message, WireError> {
    let (kind, mut input) = open(frame)?;
    if kind != MESSAGE {
        return Err(WireError::UnknownKind { kind });
    }
    let message = Message::take(&mut input)?;
    input.finish()?;
    Ok(message)
}
