//! Everything that can become due in a world.

use crate::database::asker::Asker;
use crate::database::broker_story::{BrokerMend, LossScene};
use crate::database::catalog::Declaration;
use crate::database::coverage::Fault;
use crate::database::documents::AttemptId;
use crate::database::history::{Action, Reply};
use crate::database::pin::Scene;
use crate::database::plan::Chore;
use crate::kernel::Happening;
use crate::kernel::time::Moment;
use bytes::Bytes;
use cortado_cluster::KnownLeader;
use cortado_driver::{DigestReport, Event, Hashed, JobId, PeerStanding, RecordOutcome};
use cortado_kafka_model::cluster::ProduceAnswer;
use cortado_model::{
    Batch, BeatStream, DocumentKey, LogPosition, Millis, NodeId, RememberedKey, Scn, TableId,
    WallMillis,
};
use cortado_replica::Trim;
use std::fmt;

/// A replica's driver in one process; what is sent to one of an earlier process arrives nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Address {
    pub(crate) node: usize,
    pub(crate) partition: usize,
    /// Numbers processes, and replicas that were added to one later; never used twice.
    pub(crate) process: u64,
}

/// The closed set of things that happen at a moment.
#[derive(Debug)]
pub(crate) enum Due {
    /// An append reaches the log.
    AppendArrives(u64),
    /// Records reach the log long after they were given up.
    LandsLate { from: Address, records: Vec<Bytes> },
    /// The log's answer reaches the sender of the records.
    AppendAnswer { to: Address, number: u64, sender: Sender, outcomes: Vec<RecordOutcome> },
    /// A request reaches a broker.
    RequestArrives(u64),
    /// A broker's answer reaches the producer.
    BrokerAnswers { node: usize, partition: usize, writer: u64, token: u64, answer: ProduceAnswer },
    /// A producer wanted to be woken.
    WriterWakes { node: usize, partition: usize, writer: u64, at: u64 },
    /// Something happens by itself between brokers.
    BrokersWake { at: Moment },
    /// A broker, or a way between two, comes back.
    BrokerMends(BrokerMend),
    /// The story of a log that loses records goes on.
    Losing(LossScene),
    /// A beat reaches one of the streams.
    BeatArrives { node: usize, stream: BeatStream, beat: Bytes },
    /// A node hears what is new on all streams.
    HearBeats { node: usize },
    /// Streams that were silent long enough speak again.
    MendBeats,
    /// A driver's question reaches its log, store or peers.
    Asks { to: Address, question: Question },
    /// The store gets to work that a driver has given it.
    Works { to: Address, work: Work },
    /// Something reaches a driver.
    Tells { to: Address, event: Box<Event<Asker>> },
    /// The question how it stands reaches another replica.
    PeerAsked { node: usize, from: Address, job: JobId },
    /// Its answer comes back.
    PeerAnswered { to: Address, job: JobId, standing: Box<PeerStanding> },
    /// A node hears another one's wall clock.
    ClockHeard { node: usize, from: NodeId, wall: WallMillis },
    /// No more answers are waited for.
    NoMoreAnswers { to: Address, job: JobId },
    /// A driver hears that the log has grown.
    Notice { to: Address },
    /// A driver wanted to be woken.
    Wake { to: Address, at: Millis },
    /// A client's request reaches a node.
    Request { node: usize, partition: usize, ask: Ask },
    /// A reader whose proof is there gets to look.
    Look { to: Address, client: usize, attempt: AttemptId, look: crate::database::asker::Look },
    /// A client's time at a node is up.
    Withdraw { to: Address, attempt: AttemptId },
    /// The answer reaches the client.
    Reply { client: usize, attempt: AttemptId, reply: Reply, known: Option<KnownLeader> },
    /// A client stops waiting.
    Deadline { client: usize, attempt: AttemptId },
    /// A client wants something new.
    Turn { client: usize },
    /// A client tries again.
    Retry { client: usize, operation: usize },
    /// A node looks after its leaders.
    Detect { node: usize },
    /// A node's stores make progress with becoming durable.
    Flush { node: usize },
    /// A node's stores fill up.
    Fill { node: usize },
    /// A leader is cut off from the log, or dies.
    CutOff,
    /// It has been, for as long as that may be felt.
    CutOffFor { node: usize, broker: Option<u32> },
    /// A replica that has lost the last record claims.
    Usurp,
    /// A reader probes it.
    Probe,
    /// The story of a pin goes on.
    Placing(Scene),
    /// A node folds which nodes are drained.
    HearOrders { node: usize },
    /// A controller's order reaches a leader.
    Ordered { to: Address, declared_at: Scn, change: Box<Event<Asker>> },
    /// A leader is asked to step down in favour of a node that takes it for unsound.
    AskedToStepDown { to: Address, by: NodeId },
    /// An operator wants replicas to be elsewhere.
    Operate,
    /// A controller looks what comes next.
    Control,
    /// What a controller writes down reaches `_cluster`.
    Declare(Box<Declaration>),
    /// A node folds a newer version of `_cluster`.
    HearCatalog { node: usize, version: usize },
    /// An order to open the gate reaches `_cluster`; it rests on this version of it.
    OpenGate { version: u64 },
    /// A process starts.
    Start { node: usize },
    /// A process is killed if it is of no use any more.
    Replace { node: usize },
    /// A process dies, if it is still the same.
    Kill { node: usize, process: u64 },
    /// A process goes on.
    Resume { node: usize, pause: u64 },
    /// A fault strikes by itself.
    Strike(Fault),
    /// An operator asks for a chore.
    Chore(Chore),
    /// The faults stop.
    Heal,
    /// After the faults: are we there yet?
    Inspect,
}

