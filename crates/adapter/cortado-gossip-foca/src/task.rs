//! The task that owns the protocol: sockets and timers on one side, foca on the other.
//!
//! Start reading at [`Gossiping::run`].

use crate::codec::is_announce;
use crate::envelope::{Content, Envelope, EnvelopeError};
use crate::gate::Gate;
use crate::identity::{Identity, Told, UNKNOWN};
use crate::keys::Sealing;
use crate::limits::{DATAGRAM_BYTES_MAX, GossipTiming, SEEDS_MAX, STREAM_BYTES_MAX, STREAMS_MAX};
use crate::seed::GossipSeed;
use crate::stream::{Streamed, send};
use crate::swim::Swim;
use cortado_model::{NodeId, NodeIncarnation};
use cortado_peer::{GossipMember, GossipView, Liveness, SelfAwareness};
use foca::{Member, State, Timer};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{UdpSocket, lookup_host};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{debug, error, warn};

/// Bytes of the largest datagram that the network carries: what is longer than ours is a
/// stranger's.
const RECEIVED_BYTES_MAX: usize = 64 << 10;
/// After this long without one, a wrong proof is told again.
const TOLD_AGAIN: Duration = Duration::from_secs(60);

/// One node's part in gossip.
pub(crate) struct Gossiping {
    pub(crate) gate: Gate,
    pub(crate) timing: GossipTiming,
    pub(crate) socket: Arc<UdpSocket>,
    pub(crate) swim: Swim,
    pub(crate) streamed: mpsc::Receiver<Streamed>,
    pub(crate) facts: watch::Receiver<Arc<Told>>,
    pub(crate) seeds: watch::Receiver<Vec<GossipSeed>>,
    pub(crate) leaving: watch::Receiver<bool>,
    pub(crate) view: watch::Sender<Arc<GossipView>>,
    pub(crate) state: TaskState,
}

/// What the task keeps beside it.
pub(crate) struct TaskState {
    /// Timers by when they are due, then by when they were set.
    timers: BTreeMap<(Instant, u64), Timer<Identity>>,
    set: u64,
    sent: u64,
    streams: JoinSet<()>,
    room: Arc<Semaphore>,
    seek_at: Instant,
    refused_at: Option<Instant>,
    /// What the view shows, in short: it is made anew when this has changed.
    shown: (Vec<ShownMember>, SelfAwareness),
}

/// A telling of a node, and what is thought of it; of this node, nothing.
type ShownMember = (NodeId, NodeIncarnation, u32, Option<State>);

impl TaskState {
    pub(crate) fn new() -> TaskState {
        TaskState {
            timers: BTreeMap::new(),
            set: 0,
            sent: 0,
            streams: JoinSet::new(),
            room: Arc::new(Semaphore::new(STREAMS_MAX)),
            seek_at: Instant::now(),
            refused_at: None,
            shown: Default::default(),
        }
    }
}

impl Gossiping {
    /// Takes part until the node leaves.
    pub(crate) async fn run(mut self) {
        self.publish();
        let mut buffer = vec![0; RECEIVED_BYTES_MAX];
        loop {
            let due = self.state.timers.first_key_value().map(|((due, _), _)| *due);
            let next = due.map_or(self.state.seek_at, |due| due.min(self.state.seek_at));
            let socket = Arc::clone(&self.socket);
            tokio::select! {
                received = socket.recv_from(&mut buffer) => {
                    // An address that was sent to and has no socket shows as an error here.
                    if let Ok((length, from)) = received {
                        self.hear(&buffer[..length], from.to_string(), false);
                    }
                }
                Some(Streamed { bytes, is_proven }) = self.streamed.recv() => {
                    self.hear(&bytes, "a stream".to_owned(), is_proven);
                }
                () = sleep_until(next) => self.on_time(),
                Ok(()) = self.facts.changed() => {
                    let told = Arc::clone(&self.facts.borrow_and_update());
                    let Told { facts, address } = &*told;
                    self.swim.tell(Told { facts: facts.clone(), address: *address });
                }
                Ok(()) = self.seeds.changed() => {
                    self.seeds.mark_unchanged();
                    self.state.seek_at = Instant::now();
                }
                Ok(()) = self.leaving.changed() => {
                    self.swim.leave();
                    self.send_wanted().await;
                    // Those that are on their way are let go of in time.
                    while self.state.streams.join_next().await.is_some() {}
                    return;
                }
            }
            while self.state.streams.try_join_next().is_some() {}
            if self.swim.is_superseded() {
                let Identity { node, incarnation, .. } = self.swim.own();
                error!(%node, %incarnation, "another life of this node gossips; falling silent");
                return;
            }
            self.send_wanted().await;
            self.publish();
        }
    }

