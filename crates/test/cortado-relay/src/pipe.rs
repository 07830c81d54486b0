//! One direction of one connection: what is read on one side is written on the other, late, slowly,
//! or not at all.
//!
//! Start reading at [`pump`].

use bytes::Bytes;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};

/// Bytes of one read.
const PIECE_BYTES: usize = 16 << 10;
/// Pieces that wait: what a long, fast wire holds. Then the sender is held up.
const PIECES_MAX: usize = 256;

/// What happens to the bytes of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpFaults {
    /// How late they come.
    pub delay: Duration,
    /// None come, and the connection stays open.
    pub stall: bool,
    /// How many come in a second at most.
    pub bytes_per_second: Option<u64>,
    /// The connection is reset when this many have come since the relay began, on all connections
    /// together: see [`TcpRelay::carried`](crate::TcpRelay::carried).
    pub reset_at: Option<u64>,
}

/// How a direction of a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PipeEnd {
    /// The sender had said all, and the receiver knows.
    Finished,
    /// One of the two is gone, or as many bytes have come as may.
    Broken,
}

/// Carries bytes until there are no more, or one side is gone.
pub(crate) async fn pump(
    from: &TcpStream,
    to: &TcpStream,
    faults: watch::Receiver<TcpFaults>,
    carried: &AtomicU64,
) -> PipeEnd {
    let (pieces, waiting) = mpsc::channel(PIECES_MAX);
    let mut writing = std::pin::pin!(write_all(waiting, to, faults, carried));
    tokio::select! {
        end = &mut writing => end,
        read = read_all(from, pieces) => match read {
            // What was read before is still to be written.
            Ok(()) => writing.await,
            Err(_) => PipeEnd::Broken,
        },
    }
}

/// A piece, and when it was read.
type Piece = (Instant, Bytes);

async fn read_all(from: &TcpStream, pieces: mpsc::Sender<Piece>) -> io::Result<()> {
    let mut buffer = vec![0; PIECE_BYTES];
    loop {
        let room = pieces.reserve().await.map_err(io::Error::other)?;
        let length = loop {
            from.readable().await?;
            match from.try_read(&mut buffer) {
                Ok(length) => break length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        };
        if length == 0 {
            return Ok(());
        }
        room.send((Instant::now(), Bytes::copy_from_slice(&buffer[..length])));
    }
}

async fn write_all(
    mut waiting: mpsc::Receiver<Piece>,
    to: &TcpStream,
    mut faults: watch::Receiver<TcpFaults>,
    carried: &AtomicU64,
) -> PipeEnd {
    while let Some((read_at, mut piece)) = waiting.recv().await {
        while !piece.is_empty() {
            let Some(now) = passage(&mut faults, read_at).await else { return PipeEnd::Broken };
            let before = carried.load(Ordering::Relaxed);
            let left = now.reset_at.map_or(u64::MAX, |at| at.saturating_sub(before));
            if left == 0 {
                return PipeEnd::Broken;
            }
            let length = piece.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            // A tenth of a second's worth at a time, so that a slow wire is slow and not jerky.
            let rate = now.bytes_per_second.map(|rate| rate.max(1));
            let slice = rate.map_or(length, |rate| {
                length.min(usize::try_from(rate / 10).unwrap_or(usize::MAX).max(1))
            });
            let Ok(written) = write_some(to, &piece[..slice]).await else {
                return PipeEnd::Broken;
            };
            carried.fetch_add(written as u64, Ordering::Relaxed);
            drop(piece.split_to(written));
            if let Some(rate) = rate {
                sleep(Duration::from_secs_f64(written as f64 / rate as f64)).await;
            }
        }
    }
    // The bytes are over: so is this direction, unless it stands still.
    if passage(&mut faults, Instant::now()).await.is_none() {
        return PipeEnd::Broken;
    }
    PipeEnd::Finished
}

/// Waits until what was read at `read_at` may go on, whatever is changed meanwhile.
async fn passage(faults: &mut watch::Receiver<TcpFaults>, read_at: Instant) -> Option<TcpFaults> {
    loop {
        let now = *faults.borrow_and_update();
        let due = read_at + now.delay;
        if !now.stall && due <= Instant::now() {
            return Some(now);
        }
        tokio::select! {
            changed = faults.changed() => changed.ok()?,
            () = sleep_until(due), if !now.stall => {}
        }
    }
}

async fn write_some(to: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    loop {
        to.writable().await?;
        match to.try_write(bytes) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            written => return written,
        }
    }
}
