//! Disks that fill, files that change, directories that vanish: the promised message, and nothing
//! lost that can be kept.

#![allow(clippy::unwrap_used, reason = "the lint's exception for tests does not see functions")]

mod harness;

use harness::http::Http;
use harness::{Server, cortado};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A data directory with acknowledged documents in it.
struct Scene {
    directory: tempfile::TempDir,
    documents: usize,
}

impl Scene {
    fn new() -> Scene {
        let scene = Scene { directory: tempfile::tempdir().unwrap(), documents: 300 };
        let server = Server::start(&scene.data());
        server.create_table("shop", "item", &["id"]);
        let mut http = server.http();
        for number in 0..scene.documents {
            put(&mut http, number);
        }
        assert!(server.stop().success());
        scene
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// The only segment that has records in it.
    fn segment(&self) -> PathBuf {
        let files = fs::read_dir(self.data().join("log")).unwrap();
        let paths = files.map(|file| file.unwrap().path());
        let segments = paths.filter(|path| path.extension().is_some_and(|e| e == "segment"));
        segments.min().expect("a segment")
    }

    /// Everything acknowledged is there.
    #[track_caller]
    fn check_whole(&self, server: &Server) {
        let found = server.all_documents("shop/item");
        assert_eq!(found.len(), self.documents);
    }

    /// The server ends with code 1 and says all of `words`.
    #[track_caller]
    fn check_refused(&self, words: &[&str]) {
        check_refused(Server::command(&self.data()), words);
    }
}

#[track_caller]
fn check_refused(command: Command, words: &[&str]) {
    let said = match Server::run(command) {
        Ok(server) => panic!("it started:\n{}", server.said()),
        Err(said) => said,
    };
    for word in words {
        assert!(said.contains(word), "no `{word}` in:\n{said}");
    }
    assert!(said.contains("exit status: 1"), "{said}");
    assert!(!said.contains("panicked"), "{said}");
}

#[track_caller]
fn put(http: &mut Http, number: usize) {
    let answer = http.put(&format!("/v1/shop/item/i{number}"), &document(number));
    assert!(answer.status < 300, "{answer:?}");
}

fn document(number: usize) -> serde_json::Value {
    json!({"number": number, "text": "x".repeat(1_000)})
}

/// Where the bytes of some document stand in the segment: in the middle of what is written.
fn middle_of(bytes: &[u8]) -> usize {
    let needle = br#""number":150,"#;
    bytes.windows(needle.len()).position(|window| window == needle).expect("document 150")
}

#[test]
fn a_second_process_is_refused_and_the_first_goes_on() {
    let scene = Scene::new();
    let server = Server::start(&scene.data());
    scene.check_refused(&["in use", "data"]);
    put(&mut server.http(), 0);
    scene.check_whole(&server);
}

#[test]
fn a_file_in_place_of_the_directory_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data");
    fs::write(&path, "mine").unwrap();
    check_refused(Server::command(&path), &["not a directory"]);
    assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
}

#[test]
fn a_foreign_directory_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("thesis.tex"), "mine").unwrap();
    check_refused(Server::command(directory.path()), &["thesis.tex"]);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn a_read_only_directory_is_refused() {
    let scene = Scene::new();
    let data = scene.data();
    let script = "mount --bind \"$0\" \"$0\" && mount -o remount,ro,bind \"$0\" && exec \"$@\"";
    check_refused(in_own_mounts(script, &data, Server::command(&data)), &["written"]);
    scene.check_whole(&Server::start(&data));
}

#[test]
fn a_changed_byte_in_the_middle_of_the_log_is_refused_and_found() {
    let scene = Scene::new();
    let segment = scene.segment();
    let whole = fs::read(&segment).unwrap();
    let mut damaged = whole.clone();
    damaged[middle_of(&whole)] ^= 1;
    fs::write(&segment, &damaged).unwrap();
    let name = segment.file_name().unwrap().to_str().unwrap();
    scene.check_refused(&["damaged", name, "cortado log verify"]);
    assert!(fs::read(&segment).unwrap() == damaged, "a refused log must not be touched");

    let log = scene.data().join("log");
    let (code, report, _) = cortado(None, &["log", "verify", log.to_str().unwrap()]);
    assert_eq!(code, 1, "{report}");
    assert!(report.contains(name), "{report}");

    fs::write(&segment, &whole).unwrap();
    let (code, report, _) = cortado(None, &["log", "verify", log.to_str().unwrap()]);
    assert_eq!(code, 0, "{report}");
    scene.check_whole(&Server::start(&scene.data()));
}

