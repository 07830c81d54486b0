//! Files into a running server and out again: every form, every refusal, nothing changed.
//!
//! Start reading at [`geo`].

#![allow(clippy::unwrap_used, reason = "the lint's exception for tests does not see functions")]

use crate::harness::Server;
use crate::harness::ran::{Ran, binary};
use serde_json::Value;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use tempfile::TempDir;

/// A server with a table `geo/place`, key `country, admin1, name`.
fn geo(nodes: &str) -> (Server, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Server::command(&folder.path().join("data"));
    command.args(["--nodes", nodes]);
    let server = Server::run(command).unwrap_or_else(|said| panic!("no server:\n{said}"));
    server.cortado(&["db", "create", "geo", "--partitions", "4"]).done();
    server.cortado(&["table", "create", "geo/place", "--key", "country,admin1,name"]).done();
    server.cortado(&["table", "create", "geo/thing", "--key", "id"]).done();
    (server, folder)
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The documents of a table, `key: value` as they are written, in the order of their keys.
fn documents(server: &Server, table: &str) -> Vec<String> {
    let exported = server.cortado(&["export", table]).done();
    let document = |line: &str| {
        let (key, value) = line.split_once(",\"value\":")?;
        Some(format!("{}: {}", key.split_once("\"key\":")?.1, value.strip_suffix('}')?))
    };
    let mut documents: Vec<String> = exported.lines().filter_map(document).collect();
    documents.sort();
    documents
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = Command::new("gzip");
    gzip.arg("-c").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut process = gzip.spawn().unwrap();
    let mut stdin = process.stdin.take().unwrap();
    let bytes = bytes.to_vec();
    let writer = thread::spawn(move || stdin.write_all(&bytes));
    let output = process.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    output.stdout
}

#[test]
fn imports_list_what_is_refused_and_store_the_rest() {
    let (server, _folder) = geo("3");
    let array = r#"[
        {"country":"JP","admin1":"40","name":"a","n":1},
        {"country":"JP","admin1":"","name":"b"},
        {"country":"JP","admin1":"40","name":"a","n":2},
        {"country":"JP","admin1":"40"},
        {"country":"JP","admin1":"40","name":"dup","x":1,"x":2},
        {country:"JP"},
        {"country":"JP","admin1":40,"name":"number"}
    ]"#;
    let large =
        format!(r#"{{"country":"JP","admin1":"40","name":"large","x":"{}"}}"#, "x".repeat(1 << 20));
    let after = r#"{"country":"JP","admin1":"40","name":"after"}"#;
    let array = array.replacen(']', &format!(", {large}, {after} ]"), 1);
    let ran = server.cortado_with(&["import", "geo/place", "-"], &array);
    let ran = ran.refused(
        1,
        &[
            "document 2 (line 3): admin1 is empty",
            "document 4 (line 5): name is missing",
            "document 5 (line 6): ",
            "document 6 (line 7): not a JSON object",
            "document 8 (line 9): ",
            "document_too_large",
            "5 documents refused",
        ],
    );
    assert!(ran.out.contains("imported into geo/place"), "{}", ran.out);
    assert!(ran.out.contains(": 3 created, 1 replaced, 5 refused"), "{}", ran.out);
    server.cortado(&["get", "geo/place/JP/40/after"]).done();
    let last = json(&server.cortado(&["get", "geo/place/JP/40/a"]).done());
    assert_eq!(last["n"], 2, "the last in file order wins");
    server.cortado(&["get", "geo/place/JP/40/number"]).done();

    let fill = ["import", "geo/place", "-", "--fill", "admin1=00", "--output", "json"];
    let one = r#"{"country":"JP","admin1":"","name":"b"}"#;
    let report = json(&server.cortado_with(&fill, one).done());
    assert_eq!((&report["created"], &report["refused"]), (&1.into(), &0.into()));
    let filled = json(&server.cortado(&["get", "geo/place/JP/00/b"]).done());
    assert_eq!(filled["admin1"], "", "the document is as in the file");

    let bad = ["import", "geo/place", "-", "--fill", "zip=1"];
    server.cortado_with(&bad, one).refused(2, &["country, admin1, name"]);
    server.cortado_with(&["import", "geo/none", "-"], one).refused(1, &["no_such_table"]);
    server.cortado(&["import", "geo/place", "/none.json"]).refused(2, &["cannot be read"]);
    server.cortado(&["import", "geo/place", "/"]).refused(2, &["is a directory"]);
    let cut = r#"[{"country":"JP","admin1":"1","name":"cut"},{"coun"#;
    let cut = server.cortado_with(&["import", "geo/place", "-"], cut);
    cut.refused(1, &["cut off after document 1", "--skip 1"]);
    server.cortado(&["get", "geo/place/JP/1/cut"]).done();
}

#[test]
fn every_form_is_read_whether_packed_or_not() {
    let (server, folder) = geo("1");
    let pretty = "{\n  \"id\": 1,\n  \"n\": {\n    \"id\": 7\n  }\n}\n{\n  \"id\": 2\n}\n";
    let forms = [
        (r#"[{"id":1,"n":{"id":7}},{"id":2}]"#, [r#"{"id":1,"n":{"id":7}}"#, r#"{"id":2}"#]),
        ("{\"id\":1}\n{\"id\":2,\"n\":3}\n", [r#"{"id":1}"#, r#"{"id":2,"n":3}"#]),
        (r#"{"id":1} {"id":2}"#, [r#"{"id":1}"#, r#"{"id":2}"#]),
        (pretty, [r#"{"id":1,"n":{"id":7}}"#, r#"{"id":2}"#]),
        ("id,n\n1,x\n2,\n", [r#"{"id":"1","n":"x"}"#, r#"{"id":"2"}"#]),
        (
            "\u{feff}id\tn\r\n1\t\"a\"\"b\"\r\n2\t007\r\n",
            [r#"{"id":"1","n":"a\"b"}"#, r#"{"id":"2","n":"007"}"#],
        ),
    ];
    for (text, [one, two]) in forms {
        let want = [format!("[\"1\"]: {one}"), format!("[\"2\"]: {two}")];
        for bytes in [text.as_bytes().to_vec(), packed(text.as_bytes())] {
            let ran = server.cortado_with(&["import", "geo/thing", "-"], &bytes).done();
            assert!(ran.contains(" 0 refused"), "{ran}");
            assert_eq!(documents(&server, "geo/thing"), want, "{text}");
        }
    }
    // By name, too: the content tells, and not the ending.
    let file = folder.path().join("things.txt");
    fs::write(&file, packed(b"{\"id\":\"file\"}")).unwrap();
    server.cortado(&["import", "geo/thing", file.to_str().unwrap()]).done();
    server.cortado(&["get", "geo/thing/file"]).done();
}

#[test]
fn what_is_no_document_is_told_and_not_stored() {
    let (server, folder) = geo("1");
    let import = ["import", "geo/thing", "-"];
    let refused = |input: &[u8], texts: &[&str]| {
        server.cortado_with(&import, input).refused(1, texts);
    };
    refused(b"PK\x03\x04rest", &["a ZIP archive", "unpack"]);
    refused(b"\x28\xb5\x2f\xfdrest", &["zstdcat"]);
    refused(b"a,b\n1,2\n", &["has no column id", "--key-from id=COLUMN"]);
    refused(b"some text\n", &["has no column id"]);
    refused(b"ID, id\n1,2\n", &["has no column id, but \"ID\", \" id\"\n"]);
    refused(b"id\0\n", &["byte of zero", "CSV or TSV"]);
    refused(&packed(b"{\"id\":1}")[..15], &["cannot be read"]);
    // An inner object is never a document, however the outer one is broken.
    let broken =
        b"{\n  \"id\": 1,\n  \"list\": [\n    {\"id\": 2}\n    {\"id\": 3}\n  ]\n}\n{\"id\":4}\n";
    let ran = server.cortado_with(&import, broken);
    let ran = ran.refused(1, &["document 1 (line 1): not a JSON object: a comma"]);
    assert!(ran.out.contains(": 1 created, 0 replaced, 1 refused"), "{}", ran.out);
    assert_eq!(documents(&server, "geo/thing"), ["[\"4\"]: {\"id\":4}"]);

    // A long list is cut short, and whole in a file.
    let lines: String = (0..50_000).map(|n| format!("{{\"no\":{n}}}\n")).collect();
    let rejects = folder.path().join("rejects.ndjson");
    let all = ["import", "geo/thing", "-", "--rejects", rejects.to_str().unwrap()];
    let ran = server.cortado_with(&all, lines + "{torn\n{\"id\":\"whole\"}");
    let ran =
        ran.refused(1, &["document 20 (line 20)", "rejects.ndjson", "50,001 documents refused"]);
    assert!(!ran.err.contains("document 21 ") && ran.err.lines().count() < 30, "{}", ran.err);
    server.cortado(&["get", "geo/thing/whole"]).done();
    let listed = fs::read_to_string(&rejects).unwrap();
    assert_eq!(listed.lines().count(), 50_001);
    let line = json(listed.lines().nth(41).unwrap());
    assert_eq!((&line["position"], &line["line"]), (&42.into(), &42.into()));
    assert_eq!(line["value"], json(r#"{"no":41}"#));
    assert!(line["reason"].as_str().unwrap().starts_with("id is missing"));
    assert_eq!(json(listed.lines().last().unwrap())["text"], "{torn\n");
    // Not over what is being read.
    fs::write(&rejects, "{\"id\":5}").unwrap();
    let own = rejects.to_str().unwrap();
    server.cortado(&["import", "geo/thing", own, "--rejects", own]).refused(2, &["--rejects"]);
    assert_eq!(fs::read_to_string(&rejects).unwrap(), "{\"id\":5}");
}

#[test]
fn a_refusal_shows_where_in_the_document_and_its_file_stays_readable() {
    let (server, folder) = geo("1");
    let rejects = folder.path().join("rejects.ndjson");
    let import = ["import", "geo/thing", "-", "--rejects", rejects.to_str().unwrap()];
    let lines = concat!(
        "{\"id\":\"a\",\"n\":1,\"n\":2}\n",
        "{\"id\":\"b\",\"s\":\"\\ud800\"}\n",
        "{\"id\":\"c\",\"n\":1e999}\n",
        "{\"id\":\"d\"}\n",
    );
    let ran = server.cortado_with(&import, lines);
    ran.refused(
        1,
        &[
            "document 1 (line 1): not valid JSON: repeated member name, at its byte 18",
            "document 2 (line 2): not valid JSON: lone surrogate, at its byte 16",
            "document 3 (line 3): number outside the range of a double",
            "3 documents refused",
        ],
    );
    assert_eq!(documents(&server, "geo/thing"), ["[\"d\"]: {\"id\":\"d\"}"]);
    // Every line can be read: what two programs would read otherwise is a text.
    let listed = fs::read_to_string(&rejects).unwrap();
    let texts: Vec<bool> = listed
        .lines()
        .map(|line| line.contains(",\"text\":\"") && json(line).get("value").is_none())
        .collect();
    assert_eq!(texts, [true; 3], "{listed}");
}

#[test]
fn a_gzipped_file_that_is_damaged_is_to_be_imported_again_as_a_whole() {
    let (server, _folder) = geo("1");
    let lines: String = (0..3_000).map(|n| format!("{{\"id\":{n},\"x\":{}}}\n", n * n)).collect();
    let import = ["import", "geo/thing", "-"];
    // Its checksum stands in the last 8 bytes.
    let mut damaged = packed(lines.as_bytes());
    let at = damaged.len() - 6;
    damaged[at] ^= 1;
    let ran = server.cortado_with(&import, &damaged);
    let ran = ran.refused(1, &["the file is damaged", "import the whole file again"]);
    assert!(!ran.err.contains("--skip"), "{}", ran.err);
    // What lacks its end has lost nothing else.
    let packed = packed(lines.as_bytes());
    let ran = server.cortado_with(&import, &packed[..packed.len() / 2]);
    let ran = ran.refused(1, &["values of the file are done", "--skip"]);
    assert!(!ran.err.contains("damaged"), "{}", ran.err);
}

#[test]
fn a_file_that_is_no_export_is_refused_at_once() {
    let (server, _folder) = geo("1");
    let lines = "{\"id\":1}\n".repeat(3_000);
    for database in ["geo", "other"] {
        let ran = server.cortado_with(&["import", database, "-"], &lines);
        let ran = ran.refused(1, &["the file is no export", "DB/TABLE"]);
        assert_eq!(ran.err.lines().count(), 2, "{}", ran.err);
    }
    // Declarations alone are no reason to go on behind them.
    let export = server.cortado(&["export", "geo/place"]).done();
    let ran = server.cortado_with(&["import", "geo/thing", "-"], export);
    let ran = ran.refused(1, &["has 3 parts, that of the target 1"]);
    assert!(!ran.err.contains("--skip"), "{}", ran.err);
    let ran = server.cortado_with(&["import", "geo/thing", "-"], "[{\"id\":1},{\"id\":2");
    ran.refused(1, &["the first value of the file is done; to continue", "`--skip 1`"]);
}

#[test]
fn any_member_can_be_a_key() {
    let (server, _folder) = geo("1");
    for (member, id) in [("_id", "a"), ("userId", "b"), ("Name", "c"), ("@id", "d"), ("$ref", "e")]
    {
        let from = format!("id={member}");
        let import = ["import", "geo/thing", "-", "--key-from", &from];
        let text = format!("{{\"{member}\":\"{id}\",\"id\":\"x\"}}");
        server.cortado_with(&import, &text).done();
        assert_eq!(server.cortado(&["get", &format!("geo/thing/{id}")]).done().trim(), text);
        let csv = format!("{member},n\n{id},1\n");
        assert!(server.cortado_with(&import, csv).done().contains("0 created, 1 replaced"));
        server.cortado_with(&import, "{\"id\":\"x\"}").refused(1, &["is missing", member]);
    }
    let bad = ["import", "geo/thing", "-", "--key-from", "part=_id"];
    server.cortado_with(&bad, "{}").refused(2, &["--key-from part", "the key's parts are id"]);
}

#[test]
fn a_repeated_key_is_counted_and_dealt_with_as_asked() {
    let (server, _folder) = geo("3");
    let lines: String = (0..50).map(|n| format!("{{\"id\":\"one\",\"n\":{n}}}\n")).collect();
    let import = |act: &str| {
        let arguments = ["import", "geo/thing", "-", "--on-duplicate", act, "--output", "json"];
        server.cortado_with(&arguments, &lines)
    };
    let stored = || json(&server.cortado(&["get", "geo/thing/one"]).done())["n"].clone();
    let said = server.cortado_with(&["import", "geo/thing", "-"], &lines).done();
    assert!(said.contains(": 1 created, 49 replaced, 0 refused"), "{said}");
    assert_eq!(stored(), 49, "the last in the file wins");
    let report = json(&import("skip").done());
    assert_eq!((&report["created"], &report["skipped"]), (&0.into(), &50.into()));
    assert_eq!(stored(), 49);
    server.cortado(&["delete", "geo/thing/one"]).done();
    let ran = import("fail").refused(1, &["document 2 (line 2): a document of this key exists"]);
    let report = json(&ran.out);
    assert_eq!((&report["created"], &report["refused"]), (&1.into(), &49.into()));
    assert_eq!(stored(), 0, "the first in the file stays");
    // Many documents of one resource go together, and only those that exist are left out.
    let places = |from: u32, to: u32| -> String {
        let place =
            |n| format!("{{\"country\":\"X\",\"admin1\":\"1\",\"name\":\"{n}\",\"f\":{from}}}\n");
        (from..to).map(place).collect()
    };
    server.cortado_with(&["import", "geo/place", "-"], places(0, 50)).done();
    let skip = ["import", "geo/place", "-", "--on-duplicate", "skip"];
    let said = server.cortado_with(&skip, places(25, 300)).done();
    assert!(said.contains(": 250 created, 0 replaced, 0 refused, 25 skipped"), "{said}");
    let kept = json(&server.cortado(&["get", "geo/place/X/1/30"]).done());
    assert_eq!(kept["f"], 0);
}

#[test]
fn cells_have_the_types_that_the_schema_says() {
    let (server, folder) = geo("1");
    let schema = folder.path().join("schema.json");
    let text = r#"{"properties":{"n":{"type":"number"},"whole":{"type":["integer","null"]},
        "is":{"type":"boolean"},"zip":{"type":"string"}}}"#;
    fs::write(&schema, text).unwrap();
    let schema = schema.to_str().unwrap();
    let create = ["table", "create", "geo/typed", "--key", "id", "--schema", schema];
    server.cortado(&create).done();
    let csv = "id,n,whole,is,zip,free\na,1.50,null,TRUE,00501,7\nb,,3,false,,\nc,x,,,,\n";
    let ran = server.cortado_with(&["import", "geo/typed", "-"], csv);
    ran.refused(1, &["document 3 (line 4)", "schema_violated", "/n"]);
    let want = [
        r#"["a"]: {"id":"a","n":1.50,"whole":null,"is":true,"zip":"00501","free":"7"}"#,
        r#"["b"]: {"id":"b","whole":3,"is":false}"#,
    ];
    assert_eq!(documents(&server, "geo/typed"), want);
}

#[test]
fn an_export_makes_the_same_database_elsewhere() {
    let (server, folder) = geo("3");
    let places: String = (0..2_500)
        .map(|n| {
            let (country, admin1) = (n % 7, n % 11);
            let (c, a) = (format!("C{country}"), format!("A/{admin1}"));
            format!("{{\"country\":\"{c}\",\"admin1\":\"{a}\",\"name\":\"ñ{n}\",\"x\":{n}.50}}\n")
        })
        .collect();
    server.cortado_with(&["import", "geo/place", "-"], &places).done();
    server.cortado(&["put", "geo/thing/a", "{\"n\":\n 1.0}"]).done();
    let schema = folder.path().join("schema.json");
    fs::write(&schema, r#"{"properties":{"n":{"type":"number"}}}"#).unwrap();
    let create = ["table", "create", "geo/typed", "--key", "id", "--schema"];
    server.cortado(&[&create[..], &[schema.to_str().unwrap()]].concat()).done();
    server.cortado(&["put", "geo/typed/a", "{\"n\":1.50}"]).done();
    let file = folder.path().join("geo.ndjson");
    let path = file.to_str().unwrap();
    server.cortado(&["export", "geo", path]).done();
    let exported = fs::read_to_string(&file).unwrap();
    assert_eq!(exported.lines().count(), 4 + 2_502);
    let first = r#"{"export":1,"database":"geo","declaration":{"partitions":4,"replication":3}}"#;
    assert_eq!(exported.lines().next(), Some(first));
    assert!(exported.contains("\"x\":17.50"), "numbers are written as they came in");
    assert_eq!(server.cortado(&["export", "geo"]).done(), exported, "twice the same");

    // Into a server that knows nothing, and has fewer nodes.
    let elsewhere = folder.path().join("elsewhere");
    let mut command = Server::command(&elsewhere);
    command.args(["--nodes", "1"]);
    let other = Server::run(command).unwrap_or_else(|said| panic!("no server:\n{said}"));
    let ran = other.cortado(&["import", "copy", path]);
    assert!(ran.err.contains("created table copy/thing"), "{}", ran.err);
    assert!(ran.done().contains(": 2,502 created"));
    let copied = other.cortado(&["export", "copy"]).done();
    let rest = |text: &str| text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(rest(&copied), rest(&exported), "with the same number of partitions, in one order");

    // Again, into what exists: it stays as it is declared.
    server.cortado(&["db", "create", "three", "--partitions", "3"]).done();
    for _ in 0..2 {
        server.cortado(&["import", "three", path]).done();
        assert_eq!(documents(&server, "three"), documents(&server, "geo"));
    }
    let three = json(&server.cortado(&["db", "show", "three"]).done());
    assert_eq!(three["partitions"], 3);
    assert_eq!(three["tables"]["typed"]["schema"]["properties"]["n"]["type"], "number");
    server.cortado(&["db", "create", "bad"]).done();
    server.cortado(&["table", "create", "bad/thing", "--key", "name"]).done();
    server.cortado(&["import", "bad", path]).refused(1, &["has the key (name)", "(id)"]);

    server.cortado(&["export", "none", path]).refused(1, &["no_such_database"]);
    server.cortado(&["export", "geo/none", path]).refused(1, &["no_such_table"]);
    assert_eq!(fs::read_to_string(&file).unwrap(), exported, "a failed export replaces nothing");
    let lines = exported.lines().skip(4).take(1).collect::<String>();
    let import = ["import", "missing", "-"];
    server.cortado_with(&import, lines).refused(1, &["there is no database missing"]);
    server.cortado_with(&import, "a,b\n1,2\n").refused(1, &["DB/TABLE"]);
    let newer = "{\"export\":2,\"database\":\"geo\",\"declaration\":{}}";
    server.cortado_with(&import, newer).refused(1, &["version 2", "newer"]);
}

#[test]
fn an_export_of_one_table_goes_into_another() {
    let (server, _folder) = geo("1");
    server.cortado(&["put", "geo/thing/a", "{\"n\":\n 1.0}"]).done();
    server.cortado(&["table", "create", "geo/typed", "--key", "id"]).done();
    let one = server.cortado(&["export", "geo/thing", "-"]).done();
    assert_eq!(one.lines().count(), 3);
    server.cortado(&["table", "create", "geo/other", "--key", "id"]).done();
    server.cortado_with(&["import", "geo/other", "-"], &one).done();
    assert_eq!(server.cortado(&["get", "geo/other/a"]).done().trim(), "{\"n\":1.0}");
    let place = server.cortado(&["export", "geo/place"]).done();
    let into_other = ["import", "geo/other", "-"];
    server.cortado_with(&into_other, &place).refused(1, &["place has 3 parts", "target 1"]);
    let twice = one + &server.cortado(&["export", "geo/typed"]).done();
    server.cortado_with(&into_other, &twice).refused(1, &["several tables", "import DB FILE"]);
}

#[test]
fn an_export_leaves_a_device_a_device() {
    let (server, folder) = geo("1");
    server.cortado(&["put", "geo/thing/a", "{}"]).done();
    let exported = server.cortado(&["export", "geo"]).done();
    let at = |name: &str| folder.path().join(name);
    let export = |path: &Path| server.cortado(&["export", "geo", path.to_str().unwrap()]);
    export(Path::new("/dev/null")).done();
    export(Path::new("/dev/full")).refused(1, &["No space left"]);
    assert!(fs::metadata("/dev/full").unwrap().file_type().is_char_device());

    let pipe = at("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let from = pipe.clone();
    let reader = thread::spawn(move || fs::read_to_string(from).unwrap());
    export(&pipe).done();
    assert_eq!(reader.join().unwrap(), exported);
    assert!(fs::metadata(&pipe).unwrap().file_type().is_fifo());

    let (file, link) = (at("file"), at("link"));
    fs::write(&file, "older").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    symlink(&file, &link).unwrap();
    export(&link).done();
    assert!(link.is_symlink());
    assert_eq!(fs::read_to_string(&file).unwrap(), exported);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o600);
    assert_eq!(export(Path::new("/dev/stdout")).done(), exported);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 4, "the data and the three");
}

#[test]
fn a_reader_that_goes_away_is_no_error_to_speak_of() {
    let (server, _folder) = geo("1");
    let lines: String = (0..5_000).map(|n| format!("{{\"id\":{n}}}\n")).collect();
    server.cortado_with(&["import", "geo/thing", "-"], &lines).done();
    for arguments in [&["export", "geo"][..], &["list", "geo/thing", "--all"], &["changes", "geo"]]
    {
        let mut command = binary();
        command.args(arguments).env("CORTADO_URL", server.url());
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(process.stdout.take());
        let mut said = String::new();
        process.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert!(process.wait().unwrap().code().is_some(), "ended by a signal");
        assert!(!said.contains("error") && !said.contains("panic"), "{arguments:?}: {said}");
    }
    let mut full = binary();
    full.args(["export", "geo"]).env("CORTADO_URL", server.url());
    full.stdout(fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
    let output = full.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("No space left"), "{said}");
}

/// What was refused is imported again once it can be: the file of refusals keeps tables and keys.
#[test]
fn refused_lines_of_an_export_can_be_imported_again() {
    let (server, folder) = geo("1");
    server.cortado(&["put", "geo/thing/a", "{\"n\":\"x\",\"m\":1.50}"]).done();
    server.cortado(&["put", "geo/place/JP/40/b", "{}"]).done();
    let (file, rejects) = (folder.path().join("geo.ndjson"), folder.path().join("rejects.ndjson"));
    let (file, rejects) = (file.to_str().unwrap(), rejects.to_str().unwrap());
    let again = || -> String {
        let lines = fs::read_to_string(rejects).unwrap();
        let value =
            |line: &str| line.split_once(",\"value\":")?.1.strip_suffix('}').map(str::to_owned);
        lines.lines().filter_map(value).map(|value| value + "\n").collect()
    };
    let schema = folder.path().join("schema.json");
    fs::write(&schema, r#"{"properties":{"n":{"type":"number"}}}"#).unwrap();
    let strict = ["--schema", schema.to_str().unwrap()];
    let want = ["[\"a\"]: {\"n\":\"x\",\"m\":1.50}"];

    server.cortado(&["export", "geo", file]).done();
    server.cortado(&["db", "create", "copy"]).done();
    let create = ["table", "create", "copy/thing", "--key", "id"];
    server.cortado(&[&create[..], &strict].concat()).done();
    let import = ["import", "copy", file, "--rejects", rejects];
    server.cortado(&import).refused(1, &["1 document refused"]);
    let line = json(fs::read_to_string(rejects).unwrap().trim());
    assert_eq!(line["value"], json(r#"{"table":"thing","key":["a"],"value":{"n":"x","m":1.50}}"#));
    server.cortado(&["table", "drop", "copy/thing", "--yes"]).done();
    server.cortado(&create).done();
    server.cortado_with(&["import", "copy", "-"], again()).done();
    assert_eq!(documents(&server, "copy/thing"), want);

    server.cortado(&["export", "geo/thing", file]).done();
    let create = ["table", "create", "geo/other", "--key", "id"];
    server.cortado(&[&create[..], &strict].concat()).done();
    let import = ["import", "geo/other", file, "--rejects", rejects];
    server.cortado(&import).refused(1, &["1 document refused"]);
    server.cortado(&["table", "drop", "geo/other", "--yes"]).done();
    server.cortado(&create).done();
    server.cortado_with(&["import", "geo/other", "-"], again()).done();
    assert_eq!(documents(&server, "geo/other"), want);
    // Not where the table takes its keys from the documents.
    let line = r#"{"table":"x","key":["k"],"value":{},"id":"own"}"#;
    server.cortado_with(&["import", "geo/other", "-"], line).done();
    server.cortado(&["get", "geo/other/own"]).done();
}

#[test]
fn a_file_is_not_emptied_while_it_is_read() {
    let (server, folder) = geo("1");
    let file = folder.path().join("things");
    fs::write(&file, "{\"id\":5}").unwrap();
    let path = file.to_str().unwrap();
    for from in [path, "-", "/dev/stdin"] {
        let mut command = binary();
        command.args(["import", "geo/thing", from, "--rejects", path]);
        command.env("CORTADO_URL", server.url()).stdin(fs::File::open(&file).unwrap());
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && said.contains("--rejects"), "{from}: {said}");
        assert_eq!(fs::read_to_string(&file).unwrap(), "{\"id\":5}");
    }
    // A device may be both.
    let mut command = binary();
    command.args(["import", "geo/thing", "-", "--rejects", "/dev/null"]).stdin(Stdio::null());
    assert!(command.env("CORTADO_URL", server.url()).output().unwrap().status.success());
}

#[test]
fn an_import_that_fails_names_the_command_that_goes_on() {
    let (server, folder) = geo("1");
    let file = folder.path().join("it's cut.json");
    fs::write(&file, "[{\"id\":1},{\"i").unwrap();
    let path = file.to_str().unwrap();
    let quoted = path.replace('\'', "'\\''");
    let harmless = "storing a document twice is harmless";
    let url = server.url();
    let import = |more: &[&str]| {
        let mut command = binary();
        command.args(["import", "geo/thing", path, "--url", &url]).args(more);
        Ran::of(command, "")
    };
    let command = format!("`cortado import geo/thing '{quoted}' --url {url} --skip 1`");
    import(&[]).refused(1, &[&command, harmless]);
    let command = format!("geo/thing '{quoted}' --fill 'id=a b' --on-duplicate fail --url");
    let ran = import(&["--on-duplicate", "fail", "--fill", "id=a b"]).refused(1, &[&command]);
    assert!(!ran.err.contains(harmless), "{}", ran.err);
    let text = fs::read(&file).unwrap();
    let ran = server.cortado_with(&["import", "geo/thing", "-", "--on-duplicate", "skip"], text);
    let ran = ran.refused(1, &["give the same input again with `--skip 1`", harmless]);
    assert!(!ran.err.contains("cortado import geo/thing -"), "{}", ran.err);
}

#[test]
fn an_export_writes_behind_what_its_descriptors_hold() {
    let (server, folder) = geo("1");
    server.cortado(&["put", "geo/thing/a", "{}"]).done();
    let exported = server.cortado(&["export", "geo"]).done();
    let run = |script: &str| {
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(script).current_dir(folder.path());
        shell.env("CORTADO_URL", server.url()).env("cortado", binary().get_program());
        shell.output().unwrap()
    };
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    for (to, number) in [("/dev/stdout", 1), ("/dev/stderr", 2), ("/proc/self/fd/2", 2)] {
        let ran = run(&format!(
            "{{ echo before >&{number}; $cortado export geo {to}; echo behind >&{number}; }} \
             {number}> file"
        ));
        assert!(ran.status.success());
        let held = read("file");
        assert!(held.starts_with("before\n") && held.ends_with("behind\n"), "{to}: {held}");
        assert!(held.contains(&exported), "{to}: {held}");
    }
    // One that Rust does not let us have twice: nothing is written over.
    let ran = run("{ echo before >&3; $cortado export geo /dev/fd/3; } 3> file");
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(ran.status.code() == Some(1) && said.contains("export to - with `>&3`"), "{said}");
    assert_eq!(read("file"), "before\n");
    assert!(run("$cortado export geo /dev/fd/3 3>&1 | cat > file").status.success());
    assert_eq!(read("file"), exported);
}
