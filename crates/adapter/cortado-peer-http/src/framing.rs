//! Frames in the bodies of HTTP/2 streams: sent as fast as the other side takes them, and read up
//! to a bound.
//!
//! Start reading at [`send_frame`] and [`FrameReader`].

use crate::limits::{LONG_FRAMES_BYTES_MAX, SHORT_FRAME_BYTES, SHORT_FRAMES_BYTES_MAX};
use bytes::{Buf, Bytes, BytesMut};
use h2::{RecvStream, SendStream};
use std::future::poll_fn;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Sends `frame` in pieces, as the windows allow.
///
/// * `ends`: nothing follows.
///
/// # Errors
/// The stream was ended from the other side, or with its connection. If `ends`, the other side has
/// not got the whole frame then.
pub(crate) async fn send_frame(
    stream: &mut SendStream<Bytes>,
    mut frame: Bytes,
    ends: bool,
) -> Result<(), h2::Error> {
    while !frame.is_empty() {
        stream.reserve_capacity(frame.len());
        if stream.capacity() == 0 {
            match poll_fn(|cx| stream.poll_capacity(cx)).await {
                Some(capacity) => capacity?,
                None => return Err(h2::Reason::CANCEL.into()),
            };
            continue;
        }
        let piece = frame.split_to(stream.capacity().min(frame.len()));
        stream.send_data(piece, ends && frame.is_empty())?;
    }
    Ok(())
}

/// Why a body holds no frame.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FramingError {
    /// The stream was ended.
    #[error("the stream was ended")]
    Stream(#[from] h2::Error),
    /// It ends too early, or is longer than it says.
    #[error("the body is not as long as it says")]
    Length,
    /// More bytes than any frame has.
    #[error("a frame of {bytes} bytes, at most {bytes_max} are read")]
    TooLarge { bytes: usize, bytes_max: usize },
}

/// Takes frames out of a body.
pub(crate) struct FrameReader {
    stream: RecvStream,
    /// What has come and was not taken.
    buffer: BytesMut,
}

/// All of the room.
pub(crate) const ROOM_BYTES: usize = SHORT_FRAMES_BYTES_MAX + LONG_FRAMES_BYTES_MAX;

/// Bytes of frames that a node may be holding, whoever sent them.
pub(crate) struct Room {
    /// For short frames: they do not wait behind long ones for which there is no room.
    short: Arc<Semaphore>,
    long: Arc<Semaphore>,
}

impl Room {
    pub(crate) fn new() -> Room {
        Room {
            short: Arc::new(Semaphore::new(SHORT_FRAMES_BYTES_MAX)),
            long: Arc::new(Semaphore::new(LONG_FRAMES_BYTES_MAX)),
        }
    }

    /// Bytes that are taken.
    pub(crate) fn taken(&self) -> usize {
        ROOM_BYTES - self.short.available_permits() - self.long.available_permits()
    }

    /// Waits for room: until then the sender is held up by its stream's window.
    async fn reserve(&self, bytes: usize) -> OwnedSemaphorePermit {
        let room = if bytes <= SHORT_FRAME_BYTES { &self.short } else { &self.long };
        let bytes = u32::try_from(bytes).expect("frames are bounded");
        let acquired = Arc::clone(room).acquire_many_owned(bytes).await;
        acquired.expect("the semaphore is never closed")
    }
}

/// A frame, and its share of the room. Given back when it is dropped.
pub(crate) struct Incoming {
    pub(crate) frame: Bytes,
    _room: OwnedSemaphorePermit,
}

impl FrameReader {
    pub(crate) fn new(stream: RecvStream) -> FrameReader {
        FrameReader { stream, buffer: BytesMut::new() }
    }

    /// The whole rest of the body, which has `length` bytes.
    pub(crate) async fn whole(
        mut self,
        length: usize,
        room: &Room,
    ) -> Result<Incoming, FramingError> {
        let room = room.reserve(length).await;
        let frame = self.exactly(length).await?;
        if self.more().await? || !self.buffer.is_empty() {
            return Err(FramingError::Length);
        }
        Ok(Incoming { frame, _room: room })
    }

    /// The next frame behind its length of four bytes; `None` at the end of the body.
    pub(crate) async fn next(
        &mut self,
        bytes_max: usize,
        room: &Room,
    ) -> Result<Option<Incoming>, FramingError> {
        if self.buffer.is_empty() && !self.more().await? {
            return Ok(None);
        }
        let mut head = self.exactly(4).await?;
        let bytes = usize::try_from(head.get_u32_le()).map_err(|_| FramingError::Length)?;
        if bytes > bytes_max {
            return Err(FramingError::TooLarge { bytes, bytes_max });
        }
        let room = room.reserve(bytes).await;
        let frame = self.exactly(bytes).await?;
        Ok(Some(Incoming { frame, _room: room }))
    }

    async fn exactly(&mut self, length: usize) -> Result<Bytes, FramingError> {
        while self.buffer.len() < length {
            if !self.more().await? {
                return Err(FramingError::Length);
            }
        }
        Ok(self.buffer.split_to(length).freeze())
    }

    /// Waits for more bytes; `false` at the end of the body.
    async fn more(&mut self) -> Result<bool, FramingError> {
        while let Some(bytes) = self.stream.data().await {
            let bytes = bytes?;
            self.stream.flow_control().release_capacity(bytes.len())?;
            if !bytes.is_empty() {
                self.buffer.extend_from_slice(&bytes);
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Reads a body of at most `bytes_max` bytes.
///
/// # Errors
/// See [`FramingError`].
pub(crate) async fn read_body(
    mut stream: RecvStream,
    bytes_max: usize,
) -> Result<Bytes, FramingError> {
    let mut body = BytesMut::new();
    while let Some(bytes) = stream.data().await {
        let bytes = bytes?;
        stream.flow_control().release_capacity(bytes.len())?;
        if body.len() + bytes.len() > bytes_max {
            let bytes = body.len() + bytes.len();
            return Err(FramingError::TooLarge { bytes, bytes_max });
        }
        if body.is_empty() && stream.is_end_stream() {
            return Ok(bytes);
        }
        body.extend_from_slice(&bytes);
    }
    Ok(body.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::FRAME_BYTES_MAX;
    use std::pin::pin;
    use std::task::{Context, Waker};

    #[test]
    fn long_frames_for_which_there_is_no_room_hold_up_no_short_ones() {
        let room = Room::new();
        let reserve = |bytes: usize| {
            let mut reserved = pin!(room.reserve(bytes));
            match reserved.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                std::task::Poll::Ready(permit) => Some(permit),
                std::task::Poll::Pending => None,
            }
        };
        let mut long: Vec<_> = (0..16).map(|_| reserve(FRAME_BYTES_MAX)).collect();
        assert!(long.iter().all(Option::is_some), "so many as there is room for");
        assert!(reserve(FRAME_BYTES_MAX).is_none() && reserve(SHORT_FRAME_BYTES + 1).is_none());
        assert!(reserve(SHORT_FRAME_BYTES).is_some(), "a short one");
        long.pop();
        assert!(reserve(FRAME_BYTES_MAX).is_some(), "there is room again");
    }
}
