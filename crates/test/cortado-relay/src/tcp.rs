//! Carries TCP connections, and breaks them.
//!
//! Start reading at [`TcpRelay::start`].

use crate::direction::Direction;
use crate::pipe::{PipeEnd, TcpFaults, pump};
use parking_lot::Mutex;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{broadcast, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

/// Orders that a connection may have missed: more than any test gives at once.
const ORDERS_MAX: usize = 64;
/// After accepting has failed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// What is done to all connections that are open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Both sides hear that the other one is gone without a word: RST.
    Reset,
    /// Both sides hear that the other one has said all: FIN.
    Close,
    /// The receiver of that direction hears that the sender has said all; the other direction
    /// goes on.
    HalfClose(Direction),
}

/// A relay of TCP connections. It ends when it is dropped, and they with it.
pub struct TcpRelay {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    target: Mutex<SocketAddr>,
    faults: [watch::Sender<TcpFaults>; 2],
    orders: broadcast::Sender<Cut>,
    refuses: AtomicBool,
    carried: [AtomicU64; 2],
    open: AtomicUsize,
    accepted: AtomicU64,
}

impl TcpRelay {
    /// Listens on a free port of this machine.
    ///
    /// # Errors
    /// No port is free.
    pub async fn start(target: SocketAddr) -> io::Result<TcpRelay> {
        TcpRelay::listen(([127, 0, 0, 1], 0).into(), target).await
    }

    /// Listens on `address`.
    ///
    /// # Errors
    /// It is taken.
    pub async fn listen(address: SocketAddr, target: SocketAddr) -> io::Result<TcpRelay> {
        let listener = TcpListener::bind(address).await?;
        let shared = Arc::new(Shared {
            target: Mutex::new(target),
            faults: [watch::Sender::default(), watch::Sender::default()],
            orders: broadcast::Sender::new(ORDERS_MAX),
            refuses: AtomicBool::new(false),
            carried: Default::default(),
            open: AtomicUsize::new(0),
            accepted: AtomicU64::new(0),
        });
        let address = listener.local_addr()?;
        let task = tokio::spawn(Arc::clone(&shared).run(listener));
        Ok(TcpRelay { address, shared, task })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on carries to `target`: connections that are open stay where they are.
    pub fn retarget(&self, target: SocketAddr) {
        *self.shared.target.lock() = target;
    }

    /// From now on does this to the bytes of one direction, on connections that are open too.
    pub fn set(&self, direction: Direction, faults: TcpFaults) {
        self.shared.faults[direction as usize].send_replace(faults);
    }

    /// No faults any more, and connections are taken.
    pub fn heal(&self) {
        self.set(Direction::In, TcpFaults::default());
        self.set(Direction::Out, TcpFaults::default());
        self.refuse(false);
    }

    /// Whether new connections are reset at once.
    pub fn refuse(&self, refuses: bool) {
        self.shared.refuses.store(refuses, Ordering::SeqCst);
    }

    /// Cuts every connection that is open.
    pub fn cut(&self, how: Cut) {
        // Nobody hears it if there is none.
        let _ = self.shared.orders.send(how);
    }

    /// How many bytes have gone that way, on all connections so far.
    pub fn carried(&self, direction: Direction) -> u64 {
        self.shared.carried[direction as usize].load(Ordering::SeqCst)
    }

    /// How many connections are open.
    pub fn open(&self) -> usize {
        self.shared.open.load(Ordering::SeqCst)
    }

    /// How many connections have been taken so far.
    pub fn accepted(&self) -> u64 {
        self.shared.accepted.load(Ordering::SeqCst)
    }
}

impl Drop for TcpRelay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    async fn run(self: Arc<Self>, listener: TcpListener) {
        let mut connections = JoinSet::new();
        loop {
            let Ok((client, _)) = listener.accept().await else {
                sleep(ACCEPT_PAUSE).await;
                continue;
            };
            while connections.try_join_next().is_some() {}
            if self.refuses.load(Ordering::SeqCst) {
                reset(&client);
                continue;
            }
            self.accepted.fetch_add(1, Ordering::SeqCst);
            connections.spawn(Arc::clone(&self).carry(client));
        }
    }

    async fn carry(self: Arc<Self>, client: TcpStream) {
        let orders = self.orders.subscribe();
        let target = *self.target.lock();
        // Who cannot be reached behind the relay looks as if it were not there.
        let Ok(server) = TcpStream::connect(target).await else { return reset(&client) };
        for stream in [&client, &server] {
            // A wire does not wait for more to carry.
            let _ = stream.set_nodelay(true);
        }
        self.open.fetch_add(1, Ordering::SeqCst);
        let _open = Counted(&self.open);
        if self.carry_between(&client, &server, orders).await == PipeEnd::Broken {
            reset(&client);
            reset(&server);
        }
    }

    /// Carries both ways until both are over or one is broken.
    async fn carry_between(
        &self,
        client: &TcpStream,
        server: &TcpStream,
        mut orders: broadcast::Receiver<Cut>,
    ) -> PipeEnd {
        let pipe = |direction: Direction, from, to| {
            let place = direction as usize;
            pump(from, to, self.faults[place].subscribe(), &self.carried[place])
        };
        let mut inward = std::pin::pin!(pipe(Direction::In, client, server));
        let mut outward = std::pin::pin!(pipe(Direction::Out, server, client));
        let (mut in_over, mut out_over) = (false, false);
        while !(in_over && out_over) {
            tokio::select! {
                end = &mut inward, if !in_over => match end {
                    PipeEnd::Finished => {
                        in_over = true;
                        shut(server);
                    }
                    PipeEnd::Broken => return end,
                },
                end = &mut outward, if !out_over => match end {
                    PipeEnd::Finished => {
                        out_over = true;
                        shut(client);
                    }
                    PipeEnd::Broken => return end,
                },
                order = orders.recv() => match order {
                    Ok(Cut::HalfClose(Direction::In)) => {
                        in_over = true;
                        shut(server);
                    }
                    Ok(Cut::HalfClose(Direction::Out)) => {
                        out_over = true;
                        shut(client);
                    }
                    Ok(Cut::Close) => return PipeEnd::Finished,
                    Ok(Cut::Reset) | Err(_) => return PipeEnd::Broken,
                },
            }
        }
        PipeEnd::Finished
    }
}

/// Says to the other side that all is said.
fn shut(stream: &TcpStream) {
    // It may be gone already.
    let _ = rustix::net::shutdown(stream, rustix::net::Shutdown::Write);
}

/// Lets the other side hear a reset when the socket is closed.
fn reset(stream: &TcpStream) {
    // It may be gone already.
    let _ = stream.set_zero_linger();
}

/// Takes one from a count when it is dropped.
struct Counted<'a>(&'a AtomicUsize);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
