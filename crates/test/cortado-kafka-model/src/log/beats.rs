//! The port of beats on the model: a topic with as many partitions as there are brokers.
//!
//! A beat is sent once, to the leader alone: the next one comes soon. Start reading at
//! [`KafkaModelBeats`].

use crate::batch::BatchKind;
use crate::client::PartitionView;
use crate::cluster::{ClusterEffect, ClusterEvent, KafkaCluster, ProduceAnswer, ProduceRequest};
use crate::names::{Micros, TopicPartition};
use crate::settings::{ClusterSettings, TopicSettings};
use bytes::Bytes;
use cortado_log::{BeatFollower, BeatNotSent, Beats, Cause, HeardBeat, Pending};
use cortado_model::{BeatStream, LogOffset, LogPosition};
use std::future::ready;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// The topic.
const TOPIC: &str = "cortado-liveness";
/// Beats of a stream that are kept: a minute of four nodes.
const BEATS_KEPT_MAX: u64 = 1_024;
/// How long a beat may take.
const BEAT_US: u64 = 50_000;

/// [`Beats`] on a modelled cluster; clones share it.
#[derive(Clone, Debug)]
pub struct KafkaModelBeats {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    cluster: KafkaCluster,
    now: Micros,
    streams: u32,
    waiting: Vec<Waker>,
}

impl KafkaModelBeats {
    /// The streams of a cluster of its own.
    pub fn new(settings: ClusterSettings) -> KafkaModelBeats {
        let streams = settings.brokers;
        let mut cluster = KafkaCluster::new(settings);
        let replication = streams.min(3);
        let topic = TopicSettings::of_a_log(replication, 1 << 20);
        let created = cluster.create_topic(TOPIC, streams, topic);
        created.expect("a new cluster has all its brokers and no topic");
        let mut state = State { cluster, now: Micros(0), streams, waiting: Vec::new() };
        state.pass(200_000);
        KafkaModelBeats { state: Arc::new(Mutex::new(state)) }
    }

    /// The disk of the stream's leader fails under the next beat.
    pub fn refuse(&self, stream: BeatStream) {
        let mut state = self.lock();
        if let Some((partition, leader)) = state.led(stream) {
            let lands = false;
            state.happen(ClusterEvent::FailDisk { broker: leader, partition, lands });
        }
    }

