//! What machines do to processes: system calls that are slow or fail, full disks, wrong clocks.
//!
//! Needs `strace`, a C compiler and namespaces; where one is missing, what needs it is skipped and
//! says so. Start reading at [`SystemCalls`].

use crate::harness::BOUND;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// What a node's disk holds in all.
const DISK: &str = "512m";

/// `strace`, which makes system calls of a process slow or lets them fail, until it is dropped.
pub(crate) struct SystemCalls(Child);

impl SystemCalls {
    /// Lets go of the process when it is dropped.
    ///
    /// * `calls`: their names, with commas between them.
    /// * `injected`: what becomes of each, as `strace --inject` has it.
    pub(crate) fn of(pid: u32, calls: &str, injected: &str) -> SystemCalls {
        SystemCalls::attach(pid, calls, injected).unwrap_or_else(|why| panic!("{pid}: {why}"))
    }

    /// Why there is none here.
    pub(crate) fn missing() -> Option<String> {
        // A process that another one has started, as nodes are.
        let mut idle = Command::new("cat");
        idle.stdin(Stdio::piped()).stdout(Stdio::null());
        let mut idle = idle.spawn().expect("there is a cat");
        let missing = SystemCalls::attach(idle.id(), "fsync", "error=EIO").err();
        let _ = idle.kill();
        let _ = idle.wait();
        missing
    }

    fn attach(pid: u32, calls: &str, injected: &str) -> Result<SystemCalls, String> {
        let mut command = Command::new("strace");
        command.args(["-f", "-q", "-e", &format!("trace={calls}")]);
        command.args(["-e", &format!("inject={calls}:{injected}")]);
        command.args(["-o", "/dev/null", "-p", &pid.to_string()]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let tracing = command.spawn().map_err(|error| format!("strace does not run: {error}"))?;
        let mut tracing = SystemCalls(tracing);
        let begun = Instant::now();
        while !is_traced(pid) {
            if tracing.0.try_wait().expect("it was started").is_some() {
                return Err(format!("strace does not attach: {}", tracing.errors().trim()));
            }
            assert!(begun.elapsed() < BOUND, "strace has not attached to {pid}");
            thread::park_timeout(Duration::from_millis(10));
        }
        Ok(tracing)
    }

    /// What it has said, once it has ended.
    fn errors(&mut self) -> String {
        let mut said = String::new();
        if let Some(mut errors) = self.0.stderr.take() {
            let _ = errors.read_to_string(&mut said);
        }
        said
    }
}

impl Drop for SystemCalls {
    /// It lets go of the process, which goes on.
    fn drop(&mut self) {
        let pid = self.0.id().to_string();
        let _ = Command::new("kill").args(["-INT", &pid]).status();
        let _ = self.0.wait();
    }
}

/// Whether every thread of a process is traced.
fn is_traced(pid: u32) -> bool {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return false };
    threads.flatten().all(|thread| {
        let status = fs::read_to_string(thread.path().join("status")).unwrap_or_default();
        !status.lines().any(|line| line.starts_with("TracerPid:") && line.ends_with("\t0"))
    })
}

/// Small disks that only processes see which are started on them.
pub(crate) struct Disks {
    holder: Child,
}

impl Disks {
    /// A disk for each of these folders; `None` where an ordinary user may not mount.
    pub(crate) fn mount(folders: &[PathBuf]) -> Option<Disks> {
        if Disks::missing().is_some() {
            return None;
        }
        let script = format!(
            "for disk in \"$@\"; do mount -t tmpfs -o size={DISK} none \"$disk\"; done; \
             echo there; exec cat"
        );
        let mut command = in_namespaces();
        command.args(["sh", "-c", &script, "sh"]).args(folders);
        // It ends with this process, whatever ends that.
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut holder = command.spawn().expect("unshare runs");
        let mut said = String::new();
        let out = holder.stdout.take().expect("piped");
        BufReader::new(out).read_line(&mut said).expect("it speaks");
        assert_eq!(said, "there\n");
        Some(Disks { holder })
    }

    /// Why there are none here.
    pub(crate) fn missing() -> Option<String> {
        let mut probe = in_namespaces();
        probe.args(["mount", "-t", "tmpfs", "none", "/mnt"]);
        missing("unshare --user --mount", probe)
    }

