//! One request from its head to its answer.
//!
//! Checks everything that does not depend on the route, finds the route, runs its handler behind a
//! wall that no panic passes, and tidies up the answer. Start reading at [`Api::answer`].

use crate::answer::{self, Answer, AnswerBody};
use crate::answer_headers;
use crate::body::{self, Upload};
use crate::budget::ByteBudget;
use crate::call::{About, Call, Shared};
use crate::cross_origin;
use crate::dates;
use crate::failure::Failure;
use crate::fields::Fields;
use crate::hosts::{self, Hosts};
use crate::limits::Limits;
use crate::log_budget::LogBudget;
use crate::media;
use crate::metrics::Metrics;
use crate::operations::VERSION;
use crate::path::{Captures, Segments};
use crate::principal::authenticate;
use crate::pulse::InFlight;
use crate::query::Query;
use crate::refusal;
use crate::request_id::RequestId;
use crate::room::{Need, Room};
use crate::route::{Answering, Work};
use crate::router::{Place, Router};
use crate::routes::ROUTES;
use crate::services::{NodesHere, Services};
use crate::target::{TableTarget, Target, identity_of, is_unknown};
use bytes::Bytes;
use cortado_gateway::{Catalog, TRACEPARENT, Table, TraceContext};
use cortado_metrics::Registry;
use cortado_model::limits::URI_BYTES_MAX;
use cortado_wire::openapi::document;
use cortado_wire::{Code, Outcome, SessionToken, encode_session, headers};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Version, header};
use hyper::body::Incoming;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, LazyLock};
use std::task::Poll;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{debug, info};

/// What all requests of a listener share.
pub(crate) struct Api {
    shared: Shared,
    hosts: Hosts,
    metrics: Metrics,
    connections: AtomicUsize,
    bodies: Arc<ByteBudget>,
    process_tag: u64,
}

/// Where a request comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin {
    pub(crate) request_id: RequestId,
    pub(crate) client: SocketAddr,
}

/// The span of a request: of the caller's trace, or of one that begins here.
fn trace_of(headers: &HeaderMap) -> TraceContext {
    let mut told = headers.get_all(TRACEPARENT).iter();
    let text = told.next().filter(|_| told.next().is_none()).and_then(|value| value.to_str().ok());
    match text.and_then(TraceContext::parse) {
        Some(caller) => caller.child(fastrand::u64(..)),
        None => TraceContext::begin(fastrand::u128(..), fastrand::u64(..)),
    }
}

static OPENAPI: LazyLock<Bytes> = LazyLock::new(|| {
    let descriptions = ROUTES.iter().map(|route| &route.description);
    Bytes::from(document(descriptions, VERSION).to_string())
});

impl About for Api {
    fn openapi(&self) -> Bytes {
        OPENAPI.clone()
    }
}

impl Api {
    pub(crate) fn new(
        services: Arc<dyn Services>,
        registry: Arc<Registry>,
        limits: Limits,
        (dev, own): NodesHere,
        hosts: Hosts,
        closing: watch::Receiver<bool>,
    ) -> Api {
        let bodies = ByteBudget::new(limits.bodies_bytes_max);
        let answers = ByteBudget::new(limits.answers_bytes_max);
        let metrics = Metrics::register(&registry);
        let streams = Arc::new(AtomicUsize::new(0));
        let log = Arc::new(LogBudget::default());
        Api {
            shared: Shared { services, registry, limits, dev, own, closing, streams, answers, log },
            hosts,
            metrics,
            connections: AtomicUsize::new(0),
            bodies,
            // Only tells requests of different processes apart in logs.
            process_tag: dates::wall().0 / 1_000,
        }
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.shared.limits
    }

    /// Connections that are open now.
    pub(crate) fn connections(&self) -> &AtomicUsize {
        &self.connections
    }

    /// Memory of bodies that are being received.
    pub(crate) fn bodies(&self) -> &ByteBudget {
        &self.bodies
    }

    /// Memory of answers that are being sent.
    pub(crate) fn answers(&self) -> &ByteBudget {
        &self.shared.answers
    }

    /// A number that no other process of this cluster is likely to have.
    pub(crate) fn process_tag(&self) -> u64 {
        self.process_tag
    }

    /// Change streams that are open now.
    pub(crate) fn streams(&self) -> &AtomicUsize {
        &self.shared.streams
    }

    /// Everything that this process counts and shows.
    pub(crate) fn registry(&self) -> &Registry {
        &self.shared.registry
    }

