//! One request from its head to its answer.
//!
//! Checks everything that does not depend on the route, finds the route, runs its handler behind a
//! wall that no panic passes, and tidies up the answer. Start reading at [`Api::answer`].

use crate::admin;
use crate::answer::{self, Answer, AnswerBody};
use crate::body::{self, BodyBudget, ReceivedBody};
use crate::call::{Call, Target, identity_of};
use crate::changes;
use crate::failure::Failure;
use crate::fields::Fields;
use crate::guard::InFlight;
use crate::hosts::{self, Hosts};
use crate::limits::Limits;
use crate::media;
use crate::metrics::Metrics;
use crate::path::Segments;
use crate::query::Query;
use crate::request_id::RequestId;
use crate::route::{Captures, Handler, Place, Router, index_of};
use crate::routes::ROUTES;
use crate::{batch, documents, lists, operations, transaction};
use cortado_metrics::Registry;
use cortado_model::limits::URI_BYTES_MAX;
use cortado_node::Gateway;
use cortado_wire::{Code, Outcome, Session, encode_session, headers};
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode, Version, header};
use hyper::body::{Body, Incoming};
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::task::Poll;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{debug, error, warn};

/// What all requests of a listener share.
pub(crate) struct Api {
    gateway: Gateway,
    limits: Limits,
    dev: bool,
    hosts: Hosts,
    closing: watch::Receiver<bool>,
    registry: Arc<Registry>,
    metrics: Metrics,
    connections: AtomicUsize,
    bodies: BodyBudget,
    streams: Arc<AtomicUsize>,
    process_tag: u64,
}

impl Api {
    pub(crate) fn new(
        gateway: Gateway,
        registry: Arc<Registry>,
        limits: Limits,
        dev: bool,
        hosts: Hosts,
        closing: watch::Receiver<bool>,
    ) -> Api {
        let bodies = BodyBudget::new(limits.bodies_bytes_max);
        // Only tells requests of different processes apart in logs.
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let metrics = Metrics::register(&registry);
        Api {
            gateway,
            registry,
            metrics,
            limits,
            dev,
            hosts,
            closing,
            connections: AtomicUsize::new(0),
            bodies,
            streams: Arc::new(AtomicUsize::new(0)),
            process_tag: since_1970.as_secs(),
        }
    }

    pub(crate) fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Whether nodes may be killed and started by request.
    pub(crate) fn dev(&self) -> bool {
        self.dev
    }

    /// Turns true when the server begins to close.
    pub(crate) fn closing(&self) -> watch::Receiver<bool> {
        self.closing.clone()
    }

    /// Change streams that are open now.
    pub(crate) fn streams(&self) -> &Arc<AtomicUsize> {
        &self.streams
    }

    /// Connections that are open now.
    pub(crate) fn connections(&self) -> &AtomicUsize {
        &self.connections
    }

    /// Memory of bodies that are being received.
    pub(crate) fn bodies(&self) -> &BodyBudget {
        &self.bodies
    }

    /// A number that no other process of this cluster is likely to have.
    pub(crate) fn process_tag(&self) -> u64 {
        self.process_tag
    }

    /// Everything that this process counts and shows.
    pub(crate) fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// What this listener counts.
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Answers one request. Never fails, and never panics.
    pub(crate) async fn answer(
        &self,
        request: http::Request<Incoming>,
        id: RequestId,
        in_flight: InFlight,
    ) -> Response<AnswerBody> {
        let arrived = Instant::now();
        let (parts, body) = request.into_parts();
        let mut seen = Seen {
            route: None,
            database: None,
            writes: changes_something(&parts.method),
            unread: !body.is_end_stream(),
        };
        let outcome = self.handle(&parts, body, arrived, &mut seen).await;
        let mut answer = outcome.unwrap_or_else(|failure| self.refuse(failure, &parts, id, &seen));
        if parts.method == Method::HEAD {
            answer::strip_for_head(&mut answer);
        }
        let (status, took) = (answer.status(), arrived.elapsed());
        self.metrics.count(seen.route, status, took);
        let name = seen.route.map_or("none", |route| ROUTES[route].description.id);
        debug!(%id, route = name, status = status.as_u16(), ?took, "answered");
        answer.map(|content| AnswerBody::new(content, in_flight))
    }

