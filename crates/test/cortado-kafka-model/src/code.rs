//! Kafka's error codes, as far as the model answers them.
//!
//! Source: Kafka's protocol guide, "Error Codes".

/// What a broker or the controller answers instead of success.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ErrorCode {
    /// `OFFSET_OUT_OF_RANGE`.
    OffsetOutOfRange,
    /// `UNKNOWN_TOPIC_OR_PARTITION`: this broker knows no such partition.
    UnknownTopicOrPartition,
    /// `NOT_LEADER_OR_FOLLOWER`: this broker does not lead it, or no longer: also told of what was
    /// appended before, by who waited for the followers when the leadership ended.
    NotLeader,
    /// `REQUEST_TIMED_OUT`: appended, and not acknowledged by all in sync in time.
    RequestTimedOut,
    /// `MESSAGE_TOO_LARGE`.
    MessageTooLarge,
    /// `NOT_ENOUGH_REPLICAS`: too few are in sync; nothing was appended.
    NotEnoughReplicas,
    /// `NOT_ENOUGH_REPLICAS_AFTER_APPEND`.
    NotEnoughReplicasAfterAppend,
    /// `TOPIC_ALREADY_EXISTS`.
    TopicExists,
    /// `INVALID_REPLICATION_FACTOR`: fewer brokers live than it asks for.
    InvalidReplication,
    /// `OUT_OF_ORDER_SEQUENCE_NUMBER`.
    OutOfOrderSequence,
    /// `DUPLICATE_SEQUENCE_NUMBER`: stood there before, out of the broker's memory of where.
    DuplicateSequence,
    /// Number 47, invalid epoch: fenced by a later life of the producer.
    ProducerFenced,
    /// `KAFKA_STORAGE_ERROR`: the disk has failed, before the append or in it.
    StorageError,
    /// `OFFSET_NOT_AVAILABLE`: a new leader does not know the high watermark yet.
    OffsetNotAvailable,
}

impl ErrorCode {
    /// All of them.
    pub const ALL: [ErrorCode; 14] = [
        ErrorCode::OffsetOutOfRange,
        ErrorCode::UnknownTopicOrPartition,
        ErrorCode::NotLeader,
        ErrorCode::RequestTimedOut,
        ErrorCode::MessageTooLarge,
        ErrorCode::NotEnoughReplicas,
        ErrorCode::NotEnoughReplicasAfterAppend,
        ErrorCode::TopicExists,
        ErrorCode::InvalidReplication,
        ErrorCode::OutOfOrderSequence,
        ErrorCode::DuplicateSequence,
        ErrorCode::ProducerFenced,
        ErrorCode::StorageError,
        ErrorCode::OffsetNotAvailable,
    ];

    /// Its number in the protocol.
    pub const fn number(self) -> i16 {
        match self {
            ErrorCode::OffsetOutOfRange => 1,
            ErrorCode::UnknownTopicOrPartition => 3,
            ErrorCode::NotLeader => 6,
            ErrorCode::RequestTimedOut => 7,
            ErrorCode::MessageTooLarge => 10,
            ErrorCode::NotEnoughReplicas => 19,
            ErrorCode::NotEnoughReplicasAfterAppend => 20,
            ErrorCode::TopicExists => 36,
            ErrorCode::InvalidReplication => 38,
            ErrorCode::OutOfOrderSequence => 45,
            ErrorCode::DuplicateSequence => 46,
            ErrorCode::ProducerFenced => 47,
            ErrorCode::StorageError => 56,
            ErrorCode::OffsetNotAvailable => 78,
        }
    }
}
