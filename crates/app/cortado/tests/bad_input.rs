//! Input that no client should send, against a running server: refused as documented, with nothing
//! done, and the server goes on. What is unusual but right is kept exactly.
//!
//! Every case is raw bytes on a connection of its own. Start reading at [`World::check`].

#![allow(clippy::unwrap_used, reason = "the lint's exception for tests does not see functions")]

mod documents;
mod requests;
mod routes;
mod slow;

use crate::harness::http::{Answer, read_answer};
use crate::harness::{BOUND, Server};
use serde_json::{Value, json};
use std::io::{BufReader, Read, Write};
use std::net::TcpStream;
use tempfile::TempDir;

/// A server with the database `bad`: the table `t` with the key `id`, `pair` with `a, b`, and a
/// document in each that no request may change.
struct World {
    server: Server,
    _folder: TempDir,
}

impl World {
    fn start() -> World {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start(&folder.path().join("data"));
        server.create_table("bad", "t", &["id"]);
        server.create_table("bad", "pair", &["a", "b"]);
        let world = World { server, _folder: folder };
        let mut http = world.server.http();
        for path in ["/v1/bad/t/kept", "/v1/bad/pair/kept/one"] {
            assert_eq!(http.put(path, &json!({ "n": 1 })).status, 201);
        }
        world
    }

    /// Sends bytes that must be refused; checks the answer, that nothing has changed, and that the
    /// server still serves.
    ///
    /// * `code`: of the problem; empty where the HTTP parser itself refuses and says no more.
    #[track_caller]
    fn check(&self, request: impl AsRef<[u8]>, status: u16, code: &str) -> Answer {
        let request = request.as_ref();
        let shown = String::from_utf8_lossy(&request[..request.len().min(300)]).into_owned();
        let before = self.state();
        let mut connection = self.connect();
        // The server may answer and close before it has read everything.
        let _ = connection.get_mut().write_all(request);
        let is_head = request.starts_with(b"HEAD ");
        let answer = read_answer(&mut connection, is_head);
        let answer = answer.unwrap_or_else(|error| panic!("{error} instead of an answer: {shown}"));
        assert_eq!(answer.status, status, "{shown}\n{}", String::from_utf8_lossy(&answer.body));
        if !code.is_empty() && !is_head {
            check_problem(&answer, code, &shown);
        }
        assert_eq!(self.state(), before, "something was done: {shown}");
        answer
    }

    /// As [`check`](Self::check), for what must end the connection too.
    #[track_caller]
    fn check_closed(&self, request: impl AsRef<[u8]>, status: u16, code: &str) {
        let answer = self.check(&request, status, code);
        assert_eq!(answer.header("connection"), Some("close"), "{answer:?}");
        let mut connection = self.connect();
        let _ = connection.get_mut().write_all(request.as_ref());
        let mut rest = Vec::new();
        // Reset or ended: in any case nothing more comes.
        let _ = connection.read_to_end(&mut rest);
        assert_eq!(find(&rest, b"HTTP/1.1 "), 1, "one answer, then the end");
    }

    /// Writes what is unusual but right, and reads back exactly `value`.
    #[track_caller]
    fn keep(&self, path: &str, body: &str) {
        let mut http = self.server.http();
        let json = [("content-type", "application/json")];
        let written = http.expect("PUT", path, &json, body.as_bytes());
        assert!([200, 201].contains(&written.status), "{path} {body} {written:?}");
        let read = http.get(path);
        assert_eq!(String::from_utf8_lossy(&read.body), body, "{path}");
        http.delete(path);
    }

    fn connect(&self) -> BufReader<TcpStream> {
        let stream = TcpStream::connect(self.server.address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(BOUND)).unwrap();
        BufReader::new(stream)
    }

    /// Everything a request could have changed.
    fn state(&self) -> Value {
        let mut http = self.server.http();
        let mut read = |path: &str| {
            let answer = http.get(path);
            assert_eq!(answer.status, 200, "the server must go on: {answer:?}");
            answer.json()
        };
        json!([read("/v1/bad/t"), read("/v1/bad/pair"), read("/admin/v1/databases")])
    }

    /// Checks that no case met an internal error, and ends the server in good order.
    fn end(self) {
        let metrics = self.server.http().get("/metrics");
        assert_eq!(metrics.status, 200);
        let said = self.server.said();
        for sign in ["panicked", "defect", "internal error"] {
            assert!(!said.contains(sign), "{said}");
        }
        assert!(self.server.stop().success());
    }
}

#[track_caller]
fn check_problem(answer: &Answer, code: &str, shown: &str) {
    assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{shown}");
    let problem = answer.json();
    assert_eq!(
        (&problem["code"], &problem["status"]),
        (&code.into(), &answer.status.into()),
        "{shown}"
    );
    let id = answer.header("cortado-request-id");
    assert!(id.is_some() && problem["request_id"].as_str() == id, "{problem}");
    let methods = ["PUT ", "POST ", "PATCH ", "DELETE "];
    let is_write = methods.iter().any(|method| shown.starts_with(method));
    if is_write && !shown.contains(":batchGet") {
        assert_eq!(problem["outcome"], "none", "{shown} {problem}");
    }
}

fn find(text: &[u8], what: &[u8]) -> usize {
    text.windows(what.len()).filter(|window| *window == what).count()
}

/// A request without a body.
fn bare(line: &str, headers: &str) -> String {
    let headers: String = headers.lines().map(|line| format!("{line}\r\n")).collect();
    format!("{line} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n")
}

/// A request with a JSON body.
fn with(line: &str, body: &str) -> String {
    with_type(line, "application/json", body)
}

fn with_type(line: &str, media_type: &str, body: &str) -> String {
    let length = body.len();
    let head = format!("{line} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {media_type}\r\n");
    format!("{head}Content-Length: {length}\r\n\r\n{body}")
}
