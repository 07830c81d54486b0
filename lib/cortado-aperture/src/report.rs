//! What a balancer shows of itself.

/// The state of a balancer at one moment, and what it has done since it was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Endpoints that discovery knows, those included that are kept under probation.
    pub endpoints: usize,
    /// Endpoints that picks choose from.
    pub aperture: usize,
    /// Those of them that nothing is known against.
    pub alive: usize,
    /// How often all peers together go round the ring; 0 where that has no meaning.
    pub laps: u32,
    /// By how many times its usual size the aperture is widened because most of it is down; 0 to 3.
    pub widening: u8,
    /// Whether the aperture stays as it was until the next one is connected.
    pub is_handing_over: bool,
    /// Requests that are under way.
    pub outstanding: usize,
    /// Connections that are being opened.
    pub opening: usize,
    /// Connections that wait for others to be opened.
    pub waiting: usize,
    /// A hash of the endpoints, their order and their weights. Peers that see the same endpoints
    /// have the same one; if two differ for long, their discoveries do.
    pub ring_hash: u64,
    /// Times the subset was chosen anew.
    pub rebuilds: u64,
    /// Endpoints that have come.
    pub added: u64,
    /// Endpoints that have gone.
    pub removed: u64,
    /// Connections closed because they were idle outside the aperture.
    pub expired: u64,
    /// Steps by which the aperture was widened.
    pub widenings: u64,
    /// Picks that found no endpoint that may be used, and used one all the same.
    pub panics: u64,
}
