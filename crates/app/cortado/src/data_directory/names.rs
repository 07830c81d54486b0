//! Names that a data directory and those that were left behind have in common.

/// The file that is locked while a server uses the directory. Holds the server's process id.
pub(super) const LOCK: &str = "LOCK";
/// The file that says that the directory goes with its server.
pub(super) const TEMPORARY: &str = "TEMPORARY";
/// How the names of temporary directories begin.
pub(super) const TEMPORARY_PREFIX: &str = "cortado-";