    /// What has come by datagram or stream.
    fn hear(&mut self, bytes: &[u8], from: String, is_proven: bool) {
        match self.gate.open(bytes, is_proven) {
            Ok(envelope) => {
                self.take_in(&envelope);
            }
            Err(error @ EnvelopeError::NotProven) => {
                let now = Instant::now();
                let told = self.state.refused_at.is_some_and(|at| now < at + TOLD_AGAIN);
                if !told {
                    self.state.refused_at = Some(now);
                    warn!(client = from, %error, "gossip refused");
                }
            }
            Err(error) => debug!(client = from, %error, "gossip passed over"),
        }
    }

    /// What has proven to come from a node.
    fn take_in(&mut self, envelope: &Envelope<'_>) {
        let sender = (envelope.sender, envelope.sender_life);
        let announces = || is_announce(envelope.payload);
        match envelope.content() {
            Some(Content::Roll) if envelope.knows_receiver() => {
                self.swim.hear_roll(envelope.sender, envelope.payload);
            }
            Some(Content::Message) if announces() => {
                self.swim.hear(sender, envelope.payload);
                self.send_roll(sender);
            }
            Some(Content::Message) if envelope.knows_receiver() => {
                self.swim.hear(sender, envelope.payload);
            }
            // Who does not know for whom it speaks only seeks.
            Some(Content::Message | Content::Roll) | None => {}
        }
    }

    /// Tells a node of all others, if there are more than foca tells it of in a datagram.
    fn send_roll(&mut self, to: (NodeId, NodeIncarnation)) {
        let roll = self.swim.roll(STREAM_BYTES_MAX);
        let is_known = |member: &&Member<Identity>| {
            let id = member.id();
            (id.node, id.incarnation) == to
        };
        let Some(to) = self.swim.members().find(is_known).map(|member| member.id().clone()) else {
            return;
        };
        if roll.len() <= DATAGRAM_BYTES_MAX / 2 {
            return;
        }
        if let Some(address) = self.address_of(&to) {
            let (sealed, _) = self.seal(Content::Roll, &to, &roll);
            self.send_by_stream(to.node, Where::At(address), sealed);
        }
    }

    fn on_time(&mut self) {
        let now = Instant::now();
        while let Some(entry) = self.state.timers.first_entry() {
            let due = entry.key().0;
            if due > now {
                break;
            }
            let late = now.saturating_duration_since(due).saturating_sub(self.timing.probe_answer);
            self.swim.was_late(u64::try_from(late.as_millis()).unwrap_or(u64::MAX));
            let timer = entry.remove();
            self.swim.on_timer(timer);
        }
        if self.state.seek_at <= now {
            let alone = self.swim.alive() == 0;
            let pause = if alone { self.timing.seek_every } else { self.timing.mend_every };
            self.state.seek_at = now + pause;
            self.seek();
        }
    }

    /// Looks for other nodes where they should be, unless they are known to be alive.
    fn seek(&mut self) {
        let seeds: Vec<_> = self.seeds.borrow().iter().take(SEEDS_MAX).cloned().collect();
        for GossipSeed { node, address } in seeds {
            let own = self.swim.own().node;
            let mut members = self.swim.members();
            let is_alive = node.is_some_and(|node| {
                members.any(|one| one.id().node == node && one.state() == State::Alive)
            });
            drop(members);
            if node == Some(own) || is_alive {
                continue;
            }
            self.swim.seek(node);
            let wanted = self.swim.take_wanted();
            self.set_timers(wanted.timers);
            for (to, message) in wanted.sends {
                if to.is_sought() {
                    self.send_to_seed(to, address.clone(), &message);
                }
            }
        }
    }

    /// Sends what foca wants sent, and notes when it wants to be called.
    async fn send_wanted(&mut self) {
        let wanted = self.swim.take_wanted();
        self.set_timers(wanted.timers);
        for (to, message) in wanted.sends {
            let Some(address) = self.address_of(&to) else {
                debug!(node = %to.node, "gossip not sent to a node whose address is not known");
                continue;
            };
            let (sealed, by_stream) = self.seal(Content::Message, &to, &message);
            if by_stream {
                self.send_by_stream(to.node, Where::At(address), sealed);
            } else if let Err(error) = self.socket.send_to(&sealed, address).await {
                debug!(node = %to.node, %error, "datagram not sent");
            }
        }
    }

    fn set_timers(&mut self, timers: Vec<(Duration, Timer<Identity>)>) {
        let now = Instant::now();
        for (after, timer) in timers {
            self.state.set += 1;
            self.state.timers.insert((now + after, self.state.set), timer);
        }
    }

    fn address_of(&self, to: &Identity) -> Option<SocketAddr> {
        let known = || self.swim.members().find(|member| member.id() == to);
        let told = to.told.as_ref().or_else(|| known()?.id().told.as_ref());
        told.map(|told| told.address)
    }

