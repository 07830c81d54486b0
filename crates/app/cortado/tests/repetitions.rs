//! What comes again is recognised: a write under its idempotency key, whatever the first one came
//! to; and what belongs to a former life of a database is told from what belongs to this one.

#![allow(clippy::unwrap_used, reason = "a failed step of a story is a failed test")]

use crate::harness::Server;
use crate::harness::http::{Answer, Http};
use serde_json::{Value, json};

/// A write under a key that changes nothing, or little.
struct Keyed {
    method: &'static str,
    target: &'static str,
    body: &'static str,
    key: &'static str,
}

const DOCUMENT: &str = "/v1/shop/item/a/1";

/// All of them, in a state where `a/1` is missing and `a/2` is `{"n":1}`.
const KEYED: [Keyed; 6] = [
    Keyed { method: "DELETE", target: DOCUMENT, body: "", key: "delete" },
    Keyed {
        method: "POST",
        target: "/v1/shop:transact",
        body: r#"{"operations":[{"op":"delete","table":"item","key":["a","1"]}]}"#,
        key: "delete-within",
    },
    Keyed {
        method: "POST",
        target: "/v1/shop:transact",
        body: r#"{"operations":[
            {"op":"check","table":"item","key":["a","1"],"if_none_match":"*"}]}"#,
        key: "check",
    },
    Keyed {
        method: "POST",
        target: "/v1/shop:transact",
        body: r#"{"operations":[{"op":"check","table":"item","key":["a","2"],"if_match":"*"},
            {"op":"delete","table":"item","key":["a","1"]}]}"#,
        key: "check-and-delete",
    },
    Keyed { method: "PATCH", target: "/v1/shop/item/a/2", body: "{}", key: "patch" },
    Keyed { method: "PUT", target: "/v1/shop/item/a/2", body: r#"{"n":1}"#, key: "put" },
];

impl Keyed {
    fn send(&self, http: &mut Http) -> Answer {
        let media = match self.method {
            "PATCH" => "application/merge-patch+json",
            _ => "application/json",
        };
        let mut headers = vec![("idempotency-key", self.key)];
        headers.extend((!self.body.is_empty()).then_some(("content-type", media)));
        http.expect(self.method, self.target, &headers, self.body.as_bytes())
    }
}

/// What of an answer must be the same when it comes again.
fn gist(answer: &Answer) -> (u16, Option<String>, Option<String>, Value) {
    let header = |name| answer.header(name).map(str::to_owned);
    let mut body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    // An error names the request that it answers.
    if let Some(problem) = body.as_object_mut() {
        problem.remove("request_id");
    }
    (answer.status, header("etag"), header("cortado-scn"), body)
}

/// All writes again: each is answered as the first time, and nothing is done.
#[track_caller]
fn check_repeated(server: &Server, first: &[Answer]) {
    let mut http = server.http();
    let before = [1, 2].map(|n| gist(&http.get(&format!("/v1/shop/item/a/{n}"))));
    assert_eq!((before[0].0, before[1].0), (200, 200));
    for (keyed, first) in KEYED.iter().zip(first) {
        let again = keyed.send(&mut http);
        assert_eq!(gist(&again), gist(first), "{}", keyed.key);
        assert_eq!(again.header("cortado-repeated"), Some("true"), "{}", keyed.key);
        let now = [1, 2].map(|n| gist(&http.get(&format!("/v1/shop/item/a/{n}"))));
        assert_eq!(now, before, "{} has done something", keyed.key);
    }
}

#[test]
fn a_keyed_write_that_changed_nothing_does_nothing_when_it_comes_again() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    server.create_table("shop", "item", &["customer", "item"]);
    let mut http = server.http();
    assert_eq!(http.put("/v1/shop/item/a/2", &json!({"n": 1})).status, 201);
    let first: Vec<Answer> = KEYED.iter().map(|keyed| keyed.send(&mut http)).collect();
    let statuses: Vec<u16> = first.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [404, 200, 200, 200, 200, 200]);
    assert!(first.iter().all(|answer| answer.header("cortado-repeated").is_none()));
    // Somebody else writes what was missing, and changes what was there.
    assert_eq!(http.put(DOCUMENT, &json!({"by": "other"})).status, 201);
    assert_eq!(http.put("/v1/shop/item/a/2", &json!({"n": 2})).status, 200);
    check_repeated(&server, &first);

    // The next leader remembers.
    let partition = first[0].header("cortado-scn").map(str::to_owned);
    let number =
        http.get(DOCUMENT).header("cortado-scn").or(partition.as_deref()).unwrap().to_owned();
    let number = number.split('/').next().unwrap().to_owned();
    let led_by = |http: &mut Http| {
        let partitions = http.get("/admin/v1/databases/shop/partitions").json();
        let found = partitions["partitions"][number.parse::<usize>().unwrap()]["leader"].clone();
        found.as_str().map(str::to_owned)
    };
    let leader = led_by(&mut http).unwrap();
    let killed = http.expect("POST", &format!("/admin/v1/nodes/{leader}:kill"), &[], b"");
    assert_eq!(killed.status, 204);
    server.wait_until("led by another node", |http| led_by(http).is_some_and(|now| now != leader));
    check_repeated(&server, &first);

    // So does the next process.
    server.stop();
    let server = Server::start(folder.path());
    check_repeated(&server, &first);
}

