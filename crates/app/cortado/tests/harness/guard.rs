//! A process that ends with the test that started it, though that be killed.
//!
//! Start reading at [`Guard::of`].

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

/// Waits for the end of its standard input, which is that of the test, and then ends the process.
const WAITS: &str = r#"read -r _; kill -KILL "$1" 2>/dev/null"#;

/// A shell that watches over a process. Dropped before the process is waited for, or after: it ends
/// nothing then.
pub struct Guard {
    shell: Child,
}

impl Guard {
    /// Watches over `process`, a child of this test.
    pub fn of(process: &Child) -> Guard {
        let mut shell = Command::new("sh");
        shell.args(["-c", WAITS, "sh", &process.id().to_string()]);
        shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        // Out of the terminal's group: Ctrl-C is for the test, and the shell sees what comes of it.
        let shell = shell.process_group(0).spawn().expect("there is a shell");
        Guard { shell }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // Before its input ends.
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}
