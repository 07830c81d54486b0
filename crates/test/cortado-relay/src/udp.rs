//! Carries datagrams, and loses, delays and repeats them.
//!
//! Start reading at [`UdpRelay::start`].

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::sync::{Semaphore, watch};
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::sleep;

use crate::direction::Direction;

/// Bytes of the largest datagram.
const DATAGRAM_BYTES_MAX: usize = 64 << 10;
/// Senders that are told apart; beyond that the one that was heard of first is forgotten.
const SENDERS_MAX: usize = 256;
/// Datagrams that wait for their time; more are lost, as on a wire.
const WAITING_MAX: usize = 4_096;

/// What happens to the datagrams of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct UdpFaults {
    /// Which part of them is lost, from 0 to 1.
    pub loss: f64,
    /// Which part of them comes twice, from 0 to 1.
    pub duplication: f64,
    /// How late they come.
    pub delay: Duration,
    /// By how much some come later still: they overtake one another.
    pub jitter: Duration,
}

impl UdpFaults {
    /// Nothing comes.
    pub const CUT: UdpFaults =
        UdpFaults { loss: 1.0, duplication: 0.0, delay: Duration::ZERO, jitter: Duration::ZERO };
}

/// A relay of datagrams. It ends when it is dropped.
///
/// Answers to a sender go back to it from here: the target sees each sender as an address of the
/// relay.
pub struct UdpRelay {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    front: UdpSocket,
    target: watch::Sender<SocketAddr>,
    faults: Mutex<Faults>,
    random: Mutex<fastrand::Rng>,
    /// A socket for each sender.
    senders: Mutex<Vec<(SocketAddr, Arc<UdpSocket>, AbortHandle)>>,
    waiting: Arc<Semaphore>,
    carried: [AtomicU64; 2],
}

#[derive(Default)]
struct Faults {
    directions: [UdpFaults; 2],
    /// Of what comes from one sender, in place of those of the direction.
    senders: BTreeMap<SocketAddr, UdpFaults>,
}

impl UdpRelay {
    /// Listens on a free port of this machine.
    ///
    /// # Errors
    /// No port is free.
    pub async fn start(target: SocketAddr) -> io::Result<UdpRelay> {
        UdpRelay::listen(([127, 0, 0, 1], 0).into(), target).await
    }

    /// Listens on `address`.
    ///
    /// # Errors
    /// It is taken.
    pub async fn listen(address: SocketAddr, target: SocketAddr) -> io::Result<UdpRelay> {
        let front = UdpSocket::bind(address).await?;
        let address = front.local_addr()?;
        let shared = Arc::new(Shared {
            front,
            target: watch::Sender::new(target),
            faults: Mutex::default(),
            // What is lost is the same from run to run, as far as what is sent is.
            random: Mutex::new(fastrand::Rng::with_seed(7)),
            senders: Mutex::default(),
            waiting: Arc::new(Semaphore::new(WAITING_MAX)),
            carried: Default::default(),
        });
        let task = tokio::spawn(Arc::clone(&shared).run());
        Ok(UdpRelay { address, shared, task })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on carries to `target`.
    pub fn retarget(&self, target: SocketAddr) {
        self.shared.target.send_replace(target);
    }

    /// From now on does this to the datagrams of one direction.
    pub fn set(&self, direction: Direction, faults: UdpFaults) {
        self.shared.faults.lock().directions[direction as usize] = faults;
    }

    /// From now on does this to what comes in from `sender`; `None` for what is done to the others.
    pub fn set_from(&self, sender: SocketAddr, faults: Option<UdpFaults>) {
        let mut all = self.shared.faults.lock();
        match faults {
            Some(faults) => drop(all.senders.insert(sender, faults)),
            None => drop(all.senders.remove(&sender)),
        }
    }

    /// No faults any more.
    pub fn heal(&self) {
        *self.shared.faults.lock() = Faults::default();
    }

    /// How many datagrams have gone that way, each as often as it did.
    pub fn carried(&self, direction: Direction) -> u64 {
        self.shared.carried[direction as usize].load(Ordering::SeqCst)
    }
}

impl Drop for UdpRelay {
    fn drop(&mut self) {
        self.task.abort();
        for (_, _, back) in self.shared.senders.lock().drain(..) {
            back.abort();
        }
    }
}

impl Shared {
    async fn run(self: Arc<Self>) {
        let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
        loop {
            // A target that is gone shows as an error of the next call: nothing came.
            let Ok((length, sender)) = self.front.recv_from(&mut buffer).await else { continue };
            let Ok(socket) = self.socket_of(sender).await else { continue };
            let target = *self.target.borrow();
            self.carry(Direction::In, sender, &buffer[..length], socket, target);
        }
    }

