//! The OpenAPI 3.1 document, generated from the descriptions of the routes.
//!
//! Knows no route: the server's route table holds a [`Description`] for each. The shapes of bodies
//! stand in `openapi/schemas.json`, the values of parameters and headers in `openapi/values.json`;
//! a test keeps references whole. Start reading at [`document`].

use crate::{Code, media};
use serde_json::{Map, Value, json};

/// What a reader needs to know about one route.
#[derive(Clone, Copy, Debug)]
pub struct Description {
    /// Unique; also the label of the route's metrics.
    pub id: &'static str,
    /// Upper case.
    pub method: &'static str,
    /// With parameters in braces, such as `/v1/{database}/{table}:document`.
    pub path: &'static str,
    /// The same with the key in the path, such as `/v1/{database}/{table}/{key}`: OpenAPI has no
    /// parameter of several segments.
    pub path_form: Option<&'static str>,
    /// One line.
    pub summary: &'static str,
    /// Whatever else is to be known.
    pub about: &'static str,
    /// The query parameter that is repeated for each part of a key; not in the path form.
    pub key: Option<Parameter>,
    /// The other query parameters: all that the route accepts.
    pub parameters: &'static [Parameter],
    /// The request headers of the API that have an effect here.
    pub headers: &'static [Parameter],
    /// The body that it takes.
    pub body: RequestBody,
    /// The answers without an error.
    pub answers: &'static [Answer],
    /// The statuses of the errors that a client must expect; any other one is possible.
    pub errors: &'static [ErrorAnswer],
}

/// A query parameter or a request header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// One line.
    pub about: &'static str,
    /// Whether the route needs it.
    pub required: bool,
    /// The name of its schema.
    pub schema: &'static str,
}

impl Parameter {
    /// The same with another schema.
    pub const fn of(self, schema: &'static str) -> Parameter {
        Parameter { schema, ..self }
    }
}

/// What a route takes.
#[derive(Clone, Copy, Debug)]
pub enum RequestBody {
    /// Nothing.
    None,
    /// One of some media types, each with the name of its schema.
    Required(&'static [(&'static str, &'static str)]),
    /// The same, or nothing.
    Optional(&'static [(&'static str, &'static str)]),
}

impl RequestBody {
    /// The media types, each with the name of its schema.
    pub const fn media(self) -> &'static [(&'static str, &'static str)] {
        match self {
            RequestBody::None => &[],
            RequestBody::Required(media) | RequestBody::Optional(media) => media,
        }
    }
}

/// One answer of a route.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// One line.
    pub about: &'static str,
    /// Media types, each with the name of its schema; the first is the default.
    pub media: &'static [(&'static str, &'static str)],
    /// The headers that it has besides those of every answer.
    pub headers: &'static [&'static str],
}

/// One error of a route.
#[derive(Clone, Copy, Debug)]
pub struct ErrorAnswer {
    /// The status.
    pub status: u16,
    /// One line.
    pub about: &'static str,
    /// The headers that it has besides those of every answer.
    pub headers: &'static [&'static str],
}

/// Writes the document.
///
/// Every `GET` answers `HEAD` too.
pub fn document<'a>(descriptions: impl Iterator<Item = &'a Description>, version: &str) -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for description in descriptions {
        let item = paths.entry(description.path).or_insert_with(|| path_item(description.path));
        item[description.method.to_ascii_lowercase()] = operation(description);
        if description.method == "GET" {
            item["head"] = head(operation(description));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Cortado",
            "version": version,
            "summary": "A distributed document database.",
            "description": "docs/api.md says what the shapes alone do not.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        // This version checks no credentials.
        "security": [],
        "tags": TAGS.map(|(name, about)| json!({ "name": name, "description": about })),
        "paths": paths,
        "components": {
            "schemas": schemas(),
            "headers": parse(include_str!("openapi/headers.json")),
        },
    })
}

const TAGS: [(&str, &str); 5] = [
    ("documents", "Documents, and the collections that they form."),
    ("batches", "Many documents in one request."),
    ("changes", "What was committed, in order."),
    ("administration", "Databases, tables, partitions and nodes."),
    ("server", "What a server says about itself."),
];

fn tag_of(path: &str) -> &'static str {
    if path.starts_with("/v1/{database}/") {
        "documents"
    } else if path.ends_with(":changes") {
        "changes"
    } else if path.starts_with("/v1/") {
        "batches"
    } else if path.starts_with("/admin/") {
        "administration"
    } else {
        "server"
    }
}

