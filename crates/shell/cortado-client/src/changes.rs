//! The committed transactions of one partition, in order, resumed after every interruption.
//!
//! Start reading at [`Changes`].

use crate::address::ServerAddress;
use crate::batches::parsed;
use crate::client::{Call, Client, Database};
use crate::failure::{AttemptError, ClientError};
use crate::path::encoded;
use crate::transport::Flowing;
use cortado_model::Scn;
use cortado_wire::{ChangeLine, media};
use http::header;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use std::error::Error;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// How a change stream ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follow {
    /// At what is committed now.
    UntilCaughtUp,
    /// Never.
    Forever,
}

/// How long one request of an endless stream stays open: the most that the server allows.
const WAIT_MS: u64 = 60_000;
/// The server shows a sign of life every 10 s; after this long without one it is gone.
const SILENCE_MAX: Duration = Duration::from_secs(25);
/// Between two streams, when the first one broke.
const PAUSE: Duration = Duration::from_millis(50);
/// A line holds one transaction with whole values, which a request's body bounds at 8 MiB; escaping
/// and the other members can make it longer.
const LINE_BYTES_MAX: usize = 64 << 20;

impl Database {
    /// The transactions of `partition` after `since`; `Scn::ZERO`: from the beginning.
    pub fn changes(&self, partition: u32, since: Scn, follow: Follow) -> Changes {
        let path = self.path(&format!(":changes?partition={partition}"));
        let client = self.client.clone();
        Changes { client, path, since, follow, stream: None, broken: None, avoided: None }
    }
}

/// A change stream. Reconnects by itself, without a gap or a repetition; where there are several
/// servers, to another one if a stream has broken.
#[derive(Debug)]
pub struct Changes {
    client: Client,
    path: String,
    /// The last transaction that was given to the caller.
    since: Scn,
    follow: Follow,
    stream: Option<Stream>,
    /// Since when every stream has broken before its first line, and how many have.
    broken: Option<(Instant, u32)>,
    /// Whose stream broke last.
    avoided: Option<ServerAddress>,
}

impl Changes {
    /// The SCN of the last transaction that was given; where another reader would go on.
    pub fn position(&self) -> Scn {
        self.since
    }

    /// The next line: a transaction, or a heartbeat. `None` at the end, if the stream has one.
    ///
    /// # Errors
    /// The server refuses the stream (`changes_trimmed`: read the state first), or for longer than
    /// a whole call may take cannot be reached or breaks off every stream before its first line;
    /// the same call again goes on from the same position.
    pub async fn next(&mut self) -> Result<Option<ChangeLine>, ClientError> {
        loop {
            let stream = match &mut self.stream {
                Some(stream) => stream,
                None => {
                    let opened = self.open().await?;
                    self.stream.insert(opened)
                }
            };
            match stream.line().await {
                Ok(Some(line)) => {
                    self.broken = None;
                    let line = read_line(&line)?;
                    if let Some(position) = line.scn {
                        self.since = position.scn;
                    }
                    return Ok(Some(line));
                }
                Ok(None) if self.follow == Follow::UntilCaughtUp => return Ok(None),
                // It ran for its time: the next request goes on behind the last line.
                Ok(None) => self.stream = None,
                Err(Broken(error)) => {
                    let server = stream.server.clone();
                    self.stream = None;
                    self.pause_or_stop(server, error).await?;
                }
            }
        }
    }

    /// Waits until the next stream may be asked for.
    ///
    /// # Errors
    /// None has brought anything for too long.
    async fn pause_or_stop(
        &mut self,
        server: ServerAddress,
        error: StreamError,
    ) -> Result<(), ClientError> {
        self.avoided = Some(server.clone());
        let (since, attempts) = self.broken.unwrap_or_else(|| (Instant::now(), 0));
        let (attempts, waited) = (attempts.saturating_add(1), since.elapsed());
        if waited >= self.client.timeouts().whole {
            self.broken = None;
            let waited_ms = u64::try_from(waited.as_millis()).unwrap_or(u64::MAX);
            let last = AttemptError::Transport(match self.client.servers().are_several() {
                true => format!("the change stream of {server} broke: {error}").into(),
                false => error,
            });
            return Err(ClientError::Unavailable { waited_ms, attempts, last });
        }
        self.broken = Some((since, attempts));
        sleep(PAUSE).await;
        Ok(())
    }

    async fn open(&mut self) -> Result<Stream, ClientError> {
        let wait = match self.follow {
            Follow::UntilCaughtUp => String::new(),
            Follow::Forever => format!("&wait={WAIT_MS}"),
        };
        let since = encoded(&self.since.to_string());
        let call = Call::get(format!("{}&since={since}{wait}", self.path));
        let call = call.header(header::ACCEPT, media::NDJSON)?;
        let flowing = self.client.open(&call, self.avoided.take()).await?;
        let Flowing { server, body, .. } = flowing;
        Ok(Stream { server, body, buffer: Vec::new(), searched: 0 })
    }
}

fn read_line(line: &[u8]) -> Result<ChangeLine, ClientError> {
    parsed(line)
}

type StreamError = Box<dyn Error + Send + Sync>;

/// The stream ended where it must not.
#[derive(Debug)]
struct Broken(StreamError);

/// One response's body, cut into lines.
#[derive(Debug)]
struct Stream {
    /// Whose it is.
    server: ServerAddress,
    body: Incoming,
    buffer: Vec<u8>,
    /// The bytes of `buffer` that are known to hold no line end.
    searched: usize,
}

impl Stream {
    /// The next whole line, without its end; `None` if the body ended after a whole line.
    async fn line(&mut self) -> Result<Option<Vec<u8>>, Broken> {
        loop {
            let found = self.buffer[self.searched..].iter().position(|byte| *byte == b'\n');
            if let Some(at) = found {
                let mut line: Vec<u8> = self.buffer.drain(..=self.searched + at).collect();
                self.searched = 0;
                line.pop();
                if !line.is_empty() {
                    return Ok(Some(line));
                }
                continue;
            }
            self.searched = self.buffer.len();
            let frame = timeout(SILENCE_MAX, self.body.frame()).await;
            let frame = frame.map_err(|silence| Broken(silence.into()))?;
            match frame {
                Some(Ok(frame)) => {
                    if let Some(bytes) = frame.data_ref() {
                        self.buffer.extend_from_slice(bytes);
                    }
                }
                Some(Err(error)) => return Err(Broken(error.into())),
                None if self.buffer.is_empty() => return Ok(None),
                None => return Err(Broken("the stream ended within a line".into())),
            }
            if self.buffer.len() > LINE_BYTES_MAX {
                return Err(Broken("a line of the stream is too long".into()));
            }
        }
    }
}
