//! Finding the routes of a path: everything is generated from [`ROUTES`].
//!
//! Dispatch, `Allow`, metric labels, accepted parameters and media types, and the OpenAPI document
//! all come from that one table, so a route that is not described there does not exist.
//! Start reading at [`Router::find`].

use crate::path::Captures;
use crate::routes::ROUTES;
use crate::spelling::Spelling;
use crate::target::Target;
use cortado_wire::openapi::Description;
use http::{HeaderValue, Method};
use std::borrow::Cow;
use std::sync::LazyLock;

/// The routes of one path.
#[derive(Debug)]
pub(crate) struct Place {
    template: &'static str,
    pieces: Vec<Piece>,
    spelling: Spelling,
    routes: Vec<usize>,
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
            let Description { path, path_form, key, .. } = route.description;
            // The path form is the hotter one.
            let path_form = path_form.map(|template| (template, Spelling::Path));
            for (template, spelling) in path_form.into_iter().chain([(path, Spelling::of(key))]) {
                match places.iter_mut().find(|place| place.template == template) {
                    Some(place) => place.routes.push(index),
                    None => places.push(Place {
                        template,
                        pieces: template.split('/').skip(1).map(piece).collect(),
                        spelling,
                        routes: vec![index],
                    }),
                }
            }
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
    /// The routes of a method here, by their indices in the table; `GET` answers `HEAD` too.
    ///
    /// There are two where a path names a document or, with fewer parts, a collection.
    pub(crate) fn routes(&self, method: &Method) -> impl Iterator<Item = usize> {
        let wanted = if *method == Method::HEAD { "GET" } else { method.as_str() };
        let routes = self.routes.iter().copied();
        routes.filter(move |index| ROUTES[*index].description.method == wanted)
    }

    /// Where a request to this place spells a key.
    pub(crate) fn spelling(&self) -> Spelling {
        self.spelling
    }

    /// The methods that exist here, or those of them that are for `target`.
    pub(crate) fn allow(&self, target: Option<&Target<'_>>, has_options: bool) -> HeaderValue {
        let mut methods: Vec<&str> = Vec::new();
        for route in self.routes.iter().map(|index| &ROUTES[*index]) {
            let is_for_it = target.is_none_or(|target| route.handler.on(target).is_some());
            if is_for_it && !methods.contains(&route.description.method) {
                methods.push(route.description.method);
                if route.description.method == "GET" {
                    methods.push("HEAD");
                }
            }
        }
        if has_options {
            methods.push("OPTIONS");
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::Segments;
    use std::collections::BTreeSet;

    /// Which route a request finds, and what its path names.
    #[track_caller]
    fn check(method: Method, path: &str, want: Option<(&str, &str, &str, &str)>) {
        let segments = Segments::parse(path).expect("a path");
        let found = Router::get().find(segments.as_slice());
        let got = found.and_then(|(place, captures)| {
            let route = &ROUTES[place.routes(&method).next()?];
            let Captures { database, table, item, .. } = captures;
            Some((route.description.id, database, table, item))
        });
        assert_eq!(got, want, "{method} {path}");
    }

    #[test]
    fn paths_find_their_routes() {
        check(Method::GET, "/v1/db/t/a", Some(("get_document", "db", "t", "")));
        check(Method::HEAD, "/v1/db/t/a/b", Some(("get_document", "db", "t", "")));
        check(Method::PUT, "/v1/db/t/a", Some(("put_document", "db", "t", "")));
        check(Method::GET, "/v1/db/t", Some(("scan_table", "db", "t", "")));
        check(Method::PUT, "/v1/db/t", None);
        check(Method::GET, "/v1/db", None);
        check(Method::POST, "/v1/db:batchGet", Some(("batch_get", "db", "", "")));
        check(Method::POST, "/v1/db:bulk", Some(("bulk", "db", "", "")));
        check(Method::POST, "/v1/db%3Atransact", Some(("transact", "db", "", "")));
        check(Method::GET, "/v1/db:changes", Some(("changes", "db", "", "")));
        check(Method::GET, "/v1/db:nothing", None);
        check(Method::GET, "/", Some(("landing", "", "", "")));
        check(Method::GET, "/healthz", Some(("healthz", "", "", "")));
        check(Method::GET, "/healthz/", None);
        check(Method::GET, "/admin/v1/databases", Some(("list_databases", "", "", "")));
        check(Method::PUT, "/admin/v1/databases/db", Some(("put_database", "db", "", "")));
        let table = "/admin/v1/databases/db/tables/t";
        check(Method::GET, table, Some(("get_table", "db", "t", "")));
        let handoff = "/admin/v1/databases/db/partitions/7:handoff";
        check(Method::POST, handoff, Some(("hand_off", "db", "", "7")));
        check(Method::POST, "/admin/v1/nodes/n1:kill", Some(("kill_node", "", "", "n1")));
        check(Method::POST, "/admin/v1/nodes/n1:stop", None);
    }

    #[test]
    fn every_template_finds_itself() {
        let all = ROUTES.iter().map(|route| &route.description);
        for template in all.flat_map(|it| it.path_form.into_iter().chain([it.path])) {
            let path = template.replace(['{', '}'], "");
            let segments = Segments::parse(&path).expect("a path");
            let (place, _) = Router::get().find(segments.as_slice()).expect("a place");
            assert_eq!(place.template, template);
        }
    }

    #[test]
    fn a_key_that_is_spelled_in_the_query_finds_the_route_of_its_path() {
        check(Method::GET, "/v1/db/t:document", Some(("get_document", "db", "t", "")));
        check(Method::PUT, "/v1/db/t%3Adocument", Some(("put_document", "db", "t", "")));
        check(Method::GET, "/v1/db/t:collection", Some(("list_collection", "db", "t", "")));
        check(Method::POST, "/v1/db/t:collection", Some(("create_document", "db", "t", "")));
        check(Method::PUT, "/v1/db/t:collection", None);
        check(Method::POST, "/v1/db/t:document", None);
        // A key may end with what looks like it.
        check(Method::GET, "/v1/db/t/a:document", Some(("get_document", "db", "t", "")));
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
            Router::get().find(segments.as_slice()).map(|(place, _)| place.allow(None, true))
        };
        assert_eq!(allow("/v1/d/t/k").unwrap(), "GET, HEAD, PUT, PATCH, DELETE, POST, OPTIONS");
        assert_eq!(allow("/v1/d/t:document").unwrap(), "GET, HEAD, PUT, PATCH, DELETE, OPTIONS");
        assert_eq!(allow("/v1/d/t:collection").unwrap(), "GET, HEAD, POST, OPTIONS");
        assert_eq!(allow("/v1/d:transact").unwrap(), "POST, OPTIONS");
    }
}