    async fn handle(
        &self,
        parts: &Parts,
        body: Incoming,
        arrived: Instant,
        seen: &mut Seen,
    ) -> Result<Answer, Failure> {
        check_method(parts)?;
        if parts.uri.path_and_query().map_or(0, |uri| uri.as_str().len()) > URI_BYTES_MAX {
            return Err(Failure::new(Code::UriTooLong, "path and query have at most 8 KiB"));
        }
        let fields = Fields::read(&parts.headers)?;
        self.check_host(parts, fields.host)?;
        if parts.method == Method::OPTIONS && parts.uri.path() == "*" {
            return Ok(answer::empty(StatusCode::NO_CONTENT));
        }
        let segments = Segments::parse(parts.uri.path())?;
        let (place, captures) = find_place(&segments)?;
        let catalog = self.gateway.catalog();
        let target = Target::resolve(&catalog, captures, &segments);
        if parts.method == Method::OPTIONS {
            let mut answer = answer::empty(StatusCode::NO_CONTENT);
            let allow = if names_many(&target) { ALLOW_READS_OPTIONS } else { place.allow() };
            answer.headers_mut().insert(header::ALLOW, allow);
            return Ok(answer);
        }
        let Some(route) = place.route(&parts.method) else {
            let allow = if names_many(&target) { ALLOW_READS } else { place.allow() };
            return Err(not_allowed(allow));
        };
        seen.set(route);
        let known = || catalog.database(captures.database).map(|database| identity_of(database));
        let target = target.inspect_err(|_| seen.database = known())?;
        seen.database = target.database_identity();
        let route = refine(route, &target)?;
        seen.set(route);
        let description = &ROUTES[route].description;
        let (patience, patience_given) = fields.patience()?;
        // To be understood on every route, whether or not they have an effect there.
        fields.consistency()?;
        fields.condition()?;
        let call = Call {
            api: self,
            method: &parts.method,
            captures,
            query: Query::parse(parts.uri.query(), description.parameters)?,
            media_type: check_accept(&fields, route)?,
            session: fields.session()?,
            deadline: arrived + patience,
            patience_given,
            target,
            fields,
        };
        call.check_session()?;
        let patience = self.limits.body_time;
        let wanted = description.body;
        let body = body::read(body, &call.fields, wanted, &self.bodies, patience).await?;
        seen.unread = false;
        let done = catch_panic(call.run(ROUTES[route].handler, body)).await;
        done.map_err(|failure| if call.is_late() { failure.into_late() } else { failure })
    }

    /// Turns a failure into an answer, and tells people about those that are the server's fault.
    fn refuse(&self, failure: Failure, parts: &Parts, id: RequestId, seen: &Seen) -> Answer {
        let mut failure = failure;
        if seen.writes {
            failure = failure.with_outcome(Outcome::None);
        }
        if let Some(session) = session_of_refused(parts, seen) {
            failure = failure.with_header(headers::SESSION, session);
        }
        // What is left of the request would have to be read before the next one.
        if seen.unread && parts.version < Version::HTTP_2 {
            failure = failure.with_header(header::CONNECTION, HeaderValue::from_static("close"));
        }
        let name = seen.route.map_or("none", |route| ROUTES[route].description.id);
        let (status, code) = (failure.status(), failure.code());
        if code == Code::Internal {
            error!(%id, route = name, detail = failure.detail(), "a request met a defect");
        } else if status.is_server_error() && code != Code::UnknownMethod {
            warn!(%id, route = name, %code, detail = failure.detail(), "a request was not done");
        }
        failure.into_answer(id)
    }

