//! TCP and UDP on one port.
//!
//! Start reading at [`Relay::start`].

use crate::tcp::TcpRelay;
use crate::udp::UdpRelay;
use std::io;
use std::net::{IpAddr, SocketAddr};

/// How often another port is tried when UDP has taken the one that TCP found.
const PORTS_TRIED: usize = 32;

/// A relay of both kinds in front of one address. It ends when it is dropped.
pub struct Relay {
    /// Carries TCP.
    pub tcp: TcpRelay,
    /// Carries UDP.
    pub udp: UdpRelay,
}

impl Relay {
    /// Listens on a free port of this machine.
    ///
    /// * `target`: where to, on TCP and UDP.
    ///
    /// # Errors
    /// No port is free for both.
    pub async fn start(target: SocketAddr) -> io::Result<Relay> {
        Relay::listen(([127, 0, 0, 1], 0).into(), target).await
    }

    /// Listens on `address`.
    ///
    /// # Errors
    /// It is taken.
    pub async fn listen(address: SocketAddr, target: SocketAddr) -> io::Result<Relay> {
        let (ip, port): (IpAddr, u16) = (address.ip(), address.port());
        for _ in 1..PORTS_TRIED {
            if let Ok(relay) = Relay::both(ip, port, target).await {
                return Ok(relay);
            }
        }
        Relay::both(ip, port, target).await
    }

    async fn both(ip: IpAddr, port: u16, target: SocketAddr) -> io::Result<Relay> {
        let tcp = TcpRelay::listen((ip, port).into(), target).await?;
        let udp = UdpRelay::listen(tcp.address(), target).await?;
        Ok(Relay { tcp, udp })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.tcp.address()
    }

    /// From now on carries to `target`: connections that are open stay where they are.
    pub fn retarget(&self, target: SocketAddr) {
        self.tcp.retarget(target);
        self.udp.retarget(target);
    }
}
