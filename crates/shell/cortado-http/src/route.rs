//! Finding the route of a request: everything is generated from [`ROUTES`].
//!
//! Dispatch, `Allow`, metric labels, accepted parameters and media types, and the OpenAPI document
//! all come from that one table, so a route that is not described there does not exist.
//! Start reading at [`Router::find`].

use crate::routes::ROUTES;
use cortado_wire::openapi::Description;
use http::{HeaderValue, Method};
use std::borrow::Cow;
use std::sync::LazyLock;

/// One route: what it does, and what is known about it.
#[derive(Debug)]
pub(crate) struct Route {
    /// Who answers.
    pub(crate) handler: Handler,
    /// Whether an error must say what became of the write.
    pub(crate) writes: bool,
    /// For clients.
    pub(crate) description: Description,
}

/// Who answers a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Handler {
    GetDocument,
    ListCollection,
    PutDocument,
    PatchDocument,
    DeleteDocument,
    ScanTable,
    BatchGet,
    Transact,
    Changes,
    ListDatabases,
    GetDatabase,
    PutDatabase,
    DropDatabase,
    ListTables,
    GetTable,
    PutTable,
    DropTable,
    ListPartitions,
    HandOff,
    ListNodes,
    KillNode,
    StartNode,
    ListEvents,
    GetCluster,
    Landing,
    Healthz,
    Readyz,
    Metrics,
    OpenApi,
}

/// What a path names; empty where the path has no such part.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Captures<'s> {
    pub(crate) database: &'s str,
    pub(crate) table: &'s str,
    /// The parts of a key.
    pub(crate) key: &'s [Cow<'s, str>],
    /// A partition or a node.
    pub(crate) item: &'s str,
}

