//! Disks that fill, files that change, directories that vanish: the promised message, and nothing
//! lost that can be kept.

#![allow(clippy::unwrap_used, reason = "the lint's exception for tests does not see functions")]

use crate::harness::http::Http;
use crate::harness::ran::binary;
use crate::harness::{BOUND, Server, cortado};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Instant;

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
    if !may_mount() {
        return;
    }
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

/// The files of a store, those of its folders included.
fn files_of(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(files_of(&path)) } else { files.push(path) }
    }
    files.sort();
    files
}

/// Whatever is wrong with the files of one store, the others serve, and it is built anew.
#[test]
fn a_damaged_store_is_set_aside_and_built_anew() {
    let scene = Scene::new();
    let node = scene.data().join("nodes").join("n2");
    let damages: [fn(&Path); 4] = [
        |file| fs::remove_file(file).unwrap(),
        |file| fs::write(file, "").unwrap(),
        |file| {
            let mut bytes = fs::read(file).unwrap();
            let middle = bytes.len().min(64) / 2;
            bytes[middle] ^= 0x10;
            fs::write(file, bytes).unwrap();
        },
        |file| {
            let length = fs::metadata(file).unwrap().len();
            fs::File::options().write(true).open(file).unwrap().set_len(length / 2).unwrap();
        },
    ];
    let mut aside = 0;
    for damage in damages {
        // Of each kind of file the first that has something in it.
        for name in ["version", "current", "v", "tables", "0"] {
            let files = files_of(&node.join("store"));
            let is_it = |file: &&PathBuf| {
                let file_name = file.file_name().unwrap().to_str().unwrap();
                let parent = file.parent().unwrap().file_name().unwrap().to_str().unwrap();
                let named = file_name.starts_with(name) || parent == name;
                named && file_name != "lock" && fs::metadata(file).unwrap().len() > 0
            };
            let Some(file) = files.iter().find(is_it) else { continue };
            damage(file);
            let server = Server::start(&scene.data());
            scene.check_whole(&server);
            put(&mut server.http(), 0);
            let nodes = server.http().get("/admin/v1/nodes").json().to_string();
            assert!(!nodes.contains("\"alive\":false"), "{nodes}");
            aside += usize::from(server.said().contains("damaged store set aside"));
            assert!(server.stop().success());
        }
    }
    assert!(aside >= 4, "{aside} of them were damage");
    let kept = fs::read_dir(&node).unwrap().map(|entry| entry.unwrap().file_name());
    let kept: Vec<_> = kept.filter(|name| name.to_str().unwrap().contains("damaged")).collect();
    assert_eq!(kept.len(), 2, "{kept:?}");
}

/// Puts something else in the place of a node's store, as a wrong mount does.
struct Misplaced {
    store: PathBuf,
    kept: PathBuf,
}

impl Misplaced {
    fn of(scene: &Scene, node: &str) -> Misplaced {
        let store = scene.data().join("nodes").join(node).join("store");
        let kept = scene.directory.path().join("kept");
        fs::rename(&store, &kept).unwrap();
        fs::write(&store, "not a store").unwrap();
        Misplaced { store, kept }
    }

    fn mend(self) {
        fs::remove_file(&self.store).unwrap();
        fs::rename(&self.kept, &self.store).unwrap();
    }
}

/// Whether a node runs, and what is wrong with it.
fn state_of(http: &mut Http, node: &str) -> (bool, Option<String>) {
    let nodes = http.get("/admin/v1/nodes").json();
    let nodes = nodes["nodes"].as_array().unwrap();
    let found = nodes.iter().find(|known| known["node"] == node).unwrap();
    (found["alive"].as_bool().unwrap(), found["sick"].as_str().map(str::to_owned))
}

