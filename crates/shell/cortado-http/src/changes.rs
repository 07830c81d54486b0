//! Change streams: what was committed, in order, as lines or as Server-Sent Events.
//!
//! A stream is a body that is made when hyper asks for it: it has no task of its own, a slow
//! reader slows no other one, and dropping it ends everything. One that is not read holds one page
//! of the log, which takes room in the budget of answers. Its body ends with an error wherever a
//! reader that takes its end for the last change would be wrong. Start reading at [`follow`].

use crate::answer::{Answer, Content, Pieces, Truncated, empty, held};
use crate::budget::{ByteBudget, Reserved};
use crate::call::Call;
use crate::failure::Failure;
use crate::log_budget::LogBudget;
use crate::refusal;
use crate::room::check_room;
use crate::services::{ChangeFeed, Services};
use bytes::Bytes;
use cortado_gateway::{Changes, ChangesError, Committed, Database};
use cortado_model::{Scn, with_causes};
use cortado_wire::media::SSE;
use cortado_wire::{
    Code, JsonText, Position, ShortText, Since, TransactionWriter, headers, write_heartbeat,
};
use http::{HeaderName, HeaderValue, Method, Response, StatusCode, header};
use std::borrow::Cow;
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use std::vec::IntoIter;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};
use tracing::{debug, error, warn};

/// The longest `wait`.
const WAIT_MS_MAX: u64 = 60_000;
/// How much text is made at a time: many small transactions together, or one.
const TEXT_BYTES: usize = 64 << 10;
/// How often a stream looks whether there is room for its page.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// Tells a proxy, nginx among others, to pass on what comes as it comes.
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Opens a stream of one partition's transactions.
pub(crate) async fn follow(call: &Call<'_>, database: &Arc<Database>) -> Result<Answer, Failure> {
    let Some(partition) = call.query.number("partition", 0, u64::from(u32::MAX))? else {
        let detail = "the query parameter partition is required (a number from 0)";
        return Err(Failure::new(Code::BadParameter, detail));
    };
    // Within 32 bits, as just checked.
    let partition = partition as u32;
    if partition >= database.partitions {
        let detail = format!("the database has partitions 0 to {}", database.partitions - 1);
        return Err(Failure::new(Code::NoSuchPartition, detail));
    }
    let since = since(call, partition)?;
    let wait_ms = call.query.number("wait", 0, WAIT_MS_MAX)?.unwrap_or(0);
    let is_sse = call.media_type == SSE;
    let slot = Slot::take(call)?;
    check_room(&call.shared.answers)?;
    let feed = call.services().changes(database, partition, since, call.deadline).await;
    let feed = feed.map_err(|error| of_changes(error, call))?;
    let mut answer = empty(StatusCode::OK);
    if *call.method != Method::HEAD {
        let until = Instant::now() + Duration::from_millis(wait_ms);
        let follower = Follower {
            feed,
            services: Arc::clone(&call.shared.services),
            database: Arc::clone(database),
            partition,
            is_sse,
            until: (!is_sse).then_some(until),
            heartbeat: call.shared.limits.heartbeat_time,
            closing: call.shared.closing.clone(),
            answers: Arc::clone(&call.shared.answers),
            log: Arc::clone(&call.shared.log),
            page: VecDeque::new(),
            room: None,
            _slot: slot,
        };
        answer = Response::new(Content::Stream(Box::new(ChangeStream::new(follower))));
    }
    let fields = answer.headers_mut();
    fields.insert(header::CONTENT_TYPE, HeaderValue::from_static(call.media_type));
    fields.insert(ACCEL_BUFFERING, HeaderValue::from_static("no"));
    fields.insert(headers::SESSION, call.session_header(database, &[]));
    Ok(answer)
}

/// Where to start: behind the last event that a reconnecting reader has seen, or as asked.
fn since(call: &Call<'_>, partition: u32) -> Result<Scn, Failure> {
    let bad = |detail| Failure::new(Code::BadSince, detail);
    // A reader that has seen no event yet may say so with an empty one.
    let text = match call.fields.last_event_id.filter(|value| !value.is_empty()) {
        Some(value) => Some(value.to_str().map_err(|_| bad("Last-Event-ID is not an SCN"))?),
        None => call.query.get("since"),
    };
    let Some(text) = text else { return Ok(Scn::ZERO) };
    let since: Since = text.parse().map_err(|_| {
        bad("invalid SCN: expected partition/generation:sequence or generation:sequence")
    })?;
    match since.partition {
        Some(named) if named != partition => Err(bad("the SCN belongs to a different partition")),
        Some(_) | None => Ok(since.scn),
    }
}

