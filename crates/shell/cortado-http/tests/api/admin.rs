//! Declarations, views, nodes, health.

use crate::world::World;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_is_declared_shown_and_dropped() {
    let world = World::start().await;
    let path = "/admin/v1/databases/geo";
    world.get(path).await.refused(404, "no_such_database");
    let body =
        r#"{"partitions":2,"replication":2,"owner":"team","tables":{"place":{"key":["country"]}}}"#;
    let created = world.put(path, body).await;
    assert_eq!(created.status, 201, "{created:?}");
    let want = json!({
        "name": "geo", "partitions": 2, "replication": 2, "owner": "team",
        "tables": { "place": { "name": "place", "key": ["country"], "schema_version": 0 } },
    });
    assert_eq!(created.json(), want);
    assert_eq!(world.put("/v1/geo/place/JP", "{}").await.status, 201, "writable at once");
    let again = world.put(path, body).await;
    assert_eq!((again.status, again.json()), (200, want.clone()));
    let other = world.put(path, r#"{"partitions":3}"#).await;
    other.not_done(409, "already_exists");
    assert!(!other.json()["reasons"].as_array().unwrap().is_empty());
    assert_eq!(world.get(path).await.json(), want);
    let names = world.get("/admin/v1/databases").await.json();
    let names: Vec<&Value> =
        names["databases"].as_array().unwrap().iter().map(|d| &d["name"]).collect();
    assert_eq!(names, ["geo", "music"]);
    assert_eq!(world.ask(&format!("DELETE {path}"), "").await.status, 204);
    world.ask(&format!("DELETE {path}"), "").await.not_done(404, "no_such_database");
    world.get("/v1/geo/place/JP").await.refused(404, "no_such_database");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_without_a_word_has_the_defaults() {
    let world = World::start().await;
    let created = world.ask("PUT /admin/v1/databases/plain", "").await;
    assert_eq!(created.status, 201, "{created:?}");
    let body = created.json();
    assert_eq!((&body["partitions"], &body["replication"]), (&16.into(), &3.into()));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_declaration_that_cannot_be_is_refused() {
    let world = World::start().await;
    let put = async |name: &str, body: &str| {
        world.put(&format!("/admin/v1/databases/{name}"), body).await
    };
    for name in ["Geo", "_cluster", "_journal", "1a", "a-b", "", &"a".repeat(64)] {
        put(name, "{}").await.not_done(400, "bad_name");
    }
    put("geo", r#"{"partition":2}"#).await.not_done(422, "bad_body");
    put("geo", r#"{"role":"x"}"#).await.not_done(422, "bad_body");
    put("geo", "[]").await.not_done(422, "not_an_object");
    put("geo", "{").await.not_done(400, "malformed_json");
    put("geo", r#"{"partitions":0}"#).await.not_done(422, "bad_declaration");
    put("geo", r#"{"partitions":1025}"#).await.not_done(422, "bad_declaration");
    put("geo", r#"{"replication":4}"#).await.not_done(422, "bad_declaration");
    put("geo", r#"{"slo":{}}"#).await.not_done(422, "member_not_supported");
    put("geo", r#"{"tables":{"t":{"key":[]}}}"#).await.not_done(422, "bad_declaration");
    put("geo", r#"{"tables":{"T":{"key":["a"]}}}"#).await.not_done(400, "bad_name");
    let index = r#"{"tables":{"t":{"key":["a"],"indexes":[{"field":"x","kind":"exact"}]}}}"#;
    put("geo", index).await.not_done(422, "member_not_supported");
    let remote = r#"{"tables":{"t":{"key":["a"],"schema":{"$ref":"http://x.example/"}}}}"#;
    put("geo", remote).await.not_done(422, "bad_declaration");
    world.get("/admin/v1/databases/geo").await.refused(404, "no_such_database");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_comes_widens_and_goes() {
    let world = World::start().await;
    let path = "/admin/v1/databases/music/tables/year";
    let table = |schema: &str| format!(r#"{{"key":["year"],"schema":{schema}}}"#);
    let narrow = table(r#"{"type":"object","properties":{"n":{"type":"integer"}}}"#);
    let wide = table(r#"{"type":"object","properties":{"n":{"type":"number"}}}"#);
    assert_eq!(world.put(path, &narrow).await.status, 201);
    assert_eq!(world.put(path, &narrow).await.status, 200);
    let widened = world.put(path, &wide).await;
    assert_eq!((widened.status, &widened.json()["schema_version"]), (200, &2.into()));
    let refused = world.put(path, &narrow).await;
    refused.not_done(409, "incompatible_schema");
    assert!(!refused.json()["reasons"].as_array().unwrap().is_empty());
    world.put(path, r#"{"key":["other"]}"#).await.not_done(409, "already_exists");
    assert_eq!(world.get(path).await.json()["key"], json!(["year"]));
    let tables = world.get("/admin/v1/databases/music/tables").await.json();
    assert_eq!(tables["tables"].as_array().map(Vec::len), Some(4));
    assert_eq!(world.ask(&format!("DELETE {path}"), "").await.status, 204);
    world.get(path).await.refused(404, "no_such_table");
    world.get("/v1/music/year/1998").await.refused(404, "no_such_table");
    let none = "/admin/v1/databases/none/tables/year";
    world.put(none, &narrow).await.not_done(404, "no_such_database");
    world.put(path, "{}").await.not_done(422, "bad_body");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leaderships_are_shown_and_handed_over() {
    let world = World::start().await;
    let path = "/admin/v1/databases/music/partitions";
    let partitions = world.get(path).await.json();
    let partitions = partitions["partitions"].as_array().unwrap();
    assert_eq!(partitions.len(), 4);
    let first = &partitions[0];
    assert_eq!(first["replicas"].as_array().map(Vec::len), Some(3));
    assert!(first["applied"].as_str().is_some_and(|scn| scn.starts_with("0/")));
    let leader = first["leader"].as_str().unwrap();
    let others = ["n1", "n2", "n3"].into_iter().filter(|node| *node != leader);
    for to in others.chain([leader]) {
        let handed =
            world.post(&format!("{path}/0:handoff"), &json!({ "to": to }).to_string()).await;
        assert_eq!((handed.status, &handed.json()["leader"]), (200, &to.into()), "{handed:?}");
    }
    let handed = world.ask(&format!("POST {path}/0:handoff"), "").await;
    assert_eq!(handed.status, 200);
    assert_ne!(handed.json()["leader"], leader);
    world.ask(&format!("POST {path}/4:handoff"), "").await.not_done(404, "no_such_partition");
    world.ask(&format!("POST {path}/x:handoff"), "").await.not_done(404, "no_such_partition");
    world.post(&format!("{path}/0:handoff"), r#"{"to":"n9"}"#).await.not_done(404, "no_such_node");
    world.post(&format!("{path}/0:handoff"), r#"{"too":"n1"}"#).await.not_done(422, "bad_body");
    world.ask(&format!("GET {path}/0:handoff"), "").await.refused(405, "method_not_allowed");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_journal_is_led_like_any_database_and_cannot_be_declared() {
    let world = World::start().await;
    let path = "/admin/v1/databases/_journal";
    let partitions = world.get(&format!("{path}/partitions")).await.json();
    let partitions = partitions["partitions"].as_array().unwrap();
    assert_eq!(partitions.len(), 4);
    let leader = partitions[3]["leader"].as_str().unwrap();
    let to = ["n1", "n2", "n3"].into_iter().find(|node| *node != leader).unwrap();
    let body = json!({ "to": to }).to_string();
    let handed = world.post(&format!("{path}/partitions/3:handoff"), &body).await;
    assert_eq!((handed.status, &handed.json()["leader"]), (200, &to.into()), "{handed:?}");
    world
        .post(&format!("{path}/partitions/4:handoff"), "{}")
        .await
        .not_done(404, "no_such_partition");
    // Nothing else is done with it, nor seen of it.
    world.put(path, "{}").await.not_done(400, "bad_name");
    world.ask(&format!("DELETE {path}"), "").await.not_done(400, "bad_name");
    let table = r#"{"key":["stream","number"]}"#;
    world.put(&format!("{path}/tables/entries"), table).await.not_done(400, "bad_name");
    world.ask(&format!("DELETE {path}/tables/entries"), "").await.not_done(400, "bad_name");
    for what in ["", "/tables", "/tables/entries"] {
        world.get(&format!("{path}{what}")).await.refused(400, "bad_name");
    }
    let document = "/v1/_journal/entries/0/00000000000000000001";
    world.get(document).await.refused(400, "bad_name");
    world.put(document, "{}").await.not_done(400, "bad_name");
    world.get("/v1/_journal:changes").await.refused(400, "bad_name");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_histories_of_the_clusters_own_partition_are_shown() {
    let world = World::start().await;
    let partitions = "/admin/v1/databases/_cluster/partitions";
    let shown = world.post(&format!("{partitions}/0:resolve"), r#"{"keep":"n2"}"#).await;
    let body = shown.json();
    let found = (shown.status, &body["in_doubt"], &body["resolved"]);
    assert_eq!(found, (200, &false.into(), &false.into()), "{shown:?}");
    assert_eq!(body["replicas"].as_array().map(Vec::len), Some(3), "{shown:?}");
    let none = world.post(&format!("{partitions}/1:resolve"), "{}").await;
    none.not_done(404, "no_such_partition");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_dies_comes_back_and_the_decisions_are_told() {
    let world = World::start().await;
    let kill = world.ask("POST /admin/v1/nodes/n2:kill", "").await;
    assert_eq!(kill.status, 204, "{kill:?}");
    let alive = async || -> Vec<bool> {
        let nodes = world.get("/admin/v1/nodes").await.json();
        nodes["nodes"].as_array().unwrap().iter().map(|n| n["alive"] == true).collect()
    };
    assert_eq!(alive().await, [true, false, true]);
    world.ask("POST /admin/v1/nodes/n2:kill", "").await.not_done(409, "conflict");
    for fan in 0..20 {
        let written = world.put(&format!("/v1/music/fan/f{fan}"), "{}").await;
        assert_eq!(written.status, 201, "served by the survivors: {written:?}");
    }
    world.ask("POST /admin/v1/nodes/n1:replace", "").await.not_done(409, "conflict");
    world.ask("POST /admin/v1/nodes/n9:replace", "").await.not_done(404, "no_such_node");
    for _ in 0..2 {
        let replaced = world.ask("POST /admin/v1/nodes/n2:replace", "").await;
        assert_eq!(replaced.status, 204, "{replaced:?}");
    }
    assert_eq!(world.ask("POST /admin/v1/nodes/n2:start", "").await.status, 204);
    assert_eq!(alive().await, [true, true, true]);
    world.ask("POST /admin/v1/nodes/n9:kill", "").await.not_done(404, "no_such_node");
    world.ask("POST /admin/v1/nodes/x:start", "").await.not_done(404, "no_such_node");

    let events = world.events_with("claim").await;
    let all = events["events"].as_array().unwrap();
    for member in ["id", "time", "node", "what", "by_hand", "undo"] {
        assert!(all.iter().all(|event| event[member].is_string()), "{member}");
    }
    // What was written late comes in between, until everything is written.
    let mut goes_on = false;
    for _ in 0..1_000 {
        let events = world.get("/admin/v1/events").await.json();
        let all = events["events"].as_array().unwrap();
        let first = all[0]["id"].as_str().unwrap();
        let rest = world.get(&format!("/admin/v1/events?limit=1&after={first}")).await.json();
        assert_eq!(rest["next"], rest["events"][0]["id"]);
        goes_on = rest["next"] == all[1]["id"];
        if goes_on {
            break;
        }
    }
    assert!(goes_on, "the events behind the first one begin with the second");
    for after in ["x", "", "5", "00000000000000000001", "0badcafe-0.0.0.0"] {
        let path = format!("/admin/v1/events?after={after}");
        world.get(&path).await.refused(400, "bad_parameter");
    }
    let lines = world.ask("GET /admin/v1/events?limit=2\nAccept: application/x-ndjson", "").await;
    assert_eq!(lines.text().lines().count(), 2);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadline_that_passes_is_told_as_such() {
    let world = World::start().await;
    for node in ["n1", "n2", "n3"] {
        let killed = world.ask(&format!("POST /admin/v1/nodes/{node}:kill"), "").await;
        assert_eq!(killed.status, 204);
    }
    let json = "Content-Type: application/json\nCortado-Deadline-Ms: 20";
    let transaction = r#"{"operations":[{"op":"delete","table":"fan","key":["a"]}]}"#;
    for (line, body) in [
        ("PUT /v1/music/fan/a", "{}"),
        ("DELETE /v1/music/fan/a", ""),
        ("POST /v1/music:transact", transaction),
        ("PUT /admin/v1/databases/new", "{}"),
        ("DELETE /admin/v1/databases/music/tables/fan", ""),
        ("POST /admin/v1/databases/music/partitions/0:handoff", "{}"),
    ] {
        let late = world.ask(&format!("{line}\n{json}"), body).await;
        late.not_done(504, "deadline_passed");
    }
    for path in ["/v1/music/fan/a", "/v1/music/album/a", "/v1/music/fan", "/admin/v1/events"] {
        let late = world.ask(&format!("GET {path}\nCortado-Deadline-Ms: 20"), "").await;
        late.refused(504, "deadline_passed");
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_tells_about_itself() {
    let world = World::start().await;
    assert_eq!(world.get("/healthz").await.json()["alive"], true);
    assert_eq!(world.get("/readyz").await.json()["ready"], true);
    assert_eq!(world.get("/").await.json()["api"], "/openapi.json");
    let cluster = world.get("/admin/v1/cluster").await.json();
    assert_eq!(cluster["ready"], true);
    let databases = cluster["databases"].as_array().unwrap().iter();
    let names: Vec<&Value> = databases.map(|database| &database["name"]).collect();
    assert_eq!(names, ["_cluster", "_journal", "music"]);
    let metrics = world.get("/metrics").await;
    assert!(metrics.header("content-type").unwrap().starts_with("text/plain; version=0.0.4"));
    let text = metrics.text();
    assert!(
        text.contains(r#"cortado_http_requests_total{route="healthz",class="2xx"} 1"#),
        "{text}"
    );
    assert!(text.contains("cortado_node_up{node=\"n1\"} 1"), "{text}");
    let families = text.lines().filter(|line| line.starts_with("# TYPE"));
    let mut names: Vec<&str> = families.map(|line| line.split(' ').nth(2).unwrap()).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count, "each family once");
    world.end().await;
}

/// Every route that is documented exists, and every method that is not is refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_document_and_the_server_agree() {
    let world = World::start().await;
    let document = world.get("/openapi.json").await.json();
    assert_eq!(document["openapi"], "3.1.0");
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.len() >= 20);
    for (template, item) in paths {
        let path = template
            .replace("{database}", "none")
            .replace("{table}", "none")
            .replace("{partition}", "0")
            .replace("{node}", "n9")
            .replace("{change}", "7");
        assert!(!path.contains('{'), "a parameter of {path} has no value here");
        let options = world.ask(&format!("OPTIONS {path}"), "").await;
        assert_eq!(options.status, 204, "{path}");
        let allow = options.header("allow").unwrap().to_owned();
        assert!(options.header("access-control-allow-origin").is_none());
        for method in ["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE"] {
            let reply = world.ask(&format!("{method} {path}"), "").await;
            let documented = item.get(method.to_lowercase()).is_some();
            assert_eq!(allow.contains(method), documented, "{method} {path}");
            assert_eq!(reply.status != 405, documented, "{method} {path} {reply:?}");
            assert_ne!(reply.status, 500);
        }
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_parameter_and_every_body_of_a_request_has_an_example() {
    let world = World::start().await;
    let document = world.get("/openapi.json").await.json();
    let has_example = |schema: &Value| {
        let target = schema["$ref"].as_str().unwrap().trim_start_matches('#');
        let schema = document.pointer(target).unwrap();
        let example = &schema["examples"][0];
        assert!(!example.is_null(), "{target}");
        let fits = match schema["type"].as_str() {
            Some("string") => example.is_string(),
            Some("integer") => example.is_u64(),
            Some("array") => example.is_array(),
            _ => example.is_object(),
        };
        assert!(fits, "{target}: {example}");
    };
    for (path, item) in document["paths"].as_object().unwrap() {
        item["parameters"].as_array().unwrap().iter().for_each(|it| has_example(&it["schema"]));
        for operation in item.as_object().unwrap().values().filter(|value| value.is_object()) {
            assert!(operation["tags"][0].is_string(), "{path}");
            let parameters = operation["parameters"].as_array().unwrap();
            parameters.iter().for_each(|parameter| has_example(&parameter["schema"]));
            let bodies = operation.pointer("/requestBody/content").and_then(Value::as_object);
            for body in bodies.into_iter().flat_map(|bodies| bodies.values()) {
                has_example(&body["schema"]);
            }
        }
    }
    world.end().await;
}