fn path_item(path: &'static str) -> Value {
    let names = path.split('{').skip(1).filter_map(|rest| rest.split('}').next());
    let parameters: Vec<Value> = names.map(path_parameter).collect();
    json!({ "parameters": parameters })
}

fn path_parameter(name: &'static str) -> Value {
    let (about, schema) = match name {
        "partition" => ("The number of the partition, from 0.", "PartitionNumber"),
        "node" => ("The name of the node.", "NodeName"),
        "change" => ("The id of the change.", "ChangeId"),
        "table" => ("The name of the table.", "Name"),
        _ => ("The name of the database.", "Name"),
    };
    parameter_object(&Parameter { name, about, required: true, schema }, "path")
}

fn operation(description: &Description) -> Value {
    let query = description.key.iter().chain(description.parameters);
    let query = query.map(|parameter| parameter_object(parameter, "query"));
    let headers = description.headers.iter().map(|header| parameter_object(header, "header"));
    let parameters: Vec<Value> = query.chain(headers).collect();
    let mut operation = json!({
        "operationId": description.id,
        "tags": [tag_of(description.path)],
        "summary": description.summary,
        "description": about(description),
        "parameters": parameters,
        "responses": responses(description),
    });
    let media = description.body.media();
    if !media.is_empty() {
        let required = matches!(description.body, RequestBody::Required(_));
        operation["requestBody"] = json!({ "required": required, "content": bodies(media) });
    }
    operation
}

/// The bodies that an operation takes, but lists and lines beside others: generated clients tell
/// the bodies of one operation apart by their classes, and a list has none; lines they do not know.
fn bodies(media: &[(&str, &str)]) -> Value {
    let schemas = schemas();
    let is_known =
        |of: &str, schema: &str| of != media::NDJSON && schemas[schema]["type"] != "array";
    let listed = media.iter().filter(|(of, schema)| media.len() == 1 || is_known(of, schema));
    content(&listed.copied().collect::<Vec<_>>())
}

fn about(description: &Description) -> String {
    let Description { method, path_form, summary, about, .. } = description;
    let mut text = format!("{summary}.");
    if !about.is_empty() {
        text = format!("{text} {about}");
    }
    if let Some(path_form) = path_form {
        let key = "each part of the key a segment of its own, percent-encoded (a `/` inside a part \
                   is `%2F`)";
        text = format!("{text} Also spelled `{method} {path_form}`, with {key}.");
    }
    text
}

fn responses(description: &Description) -> Value {
    let mut responses = Map::new();
    for Answer { status, about, media, headers } in description.answers {
        let mut response = response(about, headers);
        if !media.is_empty() {
            response["content"] = content(media);
        }
        responses.insert(status.to_string(), response);
    }
    let problem = |about, headers| {
        let mut response = response(about, headers);
        response["content"] = content(&[(media::PROBLEM, "Problem")]);
        response
    };
    for ErrorAnswer { status, about, headers } in description.errors {
        responses.insert(status.to_string(), problem(about, headers));
    }
    responses.insert("default".to_owned(), problem("Any other error.", &["Retry-After"]));
    Value::Object(responses)
}

fn response(about: &str, headers: &[&str]) -> Value {
    let all = ["Cortado-Request-Id", "Cache-Control"].iter().chain(headers);
    let headers = all.map(|name| {
        let reference = format!("#/components/headers/{name}");
        ((*name).to_owned(), json!({ "$ref": reference }))
    });
    json!({ "description": about, "headers": headers.collect::<Map<_, _>>() })
}

/// The operation that answers like this one, without a body.
fn head(mut operation: Value) -> Value {
    let id = operation["operationId"].as_str().unwrap_or_default();
    operation["operationId"] = json!(format!("{id}_head"));
    let summary = operation["summary"].as_str().unwrap_or_default();
    operation["summary"] = json!(format!("{summary}: the headers alone"));
    let responses = operation["responses"].as_object_mut();
    for response in responses.into_iter().flat_map(Map::values_mut) {
        if let Some(response) = response.as_object_mut() {
            response.remove("content");
        }
    }
    operation
}

fn parameter_object(parameter: &Parameter, place: &str) -> Value {
    json!({
        "name": parameter.name,
        "in": place,
        "required": parameter.required,
        "description": parameter.about,
        "schema": { "$ref": format!("#/components/schemas/{}", parameter.schema) },
    })
}

fn content(media: &[(&str, &str)]) -> Value {
    let entries = media.iter().map(|(media_type, schema)| {
        let reference = format!("#/components/schemas/{schema}");
        ((*media_type).to_owned(), json!({ "schema": { "$ref": reference } }))
    });
    Value::Object(entries.collect())
}