/// A store that cannot be opened keeps its own node down, and no other one.
#[test]
fn a_node_whose_store_cannot_be_opened_stays_down_until_it_can() {
    let scene = Scene::new();
    let misplaced = Misplaced::of(&scene, "n3");
    let server = Server::start(&scene.data());
    scene.check_whole(&server);
    put(&mut server.http(), 0);
    let mut http = server.http();
    for node in ["n1", "n2"] {
        assert_eq!(state_of(&mut http, node), (true, None));
    }
    let (alive, why) = state_of(&mut http, "n3");
    let why = why.expect("a reason");
    assert!(!alive && why.contains("store") && why.contains("cannot be opened"), "{why}");
    let ready = http.get("/readyz");
    assert_eq!(ready.status, 200);
    assert!(ready.json()["warnings"][0].to_string().contains("n3: the node's store"), "{ready:?}");
    let (_, status, _) = cortado(Some(&server), &["status"]);
    assert!(status.contains("down: the node's store cannot be opened"), "{status}");
    // The others fail over to one another.
    server.cortado(&["node", "kill", "n1"]).done();
    server.wait_until("served by one", |http| http.get("/readyz").status == 200);
    put(&mut http, 1);
    server.cortado(&["node", "start", "n1"]).done();
    misplaced.mend();
    server.wait_until("up", |http| state_of(http, "n3") == (true, None));
    server.wait_until("all well", |http| http.get("/readyz").json().get("warnings").is_none());
    scene.check_whole(&server);
    let said = server.said();
    assert_eq!(said.matches("node not started; trying again").count(), 1, "told once: {said}");
}

/// Whether a damaged store may be set aside is asked again once the others can be read.
#[test]
fn a_damaged_store_beside_one_that_cannot_be_opened_waits_for_that() {
    let scene = Scene::new();
    let misplaced = Misplaced::of(&scene, "n3");
    let damaged = scene.data().join("nodes").join("n2").join("store");
    fs::remove_file(damaged.join("version")).unwrap();
    let server = Server::start(&scene.data());
    scene.check_whole(&server);
    put(&mut server.http(), 0);
    let (alive, why) = state_of(&mut server.http(), "n2");
    let why = why.expect("a reason");
    assert!(!alive && why.contains("the store of n3 cannot be read now"), "{why}");
    misplaced.mend();
    for node in ["n2", "n3"] {
        server.wait_until("up", |http| state_of(http, node) == (true, None));
    }
    assert!(server.said().contains("damaged store set aside"), "{}", server.said());
    scene.check_whole(&server);
}

#[test]
fn a_log_whose_segments_are_gone_is_not_made_anew() {
    let scene = Scene::new();
    let files = |folder: &str| {
        let files = files_of(&scene.data().join(folder));
        files.into_iter().map(|file| (fs::read(&file).unwrap(), file)).collect::<Vec<_>>()
    };
    for segment in files_of(&scene.data().join("log")) {
        if segment.extension().is_some_and(|extension| extension == "segment") {
            fs::remove_file(segment).unwrap();
        }
    }
    let before = (files("log"), files("nodes"));
    scene.check_refused(&["it has no segments", "restore", "may be the last copies"]);
    assert!(before == (files("log"), files("nodes")), "a refused start has written something");
}

#[test]
fn a_servers_files_are_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let command = Server::command(&data);
    let mut wrapped = Command::new("sh");
    wrapped.args(["-c", "umask 0 && exec \"$0\" \"$@\""]);
    wrapped.arg(command.get_program()).args(command.get_args());
    let server = Server::run(wrapped).unwrap_or_else(|said| panic!("no server:\n{said}"));
    server.create_table("shop", "item", &["id"]);
    put(&mut server.http(), 0);
    let mut seen = 0;
    for file in files_of(&data) {
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o077;
        assert_eq!((mode(&file), mode(file.parent().unwrap())), (0, 0), "{file:?}");
        seen += 1;
    }
    assert!(seen > 10, "{seen}");
}

#[test]
fn what_a_killed_server_left_is_removed_by_the_next_one() {
    let temporary = tempfile::tempdir().unwrap();
    let server = || {
        let mut command = binary();
        command.args(["dev", "--listen", "127.0.0.1:0"]).env("TMPDIR", temporary.path());
        Server::run(command).unwrap_or_else(|said| panic!("no server:\n{said}"))
    };
    let folders = || fs::read_dir(temporary.path()).unwrap().count();
    let (live, killed) = (server(), server());
    killed.kill();
    assert_eq!(folders(), 2);
    let next = server();
    assert_eq!(folders(), 2, "that of the live one and that of the next one");
    live.create_table("shop", "item", &["id"]);
    put(&mut live.http(), 0);
    assert!(next.stop().success());
    assert!(live.stop().success());
    assert_eq!(folders(), 0);
}

/// A server on a small disk of its own, which can be filled to the last byte.
struct SmallDisk {
    server: Server,
    /// What takes up the room, seen from here.
    filler: PathBuf,
    _directory: tempfile::TempDir,
}

