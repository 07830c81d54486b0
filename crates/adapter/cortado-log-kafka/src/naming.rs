//! How topics are called.

use cortado_log::LogSpec;
use cortado_model::DatabaseId;

/// The topic of a database's logs: one of its own for each life of the database, since Kafka
/// deletes topics late, and one that is created again must be writable at once.
pub(crate) fn topic_of(prefix: &str, spec: &LogSpec) -> String {
    if spec.database == DatabaseId::CLUSTER && spec.uuid.0 == 0 {
        // Found by its name alone.
        return cluster_topic(prefix);
    }
    let life = (spec.uuid.0 >> 96) as u32;
    format!("{prefix}-{}-{life:08x}", spec.name)
}

/// The topic of the log of `_cluster`.
pub(crate) fn cluster_topic(prefix: &str) -> String {
    format!("{prefix}-cluster")
}

/// A topic as those of databases are called, and that there never is: no database has this name.
pub(crate) fn any_database_topic(prefix: &str) -> String {
    format!("{prefix}-0-00000000")
}

/// The topic of the streams of beats.
pub(crate) fn liveness_topic(prefix: &str) -> String {
    format!("{prefix}-liveness")
}

#[cfg(test)]
mod tests {
    use super::*;
    use cortado_model::PartitionUuid;

    #[test]
    fn a_topic_is_called_after_one_life_of_its_database() {
        let name = |database, name: &str, uuid| {
            let (database, uuid) = (DatabaseId(database), PartitionUuid(uuid));
            topic_of("c", &LogSpec { database, name: name.to_owned(), uuid, partitions: 1 })
        };
        assert_eq!(name(0, "_cluster", 0), "c-cluster");
        assert_eq!(name(3, "music", 0x0123_4567_89ab_cdef << 64), "c-music-01234567");
        assert_eq!(name(4, "music", 0xffff_ffff << 96), "c-music-ffffffff");
        // No database can be called so that its topic is one of the two others.
        assert_eq!(name(5, "liveness", 1), "c-liveness-00000000");
        assert_eq!(liveness_topic("c"), "c-liveness");
    }
}
