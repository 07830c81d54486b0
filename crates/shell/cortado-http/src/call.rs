//! A request that has found its route, as its handler sees it.
//!
//! Start reading at [`Call`].

use crate::answer::short_header;
use crate::budget::ByteBudget;
use crate::failure::Failure;
use crate::fields::Fields;
use crate::limits::Limits;
use crate::log_budget::LogBudget;
use crate::path::Captures;
use crate::principal::Principal;
use crate::query::Query;
use crate::request_id::RequestId;
use crate::room::Room;
use crate::services::{NodeControl, OwnHealth, Services};
use crate::target::identity_of;
use bytes::Bytes;
use cortado_gateway::{Catalog, Consistency, Database, ReadOptions, ServedRole};
use cortado_metrics::Registry;
use cortado_model::Scn;
use cortado_model::limits::DOCUMENT_BYTES_MAX;
use cortado_wire::{Code, Position, SessionToken, ShortText, encode_session, headers};
use http::{HeaderMap, HeaderValue, Method};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use tokio::sync::watch;
use tokio::time::Instant;

/// Everything a handler needs to know, checked.
pub(crate) struct Call<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) about: &'a dyn About,
    pub(crate) request_id: RequestId,
    pub(crate) principal: Principal,
    pub(crate) method: &'a Method,
    pub(crate) captures: Captures<'a>,
    pub(crate) query: Query<'a>,
    pub(crate) fields: Fields<'a>,
    /// The media type that the client likes best.
    pub(crate) media_type: &'static str,
    pub(crate) session: Option<SessionToken>,
    pub(crate) deadline: Instant,
    /// Whether the client chose the deadline.
    pub(crate) has_timeout: bool,
    /// The state of the cluster that everything was looked up in.
    pub(crate) catalog: &'a Catalog,
    /// Of what is read for the answer.
    pub(crate) room: &'a Room,
}

/// What the handlers of a listener share.
pub(crate) struct Shared {
    pub(crate) services: Arc<dyn Services>,
    /// Everything that this process counts and shows.
    pub(crate) registry: Arc<Registry>,
    pub(crate) limits: Limits,
    /// Whether nodes may be killed and started by request.
    pub(crate) dev: Option<Arc<dyn NodeControl>>,
    /// How the process itself is, where it is one of many.
    pub(crate) own: Option<Arc<dyn OwnHealth>>,
    /// Turns true when the server begins to close.
    pub(crate) closing: watch::Receiver<bool>,
    /// Change streams that are open now.
    pub(crate) streams: Arc<AtomicUsize>,
    /// Memory of answers that are being sent.
    pub(crate) answers: Arc<ByteBudget>,
    /// Lines that requests may cause.
    pub(crate) log: Arc<LogBudget>,
}

impl Shared {
    /// What every answer about health says besides.
    pub(crate) fn warnings(&self) -> Vec<String> {
        self.own.as_ref().map(|own| own.warnings()).unwrap_or_default()
    }
}

/// What a server can say about itself.
///
/// It is made from the table of routes. Handlers stand in that table, so they ask for it here.
pub(crate) trait About: Sync {
    /// The OpenAPI document.
    fn openapi(&self) -> Bytes;
}

impl Call<'_> {
    /// The services behind the API.
    pub(crate) fn services(&self) -> &dyn Services {
        &*self.shared.services
    }

    /// Whether the deadline that the client itself has set has passed.
    pub(crate) fn is_late(&self) -> bool {
        self.has_timeout && Instant::now() >= self.deadline
    }

    /// Takes room for up to `count` documents, which a read brings until they reach `bytes_max`.
    ///
    /// # Errors
    /// There is none.
    pub(crate) async fn make_room(&self, count: usize, bytes_max: usize) -> Result<(), Failure> {
        let bytes = count.saturating_mul(DOCUMENT_BYTES_MAX).min(bytes_max + DOCUMENT_BYTES_MAX);
        self.room.take(&self.shared.answers, bytes, self.deadline).await
    }

    /// Checks that the token is of the database that the path names, if it names one.
    ///
    /// # Errors
    /// It is of another one.
    pub(crate) fn check_session(&self, database: Option<&Database>) -> Result<(), Failure> {
        match (&self.session, database) {
            (Some(session), Some(database)) if session.database() != identity_of(database) => {
                let detail = "the session token belongs to a different database; remove the header";
                Err(Failure::new(Code::BadSession, detail))
            }
            (_, _) => Ok(()),
        }
    }

    /// How a read of `partition` is to be served.
    ///
    /// # Errors
    /// The headers cannot be understood.
    pub(crate) fn read_options(&self, partition: Option<u32>) -> Result<ReadOptions, Failure> {
        let consistency = self.fields.consistency()?;
        let at_least = match consistency {
            Consistency::Session => partition.and_then(|partition| self.seen(partition)),
            Consistency::Strong
            | Consistency::Strict
            | Consistency::Bounded { .. }
            | Consistency::Eventual => None,
        };
        Ok(ReadOptions { consistency, at_least, deadline: self.deadline })
    }

    /// What the client has seen of `partition`.
    pub(crate) fn seen(&self, partition: u32) -> Option<Scn> {
        self.session.as_ref().and_then(|session| session.seen(partition))
    }

    /// The token of a client that has seen `observed` of `database` too.
    pub(crate) fn session_header(
        &self,
        database: &Database,
        observed: &[(u32, Scn)],
    ) -> HeaderValue {
        let token = match (&self.session, observed) {
            (None, [one]) => encode_session(identity_of(database), &[*one]),
            (session, observed) => {
                let fresh = || SessionToken::new(identity_of(database));
                let mut session = session.clone().unwrap_or_else(fresh);
                observed.iter().for_each(|(partition, scn)| session.observe(*partition, *scn));
                session.encode()
            }
        };
        HeaderValue::try_from(token).expect("base64 is visible ASCII")
    }
}

/// Names who served a read.
pub(crate) fn served_headers(
    fields: &mut HeaderMap,
    node: cortado_model::NodeId,
    role: ServedRole,
    catalog: &Catalog,
) {
    fields.insert(headers::SERVED_BY, node_header(node, catalog));
    let role = match role {
        ServedRole::Leader => HeaderValue::from_static("leader"),
        ServedRole::Follower => HeaderValue::from_static("follower"),
    };
    fields.insert(headers::ROLE, role);
}

/// The first nodes of a cluster have their names ready.
fn node_header(node: cortado_model::NodeId, catalog: &Catalog) -> HeaderValue {
    const NAMES: [&str; 9] = ["n1", "n2", "n3", "n4", "n5", "n6", "n7", "n8", "n9"];
    match NAMES.get((node.0 as usize).wrapping_sub(1)) {
        Some(name) => HeaderValue::from_static(name),
        None => {
            let name = HeaderValue::try_from(catalog.name_of(node));
            name.expect("a node's name is visible ASCII")
        }
    }
}

/// `Cortado-Scn`.
pub(crate) fn position_header(position: Position) -> HeaderValue {
    short_header(ShortText::of_position(position))
}
