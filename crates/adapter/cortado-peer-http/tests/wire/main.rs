//! Peers over real sockets: the port's conformance, handshakes, outcomes and floods.

mod certificates;
mod conformance;
mod floods;
mod handshakes;
mod outcomes;
mod played;
mod raw;
mod support;