    /// What this listener counts.
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Answers one request. Never fails, and never panics.
    pub(crate) async fn answer(
        &self,
        request: http::Request<Incoming>,
        origin: Origin,
        in_flight: InFlight,
    ) -> Response<AnswerBody> {
        let trace = trace_of(request.headers());
        trace.scope(self.answer_in_trace(request, origin, in_flight)).await
    }

    async fn answer_in_trace(
        &self,
        request: http::Request<Incoming>,
        origin: Origin,
        in_flight: InFlight,
    ) -> Response<AnswerBody> {
        let arrived = Instant::now();
        let (parts, body) = request.into_parts();
        let mut upload = Upload::new(body, &parts, arrived + self.limits().body_time);
        let mut seen = Seen {
            route: None,
            database: None,
            writes: changes_something(&parts.method),
            ends: false,
            room: Room::default(),
        };
        let outcome = self.handle(&parts, &mut upload, arrived, origin, &mut seen).await;
        seen.ends = !upload.can_be_followed();
        let mut reserved = None;
        let outcome = outcome.and_then(|mut answer| {
            if parts.method == Method::HEAD {
                answer::strip_for_head(&mut answer);
            }
            reserved = seen.room.hand_over(&answer, &self.shared.answers, seen.need())?;
            Ok(answer)
        });
        let Origin { request_id, client } = origin;
        let refuse = |failure| self.refuse(failure, &parts, request_id, &seen);
        let mut answer = outcome.unwrap_or_else(refuse);
        answer_headers::complete(&mut answer, seen.route, request_id);
        if parts.method == Method::HEAD {
            answer::strip_for_head(&mut answer);
        }
        answer.headers_mut().insert(header::DATE, dates::date());
        let (status, took) = (answer.status(), arrived.elapsed());
        self.metrics.count(seen.route, status, took);
        let name = seen.route.map_or("none", |route| ROUTES[route].description.id);
        let took_us = took.as_micros() as u64;
        debug!(%request_id, %client, route = name, status = status.as_u16(), took_us, "answered");
        upload.drain(in_flight.again(), self.shared.closing.clone());
        answer.map(|content| AnswerBody::new(content, in_flight, reserved))
    }

    async fn handle(
        &self,
        parts: &Parts,
        upload: &mut Upload,
        arrived: Instant,
        origin: Origin,
        seen: &mut Seen,
    ) -> Result<Answer, Failure> {
        check_line(parts)?;
        let fields = Fields::read(&parts.headers)?;
        let principal = authenticate(fields.authorization)?;
        let authority = self.check_host(parts, fields.host)?;
        cross_origin::check(&parts.method, &fields, authority, &self.hosts)?;
        if parts.method == Method::OPTIONS && parts.uri.path() == "*" {
            return Ok(answer::empty(StatusCode::NO_CONTENT));
        }
        let segments = Segments::parse(parts.uri.path())?;
        let (place, mut captures) = find_place(&segments)?;
        let repeated = place.spelling().parameter();
        let spelled = repeated.map(|name| Query::all(parts.uri.query(), name)).transpose()?;
        if let Some(key) = &spelled {
            captures.key = key;
        }
        let catalog = self.catalog_for(captures, &fields, arrived).await?;
        let target = Target::resolve(&catalog, captures, &segments, place.spelling());
        if parts.method == Method::OPTIONS {
            let mut answer = answer::empty(StatusCode::NO_CONTENT);
            answer.headers_mut().insert(header::ALLOW, place.allow(target.as_ref().ok(), true));
            return Ok(answer);
        }
        let Some(first) = place.routes(&parts.method).next() else {
            return Err(not_allowed(place, target.as_ref().ok()));
        };
        seen.set(first);
        let known = || catalog.database(captures.database).map(|database| identity_of(database));
        let target = target.inspect_err(|_| seen.database = known())?;
        seen.database = target.database().map(|database| identity_of(database));
        let (route, work) = find_work(place, &parts.method, &target)?;
        seen.set(route);
        let description = &ROUTES[route].description;
        let (timeout, has_timeout) = fields.timeout()?;
        // To be understood on every route, whether or not they have an effect there.
        fields.consistency()?;
        fields.condition()?;
        let call = Call {
            shared: &self.shared,
            about: self,
            request_id: origin.request_id,
            principal,
            method: &parts.method,
            captures,
            query: Query::parse(parts.uri.query(), description.parameters, repeated)?,
            media_type: check_accept(&fields, route)?,
            session: fields.session()?,
            deadline: arrived + timeout,
            has_timeout,
            catalog: &catalog,
            room: &seen.room,
            fields,
        };
        call.check_session(target.database().map(|database| &**database))?;
        let received = body::read(upload, &call.fields, description.body, &self.bodies).await?;
        // Kept until the handler has ended.
        let (body, _body_room) = received;
        let done = catch_panic(|| work.run(&call, body)).await;
        if done.is_ok() && ROUTES[route].is_order() {
            log_order(origin, &call, description.id);
        }
        done.map_err(|failure| if call.is_late() { failure.into_late() } else { failure })
    }