/// Who has sent records to the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sender {
    /// A driver's producer.
    Producer(JobId),
    /// The node itself, which does not listen.
    Node,
}

/// A client's request as it arrives.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    /// Whom to answer.
    pub(crate) client: usize,
    /// Which try.
    pub(crate) attempt: AttemptId,
    /// What is wanted.
    pub(crate) action: Action,
    /// The idempotency key.
    pub(crate) key: Option<Bytes>,
}

/// What a driver wants to know from others.
#[derive(Debug)]
pub(crate) enum Question {
    /// The log's identity and the store's checkpoint, the first part of a survey.
    Checkpoint(JobId),
    /// Where the log begins and ends, the second part.
    Survey { job: JobId, checkpoint: Option<Bytes> },
    /// What the whole log names, and the store's checkpoint.
    LookThrough(JobId),
    /// Where it begins and ends.
    Extent(JobId),
    /// Records.
    Page { job: JobId, from: LogPosition, bytes_max: usize },
    /// How the other replicas are.
    Around(JobId),
    /// Nothing: a digest on its way to the leader.
    Report(DigestReport),
}

/// What a driver wants done by its store.
#[derive(Debug)]
pub(crate) enum Work {
    Find { job: JobId, keys: Vec<(TableId, DocumentKey)>, names: Vec<RememberedKey> },
    Apply { job: JobId, batch: Box<Batch>, last: Scn },
    FindBookmark { job: JobId, trim: Trim },
    Hash { job: JobId, time: WallMillis, known: Option<Hashed> },
    Probe(JobId),
    Clear(JobId),
    Install { job: JobId, from: NodeId },
}

