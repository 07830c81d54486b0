//! Peers over real sockets: the port's conformance, handshakes, outcomes and floods.

mod certificates;
mod conformance;
mod floods;
mod handshakes;
mod network;
mod outcomes;
mod played;
mod raw;
mod support;
