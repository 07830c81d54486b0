//! Several nodes on this machine, the wires between which are broken.

mod played;
mod proofs;
mod spreading;
mod suspicion;