    /// The catalog that a request is looked up in: as it is known here, unless what the path names
    /// was perhaps created through another door and has not been heard of here yet.
    async fn catalog_for(
        &self,
        captures: Captures<'_>,
        fields: &Fields<'_>,
        arrived: Instant,
    ) -> Result<Arc<Catalog>, Failure> {
        let services = &self.shared.services;
        let catalog = services.catalog();
        if !is_unknown(&catalog, captures) {
            return Ok(catalog);
        }
        let (timeout, has_timeout) = fields.timeout()?;
        let deadline = arrived + timeout;
        services.confirmed_catalog(deadline).await.map_err(|error| {
            let failure = refusal::of_admin(error, Code::Unavailable);
            let is_late = has_timeout && Instant::now() >= deadline;
            if is_late { failure.into_late() } else { failure }
        })
    }

    /// Turns a failure into an answer, and logs those that are the server's fault.
    fn refuse(
        &self,
        failure: Failure,
        parts: &Parts,
        request_id: RequestId,
        seen: &Seen,
    ) -> Answer {
        let mut failure = failure;
        if seen.writes {
            failure = failure.with_outcome(Outcome::None);
        }
        if let Some(session) = session_of_refused(parts, seen) {
            failure = failure.with_header(headers::SESSION, session);
        }
        if seen.ends && parts.version < Version::HTTP_2 {
            failure = failure.with_header(header::CONNECTION, HeaderValue::from_static("close"));
        }
        let name = seen.route.map_or("none", |route| ROUTES[route].description.id);
        self.shared.log.tell(&failure, request_id, name);
        failure.into_answer(request_id)
    }

    /// The host that a request names, with or without a port.
    fn check_host<'p>(
        &self,
        parts: &'p Parts,
        host: Option<&'p HeaderValue>,
    ) -> Result<Option<&'p str>, Failure> {
        let bad = |detail| Err(Failure::new(Code::BadRequest, detail));
        let named = host.map(HeaderValue::to_str).transpose();
        let Ok(named) = named else { return bad("malformed Host header") };
        let authority = parts.uri.authority().map(http::uri::Authority::as_str);
        let authority = match (parts.version, authority, named) {
            (Version::HTTP_11, _, None) => return bad("missing Host header"),
            (_, Some(authority), Some(named)) if !authority.eq_ignore_ascii_case(named) => {
                return Err(wrong_host());
            }
            (_, Some(authority), _) => authority,
            (_, None, Some(named)) => named,
            // HTTP/1.0 knows no Host, and no browser speaks it.
            (_, None, None) => return Ok(None),
        };
        if !hosts::is_well_formed(authority) {
            return bad("malformed host in the request");
        }
        if self.hosts.allows(authority) { Ok(Some(authority)) } else { Err(wrong_host()) }
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
    /// Whether the connection ends with it, since not all of its body is read.
    ends: bool,
    /// Of what has been read for the answer.
    room: Room,
}

impl Seen {
    fn set(&mut self, route: usize) {
        self.route = Some(route);
        self.writes = ROUTES[route].writes();
    }

    /// How much its answer is needed; without a route there are no documents in it.
    fn need(&self) -> Need {
        self.route.map_or(Need::Operation, |route| ROUTES[route].need)
    }
}

/// Lets a handler's panic become an error, told loudly: whatever it was doing may be half done.
async fn catch_panic<'c>(begin: impl FnOnce() -> Answering<'c>) -> Result<Answer, Failure> {
    let panicked = |_| {
        let detail = "internal error; please report it with the request id";
        let failure = Failure::new(Code::Internal, detail);
        Err(failure.with_outcome(Outcome::Unknown))
    };
    // Nothing that a handler has borrowed is used again after a panic.
    let mut answering = match catch_unwind(AssertUnwindSafe(begin)) {
        Ok(answering) => answering,
        Err(panic) => return panicked(panic),
    };
    poll_fn(|cx| {
        let polled = catch_unwind(AssertUnwindSafe(|| answering.as_mut().poll(cx)));
        polled.unwrap_or_else(|panic| Poll::Ready(panicked(panic)))
    })
    .await
}

