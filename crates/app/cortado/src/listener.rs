//! Listening for clients, and what to do where that is refused.

use crate::failure::Failure;
use std::io::ErrorKind;
use std::net::SocketAddr;
use tokio::net::TcpListener;

/// Listens on `address`.
///
/// # Errors
/// Why it cannot, and what to do about it.
pub(crate) async fn listen(address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| {
        let failure = Failure::new(format!("cannot listen on {address}: {error}"));
        match error.kind() {
            ErrorKind::AddrInUse => failure.next(
                "the port is in use: stop the process that listens there, or let the system choose \
                     a free port with --listen 127.0.0.1:0",
            ),
            ErrorKind::PermissionDenied => failure.next(
                "ports below 1024 need root or CAP_NET_BIND_SERVICE; --listen 127.0.0.1:0 takes a \
                     free port",
            ),
            ErrorKind::AddrNotAvailable => failure.next(
                "this machine does not have that address; --listen 127.0.0.1:0 listens on loopback",
            ),
            _ => failure,
        }
    })
}