    /// The stream's followers fetch nothing, or do again: the high watermark stands still.
    pub fn hide(&self, stream: BeatStream, hides: bool) {
        let mut state = self.lock();
        let Some((partition, leader)) = state.led(stream) else { return };
        for broker in state.cluster.broker_ids().filter(|broker| *broker != leader) {
            state.happen(ClusterEvent::StallFetch(broker, partition, hides));
        }
        if !hides {
            state.pass(200_000);
        }
        state.wake();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No method leaves the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn led(&self, stream: BeatStream) -> Option<(TopicPartition, crate::BrokerId)> {
        let topic = self.cluster.truth().topic(TOPIC)?;
        let partition = TopicPartition { topic, number: stream.0 };
        Some((partition, self.cluster.leader_of(partition)?))
    }

    fn happen(&mut self, event: ClusterEvent) -> Vec<ClusterEffect> {
        let mut effects = Vec::new();
        self.cluster.on(self.now, event, &mut effects);
        effects
    }

    fn pass(&mut self, us: u64) {
        let until = self.now.plus(us);
        while let Some(at) = self.cluster.wake_at().filter(|at| *at <= until) {
            self.now = at;
            self.happen(ClusterEvent::Tick);
        }
        self.now = until;
    }

    fn wake(&mut self) {
        std::mem::take(&mut self.waiting).into_iter().for_each(Waker::wake);
    }

    fn send(&mut self, stream: BeatStream, beat: Bytes) -> Result<(), Cause> {
        let (partition, broker) =
            self.led(stream).ok_or(Cause::failed("no broker leads the stream"))?;
        let request = ProduceRequest {
            topic: TOPIC.to_owned(),
            number: stream.0,
            writer: None,
            kind: BatchKind::Plain,
            records: vec![beat],
            all: false,
            timeout_us: BEAT_US,
        };
        let effects = self.happen(ClusterEvent::Produce { broker, token: 0, request });
        let answer = effects.into_iter().find_map(|effect| match effect {
            ClusterEffect::Produced { answer, .. } => Some(answer),
            _ => None,
        });
        // Retention, as far as a slow reader notices it.
        let kept = self.cluster.bounds(broker, partition).map_or(0, |bounds| bounds.high);
        let below = kept.saturating_sub(BEATS_KEPT_MAX);
        // That a broker keeps more harms nobody.
        let _ = self.cluster.delete_records(broker, partition, below);
        match answer {
            Some(ProduceAnswer::At { .. }) => Ok(()),
            Some(ProduceAnswer::Failed(code)) => Err(Cause::failed(format!("{code:?}"))),
            Some(ProduceAnswer::Disconnected) | None => Err(Cause::failed("no answer")),
        }
    }

    /// Where every stream ends for readers.
    fn ends(&self) -> Vec<LogPosition> {
        let end = |stream| {
            let (partition, leader) = self.led(BeatStream(stream))?;
            self.cluster.list_offsets(leader, partition).ok()
        };
        let position = |stream| {
            let end = end(stream).map_or((0, 0), |offsets| (offsets.end, offsets.epoch));
            LogPosition { offset: LogOffset(end.0), epoch: end.1 }
        };
        (0..self.streams).map(position).collect()
    }

    fn hear(&self, place: &mut [LogPosition], heard: &mut Vec<HeardBeat>) {
        for (stream, next) in (0..).map(BeatStream).zip(place) {
            let mut view = PartitionView::new(TOPIC, stream.0, stream.0, None);
            loop {
                let page = view.read(&self.cluster, &|_| true, None, *next, 1 << 20);
                match page {
                    Ok(page) if page.next == *next => break,
                    Ok(page) => {
                        let beats = page.entries.into_iter().map(|entry| entry.record);
                        heard.extend(beats.map(|beat| HeardBeat { stream, beat }));
                        *next = page.next;
                    }
                    // The oldest are gone, or what was heard is: the newest count.
                    Err(cortado_log::LogReadError::Trimmed { first: at })
                    | Err(cortado_log::LogReadError::Diverged { end: at }) => {
                        *next = LogPosition { offset: at, epoch: 0 };
                    }
                    Err(_) => break,
                }
            }
        }
    }
}

impl Beats for KafkaModelBeats {
    fn streams(&self) -> u32 {
        self.lock().streams
    }

    fn send(&self, beat: Bytes) -> Pending<Result<(), BeatNotSent>> {
        let mut state = self.lock();
        let mut sent = Ok(());
        for stream in (0..state.streams).map(BeatStream) {
            // On every stream, whatever becomes of the others.
            let this = state.send(stream, beat.clone());
            sent = sent.and(this.map_err(|cause| BeatNotSent { stream, cause }));
        }
        state.pass(10_000);
        state.wake();
        Box::pin(ready(sent))
    }

    fn follow(&self) -> Box<dyn BeatFollower> {
        let place = self.lock().ends();
        Box::new(ModelFollower { streams: self.clone(), place })
    }
}

struct ModelFollower {
    streams: KafkaModelBeats,
    place: Vec<LogPosition>,
}

impl BeatFollower for ModelFollower {
    fn poll_heard(&mut self, context: &mut Context<'_>, heard: &mut Vec<HeardBeat>) -> Poll<()> {
        let mut state = self.streams.lock();
        let before = heard.len();
        state.hear(&mut self.place, heard);
        if heard.len() > before {
            return Poll::Ready(());
        }
        let waker = context.waker();
        if !state.waiting.iter().any(|known| known.will_wake(waker)) {
            state.waiting.push(waker.clone());
        }
        Poll::Pending
    }
}