/// Tells an operator who looks for the cause of a change which client asked for it.
fn log_order(origin: Origin, call: &Call<'_>, route: &'static str) {
    let Captures { database, table, item, .. } = call.captures;
    let Origin { request_id, client } = origin;
    let principal = call.principal;
    info!(
        %request_id, %client, %principal, route, database, table, item,
        "administrative request done"
    );
}

/// What the client has seen does not change by a refusal.
fn session_of_refused(parts: &Parts, seen: &Seen) -> Option<HeaderValue> {
    let sent = parts.headers.get(headers::SESSION);
    if let Some(sent) = sent.filter(|sent| SessionToken::parse(sent.as_bytes()).is_ok()) {
        return Some(sent.clone());
    }
    let nothing = encode_session(seen.database?, &[]);
    Some(HeaderValue::try_from(nothing).expect("base64 is visible ASCII"))
}

fn changes_something(method: &Method) -> bool {
    [Method::PUT, Method::POST, Method::PATCH, Method::DELETE].contains(method)
}

/// Checks method and length of the request line.
fn check_line(parts: &Parts) -> Result<(), Failure> {
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
        return Err(Failure::new(Code::UnknownMethod, "unknown HTTP method"));
    }
    if parts.method == Method::CONNECT {
        let detail = "this server is no proxy";
        let allow = HeaderValue::from_static("GET, HEAD, OPTIONS");
        return Err(Failure::new(Code::MethodNotAllowed, detail).with_header(header::ALLOW, allow));
    }
    if parts.uri.path_and_query().map_or(0, |uri| uri.as_str().len()) > URI_BYTES_MAX {
        return Err(Failure::new(Code::UriTooLong, "path and query are limited to 8 KiB"));
    }
    Ok(())
}

fn find_place<'s>(segments: &'s Segments<'s>) -> Result<(&'static Place, Captures<'s>), Failure> {
    Router::get().find(segments.as_slice()).ok_or_else(|| {
        let detail = "no route matches this path; GET /openapi.json lists all routes";
        Failure::new(Code::NoSuchRoute, detail)
    })
}

/// The route of a method whose handler is made for what the path names.
fn find_work<'c>(
    place: &Place,
    method: &Method,
    target: &'c Target<'c>,
) -> Result<(usize, Work<'c>), Failure> {
    let mut routes = place.routes(method);
    let found = routes.find_map(|route| Some((route, ROUTES[route].handler.on(target)?)));
    found.ok_or_else(|| not_allowed(place, Some(target)))
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
            let detail = format!("this route can only answer with {}", media.join(" or "));
            Err(Failure::new(Code::NotAcceptable, detail))
        }
    }
}

/// What to do instead, by what the path names.
fn not_allowed(place: &Place, target: Option<&Target<'_>>) -> Failure {
    let key = |table: &Table| table.definition.key().join("/");
    let detail = match target {
        Some(Target::Table(TableTarget { table, .. })) => {
            format!("this path names a table: PUT a document under its full key ({})", key(table))
        }
        Some(Target::Collection(at)) if at.lacks_one_part() => format!(
            "this path names a collection: PUT a document with the full key ({}), or POST it here, \
             which makes the last part of the key",
            key(at.table)
        ),
        Some(Target::Collection(at)) => format!(
            "this path names a collection: PUT a document with the full key ({})",
            key(at.table)
        ),
        Some(Target::Document(_)) => {
            "this path names a document, which PUT creates or replaces; see the Allow header".into()
        }
        Some(Target::Service | Target::Database(_)) | None => {
            "this path does not support the method; see the Allow header".into()
        }
    };
    let names_many = matches!(target, Some(Target::Table(_) | Target::Collection(_)));
    let allow = place.allow(target, !names_many);
    Failure::new(Code::MethodNotAllowed, detail).with_header(header::ALLOW, allow)
}

fn wrong_host() -> Failure {
    let detail = "the Host header names a host that this server does not serve: connect to its own \
                  address or, if clients use another name (behind a proxy, say), start the server \
                  with --allow-host and that name";
    Failure::new(Code::WrongHost, detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request_id::RequestIds;

    #[tokio::test]
    async fn a_panic_leaves_the_outcome_of_a_write_open() {
        let panicked = catch_panic(|| Box::pin(async { panic!("a defect of this test") })).await;
        let failure = panicked.err().expect("it has panicked");
        assert_eq!(failure.code(), Code::Internal);
        // As every refusal of a write is treated; what was said before stays.
        let failure = failure.with_outcome(Outcome::None);
        let answer = failure.to_http1(RequestIds::new(1, 1).next());
        let answer = String::from_utf8(answer).expect("JSON");
        assert!(answer.contains(r#""outcome":"unknown""#), "{answer}");
    }
}
