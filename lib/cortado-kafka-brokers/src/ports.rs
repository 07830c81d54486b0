//! Ports of this machine that nothing listens on.

use crate::error::BrokersError;
use std::net::{Ipv4Addr, TcpListener};

/// Below those that Linux gives to outgoing connections (32,768 on), so that a broker that is down
/// for a while finds its port free again.
const FIRST: u16 = 15_000;
const LAST: u16 = 32_000;

/// So many different ports of the loopback interface.
///
/// Another process may take one before it is used: who starts a broker on it finds out.
///
/// # Errors
/// There are not so many.
pub fn free(count: usize) -> Result<Vec<u16>, BrokersError> {
    free_at(Ipv4Addr::LOCALHOST, count)
}

/// The same of any address of this machine.
///
/// # Errors
/// There are not so many.
pub(crate) fn free_at(address: Ipv4Addr, count: usize) -> Result<Vec<u16>, BrokersError> {
    let mut ports = Vec::with_capacity(count);
    // From somewhere, so that clusters that are made side by side do not try the same ones.
    let span = LAST - FIRST;
    let begin = fastrand::u16(0..span);
    // Held until all are found, so that none is found twice.
    let mut held = Vec::with_capacity(count);
    for step in 0..span {
        if ports.len() == count {
            break;
        }
        let port = FIRST + (begin + step) % span;
        if let Ok(listener) = TcpListener::bind((address, port)) {
            held.push(listener);
            ports.push(port);
        }
    }
    let enough = ports.len() == count;
    if enough { Ok(ports) } else { Err(BrokersError::NoPort { from: FIRST, to: LAST }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_that_are_found_differ_and_can_be_listened_on() {
        let mut ports = free(40).expect("so many are free");
        let listeners = ports.iter().map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)));
        assert!(listeners.filter_map(Result::ok).count() > 30, "another process took a few");
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 40);
    }
}