fn of_changes(error: ChangesError, call: &Call<'_>) -> Failure {
    let detail = error.to_string();
    match error {
        ChangesError::NoSuchPartition => Failure::new(Code::NoSuchPartition, detail),
        ChangesError::BeyondEnd { .. } => Failure::new(Code::BadSince, detail),
        ChangesError::Trimmed { .. } => Failure::new(
            Code::ChangesTrimmed,
            "the requested changes were trimmed; read the documents, then follow from now",
        ),
        ChangesError::FormerLife { .. } => Failure::new(
            Code::ChangesTrimmed,
            "the SCN is of a dropped database of this name; read the documents, or follow from the \
             beginning",
        ),
        ChangesError::Unserved(error) => refusal::of_read(error, call.is_late()),
        error @ (ChangesError::Unreadable(_)
        | ChangesError::Stopped(_)
        | ChangesError::FoldUnreadable(_)) => {
            if let Some(left_out) = call.shared.log.admit("change_stream_refused", Instant::now()) {
                error!(error = with_causes(&error), left_out, "change stream not opened");
            }
            Failure::new(Code::Unavailable, "the log cannot be read; retry later")
        }
    }
}

/// One of the streams that may be open at a time.
struct Slot {
    open: Arc<AtomicUsize>,
}

impl Slot {
    fn take(call: &Call<'_>) -> Result<Slot, Failure> {
        let slot = Slot { open: Arc::clone(&call.shared.streams) };
        if slot.open.fetch_add(1, Ordering::Relaxed) >= call.shared.limits.streams_max {
            let detail = "too many open change streams; retry later";
            return Err(Failure::new(Code::TooManyStreams, detail));
        }
        Ok(slot)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

type Told = Result<Option<(Vec<Bytes>, Box<Follower>)>, Truncated>;
type Step = Pin<Box<dyn Future<Output = Told> + Send>>;

/// A body that ends when its reader, its time or the server does.
struct ChangeStream {
    /// What was made last, as far as it has not been taken.
    ready: IntoIter<Bytes>,
    step: Step,
    waits: bool,
}

impl ChangeStream {
    fn new(follower: Follower) -> ChangeStream {
        let waits = follower.until.is_none_or(|until| until > Instant::now());
        let step = Box::pin(Box::new(follower).step());
        ChangeStream { ready: Vec::new().into_iter(), step, waits }
    }
}

impl Pieces for ChangeStream {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Truncated>>> {
        loop {
            if let Some(bytes) = self.ready.next() {
                return Poll::Ready(Some(Ok(bytes)));
            }
            let (pieces, follower) = match ready!(self.step.as_mut().poll(cx)) {
                Ok(Some(told)) => told,
                Ok(None) => return Poll::Ready(None),
                Err(truncated) => return Poll::Ready(Some(Err(truncated))),
            };
            self.ready = pieces.into_iter();
            self.step = Box::pin(follower.step());
        }
    }

    fn waits(&self) -> bool {
        self.waits
    }
}

/// Turns transactions into text.
struct Follower {
    feed: Box<dyn ChangeFeed>,
    services: Arc<dyn Services>,
    database: Arc<Database>,
    partition: u32,
    is_sse: bool,
    /// `None`: open until the client or the server closes it.
    until: Option<Instant>,
    heartbeat: Duration,
    closing: watch::Receiver<bool>,
    answers: Arc<ByteBudget>,
    log: Arc<LogBudget>,
    /// What was read and not told yet.
    page: VecDeque<Committed>,
    /// The room of that page; text that has been made of it holds it, too.
    room: Option<Arc<Reserved>>,
    _slot: Slot,
}

impl Follower {
    /// Waits for the next thing to say; `None` if there will be none.
    ///
    /// # Errors
    /// There would be more, but it cannot be told now.
    async fn step(mut self: Box<Self>) -> Told {
        let mut json = JsonText::default();
        if self.page.is_empty() {
            // The room of an earlier page, or none.
            self.room = None;
            if !self.look(&mut json).await? {
                return Ok(None);
            }
        }
        while json.len() < TEXT_BYTES
            && let Some(committed) = self.page.pop_front()
        {
            self.transaction(&committed, &mut json);
        }
        let pieces = json.into_pieces().into_iter();
        let pieces = match &self.room {
            Some(room) => pieces.map(|piece| held(piece, Arc::clone(room))).collect(),
            None => pieces.collect(),
        };
        Ok(Some((pieces, self)))
    }

    /// Waits for the next page, or writes a heartbeat; false if the stream is to end.
    async fn look(&mut self, json: &mut JsonText) -> Result<bool, Truncated> {
        let next_heartbeat = Instant::now() + self.heartbeat;
        let wait_until = self.until.map_or(next_heartbeat, |until| until.min(next_heartbeat));
        let changes = tokio::select! {
            biased;
            _ = self.closing.wait_for(|closing| *closing) => None,
            // Nothing will ever come of it.
            () = self.services.dropped(&self.database) => None,
            changes = self.feed.next(wait_until) => Some(changes),
        };
        let Some(changes) = changes else { return self.ended_from_outside().await };
        match changes {
            Ok(Changes::Transactions(transactions)) => {
                self.take(transactions, next_heartbeat).await
            }
            Ok(Changes::CaughtUp { .. }) if self.until.is_some_and(|t| t <= Instant::now()) => {
                Ok(false)
            }
            Ok(Changes::CaughtUp { applied }) => {
                let applied = Position { partition: self.partition, scn: applied };
                json.raw(if self.is_sse { b": " } else { b"" });
                write_heartbeat(json, applied);
                json.raw(if self.is_sse { b"\n\n" } else { b"\n" });
                Ok(true)
            }
            // A reader that comes again is told why.
            Err(error) => {
                let partition = self.database.partition_id(self.partition);
                if let Some(left_out) = self.log.admit("change_stream_ended", Instant::now()) {
                    let error = with_causes(&error);
                    warn!(%partition, error, left_out, "change stream ended by an error");
                }
                Err(Truncated)
            }
        }
    }

    /// The server closes, or the database is gone. Readers of events come again after every end; to
    /// readers of lines the end of the body says that nothing is left.
    async fn ended_from_outside(&mut self) -> Result<bool, Truncated> {
        let is_whole = self.is_sse
            || matches!(self.feed.next(Instant::now()).await, Ok(Changes::CaughtUp { .. }));
        if is_whole { Ok(false) } else { Err(Truncated) }
    }

    /// Keeps a page once there is room for it. Waits no longer than until the next heartbeat is
    /// due: beyond that a reader takes the server for dead, and one that comes again is told.
    async fn take(
        &mut self,
        transactions: Vec<Committed>,
        next_heartbeat: Instant,
    ) -> Result<bool, Truncated> {
        let changes = transactions.iter().flat_map(|committed| &committed.transaction.changes);
        let documents = changes.filter_map(|change| change.document.as_ref());
        let documents: Vec<Bytes> = documents.map(|document| document.json()).collect();
        let room = async {
            loop {
                if let Some(room) = self.answers.reserve_buffers(&documents) {
                    return room;
                }
                sleep(LOOK_AGAIN).await;
            }
        };
        let room = tokio::select! {
            biased;
            _ = self.closing.wait_for(|closing| *closing) => None,
            room = timeout_at(next_heartbeat, room) => room.ok(),
        };
        let Some(room) = room else {
            debug!("change stream broken off: no room for what there is to tell");
            return Err(Truncated);
        };
        self.room = Some(Arc::new(room));
        self.page = transactions.into();
        Ok(true)
    }

    fn transaction(&mut self, committed: &Committed, json: &mut JsonText) {
        let position = Position { partition: self.partition, scn: committed.scn };
        if self.is_sse {
            let id = ShortText::of_position(position);
            json.raw(b"id: ").raw(id.as_bytes()).raw(b"\ndata: ");
        }
        let mut writer = TransactionWriter::begin(json, position, committed.time);
        for change in &committed.transaction.changes {
            let table = self.table_name(change.table);
            match &change.document {
                Some(document) => {
                    let etag = document.head.etag;
                    writer.put(&table, &change.key, etag, &document.json());
                }
                None => writer.delete(&table, &change.key),
            }
        }
        writer.finish();
        json.raw(if self.is_sse { b"\n\n" } else { b"\n" });
    }

    /// The name of a table, even of one that was created after the stream, or dropped.
    fn table_name(&mut self, table: cortado_model::TableId) -> Cow<'static, str> {
        if self.database.table_by_id(table).is_none() {
            let catalog = self.services.catalog();
            let now = catalog.database(&self.database.name);
            if let Some(now) = now.filter(|now| now.id == self.database.id) {
                self.database = Arc::clone(now);
            }
        }
        match self.database.table_by_id(table) {
            Some(table) => Cow::Owned(table.name.clone()),
            None => Cow::Borrowed(""),
        }
    }
}