impl Happening for Due {
    fn facts(&self) -> [u64; 4] {
        let address = |kind: u64, to: &Address, more: u64| {
            [kind, (to.node * 64 + to.partition) as u64, to.process, more]
        };
        match self {
            Due::AppendArrives(number) => [1, *number, 0, 0],
            Due::LandsLate { from, records } => address(2, from, records.len() as u64),
            Due::AppendAnswer { to, number, outcomes, .. } => {
                let at =
                    outcomes.iter().filter(|each| matches!(each, RecordOutcome::At(_))).count();
                address(3, to, *number << 16 | at as u64)
            }
            Due::Asks { to, question } => address(4, to, question.fact()),
            Due::Works { to, work } => address(5, to, work.job().0),
            Due::Tells { to, event } => address(6, to, fact_of(event)),
            Due::Notice { to } => address(10, to, 0),
            Due::Wake { to, at } => address(11, to, at.0),
            Due::Request { node, partition, ask } => {
                [12, (node * 64 + partition) as u64, u64::from(ask.attempt.0), 0]
            }
            Due::Reply { attempt, reply, .. } => {
                [13, u64::from(attempt.0), u64::from(reply.is_definitely_nothing()), 0]
            }
            Due::Deadline { attempt, .. } => [14, u64::from(attempt.0), 0, 0],
            Due::Turn { client } => [15, *client as u64, 0, 0],
            Due::Retry { client, operation } => [16, *client as u64, *operation as u64, 0],
            Due::Detect { node } => [17, *node as u64, 0, 0],
            Due::Flush { node } => [18, *node as u64, 0, 0],
            Due::Start { node } => [19, *node as u64, 0, 0],
            Due::Resume { node, pause } => [20, *node as u64, *pause, 0],
            Due::Strike(fault) => [21, *fault as u64, 0, 0],
            Due::Chore(chore) => [22, *chore as u64, 0, 0],
            Due::Look { to, attempt, .. } => address(23, to, u64::from(attempt.0)),
            Due::Heal => [24, 0, 0, 0],
            Due::Inspect => [25, 0, 0, 0],
            Due::Replace { node } => [26, *node as u64, 0, 0],
            Due::Kill { node, process } => [27, *node as u64, *process, 0],
            Due::Withdraw { to, attempt } => address(28, to, u64::from(attempt.0)),
            Due::BeatArrives { node, stream, .. } => [29, *node as u64, u64::from(stream.0), 0],
            Due::HearBeats { node } => [30, *node as u64, 0, 0],
            Due::MendBeats => [31, 0, 0, 0],
            Due::PeerAsked { node, from, job } => address(32, from, (*node as u64) << 32 | job.0),
            Due::PeerAnswered { to, job, standing } => {
                address(33, to, u64::from(standing.node.0) << 32 | job.0)
            }
            Due::NoMoreAnswers { to, job } => address(34, to, job.0),
            Due::ClockHeard { node, from, wall } => [35, *node as u64, u64::from(from.0), wall.0],
            Due::Fill { node } => [36, *node as u64, 0, 0],
            Due::Usurp => [37, 0, 0, 0],
            Due::Probe => [38, 0, 0, 0],
            Due::Placing(scene) => [39, *scene as u64, 0, 0],
            Due::RequestArrives(number) => [40, *number, 0, 0],
            Due::BrokerAnswers { node, partition, writer, token, answer } => {
                let at = if let ProduceAnswer::At { base, .. } = answer { *base } else { u64::MAX };
                [41, (node * 64 + partition) as u64, *writer << 32 | *token, at]
            }
            Due::WriterWakes { node, partition, writer, at } => {
                [42, (node * 64 + partition) as u64, *writer, *at]
            }
            Due::BrokersWake { at } => [43, at.0, 0, 0],
            Due::BrokerMends(_) => [44, 0, 0, 0],
            Due::Losing(scene) => [45, *scene as u64, 0, 0],
            Due::HearOrders { node } => [46, *node as u64, 0, 0],
            Due::Operate => [47, 0, 0, 0],
            Due::Ordered { to, declared_at, .. } => address(48, to, declared_at.to_u64()),
            Due::AskedToStepDown { to, by } => address(49, to, u64::from(by.0)),
            Due::Control => [50, 0, 0, 0],
            Due::Declare(declaration) => [51, declaration.partition as u64, 0, 0],
            Due::OpenGate { version } => [53, *version, 0, 0],
            Due::HearCatalog { node, version } => [52, *node as u64, *version as u64, 0],
            Due::CutOff => [53, 0, 0, 0],
            Due::CutOffFor { node, broker } => {
                [54, *node as u64, broker.map_or(0, |broker| 1 + u64::from(broker)), 0]
            }
        }
    }
}

impl Question {
    fn fact(&self) -> u64 {
        match self {
            Question::Checkpoint(job)
            | Question::Survey { job, .. }
            | Question::LookThrough(job)
            | Question::Extent(job)
            | Question::Page { job, .. }
            | Question::Around(job) => job.0,
            Question::Report(report) => report.at.to_u64(),
        }
    }
}

impl Work {
    /// Under which number the driver waits for it.
    pub(crate) fn job(&self) -> JobId {
        match self {
            Work::Find { job, .. }
            | Work::Apply { job, .. }
            | Work::FindBookmark { job, .. }
            | Work::Hash { job, .. }
            | Work::Probe(job)
            | Work::Clear(job)
            | Work::Install { job, .. } => *job,
        }
    }

    /// Whether the store does it in line with the partition's other work.
    pub(crate) fn is_in_line(&self) -> bool {
        match self {
            Work::Find { .. } | Work::FindBookmark { .. } => false,
            Work::Apply { .. }
            | Work::Hash { .. }
            | Work::Probe(_)
            | Work::Clear(_)
            | Work::Install { .. } => true,
        }
    }
}

