//! What web pages may do with a server, and what caches may keep of it.

use crate::world::{Reply, World};

/// What a browser sends along for a page of another site.
const FOREIGN: [&str; 5] = [
    "Origin: https://evil.example\nSec-Fetch-Site: cross-site",
    "Origin: https://evil.example",
    "Origin: null",
    "Origin: http://localhost:1\nSec-Fetch-Site: same-site",
    "Sec-Fetch-Site: cross-site",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_another_origin_changes_nothing() {
    let world = World::start().await;
    assert_eq!(world.put("/v1/music/fan/Ann", r#"{"n":1}"#).await.status, 201);
    let document = world.get("/openapi.json").await.json();
    let mut refused = 0;
    for (template, item) in document["paths"].as_object().unwrap() {
        let path = template
            .replace("{database}", "music")
            .replace("{table}", "fan")
            .replace("{partition}", "0")
            .replace("{node}", "n1");
        for method in ["PUT", "POST", "PATCH", "DELETE"] {
            if item.get(method.to_lowercase()).is_none() {
                continue;
            }
            for foreign in FOREIGN {
                let bare = world.ask(&format!("{method} {path}\n{foreign}"), "").await;
                bare.not_done(403, "cross_origin");
                // What a form can send.
                let text = format!("{method} {path}\n{foreign}\nContent-Type: text/plain");
                world.ask(&text, "{}").await.not_done(403, "cross_origin");
                refused += 2;
            }
        }
    }
    assert!(refused > 100, "only {refused}");
    for method in ["PUT", "PATCH", "DELETE"] {
        let path = format!("{method} /v1/music/fan/Ann\n{}", FOREIGN[0]);
        world.ask(&path, "").await.not_done(403, "cross_origin");
    }
    world.ask(&format!("POST /nowhere\n{}", FOREIGN[0]), "").await.not_done(403, "cross_origin");
    assert_eq!(world.get("/v1/music/fan/Ann").await.text(), r#"{"n":1}"#);
    let nodes = world.get("/admin/v1/nodes").await.json();
    assert!(nodes["nodes"].as_array().unwrap().iter().all(|node| node["alive"] == true));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_this_server_may_do_everything() {
    let world = World::start().await;
    let port = world.address.port();
    let own = format!(
        "PUT /v1/music/fan/Ann\nHost: localhost:{port}\nOrigin: http://localhost:{port}\n\
         Sec-Fetch-Site: same-origin\nContent-Type: application/json"
    );
    assert_eq!(world.ask(&own, "{}").await.status, 201);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_another_origin_reads_nothing() {
    let world = World::start().await;
    assert_eq!(world.put("/v1/music/fan/Ann", "{}").await.status, 201);
    for path in ["/v1/music/fan/Ann", "/admin/v1/nodes", "/metrics", "/openapi.json", "/nowhere"] {
        for method in ["GET", "HEAD", "OPTIONS"] {
            let reply = world.ask(&format!("{method} {path}\n{}", FOREIGN[0]), "").await;
            let cors = |(name, _): &&(String, String)| name.starts_with("access-control-");
            assert_eq!(reply.headers.iter().find(cors), None, "{method} {path}");
            let policy = reply.header("cross-origin-resource-policy");
            assert_eq!(policy, Some("same-origin"), "{method} {path}");
            assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
        }
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_is_not_served_is_told_how_to_be() {
    let world = World::start().await;
    let refused = world.ask("GET /healthz\nHost: db.example", "").await;
    refused.refused(421, "wrong_host");
    assert!(refused.json()["detail"].as_str().unwrap().contains("--allow-host"), "{refused:?}");
    world.end().await;
}

/// Whether a cache may keep an answer if it asks before each use, and for which requests.
#[track_caller]
fn check_asks_again(reply: &Reply) {
    assert_eq!(reply.header("cache-control"), Some("no-cache"), "{reply:?}");
    let vary = reply.header("vary").unwrap_or_default();
    assert_eq!(vary, "Cortado-Consistency, Cortado-Max-Lag-Ms, Cortado-Session", "{reply:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn caches_ask_before_they_answer_for_a_document() {
    let world = World::start().await;
    let path = "/v1/music/album/Cher/Believe";
    let written = world.put(path, "{}").await;
    check_asks_again(&written);
    let unchanged = world.ask(&format!("GET {path}\nIf-None-Match: *"), "").await;
    assert_eq!(unchanged.status, 304);
    check_asks_again(&unchanged);
    let failed = world.ask(&format!("GET {path}\nIf-Match: \"0\""), "").await;
    assert_eq!(failed.status, 412);
    check_asks_again(&failed);
    for (path, status) in [
        (path, 200),
        ("/v1/music/album/Cher", 200),
        ("/v1/music/album", 200),
        ("/v1/music/album/Cher/none", 404),
        ("/v1/music/none/Cher", 404),
    ] {
        let reply = world.get(path).await;
        assert_eq!(reply.status, status, "{path}");
        check_asks_again(&reply);
    }
    let batch = r#"{"keys":[{"table":"fan","key":["Ann"]}]}"#;
    let batch = world.post("/v1/music:batchGet", batch).await;
    let changes = world.get("/v1/music:changes?partition=0").await;
    let others = ["/admin/v1/nodes", "/metrics", "/readyz", "/nowhere"];
    for path in others {
        assert_eq!(world.get(path).await.header("cache-control"), Some("no-store"), "{path}");
    }
    for reply in [batch, changes] {
        assert_eq!((reply.status, reply.header("cache-control")), (200, Some("no-store")));
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_names_its_request() {
    let world = World::start().await;
    let mut seen = Vec::new();
    for head in [
        "PUT /v1/music/fan/Ann\nContent-Type: application/json",
        "GET /v1/music/fan/Ann",
        "HEAD /v1/music/fan/Ann",
        "GET /v1/music/fan/Ann\nIf-None-Match: *",
        "OPTIONS /v1/music/fan/Ann",
        "DELETE /v1/music/fan/Ann",
        "GET /v1/music/fan/Ann",
        "GET /metrics",
        "GET /v1/music:changes?partition=0",
        "GET /nowhere",
    ] {
        let reply = world.ask(head, if head.starts_with("PUT") { "{}" } else { "" }).await;
        seen.push(reply.header("cortado-request-id").expect(head).to_owned());
    }
    let count = seen.len();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), count, "no two alike");
    world.end().await;
}
