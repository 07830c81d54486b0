//! Several nodes on this machine, the wires between which are broken.

mod conformance;
mod played;
mod proofs;
mod spreading;
mod suspicion;
