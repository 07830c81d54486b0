//! How many clients meet how many endpoints.

use std::fmt;
use std::str::FromStr;

/// So many clients, all peers of one group, and so many endpoints that all of them may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size {
    /// Clients.
    pub peers: u32,
    /// Endpoints.
    pub endpoints: u32,
}

/// The sizes that are always looked at.
pub const SIZES: [Size; 8] = [
    Size::new(10, 1_000),
    Size::new(100, 100),
    Size::new(100, 1_000),
    Size::new(300, 300),
    Size::new(1_000, 100),
    Size::new(1_000, 1_000),
    Size::new(65, 13),
    Size::new(5, 20),
];

impl Size {
    /// So many clients and endpoints.
    pub const fn new(peers: u32, endpoints: u32) -> Size {
        Size { peers, endpoints }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.peers, self.endpoints)
    }
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Size, String> {
        let parts = text.split_once('x').map(|(peers, rest)| (peers.parse(), rest.parse()));
        match parts {
            Some((Ok(peers @ 1..=10_000), Ok(endpoints @ 1..=10_000))) => {
                Ok(Size { peers, endpoints })
            }
            _ => Err("a size is CLIENTSxENDPOINTS, each from 1 to 10000, as in 100x1000".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_they_are_written() {
        for size in SIZES {
            assert_eq!(size.to_string().parse(), Ok(size));
        }
        for bad in ["", "5", "5x", "x5", "0x5", "5x0", "5x5x5", "5x10001", "-1x5"] {
            assert!(bad.parse::<Size>().is_err(), "{bad}");
        }
    }
}
