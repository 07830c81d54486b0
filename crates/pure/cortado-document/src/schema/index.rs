//! What the references of a schema lead to: its resources by URI, and their anchors.
//!
//! A *resource* is the schema, or one inside it with an `$id` of its own. Nothing is fetched: what
//! cannot be found in the schema leads nowhere. Start reading at [`Index::of`].

use super::draft::{Draft, schemas_in};
use super::schema_error::SchemaError;
use crate::budget::Budget;
use crate::json::Json;
use crate::path::{self, Path};
use fluent_uri::{Uri, UriRef};
use std::collections::BTreeMap;

/// Counts the resources of a schema; 0 is the schema itself.
pub(crate) type ResourceNumber = usize;

/// All schemas inside a schema that a reference can name.
pub(crate) struct Index<'a> {
    root: &'a Json<'a>,
    pub(crate) resources: Vec<Resource<'a>>,
    by_uri: BTreeMap<String, ResourceNumber>,
    /// Of every schema that was visited, the resource that it belongs to.
    homes: BTreeMap<*const Json<'a>, ResourceNumber>,
    /// Of every `$ref`, the resource that it stands in.
    references: BTreeMap<*const Json<'a>, ResourceNumber>,
}

/// A schema with a URI.
pub(crate) struct Resource<'a> {
    pub(crate) root: &'a Json<'a>,
    pub(crate) draft: Draft,
    uri: Uri<String>,
    anchors: BTreeMap<&'a str, Anchor<'a>>,
}

impl<'a> Resource<'a> {
    fn new(root: &'a Json<'a>, draft: Draft, uri: Uri<String>) -> Resource<'a> {
        Resource { root, draft, uri, anchors: BTreeMap::new() }
    }
}

/// A schema with a name in its resource.
#[derive(Clone, Copy)]
struct Anchor<'a> {
    schema: &'a Json<'a>,
    is_dynamic: bool,
}

/// What a reference leads to.
pub(crate) struct Target<'a> {
    pub(crate) schema: &'a Json<'a>,
    pub(crate) resource: ResourceNumber,
    /// The name, if the reference names a dynamic anchor.
    pub(crate) dynamic_anchor: Option<&'a str>,
}

/// Against what a schema without a URI of its own resolves its references.
const NAMELESS: &str = "json-schema:///";

