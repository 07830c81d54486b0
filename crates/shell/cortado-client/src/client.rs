//! The client: one server, one pool of connections, one set of timeouts.
//!
//! Start reading at [`Client`].

use crate::address::ServerAddress;
use crate::failure::{AttemptError, ClientError};
use crate::path::encoded;
use crate::retry::{FailedAttempt, Next, Repeat, is_last_word, next};
use crate::transport::{Answer, Flowing, Outgoing, SendError, Transport};
use cortado_wire::{Outcome, headers};
use http::{HeaderName, HeaderValue, Method};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// A server of Cortado. Cheap to clone; clones share their connections.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use cortado_client::{Client, ReadOptions, WriteOptions};
///
/// let places = Client::new("http://127.0.0.1:7171".parse()?).database("geo").table("place");
/// places.put(&["JP", "40", "Kitakyushu"], r#"{"lat":33.85}"#, &WriteOptions::default()).await?;
/// let found = places.get(&["JP", "40", "Kitakyushu"], &ReadOptions::default()).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Client {
    transport: Arc<Transport>,
    timeouts: Timeouts,
    refused_max: Option<Duration>,
    tell: Option<fn(&str)>,
}

/// How long a call and its attempts may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// How long one call may take in all, its repetitions included.
    pub whole: Duration,
    /// How long one attempt may take, and what the server is told about it.
    pub attempt: Duration,
}

impl Default for Timeouts {
    /// 15 s in all, which outlasts a failover, of attempts of up to 10 s, as the server's own.
    fn default() -> Timeouts {
        Timeouts { whole: Duration::from_secs(15), attempt: Duration::from_secs(10) }
    }
}

/// The server answers late rather than never: we wait this much longer than it was told to take,
/// since its own "not done" is worth more than our "unknown".
const GRACE: Duration = Duration::from_millis(500);

impl Client {
    /// A client of `server`. Connects when the first request is sent.
    pub fn new(server: ServerAddress) -> Client {
        let (transport, timeouts) = (Arc::new(Transport::new(server)), Timeouts::default());
        Client { transport, timeouts, refused_max: None, tell: None }
    }

    /// The same server and connections with other timeouts.
    pub fn with_timeouts(&self, timeouts: Timeouts) -> Client {
        Client { timeouts, ..self.clone() }
    }

    /// The same, but a call ends after `refused_max` if the server's address is of this machine,
    /// refuses connections, and has never answered: then no server runs. A server that has answered
    /// before may be restarting, and is tried as long as any other.
    pub fn with_refused_max(&self, refused_max: Duration) -> Client {
        Client { refused_max: Some(refused_max), ..self.clone() }
    }

    /// The same, and `tell` is called with the last error of a call that has been retried for more
    /// than a second; once for each call.
    pub fn on_retry(&self, tell: fn(&str)) -> Client {
        Client { tell: Some(tell), ..self.clone() }
    }

    /// The server that was given.
    pub fn server(&self) -> &ServerAddress {
        self.transport.server()
    }

    pub(crate) fn timeouts(&self) -> Timeouts {
        self.timeouts
    }

    /// The database `name`, which need not exist yet.
    pub fn database(&self, name: &str) -> Database {
        Database { client: self.clone(), name: name.to_owned() }
    }

    /// Sends `call`, again and again while that is useful and safe, and answers a success.
    pub(crate) async fn send(&self, call: &Call) -> Result<Answer, ClientError> {
        self.send_again(call).await.map(|(answer, _)| answer)
    }

    /// The same; answers, too, whether an attempt before that one may have taken effect.
    pub(crate) async fn send_again(&self, call: &Call) -> Result<(Answer, Outcome), ClientError> {
        let mut tries = Tries::of(self);
        loop {
            let (outgoing, deadline) = tries.begin(&call.outgoing);
            let failed = match self.transport.send(&outgoing, deadline).await {
                Ok(answer) if answer.status.is_success() => return Ok((answer, tries.open)),
                Ok(answer) => FailedAttempt::from_answer(&answer),
                Err(error) => FailedAttempt::from_send(error),
            };
            tries.pause_or_stop(self, failed.of(call.repeat), call.repeat).await?;
        }
    }

    /// Sends `call` and answers as soon as a success begins, without reading its body.
    pub(crate) async fn open(&self, call: &Call) -> Result<Flowing, ClientError> {
        let mut tries = Tries::of(self);
        loop {
            let (_, deadline) = tries.begin(&call.outgoing);
            let failed = match self.transport.open(&call.outgoing, deadline).await {
                Ok(flowing) if flowing.status.is_success() => return Ok(flowing),
                Ok(flowing) => match self.rest_of(flowing, deadline).await {
                    Ok(answer) => FailedAttempt::from_answer(&answer),
                    Err(error) => FailedAttempt::from_send(error),
                },
                Err(error) => FailedAttempt::from_send(error),
            };
            tries.pause_or_stop(self, failed.of(call.repeat), call.repeat).await?;
        }
    }

    /// How long a call that met `failed` may take in all.
    fn patience(&self, failed: &FailedAttempt) -> Duration {
        let whole = self.timeouts.whole;
        match self.refused_max {
            Some(max) if failed.is_refused_here && !self.transport.has_answered() => whole.min(max),
            Some(_) | None => whole,
        }
    }