/// What distinguishes an event from others, for the trace's hash.
fn fact_of(event: &Event<Asker>) -> u64 {
    match event {
        Event::Surveyed(job, told) => job.0 << 8 | u64::from(told.is_ok()),
        Event::LookedThrough(job, found) => {
            job.0 << 32 | found.as_ref().map_or(u64::MAX, |found| found.end.offset.0)
        }
        Event::Resolve(resolution) => u64::from(resolution.keep.0) << 8 | 8,
        Event::Extent(job, told) => {
            job.0 << 32 | told.as_ref().map_or(u64::MAX, |extent| extent.end.0)
        }
        Event::Page(job, page) => {
            job.0 << 16 | page.as_ref().map_or(u64::MAX, |page| page.entries.len() as u64)
        }
        Event::Found(job, found) => job.0 << 8 | 1 << 4 | u64::from(found.is_ok()),
        Event::Applied(job, done) | Event::Probed(job, done) | Event::Cleared(job, done) => {
            job.0 << 8 | 2 << 4 | u64::from(done.is_ok())
        }
        Event::BookmarkFound(job, found) => job.0 << 8 | 3 << 4 | u64::from(found.is_ok()),
        Event::Hashed(job, hashed) => {
            job.0 ^ hashed.as_ref().map_or(u64::MAX, |hashed| hashed.digest as u64)
        }
        Event::Installed(job, done) => job.0 << 8 | 4 << 4 | u64::from(done.is_ok()),
        Event::Around(job, around) => job.0 << 8 | around.peers.len() as u64,
        Event::Peers(job, answers) => job.0 << 8 | 5 << 4 | answers.heard.len() as u64,
        Event::Outcomes { producer, outcomes } => producer.0 << 16 | outcomes.len() as u64,
        Event::Digest(report) => report.at.to_u64() ^ report.digest as u64,
        Event::LogEnd(end) => end.0,
        Event::LogFailed(_) => 7,
        Event::Room(has_room) => u64::from(*has_room),
        Event::Write { .. }
        | Event::Read { .. }
        | Event::HandOff { .. }
        | Event::Claim { .. }
        | Event::Configure(_)
        | Event::ChangeReplicas { .. }
        | Event::Verify
        | Event::Condemned { .. }
        | Event::StoreFailed { .. }
        | Event::Stop
        | Event::Tick
        | Event::Settle => 0,
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "n{}.p{} process {}", self.node + 1, self.partition, self.process)
    }
}

