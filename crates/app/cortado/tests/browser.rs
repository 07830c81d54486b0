//! A real browser shows a page of another origin, and the page changes and reads nothing.
//!
//! `CORTADO_BROWSER` names a Chromium that runs without a screen; `cargo xtask test` finds one, or
//! says that it leaves this out.

use crate::harness::{BOUND, Server};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Instant;

/// Requests of the page that would change something and that a browser sends without asking first.
const SENT: u64 = 8;

#[test]
fn a_page_of_another_site_changes_and_reads_nothing() {
    // The server is at 127.0.0.1: another name for the same machine is another site.
    check("localhost");
}

#[test]
fn a_page_of_the_same_site_but_another_port_changes_and_reads_nothing() {
    check("127.0.0.1");
}

/// Shows the page, loaded from `host`, and looks at what became of its attempts.
#[track_caller]
fn check(host: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(&folder.path().join("data"));
    server.create_table("music", "fan", &["fan"]);
    let mut http = server.http();
    assert_eq!(http.put("/v1/music/fan/Ann", &json!({"secret": 1})).status, 201);
    let page = Page::serve();
    let target = format!("http://{}", server.address);
    let url = format!("http://{host}:{}/?target={target}", page.port);
    let browser = Browser::show(&url, &folder.path().join("profile"));
    let results = page.report.recv_timeout(BOUND);
    let results = results.unwrap_or_else(|_| panic!("no report; the server:\n{}", server.said()));
    // Beacons are on their own way: all that was sent has arrived when it was refused.
    server.wait_until("refusing what the page sent", |http| refused(http) >= SENT);
    drop(browser);

    assert_eq!(refused(&mut http), SENT, "{results:#}");
    let nodes = http.get("/admin/v1/nodes").json();
    assert!(nodes["nodes"].as_array().expect("nodes").iter().all(|node| node["alive"] == true));
    let document = http.get("/v1/music/fan/Ann");
    assert_eq!((document.status, document.json()), (200, json!({"secret": 1})));

    let failed = "refused: TypeError";
    for (attempt, want) in [
        // Sent, and the browser keeps even the bare fact of an answer from the page.
        ("fetch of a kill", failed),
        ("fetch of a transaction", failed),
        ("form of a kill", "answered"),
        ("form of a transaction", "answered"),
        ("form of files", "answered"),
        ("beacon of a kill", "true"),
        ("beacon of a transaction", "true"),
        ("fetch from nowhere", "TypeError"),
        // The browser asks first, and hears no permission.
        ("fetch of a put", failed),
        ("fetch of a delete", failed),
        // Nothing may be read.
        ("read", failed),
        ("read of the cluster", failed),
        ("read as a script", "refused"),
        ("read as a picture", "refused"),
        ("blind read", failed),
    ] {
        assert_eq!(results[attempt], want, "{attempt}: {results:#}");
    }
    assert!(!results.to_string().contains("secret"), "{results:#}");
}

/// How many requests were refused before they found a route.
fn refused(http: &mut crate::harness::http::Http) -> u64 {
    let text = String::from_utf8(http.get("/metrics").body).expect("text");
    let line = r#"cortado_http_requests_total{route="none",class="4xx"} "#;
    let count = text.lines().find_map(|found| found.strip_prefix(line));
    count.map_or(0, |count| count.parse().expect("a number"))
}

/// A site of somebody else.
struct Page {
    port: u16,
    /// What the page tells its own server.
    report: Receiver<Value>,
}

impl Page {
    fn serve() -> Page {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let (reports, report) = channel();
        // Ends with the process.
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let reports = reports.clone();
                thread::spawn(move || answer(stream, &reports));
            }
        });
        Page { port, report }
    }
}

/// Answers one request: the page, or thanks for the report.
fn answer(stream: TcpStream, reports: &Sender<Value>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let is_report = line.starts_with("POST /report ");
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        match header.trim_end().split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.trim().parse().ok()?;
            }
            Some(_) => {}
            None => break,
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let page = if is_report { "" } else { include_str!("browser/page.html") };
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n",
        page.len()
    );
    reader.get_mut().write_all(format!("{head}{page}").as_bytes()).ok()?;
    if is_report {
        reports.send(serde_json::from_slice(&body).ok()?).ok()?;
    }
    Some(())
}

/// A browser without a screen.
///
/// It listens to a pipe and ends, with all the processes that it is made of, when the other end
/// closes: when this is dropped, or this process dies. To kill it would end its first one alone.
struct Browser(Child);

impl Browser {
    fn show(url: &str, profile: &std::path::Path) -> Browser {
        let program = std::env::var_os("CORTADO_BROWSER");
        let program = program.expect("set CORTADO_BROWSER to a Chromium; see `cargo xtask test`");
        // It reads the pipe at descriptor 3 and would answer at 4.
        let mut command = Command::new("sh");
        command.args(["-c", r#"exec "$0" "$@" 3<&0 4>/dev/null"#]).arg(program);
        // As root and in containers it cannot have a sandbox of its own; the page is ours.
        command.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]);
        command.args(["--no-first-run", "--disable-background-networking", "--disable-sync"]);
        command.args(["--no-proxy-server", "--remote-debugging-pipe"]);
        command.arg(format!("--user-data-dir={}", profile.display())).arg(url);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        Browser(command.spawn().expect("sh can be run"))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let begun = Instant::now();
        while let Ok(None) = self.0.try_wait() {
            if begun.elapsed() > BOUND {
                let _ = self.0.kill();
            }
            thread::yield_now();
        }
    }
}