    fn check_host(&self, parts: &Parts, host: Option<&HeaderValue>) -> Result<(), Failure> {
        let bad = |detail| Err(Failure::new(Code::BadRequest, detail));
        let named = host.map(HeaderValue::to_str).transpose();
        let Ok(named) = named else { return bad("the Host header is not well-formed") };
        let authority = parts.uri.authority().map(http::uri::Authority::as_str);
        let authority = match (parts.version, authority, named) {
            (Version::HTTP_11, _, None) => return bad("the Host header is missing"),
            (_, Some(authority), Some(named)) if !authority.eq_ignore_ascii_case(named) => {
                return Err(wrong_host());
            }
            (_, Some(authority), _) => authority,
            (_, None, Some(named)) => named,
            // HTTP/1.0 knows no Host, and no browser speaks it.
            (_, None, None) => return Ok(()),
        };
        if !hosts::is_well_formed(authority) {
            return bad("the request names no well-formed host");
        }
        if self.hosts.allows(authority) { Ok(()) } else { Err(wrong_host()) }
    }
}

/// What is known about a request while it is handled.
struct Seen {
    /// Index in the table of routes.
    route: Option<usize>,
    /// Identity of the database, once it is known.
    database: Option<u64>,
    /// Whether an error must say what became of the write.
    writes: bool,
    /// Whether a body may still be on its way.
    unread: bool,
}

impl Seen {
    fn set(&mut self, route: usize) {
        self.route = Some(route);
        self.writes = ROUTES[route].writes;
    }
}

impl Call<'_> {
    async fn run(&self, handler: Handler, body: ReceivedBody) -> Result<Answer, Failure> {
        match handler {
            Handler::GetDocument => documents::get(self).await,
            Handler::ListCollection => lists::collection(self).await,
            Handler::PutDocument => documents::put(self, body).await,
            Handler::PatchDocument => documents::patch(self, body).await,
            Handler::DeleteDocument => documents::delete(self, body).await,
            Handler::ScanTable => lists::table(self).await,
            Handler::BatchGet => batch::get(self, body).await,
            Handler::Transact => transaction::transact(self, body).await,
            Handler::Changes => changes::follow(self).await,
            Handler::ListDatabases => admin::list_databases(self),
            Handler::GetDatabase => admin::get_database(self),
            Handler::PutDatabase => admin::put_database(self, body).await,
            Handler::DropDatabase => admin::drop_database(self).await,
            Handler::ListTables => admin::list_tables(self),
            Handler::GetTable => admin::get_table(self),
            Handler::PutTable => admin::put_table(self, body).await,
            Handler::DropTable => admin::drop_table(self).await,
            Handler::ListPartitions => admin::list_partitions(self),
            Handler::HandOff => admin::hand_off(self, body).await,
            Handler::ListNodes => admin::list_nodes(self),
            Handler::KillNode => admin::kill_node(self).await,
            Handler::StartNode => admin::start_node(self).await,
            Handler::ListEvents => admin::list_events(self).await,
            Handler::GetCluster => admin::get_cluster(self),
            Handler::Landing => Ok(operations::landing()),
            Handler::Healthz => Ok(operations::healthz()),
            Handler::Readyz => operations::readyz(self),
            Handler::Metrics => operations::metrics(self).await,
            Handler::OpenApi => Ok(operations::openapi()),
        }
    }
}

/// Lets a handler's panic become an error, told loudly: whatever it was doing may be half done.
async fn catch_panic(
    handler: impl Future<Output = Result<Answer, Failure>>,
) -> Result<Answer, Failure> {
    let mut handler = pin!(handler);
    poll_fn(|cx| {
        // Nothing that a handler has borrowed is used again after a panic.
        let polled = catch_unwind(AssertUnwindSafe(|| handler.as_mut().poll(cx)));
        polled.unwrap_or_else(|_| {
            let detail = "the server met a defect while it handled the request";
            let failure = Failure::new(Code::Internal, detail);
            Poll::Ready(Err(failure.with_outcome(Outcome::Unknown)))
        })
    })
    .await
}

/// What the client has seen does not change by a refusal.
fn session_of_refused(parts: &Parts, seen: &Seen) -> Option<HeaderValue> {
    let sent = parts.headers.get(headers::SESSION);
    if let Some(sent) = sent.filter(|sent| Session::parse(sent.as_bytes()).is_ok()) {
        return Some(sent.clone());
    }
    let nothing = encode_session(seen.database?, &[]);
    Some(HeaderValue::try_from(nothing).expect("base64 is visible ASCII"))
}

