//! One file for each engine. None of them knows the workload.

pub mod fjall;
pub mod lmdb;
pub mod redb;
pub mod rocksdb;
