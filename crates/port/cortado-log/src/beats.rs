//! The port of beats: how nodes show one another that they live, beside the logs.
//!
//! Moves bytes and knows nothing of nodes: `cortado-model` spells a beat, `cortado-cluster` judges
//! which node is silent. Every implementation passes the `conformance` suite (a feature). Start
//! reading at [`Beats`]. Source: docs/protocols/failover.md, "Beats".

use crate::{Cause, Drift, Pending};
use bytes::Bytes;
use cortado_model::BeatStream;
use std::future::{poll_fn, ready};
use std::task::{Context, Poll};

/// Streams of beats that all nodes of a cluster send and all follow.
///
/// A beat is worth little a moment later: none is kept for long, none is read twice, and a slow
/// follower hears the newest. A stream that does not work is silent; whether it is, a node finds
/// out by its own beats.
pub trait Beats: Send + Sync + 'static {
    /// How many streams there are, at least one: as many as the log has brokers, so that the
    /// silence of each shows. Never changes.
    fn streams(&self) -> u32;

    /// Sends `beat` on every stream.
    ///
    /// On each stream, beats of one caller stand in the order of its calls, whether it awaits the
    /// answers or not.
    ///
    /// # Errors
    /// The first stream on which it does not stand, or perhaps not; on the others it may.
    fn send(&self, beat: Bytes) -> Pending<Result<(), BeatNotSent>>;

    /// How what keeps the streams differs from what it should be; nothing where nobody else can
    /// change it. It loses no record: with less, the death of a broker costs beats.
    ///
    /// # Errors
    /// It cannot be looked at now.
    fn drift(&self) -> Pending<Result<Vec<Drift>, Cause>> {
        Box::pin(ready(Ok(Vec::new())))
    }

    /// Follows all streams: tells what is sent from now on, own beats among it.
    fn follow(&self) -> Box<dyn BeatFollower>;
}

/// Follows all streams of beats.
///
/// Holds a bounded number of beats; a node that takes them too slowly misses the oldest.
pub trait BeatFollower: Send {
    /// Adds what has come to `heard`: each stream's beats in their order. Ready once it has added
    /// one; pending while there is nothing, and while the streams cannot be read.
    fn poll_heard(&mut self, context: &mut Context<'_>, heard: &mut Vec<HeardBeat>) -> Poll<()>;
}

/// Awaits beats from `follower`; dropping the future loses none.
pub async fn beats_of(follower: &mut dyn BeatFollower, heard: &mut Vec<HeardBeat>) {
    poll_fn(|context| follower.poll_heard(context, heard)).await;
}

/// A beat as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeardBeat {
    /// On which stream.
    pub stream: BeatStream,
    /// What was sent, to the byte.
    pub beat: Bytes,
}

/// A beat does not stand on every stream, or perhaps not. The next one comes soon: do not repeat.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the beat was not sent on stream {stream}")]
pub struct BeatNotSent {
    /// The first of those streams.
    pub stream: BeatStream,
    /// Why.
    #[source]
    pub cause: Cause,
}