    async fn rest_of(&self, flowing: Flowing, deadline: Instant) -> Result<Answer, SendError> {
        self.transport.collect(flowing, Instant::now(), deadline).await
    }
}

/// One database of a server.
#[derive(Clone, Debug)]
pub struct Database {
    pub(crate) client: Client,
    pub(crate) name: String,
}

impl Database {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `/v1/{database}` followed by `rest`.
    pub(crate) fn path(&self, rest: &str) -> String {
        format!("/v1/{}{rest}", encoded(&self.name))
    }
}

/// A request, and what may be done with it.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    outgoing: Outgoing,
    repeat: Repeat,
}

impl Call {
    pub(crate) fn new(method: Method, path: String, repeat: Repeat) -> Call {
        let headers = http::HeaderMap::new();
        let outgoing = Outgoing { method, path, headers, body: bytes::Bytes::new() };
        Call { outgoing, repeat }
    }

    pub(crate) fn get(path: String) -> Call {
        Call::new(Method::GET, path, Repeat::Nothing)
    }

    pub(crate) fn body(mut self, media_type: &'static str, body: bytes::Bytes) -> Call {
        let media_type = HeaderValue::from_static(media_type);
        self.outgoing.headers.insert(http::header::CONTENT_TYPE, media_type);
        self.outgoing.body = body;
        self
    }

    /// Adds a header field.
    ///
    /// # Errors
    /// `value` holds what no header field can.
    pub(crate) fn header(mut self, name: HeaderName, value: &str) -> Result<Call, ClientError> {
        let value = HeaderValue::from_str(value).map_err(|_| ClientError::Misuse {
            why: format!("invalid value of the header {name}: control characters are not allowed"),
        })?;
        self.outgoing.headers.insert(name, value);
        Ok(self)
    }
}

/// How long a call may fail in silence: a failover is often over by then.
const TOLD_AFTER: Duration = Duration::from_secs(1);

/// The attempts of one call so far.
struct Tries {
    timeouts: Timeouts,
    /// Called once it takes longer; taken by that call.
    tell: Option<fn(&str)>,
    begun: Instant,
    attempts: u32,
    /// Whether one of them may have taken effect.
    open: Outcome,
}

impl Tries {
    fn of(client: &Client) -> Tries {
        let Client { timeouts, tell, .. } = *client;
        Tries { timeouts, tell, begun: Instant::now(), attempts: 0, open: Outcome::None }
    }

    fn left(&self) -> Duration {
        self.timeouts.whole.saturating_sub(self.begun.elapsed())
    }

    /// The next attempt's request, which tells the server how long it may take, and our deadline.
    fn begin(&mut self, outgoing: &Outgoing) -> (Outgoing, Instant) {
        self.attempts += 1;
        let attempt = self.left().min(self.timeouts.attempt).max(Duration::from_millis(1));
        let mut outgoing = outgoing.clone();
        let attempt_ms = u64::try_from(attempt.as_millis()).unwrap_or(u64::MAX);
        outgoing.headers.insert(headers::DEADLINE_MS, HeaderValue::from(attempt_ms));
        (outgoing, Instant::now() + attempt + GRACE)
    }

    /// Waits until the next attempt is due.
    ///
    /// # Errors
    /// There is no next attempt.
    async fn pause_or_stop(
        &mut self,
        client: &Client,
        failed: FailedAttempt,
        repeat: Repeat,
    ) -> Result<(), ClientError> {
        let left = client.patience(&failed).saturating_sub(self.begun.elapsed());
        let left_ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
        match next(&failed, repeat, self.attempts, fastrand::f64(), left_ms) {
            Next::Again { pause_ms } => {
                if failed.outcome == Outcome::Unknown {
                    self.open = Outcome::Unknown;
                }
                if self.begun.elapsed() >= TOLD_AFTER
                    && let Some(tell) = self.tell.take()
                {
                    tell(&failed.met.to_string());
                }
                sleep(Duration::from_millis(pause_ms)).await;
                Ok(())
            }
            Next::Stop => Err(self.give_up(failed, repeat)),
        }
    }

    fn give_up(&self, failed: FailedAttempt, repeat: Repeat) -> ClientError {
        let waited_ms = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let attempts = self.attempts;
        let FailedAttempt { outcome, met: last, is_transient, .. } = failed;
        // Without a key, the last word may be about what an attempt before has done.
        let is_last_word = last.problem().is_some_and(|problem| is_last_word(problem.status));
        let is_settled =
            self.open == Outcome::None || (repeat == Repeat::Remembered && is_last_word);
        match (outcome, last) {
            (Outcome::None, AttemptError::Problem(problem)) if !is_transient && is_settled => {
                ClientError::Refused(problem)
            }
            (Outcome::None, AttemptError::Transport(error)) if !is_transient => {
                ClientError::Misuse { why: error.to_string() }
            }
            (Outcome::None, last) if self.open == Outcome::None => {
                ClientError::Unavailable { waited_ms, attempts, last }
            }
            (_, last) => ClientError::Unknown { waited_ms, attempts, last },
        }
    }
}