/// The routes of one path.
#[derive(Debug)]
pub(crate) struct Place {
    template: &'static str,
    pieces: Vec<Piece>,
    routes: Vec<usize>,
    allow: HeaderValue,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece {
    Literal(&'static str),
    /// A name, followed by a fixed suffix such as `:kill`.
    Named(Name, &'static str),
    /// All that is left, at least one.
    Key,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Name {
    Database,
    Table,
    Item,
}

/// All paths, in the order of the table.
#[derive(Debug)]
pub(crate) struct Router {
    places: Vec<Place>,
}

static ROUTER: LazyLock<Router> = LazyLock::new(Router::compile);

impl Router {
    /// The router of [`ROUTES`].
    pub(crate) fn get() -> &'static Router {
        &ROUTER
    }

    fn compile() -> Router {
        let mut places: Vec<Place> = Vec::new();
        for (index, route) in ROUTES.iter().enumerate() {
            let template = route.description.path;
            match places.iter_mut().find(|place| place.template == template) {
                Some(place) => place.routes.push(index),
                None => places.push(Place {
                    template,
                    pieces: template.split('/').skip(1).map(piece).collect(),
                    routes: vec![index],
                    allow: HeaderValue::from_static(""),
                }),
            }
        }
        for place in &mut places {
            place.allow = place.allow_of(|_| true);
        }
        Router { places }
    }

    /// The place that a path names.
    pub(crate) fn find<'s>(&self, segments: &'s [Cow<'s, str>]) -> Option<(&Place, Captures<'s>)> {
        self.places.iter().find_map(|place| {
            let captures = place.captures(segments)?;
            Some((place, captures))
        })
    }
}

impl Place {
    /// The route of a method here; `GET` answers `HEAD` too. The first one of the table, where
    /// there are several.
    pub(crate) fn route(&self, method: &Method) -> Option<usize> {
        let wanted = if *method == Method::HEAD { "GET" } else { method.as_str() };
        let mut routes = self.routes.iter().copied();
        routes.find(|index| ROUTES[*index].description.method == wanted)
    }

    /// The methods that exist here.
    pub(crate) fn allow(&self) -> HeaderValue {
        self.allow.clone()
    }

    fn allow_of(&self, filter: impl Fn(&Route) -> bool) -> HeaderValue {
        let mut methods: Vec<&str> = Vec::new();
        for route in self.routes.iter().map(|index| &ROUTES[*index]).filter(|route| filter(route)) {
            if !methods.contains(&route.description.method) {
                methods.push(route.description.method);
                if route.description.method == "GET" {
                    methods.push("HEAD");
                }
            }
        }
        methods.push("OPTIONS");
        HeaderValue::try_from(methods.join(", ")).expect("method names are visible ASCII")
    }

    fn captures<'s>(&self, segments: &'s [Cow<'s, str>]) -> Option<Captures<'s>> {
        let mut captures = Captures::default();
        let mut rest = segments;
        for piece in &self.pieces {
            let (segment, after) = rest.split_first()?;
            match piece {
                Piece::Literal(literal) => (segment == literal).then_some(())?,
                Piece::Named(name, suffix) => {
                    let value = segment.strip_suffix(suffix)?;
                    match name {
                        Name::Database => captures.database = value,
                        Name::Table => captures.table = value,
                        Name::Item => captures.item = value,
                    }
                }
                Piece::Key => {
                    captures.key = rest;
                    return Some(captures);
                }
            }
            rest = after;
        }
        rest.is_empty().then_some(captures)
    }
}

fn piece(text: &'static str) -> Piece {
    let Some((name, suffix)) = text.strip_prefix('{').and_then(|rest| rest.split_once('}')) else {
        return Piece::Literal(text);
    };
    match name {
        "database" => Piece::Named(Name::Database, suffix),
        "table" => Piece::Named(Name::Table, suffix),
        "key" => Piece::Key,
        _ => Piece::Named(Name::Item, suffix),
    }
}

/// The second route of a place and method that the first one passes on to: with fewer parts than
/// the table's key, the path of a document names a collection.
pub(crate) fn index_of(handler: Handler) -> usize {
    let found = ROUTES.iter().position(|route| route.handler == handler);
    found.expect("a test finds every handler in the table")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::Segments;
    use std::collections::BTreeSet;

    /// Which route a request finds, and what its path names.
    #[track_caller]
    fn check(method: Method, path: &str, want: Option<(Handler, &str, &str, &str)>) {
        let segments = Segments::parse(path).expect("a path");
        let found = Router::get().find(segments.as_slice());
        let got = found.and_then(|(place, captures)| {
            let route = &ROUTES[place.route(&method)?];
            let Captures { database, table, item, .. } = captures;
            Some((route.handler, database, table, item))
        });
        assert_eq!(got, want, "{method} {path}");
    }

    #[test]
    fn paths_find_their_routes() {
        check(Method::GET, "/v1/db/t/a", Some((Handler::GetDocument, "db", "t", "")));
        check(Method::HEAD, "/v1/db/t/a/b", Some((Handler::GetDocument, "db", "t", "")));
        check(Method::PUT, "/v1/db/t/a", Some((Handler::PutDocument, "db", "t", "")));
        check(Method::GET, "/v1/db/t", Some((Handler::ScanTable, "db", "t", "")));
        check(Method::PUT, "/v1/db/t", None);
        check(Method::GET, "/v1/db", None);
        check(Method::POST, "/v1/db:batchGet", Some((Handler::BatchGet, "db", "", "")));
        check(Method::POST, "/v1/db%3Atransact", Some((Handler::Transact, "db", "", "")));
        check(Method::GET, "/v1/db:changes", Some((Handler::Changes, "db", "", "")));
        check(Method::GET, "/v1/db:nothing", None);
        check(Method::GET, "/", Some((Handler::Landing, "", "", "")));
        check(Method::GET, "/healthz", Some((Handler::Healthz, "", "", "")));
        check(Method::GET, "/healthz/", None);
        check(Method::GET, "/admin/v1/databases", Some((Handler::ListDatabases, "", "", "")));
        check(Method::PUT, "/admin/v1/databases/db", Some((Handler::PutDatabase, "db", "", "")));
        let table = "/admin/v1/databases/db/tables/t";
        check(Method::GET, table, Some((Handler::GetTable, "db", "t", "")));
        let handoff = "/admin/v1/databases/db/partitions/7:handoff";
        check(Method::POST, handoff, Some((Handler::HandOff, "db", "", "7")));
        check(Method::POST, "/admin/v1/nodes/n1:kill", Some((Handler::KillNode, "", "", "n1")));
        check(Method::POST, "/admin/v1/nodes/n1:stop", None);
    }

    #[test]
    fn every_template_finds_itself() {
        for route in ROUTES {
            let path = route.description.path.replace(['{', '}'], "");
            let segments = Segments::parse(&path).expect("a path");
            let (place, _) = Router::get().find(segments.as_slice()).expect("a place");
            assert_eq!(place.template, route.description.path);
        }
    }

    #[test]
    fn every_route_has_its_own_name() {
        let names: BTreeSet<&str> = ROUTES.iter().map(|route| route.description.id).collect();
        assert_eq!(names.len(), ROUTES.len());
    }

    #[test]
    fn allow_names_what_exists() {
        let allow = |path| {
            let segments = Segments::parse(path).expect("a path");
            Router::get().find(segments.as_slice()).map(|(place, _)| place.allow())
        };
        assert_eq!(allow("/v1/d/t/k").unwrap(), "GET, HEAD, PUT, PATCH, DELETE, OPTIONS");
        assert_eq!(allow("/v1/d:transact").unwrap(), "POST, OPTIONS");
    }
}