impl fmt::Display for Due {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Due::AppendArrives(number) => write!(f, "log: append #{number} arrives"),
            Due::LandsLate { from, records } => write!(f, "log: {from}, {} late", records.len()),
            Due::AppendAnswer { to, number, outcomes, .. } => {
                write!(f, "{to}: append #{number} is answered {outcomes:?}")
            }
            Due::BeatArrives { node, stream, .. } => {
                write!(f, "beat of n{} arrives on stream {stream}", node + 1)
            }
            Due::HearBeats { node } => write!(f, "n{}: hears beats", node + 1),
            Due::MendBeats => write!(f, "beats: silence may end"),
            Due::Asks { to, question } => write!(f, "{to}: asks {question:?}"),
            Due::Works { to, work } => write!(f, "{to}: store {}", WorkLine(work)),
            Due::Tells { to, event } => write!(f, "{to}: hears {}", EventLine(event)),
            Due::PeerAsked { node, from, job } => {
                write!(f, "n{}: is asked by {from} how it stands, {job:?}", node + 1)
            }
            Due::PeerAnswered { to, job, standing } => {
                write!(f, "{to}: is answered {standing:?}, {job:?}")
            }
            Due::ClockHeard { node, from, wall } => {
                write!(f, "n{}: hears {wall:?} from {from}", node + 1)
            }
            Due::NoMoreAnswers { to, job } => write!(f, "{to}: waits for no more answers, {job:?}"),
            Due::Notice { to } => write!(f, "{to}: the log has grown"),
            Due::Wake { to, at } => write!(f, "{to}: woken for {at:?}"),
            Due::Request { node, partition, ask } => {
                let (client, attempt) = (ask.client, ask.attempt.0);
                write!(f, "n{}.p{partition}: c{client} asks #{attempt} ", node + 1)?;
                write!(f, "{:?}", ask.action)
            }
            Due::Look { to, client, attempt, .. } => {
                write!(f, "{to}: c{client} looks for #{}", attempt.0)
            }
            Due::Withdraw { to, attempt } => write!(f, "{to}: #{} has waited enough", attempt.0),
            Due::Reply { client, attempt, reply, .. } => {
                write!(f, "c{client}: #{} is answered {reply:?}", attempt.0)
            }
            Due::Deadline { client, attempt } => write!(f, "c{client}: deadline of #{}", attempt.0),
            Due::Turn { client } => write!(f, "c{client}: wants something new"),
            Due::Retry { client, operation } => write!(f, "c{client}: tries {operation} again"),
            Due::Detect { node } => write!(f, "n{}: looks after its leaders", node + 1),
            Due::Flush { node } => write!(f, "n{}: flushes", node + 1),
            Due::Fill { node } => write!(f, "n{}: fills up", node + 1),
            Due::CutOff => write!(f, "a leader is cut off from the log, or dies"),
            Due::CutOffFor { node, .. } => write!(f, "n{}: is cut off or dead for long", node + 1),
            Due::Usurp => write!(f, "the node that has lost the last record claims"),
            Due::Probe => write!(f, "a reader probes the node that has lost the last record"),
            Due::Placing(scene) => write!(f, "operator: {scene:?}"),
            Due::RequestArrives(number) => write!(f, "log: request #{number} arrives"),
            Due::BrokerAnswers { node, partition, writer, token, answer } => {
                write!(f, "n{}.p{partition}: producer {writer} try {token}: {answer:?}", node + 1)
            }
            Due::WriterWakes { writer, .. } => write!(f, "producer {writer} wakes"),
            Due::BrokersWake { .. } => write!(f, "log: brokers go on"),
            Due::BrokerMends(mend) => write!(f, "log: {mend:?} comes back"),
            Due::Losing(scene) => write!(f, "log: {scene:?}"),
            Due::HearOrders { node } => write!(f, "n{}: hears who is drained", node + 1),
            Due::Operate => write!(f, "operator: plans a change"),
            Due::Ordered { to, change, .. } => write!(f, "{to}: is ordered {change:?}"),
            Due::AskedToStepDown { to, by } => write!(f, "{to}: {by} asks it to step down"),
            Due::Control => write!(f, "a controller looks"),
            Due::Declare(declaration) => write!(f, "_cluster: {declaration:?}"),
            Due::HearCatalog { node, version } => write!(f, "n{}: folds {version}", node + 1),
            Due::OpenGate { version } => write!(f, "_cluster: the gate opens, by {version}"),
            Due::Start { node } => write!(f, "n{}: starts", node + 1),
            Due::Resume { node, pause } => write!(f, "n{}: goes on after pause {pause}", node + 1),
            Due::Replace { node } => write!(f, "n{}: is looked at by an operator", node + 1),
            Due::Kill { node, process } => write!(f, "n{}: process {process} ends", node + 1),
            Due::Strike(fault) => write!(f, "fault: {fault:?}"),
            Due::Chore(chore) => write!(f, "chore: {chore:?}"),
            Due::Heal => write!(f, "the faults stop"),
            Due::Inspect => write!(f, "inspection"),
        }
    }
}

struct WorkLine<'a>(&'a Work);

impl fmt::Display for WorkLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Work::Apply { job, batch, last } => {
                let (documents, answers) = (batch.documents.len(), batch.remember.len());
                write!(
                    f,
                    "applies up to {last} ({documents} documents, {answers} answers, {job:?})"
                )
            }
            Work::Find { .. }
            | Work::FindBookmark { .. }
            | Work::Hash { .. }
            | Work::Probe(_)
            | Work::Clear(_)
            | Work::Install { .. } => write!(f, "{:?}", self.0),
        }
    }
}

/// An event as a line of the story.
pub(crate) struct EventLine<'a>(pub(crate) &'a Event<Asker>);

impl fmt::Display for EventLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Event::Page(job, Ok(page)) => {
                write!(f, "{job:?} has read {} up to {}", page.entries.len(), page.next.offset)
            }
            Event::Surveyed(job, Ok(survey)) => write!(f, "{job:?} log is {:?}", survey.extent),
            event => write!(f, "{event:?}"),
        }
    }
}
