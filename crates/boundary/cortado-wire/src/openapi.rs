//! The OpenAPI 3.1 document, generated from the descriptions of the routes.
//!
//! Knows no route: the server's route table holds a [`Description`] for each. The shapes of bodies
//! stand in `openapi/schemas.json`; a test keeps references whole. Start reading at [`document`].

use crate::{Code, media};
use serde_json::{Map, Value, json};

/// What a reader needs to know about one route.
#[derive(Clone, Copy, Debug)]
pub struct Description {
    /// Unique; also the label of the route's metrics.
    pub id: &'static str,
    /// Upper case.
    pub method: &'static str,
    /// With parameters in braces, such as `/v1/{database}/{table}/{key}`.
    pub path: &'static str,
    /// One line.
    pub summary: &'static str,
    /// The query parameters: all that the route accepts.
    pub parameters: &'static [Parameter],
    /// The request headers of the API that have an effect here.
    pub headers: &'static [Parameter],
    /// The body that it takes.
    pub body: RequestBody,
    /// The answers without an error.
    pub answers: &'static [Answer],
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
}

/// Writes the document.
///
/// Descriptions that share path and method, because the server tells them apart by more than their
/// text, are merged. Every `GET` answers `HEAD` too.
pub fn document<'a>(descriptions: impl Iterator<Item = &'a Description>, version: &str) -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for description in descriptions {
        let item = paths.entry(description.path).or_insert_with(|| path_item(description.path));
        let method = description.method.to_ascii_lowercase();
        merge(&mut item[&method], operation(description));
        if method == "get" {
            let head = Description { id: "", body: RequestBody::None, ..*description };
            let mut head = operation(&head);
            head["operationId"] = json!(format!("{}Head", description.id));
            strip_content(&mut head["responses"]);
            merge(&mut item["head"], head);
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Cortado",
            "version": version,
            "summary": "A distributed document database.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": { "schemas": schemas() },
    })
}

fn path_item(path: &str) -> Value {
    let names = path.split('{').skip(1).filter_map(|rest| rest.split('}').next());
    let parameters: Vec<Value> = names.map(path_parameter).collect();
    json!({ "parameters": parameters })
}

fn path_parameter(name: &str) -> Value {
    let about = match name {
        "key" => {
            "The parts of the key, separated by `/`, each percent-encoded (a `/` inside a part is \
             `%2F`). With as many parts as the table's key a document, with fewer a collection."
        }
        "partition" => "The number of the partition, from 0.",
        "node" => "The node, such as `n1`.",
        _ => "A name: `[a-z][a-z0-9_]{0,62}`.",
    };
    json!({
        "name": name, "in": "path", "required": true, "description": about,
        "schema": { "type": "string" },
    })
}

fn operation(description: &Description) -> Value {
    let query = description.parameters.iter().map(|parameter| parameter_object(parameter, "query"));
    let headers = description.headers.iter().map(|header| parameter_object(header, "header"));
    let parameters: Vec<Value> = query.chain(headers).collect();
    let mut responses = Map::new();
    for answer in description.answers {
        let mut response = json!({ "description": answer.about });
        if !answer.media.is_empty() {
            response["content"] = content(answer.media);
        }
        responses.insert(answer.status.to_string(), response);
    }
    let problem = content(&[(media::PROBLEM, "Problem")]);
    responses.insert("default".to_owned(), json!({ "description": "Error", "content": problem }));
    let mut operation = json!({
        "operationId": description.id,
        "summary": description.summary,
        "parameters": parameters,
        "responses": responses,
    });
    let media = description.body.media();
    if !media.is_empty() {
        let required = matches!(description.body, RequestBody::Required(_));
        operation["requestBody"] = json!({ "required": required, "content": content(media) });
    }
    operation
}

fn parameter_object(parameter: &Parameter, place: &str) -> Value {
    json!({
        "name": parameter.name,
        "in": place,
        "required": parameter.required,
        "description": parameter.about,
        "schema": { "type": "string" },
    })
}

fn content(media: &[(&str, &str)]) -> Value {
    let entries = media.iter().map(|(media_type, schema)| {
        let reference = format!("#/components/schemas/{schema}");
        ((*media_type).to_owned(), json!({ "schema": { "$ref": reference } }))
    });
    Value::Object(entries.collect())
}

