//! A request's trace: taken from its caller, and found in every line that was logged for it.

#![allow(clippy::unwrap_used, reason = "a failed step of a story is a failed test")]

use crate::harness::Server;
use serde_json::Value;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

/// The lines of `server`'s log that hold `message`.
fn lines(server: &Server, message: &str) -> Vec<Value> {
    let said = server.said();
    let lines = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["message"] == message).collect()
}

#[test]
fn a_callers_trace_is_in_the_lines_of_its_request() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Server::command(folder.path());
    command.env("CORTADO_LOG", "cortado=debug,info").env("CORTADO_LOG_FORMAT", "json");
    let server = Server::run(command).unwrap();
    server.create_table("shop", "item", &["id"]);
    let mut http = server.http();
    let traceparent = format!("00-{TRACE}-{CALLER}-01");
    let headers = [("content-type", "application/json"), ("traceparent", traceparent.as_str())];
    let answer = http.expect("PUT", "/v1/shop/item/a", &headers, b"{}");
    assert_eq!(answer.status, 201, "{answer:?}");
    let of_trace = |message| {
        let found = lines(&server, message).into_iter();
        found.filter(|line| line["trace_id"] == TRACE).collect::<Vec<_>>()
    };
    server.wait_until("logged", |_| !of_trace("answered").is_empty());
    let [answered] = &of_trace("answered")[..] else { panic!("{}", server.said()) };
    assert_eq!(answered["parent_id"], CALLER, "{answered}");
    assert_eq!(answered["span_id"].as_str().unwrap().len(), 16, "{answered}");
    let replica = of_trace("replica answered");
    let wrote = replica.iter().find(|line| line["work"] == "write");
    let wrote = wrote.unwrap_or_else(|| panic!("{}", server.said()));
    assert!(wrote["partition"].as_str().unwrap().starts_with("shop/"), "{wrote}");

    // Malformed ones begin a trace of their own, and refuse nothing.
    let headers = [("traceparent", "00-nonsense")];
    assert_eq!(http.expect("GET", "/v1/shop/item/a", &headers, b"").status, 200);
    let is_other = |line: &Value| line["route"] == "get_document" && line["trace_id"] != TRACE;
    server.wait_until("logged", |_| lines(&server, "answered").iter().any(is_other));
    let others = lines(&server, "answered").into_iter().find(is_other).unwrap();
    assert_eq!(others["trace_id"].as_str().unwrap().len(), 32, "{others}");
    assert!(others.get("parent_id").is_none(), "{others}");
}
