//! Who can reach a server, and under which names: what it says, and what it lets pass.

use crate::harness::Server;
use crate::harness::ran::binary;
use serde_json::Value;
use std::path::Path;

fn server(data: &Path, listen: &str, options: &[&str]) -> Server {
    let mut command = binary();
    command.args(["dev", "--nodes", "1", "--listen", listen, "--data"]).arg(data).args(options);
    Server::run(command).unwrap_or_else(|said| panic!("no server:\n{said}"))
}

#[test]
fn a_server_beyond_loopback_warns_that_it_lets_everybody_do_everything() {
    let folder = tempfile::tempdir().expect("a folder");
    let open = server(&folder.path().join("open"), "0.0.0.0:0", &[]);
    let warning = "WARNING: this server has no authentication";
    open.wait_until("warning", |_| open.said().contains(warning));
    assert!(open.stop().success());

    let json = ["--log-format", "json"];
    let open = server(&folder.path().join("json"), "0.0.0.0:0", &json);
    let warns = |line: &str| {
        let line: Option<Value> = serde_json::from_str(line).ok();
        line.is_some_and(|line| {
            line["level"] == "WARN" && line.to_string().contains("no authentication")
        })
    };
    open.wait_until("warning in JSON", |_| open.said().lines().any(warns));
    assert!(!open.said().contains(warning), "not a line of JSON:\n{}", open.said());
    assert!(open.stop().success());

    let own = server(&folder.path().join("own"), "127.0.0.1:0", &[]);
    assert!(!own.said().contains("no authentication"), "{}", own.said());
    assert!(own.stop().success());
}

#[test]
fn a_server_answers_to_the_names_that_it_was_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let names = ["--allow-host", "db.example", "--allow-host", "other.example"];
    let told = server(&folder.path().join("told"), "127.0.0.1:0", &names);
    let status = |host: &str, origin: &str| {
        let request = format!(
            "PUT /admin/v1/databases/music HTTP/1.1\r\nHost: {host}\r\nOrigin: {origin}\r\n\
             Content-Length: 0\r\nConnection: close\r\n\r\n"
        );
        let mut stream = std::net::TcpStream::connect(told.address).expect("connected");
        std::io::Write::write_all(&mut stream, request.as_bytes()).expect("sent");
        let answer = crate::harness::http::read_answer(&mut std::io::BufReader::new(stream), false);
        answer.expect("an answer").status
    };
    assert_eq!(status("db.example", "https://db.example"), 201);
    assert_eq!(status("OTHER.example:443", "https://other.example"), 200);
    // A proxy may change the name that it passes on.
    assert_eq!(status("127.0.0.1", "https://db.example"), 200);
    assert_eq!(status("evil.example", "https://evil.example"), 421);
    assert_eq!(status("db.example", "https://evil.example"), 403);
    assert!(told.stop().success());
}
