//! Answers other nodes: listens, finds out who calls, and puts what they ask to the node.
//!
//! Start reading at [`PeerServer::start`].

use crate::codec::RefusedPeer;
use crate::framing::{ROOM_BYTES, Room};
use crate::greeting::{EXPIRED, Welcomed, called, passes, welcome};
use crate::identity::{PeerIdentity, Speaker};
use crate::limits::{
    CONNECTIONS_MAX, CONNECTIONS_OF_NODE_MAX, GREETINGS_MAX, GREETINGS_OF_ADDRESS_MAX, PeerTiming,
};
use crate::serving::{Ending, Serving};
use cortado_model::{NodeId, NodeIncarnation, with_causes};
use cortado_peer::Peer;
use cortado_peer_security::{GossipDoor, NodeProtocol, Security, SecurityError};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, info, warn};

/// After accepting has failed: most likely there are no descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Between two warnings about strangers.
const WARN_EVERY: Duration = Duration::from_secs(1);

/// Why a node cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// It would not be safe.
    #[error(transparent)]
    Security(#[from] SecurityError),
    /// The address is taken, or none of this machine.
    #[error("cannot listen for peers on {address}: correct peer_listen")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// What other nodes make a node hold now, beside its limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeerServerUsage {
    /// Connections of nodes that have proven who they are.
    pub connections: usize,
    /// How many there may be.
    pub connections_max: usize,
    /// Bytes of frames that it is being sent or works on.
    pub frame_bytes: usize,
    /// How many there may be.
    pub frame_bytes_max: usize,
}

