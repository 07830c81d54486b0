//! Messages that wait to be sent to one node. When there is no room, they are lost.
//!
//! Start reading at [`Letterbox::drop_in`].

use crate::limits::{FRAME_BYTES_MAX, MESSAGE_BYTES_MAX, MESSAGES_MAX};
use bytes::Bytes;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// Where messages are dropped in.
pub(crate) struct Letterbox {
    sender: mpsc::Sender<Outgoing>,
    room: Arc<Semaphore>,
    lost: AtomicU64,
}

/// Where they are taken out.
pub(crate) struct Outbox {
    receiver: mpsc::Receiver<Outgoing>,
}

/// One message, with its share of the room.
pub(crate) struct Outgoing {
    pub(crate) frame: Bytes,
    _room: OwnedSemaphorePermit,
}

/// An empty box, from both sides.
pub(crate) fn letterbox() -> (Letterbox, Outbox) {
    let (sender, receiver) = mpsc::channel(MESSAGES_MAX);
    let room = Arc::new(Semaphore::new(MESSAGE_BYTES_MAX));
    (Letterbox { sender, room, lost: AtomicU64::new(0) }, Outbox { receiver })
}

impl Letterbox {
    /// Keeps a message to be sent, if there is room.
    pub(crate) fn drop_in(&self, frame: Bytes) {
        let bytes = u32::try_from(frame.len().min(FRAME_BYTES_MAX + 1)).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room).try_acquire_many_owned(bytes);
        let fits = frame.len() <= FRAME_BYTES_MAX;
        let kept = match room {
            Ok(room) if fits => self.sender.try_send(Outgoing { frame, _room: room }).is_ok(),
            Ok(_) | Err(_) => false,
        };
        if !kept {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many messages there was no room for.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

impl Outbox {
    /// The next message; waits for one.
    pub(crate) async fn next(&mut self) -> Outgoing {
        match self.receiver.recv().await {
            Some(message) => message,
            // Whoever tells is gone: the connection goes on until it is dropped too.
            None => pending().await,
        }
    }

    /// The next message, if one waits.
    pub(crate) fn ready(&mut self) -> Option<Outgoing> {
        self.receiver.try_recv().ok()
    }

    /// Loses what waits: it would be old when the node is reached.
    pub(crate) fn clear(&mut self) {
        while self.ready().is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_there_is_no_room_for_is_lost_and_counted() {
        let (letterbox, mut outbox) = letterbox();
        for _ in 0..MESSAGES_MAX + 3 {
            letterbox.drop_in(Bytes::from_static(b"frame"));
        }
        assert_eq!(letterbox.lost(), 3, "by number");
        outbox.clear();
        let large = Bytes::from(vec![0; FRAME_BYTES_MAX]);
        for _ in 0..3 {
            letterbox.drop_in(large.clone());
        }
        assert_eq!(letterbox.lost(), 4, "by bytes");
        outbox.clear();
        letterbox.drop_in(Bytes::from(vec![0; FRAME_BYTES_MAX + 1]));
        assert_eq!(letterbox.lost(), 5, "no frame is that large");
    }
}