/// The shapes of bodies, and the values of parameters and headers.
fn schemas() -> Value {
    let mut schemas = parse(include_str!("openapi/schemas.json"));
    if let (Some(all), Value::Object(values)) =
        (schemas.as_object_mut(), parse(include_str!("openapi/values.json")))
    {
        all.extend(values);
    }
    let codes: Vec<&str> = Code::ALL.iter().map(|code| code.name()).collect();
    schemas["Problem"]["properties"]["code"]["examples"] = json!(codes);
    schemas
}

fn parse(text: &str) -> Value {
    serde_json::from_str(text).expect("a test reads the same file")
}

#[cfg(test)]
mod tests {
    use super::*;

    const READ: Description = Description {
        id: "read",
        method: "GET",
        path: "/v1/{database}/{table}:document",
        path_form: Some("/v1/{database}/{table}/{key}"),
        summary: "Reads one",
        about: "Or not.",
        key: Some(Parameter { name: "key", about: "parts", required: true, schema: "Key" }),
        parameters: &[],
        headers: &[Parameter {
            name: "If-Match",
            about: "etags",
            required: false,
            schema: "EntityTags",
        }],
        body: RequestBody::None,
        answers: &[Answer {
            status: 200,
            about: "The document.",
            media: &[("application/json", "Document")],
            headers: &["ETag"],
        }],
        errors: &[ErrorAnswer { status: 404, about: "Missing.", headers: &[] }],
    };
    const WRITE: Description = Description {
        id: "write",
        method: "PUT",
        body: RequestBody::Required(&[("application/json", "Document")]),
        ..READ
    };

    /// Shows every object of `value` to `see`.
    fn walk(value: &Value, see: &mut impl FnMut(&Map<String, Value>)) {
        match value {
            Value::Object(members) => {
                see(members);
                members.values().for_each(|value| walk(value, see));
            }
            Value::Array(items) => items.iter().for_each(|item| walk(item, see)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    #[test]
    fn every_reference_leads_to_a_schema() {
        let document = document([READ, WRITE].iter(), "0.0.0");
        let mut count = 0;
        walk(&document, &mut |object| {
            if let Some(Value::String(reference)) = object.get("$ref") {
                let target = document.pointer(reference.trim_start_matches('#'));
                assert!(target.is_some(), "{reference}");
                count += 1;
            }
        });
        assert!(count > 10, "{count}");
    }

    /// Generators of clients take the type of a value from `type` alone.
    #[test]
    fn every_value_has_a_type_and_every_object_says_what_else_it_may_hold() {
        walk(&schemas(), &mut |schema| {
            let is_typed = schema.contains_key("type");
            assert!(is_typed || !schema.contains_key("enum"), "{schema:?}");
            assert!(is_typed || !schema.contains_key("const"), "{schema:?}");
            let is_open = !schema.contains_key("properties");
            if schema.get("type") == Some(&json!("object")) && is_open {
                assert!(schema.contains_key("additionalProperties"), "{schema:?}");
            }
        });
    }

    #[test]
    fn descriptions_of_one_path_become_one_item() {
        let document = document([READ, WRITE].iter(), "0.0.0");
        assert_eq!(document["paths"].as_object().map(Map::len), Some(1));
        let item = &document["paths"][READ.path];
        let names = item["parameters"].as_array().map(|list| list.iter().map(|p| &p["name"]));
        assert_eq!(names.unwrap().collect::<Vec<_>>(), ["database", "table"]);
        let get = &item["get"];
        let want = "Reads one. Or not. Also spelled `GET /v1/{database}/{table}/{key}`, with each \
                    part of the key a segment of its own, percent-encoded (a `/` inside a part is \
                    `%2F`).";
        assert_eq!(get["description"], want);
        assert_eq!(get["parameters"].as_array().map(Vec::len), Some(2));
        assert_eq!(get["responses"]["200"]["headers"].as_object().map(Map::len), Some(3));
        let problem = "#/components/schemas/Problem";
        for status in ["404", "default"] {
            let content = &get["responses"][status]["content"]["application/problem+json"];
            assert_eq!(content["schema"]["$ref"], problem);
        }
        assert_eq!(item["head"]["operationId"], "read_head");
        assert_eq!(item["head"]["responses"]["200"].get("content"), None);
        assert_eq!(item["put"]["requestBody"]["required"], true);
        assert_eq!(get.get("requestBody"), None);
    }
}