fn changes_something(method: &Method) -> bool {
    [Method::PUT, Method::POST, Method::PATCH, Method::DELETE].contains(method)
}

fn check_method(parts: &Parts) -> Result<(), Failure> {
    const KNOWN: [Method; 9] = [
        Method::GET,
        Method::HEAD,
        Method::PUT,
        Method::POST,
        Method::PATCH,
        Method::DELETE,
        Method::OPTIONS,
        Method::TRACE,
        Method::CONNECT,
    ];
    if !KNOWN.contains(&parts.method) {
        return Err(Failure::new(Code::UnknownMethod, "this method is not known here"));
    }
    if parts.method == Method::CONNECT {
        return Err(not_allowed(HeaderValue::from_static("GET, HEAD, OPTIONS")));
    }
    Ok(())
}

fn find_place<'s>(segments: &'s Segments<'s>) -> Result<(&'static Place, Captures<'s>), Failure> {
    Router::get().find(segments.as_slice()).ok_or_else(|| {
        let detail = "no route has this path; GET /openapi.json lists all of them";
        Failure::new(Code::NoSuchRoute, detail)
    })
}

/// What a path with too few parts of a key allows: it names many documents.
const ALLOW_READS: HeaderValue = HeaderValue::from_static("GET, HEAD");
const ALLOW_READS_OPTIONS: HeaderValue = HeaderValue::from_static("GET, HEAD, OPTIONS");

fn names_many(target: &Result<Target<'_>, Failure>) -> bool {
    target.as_ref().is_ok_and(Target::names_many)
}

/// The route of a path that names a collection rather than a document.
fn refine(route: usize, target: &Target<'_>) -> Result<usize, Failure> {
    if !target.is_collection() {
        return Ok(route);
    }
    match ROUTES[route].handler {
        Handler::GetDocument => Ok(index_of(Handler::ListCollection)),
        _ => Err(Failure::new(
            Code::MethodNotAllowed,
            "the path has fewer parts than the table's key: it names a collection",
        )
        .with_header(header::ALLOW, ALLOW_READS)),
    }
}

/// Which of the route's media types the client likes best; the first one among equals.
fn check_accept(fields: &Fields<'_>, route: usize) -> Result<&'static str, Failure> {
    let answers = ROUTES[route].description.answers.iter();
    let mut media = answers.flat_map(|answer| answer.media).map(|(media_type, _)| *media_type);
    let first = media.clone().next().unwrap_or_default();
    let accept = match fields.accept.get() {
        None | Some(b"*/*" | b"") => return Ok(first),
        Some(_) if first.is_empty() => return Ok(first),
        Some(accept) => accept,
    };
    let best = media.try_fold((0, ""), |best, media_type| {
        let quality = media::accepted(accept, media_type);
        Some(if quality > best.0 { (quality, media_type) } else { best })
    });
    match best {
        Some((quality, media_type)) if quality > 0 => Ok(media_type),
        Some(_) | None => {
            let answers = ROUTES[route].description.answers.iter();
            let media: Vec<&str> = answers.flat_map(|a| a.media).map(|(name, _)| *name).collect();
            let detail = format!("this route answers with {}", media.join(" or "));
            Err(Failure::new(Code::NotAcceptable, detail))
        }
    }
}

fn not_allowed(allow: HeaderValue) -> Failure {
    Failure::new(Code::MethodNotAllowed, "this path does not know the method")
        .with_header(header::ALLOW, allow)
}

fn wrong_host() -> Failure {
    let detail = "the request names a host that this server does not answer to";
    Failure::new(Code::WrongHost, detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request_id::RequestIds;

    #[tokio::test]
    async fn a_panic_leaves_the_outcome_of_a_write_open() {
        let panicked = catch_panic(async { panic!("a defect of this test") }).await;
        let failure = panicked.err().expect("it has panicked");
        assert_eq!(failure.code(), Code::Internal);
        // As every refusal of a write is treated; what was said before stays.
        let failure = failure.with_outcome(Outcome::None);
        let answer = failure.to_http1(RequestIds::new(1, 1).next());
        let answer = String::from_utf8(answer).expect("JSON");
        assert!(answer.contains(r#""outcome":"unknown""#), "{answer}");
    }
}