impl SmallDisk {
    /// * `script`: mounts the disk at `$0` and runs `$@`.
    ///
    /// `None` where this machine does not let it mount.
    fn new(script: &str) -> Option<SmallDisk> {
        if !may_mount() {
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("data");
        fs::create_dir(&data).unwrap();
        let server = Server::command(&data.join("cortado"));
        let server = Server::run(in_own_mounts(script, &data, server));
        let server = server.unwrap_or_else(|said| panic!("no server:\n{said}"));
        // The server's own view of its mounts.
        let root = PathBuf::from(format!("/proc/{}/root", server.pid()));
        let filler = root.join(data.strip_prefix("/").unwrap()).join("filler");
        Some(SmallDisk { server, filler, _directory: directory })
    }

    /// Leaves no byte free, however often room is made.
    fn fill(&self) {
        let mut file = fs::File::options().create(true).append(true).open(&self.filler).unwrap();
        while std::io::Write::write_all(&mut file, &[1; 1 << 16]).is_ok() {}
    }

    fn empty(&self) {
        fs::remove_file(&self.filler).unwrap();
    }

    /// Fills the disk until the server has nothing left to give up.
    fn fill_to_the_last_byte(&self) {
        self.fill();
        let reserve = self.filler.with_file_name("cortado").join("reserve");
        self.server.wait_until("without a reserve", |_| !reserve.exists());
        self.fill();
    }

    /// Waits until a write that grows is refused as it should be.
    fn wait_until_refused(&self) {
        self.server.wait_until("refused", |http| {
            let answer = http.put("/v1/shop/item/more", &json!({"text": "x".repeat(1_000)}));
            let refused = answer.status == 507;
            assert!(!refused || answer.json()["outcome"] == "none", "{answer:?}");
            refused
        });
    }

    /// Waits until everything is readable, as the newest state.
    fn wait_until_readable(&self, documents: usize) {
        self.server.wait_until("readable", |http| {
            (0..documents).all(|number| http.get(&format!("/v1/shop/item/i{number}")).status == 200)
        });
    }

    /// Everything is there but the one that was deleted.
    #[track_caller]
    fn check_all_but_the_first(&self, documents: usize) {
        let mut http = self.server.http();
        for number in 0..documents {
            let answer = http.get(&format!("/v1/shop/item/i{number}"));
            assert_eq!(answer.status, if number == 0 { 404 } else { 200 }, "{number}");
        }
    }

    fn wait_until_written(&self) {
        self.server.wait_until("writing again", |http| {
            http.put("/v1/shop/item/again", &json!({})).status < 300
        });
    }
}

const MOUNT: &str = "mount -t tmpfs -o size=320m none \"$0\"";

#[test]
fn a_disk_that_fills_refuses_writes_and_recovers_without_a_restart() {
    let Some(disk) = SmallDisk::new(&format!("{MOUNT} && exec \"$@\"")) else {
        return;
    };
    let server = &disk.server;
    server.create_table("shop", "item", &["id"]);
    let mut http = server.http();
    let (mut acknowledged, mut refusal) = (0, None);
    let body = json!({"text": "x".repeat(500_000)});
    for number in 0..2_000 {
        let answer = http.put(&format!("/v1/shop/item/i{number}"), &body);
        if answer.status >= 300 {
            refusal = Some(answer);
            break;
        }
        acknowledged += 1;
    }
    let refusal = refusal.expect("320 MiB hold less than 1 GB");
    assert_eq!((refusal.status, refusal.json()["outcome"].as_str()), (507, Some("none")));
    for number in 0..acknowledged {
        let answer = http.get(&format!("/v1/shop/item/i{number}"));
        assert_eq!(answer.status, 200, "{number}: {answer:?}");
    }
    // What frees space goes on.
    for number in 0..10 {
        let begun = Instant::now();
        let mut perhaps = false;
        // On a busy machine the leader may change: what is perhaps deleted is deleted once more.
        loop {
            let answer = http.delete(&format!("/v1/shop/item/i{number}"));
            match answer.status {
                204 => break,
                404 if perhaps => break,
                _ => assert!(answer.status == 503 && begun.elapsed() < BOUND, "{answer:?}"),
            }
            perhaps |= answer.json()["outcome"] == "unknown";
        }
    }
    assert_eq!(server.all_documents("shop/item").len(), acknowledged - 10);
}

#[test]
fn a_full_disk_is_led_read_and_freed_and_recovers_without_a_restart() {
    let Some(disk) = SmallDisk::new(&format!("{MOUNT} && exec \"$@\"")) else {
        return;
    };
    let server = &disk.server;
    server.create_table("shop", "item", &["id"]);
    server.create_table("idle", "item", &["id"]);
    let mut http = server.http();
    (0..40).for_each(|number| put(&mut http, number));
    disk.fill();
    disk.wait_until_refused();
    // Again, now that the server has given up its reserve.
    disk.wait_until_readable(40);
    // A node whose engine has met the full disk has to catch up first.
    server.wait_until("handed over", |http| {
        http.post("/admin/v1/databases/shop/partitions/0:handoff", &json!({})).status < 300
    });
    // It may just begin another life.
    server.wait_until("killed", |http| {
        http.expect("POST", "/admin/v1/nodes/n1:kill", &[], b"").status == 204
    });
    disk.wait_until_readable(40);
    let (_, status, _) = cortado(Some(server), &["status", "--output", "table"]);
    assert!(status.contains("disk is nearly full"), "{status}");
    let ready = server.http().get("/readyz");
    assert!(ready.json()["warnings"].to_string().contains("disk is nearly full"), "{ready:?}");
    assert!(http.expect("POST", "/admin/v1/nodes/n1:start", &[], b"").status < 300);
    server.wait_until("deleted", |http| http.delete("/v1/shop/item/i0").status == 204);
    let dropped = http.delete("/admin/v1/databases/idle");
    assert_eq!(dropped.status, 204, "{dropped:?}");
    server.wait_until("ready", |http| http.get("/readyz").status == 200);
    // Once in each life of a node: those whose engine has met the full disk have had another one.
    let [told, lives] =
        ["disk nearly full", "node started"].map(|words| server.said().matches(words).count());
    assert!((3..=lives).contains(&told), "told {told} times:\n{}", server.said());
    disk.empty();
    disk.wait_until_written();
    disk.check_all_but_the_first(40);
    assert!(server.said().contains("there is room on the disk again"), "{}", server.said());
}

#[test]
fn a_disk_that_is_full_without_a_reserve_loses_nothing() {
    let Some(disk) = SmallDisk::new(&format!("{MOUNT} && exec \"$@\"")) else {
        return;
    };
    disk.server.create_table("shop", "item", &["id"]);
    (0..40).for_each(|number| put(&mut disk.server.http(), number));
    disk.fill_to_the_last_byte();
    // Side by side, since each may wait until its deadline.
    let acknowledged: Vec<usize> = std::thread::scope(|scope| {
        let write = |number| {
            let path = format!("/v1/shop/item/i{number}");
            let answer = disk.server.http().put(&path, &document(number));
            assert!(answer.status < 300 || answer.status >= 500, "{answer:?}");
            (answer.status < 300).then_some(number)
        };
        let writes: Vec<_> = (40..60).map(|number| scope.spawn(move || write(number))).collect();
        writes.into_iter().filter_map(|write| write.join().unwrap()).collect()
    });
    disk.empty();
    disk.wait_until_written();
    disk.wait_until_readable(40);
    for number in acknowledged {
        assert_eq!(disk.server.http().get(&format!("/v1/shop/item/i{number}")).status, 200);
    }
}

#[test]
fn a_server_starts_on_a_full_disk() {
    // The second server begins when the first has ended.
    let Some(disk) = SmallDisk::new(&format!("{MOUNT} && {{ \"$@\"; exec \"$@\"; }}")) else {
        return;
    };
    disk.server.create_table("shop", "item", &["id"]);
    (0..40).for_each(|number| put(&mut disk.server.http(), number));
    disk.fill();
    disk.wait_until_refused();
    let children = format!("/proc/{0}/task/{0}/children", disk.server.pid());
    let first = fs::read_to_string(children).unwrap();
    assert!(Command::new("kill").args(["-9", first.trim()]).status().unwrap().success());
    let disk = SmallDisk { server: disk.server.next(), ..disk };
    disk.wait_until_readable(40);
    disk.wait_until_refused();
    assert_eq!(disk.server.http().delete("/v1/shop/item/i0").status, 204);
    disk.empty();
    disk.wait_until_written();
    disk.check_all_but_the_first(40);
}

/// Clients that open connections and leave them idle take nothing away from the log and the stores.
#[test]
fn idle_connections_leave_the_log_and_the_stores_their_files() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let limited = |limit: u32| {
        let command = Server::command(&data);
        let mut wrapped = Command::new("sh");
        wrapped.args(["-c", "ulimit -n \"$0\" && exec \"$@\""]).arg(limit.to_string());
        wrapped.arg(command.get_program()).args(command.get_args());
        wrapped
    };
    check_refused(limited(128), &["may open 128 files", "ulimit -n"]);
    let server = Server::run(limited(256)).unwrap_or_else(|said| panic!("no server:\n{said}"));
    server.create_table("shop", "item", &["id"]);
    let idle: Vec<_> =
        (0..600).filter_map(|_| std::net::TcpStream::connect(server.address).ok()).collect();
    // Accepted behind them: one that was idle longer gives way to a newer one.
    let mut http = server.http();
    for number in 0..200 {
        put(&mut http, number);
    }
    assert!(idle.len() > 256, "{}", idle.len());
    let said = server.said();
    assert!(said.contains("connections_max=") && !said.contains("Too many open files"), "{said}");
    assert!(!said.contains("ERROR"), "{said}");
    drop(idle);
    server.wait_until("reached again", |http| http.get("/healthz").status == 200);
    assert_eq!(server.all_documents("shop/item").len(), 200);
}