/// A key belongs to its resource: that one's partition is down says nothing about another one's.
#[test]
fn a_key_that_failed_for_one_resource_serves_another_one_and_the_first_one_later() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let mut http = server.http();
    let body = json!({"partitions": 8, "replication": 1, "tables": {"item": {"key": ["id"]}}});
    assert_eq!(http.put("/admin/v1/databases/shop", &body).status, 201);
    let leader_of = |http: &mut Http, id: &str| {
        let written = http.put(&format!("/v1/shop/item/{id}"), &json!({}));
        let scn = written.header("cortado-scn").unwrap().to_owned();
        let number: usize = scn.split('/').next().unwrap().parse().unwrap();
        let partitions = http.get("/admin/v1/databases/shop/partitions").json();
        partitions["partitions"][number]["leader"].as_str().unwrap().to_owned()
    };
    let down = "a0".to_owned();
    let victim = leader_of(&mut http, &down);
    let mut others = (1..).map(|number| format!("a{number}"));
    let up = others.find(|id| leader_of(&mut http, id) != victim).unwrap();
    let killed = http.expect("POST", &format!("/admin/v1/nodes/{victim}:kill"), &[], b"");
    assert_eq!(killed.status, 204);
    let mut put = |id: &str, deadline_ms: &str| {
        let headers = [
            ("content-type", "application/json"),
            ("idempotency-key", "k"),
            ("cortado-deadline-ms", deadline_ms),
        ];
        http.expect("PUT", &format!("/v1/shop/item/{id}"), &headers, b"{}")
    };
    let refused = put(&down, "300");
    assert!(refused.status >= 500, "{refused:?}");
    let elsewhere = put(&up, "60000");
    assert_eq!((elsewhere.status, elsewhere.header("cortado-repeated")), (200, None));
    let mut http = server.http();
    let started = http.expect("POST", &format!("/admin/v1/nodes/{victim}:start"), &[], b"");
    assert_eq!(started.status, 204);
    assert_eq!(put(&down, "60000").status, 200);
    let again = [put(&down, "60000"), put(&up, "60000")];
    assert!(again.iter().all(|answer| answer.status == 200));
    assert!(again.iter().all(|answer| answer.header("cortado-repeated") == Some("true")));
}

#[test]
fn nothing_of_a_dropped_database_passes_for_something_of_its_successor() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let create = |http: &mut Http| {
        let body = json!({"partitions": 1, "tables": {"t": {"key": ["r", "id"]}}});
        assert_eq!(http.put("/admin/v1/databases/shop", &body).status, 201);
    };
    let write = |http: &mut Http, documents: usize| {
        let writes = (0..documents).map(|n| http.put(&format!("/v1/shop/t/r/{n:02}"), &json!({})));
        let writes: Vec<Answer> = writes.collect();
        assert!(writes.iter().all(|written| written.status == 201));
        writes
    };
    let mut http = server.http();
    create(&mut http);
    let first = write(&mut http, 10);
    let last = first.last().unwrap();
    let scn = last.header("cortado-scn").unwrap().to_owned();
    let session = last.header("cortado-session").unwrap().to_owned();
    let page = http.get("/v1/shop/t/r?limit=3").json();
    let cursor = page["next"].as_str().unwrap().to_owned();
    let key = [("idempotency-key", "k"), ("content-type", "application/json")];
    assert_eq!(http.expect("PUT", "/v1/shop/t/r/keyed", &key, b"{}").status, 201);
    assert_eq!(http.delete("/admin/v1/databases/shop").status, 204);
    create(&mut http);
    let second = write(&mut http, 20);

    // Positions, in every spelling; the beginning is not one of them.
    let changes = "/v1/shop:changes?partition=0";
    let bare = scn.split('/').nth(1).unwrap();
    for since in [scn.as_str(), bare, "1:0", "1:11", "1:999"] {
        let gone = http.get(&format!("{changes}&since={since}"));
        assert_eq!(
            (gone.status, &gone.json()["code"]),
            (410, &"changes_trimmed".into()),
            "{since}"
        );
        let header = [("last-event-id", since)];
        assert_eq!(http.expect("GET", changes, &header, b"").status, 410, "{since}");
        let sse = [("last-event-id", since), ("accept", "text/event-stream")];
        assert_eq!(http.expect("GET", changes, &sse, b"").status, 410, "{since}");
    }
    for since in ["", "&since=0:0"] {
        let all = http.get(&format!("{changes}{since}"));
        let lines = String::from_utf8(all.body).unwrap();
        assert_eq!(lines.lines().filter(|line| line.contains("\"changes\"")).count(), 20);
    }
    let ran = server.cortado(&["changes", "shop", "--since", &scn]);
    ran.refused(1, &["changes_trimmed", "dropped database", "cortado export"]);

    // Etags, session tokens, cursors, keys.
    let etags = |answers: &[Answer]| -> Vec<String> {
        answers.iter().map(|answer| answer.header("etag").unwrap().to_owned()).collect()
    };
    let former = etags(&first);
    assert!(etags(&second).iter().all(|etag| !former.contains(etag)));
    let held = [("if-match", former[0].as_str()), ("content-type", "application/json")];
    assert_eq!(http.expect("PUT", "/v1/shop/t/r/00", &held, b"{}").status, 412);
    let token = [("cortado-session", session.as_str()), ("cortado-consistency", "session")];
    let read = http.expect("GET", "/v1/shop/t/r/00", &token, b"");
    assert_eq!((read.status, &read.json()["code"]), (400, &"bad_session".into()));
    let page = http.get(&format!("/v1/shop/t/r?limit=3&cursor={cursor}"));
    assert_eq!((page.status, &page.json()["code"]), (400, &"bad_cursor".into()));
    let keyed = http.expect("PUT", "/v1/shop/t/r/keyed", &key, b"{}");
    assert_eq!((keyed.status, keyed.header("cortado-repeated")), (201, None));
}
