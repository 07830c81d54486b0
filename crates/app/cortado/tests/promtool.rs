//! Prometheus' own tool reads `/metrics` of a server and finds nothing to complain of.
//!
//! Needs `promtool`; `cargo xtask test` leaves this out where it is not installed, and says so.

use crate::harness::Server;
use serde_json::json;
use std::io::Write;
use std::process::{Command, Stdio};

#[test]
fn promtool_accepts_the_metrics_of_a_server() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(&folder.path().join("data"));
    server.create_table("geo", "place", &["id"]);
    let mut http = server.http();
    assert_eq!(http.put("/v1/geo/place/kokura", &json!({"lat": 33})).status, 201);
    let answer = http.get("/metrics");
    assert_eq!(answer.status, 200);
    let mut promtool = Command::new("promtool");
    promtool.args(["check", "metrics"]).stdin(Stdio::piped());
    promtool.stdout(Stdio::piped()).stderr(Stdio::piped());
    let promtool = promtool.spawn();
    let mut promtool = promtool.expect("promtool is part of Debian's package `prometheus`");
    // Taken, so that it is closed behind the last byte.
    let mut input = promtool.stdin.take().expect("piped");
    input.write_all(&answer.body).expect("promtool reads all of it");
    drop(input);
    let output = promtool.wait_with_output().expect("it was started");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success() && said.is_empty(), "{}: {said}", output.status);
}
