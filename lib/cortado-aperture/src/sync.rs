//! The atomics of the lock-free parts, in one place: the tests of interleavings put others here.

pub(crate) use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