    /// The same command among the disks.
    pub(crate) fn among(&self, command: &Command) -> Command {
        let mut entered = Command::new("nsenter");
        entered.args(["--target", &self.holder.id().to_string(), "--user", "--mount"]);
        entered.args(["--preserve-credentials", "--"]);
        followed_by(entered, command)
    }

    /// Fills the disk of `folder` to its last byte.
    pub(crate) fn fill(&self, folder: &Path) {
        let mut file = fs::File::create(self.filler(folder)).expect("there is room for a name");
        let block = vec![1; 1 << 16];
        // Until there is no room.
        while file.write_all(&block).is_ok() {}
    }

    /// Gives the room back.
    pub(crate) fn empty(&self, folder: &Path) {
        // Perhaps it was not filled.
        let _ = fs::remove_file(self.filler(folder));
    }

    fn filler(&self, folder: &Path) -> PathBuf {
        let seen = folder.strip_prefix("/").expect("an absolute path");
        Path::new(&format!("/proc/{}/root", self.holder.id())).join(seen).join("filler")
    }
}

impl Drop for Disks {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// A wall clock that is ahead of the machine's, or behind it, as a file says: the first eight bytes
/// are a number of seconds. All other clocks are left as they are.
///
/// Not libfaketime, which shows its time to `timespec_get` and not to `cnd_timedwait`: a Kafka
/// client that waits for a second would wait for a day.
const CLOCK: &str = r#"
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static volatile int64_t *ahead;

__attribute__((constructor)) static void begin(void) {
    int file = open(getenv("CORTADO_TEST_CLOCK"), O_RDONLY);
    void *seen = mmap(0, sizeof *ahead, PROT_READ, MAP_SHARED, file, 0);
    if (file >= 0 && seen != MAP_FAILED) ahead = seen;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int failed = (int) syscall(SYS_clock_gettime, clock, now);
    if (!failed && ahead && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        now->tv_sec += *ahead;
    return failed;
}
"#;

/// Wall clocks of single processes.
pub(crate) struct WallClocks {
    library: PathBuf,
}

impl WallClocks {
    /// * `folder`: keeps the library that shows them.
    ///
    /// # Errors
    /// Why there are none here.
    pub(crate) fn make(folder: &Path) -> Result<WallClocks, String> {
        let (source, library) = (folder.join("clock.c"), folder.join("clock.so"));
        fs::write(&source, CLOCK).expect("a folder of ours");
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-o"]).args([&library, &source]);
        missing("cc", compiler).map_or(Ok(WallClocks { library }), Err)
    }

    /// Why there are none here.
    pub(crate) fn missing() -> Option<String> {
        let folder = tempfile::tempdir().expect("the machine has a directory for tests");
        WallClocks::make(folder.path()).err()
    }

    /// Lets a process that `command` starts read its wall clock from `file`.
    pub(crate) fn show(&self, command: &mut Command, file: &Path) {
        command.env("LD_PRELOAD", &self.library).env("CORTADO_TEST_CLOCK", file);
    }

    /// The clock of that process steps: it is so many seconds ahead from then on.
    pub(crate) fn set(file: &Path, seconds: i64) {
        let mut options = fs::OpenOptions::new();
        // In its place: the process sees what is written there.
        let opened = options.write(true).create(true).truncate(false).open(file);
        let mut file = opened.expect("a file of ours");
        file.write_all(&seconds.to_ne_bytes()).expect("there is room");
    }
}

fn in_namespaces() -> Command {
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount"]);
    command
}

/// Why `probe` does not run.
fn missing(name: &str, mut probe: Command) -> Option<String> {
    match probe.stdin(Stdio::null()).output() {
        Ok(ran) if ran.status.success() => None,
        Ok(ran) => {
            let said = String::from_utf8_lossy(&ran.stderr);
            Some(format!("{name} is not permitted: {}", said.trim()))
        }
        Err(error) => Some(format!("{name} does not run: {error}")),
    }
}

/// What `wrapper` runs is `command`, with its environment.
pub(crate) fn followed_by(mut wrapper: Command, command: &Command) -> Command {
    wrapper.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => wrapper.env(name, value),
            None => wrapper.env_remove(name),
        };
    }
    wrapper
}
