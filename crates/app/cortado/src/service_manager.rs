//! What the program that started a server wants to know of it: ready, and ending.
//!
//! systemd's protocol, without its library: a datagram to the socket in `NOTIFY_SOCKET`.
//! Start reading at [`notify`]. Source: sd_notify(3).

use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use tracing::warn;

/// What a server tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Notice<'a> {
    /// It serves, there.
    Ready { url: &'a str },
    /// It ends in order.
    Stopping,
}

/// Tells the service manager, if there is one. A failure is logged: a server does not depend on it.
pub(crate) fn notify(notice: Notice<'_>) {
    let Some(socket) = env::var_os("NOTIFY_SOCKET").filter(|socket| !socket.is_empty()) else {
        return;
    };
    if let Err(error) = send(&socket, notice) {
        warn!(%error, socket = %socket.display(), "the service manager could not be told");
    }
}

fn send(socket: &OsString, notice: Notice<'_>) -> io::Result<()> {
    let text = match notice {
        Notice::Ready { url } => format!("READY=1\nSTATUS=serving on {url}\n"),
        Notice::Stopping => "STOPPING=1\nSTATUS=ending\n".to_owned(),
    };
    UnixDatagram::unbound()?.send_to_addr(text.as_bytes(), &address_of(socket)?)?;
    Ok(())
}

/// A path, or `@` and the name of an abstract socket.
fn address_of(socket: &OsStr) -> io::Result<SocketAddr> {
    match socket.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(socket),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &OsString, address: &SocketAddr) {
        let manager = UnixDatagram::bind_addr(address).expect("a socket");
        send(name, Notice::Ready { url: "http://127.0.0.1:7171" }).expect("sent");
        send(name, Notice::Stopping).expect("sent");
        let mut received = [0; 100];
        let mut next = || {
            let length = manager.recv(&mut received).expect("received");
            String::from_utf8_lossy(&received[..length]).into_owned()
        };
        assert_eq!(next(), "READY=1\nSTATUS=serving on http://127.0.0.1:7171\n");
        assert!(next().starts_with("STOPPING=1\n"));
    }

    #[test]
    fn both_kinds_of_sockets_are_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("notify");
        check(&path.clone().into_os_string(), &SocketAddr::from_pathname(&path).expect("short"));
        let name = format!("cortado-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).expect("short");
        check(&OsString::from(format!("@{name}")), &address);
        assert!(send(&OsString::from("/no/such/socket"), Notice::Stopping).is_err());
    }
}