impl<'a> Index<'a> {
    /// Visits every schema in `root`.
    ///
    /// # Errors
    /// A `$schema` or `$id` that cannot be understood.
    pub(crate) fn of(root: &'a Json<'a>, budget: &mut Budget) -> Result<Index<'a>, SchemaError> {
        let uri = Uri::parse(NAMELESS.to_owned()).expect("it is a URI");
        let mut index = Index {
            root,
            resources: vec![Resource::new(root, Draft::V2020, uri)],
            by_uri: BTreeMap::new(),
            homes: BTreeMap::new(),
            references: BTreeMap::new(),
        };
        index.resources[0].draft = index.draft(root, Draft::V2020)?;
        index.visit(root, 0, budget)?;
        Ok(index)
    }

    /// The draft that a resource is written in.
    fn draft(&self, root: &'a Json<'a>, otherwise: Draft) -> Result<Draft, SchemaError> {
        let Some(named) = root.get("$schema") else { return Ok(otherwise) };
        let draft = named.as_str().and_then(Draft::named);
        draft.ok_or_else(|| SchemaError::Dialect { path: self.path_of(named) })
    }

    /// The resource that a schema belongs to, visiting it if it stands where no keyword expects it.
    ///
    /// # Errors
    /// As [`of`](Self::of).
    pub(crate) fn home(
        &mut self,
        schema: &'a Json<'a>,
        otherwise: ResourceNumber,
        budget: &mut Budget,
    ) -> Result<ResourceNumber, SchemaError> {
        if !self.homes.contains_key(&std::ptr::from_ref(schema)) {
            self.visit(schema, otherwise, budget)?;
        }
        Ok(self.known_home(schema).unwrap_or(otherwise))
    }

    fn known_home(&self, schema: &Json<'a>) -> Option<ResourceNumber> {
        self.homes.get(&std::ptr::from_ref(schema)).copied()
    }

    /// Notes a schema and those inside it. Recursion is bounded by the depth of the text.
    fn visit(
        &mut self,
        schema: &'a Json<'a>,
        around: ResourceNumber,
        budget: &mut Budget,
    ) -> Result<(), SchemaError> {
        let Json::Object(keywords) = schema else {
            self.homes.entry(schema).or_insert(around);
            return Ok(());
        };
        if self.homes.contains_key(&std::ptr::from_ref(schema)) {
            return Ok(());
        }
        budget.charge(1 + keywords.len())?;
        let home = self.identify(schema, around, budget)?;
        self.homes.insert(schema, home);
        if let Some(reference) = keywords.get("$ref") {
            self.references.insert(reference, home);
        }
        let draft = self.resources[home].draft;
        if draft >= Draft::V2019 {
            self.note_anchor(keywords.get("$anchor"), schema, home, false)?;
        }
        if draft >= Draft::V2020 {
            self.note_anchor(keywords.get("$dynamicAnchor"), schema, home, true)?;
        }
        for member in keywords.members() {
            for inside in schemas_in(member.name(), &member.value) {
                self.visit(inside, home, budget)?;
            }
        }
        Ok(())
    }

    /// The resource that `schema` begins, or else the one around it.
    fn identify(
        &mut self,
        schema: &'a Json<'a>,
        around: ResourceNumber,
        budget: &mut Budget,
    ) -> Result<ResourceNumber, SchemaError> {
        let is_root = std::ptr::eq(schema, self.root);
        let draft = self.resources[around].draft;
        let draft = if is_root { draft } else { self.draft_inside(schema, draft)? };
        let alone = draft.reference_stands_alone() && schema.get("$ref").is_some();
        let Some(id) = schema.get(draft.id()).filter(|_| !alone) else { return Ok(around) };
        let invalid = |why: &str| SchemaError::Invalid { path: self.path_of(id), why: why.into() };
        let text = id.as_str().ok_or_else(|| invalid("must be a string"))?;
        let (uri, fragment) = text.split_once('#').unwrap_or((text, ""));
        if !fragment.is_empty() && draft >= Draft::V2019 {
            return Err(invalid("must have no fragment"));
        }
        let mut home = around;
        if !uri.is_empty() {
            let uri = self.absolute(around, uri, budget)?;
            let uri = uri.ok_or_else(|| invalid("must be a URI reference (RFC 3986)"))?;
            if is_root {
                self.resources[0].uri = uri.clone();
            } else {
                home = self.resources.len();
                self.resources.push(Resource::new(schema, draft, uri.clone()));
            }
            if self.by_uri.insert(uri.into_string(), home).is_some() {
                let path = self.path_of(id);
                let why = "another schema inside this one has the same URI".to_owned();
                return Err(SchemaError::Invalid { path, why });
            }
        }
        if !fragment.is_empty() {
            // Until draft 7 this is how a schema is given a name.
            let name = text.split_once('#').map_or("", |(_, name)| name);
            let anchors = &mut self.resources[home].anchors;
            anchors.insert(name, Anchor { schema, is_dynamic: false });
        }
        Ok(home)
    }

    /// The draft of a schema below the root: its own only if it is a resource of its own.
    fn draft_inside(&self, schema: &'a Json<'a>, around: Draft) -> Result<Draft, SchemaError> {
        let named = schema.get("$id").is_some() || schema.get("id").is_some_and(Json::is_string);
        if named { self.draft(schema, around) } else { Ok(around) }
    }

    fn note_anchor(
        &mut self,
        name: Option<&'a Json<'a>>,
        schema: &'a Json<'a>,
        home: ResourceNumber,
        is_dynamic: bool,
    ) -> Result<(), SchemaError> {
        let Some(value) = name else { return Ok(()) };
        let invalid =
            |why: &str| SchemaError::Invalid { path: self.path_of(value), why: why.to_owned() };
        let name = value.as_str().ok_or_else(|| invalid("must be a string"))?;
        let known = self.resources[home].anchors.get(name);
        if known.is_some_and(|known| !std::ptr::eq(known.schema, schema)) {
            return Err(invalid("another schema has the same anchor"));
        }
        let is_dynamic = is_dynamic || known.is_some_and(|known| known.is_dynamic);
        self.resources[home].anchors.insert(name, Anchor { schema, is_dynamic });
        Ok(())
    }

    /// What `reference` leads to from a schema of `resource`; `None` if it leads out of the schema,
    /// or to nothing.
    ///
    /// # Errors
    /// To find out would cost more than is left.
    pub(crate) fn resolve(
        &self,
        resource: ResourceNumber,
        reference: &str,
        budget: &mut Budget,
    ) -> Result<Option<Target<'a>>, SchemaError> {
        budget.charge_bytes(reference.len())?;
        let (uri, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        let resource = if uri.is_empty() {
            resource
        } else {
            let Some(uri) = self.absolute(resource, uri, budget)? else { return Ok(None) };
            let Some(resource) = self.by_uri.get(uri.as_str()) else { return Ok(None) };
            *resource
        };
        let Some(fragment) = percent_decoded(fragment) else { return Ok(None) };
        if fragment.is_empty() || fragment.starts_with('/') {
            return Ok(self.point(resource, &fragment));
        }
        Ok(self.anchor(resource, &fragment))
    }

    fn anchor(&self, resource: ResourceNumber, name: &str) -> Option<Target<'a>> {
        let (name, anchor) = self.resources[resource].anchors.get_key_value(name)?;
        let dynamic_anchor = anchor.is_dynamic.then_some(*name);
        Some(Target { schema: anchor.schema, resource, dynamic_anchor })
    }

    /// The schema that a `$ref`, given as it stands in a schema that was visited, leads to.
    ///
    /// # Errors
    /// As [`resolve`](Self::resolve).
    pub(crate) fn follow(
        &self,
        reference: &'a Json<'a>,
        budget: &mut Budget,
    ) -> Result<Option<&'a Json<'a>>, SchemaError> {
        let resource = self.references.get(&std::ptr::from_ref(reference));
        let (Some(resource), Some(text)) = (resource, reference.as_str()) else { return Ok(None) };
        Ok(self.resolve(*resource, text, budget)?.map(|target| target.schema))
    }

    /// Follows a JSON pointer from the root of a resource.
    fn point(&self, mut resource: ResourceNumber, pointer: &str) -> Option<Target<'a>> {
        let mut schema = self.resources[resource].root;
        for part in pointer.split('/').skip(1) {
            let part = path::decode(part)?;
            schema = match schema {
                Json::Object(members) => members.get(&part)?,
                Json::Array(items) => items.get(path::index(&part)?)?,
                Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => return None,
            };
            resource = self.known_home(schema).unwrap_or(resource);
        }
        Some(Target { schema, resource, dynamic_anchor: None })
    }

    /// Resolves a reference without a fragment against the URI of a resource (RFC 3986, section 5).
    fn absolute(
        &self,
        resource: ResourceNumber,
        reference: &str,
        budget: &mut Budget,
    ) -> Result<Option<Uri<String>>, SchemaError> {
        let base = &self.resources[resource].uri;
        // Parsed, resolved and normalized, piece by piece.
        budget.charge(1 + (base.as_str().len() + reference.len()) / 2)?;
        let resolved = UriRef::parse(reference).ok().and_then(|uri| uri.resolve_against(base).ok());
        Ok(resolved.map(|uri| uri.normalize()))
    }

    /// How many resources and anchors there are together.
    pub(crate) fn anchors_count(&self) -> usize {
        self.resources.iter().map(|resource| 1 + resource.anchors.len()).sum()
    }

    /// Every dynamic anchor with its resource.
    pub(crate) fn dynamic_anchors(
        &self,
    ) -> impl Iterator<Item = (ResourceNumber, &'a str, &'a Json<'a>)> {
        let resources = self.resources.iter().enumerate();
        resources.flat_map(|(number, resource)| {
            let dynamic = resource.anchors.iter().filter(|(_, anchor)| anchor.is_dynamic);
            dynamic.map(move |(name, anchor)| (number, *name, anchor.schema))
        })
    }

    /// Where a value stands in the schema; it is looked for, since only errors ask.
    pub(crate) fn path_of(&self, value: &Json<'_>) -> String {
        path_to(self.root, value, Path::Root).unwrap_or_default()
    }
}

fn path_to(from: &Json<'_>, to: &Json<'_>, path: Path<'_>) -> Option<String> {
    if std::ptr::addr_eq(from, to) {
        return Some(path.to_text());
    }
    match from {
        Json::Object(object) => object.members().iter().find_map(|member| {
            let inside = path.member(member.name());
            if std::ptr::addr_eq(&member.name, to) {
                return Some(inside.to_text());
            }
            path_to(&member.value, to, inside)
        }),
        Json::Array(items) => {
            let mut items = items.iter().enumerate();
            items.find_map(|(i, item)| path_to(item, to, path.item(i)))
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => None,
    }
}

/// Decodes `%XX` (RFC 3986, section 2.1); `None` for any other `%`, and if what comes out is no
/// UTF-8.
fn percent_decoded(text: &str) -> Option<String> {
    let mut encoded = text.bytes();
    let mut bytes = Vec::with_capacity(text.len());
    while let Some(byte) = encoded.next() {
        bytes.push(match byte {
            b'%' => 16 * hex_digit(encoded.next()?)? + hex_digit(encoded.next()?)?,
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16)?.try_into().ok()
}