    /// The message in its envelope, and whether it must go on a stream.
    fn seal(&mut self, content: Content, to: &Identity, message: &[u8]) -> (Vec<u8>, bool) {
        self.state.sent += 1;
        let own = self.swim.own();
        let (from, to_life) = ((own.node, own.incarnation), (to.node, to.incarnation));
        let count = self.state.sent;
        let envelope =
            Envelope::new(self.gate.keys.method(), content, from, to_life, count, message);
        match self.gate.keys.for_sending(to) {
            Sealing::Open => (envelope.seal(self.gate.cluster, None), false),
            Sealing::Key(key) => (envelope.seal(self.gate.cluster, Some(&key)), false),
            Sealing::Stream => (envelope.seal(self.gate.cluster, None), true),
        }
    }

    fn send_to_seed(&mut self, to: Identity, address: String, message: &[u8]) {
        let (sealed, by_stream) = self.seal(Content::Message, &to, message);
        if by_stream {
            return self.send_by_stream(to.node, Where::Named(address), sealed);
        }
        let Ok(room) = Arc::clone(&self.state.room).try_acquire_owned() else { return };
        let (socket, patience) = (Arc::clone(&self.socket), self.timing.stream);
        self.state.streams.spawn(async move {
            let sent = async {
                let address = Where::Named(address.clone()).find().await?;
                socket.send_to(&sealed, address).await
            };
            match timeout(patience, sent).await {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => debug!(address, %error, "gossip seed not reached"),
                Err(_) => debug!(address, "the address of a gossip seed is not found in time"),
            }
            drop(room);
        });
    }

    /// Sends on a stream, in a task of its own. Without room for one more it is lost, as datagrams
    /// may be.
    fn send_by_stream(&mut self, node: NodeId, at: Where, sealed: Vec<u8>) {
        let Ok(room) = Arc::clone(&self.state.room).try_acquire_owned() else { return };
        let (keys, patience) = (Arc::clone(&self.gate.keys), self.timing.stream);
        self.state.streams.spawn(async move {
            let sent = async {
                let address = at.find().await?;
                send(address, node, &keys, &sealed).await
            };
            match timeout(patience, sent).await {
                // Of a node that is sought it is not known which one it is.
                Ok(Ok(Some((life, key)))) if node != UNKNOWN => keys.keep(node, life, &key),
                Ok(Ok(Some(_) | None)) => {}
                Ok(Err(error)) => debug!(%node, %error, "gossip stream not sent"),
                Err(_) => debug!(%node, "gossip stream not sent in time"),
            }
            drop(room);
        });
    }

    /// Shows what is known, if it has changed.
    fn publish(&mut self) {
        let key = |identity: &Identity, state| {
            (identity.node, identity.incarnation, identity.telling, state)
        };
        let others = self.swim.members().map(|member| key(member.id(), Some(member.state())));
        let shown = std::iter::once(key(self.swim.own(), None)).chain(others);
        let mut shown: Vec<ShownMember> = shown.collect();
        // Foca shuffles its members now and then.
        shown.sort_unstable_by_key(|(node, ..)| *node);
        let shown = (shown, self.swim.awareness());
        if self.state.shown == shown {
            return;
        }
        self.state.shown = shown;
        let view = self.view_after(&self.view.borrow());
        self.gate.keys.forget_others(|node| view.members.contains_key(&node));
        self.swim.remembers(view.members.keys().copied());
        self.view.send_replace(Arc::new(view));
    }

    fn view_after(&self, before: &GossipView) -> GossipView {
        let now = Instant::now();
        let own = [(self.swim.own(), Liveness::Alive)];
        let others = self.swim.members().map(|member| {
            let liveness = match member.state() {
                State::Alive => Liveness::Alive,
                State::Suspect => Liveness::Suspect,
                State::Down => Liveness::Down,
            };
            (member.id(), liveness)
        });
        let members = own.into_iter().chain(others).filter_map(|(identity, liveness)| {
            let facts = identity.told.as_ref()?.facts.clone();
            let same = |known: &&GossipMember| {
                known.liveness == liveness && known.facts.incarnation == facts.incarnation
            };
            let since = before.members.get(&identity.node).filter(same);
            let since = since.map_or(now, |known| known.since);
            Some((identity.node, GossipMember { facts, liveness, since }))
        });
        GossipView { members: members.collect(), awareness: self.swim.awareness() }
    }
}

/// Where a message goes.
enum Where {
    At(SocketAddr),
    /// To be looked up.
    Named(String),
}

impl Where {
    async fn find(self) -> std::io::Result<SocketAddr> {
        match self {
            Where::At(address) => Ok(address),
            Where::Named(name) => {
                let mut found = lookup_host(name).await?;
                found.next().ok_or_else(|| std::io::Error::other("the name has no address"))
            }
        }
    }
}
