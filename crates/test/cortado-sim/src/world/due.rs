//! Everything that can become due in a world.

use crate::coverage::Fault;
use crate::documents::AttemptId;
use crate::driver::Ask;
use crate::history::Reply;
use crate::plan::Chore;
use bytes::Bytes;
use cortado_model::{LogOffset, Millis, ReplicaIncarnation};
use cortado_replica::{AppendFailure, AppendToken, Page};
use std::fmt;

/// A replica's driver in one life; what is sent to an earlier one arrives nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Address {
    pub(crate) node: usize,
    pub(crate) partition: usize,
    pub(crate) incarnation: ReplicaIncarnation,
}

/// The closed set of things that happen at a moment.
#[derive(Debug)]
pub(crate) enum Due {
    /// An append reaches the log.
    AppendArrives(u64),
    /// Records reach the log long after they were given up.
    LandsLate { from: Address, records: Vec<Bytes> },
    /// The log's answer reaches the driver.
    AppendAnswer { to: Address, token: AppendToken, answer: Result<LogOffset, AppendFailure> },
    /// A driver's read reaches the log.
    ReadAsk { to: Address, from: LogOffset },
    /// Its records reach the driver.
    ReadAnswer { to: Address, answer: ReadAnswer },
    /// A driver asks for the log's end.
    EndAsk { to: Address },
    /// The end reaches the driver; `None` if the log was out of reach.
    EndAnswer { to: Address, end: Option<LogOffset> },
    /// A driver hears that the log has grown.
    Notice { to: Address },
    /// A replica wanted to be woken.
    Wake { to: Address, at: Millis },
    /// A client's request reaches a node.
    Request { node: usize, partition: usize, ask: Ask },
    /// The answer reaches the client.
    Reply { client: usize, attempt: AttemptId, reply: Reply },
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
    /// A process starts.
    Start { node: usize },
    /// A process is killed if it is of no use any more.
    Replace { node: usize },
    /// A process goes on.
    Resume { node: usize, pause: u64 },
    /// A fault strikes by itself.
    Strike(Fault),
    /// Somebody asks for a chore.
    Chore(Chore),
    /// A snapshot has been copied.
    Snapshot { to: Address, from: Address },
    /// The faults stop.
    Heal,
    /// After the faults: are we there yet?
    Inspect,
}

/// What a read of the log brings.
#[derive(Debug)]
pub(crate) enum ReadAnswer {
    /// Records, in order, and where to go on.
    Page(Page),
    /// The log has forgotten them.
    Trimmed,
    /// The log was out of reach.
    Failed,
}

impl Due {
    /// What distinguishes this from everything else that could have happened now.
    pub(crate) fn facts(&self) -> [u64; 4] {
        let address = |kind: u64, to: &Address, more: u64| {
            let ReplicaIncarnation { node, life } = to.incarnation;
            let life = node.0 << 16 | u64::from(life);
            [kind, (to.node * 64 + to.partition) as u64, life, more]
        };
        match self {
            Due::AppendArrives(number) => [1, *number, 0, 0],
            Due::LandsLate { from, records } => address(2, from, records.len() as u64),
            Due::AppendAnswer { to, token, answer } => {
                address(3, to, token.0 << 8 | u64::from(answer.is_ok()))
            }
            Due::ReadAsk { to, from } => address(4, to, from.0),
            Due::ReadAnswer { to, answer } => match answer {
                ReadAnswer::Page(page) => address(5, to, page.entries.len() as u64),
                ReadAnswer::Trimmed => address(6, to, 0),
                ReadAnswer::Failed => address(7, to, 0),
            },
            Due::EndAsk { to } => address(8, to, 0),
            Due::EndAnswer { to, end } => address(9, to, end.map_or(u64::MAX, |end| end.0)),
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
            Due::Snapshot { to, .. } => address(23, to, 0),
            Due::Replace { node } => [26, *node as u64, 0, 0],
            Due::Heal => [24, 0, 0, 0],
            Due::Inspect => [25, 0, 0, 0],
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "n{}.p{} life {}", self.node + 1, self.partition, self.incarnation)
    }
}

impl fmt::Display for Due {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Due::AppendArrives(number) => write!(f, "log: append #{number} arrives"),
            Due::LandsLate { from, records } => {
                write!(f, "log: {} records of {from} land late", records.len())
            }
            Due::AppendAnswer { to, token, answer } => {
                write!(f, "{to}: append {} is answered {answer:?}", token.0)
            }
            Due::ReadAsk { to, from } => write!(f, "log: {to} reads from {from}"),
            Due::ReadAnswer { to, answer } => match answer {
                ReadAnswer::Page(page) => write!(f, "{to}: has read {}", page.entries.len()),
                ReadAnswer::Trimmed | ReadAnswer::Failed => write!(f, "{to}: read {answer:?}"),
            },
            Due::EndAsk { to } => write!(f, "log: {to} asks for the end"),
            Due::EndAnswer { to, end } => write!(f, "{to}: the log ends at {end:?}"),
            Due::Notice { to } => write!(f, "{to}: the log has grown"),
            Due::Wake { to, at } => write!(f, "{to}: woken for {at:?}"),
            Due::Request { node, partition, ask } => {
                let (client, attempt) = (ask.client, ask.attempt.0);
                write!(f, "n{}.p{partition}: c{client} asks #{attempt} ", node + 1)?;
                write!(f, "{:?}", ask.action)
            }
            Due::Reply { client, attempt, reply } => {
                write!(f, "c{client}: #{} is answered {reply:?}", attempt.0)
            }
            Due::Deadline { client, attempt } => write!(f, "c{client}: deadline of #{}", attempt.0),
            Due::Turn { client } => write!(f, "c{client}: wants something new"),
            Due::Retry { client, operation } => write!(f, "c{client}: tries {operation} again"),
            Due::Detect { node } => write!(f, "n{}: looks after its leaders", node + 1),
            Due::Flush { node } => write!(f, "n{}: flushes", node + 1),
            Due::Start { node } => write!(f, "n{}: starts", node + 1),
            Due::Resume { node, pause } => write!(f, "n{}: goes on after pause {pause}", node + 1),
            Due::Replace { node } => write!(f, "n{}: is looked at by an operator", node + 1),
            Due::Strike(fault) => write!(f, "fault: {fault:?}"),
            Due::Chore(chore) => write!(f, "chore: {chore:?}"),
            Due::Snapshot { to, from } => write!(f, "{to}: snapshot from {from} arrives"),
            Due::Heal => write!(f, "the faults stop"),
            Due::Inspect => write!(f, "inspection"),
        }
    }
}