/// A node that others reach, until it is shut down or dropped.
pub struct PeerServer {
    address: SocketAddr,
    ending: watch::Sender<Ending>,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl PeerServer {
    /// Listens, and lets `serves` answer.
    ///
    /// * `listen`: port 0 for any that is free.
    ///
    /// # Errors
    /// See [`ListenError`].
    pub async fn start(
        me: PeerIdentity,
        listen: SocketAddr,
        security: Security,
        timing: PeerTiming,
        serves: Arc<dyn Peer>,
    ) -> Result<PeerServer, ListenError> {
        PeerServer::start_beside(me, listen, security, timing, serves, None).await
    }

    /// The same on a port that is also gossip's.
    ///
    /// * `gossip`: takes the connections that speak it.
    ///
    /// # Errors
    /// See [`ListenError`].
    pub async fn start_beside(
        me: PeerIdentity,
        listen: SocketAddr,
        security: Security,
        timing: PeerTiming,
        serves: Arc<dyn Peer>,
        gossip: Option<GossipDoor>,
    ) -> Result<PeerServer, ListenError> {
        if !security.allows(listen) {
            let error = match security {
                Security::Secret { .. } => SecurityError::NotPrivate { address: listen },
                Security::Loopback | Security::Certificate(_) => {
                    SecurityError::Open { address: listen }
                }
            };
            return Err(error.into());
        }
        let bind = |source| ListenError::Bind { address: listen, source };
        let listener = TcpListener::bind(listen).await.map_err(bind)?;
        let address = listener.local_addr().map_err(bind)?;
        let (ending, ends) = watch::channel(Ending::Not);
        let speaker = Speaker::new(me, security);
        let shared = Arc::new(Shared {
            speaker,
            timing,
            serves,
            gossip,
            greetings: Mutex::default(),
            room: Arc::new(Room::new()),
            warned: Mutex::default(),
            callers: Mutex::default(),
        });
        let listening = Listening { shared: Arc::clone(&shared), ends };
        info!(node = %me.node, %address, "listening for peers");
        Ok(PeerServer { address, ending, shared, task: tokio::spawn(listening.run(listener)) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What other nodes make it hold now.
    pub fn usage(&self) -> PeerServerUsage {
        PeerServerUsage {
            connections: self.shared.connections(),
            connections_max: CONNECTIONS_MAX,
            frame_bytes: self.shared.room.taken(),
            frame_bytes_max: ROOM_BYTES,
        }
    }

    /// Takes nothing new, answers for `grace` what has begun, and then lets go of it.
    pub async fn shutdown(mut self, grace: Duration) {
        self.ending.send_replace(Ending::Answering);
        if timeout(grace, &mut self.task).await.is_err() {
            self.ending.send_replace(Ending::LettingGo);
            // Bounded by the time for which connections linger. It panics at nothing.
            let _ = (&mut self.task).await;
        }
    }
}

impl Drop for PeerServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What all connections share.
struct Shared {
    speaker: Speaker,
    timing: PeerTiming,
    serves: Arc<dyn Peer>,
    gossip: Option<GossipDoor>,
    /// Connections of each address that have not proven yet who they are.
    greetings: Mutex<BTreeMap<IpAddr, usize>>,
    room: Arc<Room>,
    /// When a stranger was warned of last.
    warned: Mutex<Option<Instant>>,
    /// Connections of each life of each node.
    callers: Mutex<BTreeMap<NodeId, Lives>>,
}

/// How many connections each life of a node has, and what ends with it.
type Lives = BTreeMap<NodeIncarnation, (usize, watch::Sender<()>)>;

struct Listening {
    shared: Arc<Shared>,
    ends: watch::Receiver<Ending>,
}

impl Listening {
    async fn run(mut self, listener: TcpListener) {
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = self.ends.wait_for(|ending| *ending != Ending::Not) => break,
            };
            while connections.try_join_next().is_some() {}
            match accepted {
                Ok((tcp, from)) => {
                    let Some(greeting) = Greeting::admit(&self.shared, from.ip()) else {
                        debug!(client = %from, "connection closed: too many say hello");
                        continue;
                    };
                    let (shared, ends) = (Arc::clone(&self.shared), self.ends.clone());
                    connections.spawn(async move {
                        let welcomed = shared.welcome(tcp, from).await;
                        drop(greeting);
                        if let Some((welcomed, mut caller)) = welcomed {
                            tokio::select! {
                                () = shared.serve(welcomed, ends) => {}
                                () = caller.superseded() => {}
                            }
                        }
                    });
                }
                Err(error) => {
                    warn!(%error, "cannot accept connections of peers; trying again");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        // Closed before the others are, so that no node comes back to this one.
        drop(listener);
        while connections.join_next().await.is_some() {}
    }
}

impl Shared {
    async fn welcome(
        self: &Arc<Self>,
        tcp: TcpStream,
        from: SocketAddr,
    ) -> Option<(Welcomed, Caller)> {
        let mut caller = None;
        let admits =
            |node, life| Caller::admit(self, node, life).map(|admitted| caller = Some(admitted));
        let greeted = async {
            tcp.set_nodelay(true)?;
            let called = called(tcp, &self.speaker, self.gossip.is_some()).await?;
            match (called.protocol, &self.gossip) {
                (NodeProtocol::Gossip, Some(gossip)) => {
                    if gossip.try_send(called.stream).is_err() {
                        debug!(client = %from, "gossip stream closed: there are too many");
                    }
                    Ok(None)
                }
                (NodeProtocol::Gossip | NodeProtocol::Peer, _) => {
                    welcome(called, &self.speaker, admits).await.map(Some)
                }
            }
        };
        match timeout(self.timing.greet, greeted).await {
            Ok(Ok(welcomed)) => welcomed.zip(caller),
            Ok(Err(error)) => {
                let error = with_causes(&error);
                if self.may_warn() {
                    warn!(client = %from, error, "peer not welcomed");
                } else {
                    debug!(client = %from, error, "peer not welcomed");
                }
                None
            }
            Err(_) => {
                debug!(client = %from, "peer did not say who it is in time");
                None
            }
        }
    }

    fn connections(&self) -> usize {
        counted(&self.callers.lock())
    }

    /// Whether a stranger is worth a warning: one a second is, so that none fills the log.
    fn may_warn(&self) -> bool {
        let (mut warned, now) = (self.warned.lock(), Instant::now());
        let may = warned.is_none_or(|at| now >= at + WARN_EVERY);
        if may {
            *warned = Some(now);
        }
        may
    }

    async fn serve(&self, welcomed: Welcomed, ends: watch::Receiver<Ending>) {
        let Welcomed { wired, node, incarnation, expiry } = welcomed;
        debug!(%node, %incarnation, "peer connected");
        let (serves, room) = (Arc::clone(&self.serves), Arc::clone(&self.room));
        let serving = Serving { node, serves, room, timing: self.timing };
        let reason = tokio::select! {
            reason = serving.run(wired, ends) => reason,
            () = passes(expiry) => EXPIRED.to_owned(),
        };
        debug!(%node, %incarnation, reason, "peer disconnected");
    }
}

fn counted(callers: &BTreeMap<NodeId, Lives>) -> usize {
    callers.values().flat_map(BTreeMap::values).map(|(count, _)| *count).sum()
}

/// A connection that has not proven yet who it is, counted.
struct Greeting {
    shared: Arc<Shared>,
    from: IpAddr,
}

impl Greeting {
    /// Lets one more say hello, unless there are too many.
    fn admit(shared: &Arc<Shared>, from: IpAddr) -> Option<Greeting> {
        let mut greetings = shared.greetings.lock();
        let all: usize = greetings.values().sum();
        let own = greetings.get(&from).copied().unwrap_or(0);
        if own >= GREETINGS_OF_ADDRESS_MAX || all >= GREETINGS_MAX {
            return None;
        }
        greetings.insert(from, own + 1);
        Some(Greeting { shared: Arc::clone(shared), from })
    }
}

impl Drop for Greeting {
    fn drop(&mut self) {
        let mut greetings = self.shared.greetings.lock();
        let left = greetings.get(&self.from).map_or(0, |own| own - 1);
        if left == 0 {
            greetings.remove(&self.from);
        } else {
            greetings.insert(self.from, left);
        }
    }
}

/// A connection of one life of a node, counted.
struct Caller {
    shared: Arc<Shared>,
    node: NodeId,
    life: NodeIncarnation,
    ends: watch::Receiver<()>,
}

impl Caller {
    /// Lets in one more connection. Those of older lives end: there is nobody behind them.
    fn admit(
        shared: &Arc<Shared>,
        node: NodeId,
        life: NodeIncarnation,
    ) -> Result<Caller, RefusedPeer> {
        let mut callers = shared.callers.lock();
        let all = counted(&callers);
        let lives = callers.entry(node).or_default();
        lives.retain(|other, _| *other >= life);
        let own: usize = lives.values().map(|(count, _)| *count).sum();
        if own >= CONNECTIONS_OF_NODE_MAX || all >= CONNECTIONS_MAX {
            return Err(RefusedPeer::TooMany);
        }
        let (count, ends) = lives.entry(life).or_insert_with(|| (0, watch::Sender::new(())));
        *count += 1;
        Ok(Caller { shared: Arc::clone(shared), node, life, ends: ends.subscribe() })
    }

    /// Waits until a newer life of the node has connected.
    async fn superseded(&mut self) {
        while self.ends.changed().await.is_ok() {}
        debug!(node = %self.node, incarnation = %self.life, "a newer life of the peer connected");
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        let mut callers = self.shared.callers.lock();
        let Some(lives) = callers.get_mut(&self.node) else { return };
        if let Some((count, _)) = lives.get_mut(&self.life) {
            *count -= 1;
            if *count == 0 {
                lives.remove(&self.life);
            }
        }
        if lives.is_empty() {
            callers.remove(&self.node);
        }
    }
}