    /// The socket through which a sender speaks with the target.
    async fn socket_of(self: &Arc<Self>, sender: SocketAddr) -> io::Result<Arc<UdpSocket>> {
        let known = |senders: &[(SocketAddr, Arc<UdpSocket>, AbortHandle)]| {
            senders.iter().find(|one| one.0 == sender).map(|one| Arc::clone(&one.1))
        };
        if let Some(socket) = known(&self.senders.lock()) {
            return Ok(socket);
        }
        let any = SocketAddr::new(self.front.local_addr()?.ip(), 0);
        let socket = Arc::new(UdpSocket::bind(any).await?);
        let back = tokio::spawn(Arc::clone(self).back(Arc::clone(&socket), sender)).abort_handle();
        let mut senders = self.senders.lock();
        if senders.len() >= SENDERS_MAX {
            senders.remove(0).2.abort();
        }
        senders.push((sender, Arc::clone(&socket), back));
        Ok(socket)
    }

    /// Carries what the target answers to one sender.
    async fn back(self: Arc<Self>, socket: Arc<UdpSocket>, sender: SocketAddr) {
        let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
        loop {
            let Ok((length, from)) = socket.recv_from(&mut buffer).await else { continue };
            if from != *self.target.borrow() {
                continue;
            }
            let relay = Arc::clone(&self);
            let datagram = buffer[..length].to_vec();
            let send = move || async move {
                let _ = relay.front.send_to(&datagram, sender).await;
            };
            self.carry_with(Direction::Out, sender, send);
        }
    }

    fn carry(
        self: &Arc<Self>,
        direction: Direction,
        sender: SocketAddr,
        datagram: &[u8],
        socket: Arc<UdpSocket>,
        to: SocketAddr,
    ) {
        let datagram = datagram.to_vec();
        let send = move || async move {
            // Datagrams may be lost.
            let _ = socket.send_to(&datagram, to).await;
        };
        self.carry_with(direction, sender, send);
    }

    /// Sends as often as the faults say, and when.
    fn carry_with<F>(
        self: &Arc<Self>,
        direction: Direction,
        sender: SocketAddr,
        send: impl FnOnce() -> F + Clone + Send + 'static,
    ) where
        F: Future<Output = ()> + Send,
    {
        let faults = self.faults_of(direction, sender);
        let mut random = self.random.lock();
        let lost = random.f64() < faults.loss;
        let copies = usize::from(!lost) + usize::from(!lost && random.f64() < faults.duplication);
        for _ in 0..copies {
            let late = faults.delay + faults.jitter.mul_f64(random.f64());
            let Ok(room) = Arc::clone(&self.waiting).try_acquire_owned() else { return };
            let (relay, send) = (Arc::clone(self), send.clone());
            tokio::spawn(async move {
                if !late.is_zero() {
                    sleep(late).await;
                }
                // A way that is cut meanwhile loses what is on it.
                if relay.faults_of(direction, sender).loss < 1.0 {
                    relay.carried[direction as usize].fetch_add(1, Ordering::SeqCst);
                    send().await;
                }
                drop(room);
            });
        }
    }

    fn faults_of(&self, direction: Direction, sender: SocketAddr) -> UdpFaults {
        let faults = self.faults.lock();
        let own = faults.senders.get(&sender).filter(|_| direction == Direction::In);
        own.copied().unwrap_or(faults.directions[direction as usize])
    }
}