#[test]
fn a_truncated_segment_is_refused() {
    let scene = Scene::new();
    let segment = scene.segment();
    let whole = fs::read(&segment).unwrap();
    fs::write(&segment, &whole[..middle_of(&whole)]).unwrap();
    let name = segment.file_name().unwrap().to_str().unwrap();
    scene.check_refused(&["damaged", name, "cortado log verify"]);
    fs::write(&segment, &whole).unwrap();
    scene.check_whole(&Server::start(&scene.data()));
}

#[test]
fn a_deleted_store_is_rebuilt_from_the_log() {
    let scene = Scene::new();
    let nodes = scene.data().join("nodes");
    fs::remove_dir_all(nodes.join("n1")).unwrap();
    let server = Server::start(&scene.data());
    scene.check_whole(&server);
    server.stop();
    fs::remove_dir_all(&nodes).unwrap();
    let server = Server::start(&scene.data());
    scene.check_whole(&server);
    put(&mut server.http(), 0);
}

#[test]
fn a_full_disk_refuses_writes_and_recovers_without_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    fs::create_dir(&data).unwrap();
    let script = "mount -t tmpfs -o size=320m none \"$0\" && exec \"$@\"";
    let inside = data.join("cortado");
    let server = Server::run(in_own_mounts(script, &data, Server::command(&inside)));
    let server = server.unwrap_or_else(|said| panic!("no server:\n{said}"));
    server.create_table("shop", "item", &["id"]);
    // The server's own view of its mounts, seen from here.
    let root = PathBuf::from(format!("/proc/{}/root", server.pid()));
    let filler = root.join(data.strip_prefix("/").unwrap()).join("filler");
    let mut file = fs::File::create(&filler).unwrap();
    while std::io::Write::write_all(&mut file, &[1; 1 << 16]).is_ok() {}
    drop(file);

    let mut http = server.http();
    let (mut acknowledged, mut refusal) = (Vec::new(), None);
    let body = json!({"text": "x".repeat(500_000)});
    for number in 0..2_000 {
        let answer = http.put(&format!("/v1/shop/item/i{number}"), &body);
        if answer.status >= 300 {
            refusal = Some(answer);
            break;
        }
        acknowledged.push(number);
    }
    let refusal = refusal.expect("320 MiB hold less than 1 GB");
    assert!([503, 507].contains(&refusal.status), "{refusal:?}");
    // The log may have taken what the stores could not: then the honest answer is "unknown".
    let open = match refusal.json()["outcome"].as_str() {
        Some("none") => 0,
        Some("unknown") => 1,
        _ => panic!("{refusal:?}"),
    };
    // Where the store could not take what its log holds, a strong read says so; none is wrong.
    for number in &acknowledged {
        let answer = http.get(&format!("/v1/shop/item/i{number}"));
        assert!([200, 503].contains(&answer.status), "{number}: {answer:?}");
    }

    fs::remove_file(&filler).unwrap();
    server.wait_until("writing again", |http| {
        http.put("/v1/shop/item/again", &json!({})).status < 300
    });
    let found = server.all_documents("shop/item").len();
    let least = acknowledged.len() + 1;
    let range = least..=least + open;
    assert!(range.contains(&found), "{found} documents, {range:?} expected");
}

/// `command` where `script` may mount; `$0` in it is `directory`.
fn in_own_mounts(script: &str, directory: &Path, command: Command) -> Command {
    let mut wrapped = Command::new("unshare");
    wrapped.args(["--user", "--map-root-user", "--mount", "sh", "-c", script]);
    wrapped.arg(directory).arg(command.get_program()).args(command.get_args());
    wrapped
}
