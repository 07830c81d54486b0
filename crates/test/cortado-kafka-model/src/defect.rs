//! Planted bugs: what a careless broker or client would do, to prove that others notice.
//!
//! Never used but by who plants one. Start reading at [`ClientDefect`].

/// A promise that the cluster does not keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BrokerDefect {
    /// A leader acknowledges what its followers have not fetched.
    AcknowledgesAlone,
    /// Any replica may come to lead, whether it is in sync or not.
    LeadsUnclean,
    /// A follower keeps what its new leader does not have.
    NeverTruncates,
    /// A broker does not look at the sequence numbers of producers.
    ForgetsSequences,
    /// Followers count as if they had what they are about to fetch.
    RaisesHighEarly,
    /// A broker that was deposed answers success to who waits for its followers.
    DeposedAcknowledges,
}

/// A rule that the client does not keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ClientDefect {
    /// Takes `NOT_LEADER_OR_FOLLOWER` for "not appended": the leader may have appended before.
    TrustsNotLeader,
    /// Takes `REQUEST_TIMED_OUT` for "not appended".
    TrustsTimeout,
    /// Takes `NOT_ENOUGH_REPLICAS_AFTER_APPEND` for "not appended".
    TrustsAfterAppend,
    /// Takes a broken connection for "not appended".
    TrustsDisconnect,
    /// Says "not appended" of what is on its way when it gives up.
    DeniesInFlight,
    /// Says "not appended" by the last try alone, whatever became of those before.
    ForgetsEarlierTries,
    /// Goes on sending what it has called "not appended".
    KeepsSendingRefused,
    /// Asks for the leader's acknowledgement alone.
    AsksLeaderAlone,
    /// Answers when the request is sent.
    AnswersWhenSent,
    /// Takes a success without an offset for one at the next offset.
    GuessesOffset,
    /// Takes the answer to one batch for that of the oldest.
    MixesAnswers,
    /// Reads what is not below the high watermark.
    ReadsUncommitted,
    /// Goes on at the low watermark if its offset is not there.
    ResetsToEarliest,
    /// Goes on at the end if its offset is beyond it.
    ResetsToLatest,
    /// Takes every missing offset for a control record.
    HidesHoles,
    /// Takes control records for lost ones.
    ControlsAreHoles,
    /// Does not compare what it has read with the log of a new leader.
    IgnoresLeaders,
    /// Believes a broker that was deposed about where the log ends.
    BelievesDeposed,
    /// Does not look at the topic's id.
    IgnoresTopicId,
    /// Reads without looking whether the records it is given follow its offset.
    DropsFirstOfPage,
    /// Trims whatever topic has the name.
    TrimsByName,
}

impl ClientDefect {
    /// All of them.
    pub const ALL: [ClientDefect; 21] = [
        ClientDefect::TrustsNotLeader,
        ClientDefect::TrustsTimeout,
        ClientDefect::TrustsAfterAppend,
        ClientDefect::TrustsDisconnect,
        ClientDefect::DeniesInFlight,
        ClientDefect::ForgetsEarlierTries,
        ClientDefect::KeepsSendingRefused,
        ClientDefect::AsksLeaderAlone,
        ClientDefect::AnswersWhenSent,
        ClientDefect::GuessesOffset,
        ClientDefect::MixesAnswers,
        ClientDefect::ReadsUncommitted,
        ClientDefect::ResetsToEarliest,
        ClientDefect::ResetsToLatest,
        ClientDefect::HidesHoles,
        ClientDefect::ControlsAreHoles,
        ClientDefect::IgnoresLeaders,
        ClientDefect::BelievesDeposed,
        ClientDefect::IgnoresTopicId,
        ClientDefect::DropsFirstOfPage,
        ClientDefect::TrimsByName,
    ];
}

impl BrokerDefect {
    /// All of them.
    pub const ALL: [BrokerDefect; 6] = [
        BrokerDefect::AcknowledgesAlone,
        BrokerDefect::LeadsUnclean,
        BrokerDefect::NeverTruncates,
        BrokerDefect::ForgetsSequences,
        BrokerDefect::RaisesHighEarly,
        BrokerDefect::DeposedAcknowledges,
    ];
}