/// Fails every sync of the log with EIO as long as the file `$CORTADO_TEST_FAIL` exists.
const FAILING_SYNC: &str = r#"
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
int fdatasync(int fd) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length > 0 && access(getenv("CORTADO_TEST_FAIL"), F_OK) == 0) {
        path[length] = 0;
        if (strstr(path, ".segment")) { errno = EIO; return -1; }
    }
    return syscall(SYS_fdatasync, fd);
}
"#;

#[test]
fn a_failed_sync_ends_the_server_and_loses_nothing_acknowledged() {
    let scene = Scene::new();
    let source = scene.directory.path().join("sync.c");
    let (library, fail) = (source.with_extension("so"), source.with_extension("fail"));
    fs::write(&source, FAILING_SYNC).unwrap();
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source);
    assert!(compiler.status().expect("cc links this test, too").success());
    let mut command = Server::command(&scene.data());
    command.env("LD_PRELOAD", &library).env("CORTADO_TEST_FAIL", &fail);
    let server = Server::run(command).unwrap_or_else(|said| panic!("no server:\n{said}"));
    put(&mut server.http(), 0);
    fs::write(&fail, "").unwrap();
    let json = [("content-type", "application/json")];
    let body = document(0).to_string();
    // It may end before this connection is looked at.
    let answer = server.http().send("PUT", "/v1/shop/item/i0", &json, body.as_bytes());
    let is_done = answer.as_ref().is_ok_and(|answer| answer.status < 500);
    assert!(!is_done, "{answer:?}");
    let (status, said) = server.ended();
    assert_eq!(status.code(), Some(1), "{said}");
    for word in ["the log is unusable", "cannot sync 0000", "so the server ends", "dmesg"] {
        assert!(said.contains(word), "no `{word}` in:\n{said}");
    }
    scene.check_whole(&Server::start(&scene.data()));
}

/// Whether this machine lets an ordinary user mount in namespaces of its own; says so if not. With
/// CI=true it must.
fn may_mount() -> bool {
    static MAY_MOUNT: OnceLock<bool> = OnceLock::new();
    *MAY_MOUNT.get_or_init(|| {
        let mut probe = Command::new("unshare");
        probe.args([
            "--user",
            "--map-root-user",
            "--mount",
            "mount",
            "-t",
            "tmpfs",
            "none",
            "/mnt",
        ]);
        let why = match probe.output() {
            Ok(ran) if ran.status.success() => return true,
            Ok(ran) => String::from_utf8_lossy(&ran.stderr).trim().to_owned(),
            Err(error) => error.to_string(),
        };
        let why = format!("no small disks here, unshare --user --mount is not permitted: {why}");
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{why}");
        eprintln!("not tested: {why}");
        false
    })
}

/// `command` where `script` may mount; `$0` in it is `directory`.
fn in_own_mounts(script: &str, directory: &Path, command: Command) -> Command {
    let mut wrapped = Command::new("unshare");
    wrapped.args(["--user", "--map-root-user", "--mount", "sh", "-c", script]);
    wrapped.arg(directory).arg(command.get_program()).args(command.get_args());
    wrapped
}
