//! The driver's duties, one at a time, with a log and a store that a test holds back.

mod bulks;
mod lives;
mod log;
mod peers;
mod resolving;
mod rig;
mod rounds;
mod trims;
mod writes;
