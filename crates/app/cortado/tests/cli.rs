//! The command line against a running server: every command, its exit codes, its advice.
//!
//! Start reading at [`geo`].

#![allow(clippy::unwrap_used, reason = "the lint's exception for tests does not see functions")]

use crate::harness::ran::{Ran, binary, binary_by, on_a_terminal};
use crate::harness::{BOUND, Server};
use serde_json::Value;
use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use tempfile::TempDir;

/// A server of so many nodes with a table `geo/place`, key `country, admin1, name`.
fn geo(nodes: &str) -> (Server, TempDir) {
    let (folder, data) = folder();
    let mut command = Server::command(&data);
    command.args(["--nodes", nodes]);
    let server = Server::run(command).unwrap_or_else(|said| panic!("no server:\n{said}"));
    server.cortado(&["db", "create", "geo", "--partitions", "4"]).done();
    server.cortado(&["table", "create", "geo/place", "--key", "country,admin1,name"]).done();
    (server, folder)
}

/// A folder for a data directory named `data`, removed at the end.
fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    (folder, data)
}

/// The lines of a stream as they come.
fn lines_of(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = channel();
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    lines
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn json_lines(text: &str) -> Vec<Value> {
    text.lines().map(json).collect()
}

#[test]
fn documents_are_written_read_and_listed() {
    let (server, _folder) = geo("1");
    let kokura = "geo/place/JP/40/Kokura";
    let out = server.cortado(&["put", kokura, r#"{"lat":33.88,"n": 1.50}"#]).done();
    assert!(out.starts_with("created, etag "), "{out}");
    let again = server.cortado(&["put", kokura, r#"{"lat":33.88,"n":2}"#, "--output", "json"]);
    let again = json(&again.done());
    assert_eq!(again["done"], "replaced");
    let etag = again["etag"].as_str().unwrap();

    server.cortado(&["put", kokura, "{}", "--if-match", "0000000000000000"]).refused(1, &["412"]);
    server.cortado(&["put", kokura, "{}", "--if-none-match", "*"]).refused(1, &["412"]);
    server.cortado(&["patch", kokura, r#"{"n":null,"m":3}"#, "--if-match", etag]).done();
    let steps = r#"[{"op":"test","path":"/m","value":3},{"op":"add","path":"/k","value":"ü"}]"#;
    server.cortado(&["patch", kokura, steps]).done();
    let found = json(&server.cortado(&["get", kokura]).done());
    assert_eq!(found, json(r#"{"lat":33.88,"m":3,"k":"ü"}"#));
    let meta = json(&server.cortado(&["get", kokura, "--meta", "--consistency", "strict"]).done());
    assert_eq!(meta["value"], found);
    let members = server.cortado(&["get", kokura, "--output", "table", "--meta"]).done();
    assert!(members.starts_with("MEMBER  VALUE\n(etag)  "), "{members}");
    assert!(members.ends_with("\nlat     33.88\nm       3\nk       \"ü\"\n"), "{members}");

    // A slash inside a part, a body from standard input, another from a file.
    let slash = "geo/place/AT/02/Bleiburg%2FPliberk";
    server.cortado_with(&["put", slash, "-"], r#"{"a":1}"#).done();
    let file = _folder.path().join("body.json");
    fs::write(&file, r#"{"b":2}"#).unwrap();
    server.cortado(&["put", "geo/place/JP/40/Akaike", &format!("@{}", file.display())]).done();
    let listed = json_lines(&server.cortado(&["list", "geo/place/JP"]).done());
    let names: Vec<&Value> = listed.iter().map(|line| &line["key"][2]).collect();
    assert_eq!(names, ["Akaike", "Kokura"]);
    let listed = json_lines(&server.cortado(&["list", "geo/place/JP", "--descending"]).done());
    assert_eq!(listed[0]["key"][2], "Kokura");
    let all = json_lines(&server.cortado(&["list", "geo/place", "--all"]).done());
    assert_eq!(all.len(), 3);
    assert!(all.iter().any(|line| line["key"][2] == "Bleiburg/Pliberk"));
    let columns = server.cortado(&["list", "geo/place/AT", "--output", "table"]).done();
    assert!(columns.starts_with("KEY"), "{columns}");
    assert!(columns.contains("\nAT/02/Bleiburg%2FPliberk  {"), "as `get` takes it: {columns}");

    // A collection and a document taken for each other.
    let next = "`cortado list geo/place/JP/40`";
    server.cortado(&["get", "geo/place/JP/40"]).refused(1, &["names a collection", next]);
    let next = "`cortado get geo/place/AT/02/Bleiburg%2FPliberk`";
    server.cortado(&["list", slash]).refused(1, &["names a document", next]);

    server.cortado(&["delete", kokura]).done();
    server.cortado(&["delete", kokura]).refused(1, &["no such document"]);
    server.cortado(&["get", kokura]).refused(1, &["no such document", "next: "]);
}

#[test]
fn a_list_goes_on_where_it_ended() {
    let (server, _folder) = geo("1");
    let lines: String = (0..250)
        .map(|n| format!("{{\"country\":\"X\",\"admin1\":\"1\",\"name\":\"{n:03}\"}}\n"))
        .collect();
    server.cortado_with(&["import", "geo/place", "-"], &lines).done();
    let first = server.cortado(&["list", "geo/place/X", "--limit", "100"]);
    assert_eq!((first.code, first.out.lines().count()), (0, 100));
    let cursor = first.err.split("--cursor ").nth(1).unwrap().trim();
    let rest = ["list", "geo/place/X", "--limit", "200", "--cursor", cursor];
    let rest = json_lines(&server.cortado(&rest).done());
    assert_eq!((rest.len(), &rest[0]["key"][2]), (150, &Value::from("100")));
    let all = server.cortado(&["list", "geo/place/X", "--all"]).done();
    assert_eq!(all.lines().count(), 250);
    server.cortado(&["list", "geo/place", "--descending"]).refused(2, &["no order"]);
}

#[test]
fn databases_and_tables_are_declared_shown_and_dropped() {
    let (server, folder) = geo("1");
    let again = server.cortado(&["db", "create", "geo", "--partitions", "4"]).done();
    assert!(again.starts_with("already exists"), "{again}");
    server
        .cortado(&["db", "create", "geo", "--partitions", "8"])
        .refused(1, &["already_exists", "cortado db show"]);
    server.cortado(&["db", "create", "Geo"]).refused(1, &["bad_name"]);
    let shown = json(&server.cortado(&["db", "show", "geo"]).done());
    assert_eq!(shown["partitions"], 4);
    assert_eq!(shown["tables"]["place"]["key"], json(r#"["country","admin1","name"]"#));
    let table = server.cortado(&["db", "show", "geo", "--output", "table"]).done();
    assert!(table.contains("country, admin1, name"), "{table}");

    let schema = folder.path().join("schema.json");
    fs::write(&schema, r#"{"properties":{"n":{"type":"integer"}}}"#).unwrap();
    let schema = schema.display().to_string();
    let create = ["table", "create", "geo/count", "--key", "id", "--schema", &schema];
    server.cortado(&create).done();
    server
        .cortado(&["put", "geo/count/a", r#"{"n":"x"}"#])
        .refused(1, &["schema_violated", "in 1 place (", "/n"]);
    let listed = json(&server.cortado(&["db", "list"]).done());
    assert_eq!(listed.as_array().unwrap().len(), 1);

    server.cortado(&["put", "geo/none/a", "{}"]).refused(1, &["no_such_table", "table create"]);
    server
        .cortado(&["put", "none/t/a", "{}"])
        .refused(1, &["There is no such database", "db create"]);
    // Nothing is dropped unasked, and nobody is there to ask.
    server.cortado_with(&["table", "drop", "geo/count"], "yes\n").refused(2, &["--yes"]);
    server.cortado_with(&["db", "drop", "geo"], "yes\n").refused(2, &["2 tables", "--yes"]);
    let tables = json(&server.cortado(&["table", "list", "geo"]).done());
    let names: Vec<&Value> = tables.as_array().unwrap().iter().map(|it| &it["name"]).collect();
    assert_eq!(names, ["count", "place"]);
    let shown = json(&server.cortado(&["table", "show", "geo/count"]).done());
    assert_eq!(shown["schema"]["properties"]["n"]["type"], "integer");
    let shown = server.cortado(&["table", "show", "geo/count", "--output", "table"]).done();
    assert!(shown.starts_with("TABLE") && shown.contains("\"integer\""), "{shown}");
    server.cortado(&["table", "drop", "geo/count", "--yes"]).done();
    server.cortado(&["table", "show", "geo/count"]).refused(1, &["no_such_table"]);
    server.cortado(&["table", "drop", "geo/count", "--yes"]).refused(1, &["no_such_table"]);
    server.cortado(&["db", "drop", "geo", "--yes"]).done();
    server.cortado(&["db", "show", "geo"]).refused(1, &["no_such_database"]);
    server.cortado(&["db", "drop", "geo"]).refused(1, &["no_such_database"]);
}

#[test]
fn a_table_that_is_declared_again_keeps_its_schema() {
    let (server, folder) = geo("1");
    let schema = folder.path().join("schema.json");
    fs::write(&schema, r#"{"required":["lat"]}"#).unwrap();
    let create = ["table", "create", "geo/spot", "--key", "id"];
    let with = |options: &[&str]| server.cortado(&[&create[..], options].concat());
    with(&["--schema", schema.to_str().unwrap()]).done();
    assert!(with(&[]).done().contains("its schema stays"));
    server.cortado(&["put", "geo/spot/a", "{}"]).refused(1, &["lat"]);
    with(&["--no-schema", "--schema", "x"]).refused(2, &["--no-schema"]);
    assert!(!with(&["--no-schema"]).done().contains("stays"));
    server.cortado(&["put", "geo/spot/a", "{}"]).done();
    assert!(!with(&[]).done().contains("schema"));
    server.cortado(&["table", "create", "none/a", "--key", "id"]).refused(1, &["no such database"]);
}

#[test]
fn batches_read_and_write_many() {
    let (server, _folder) = geo("1");
    let write = r#"{"operations":[
        {"op":"put","table":"place","key":["JP","40","a"],"value":{"n":1}},
        {"op":"put","table":"place","key":["JP","41","b"],"value":{"n":2}},
        {"op":"delete","table":"place","key":["JP","42","c"]}]}"#;
    let results = json_lines(&server.cortado(&["batch", "geo", write]).done());
    let statuses: Vec<&Value> = results.iter().map(|result| &result["status"]).collect();
    assert_eq!(statuses, [201, 201, 404]);
    let read = r#"{"keys":[{"table":"place","key":["JP","41","b"]},
        {"table":"place","key":["JP","40","none"]}]}"#;
    let results = json_lines(&server.cortado(&["batch", "geo", read]).done());
    assert_eq!((&results[0]["value"]["n"], &results[1]["status"]), (&2.into(), &404.into()));
    let unmet = r#"{"operations":[
        {"op":"put","table":"place","key":["JP","40","z"],"value":{}},
        {"op":"check","table":"place","key":["JP","40","a"],"if_none_match":"*"}]}"#;
    server.cortado(&["batch", "geo", unmet]).refused(1, &["412"]);
    server.cortado(&["get", "geo/place/JP/40/z"]).refused(1, &[]);
    server.cortado(&["batch", "geo", "{}"]).refused(2, &["keys", "operations"]);

    let keyed = ["batch", "geo", write, "--idempotency-key", "k1"];
    let first = server.cortado(&keyed).done();
    assert_eq!(server.cortado(&keyed).done(), first);
}

#[test]
fn every_command_that_asks_a_server_takes_a_form() {
    let (server, folder) = geo("1");
    server.cortado(&["put", "geo/place/a/b/c%2Fd", r#"{"n":1}"#]).done();
    let key = |last| format!(r#"{{"table":"place","key":["a","b","{last}"]}}"#);
    let keys = format!(r#"{{"keys":[{},{}]}}"#, key("c/d"), key("x"));
    let table = server.cortado(&["batch", "geo", &keys, "--output", "table"]).done();
    let want = concat!(
        "STATUS  DOCUMENT         VALUE\n",
        "200     place/a/b/c%2Fd  {\"n\":1}\n",
        "404     place/a/b/x      no_such_document\n",
    );
    assert_eq!(table, want);
    let lines = server.cortado(&["batch", "geo", &keys, "--output", "json"]).done();
    assert_eq!(lines, server.cortado(&["batch", "geo", &keys]).done());
    assert_eq!(json_lines(&lines).len(), 2);
    let delete = r#"{"operations":[{"op":"delete","table":"place","key":["a","b","x"]}]}"#;
    let table = server.cortado(&["batch", "geo", delete, "--output", "table"]).done();
    assert_eq!(table, "STATUS  KEY    ETAG\n404     a/b/x\n");
    let file = folder.path().join("geo.ndjson");
    let export = ["export", "geo", file.to_str().unwrap(), "--output", "json"];
    let ran = server.cortado(&export);
    assert_eq!((ran.code, json(&ran.err)), (0, json(r#"{"exported":1}"#)));
}

#[test]
fn changes_are_shown_resumed_and_followed() {
    let (server, _folder) = geo("3");
    for n in 0..3 {
        server.cortado(&["put", &format!("geo/place/JP/40/{n}"), "{}"]).done();
    }
    server.cortado(&["delete", "geo/place/JP/40/0"]).done();
    let lines = json_lines(&server.cortado(&["changes", "geo"]).done());
    let kinds: Vec<&Value> = lines.iter().map(|line| &line["changes"][0]["op"]).collect();
    assert_eq!(kinds, ["put", "put", "put", "delete"]);
    let second = lines[1]["scn"].as_str().unwrap();
    let rest = json_lines(&server.cortado(&["changes", "geo", "--since", second]).done());
    assert_eq!(rest, lines[2..]);
    let people = server.cortado(&["changes", "geo", "--output", "table"]).done();
    assert!(people.contains("delete  place/JP/40/0"), "{people}");
    let bare = second.split('/').nth(1).unwrap();
    server.cortado(&["changes", "geo", "--since", bare]).refused(2, &["--partition"]);

    let mut follower = binary()
        .args(["changes", "geo", "--follow", "--url", &server.url()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let followed = lines_of(follower.stdout.take().unwrap());
    for line in &lines {
        assert_eq!(json(&followed.recv_timeout(BOUND).unwrap()), *line);
    }
    server.cortado(&["put", "geo/place/JP/40/new", r#"{"n":1}"#]).done();
    let new = json(&followed.recv_timeout(BOUND).unwrap());
    assert_eq!(new["changes"][0]["value"]["n"], 1);
    follower.kill().unwrap();
    follower.wait().unwrap();

    // In columns, a document is one line of bearable length.
    let long = format!(r#"{{"a":"{}"}}"#, "x".repeat(1_000));
    server.cortado(&["put", "geo/place/FR/a%2Fb/1", &long]).done();
    let table = server.cortado(&["changes", "geo", "--output", "table"]).done();
    let line = table.lines().find(|line| line.contains("place/FR/a%2Fb/1")).unwrap();
    assert!(line.ends_with("xxx…") && line.len() < 200, "{line}");
}

#[test]
fn a_status_that_is_watched_into_a_pipe_is_plain_text() {
    let (server, _folder) = geo("1");
    let mut watch = binary()
        .args(["status", "--watch", "--url", &server.url()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = lines_of(watch.stdout.take().unwrap());
    for _ in 0..2 {
        let line = lines.recv_timeout(BOUND).unwrap();
        assert!(line.starts_with("cortado "), "{line:?}");
        while let line = lines.recv_timeout(BOUND).unwrap()
            && !line.ends_with("--all lists them")
        {
            assert!(!line.contains('\u{1b}'), "{line:?}");
        }
        assert_eq!(lines.recv_timeout(BOUND).unwrap(), "");
    }
    watch.kill().unwrap();
    watch.wait().unwrap();
}

#[test]
fn a_node_dies_comes_back_and_hands_over() {
    let (server, _folder) = geo("3");
    server.cortado(&["put", "geo/place/JP/40/a", "{}"]).done();
    let status = json(&server.cortado(&["status", "--json"]).done());
    assert_eq!(status["nodes"].as_array().unwrap().len(), 3);
    let table = server.cortado(&["status", "--all"]).done();
    assert!(table.contains("n1") && table.contains("geo/3"), "{table}");
    let nodes = json(&server.cortado(&["node", "list", "--output", "json"]).done());
    assert!(nodes.as_array().unwrap().iter().all(|node| node["alive"] == true));

    let led_by = |number: u64| {
        let status = json(&server.cortado(&["status", "geo", "--json"]).done());
        let partition = &status["databases"][0]["partitions"][number as usize];
        partition["leader"].as_str().map(str::to_owned)
    };
    let mut leader = None;
    server.wait_until("led", |_| {
        leader = led_by(0);
        leader.is_some()
    });
    let leader = leader.unwrap();
    let other = ["n1", "n2", "n3"].into_iter().find(|node| *node != leader).unwrap();
    server.cortado(&["handoff", "geo/0", "--to", other]).done();
    assert_eq!(led_by(0).as_deref(), Some(other));
    server.cortado(&["handoff", "geo/0", "--to", "n9"]).refused(1, &["no_such_node"]);
    server.cortado(&["handoff", "geo/99"]).refused(1, &["no_such_partition"]);

    server.cortado(&["node", "kill", other]).done();
    server.cortado(&["node", "kill", other]).refused(1, &[]);
    server.wait_until("led by another node", |_| led_by(0).is_some_and(|leader| leader != other));
    server.cortado(&["get", "geo/place/JP/40/a"]).done();
    // A decision is on record a moment after it was made.
    let claims = |about: &str| {
        let explained = json_lines(
            &server.cortado(&["explain", about, "--last", "500", "--output", "json"]).done(),
        );
        explained.into_iter().filter(|event| event["kind"] == "claim").collect::<Vec<_>>()
    };
    server.wait_until("told of", |_| !claims("geo/0").is_empty());
    assert!(claims("geo").iter().all(|claim| claim["undo"].is_string()));
    // The journal is led like any database, and tells of that, too.
    server.wait_until("told of the journal", |_| !claims("_journal").is_empty());
    let journal = json(&server.cortado(&["status", "_journal", "--json"]).done());
    let partitions = journal["databases"][0]["partitions"].as_array().unwrap();
    assert_eq!(partitions.len(), 4);
    let sentences = server.cortado(&["explain", "geo/0", "--output", "table"]).done();
    assert!(sentences.contains("because ") && sentences.contains("by hand "), "{sentences}");
    let started = server.cortado(&["node", "start", other, "--output", "json"]).done();
    assert_eq!(json(&started)["done"], "started");
    server.cortado(&["node", "start", other]).refused(1, &[]);
    server.cortado(&["node", "start", "n9"]).refused(1, &["no_such_node"]);
}

#[test]
fn a_node_that_lost_its_identity_is_let_in_by_hand() {
    let (server, folder) = geo("3");
    server.cortado(&["node", "kill", "n3"]).done();
    fs::remove_file(folder.path().join("data").join("identities").join("n3")).unwrap();
    server.cortado(&["node", "start", "n3"]).done();
    let n3 = |alive: bool, sick: &str| {
        let nodes = json(&server.cortado(&["node", "list", "--output", "json"]).done());
        let n3 = nodes.as_array().unwrap().iter().find(|node| node["node"] == "n3").unwrap();
        n3["alive"] == alive && n3["sick"].as_str().unwrap_or_default().contains(sick)
    };
    server.wait_until("refused", |_| n3(false, "cortado node replace"));
    server.cortado(&["node", "replace", "n1"]).refused(1, &["conflict"]);
    server.cortado(&["node", "replace", "n9"]).refused(1, &["no_such_node"]);
    let replaced = server.cortado(&["node", "replace", "n3", "--output", "json"]).done();
    assert_eq!(json(&replaced)["done"], "replaced");
    server.cortado(&["node", "start", "n3"]).done();
    server.wait_until("let in", |http| http.get("/readyz").status == 200 && n3(true, ""));
}

#[test]
fn usage_and_absence_have_their_own_exit_codes() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    let run = Ran::alone;
    // Where no program listens on this machine, no server will come by itself.
    let no_server = ["get", "geo/place/JP/40/a", "--url", &url];
    let ran = run(&no_server).refused(1, &["cannot connect", "cortado dev"]);
    assert!(!ran.err.contains("waiting"), "it is not waited for: {}", ran.err);
    let once = ["get", "geo/place/JP/40/a", "--url", &url, "--retry-for", "1"];
    run(&once).refused(1, &["cannot connect", "cortado dev"]);
    let longer = ["get", "geo/place/JP/40/a", "--url", &url, "--retry-for", "4"];
    run(&longer).refused(1, &["waiting (--retry-for"]);
    run(&["get", "geo/place"]).refused(2, &["KEY"]);
    run(&["get", "geo/place/a", "--url", "localhost"]).refused(2, &["http://"]);
    run(&["nonsense"]).refused(2, &["nonsense"]);
    let with_url = |url: &str, arguments: &[&str]| {
        let mut command = binary();
        command.env("CORTADO_URL", url).args(arguments);
        Ran::of(command, "")
    };
    let usage = with_url(&url, &["get"]).refused(2, &["Usage: cortado get <DOCUMENT>"]);
    assert!(!usage.err.contains("--url"), "{}", usage.err);
    with_url("localhost", &["db", "list"]).refused(2, &["localhost", "http://"]);
    run(&["dev", "--nodes", "0"]).refused(2, &["1 to 9"]);
    run(&["dev", "--listen", "7171"]).refused(2, &["HOST:PORT"]);
    run(&["dev", "--config", "/none.toml"]).refused(2, &["cannot be read"]);
    let help = run(&["--help"]).done();
    assert!(help.contains("Exit codes: 0 done"), "{help}");
    for shell in ["bash", "zsh", "fish"] {
        assert!(run(&["completions", shell]).done().contains("CORTADO_COMPLETE"));
    }
    for arguments in [&["--version"][..], &["--help"], &["completions", "zsh"], &["man"]] {
        let mut full = binary();
        full.args(arguments);
        full.stdout(fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
        let output = full.output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("No space left"));
    }
}

#[test]
fn every_command_has_a_manual_page() {
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("man1");
    Ran::alone(&["man", pages.to_str().unwrap()]).done();
    for page in ["cortado", "cortado-import", "cortado-table-list", "cortado-dev"] {
        let text = fs::read_to_string(pages.join(format!("{page}.1"))).unwrap();
        assert!(text.starts_with(".ie") || text.contains(".TH"), "{page}: {text}");
    }
    assert!(!pages.join("cortado-help.1").exists());
    let page = fs::read_to_string(pages.join("cortado-import.1")).unwrap();
    assert!(page.contains("key\\-from") && page.contains("gzipped"), "{page}");
    assert!(Ran::alone(&["man"]).done().contains(".TH cortado 1"));
}

/// As a person has it who presses Tab behind these words.
fn completed(words: &[&str], current: &str, url: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("cortado.bash");
    fs::write(&script, Ran::alone(&["completions", "bash"]).done()).unwrap();
    fs::write(folder.path().join("places.csv"), "").unwrap();
    let mut bash = Command::new("bash");
    let own = binary();
    let folder_of_binary = Path::new(own.get_program()).parent().unwrap();
    let path = format!("{}:{}", folder_of_binary.display(), env::var("PATH").unwrap());
    bash.current_dir(folder.path()).env("PATH", path).env("CORTADO_URL", url);
    bash.args(["--norc", "-c"]).arg(format!(
        "source ./cortado.bash; COMP_WORDS=(cortado {} '{current}'); COMP_CWORD={}; \
         _clap_complete_cortado cortado '{current}' ''; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        words.join(" "),
        words.len() + 1,
    ));
    let output = bash.output().unwrap();
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn a_shell_completes_commands_values_files_and_names() {
    let (server, _folder) = geo("1");
    let url = format!("http://{}", server.address);
    let complete = |words: &[&str], current: &str| completed(words, current, &url).join(" ");
    assert_eq!(complete(&[], "impo"), "import");
    assert_eq!(complete(&["import", "--on-duplicate"], ""), "replace skip fail");
    assert_eq!(complete(&["put", "geo/place/a", "{}", "--output"], ""), "table json");
    // Files where a file is meant.
    assert_eq!(complete(&["import", "geo/place"], "pl"), "places.csv");
    assert_eq!(complete(&["import", "geo/place", "x", "--rejects"], "pl"), "places.csv");
    // Names where a name is meant.
    assert_eq!(complete(&["db", "show"], "g"), "geo");
    assert_eq!(complete(&["import"], "g"), "geo/");
    assert_eq!(complete(&["import"], "geo/"), "geo/place");
    assert_eq!(complete(&["get"], "geo/p"), "geo/place/");
    assert_eq!(complete(&["handoff"], "geo/"), "geo/0 geo/1 geo/2 geo/3");
    assert_eq!(complete(&["handoff", "geo/0", "--to"], "n"), "n1");
    let named = ["get", "--url", url.as_str()];
    assert_eq!(completed(&named, "geo/", "http://127.0.0.1:1"), ["geo/place/"]);
    // A server that is not there is none of the shell's business.
    assert_eq!(completed(&["db", "show"], "g", "http://127.0.0.1:1").concat(), "");
}

/// A server that takes requests and answers none of them.
#[test]
fn what_is_perhaps_done_has_its_own_exit_code() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            // Something of the request is read, so that it has been sent.
            let _ = stream.read(&mut [0; 1 << 10]);
        }
    });
    let put = ["put", "geo/place/JP/40/a", "{}", "--url", &url, "--retry-for", "1"];
    Ran::alone(&put).refused(3, &["outcome unknown", "--idempotency-key"]);
    let create = ["db", "create", "geo", "--url", &url, "--retry-for", "1"];
    Ran::alone(&create).refused(3, &["outcome unknown", "it does nothing twice"]);
    // A read is not done, whatever became of it; a handoff begins with one.
    let get = ["get", "geo/place/JP/40/a", "--url", &url, "--retry-for", "1"];
    Ran::alone(&get).refused(1, &[]);
    let handoff = ["handoff", "geo/3", "--url", &url, "--retry-for", "1"];
    Ran::alone(&handoff).refused(1, &["not done"]);
}

#[test]
fn a_server_ends_in_order_and_keeps_its_data() {
    let (folder, data) = folder();
    let config = folder.path().join("dev.toml");
    fs::write(&config, "nodes = 1\nlisten = \"127.0.0.1:0\"\ndata = \"data\"\n").unwrap();
    let start = || {
        let mut command = binary();
        command.args(["dev", "--log-format", "json", "--config"]).arg(&config);
        Server::run(command).unwrap_or_else(|said| panic!("no server:\n{said}"))
    };
    let server = start();
    server.cortado(&["db", "create", "geo"]).done();
    server.cortado(&["table", "create", "geo/t", "--key", "id"]).done();
    server.cortado(&["put", "geo/t/a", r#"{"n":1}"#]).done();
    let said = server.said();
    let logged: Vec<&str> = said.lines().filter(|line| line.starts_with('{')).collect();
    assert!(!logged.is_empty(), "{said}");
    let logged: Vec<_> = logged.into_iter().map(json).collect();
    assert!(logged.iter().all(|line| line["level"].is_string()), "{said}");
    let mut serving = logged.iter().filter(|line| line["message"] == "serving as leader");
    // Of the span of the replica, and found where other lines have them.
    let is_told = |line: &Value| {
        line["partition"].is_string() && line["node"] == "n1" && line["generation"] == 1
    };
    assert!(serving.next().is_some_and(is_told) && serving.all(is_told), "{said}");
    let of_geo = logged.iter().any(|line| line["partition"] == "geo/2");
    assert!(of_geo, "partitions have the names of the command line: {said}");

    let taken = server.address.to_string();
    let mut second = binary();
    second.args(["dev", "--listen", &taken]);
    Ran::of(second, "").refused(1, &[&taken, "--listen 127.0.0.1:0"]);
    // Every line of a log is JSON, to the last word.
    let mut second = binary();
    second.args(["dev", "--log-format", "json", "--listen", &taken]);
    let ran = Ran::of(second, "").refused(1, &[&taken]);
    let lines = json_lines(&ran.err);
    let last = lines.last().unwrap();
    assert_eq!(last["level"], "ERROR");
    assert!(last["next"].as_str().unwrap().contains("--listen 127.0.0.1:0"), "{last}");

    assert_eq!(server.stop().code(), Some(0));
    let server = start();
    assert_eq!(json(&server.cortado(&["get", "geo/t/a"]).done())["n"], 1);
    // Of what is no longer in memory, too.
    let changes = json_lines(&server.cortado(&["changes", "geo"]).done());
    assert_eq!(changes.len(), 1, "{changes:?}");
    assert_eq!(changes[0]["changes"][0]["value"]["n"], 1);
    let verify = ["log", "verify", data.to_str().unwrap()];
    server.cortado(&verify).refused(1, &["in use"]);
    assert_eq!(server.stop().code(), Some(0));
    assert!(Ran::alone(&verify).done().contains("the log is sound"));
    // A folder without a log is not reported as sound.
    let nowhere = Ran::alone(&["log", "verify", "/nowhere"]);
    let nowhere = nowhere.refused(2, &["/nowhere cannot be read: No such file", "next: name"]);
    assert!(!nowhere.err.contains("create it"), "{}", nowhere.err);
    let elsewhere = ["log", "verify", folder.path().to_str().unwrap()];
    Ran::alone(&elsewhere).refused(1, &["holds no log"]);
}

#[test]
fn a_server_ends_in_order_when_the_reader_of_its_output_is_gone() {
    let (_folder, data) = folder();
    let mut command = Server::command(&data);
    let mut process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // As in `cortado dev | tee log`, where Ctrl-C ends the reader first.
    drop(process.stderr.take());
    let said = lines_of(process.stdout.take().unwrap());
    while !said.recv_timeout(BOUND).unwrap().starts_with("listening on") {}
    drop(said);
    Command::new("kill").args(["-15", &process.id().to_string()]).status().unwrap();
    assert_eq!(process.wait().unwrap().code(), Some(0));
    assert!(Ran::alone(&["log", "verify", data.to_str().unwrap()]).done().contains("is sound"));
}

#[test]
fn a_temporary_server_leaves_nothing_behind() {
    // 1: the terminal is gone; 2: Ctrl-C; 15: a service manager.
    for signal in ["-1", "-2", "-15"] {
        let folder = tempfile::tempdir().unwrap();
        let temporary = folder.path().join("tmp");
        fs::create_dir(&temporary).unwrap();
        let mut command = binary();
        command.env("TMPDIR", &temporary).args(["dev", "--nodes", "1", "--listen", "127.0.0.1:0"]);
        let server = Server::run(command).unwrap_or_else(|said| panic!("no server:\n{said}"));
        assert_eq!(fs::read_dir(&temporary).unwrap().count(), 1);
        server.cortado(&["db", "create", "geo"]).done();
        assert_eq!(server.stop_by(signal).code(), Some(0));
        assert_eq!(fs::read_dir(&temporary).unwrap().count(), 0, "after signal {signal}");
    }
}

#[test]
fn a_server_that_was_told_to_outlive_its_terminal_does() {
    let (_folder, data) = folder();
    let mut command = binary_by("nohup");
    command.args(["dev", "--nodes", "1"]);
    command.args(["--listen", "127.0.0.1:0", "--data"]).arg(&data);
    let server = Server::run(command).unwrap_or_else(|said| panic!("no server:\n{said}"));
    let sent = Command::new("kill").args(["-1", &server.pid().to_string()]).status().unwrap();
    assert!(sent.success());
    server.cortado(&["db", "create", "geo"]).done();
    assert_eq!(server.stop().code(), Some(0));
}

#[test]
fn a_server_is_set_up_by_its_environment() {
    let (folder, data) = folder();
    let socket = folder.path().join("notify");
    let manager = UnixDatagram::bind(&socket).unwrap();
    manager.set_read_timeout(Some(BOUND)).unwrap();
    let config = folder.path().join("dev.toml");
    fs::write(&config, "nodes = 3\ndata = \"elsewhere\"\n").unwrap();
    let mut command = binary();
    command.arg("dev").env("CORTADO_LISTEN", "127.0.0.1:0").env("CORTADO_DATA", &data);
    command.env("CORTADO_NODES", "2").env("CORTADO_LOG_FORMAT", "json");
    command.env("CORTADO_CONFIG", &config).env("NOTIFY_SOCKET", &socket);
    let server = Server::run(command).unwrap_or_else(|said| panic!("no server:\n{said}"));
    let nodes = json(&server.cortado(&["node", "list", "--output", "json"]).done());
    assert_eq!(nodes.as_array().unwrap().len(), 2);
    assert!(data.join("log").is_dir());
    assert!(server.said().lines().any(|line| line.starts_with('{')));
    let url = server.url();
    let told = || {
        let mut bytes = [0; 200];
        let length = manager.recv(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    };
    assert_eq!(told(), format!("READY=1\nSTATUS=serving on {url}\n"));
    assert_eq!(server.stop().code(), Some(0));
    assert!(told().starts_with("STOPPING=1\n"));
    // An option wins.
    let mut command = binary();
    command.args(["dev", "--nodes", "0"]).env("CORTADO_NODES", "2");
    Ran::of(command, "").refused(2, &["nodes is 0"]);
}

#[test]
fn an_empty_variable_is_none_and_one_that_is_no_text_is_wrong_usage() {
    let mut command = binary();
    command.args(["dev", "--listen", "127.0.0.1:0", "--nodes", "1"]);
    for variable in [
        "CORTADO_NODES",
        "CORTADO_DATA",
        "CORTADO_ALLOW_HOSTS",
        "CORTADO_CONFIG",
        "CORTADO_LOG",
        "CORTADO_LOG_FORMAT",
        "CORTADO_LOG_SIZE",
    ] {
        command.env(variable, "");
    }
    let server = Server::run(command).unwrap_or_else(|said| panic!("no server:\n{said}"));
    assert!(server.said().contains("removed at the end"), "{}", server.said());
    assert!(server.said().contains("server started"), "the level is info: {}", server.said());
    assert_eq!(server.stop().code(), Some(0));
    let mut command = binary();
    command.args(["dev", "--nodes", "0"]).env("CORTADO_NODES", "").env("CORTADO_LISTEN", "");
    Ran::of(command, "").refused(2, &["nodes is 0"]);
    let mut command = binary();
    command.args(["db", "list"]).env("CORTADO_URL", OsStr::from_bytes(b"http://127.0.0.1:\xff"));
    Ran::of(command, "").refused(2, &["UTF-8"]);
}

#[test]
fn a_terminal_is_shown_and_not_steered() {
    let (server, _folder) = geo("1");
    let value = "{\"a\":\"\u{9b}31m\u{202e}x\u{7f}\u{2066}\",\"東京\":\"ñ\"}";
    server.cortado_with(&["put", "geo/place/JP/40/x", "-"], value).done();
    let escaped = "{\"a\":\"\\u009b31m\\u202ex\\u007f\\u2066\",\"東京\":\"ñ\"}";
    for arguments in [
        &["get", "geo/place/JP/40/x"][..],
        &["list", "geo/place/JP"],
        &["list", "geo/place/JP", "--output", "json"],
        &["changes", "geo", "--output", "table"],
        &["changes", "geo", "--output", "json"],
        &["export", "geo"],
        &["export", "geo", "/dev/stdout"],
        &["batch", "geo", r#"{"keys":[{"table":"place","key":["JP","40","x"]}]}"#],
    ] {
        let mut command = binary();
        command.env("CORTADO_URL", server.url()).args(arguments);
        let shown = on_a_terminal(command);
        assert!(shown.contains(escaped), "{arguments:?}: {shown}");
        let piped = server.cortado(arguments).done();
        assert!(piped.contains(value), "{arguments:?}: {piped}");
    }
}

#[test]
fn the_demonstration_loses_nothing() {
    let out = Ran::alone(&["demo"]).done();
    for text in ["is killed without a shutdown", "is led by", "p50 ", "nothing is lost"] {
        assert!(out.contains(text), "no {text:?} in\n{out}");
    }
    assert!(!out.contains('\x1b'), "no colours where there is no terminal");
    let gaps: Vec<&str> = out.lines().filter(|line| line.contains(" partitions: p50 ")).collect();
    assert_eq!(gaps.len(), 3, "{out}");
    assert!(gaps.iter().all(|line| line.chars().count() <= 80), "too wide: {gaps:?}");
}