fn strip_content(responses: &mut Value) {
    for response in responses.as_object_mut().into_iter().flat_map(Map::values_mut) {
        if let Some(response) = response.as_object_mut() {
            response.remove("content");
        }
    }
}

/// Puts a second operation beside the first one of the same path and method.
fn merge(place: &mut Value, new: Value) {
    if place.is_null() {
        *place = new;
        return;
    }
    let summary = [&*place, &new].map(|one| one["summary"].as_str().unwrap_or_default().to_owned());
    place["summary"] = json!(summary.join(" / "));
    let parameters = new["parameters"].as_array().cloned().unwrap_or_default();
    if let Some(known) = place["parameters"].as_array_mut() {
        for parameter in parameters {
            let mut names = known.iter().map(|one| &one["name"]);
            if !names.any(|name| *name == parameter["name"]) {
                known.push(parameter);
            }
        }
    }
    let responses = new["responses"].as_object().cloned().unwrap_or_default();
    for (status, response) in responses {
        merge_response(&mut place["responses"][&status], response);
    }
}

fn merge_response(place: &mut Value, new: Value) {
    if place.is_null() {
        *place = new;
        return;
    }
    let contents = new["content"].as_object().cloned().unwrap_or_default();
    for (media_type, content) in contents {
        let schema = &mut place["content"][&media_type]["schema"];
        if *schema != content["schema"] {
            *schema = json!({ "anyOf": [schema.take(), content["schema"]] });
        }
    }
}

fn schemas() -> Value {
    let text = include_str!("openapi/schemas.json");
    let mut schemas: Value = serde_json::from_str(text).expect("a test reads the same file");
    let codes: Vec<&str> = Code::ALL.iter().map(|code| code.name()).collect();
    schemas["Problem"]["properties"]["code"]["examples"] = json!(codes);
    schemas
}

#[cfg(test)]
mod tests {
    use super::*;

    const READ: Description = Description {
        id: "readOne",
        method: "GET",
        path: "/v1/{database}/{table}/{key}",
        summary: "Reads one",
        parameters: &[],
        headers: &[Parameter { name: "If-Match", about: "etag", required: false }],
        body: RequestBody::None,
        answers: &[Answer {
            status: 200,
            about: "The document",
            media: &[("application/json", "Document")],
        }],
    };
    const LIST: Description = Description {
        id: "list",
        summary: "Lists many",
        parameters: &[Parameter { name: "limit", about: "how many", required: false }],
        answers: &[Answer { status: 200, about: "A page", media: &[("application/json", "Page")] }],
        ..READ
    };
    const WRITE: Description = Description {
        id: "write",
        method: "PUT",
        body: RequestBody::Required(&[("application/json", "Document")]),
        ..READ
    };

    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                for (name, value) in members {
                    match (name.as_str(), value) {
                        ("$ref", Value::String(target)) => found.push(target.clone()),
                        (_, value) => references(value, found),
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    #[test]
    fn every_reference_leads_to_a_schema() {
        let document = document([READ, LIST, WRITE].iter(), "0.0.0");
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 10, "{found:?}");
        for reference in found {
            let target = document.pointer(reference.trim_start_matches('#'));
            assert!(target.is_some(), "{reference}");
        }
    }

    #[test]
    fn descriptions_of_one_path_become_one_item() {
        let document = document([READ, LIST, WRITE].iter(), "0.0.0");
        let item = &document["paths"]["/v1/{database}/{table}/{key}"];
        let names = item["parameters"].as_array().map(|list| list.iter().map(|p| &p["name"]));
        assert_eq!(names.unwrap().collect::<Vec<_>>(), ["database", "table", "key"]);
        assert_eq!(item["get"]["summary"], "Reads one / Lists many");
        let schema = &item["get"]["responses"]["200"]["content"]["application/json"]["schema"];
        assert_eq!(schema["anyOf"].as_array().map(Vec::len), Some(2));
        assert_eq!(item["get"]["parameters"].as_array().map(Vec::len), Some(2));
        assert_eq!(item["head"]["responses"]["200"].get("content"), None);
        assert_eq!(item["put"]["requestBody"]["required"], true);
        assert_eq!(item["get"].get("requestBody"), None);
    }
}
