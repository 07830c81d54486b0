//! What a client of several servers can be told beyond their addresses.
//!
//! Start reading at [`ClientOptions`].

use cortado_aperture::Coordinate;

/// How a client uses several servers. The default suits a program that runs a few times; with a
/// single server none of it matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientOptions {
    /// Which of how many like clients this one is: number 3 of 50. Where there are more than 12
    /// servers, each client connects to a part of them, and with coordinates these parts add up to
    /// the same load on every server. `None`: 12 servers at random.
    pub coordinate: Option<Coordinate>,
    /// The name of the clients that share coordinates, such as that of their application. Groups of
    /// different names meet other neighbours, so that what fails in one hits no other alike.
    pub group: String,
    /// Whether reads with `eventual` or `bounded` consistency that take longer than 19 of 20 did
    /// lately are sent to a second server, too; the faster answer counts, and the other request is
    /// given up. At most one read in twenty is. Off by default: it is load that buys latency.
    pub hedge_reads: bool,
}

impl Default for ClientOptions {
    fn default() -> ClientOptions {
        ClientOptions { coordinate: None, group: "cortado".to_owned(), hedge_reads: false }
    }
}
